/**
 * A store whose units wait until a test carries them out, and a disk that keeps what a crash or a power cut leaves:
 * after a crash every unit that was carried out, after a power cut only up to the last strict one (and nothing relaxed
 * behind it, as in every engine measured).
 */
import { MemoryDatabase, MemoryStore } from '../../../client/replica/memory-store.ts'
import type { ReplicaStore } from '../../../client/replica/store.ts'
import type { OutboxChange } from '../../../client/replica/store-outbox.ts'

export class Disk {
  database = new MemoryDatabase()
  #lastStrict = new MemoryDatabase()

  noteStrict(): void {
    this.#lastStrict = this.database.copy()
  }

  cutPower(): void {
    this.database = this.#lastStrict.copy()
  }
}

interface Unit {
  change: OutboxChange
  isApplied: boolean
  failure: unknown
  resolve(): void
  reject(failure: unknown): void
}

/** Units are carried out in order: first `apply`, then `complete`, with room for a crash before, between and after. */
export class StepStore {
  readonly store: ReplicaStore
  readonly #disk: Disk
  readonly #memory: MemoryStore
  #units: Unit[] = []
  #isDead = false

  constructor(disk: Disk) {
    this.#disk = disk
    this.#memory = new MemoryStore(disk.database)
    const changeOutbox = (change: OutboxChange) => this.#enqueue(change)
    this.store = new Proxy(this.#memory, {
      get(target, name) {
        if (name === 'changeOutbox') return changeOutbox
        const member = Reflect.get(target, name)
        return typeof member === 'function' ? member.bind(target) : member
      },
    })
  }

  get unitsWaiting(): number {
    return this.#units.length
  }

  async step(): Promise<void> {
    const unit = this.#units[0]
    if (!unit || this.#isDead) return
    if (!unit.isApplied) return this.#apply(unit)
    this.#units.shift()
    if (unit.failure) unit.reject(unit.failure)
    else unit.resolve()
  }

  /** The process is gone: nothing that waits is carried out, nobody is told. */
  kill(): void {
    this.#isDead = true
    this.#units = []
  }

  #enqueue(change: OutboxChange): Promise<void> {
    if (this.#isDead) return new Promise(() => {})
    return new Promise((resolve, reject) => {
      this.#units.push({ change, isApplied: false, failure: undefined, resolve, reject })
    })
  }

  async #apply(unit: Unit): Promise<void> {
    unit.isApplied = true
    try {
      await this.#memory.changeOutbox(unit.change)
      if (unit.change.durability !== 'relaxed') this.#disk.noteStrict()
    } catch (failure) {
      unit.failure = failure
    }
  }
}
