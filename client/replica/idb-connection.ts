/**
 * One connection to the database, brought back when it dies.
 *
 * Facts that shaped it: Safari loses its database process and fails every call until a new connection is opened, and
 * opening again at once mostly fails too; an eviction closes connections without a word beyond `close`; an open can wait
 * for ever for somebody else's delete. So a unit of work that failed with the connection is repeated on a new one after
 * growing delays. That is safe because units only put and delete under fixed keys.
 */
import { type OpenDBCallbacks, openDB, unwrap } from 'idb'
import { type Clock, sleep } from '../../protocol/lib/clock.ts'
import { createStores, type ReplicaDatabase, type ReplicaSchema } from './idb-format.ts'
import { StoreError, storeErrorFrom } from './store-error.ts'

const REOPEN_DELAYS_MS = [0, 50, 500, 2_000]
const OPEN_TIMEOUT_MS = 10_000

/** Brings a database from an older version to the one that is opened; 0: it is new. In the transaction that does so. */
export type Upgrade = (database: IDBDatabase, from: number, transaction: IDBTransaction) => void

export class IdbConnection {
  readonly #name: string
  readonly #clock: Clock
  readonly #upgrade: Upgrade
  readonly #interrupted: () => void
  readonly #version: number
  #database: Promise<ReplicaDatabase> | undefined
  #isClosed = false
  #busy = 0
  #onIdle: (() => void) | undefined

  /**
   * `interrupted`: told when somebody else closed the connection; whether the database is still there, the next unit
   * tells.
   */
  constructor(
    name: string,
    clock: Clock,
    upgrade: Upgrade = createStores,
    interrupted: () => void = () => {},
    version = 1,
  ) {
    this.#name = name
    this.#clock = clock
    this.#upgrade = upgrade
    this.#interrupted = interrupted
    this.#version = version
  }

  /** Runs `unit` on an open database; again on another connection when this one turns out to be dead. */
  async run<T>(what: string, unit: (database: ReplicaDatabase) => Promise<T>): Promise<T> {
    if (this.#isClosed) throw new StoreError('closed', 'the store is closed')
    this.#busy++
    try {
      return await this.#runWithReopening(what, unit)
    } finally {
      this.#busy--
      if (this.#busy === 0) this.#onIdle?.()
    }
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    if (this.#busy > 0) await new Promise<void>((resolve) => (this.#onIdle = resolve))
    const opening = this.#database
    this.#database = undefined
    const database = await opening?.catch(() => undefined)
    database?.close()
  }

  async #runWithReopening<T>(what: string, unit: (database: ReplicaDatabase) => Promise<T>): Promise<T> {
    let attempt = 0
    for (;;) {
      let failure: StoreError
      try {
        return await unit(await this.#open())
      } catch (thrown) {
        failure = storeErrorFrom(thrown, what)
      }
      const delayMs = REOPEN_DELAYS_MS[attempt++]
      if (!failure.isWorthReopening || delayMs === undefined) throw failure
      this.#drop()
      await sleep(this.#clock, delayMs)
    }
  }

  #open(): Promise<ReplicaDatabase> {
    this.#database ??= this.#openAnew().catch((failure: unknown) => {
      this.#database = undefined
      throw failure
    })
    return this.#database
  }

  async #openAnew(): Promise<ReplicaDatabase> {
    checkThereIsIndexedDb()
    let cancel = () => {}
    // An upgrade has nobody to wait for any more, and takes as long as there are rows.
    const opening = openDB<ReplicaSchema>(
      this.#name,
      this.#version,
      this.#callbacks(() => cancel()),
    )
    let timedOut = false
    const timeout = new Promise<never>((_, reject) => {
      const timer = this.#clock.setTimer(OPEN_TIMEOUT_MS, () => {
        timedOut = true
        reject(
          new StoreError(
            'blocked',
            `database ${this.#name} did not open in ${OPEN_TIMEOUT_MS} ms: another tab holds it`,
          ),
        )
      })
      cancel = () => timer.cancel()
      opening.then(cancel, cancel)
    })
    opening.then(
      (database) => timedOut && database.close(),
      () => {},
    )
    try {
      return await Promise.race([opening, timeout])
    } catch (failure) {
      throw storeErrorFrom(failure, `opening database ${this.#name}`)
    }
  }

  #callbacks(upgrading: () => void): OpenDBCallbacks<ReplicaSchema> {
    return {
      upgrade: (database, from, _to, transaction) => {
        upgrading()
        this.#upgrade(unwrap(database), from, unwrap(transaction))
      },
      // Somebody deletes the database ("clear site data") or raises its version: never stand in the way.
      blocking: (_current, _wanted, event) => {
        ;(event.target as IDBDatabase).close()
        this.#forget()
      },
      terminated: () => this.#forget(),
    }
  }

  #forget(): void {
    this.#database = undefined
    if (!this.#isClosed) this.#interrupted()
  }

  #drop(): void {
    const opening = this.#database
    this.#database = undefined
    opening?.then(
      (database) => database.close(),
      () => {},
    )
  }
}

/** Where a browser was told to store nothing, the name is missing, is null, or throws when it is looked at. */
export function checkThereIsIndexedDb(): void {
  let found: IDBFactory | null | undefined
  try {
    found = globalThis.indexedDB
  } catch (failure) {
    throw storeErrorFrom(failure, 'looking for IndexedDB')
  }
  if (!found) throw new StoreError('unavailable', 'there is no IndexedDB here')
}
