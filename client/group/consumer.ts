/**
 * A member of a group as an application holds it. Joins when it is iterated, or when `each` or `batches` is called, and is
 * taken from in one way only. What it is made of is loaded then.
 */
import type { CodecRegistry } from '../../protocol/compression.ts'
import type { Clock } from '../../protocol/lib/clock.ts'
import type { Random } from '../../protocol/lib/random.ts'
import type { Lanes } from '../consumer/lanes.ts'
import { OttlaError } from '../errors.ts'
import type { Gap, TopicRecord } from '../record.ts'
import type { Serde } from '../serde.ts'
import type { MemberOffsets, RecordPosition } from '../transactions/offsets.ts'
import type { ConsumerEngine } from './consumer-engine.ts'
import type { ConsumerStatus } from './consumer-status.ts'
import type { LettersClient } from './dead-letters.ts'
import type {
  BatchHandler,
  EachOptions,
  GroupOptions,
  GroupReadOptions,
  Handler,
  ReadableTopic,
  TopicPattern,
} from './options.ts'
import type { Running, Taking } from './start-consumer.ts'
import type { TopicPartition } from './topic-partition.ts'

/** What a consumer needs of the client that it belongs to. */
export interface GroupClient extends LettersClient {
  clock: Clock
  random: Random
  codecs: CodecRegistry
  lanes(): Promise<Lanes>
  /** Closed before the client's connections are, unless the function that it gives back was called. */
  onClose(close: () => Promise<void>): () => void
}

export interface MatchingTopics extends TopicPattern {
  readonly key: Serde<unknown>
  readonly value: Serde<unknown>
}

export interface ConsumerSetup {
  groupId: string
  group: GroupOptions
  topics: ReadonlyArray<ReadableTopic<unknown, unknown>>
  /** Other topics too, and how their records are decoded. */
  matching?: MatchingTopics
  options: GroupReadOptions
  client: GroupClient
}

export interface Listeners {
  assigned: Set<(partitions: readonly TopicPartition[]) => unknown>
  revoked: Set<(partitions: readonly TopicPartition[], how: { isLost: boolean }) => unknown>
  gap: Set<(gap: Gap & TopicPartition) => void>
  status: Set<(status: ConsumerStatus) => void>
}

export class GroupConsumer<K, V> implements AsyncIterable<TopicRecord<K, V>> {
  readonly #setup: ConsumerSetup
  readonly #listeners: Listeners = { assigned: new Set(), revoked: new Set(), gap: new Set(), status: new Set() }
  #running: Promise<Running> | undefined
  #engine: ConsumerEngine | undefined

  constructor(setup: ConsumerSetup) {
    this.#setup = setup
  }

  /** Undefined before it has begun. */
  get status(): ConsumerStatus | undefined {
    return this.#engine?.status
  }

  /** A record counts as done when the next one is asked for; a loop that is left gives its last record back. */
  async *[Symbol.asyncIterator](): AsyncGenerator<TopicRecord<K, V>, void, undefined> {
    for await (const [record] of this.#taken(false)) yield record!
  }

  /** Records of one partition that came together, up to 64. */
  batches(): AsyncGenerator<TopicRecord<K, V>[], void, undefined> {
    return this.#taken(true)
  }

  /**
   * Calls the handler for each record; it is done when the handler's promise resolves. Records of one partition are
   * handled in order, those of several as many at a time as `concurrency` says. Resolves when the consumer is closed,
   * rejects with what ended it.
   */
  each(handler: Handler<K, V>, options?: EachOptions & { batch?: false }): Promise<void>
  /** With records of one partition that came together. When the handler fails it gets them again one by one. */
  each(handler: BatchHandler<K, V>, options: EachOptions & { batch: true }): Promise<void>
  async each(handler: unknown, options: EachOptions & { batch?: boolean } = {}): Promise<void> {
    const by = options.batch ? 'batch-handler' : 'handler'
    const { engine } = await this.#start({ by, handler, options } as Taking)
    await engine.ended
  }

  /**
   * What is done, the record in a loop's hands included, is committed and on the relay's disk; with a record: it and all
   * before it in its partition. Rejects NOT_ASSIGNED when a partition is another member's by now.
   */
  async commit(record?: TopicPartition & { offset: number }): Promise<void> {
    const running = await this.#running
    await (record ? running?.engine.commitRecord(record) : running?.engine.commit())
  }

  /** For `sendOffsets` of a transactional producer, which commits what was read together with what it made of it. */
  offsetsBehind(records: readonly RecordPosition[]): MemberOffsets | undefined {
    if (!this.#engine) throw new OttlaError('INVALID_ARGUMENT', { message: 'nothing was read by this consumer' })
    return this.#engine.offsetsBehind(records)
  }

  /** Gives nothing more of these partitions (default: all that it has) until they are resumed, or moved. */
  pause(partitions?: readonly TopicPartition[]): void {
    this.#engine?.pause(partitions)
  }

  /** Also what a failed record has stopped: it is tried again. */
  resume(partitions?: readonly TopicPartition[]): void {
    this.#engine?.resume(partitions)
  }

  /** Goes on at `offset`, which is committed as the others are. Rejects NOT_ASSIGNED. */
  async seek(at: TopicPartition, offset: number): Promise<void> {
    const running = await this.#running
    await running?.engine.seek(at, offset)
  }

  /** These partitions are this member's now; reading begins when all listeners have resolved. */
  onAssigned(listener: (partitions: readonly TopicPartition[]) => unknown): () => void {
    return listen(this.#listeners.assigned, listener)
  }

  /**
   * These are about to be given up: they are, with a last commit, when all listeners have resolved. With `isLost` it has
   * happened already, and others may be at work on them.
   */
  onRevoked(listener: (partitions: readonly TopicPartition[], how: { isLost: boolean }) => unknown): () => void {
    return listen(this.#listeners.revoked, listener)
  }

  onGap(listener: (gap: Gap & TopicPartition) => void): () => void {
    return listen(this.#listeners.gap, listener)
  }

  onStatus(listener: (status: ConsumerStatus) => void): () => void {
    return listen(this.#listeners.status, listener)
  }

  /** Finishes what handlers are at, commits, and leaves the group. Idempotent. Not to be awaited inside a handler. */
  async close(): Promise<void> {
    const running = await this.#running?.catch(() => undefined)
    await running?.engine.close()
  }

  async *#taken(inBatches: boolean): AsyncGenerator<TopicRecord<K, V>[], void, undefined> {
    const running = await this.#start({ by: 'loop', inBatches })
    yield* running.taken() as AsyncGenerator<TopicRecord<K, V>[], void, undefined>
  }

  async #start(taking: Taking): Promise<Running> {
    if (this.#running) throw new OttlaError('INVALID_ARGUMENT', { message: 'already read from' })
    this.#running = import('./on-demand.ts').then((parts) => parts.startConsumer(this.#setup, taking, this.#listeners))
    const running = await this.#running
    this.#engine = running.engine
    return running
  }
}

function listen<T>(listeners: Set<T>, listener: T): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}
