/**
 * The partitions that are this member's now, from being assigned to being given up.
 *
 *     assigned ──onAssigned──> positions looked up ──(committed, where nothing was)──> one worker for each partition
 *     revoked  ──workers stop after what is under way──onRevoked──> last commit ──> given up
 *
 * Invariants: nothing of a partition is handed out before its position is known and committed; a revoked partition is
 * given up only after its last commit; a lost one at once, without any.
 */
import type { CodecRegistry } from '../../protocol/compression.ts'
import { type Clock, sleep } from '../../protocol/lib/clock.ts'
import type { Random } from '../../protocol/lib/random.ts'
import { Backoff } from '../backoff.ts'
import type { Lanes } from '../consumer/lanes.ts'
import type { Isolation } from '../consumer/source.ts'
import type { TopicInfo } from '../core.ts'
import { asOttlaError, OttlaError } from '../errors.ts'
import { untilLive } from '../when-live.ts'
import { AssignedPartition } from './assigned-partition.ts'
import type { Committer } from './committer.ts'
import type { ConsumerEvents } from './events.ts'
import { FirstSight } from './first-sight.ts'
import { GroupRefusal } from './group-refusal.ts'
import type { Membership } from './membership.ts'
import type { GroupReadOptions } from './options.ts'
import { type StartOffset, startOffsets } from './start-offsets.ts'
import { groupByTopic, keyOf, type TopicPartition } from './topic-partition.ts'
import { within } from './within.ts'

export interface AssignmentOptions {
  groupId: string
  options: GroupReadOptions
  lanes: Lanes
  clock: Clock
  random: Random
  codecs: CodecRegistry
  committer: Committer
  membership: Pick<Membership, 'claim' | 'refused'>
  events: ConsumerEvents
  /** Works through the partition until it is halted. */
  work(partition: AssignedPartition): void
  fail(error: unknown): void
}

const RETRY = { delayMsFirst: 100, delayMsMax: 5_000 }

export class Assignment {
  readonly #options: AssignmentOptions
  readonly #partitions = new Map<string, AssignedPartition>()
  readonly #over = new AbortController()
  readonly #firstSight = new FirstSight()

  constructor(options: AssignmentOptions) {
    this.#options = options
  }

  get partitions(): AssignedPartition[] {
    return [...this.#partitions.values()]
  }

  get(at: TopicPartition): AssignedPartition | undefined {
    return this.#partitions.get(keyOf(at))
  }

  /** Those of `list` that are this member's; all without a list. */
  chosen(list: readonly TopicPartition[] | undefined): AssignedPartition[] {
    return list ? list.flatMap((at) => this.get(at) ?? []) : this.partitions
  }

  /** This topic is about to be read: what is added to it from now on is new. */
  expect(topic: TopicInfo): void {
    this.#firstSight.note(topic)
  }

  async add(list: ReadonlyArray<TopicPartition & { topicId?: string }>): Promise<void> {
    const { events, work } = this.#options
    if (this.#over.signal.aborted) return
    const added = list.map((at) => new AssignedPartition(at, (partition) => this.#progressed(partition)))
    for (const partition of added) this.#partitions.set(keyOf(partition), partition)
    events.changed()
    if (added.length === 0) return
    await events.assigned(list.map(({ topic, partition }) => ({ topic, partition })))
    await this.#openAll(added)
    for (const partition of added) work(partition)
  }

  async revoke(list: readonly TopicPartition[]): Promise<void> {
    const partitions = this.chosen(list)
    await this.#finish(partitions)
    await this.#options.committer.flush(partitions)
    this.#drop(partitions)
  }

  lose(list: readonly TopicPartition[]): void {
    const partitions = this.chosen(list)
    this.#drop(partitions)
    void this.#tellRevoked(partitions, true)
  }

  /** Gives everything up. What is under way may take `workMs` to finish, the last commit `commitMs`. */
  async end(workMs: number, commitMs: number): Promise<void> {
    const { clock, committer } = this.#options
    this.#over.abort()
    const { partitions } = this
    await within(clock, workMs, this.#finish(partitions))
    await within(clock, commitMs, committer.flush(partitions))
  }

  dropAll(): void {
    this.#drop(this.partitions)
  }

  // --- the inside ------------------------------------------------------------------------------------------------

  /** One topic that has gone meanwhile holds up none of the others. */
  async #openAll(partitions: readonly AssignedPartition[]): Promise<void> {
    try {
      await this.#open(partitions)
    } catch (error) {
      if (!isMissing(error) || !partitions.every(({ isOfId }) => isOfId)) throw error
      for (const partition of partitions) {
        await this.#open([partition]).catch((missing: unknown) => this.#feedFailed(partition, missing))
      }
    }
  }

  async #open(partitions: readonly AssignedPartition[]): Promise<void> {
    const starts = await this.#retrying(partitions, () => this.#startOffsets(partitions))
    if (!starts) return
    for (const partition of partitions) {
      const { offset, isCommitted } = starts.get(keyOf(partition))!
      partition.commitTo = offset
      partition.committedTo = isCommitted ? offset : -1
    }
    // Where the group begins must not depend on who dies when: what comes from here on is its own.
    await this.#options.committer.flush(partitions)
    for (const partition of partitions) this.#openOne(partition, starts.get(keyOf(partition))!)
    this.#options.events.changed()
  }

  async #startOffsets(partitions: readonly AssignedPartition[]): Promise<Map<string, StartOffset>> {
    const { lanes, groupId, options, membership } = this.#options
    for (const { topic } of groupByTopic(partitions)) {
      const info = await lanes.main.metadata.lookUp(topic)
      this.#firstSight.note(info)
      for (const partition of partitions)
        if (partition.topic === topic && !partition.isOfId) partition.topicId = info.id
    }
    const { claim } = membership
    const query = { groupId, claim, partitions, from: options.from ?? 'end', isolation: isolationOf(options) }
    try {
      return await startOffsets(lanes.main, { ...query, isLater: (at) => this.#firstSight.isLater(at) })
    } catch (error) {
      if (!(error instanceof GroupRefusal)) throw error
      if (claim) membership.refused(claim, error.errorCode)
      throw new OttlaError('RELAY', { message: error.message, kafkaCode: error.errorCode, retriable: true })
    }
  }

  #openOne(partition: AssignedPartition, { offset, leaderEpoch }: StartOffset): void {
    if (partition.isHalted) return
    const { lanes, codecs, options, events, fail } = this.#options
    const topic = { name: partition.topic, id: partition.topicId, partitionCount: 0 }
    partition.open({
      session: lanes.find(topic, [partition.partition]),
      ...{ topic, codecs, offset, leaderEpoch },
      onMissingOffset: options.onMissingOffset ?? 'earliest',
      isolation: isolationOf(options),
      bufferBytesMax: options.bufferBytesMax ?? 1024 * 1024,
      onGap: (gap) => events.gap({ topic: partition.topic, ...gap }),
      onFailed: (error) => void this.#feedFailed(partition, error).catch(fail),
    })
  }

  /**
   * A topic made anew under its name is read from its own beginning, as the group has nothing of it. Where the group divides
   * topics by their ids it takes this one back, and gives the new one to whom it likes.
   */
  async #feedFailed(partition: AssignedPartition, error: unknown): Promise<void> {
    const { lanes, clock } = this.#options
    if (!isMissing(error)) throw error
    partition.forget()
    while (!partition.isHalted && !partition.isOfId) {
      lanes.main.metadata.forget(partition.topic)
      try {
        return await this.#open([partition])
      } catch (again) {
        if (!isMissing(again)) throw again
        await sleep(clock, RETRY.delayMsMax, partition.halted).catch(() => {})
      }
    }
  }

  /** Workers take nothing more, and finish what they have; then the application may still do something about it. */
  async #finish(partitions: readonly AssignedPartition[]): Promise<void> {
    for (const partition of partitions) partition.retire()
    await Promise.all(partitions.map((partition) => partition.whenIdle()))
    await this.#tellRevoked(
      partitions.filter(({ isOver }) => !isOver),
      false,
    )
  }

  async #tellRevoked(partitions: readonly AssignedPartition[], isLost: boolean): Promise<void> {
    if (partitions.length === 0) return
    const list = partitions.map(({ topic, partition }) => ({ topic, partition }))
    await this.#options.events.revoked(list, isLost).catch(this.#options.fail)
  }

  #drop(partitions: readonly AssignedPartition[]): void {
    for (const partition of partitions) {
      partition.end()
      if (this.get(partition) === partition) this.#partitions.delete(keyOf(partition))
    }
    this.#options.committer.touch()
    this.#options.events.changed()
  }

  #progressed(partition: AssignedPartition): void {
    if (this.#options.options.commit === 'manual') return
    partition.commitTo = partition.processedTo
    this.#options.committer.touch()
  }

  /** Tries again what only time is in the way of. Undefined when nobody wants the partitions any more. */
  async #retrying<T>(partitions: readonly AssignedPartition[], act: () => Promise<T>): Promise<T | undefined> {
    const { clock, random, lanes } = this.#options
    const backoff = new Backoff(clock, random, RETRY)
    while (partitions.some(({ isHalted }) => !isHalted)) {
      try {
        return await act()
      } catch (error) {
        if (!asOttlaError(error, 'PROTOCOL').retriable) throw error
        await sleep(clock, backoff.nextDelayMs(), this.#over.signal).catch(() => {})
        if (this.#over.signal.aborted) return undefined
        await untilLive(lanes.main, this.#over.signal).catch((reason: unknown) => {
          if (!this.#over.signal.aborted) throw reason
        })
      }
    }
    return undefined
  }
}

const isolationOf = ({ isolation }: GroupReadOptions): Isolation => (isolation === 'uncommitted' ? 0 : 1)

function isMissing(error: unknown): boolean {
  const { code } = asOttlaError(error, 'PROTOCOL')
  return code === 'TOPIC_RECREATED' || code === 'UNKNOWN_TOPIC'
}
