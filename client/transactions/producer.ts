/**
 * A producer with a transactional id, in Kafka's model: whoever initialises the id last has it, and everybody before is
 * fenced.
 *
 *   new --init--> ready --begin--> open --commit--> ready
 *                   ^               |  \--abort---> ready
 *                  init             | something failed
 *                   |               v
 *                 lost <---------- failed --abort--> ready
 *
 * Invariants: one transaction at a time; a commit that was answered has happened, one that was refused has not; a commit
 * whose answer was lost is asked for again under the same identity, which changes nothing when it has happened; an id that
 * was lost (to another producer, or to the coordinator's patience) is taken back only when the application says so.
 */
import { type Clock, sleep, type Timer } from '../../protocol/lib/clock.ts'
import type { Random } from '../../protocol/lib/random.ts'
import { Backoff } from '../backoff.ts'
import { asOttlaError, OttlaError } from '../errors.ts'
import { isTransient } from '../kafka-failure.ts'
import { needsRelay } from '../needs-relay.ts'
import { encodeMessage, type WritableTopic } from '../producer/encode-message.ts'
import type { OutgoingMessage } from '../record.ts'
import type { Session } from '../session.ts'
import { untilLive } from '../when-live.ts'
import {
  commitOffsetsInTransaction,
  endTransaction,
  type ProducerStamp,
  TransactionRefusal,
  takeTransactionalId,
} from './calls.ts'
import { transactionError } from './errors.ts'
import { byName } from './gathering.ts'
import { type OffsetSource, offsetsToCommit, type RecordPosition } from './offsets.ts'
import { failureOf, fencedError, timedOut, unknownOutcome } from './outcomes.ts'
import { CONCURRENT_TRANSACTIONS, isFenced, PRODUCER_FENCED } from './reactions.ts'
import { isUnanswered, type Place, RecordWriter } from './record-writer.ts'

export interface ProducerOptions {
  /** Names the producer over its lives: the next process under this name fences the one before, and ends what it left open. */
  transactionalId: string
  /** A transaction that is open for longer is aborted. Default 60 s; the relay's most is `transaction.max.timeout.ms`. */
  timeoutMs?: number
  /** Bytes sent and not written yet. Default 32 MiB. */
  bufferBytesMax?: number
}

export interface ProducerParts {
  session: Session
  clock: Clock
  random: Random
}

export interface RunOptions {
  /** How often the callback is called when the transaction was aborted for a reason that may pass. Default 1. */
  attempts?: number
}

/** What the callback of `producer.transaction` gets. */
export type ProducerTransaction = Pick<TransactionalProducer, 'send' | 'sendOffsets' | 'flush'>

type State = 'new' | 'ready' | 'open' | 'failed' | 'ending' | 'lost'

interface OpenTransaction {
  writer: RecordWriter
  over: AbortController
  timer: Timer
  /** Told when it has committed. */
  committed: Array<() => void>
  hasOffsets: boolean
  failure: unknown
}

const TIMEOUT_MS = 60_000
const BUFFER_BYTES_MAX = 32 * 1024 * 1024
const RETRY = { delayMsFirst: 20, delayMsMax: 1_000 }

export class TransactionalProducer {
  readonly transactionalId: string
  readonly #session: Session
  readonly #clock: Clock
  readonly #random: Random
  readonly #timeoutMs: number
  readonly #bufferBytesMax: number
  readonly #closed = new AbortController()
  #state: State = 'new'
  #stamp: ProducerStamp | undefined
  #open: OpenTransaction | undefined

  constructor(options: ProducerOptions, { session, clock, random }: ProducerParts) {
    const { transactionalId, timeoutMs = TIMEOUT_MS, bufferBytesMax = BUFFER_BYTES_MAX } = options
    if (!transactionalId) throw new OttlaError('INVALID_ARGUMENT', { message: 'a transactionalId must have a name' })
    if (!(timeoutMs > 0)) throw new OttlaError('INVALID_ARGUMENT', { message: `timeoutMs ${timeoutMs} cannot be` })
    this.transactionalId = transactionalId
    this.#timeoutMs = timeoutMs
    this.#bufferBytesMax = bufferBytesMax
    this.#session = session
    this.#clock = clock
    this.#random = random
  }

  /**
   * Takes the transactional id: whoever had it is fenced, and its open transaction aborted. Waits for the connection.
   * Rejects NOT_AUTHORIZED, INVALID_ARGUMENT (a timeout that the relay does not allow), CLOSED.
   */
  async init(): Promise<void> {
    this.#checkState('init', 'new', 'ready', 'lost')
    if (this.#session.isKafka) throw needsRelay('a transactional producer')
    this.#stamp = await this.#again(
      () => takeTransactionalId(this.#session, this.transactionalId, this.#timeoutMs),
      this.#closed.signal,
    ).catch((thrown: unknown) => {
      throw failureOf(thrown, this.transactionalId)
    })
    this.#state = 'ready'
  }

  /** Takes the id first where that was not done. Rejects INVALID_STATE while a transaction is open. */
  async begin(): Promise<void> {
    if (this.#state === 'new') await this.init()
    this.#checkState('begin', 'ready')
    const over = new AbortController()
    this.#closed.signal.addEventListener('abort', () => over.abort(), { signal: over.signal })
    const timer = this.#clock.setTimer(this.#timeoutMs, () => over.abort(timedOut(this.#timeoutMs)))
    const { transactionalId } = this
    const parts = { session: this.#session, clock: this.#clock, random: this.#random, transactionalId }
    const stamp = this.#stamp!
    const writer = new RecordWriter({ ...parts, stamp, over: over.signal, bufferBytesMax: this.#bufferBytesMax })
    this.#open = { writer, over, timer, committed: [], hasOffsets: false, failure: undefined }
    this.#state = 'open'
  }

  /**
   * Sends a record in the open transaction; resolves with its place when the relay has it. It may go unawaited: `commit`
   * waits for all, and rejects when one has failed. Throws INVALID_STATE, INVALID_VALUE, BUFFER_FULL.
   */
  send(topic: string, message: OutgoingMessage<string, string | Uint8Array>): Promise<Place>
  send<K, V>(topic: WritableTopic<K, V>, message: OutgoingMessage<K, V>): Promise<Place>
  send<K, V>(topic: WritableTopic<K, V> | string, message: OutgoingMessage<K, V>): Promise<Place> {
    const open = this.#opened('send')
    const target = (typeof topic === 'string' ? byName(topic) : topic) as WritableTopic<K, V>
    const adding = open.writer.add(target.name, encodeMessage(target, message, this.#clock))
    const placed = adding.catch((thrown: unknown) => this.#fail(open, thrown))
    placed.catch(() => {})
    return placed
  }

  /** Resolves when all that was sent is written, though not committed. */
  async flush(): Promise<void> {
    const open = this.#opened('flush')
    await open.writer.flush().catch((thrown: unknown) => this.#fail(open, thrown))
  }

  /**
   * Commits offsets with the transaction: behind the `records` that a consumer in a group has given (its `commit` must be
   * 'manual'), or of a group by its name. Of a consumer whose partitions others have by now it rejects NOT_ASSIGNED: the
   * transaction must be aborted, and they begin at the last commit.
   */
  async sendOffsets(source: OffsetSource, records: readonly RecordPosition[]): Promise<void> {
    const open = this.#opened('sendOffsets')
    if (records.length === 0) return
    open.hasOffsets = true
    try {
      const hasMember = typeof source !== 'string'
      const commit = async () => {
        const { claim, offsets, noteCommitted } = await offsetsToCommit(source, records, this.#clock, open.over.signal)
        await commitOffsetsInTransaction(this.#session, this.transactionalId, this.#stamp!, claim, offsets)
        return noteCommitted
      }
      // A member that was refused may be one again in the next generation, with these partitions.
      const mayPass = (kafkaCode: number) => hasMember && STALE_MEMBER.has(kafkaCode)
      open.committed.push(await this.#again(commit, open.over.signal, { mayPass }))
    } catch (thrown) {
      this.#fail(open, thrown)
    }
  }

  /**
   * All of the transaction, or an error that says what became of it: TRANSACTION_ABORTED and all others but one mean that
   * nothing of it counts (call `abort`), OUTCOME_UNKNOWN that the answer was lost for good.
   */
  async commit(): Promise<void> {
    const open = this.#opened('commit')
    await open.writer.flush().catch((thrown: unknown) => this.#fail(open, thrown))
    this.#state = 'ending'
    if (open.writer.hasBegun || open.hasOffsets) await this.#end(open, true)
    this.#finish(open, 'ready')
    for (const tell of open.committed) tell()
  }

  /** Nothing of the open transaction counts. Resolves also when the coordinator has aborted it before. */
  async abort(): Promise<void> {
    this.#checkState('abort', 'open', 'failed')
    const open = this.#open!
    this.#state = 'ending'
    open.writer.fail(transactionError('TRANSACTION_ABORTED', { message: 'the transaction was aborted' }))
    await open.writer.flush().catch(() => {})
    if (open.writer.hasBegun || open.hasOffsets) await this.#end(open, false)
    this.#finish(open, this.#stamp ? 'ready' : 'lost')
  }

  /**
   * Begins, calls, commits; aborts when the callback throws, and throws the same. With `attempts` the callback is called
   * again when nothing but the moment was wrong.
   */
  async transaction<T>(
    fill: (transaction: ProducerTransaction) => T | Promise<T>,
    { attempts = 1 }: RunOptions = {},
  ): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#once(fill)
      } catch (thrown) {
        const mayPass = thrown instanceof OttlaError && thrown.retriable && this.#state === 'ready'
        if (!mayPass || attempt >= attempts) throw thrown
      }
    }
  }

  /** Aborts what is open, as far as the relay can be reached. Idempotent. */
  async close(): Promise<void> {
    if (this.#closed.signal.aborted) return
    if ((this.#state === 'open' || this.#state === 'failed') && this.#session.state.phase === 'live') {
      await this.abort().catch(() => {})
    }
    this.#closed.abort(new OttlaError('CLOSED', { message: `producer ${this.transactionalId} was closed` }))
    this.#state = 'new'
  }

  async #once<T>(fill: (transaction: ProducerTransaction) => T | Promise<T>): Promise<T> {
    await this.begin()
    const open = this.#open
    try {
      const result = await fill(this)
      await this.commit()
      return result
    } catch (thrown) {
      const isOurs = this.#open === open && (this.#state === 'open' || this.#state === 'failed')
      if (isOurs) await this.abort().catch(() => {})
      throw thrown
    }
  }

  /** The end is asked for until it is answered. */
  async #end(open: OpenTransaction, committed: boolean): Promise<void> {
    let isOpen = false
    // What is decided, is decided by the coordinator within the timeout; a while longer for hearing of it.
    const patience = new AbortController()
    const stop = () => patience.abort()
    this.#closed.signal.addEventListener('abort', stop)
    const timer = this.#clock.setTimer(this.#timeoutMs, stop)
    try {
      this.#stamp = await this.#again(
        async () => endTransaction(this.#session, this.transactionalId, this.#stamp!, committed),
        patience.signal,
        {
          unheard: () => {
            isOpen = true
          },
        },
      )
    } catch (thrown) {
      this.#stamp = undefined
      if (!committed) return
      const failure = this.#commitFailure(thrown, open, isOpen)
      this.#finish(open, 'lost')
      throw failure
    } finally {
      timer.cancel()
      this.#closed.signal.removeEventListener('abort', stop)
    }
  }

  #commitFailure(thrown: unknown, { over }: OpenTransaction, isOpen: boolean): unknown {
    if (!(thrown instanceof TransactionRefusal)) {
      return unknownOutcome(this.transactionalId, asOttlaError(thrown, 'PROTOCOL').message)
    }
    const { kafkaCode, message } = thrown
    if (isOpen) {
      const why = `an earlier request was not answered, a later one was refused: ${message}`
      return unknownOutcome(this.transactionalId, why)
    }
    if (isFenced(kafkaCode) && over.signal.aborted) return timedOut(this.#timeoutMs, kafkaCode)
    return failureOf(thrown, this.transactionalId)
  }

  /** Asks again when nothing was answered (`unheard` is told), or only time is needed (by `mayPass` too). */
  async #again<T>(ask: () => Promise<T>, over: AbortSignal, { unheard, mayPass }: AskingAgain = {}): Promise<T> {
    const backoff = new Backoff(this.#clock, this.#random, RETRY)
    for (;;) {
      await untilLive(this.#session, over)
      try {
        return await ask()
      } catch (failure) {
        const code = failure instanceof TransactionRefusal ? failure.kafkaCode : 0
        const needsTime = code === CONCURRENT_TRANSACTIONS || code === NOT_COORDINATOR || isTransient(code)
        if (isUnanswered(failure)) unheard?.()
        else if (!needsTime && !mayPass?.(code)) throw failure
        await sleep(this.#clock, backoff.nextDelayMs(), over).catch(() => {})
      }
    }
  }

  /** The transaction can only be aborted now. Throws what the application is told. */
  #fail(open: OpenTransaction, thrown: unknown): never {
    const code = thrown instanceof TransactionRefusal ? thrown.kafkaCode : 0
    const isLate = open.over.signal.aborted && !this.#closed.signal.aborted
    open.failure ??= isLate ? timedOut(this.#timeoutMs) : failureOf(thrown, this.transactionalId)
    open.writer.fail(open.failure)
    if (this.#open === open && this.#state === 'open') this.#state = 'failed'
    // Not ours any more: to abort it would be refused, and whoever has the id has done so.
    if (isFenced(code)) this.#finish(open, 'lost')
    throw open.failure
  }

  #finish(open: OpenTransaction, state: State): void {
    open.timer.cancel()
    open.over.abort()
    if (this.#open !== open) return
    this.#open = undefined
    this.#state = state
    if (state === 'lost') this.#stamp = undefined
  }

  #opened(what: string): OpenTransaction {
    if (this.#state === 'failed' && this.#open) throw this.#open.failure
    this.#checkState(what, 'open')
    return this.#open!
  }

  #checkState(what: string, ...allowed: State[]): void {
    this.#closed.signal.throwIfAborted()
    if (allowed.includes(this.#state)) return
    if (this.#state === 'lost') throw fencedError(this.transactionalId, PRODUCER_FENCED)
    throw transactionError('INVALID_STATE', {
      message: `${what} of producer ${this.transactionalId}: it is '${this.#state}', and must be ${allowed.map((each) => `'${each}'`).join(' or ')}`,
    })
  }
}

interface AskingAgain {
  unheard?(): void
  mayPass?(kafkaCode: number): boolean
}

const NOT_COORDINATOR = 16
/** Illegal generation, unknown member, rebalance in progress, stale member epoch. */
const STALE_MEMBER: ReadonlySet<number> = new Set([22, 25, 27, 113])
