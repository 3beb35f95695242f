/**
 * The end of a user's time on a device, step by step: decided, noted, and carried out.
 *
 * Invariants: until it is noted nothing has changed; from then on nobody writes any more, and whatever fails is done by whoever
 * opens a replica next. One at a time.
 */
import type { Clock } from '../../protocol/lib/clock.ts'
import type { OttlaError } from '../errors.ts'
import type { Outbox } from '../outbox/outbox.ts'
import { finishEnding, noteIntent } from '../replica/ending.ts'
import type { ReplicaStore } from '../replica/store.ts'
import { loggedOutError, StoreError } from '../replica/store-error.ts'
import type { Wallet } from '../sign-in/wallet.ts'
import { storageFailure } from '../storage-failure.ts'
import type { StoreRecovery } from '../store-recovery.ts'
import { Gate } from './gate.ts'
import { mayLeave } from './may-leave.ts'
import type { LogoutOptions, LogoutOutcome } from './options.ts'

interface Closable {
  close(): Promise<void>
}

export interface LogoutParts {
  clock: Clock
  /** The replica's name where it lies in IndexedDB. */
  database: string | null
  life: number
  store: ReplicaStore
  recovery: StoreRecovery
  tables: Closable
  replica: Closable
  wallet: Wallet | undefined
  /** Throws once the core is closed. */
  checkOpen(): void
  outbox(): Outbox
  /** Writes go out again unless the application holds them back. */
  resumeWrites(): void
  /** Noted: this is what the core says of itself from now on. */
  left(error: OttlaError): void
  closeCore(): Promise<void>
}

export class Logout {
  /** Writes pass it on their way in. */
  readonly gate = new Gate()
  readonly #parts: LogoutParts
  #running: Promise<LogoutOutcome> | undefined

  constructor(parts: LogoutParts) {
    this.#parts = parts
  }

  run(options: LogoutOptions): Promise<LogoutOutcome> {
    this.#running ??= this.#run(options).finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  async #run(options: LogoutOptions): Promise<LogoutOutcome> {
    this.#parts.checkOpen()
    await this.#parts.recovery.settled()
    await this.#decide(options)
    const keepOutbox = options.pending === 'keep'
    try {
      await this.#note(keepOutbox, options.caches ?? [])
    } catch (failure) {
      this.gate.release()
      throw storageFailure(failure)
    }
    return this.#carryOut(keepOutbox)
  }

  async #decide(options: LogoutOptions): Promise<void> {
    const { clock, outbox, resumeWrites } = this.#parts
    // Whoever leaves and wants all to be sent has said what it may cost.
    if (options.pending === 'send') outbox().pause(false)
    try {
      await mayLeave(options, { clock, gate: this.gate, outbox: outbox() })
    } finally {
      resumeWrites()
    }
  }

  async #note(keepOutbox: boolean, caches: readonly string[]): Promise<void> {
    const { database, life } = this.#parts
    if (database !== null) await noteIntent(database, { life, keepOutbox, caches })
  }

  async #carryOut(keepOutbox: boolean): Promise<LogoutOutcome> {
    const { clock, database, store, recovery, wallet, tables, replica, left, closeCore } = this.#parts
    const error = loggedOutError().toOttlaError()
    left(error)
    this.gate.shut(error)
    // A browser that clears all, as the application's server may ask it to at a logout, is not begun anew for.
    await recovery.settled()
    wallet?.forget()
    await tables.close()
    const outbox = this.#parts.outbox()
    await outbox.close()
    const unsent = outbox.depth()
    if (!keepOutbox) outbox.abandon(error.toInfo())
    await replica.close()
    try {
      await store.end(keepOutbox).catch((failure: unknown) => {
        if (!(failure instanceof StoreError) || failure.kind !== 'evicted') throw failure
      })
      if (database !== null) await finishEnding(database, clock)
    } catch (failure) {
      throw storageFailure(failure)
    } finally {
      left(error)
      await closeCore()
    }
    return { unsent }
  }
}
