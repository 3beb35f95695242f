/**
 * A consumer at work: membership above, partitions below, the application's handler between.
 *
 * Invariants: a partition's records are handled in order, of several partitions as many at a time as asked for; when one
 * part fails for good all end, and the application learns the first reason; closing finishes what is under way, commits
 * it and leaves the group.
 */
import type { CodecRegistry } from '../../protocol/compression.ts'
import type { Clock } from '../../protocol/lib/clock.ts'
import type { Random } from '../../protocol/lib/random.ts'
import type { RawRecord } from '../../protocol/records.ts'
import { abortError } from '../abort-error.ts'
import type { Lanes } from '../consumer/lanes.ts'
import { recordTyper } from '../consumer/record-typer.ts'
import { OttlaError } from '../errors.ts'
import type { TopicRecord } from '../record.ts'
import type { Topic } from '../topic.ts'
import { type MemberOffsets, offsetsAfter, type RecordPosition } from '../transactions/offsets.ts'
import { whenLive } from '../when-live.ts'
import type { AssignedPartition } from './assigned-partition.ts'
import { Assignment } from './assignment.ts'
import { commitOffsets } from './committed-offsets.ts'
import { Committer } from './committer.ts'
import type { MatchingTopics } from './consumer.ts'
import { type ConsumerStatus, partitionStatus } from './consumer-status.ts'
import { groupError, handlerError } from './errors.ts'
import type { ConsumerEvents } from './events.ts'
import { FailureDesk } from './failure-desk.ts'
import { joinGroup, REBALANCE_TIMEOUT_MS } from './join-group.ts'
import type { Membership } from './membership.ts'
import type { GroupOptions, GroupReadOptions, HandlerContext, ReadableTopic } from './options.ts'
import { workThrough } from './partition-worker.ts'
import { RetryPolicy } from './retry-policy.ts'
import { Slots } from './slots.ts'
import type { TopicPartition } from './topic-partition.ts'

export interface EngineParts {
  groupId: string
  group: GroupOptions
  topics: ReadonlyArray<ReadableTopic<unknown, unknown>>
  matching: MatchingTopics | undefined
  options: GroupReadOptions
  lanes: Lanes
  clock: Clock
  random: Random
  codecs: CodecRegistry
  events: ConsumerEvents
  /** For dead letters. */
  topic(name: string): Topic<Uint8Array, Uint8Array>
}

/** How the application takes records. */
export interface Work {
  /** `halted` aborts when nothing more is wanted of this partition. */
  handle(records: TopicRecord<unknown, unknown>[], context: HandlerContext, halted: AbortSignal): unknown
  batchMax: number
  concurrency: number
  /** Nothing more will be taken. */
  end(): void
}

type Typer = (partition: number, records: RawRecord[]) => TopicRecord<unknown, unknown>[]

/** A relay that cannot be reached gets no last commit; others take up the records again. */
const LAST_COMMIT_MS_MAX = 5_000

export class ConsumerEngine {
  /** Resolves when it was closed, rejects with the reason when it ended by itself. */
  readonly ended: Promise<void>
  readonly #parts: EngineParts
  readonly #work: Work
  readonly #membership: Membership
  readonly #committer: Committer
  readonly #desk: FailureDesk
  readonly #assignment: Assignment
  readonly #slots: Slots
  readonly #policy: RetryPolicy
  readonly #typers: Map<string, Typer>
  readonly #closed = new AbortController()
  #failure: OttlaError | undefined
  #closing: Promise<void> | undefined
  #settle!: { resolve(): void; reject(error: unknown): void }

  constructor(parts: EngineParts, work: Work) {
    const { topics, options, random, events } = parts
    this.#parts = parts
    this.#work = work
    this.ended = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject }
    })
    this.ended.catch(() => {})
    this.#slots = new Slots(work.concurrency)
    this.#policy = new RetryPolicy(options.retry, random)
    this.#typers = new Map(
      topics.map(({ name, key, value }) => [name, recordTyper({ topic: name, key, value }, undefined)]),
    )
    this.#membership = this.#newMembership()
    this.#committer = this.#newCommitter()
    const { groupId, lanes, clock } = parts
    const { deadLetterTopic = (topic: string) => `${topic}.${groupId}.dlq` } = options
    this.#desk = new FailureDesk({
      ...{ groupId, clock, session: lanes.main, membership: this.#membership },
      deadLetterTopic: (topic) =>
        parts.topic(typeof deadLetterTopic === 'string' ? deadLetterTopic : deadLetterTopic(topic)),
    })
    this.#assignment = new Assignment({
      ...parts,
      events,
      committer: this.#committer,
      membership: this.#membership,
      work: (partition) => void this.#workOn(partition),
      fail: (error) => this.#fail(error),
    })
  }

  start(): void {
    const { options, groupId, lanes, topics } = this.#parts
    const { signal } = options
    const onAbort = () => void this.#end(abortError(`reading in group ${groupId}`, signal!))
    if (signal?.aborted) return onAbort()
    signal?.addEventListener('abort', onAbort, { once: true })
    this.#closed.signal.addEventListener('abort', () => signal?.removeEventListener('abort', onAbort))
    this.#membership.start()
    // A topic that is not there is a mistake when reading begins. One that goes later may come again.
    const lookUp = () => Promise.all(topics.map(({ name }) => this.#expect(name)))
    whenLive(lanes.main, this.#closed.signal, lookUp).catch((error: unknown) => this.#fail(error))
  }

  async #expect(topic: string): Promise<void> {
    const { metadata } = this.#parts.lanes.main
    // As it is now, not as it was when this client last looked.
    metadata.forget(topic)
    this.#assignment.expect(await metadata.lookUp(topic))
  }

  get status(): ConsumerStatus {
    const { state, memberId, claim, isLeader } = this.#membership
    return {
      group: this.#parts.groupId,
      state: this.#closing ? 'closed' : state === 'member' ? 'reading' : 'joining',
      ...{ memberId, isLeader, generation: claim?.generation ?? -1 },
      partitions: this.#assignment.partitions.map(partitionStatus),
      error: this.#failure?.toInfo() ?? null,
    }
  }

  /** What is done is on the relay's disk when it resolves. */
  commit(): Promise<void> {
    const { partitions } = this.#assignment
    return this.#commit(partitions.map((partition) => ({ partition, to: partition.processedTo })))
  }

  /** Counts the record, and all before it in its partition, as done. */
  async commitRecord({ topic, partition: number, offset }: TopicPartition & { offset: number }): Promise<void> {
    const partition = this.#ours({ topic, partition: number })
    if (offset < partition.handedTo) return this.#commit([{ partition, to: offset + 1 }])
    throw new OttlaError('INVALID_ARGUMENT', {
      message: `offset ${offset} of ${topic}-${number} was not handed out; reading has come to ${partition.handedTo}`,
    })
  }

  /**
   * What a transaction commits that handled these records; undefined while this member waits for its group. Throws
   * NOT_ASSIGNED, and INVALID_ARGUMENT where the consumer commits by itself.
   */
  offsetsBehind(records: readonly RecordPosition[]): MemberOffsets | undefined {
    const { options, groupId } = this.#parts
    if (options.commit !== 'manual') {
      const message = `this consumer of group ${groupId} commits by itself, and cannot commit with a transaction too`
      throw new OttlaError('INVALID_ARGUMENT', { message, hint: "read with commit: 'manual'" })
    }
    const behind = offsetsAfter(records).map((each) => ({ ...each, held: this.#ours(each) }))
    for (const { held, topic, partition, offset } of behind) {
      if (offset <= held.handedTo) continue
      const message = `offset ${offset - 1} of ${topic}-${partition} was not handed out; reading has come to ${held.handedTo}`
      throw new OttlaError('INVALID_ARGUMENT', { message })
    }
    const { claim, state } = this.#membership
    if (!claim || state !== 'member') return undefined
    return {
      claim: { groupId, ...claim },
      offsets: behind.map(({ held, topic, partition, offset }) => ({
        ...{ topic, partition, offset, leaderEpoch: held.epochBefore(offset), metadata: this.#metadata(held) },
      })),
      noteCommitted: () => {
        for (const { held, offset } of behind) {
          held.commitTo = Math.max(held.commitTo, offset)
          if (held.commitTo === offset) held.committed(offset)
        }
      },
    }
  }

  async #commit(commits: ReadonlyArray<{ partition: AssignedPartition; to: number }>): Promise<void> {
    for (const { partition, to } of commits) partition.commitTo = Math.max(partition.commitTo, to)
    await this.#committer.flush(commits.map(({ partition }) => partition))
    for (const { partition, to } of commits) if (partition.committedTo < to) throw notOurs(partition)
  }

  pause(list?: readonly TopicPartition[]): void {
    for (const partition of this.#assignment.chosen(list)) partition.pause()
    this.#parts.events.changed()
  }

  resume(list?: readonly TopicPartition[]): void {
    for (const partition of this.#assignment.chosen(list)) partition.resume()
    this.#parts.events.changed()
  }

  /** What is passed over on the way is told first: it will be committed past, and nobody handled it. */
  async seek(at: TopicPartition, offset: number): Promise<void> {
    const partition = this.#ours(at)
    const { processedTo } = partition
    if (offset > processedTo) await this.#desk.missed(partition, processedTo, offset, 'a member sought past it')
    partition.moveTo(offset)
    this.#committer.touch()
    this.#parts.events.changed()
  }

  /** The page is going: what is done is committed and the group left, without waiting for anything. */
  stepOut(): void {
    const { groupId } = this.#parts
    const dirty = this.#assignment.partitions.filter(({ commitTo, committedTo }) => commitTo > committedTo)
    this.#membership.stepOut((session, claim) => {
      const offsets = dirty.map((partition) => this.#committer.offsetOf(partition))
      if (offsets.length > 0) void commitOffsets(session, groupId, claim, offsets).catch(() => {})
    })
  }

  /** Idempotent. */
  close(): Promise<void> {
    return this.#end(undefined)
  }

  #newMembership(): Membership {
    const { group, groupId, clock, random, lanes, topics, matching, events } = this.#parts
    return joinGroup({
      ...{ groupId, group, clock, random, lanes, pattern: matching?.pattern ?? null },
      topics: topics.map(({ name }) => name),
      events: {
        assign: (partitions) => void this.#assignment.add(partitions).catch((error: unknown) => this.#fail(error)),
        revoke: (partitions) => this.#assignment.revoke(partitions),
        lose: (partitions) => this.#assignment.lose(partitions),
        failed: (error) => this.#fail(error),
        changed: () => {
          this.#committer.touch()
          events.changed()
        },
      },
    })
  }

  #newCommitter(): Committer {
    const { lanes, groupId, clock, random, options } = this.#parts
    const { commitEveryMs = 200 } = options
    return new Committer({
      ...{ session: lanes.main, groupId, clock, random, everyMs: commitEveryMs, membership: this.#membership },
      partitions: () => this.#assignment.partitions,
      metadata: (partition) => this.#metadata(partition),
      onFailed: (error) => this.#fail(error),
    })
  }

  #workOn(partition: AssignedPartition): Promise<void> {
    const { clock, events } = this.#parts
    const { batchMax, handle } = this.#work
    return workThrough(partition, {
      ...{ clock, batchMax, slots: this.#slots, policy: this.#policy },
      holdsLease: () => this.#membership.holdsLease(),
      handle: ({ topic, partition: number, halted }, records, context) =>
        handle(this.#typerOf(topic)(number, [...records]), context, halted),
      giveUp: (...record) => this.#desk.giveUp(...record),
      missed: (...range) => this.#desk.missed(...range),
      fail: (error) => this.#fail(error),
      changed: () => events.changed(),
    })
  }

  #typerOf(topic: string): Typer {
    const known = this.#typers.get(topic)
    if (known) return known
    const { key, value } = this.#parts.matching!
    const typer = recordTyper({ topic, key, value }, undefined)
    this.#typers.set(topic, typer)
    return typer
  }

  #metadata({ topic, partition }: AssignedPartition): string {
    const { metadata = '' } = this.#parts.options
    return typeof metadata === 'string' ? metadata : metadata({ topic, partition })
  }

  #ours(at: TopicPartition): AssignedPartition {
    const partition = this.#assignment.get(at)
    if (partition?.isOpen) return partition
    throw notOurs(at)
  }

  #fail(thrown: unknown): void {
    void this.#end(handlerError(thrown), thrown)
  }

  #end(failure: OttlaError | undefined, thrown: unknown = failure): Promise<void> {
    this.#failure ??= failure
    this.#closing ??= this.#close(thrown)
    return this.#closing
  }

  async #close(reason: unknown): Promise<void> {
    const { lanes, group, events } = this.#parts
    this.#work.end()
    const commitMs = lanes.main.state.phase === 'live' ? LAST_COMMIT_MS_MAX : 0
    await this.#assignment.end(group.rebalanceTimeoutMs ?? REBALANCE_TIMEOUT_MS, commitMs)
    await this.#membership.leave()
    this.#committer.stop()
    this.#assignment.dropAll()
    this.#closed.abort()
    if (reason === undefined) this.#settle.resolve()
    else this.#settle.reject(reason)
    events.changed()
  }
}

function notOurs({ topic, partition }: TopicPartition): OttlaError {
  return groupError('NOT_ASSIGNED', { message: `${topic}-${partition} is not this member's` })
}
