/**
 * Every transactional id's state in memory, every change of it in one log. The rules are those of the groups' store: state
 * and record change in one turn, and when a record cannot be written, all state is dropped and read from the log again.
 */
import { ErrorCode, KafkaError } from '../../../protocol/errors.ts'
import type { Clock, Timer } from '../../../protocol/lib/clock.ts'
import type { Logger } from '../../logger.ts'
import { StorageError } from '../../storage/files.ts'
import type { Instant } from '../group-state.ts'
import type { KeyedLog, KeyedRecord } from '../keyed-log.ts'
import { decodeRecord, encodeRecord } from './transaction-records.ts'
import { TransactionalProducer } from './transactional-producer.ts'

const RELOAD_DELAY_MS = 100
/** After the disk could not be read. */
const READ_AGAIN_MS = 1_000

export interface HeldProducer {
  readonly producer: TransactionalProducer
  /** Its newest record. */
  kept: KeyedRecord | undefined
  /** Producer ids under which this is found. */
  producerIds: number[]
  timer: Timer | undefined
  /** While the last decision is being followed. */
  ending: Promise<void> | undefined
  /** Until the end of the last transaction is on disk, nothing of the next one may get there. */
  settling: Promise<void> | undefined
}

export interface TransactionStoreOptions {
  log: KeyedLog
  clock: Clock
  logger: Logger
  /** True while what else has to be known at each loading is still being read. */
  mustWait: () => boolean
  /** The state is that of the log; called after each loading. */
  onLoaded: () => void
}

export class TransactionStore {
  readonly #options: TransactionStoreOptions
  #producers = new Map<string, HeldProducer>()
  #byProducerId = new Map<number, HeldProducer>()
  #refusal: number = ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
  #fault: string | undefined
  /** Grows with each loading, so that what belongs to a state that was dropped is recognised. */
  #epoch = 0
  #reloadTimer: Timer | undefined
  #isClosed = false

  constructor(options: TransactionStoreOptions) {
    this.#options = options
  }

  get producers(): ReadonlyMap<string, HeldProducer> {
    return this.#producers
  }

  get epoch(): number {
    return this.#epoch
  }

  get isReady(): boolean {
    return this.#refusal === ErrorCode.NONE
  }

  /** Why the log could not be read when it was last tried. */
  get fault(): string | undefined {
    return this.#fault
  }

  /** Throws KafkaError while the state is not that of the log. */
  checkReady(): void {
    if (!this.isReady) throw new KafkaError(this.#refusal, 'the transaction coordinator is not ready')
  }

  /** Whose id, or that of whose markers, this is. */
  byProducerId(producerId: number): HeldProducer | undefined {
    return this.#byProducerId.get(producerId)
  }

  /**
   * Reads the log. A damaged one leaves the coordinator out of service and the rest of the relay alone; one that cannot be
   * read for the moment is tried again.
   */
  async load(): Promise<void> {
    const epoch = ++this.#epoch
    const { log, logger } = this.#options
    const stored = new Map<string, KeyedRecord>()
    try {
      if (!log.isOnline) throw new Error(log.faultMessage ?? 'the log is offline')
      await log.replay((record) => {
        if (record.value === null) stored.delete(record.key)
        else stored.set(record.key, record)
      })
    } catch (error) {
      logger.error('transactions are out of service', { error: String(error) })
      this.#fault = error instanceof Error ? error.message : String(error)
      this.#refusal = ErrorCode.COORDINATOR_NOT_AVAILABLE
      if (log.isOnline && error instanceof StorageError) this.#readAgain(READ_AGAIN_MS)
      return
    }
    if (this.#isClosed || epoch !== this.#epoch) return
    if (this.#options.mustWait()) return this.#readAgain(RELOAD_DELAY_MS)
    for (const record of stored.values()) this.#restore(record)
    this.#refusal = ErrorCode.NONE
    this.#fault = undefined
    this.#options.onLoaded()
  }

  #readAgain(delayMs: number): void {
    if (this.#isClosed) return
    this.#refusal = ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
    this.#reloadTimer = this.#options.clock.setTimer(delayMs, () => void this.load())
  }

  #restore(kept: KeyedRecord): void {
    const record = decodeRecord(kept)
    if (!record?.value) return
    const held = this.add(TransactionalProducer.restore(record.transactionalId, record.value, this.#now()))
    held.kept = kept
    this.#index(held)
  }

  /** It lasts from its first record on. */
  add(producer: TransactionalProducer): HeldProducer {
    const held: HeldProducer = {
      ...{ producer, kept: undefined, producerIds: [] },
      ...{ timer: undefined, ending: undefined, settling: undefined },
    }
    this.#producers.set(producer.transactionalId, held)
    return held
  }

  /** Appends what it is now. Resolves when that is on disk; rejects with KafkaError when it can't be written. */
  async persist(held: HeldProducer): Promise<void> {
    const { transactionalId } = held.producer
    held.kept = encodeRecord({ transactionalId, value: held.producer.snapshot() })
    this.#index(held)
    await this.#append([held.kept])
  }

  /** Nothing is known of them from now on. */
  async forget(forgotten: readonly HeldProducer[]): Promise<void> {
    for (const held of forgotten) {
      this.#producers.delete(held.producer.transactionalId)
      for (const producerId of held.producerIds) this.#byProducerId.delete(producerId)
      held.timer?.cancel()
      held.producer.die(this.#now())
    }
    await this.#append(
      forgotten.map(({ producer }) => encodeRecord({ transactionalId: producer.transactionalId, value: null })),
    )
  }

  async #append(records: readonly KeyedRecord[]): Promise<void> {
    const epoch = this.#epoch
    try {
      const durable = this.#options.log.append(records)
      this.#rewriteIfDue(epoch)
      await durable
    } catch (error) {
      this.#failOver(epoch, error)
      const message = error instanceof Error ? error.message : String(error)
      throw new KafkaError('COORDINATOR_NOT_AVAILABLE', message, { cause: error })
    }
  }

  /** Resolves when everything appended so far is on disk: until then nobody may be told of it. */
  async settled(): Promise<void> {
    await this.#options.log.settled().catch((error: unknown) => {
      throw new KafkaError('COORDINATOR_NOT_AVAILABLE', String(error), { cause: error })
    })
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#leaveService(ErrorCode.COORDINATOR_NOT_AVAILABLE)
    this.#reloadTimer?.cancel()
    await this.#options.log.close()
  }

  /** Memory is ahead of what could be written in `epoch`: back to what is on disk. */
  #failOver(epoch: number, error: unknown): void {
    if (epoch !== this.#epoch || !this.isReady) return
    this.#options.logger.warn('transactions are read again', { reason: String(error) })
    this.#leaveService(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)
    this.#reloadTimer = this.#options.clock.setTimer(RELOAD_DELAY_MS, () => void this.load())
  }

  #leaveService(refusal: number): void {
    this.#refusal = refusal
    // What goes on in the name of the present state ends with it.
    this.#epoch++
    for (const held of this.#producers.values()) held.timer?.cancel()
    this.#producers = new Map()
    this.#byProducerId = new Map()
  }

  #index(held: HeldProducer): void {
    const { identity, ending } = held.producer
    for (const producerId of held.producerIds) this.#byProducerId.delete(producerId)
    held.producerIds = [identity.producerId]
    if (ending && ending.identity.producerId !== identity.producerId) held.producerIds.push(ending.identity.producerId)
    for (const producerId of held.producerIds) this.#byProducerId.set(producerId, held)
  }

  #rewriteIfDue(epoch: number): void {
    const { log, logger } = this.#options
    log
      .rewriteIfDue(() => this.#liveParts(epoch))
      ?.catch((error: unknown) => logger.warn('transactions: old records are kept for now', { error: String(error) }))
  }

  /** Id by id, each in one turn. Those made later are in the log behind the snapshot's start anyway. */
  *#liveParts(epoch: number): Generator<() => KeyedRecord[]> {
    for (const transactionalId of [...this.#producers.keys()]) {
      yield () => {
        if (epoch !== this.#epoch || !this.isReady) throw new Error('transactions are being read again')
        const kept = this.#producers.get(transactionalId)?.kept
        return kept ? [kept] : []
      }
    }
  }

  #now(): Instant {
    const { clock } = this.#options
    return { monotonicMs: clock.monotonic(), wallMs: clock.now() }
  }
}
