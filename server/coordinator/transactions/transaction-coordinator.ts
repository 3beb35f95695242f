/**
 * The transaction coordinator: requests in, answers out.
 *
 * An answer that tells of a change goes out when its record is on disk. The record of a decision (PrepareCommit,
 * PrepareAbort) comes first, then markers and offsets, then the record that all is done. An end is answered when all is
 * done, so that whoever hears of a commit also reads it; or after a while, if a log does not take its marker.
 *
 * Nothing of the next transaction may reach a disk before the record that the last one is done: after a power cut its
 * decision would be carried out once more, over the next one's first records. That is what `settled` is for.
 */
import { ErrorCode, KafkaError } from '../../../protocol/errors.ts'
import type { Clock, Timer } from '../../../protocol/lib/clock.ts'
import type { TransactionOutcome } from '../../../protocol/transaction-marker.ts'
import type { RelayConfig } from '../../config.ts'
import type { Engine } from '../../engine.ts'
import type { HeldFiles } from '../../log/held-files.ts'
import { PatientClock } from '../../log/patient-clock.ts'
import type { Logger } from '../../logger.ts'
import type { Files } from '../../storage/files.ts'
import type { Instant } from '../group-state.ts'
import { KeyedLog, type KeyedLogOptions } from '../keyed-log.ts'
import type { TopicPartition } from '../offsets.ts'
import type { GroupCoordinator } from '../runtime.ts'
import type { ProducerIdentity } from '../transactional-offsets.ts'
import { adopt } from './adoption.ts'
import { followDecision } from './decision-follower.ts'
import { type HeldProducer, TransactionStore } from './transaction-store.ts'
import { TransactionalProducer } from './transactional-producer.ts'

/** A client that makes up names must not fill the memory. */
export const TRANSACTIONAL_IDS_MAX = 100_000
/** How long the answer to an end may wait for markers, which are decided but not written. */
export const END_WAIT_MS = 5000

export type TransactionConfig = Pick<
  RelayConfig,
  'transactionMaxTimeoutMs' | 'transactionalIdExpirationMs' | 'transactionRemoveExpiredTransactionCleanupIntervalMs'
>

export interface TransactionCoordinatorOptions extends Pick<KeyedLogOptions, 'deadBytesMin' | 'segmentBytes'> {
  files: Files
  /** `transactions` in the data folder. */
  dir: string
  config: TransactionConfig
  clock: Clock
  logger: Logger
  engine: Pick<Engine, 'topics' | 'topicById' | 'nextProducerId'>
  /** Must have been opened before. */
  groups: Pick<GroupCoordinator, 'decideTransaction' | 'pendingTransactions' | 'isLoading'>
}

/** Rejects when the folder cannot be read at all. With a damaged log it opens, and refuses everything. */
export async function openTransactionCoordinator(
  options: TransactionCoordinatorOptions,
): Promise<TransactionCoordinator> {
  const coordinator = new TransactionCoordinator(options, await KeyedLog.open(options))
  await coordinator.load()
  return coordinator
}

export class TransactionCoordinator {
  readonly #options: TransactionCoordinatorOptions
  readonly #log: KeyedLog
  readonly #store: TransactionStore
  /** By which ids expire. */
  readonly #time: PatientClock
  #cleanUpTimer: Timer | undefined
  #closing: Promise<void> | undefined

  /** Use `openTransactionCoordinator`. */
  constructor(options: TransactionCoordinatorOptions, log: KeyedLog) {
    this.#options = options
    this.#log = log
    const { clock, logger } = options
    this.#store = new TransactionStore({
      ...{ log, clock, logger },
      // Offsets that a transaction handed in are the groups', and what nobody knows of must be found there.
      mustWait: () => options.groups.isLoading,
      onLoaded: () => this.#onLoaded(),
    })
    this.#time = new PatientClock(clock)
  }

  /** What a backup takes. */
  hold(): HeldFiles {
    return this.#log.hold()
  }

  /** Why transactions are out of service. */
  get fault(): string | undefined {
    return this.#store.fault
  }

  /** Bytes that transactional ids take on disk. */
  get sizeBytes(): number {
    return this.#log.sizeBytes
  }

  load(): Promise<void> {
    return this.#store.load()
  }

  // --- a producer's requests -----------------------------------------------------------------------------------

  /**
   * The identity with which the producer may begin. Rejects with KafkaError INVALID_TRANSACTION_TIMEOUT, PRODUCER_FENCED,
   * and CONCURRENT_TRANSACTIONS while what was open before is being ended.
   */
  async init(
    transactionalId: string,
    { timeoutMs, expected }: { timeoutMs: number; expected: ProducerIdentity | null },
  ): Promise<ProducerIdentity> {
    const { transactionMaxTimeoutMs } = this.#options.config
    if (timeoutMs <= 0 || timeoutMs > transactionMaxTimeoutMs)
      throw new KafkaError(
        'INVALID_TRANSACTION_TIMEOUT',
        `a transaction timeout of ${timeoutMs} ms: use 1 to ${transactionMaxTimeoutMs} (transaction.max.timeout.ms)`,
      )
    let freshProducerId: number | undefined
    for (;;) {
      this.#store.checkReady()
      const held = this.#store.producers.get(transactionalId)
      if (held) {
        const outcome = held.producer.init({ timeoutMs, expected, freshProducerId }, this.#now())
        if (outcome.kind === 'refused') throw refusal(outcome.errorCode, transactionalId)
        if (outcome.kind === 'ready') return this.#answer(held, outcome.isChanged)
        if (outcome.kind === 'aborting') {
          await this.#decide(held)
          throw refusal(ErrorCode.CONCURRENT_TRANSACTIONS, transactionalId)
        }
      } else if (this.#store.producers.size >= TRANSACTIONAL_IDS_MAX)
        throw new KafkaError('POLICY_VIOLATION', `there are ${TRANSACTIONAL_IDS_MAX} transactional ids already`)
      else if (freshProducerId !== undefined) {
        const producer = new TransactionalProducer(transactionalId, freshProducerId, timeoutMs, this.#now())
        return this.#answer(this.#store.add(producer), true)
      }
      freshProducerId = await this.#options.engine.nextProducerId()
    }
  }

  /** The identity as of now, when it is on disk. */
  async #answer(held: HeldProducer, isChanged: boolean): Promise<ProducerIdentity> {
    const { identity } = held.producer
    await (isChanged ? this.#store.persist(held) : this.#store.settled())
    return identity
  }

  /** To be waited for before `enlist` or `verify`, in whose turn the write itself must be made. */
  settled(transactionalId: string): Promise<void> | undefined {
    return this.#store.producers.get(transactionalId)?.settling
  }

  /**
   * Partitions and groups are in the producer's transaction from this turn on, which they begin if they must. Throws
   * KafkaError in this turn when they can't be; the promise is for their record to be on disk.
   */
  enlist(
    transactionalId: string,
    identity: ProducerIdentity,
    parts: { partitions?: readonly TopicPartition[]; groups?: readonly string[] },
  ): { durable: Promise<void> | undefined } {
    const held = this.#existing(transactionalId)
    const { errorCode, isChanged } = held.producer.add(identity, parts, this.#now())
    if (errorCode !== ErrorCode.NONE) throw refusal(errorCode, transactionalId)
    if (!isChanged) return { durable: undefined }
    this.#arm(held)
    const durable = this.#store.persist(held)
    // The write that goes with it may fail before anybody waits for this.
    durable.catch(() => {})
    return { durable }
  }

  /** The same as a request of its own: resolves when it is on disk. */
  async add(
    transactionalId: string,
    identity: ProducerIdentity,
    parts: { partitions?: readonly TopicPartition[]; groups?: readonly string[] },
  ): Promise<void> {
    await (this.enlist(transactionalId, identity, parts).durable ?? this.#store.settled())
  }

  /** Throws KafkaError unless the producer may write there in its transaction in this turn. */
  verify(
    transactionalId: string,
    identity: ProducerIdentity,
    member: { partition: TopicPartition } | { group: string },
  ): void {
    const errorCode = this.#existing(transactionalId).producer.verify(identity, member)
    if (errorCode !== ErrorCode.NONE) throw refusal(errorCode, transactionalId)
  }

  /**
   * Resolves to the identity with which the producer goes on. With `changesIdentity` (transaction version 2) it is
   * another one, so that nothing late of this transaction can touch the next.
   */
  async end(
    transactionalId: string,
    request: { identity: ProducerIdentity; outcome: TransactionOutcome; changesIdentity: boolean },
  ): Promise<ProducerIdentity> {
    let freshProducerId: number | undefined
    for (;;) {
      const held = this.#existing(transactionalId)
      const outcome = held.producer.end({ ...request, freshProducerId }, this.#now())
      if (outcome.kind === 'refused') throw refusal(outcome.errorCode, transactionalId)
      if (outcome.kind !== 'needs-producer-id') {
        const { identity } = held.producer
        await (outcome.kind === 'decided' ? this.#decide(held) : this.#store.settled())
        await this.#within(END_WAIT_MS, held.ending)
        return identity
      }
      freshProducerId = await this.#options.engine.nextProducerId()
    }
  }

  /** Whether a producer id is that of a transactional id, which writes in transactions only. */
  isTransactional(producerId: number): boolean {
    return this.#store.byProducerId(producerId) !== undefined
  }

  // --- administration ------------------------------------------------------------------------------------------

  /** Throws KafkaError while the coordinator is not ready. */
  producers(): Iterable<TransactionalProducer> {
    this.#store.checkReady()
    return [...this.#store.producers.values()].map(({ producer }) => producer)
  }

  /** Throws KafkaError while the coordinator is not ready. */
  producer(transactionalId: string): TransactionalProducer | undefined {
    this.#store.checkReady()
    return this.#store.producers.get(transactionalId)?.producer
  }

  /** Whether a transaction of this producer id is open or being ended here. Throws KafkaError while not ready. */
  isInCharge(producerId: number): boolean {
    this.#store.checkReady()
    return this.#store.byProducerId(producerId)?.producer.isAtRest === false
  }

  /** Idempotent. */
  close(): Promise<void> {
    this.#cleanUpTimer?.cancel()
    this.#closing ??= this.#store.close()
    return this.#closing
  }

  // --- effects -------------------------------------------------------------------------------------------------

  /** Resolves when the decision is on disk; what follows from it goes on behind that. */
  async #decide(held: HeldProducer): Promise<void> {
    this.#arm(held)
    const { epoch } = this.#store
    const decided = this.#store.persist(held)
    held.ending = decided.then(
      () => this.#follow(held, epoch),
      // All state is being read again, and whoever asked is told.
      () => {},
    )
    await decided
  }

  async #follow(held: HeldProducer, epoch: number): Promise<void> {
    const { engine: topics, groups, clock, logger } = this.#options
    const isCurrent = () => epoch === this.#store.epoch
    if (!(await followDecision(held.producer, { topics, groups, clock, logger }, isCurrent))) return
    held.producer.complete(this.#now())
    held.ending = undefined
    const settling = this.#store.persist(held).catch(() => {})
    held.settling = settling.then(() => {
      held.settling = undefined
    })
  }

  #arm(held: HeldProducer): void {
    const { clock, logger } = this.#options
    const { transactionalId, deadline } = held.producer
    held.timer?.cancel()
    held.timer = undefined
    if (deadline === undefined) return
    held.timer = clock.setTimer(Math.max(0, deadline - clock.monotonic()), () => {
      held.timer = undefined
      if (!held.producer.expire(this.#now())) return this.#arm(held)
      logger.info('transaction timed out', { transactionalId, timeoutMs: held.producer.timeoutMs })
      this.#decide(held).catch((error: unknown) => {
        logger.warn('timed out transaction not ended yet', { transactionalId, error: String(error) })
      })
    })
  }

  #onLoaded(): void {
    const { engine: topics, groups, logger } = this.#options
    const changed = adopt({ store: this.#store, topics, groups, logger }, this.#now())
    for (const held of changed) {
      this.#store.persist(held).catch((error: unknown) => logger.warn('adopted', { error: String(error) }))
    }
    const { epoch } = this.#store
    for (const held of this.#store.producers.values()) {
      this.#arm(held)
      if (held.producer.ending) held.ending = this.#follow(held, epoch)
    }
    this.#cleanUpLater()
  }

  #cleanUpLater(): void {
    const { clock, config, logger } = this.#options
    this.#cleanUpTimer?.cancel()
    this.#cleanUpTimer = clock.setTimer(config.transactionRemoveExpiredTransactionCleanupIntervalMs, () => {
      const expired = this.#expired()
      if (expired.length > 0)
        this.#store.forget(expired).catch((error: unknown) => {
          logger.warn('transactional ids not forgotten yet', { error: String(error) })
        })
      this.#cleanUpLater()
    })
  }

  #expired(): HeldProducer[] {
    const beforeMs = this.#time.now() - this.#options.config.transactionalIdExpirationMs
    return [...this.#store.producers.values()].filter(
      ({ producer, settling }) => producer.isAtRest && !settling && producer.changedAtMs < beforeMs,
    )
  }

  /** Resolves with `promise`, or when the time is up. */
  #within(waitMs: number, promise: Promise<void> | undefined): Promise<void> {
    if (!promise) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const timer = this.#options.clock.setTimer(waitMs, resolve)
      promise.then(resolve, reject).finally(() => timer.cancel())
    })
  }

  #existing(transactionalId: string): HeldProducer {
    this.#store.checkReady()
    const held = this.#store.producers.get(transactionalId)
    if (!held) throw refusal(ErrorCode.INVALID_PRODUCER_ID_MAPPING, transactionalId)
    return held
  }

  #now(): Instant {
    const { clock } = this.#options
    return { monotonicMs: clock.monotonic(), wallMs: clock.now() }
  }
}

const WHY: Readonly<Record<number, string>> = {
  [ErrorCode.INVALID_PRODUCER_ID_MAPPING]: 'has not this producer id',
  [ErrorCode.PRODUCER_FENCED]: 'has a newer producer epoch',
  [ErrorCode.CONCURRENT_TRANSACTIONS]: 'has a transaction that is being ended; ask again',
  [ErrorCode.INVALID_TXN_STATE]: 'has no transaction in which this may be done',
  [ErrorCode.POLICY_VIOLATION]: 'has too many partitions and groups in its transaction',
}

function refusal(errorCode: number, transactionalId: string): KafkaError {
  return new KafkaError(errorCode, `transactional id ${transactionalId} ${WHY[errorCode] ?? 'refuses'}`)
}
