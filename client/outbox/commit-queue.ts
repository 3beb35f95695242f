/**
 * Group commit: changes that arrive while one store unit runs go together into the next.
 *
 * Invariants: changes become durable in the order in which they were handed in; each resolves only when its unit is
 * complete. A change never undoes one that is not complete yet (nobody has seen that one), so joining them is safe.
 * When a joint unit fails, each change is tried alone, so that one that does not fit fails by itself.
 */
import type { ReplicaStore } from '../replica/store.ts'
import { type StoreError, storeErrorFrom } from '../replica/store-error.ts'
import type { OutboxChange } from '../replica/store-outbox.ts'

interface WaitingChange {
  change: OutboxChange
  sizeBytes: number
  resolve(): void
  reject(failure: StoreError): void
}

const UNIT_BYTES_MAX = 2 * 1024 * 1024
const UNIT_CHANGES_MAX = 4_096

export interface CommitQueueOptions {
  store: Pick<ReplicaStore, 'changeOutbox'>
  /** Frees space for about so many bytes; false when nothing could be freed. */
  makeRoom?(sizeBytes: number): Promise<boolean>
}

export class CommitQueue {
  readonly #store: Pick<ReplicaStore, 'changeOutbox'>
  readonly #makeRoom: (sizeBytes: number) => Promise<boolean>
  #waiting: WaitingChange[] = []
  #running: Promise<void> | undefined

  constructor({ store, makeRoom = async () => false }: CommitQueueOptions) {
    this.#store = store
    this.#makeRoom = makeRoom
  }

  /** Rejects with a StoreError; then nothing of `change` has happened. */
  commit(change: OutboxChange): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ change, sizeBytes: sizeOf(change), resolve, reject })
      this.#running ??= this.#run()
    })
  }

  /** Resolves when everything handed in so far has ended. */
  async idle(): Promise<void> {
    while (this.#running) await this.#running
  }

  async #run(): Promise<void> {
    // One turn later, so that writes made in the same turn already share the first unit.
    await Promise.resolve()
    while (this.#waiting.length > 0) {
      const unit = this.#takeUnit()
      try {
        await this.#store.changeOutbox(joined(unit))
        for (const each of unit) each.resolve()
      } catch {
        for (const each of unit) await this.#commitAlone(each)
      }
    }
    this.#running = undefined
  }

  #takeUnit(): WaitingChange[] {
    let count = 0
    let sizeBytes = 0
    for (const waiting of this.#waiting) {
      if (count > 0 && (sizeBytes + waiting.sizeBytes > UNIT_BYTES_MAX || count >= UNIT_CHANGES_MAX)) break
      sizeBytes += waiting.sizeBytes
      count++
    }
    return this.#waiting.splice(0, count)
  }

  async #commitAlone({ change, sizeBytes, resolve, reject }: WaitingChange): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      try {
        await this.#store.changeOutbox(change)
        return resolve()
      } catch (thrown) {
        const failure = storeErrorFrom(thrown, 'changing the outbox')
        const mayHelp = failure.kind === 'quota' && attempt === 0
        if (!mayHelp || !(await this.#makeRoom(sizeBytes))) return reject(failure)
      }
    }
  }
}

function sizeOf(change: OutboxChange): number {
  let sizeBytes = 256
  for (const row of change.putRows ?? []) sizeBytes += row.batch.length + 256
  return sizeBytes
}

function joined(unit: readonly WaitingChange[]): OutboxChange {
  const changes = unit.map(({ change }) => change)
  if (changes.length === 1) return changes[0]!
  return {
    deleteRows: changes.flatMap((each) => each.deleteRows ?? []),
    putRows: changes.flatMap((each) => each.putRows ?? []),
    deleteSealed: changes.flatMap((each) => each.deleteSealed ?? []),
    putSealed: changes.flatMap((each) => each.putSealed ?? []),
    deleteIdentities: changes.flatMap((each) => each.deleteIdentities ?? []),
    putIdentities: changes.flatMap((each) => each.putIdentities ?? []),
    deleteSettled: changes.flatMap((each) => each.deleteSettled ?? []),
    putSettled: changes.flatMap((each) => each.putSettled ?? []),
    durability: changes.every(({ durability }) => durability === 'relaxed') ? 'relaxed' : 'strict',
  }
}
