/**
 * Requests about what groups have committed: commits of members, tools and transactions, look-ups, deletions. An answer
 * goes out when what it tells is on disk.
 */
import { ErrorCode, KafkaError } from '../../protocol/errors.ts'
import type { TransactionOutcome } from '../../protocol/transaction-marker.ts'
import type { EpochClaim } from './consumer/consumer-group.ts'
import type { GroupRecord } from './group-records.ts'
import type { Instant } from './group-state.ts'
import type { GroupStore } from './group-store.ts'
import { type HeldGroup, isNothing, noOffset, noShare, nothingPending } from './held-group.ts'
import { knownFromAfter } from './known-range.ts'
import type { CommittedOffset, NewOffset, TopicPartition } from './offsets.ts'
import { sizeOfPending } from './pending-offsets.ts'
import type { Receipts, ReportedPartition } from './receipts.ts'
import type { MemberClaim } from './sync.ts'
import { decided, handedIn, overtaken, PENDING_BYTES_MAX, type ProducerIdentity } from './transactional-offsets.ts'

/** Groups at a time; a client that makes up names must not fill the memory. */
export const GROUPS_MAX = 100_000

/** Generation or member epoch, as the group has it. */
export interface CommitClaim extends MemberClaim {
  /** OffsetCommit 9 and later. */
  knowsEpochs?: boolean
  isTransactional?: boolean
}

export interface OffsetRequestsOptions {
  store: GroupStore
  receipts: Receipts
  now: () => Instant
  /** Where the log of a partition begins. */
  logStartOf: (at: TopicPartition) => number
}

export class OffsetRequests {
  readonly #options: OffsetRequestsOptions

  constructor(options: OffsetRequestsOptions) {
    this.#options = options
  }
  /**
   * Resolves when the offsets are on disk. Rejects with KafkaError when the claim is not good for the group
   * (ILLEGAL_GENERATION, UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID, REBALANCE_IN_PROGRESS, STALE_MEMBER_EPOCH), or nothing
   * can be written.
   */
  async commit(groupId: string, claim: CommitClaim, offsets: readonly NewOffset[]): Promise<void> {
    this.#checkCommit(groupId, claim, offsets)
    if (offsets.length === 0) return
    const committedAtMs = this.#options.now().wallMs
    const pending = this.#options.store.groups.get(groupId)?.pending
    const records = new Map<string, GroupRecord[]>()
    for (const { topicId, partition, ...committed } of offsets) {
      const at = { topicId, partition }
      const overtakenByIt = pending ? overtaken(groupId, pending, at) : []
      const record = this.#offsetRecord(groupId, at, { ...committed, committedAtMs }, claim.generationId >= 0)
      records.set(`${topicId}/${partition}`, [record, ...overtakenByIt])
    }
    await this.#options.store.change([...records.values()].flat())
  }

  /**
   * The same for offsets that count when the producer's transaction commits. Whoever calls knows that it is open, and
   * that this group is in it.
   */
  async commitInTransaction(
    groupId: string,
    claim: MemberClaim,
    producer: ProducerIdentity,
    offsets: readonly NewOffset[],
  ): Promise<void> {
    this.#checkCommit(groupId, { ...claim, isTransactional: true }, offsets)
    const addedBytes = offsets.reduce((sum, offset) => sum + sizeOfPending(offset), 0)
    if (this.#options.store.pendingBytes + addedBytes > PENDING_BYTES_MAX)
      throw new KafkaError('POLICY_VIOLATION', `open transactions hold ${PENDING_BYTES_MAX} bytes of offsets already`)
    if (offsets.length === 0) return
    const how = { committedAtMs: this.#options.now().wallMs, isMembers: claim.generationId >= 0 }
    await this.#options.store.change(handedIn(groupId, producer, offsets, how))
  }

  /**
   * Resolves when what the producer's transaction handed in for these groups counts, or is forgotten, on disk. May be
   * called again. Rejects with KafkaError when it cannot be written now.
   */
  async decideTransaction(groupIds: Iterable<string>, producerId: number, outcome: TransactionOutcome): Promise<void> {
    this.#options.store.checkReady()
    const records = [...groupIds].flatMap((groupId) => {
      const group = this.#options.store.groups.get(groupId)
      if (!group) return []
      return decided(groupId, group.pending, producerId, outcome, (...offset) => this.#offsetRecord(groupId, ...offset))
    })
    await this.#options.store.change(records)
  }

  #offsetRecord(
    groupId: string,
    at: TopicPartition,
    value: Omit<CommittedOffset, 'knownFrom'>,
    isMembers: boolean,
  ): GroupRecord {
    const before = this.#options.store.groups.get(groupId)?.offsets.get(at)
    const logStart = this.#options.logStartOf(at)
    const knownFrom = knownFromAfter(before, { offset: value.offset, isMembers, logStart })
    return { kind: 'offset', groupId, at, value: { ...value, knownFrom } }
  }

  /**
   * A member tells which records it did not finish. Resolves when that is on disk; rejects with KafkaError as `commit`
   * does.
   */
  async reportFailed(groupId: string, claim: CommitClaim, partitions: readonly ReportedPartition[]): Promise<void> {
    if (claim.generationId < 0) throw new KafkaError('UNKNOWN_MEMBER_ID', 'only members of a group report')
    this.#checkCommit(groupId, claim, partitions)
    await this.#options.receipts.report(groupId, partitions)
  }

  /** Whose offsets are pending, and in which group. Throws KafkaError while the coordinator is not ready. */
  *pendingTransactions(): Generator<ProducerIdentity & { groupId: string }> {
    this.#options.store.checkReady()
    for (const [groupId, { pending }] of this.#options.store.groups) {
      const seen = new Set<number>()
      for (const [, producerId, { producerEpoch }] of pending.entries()) {
        if (seen.has(producerId)) continue
        seen.add(producerId)
        yield { groupId, producerId, producerEpoch }
      }
    }
  }

  #checkCommit(groupId: string, claim: CommitClaim, offsets: readonly TopicPartition[]): void {
    this.#options.store.checkReady()
    const machine = this.#options.store.groups.get(groupId)?.machine
    if (!machine) {
      const code = claim.knowsEpochs ? 'GROUP_ID_NOT_FOUND' : 'ILLEGAL_GENERATION'
      if (claim.generationId >= 0) throw new KafkaError(code, `there is no group ${groupId}`)
      if (this.#options.store.groups.size < GROUPS_MAX) return
      throw new KafkaError('POLICY_VIOLATION', `there are ${GROUPS_MAX} groups already; delete some`)
    }
    if (machine.type === 'share')
      throw new KafkaError('GROUP_ID_NOT_FOUND', `${groupId} is a share group, which commits no offsets`)
    const errorCode =
      machine.type === 'classic'
        ? machine.commitError(claim, this.#options.now(), claim.isTransactional)
        : machine.commitError({ ...claim, memberEpoch: claim.generationId }, offsets)
    if (errorCode !== ErrorCode.NONE)
      throw new KafkaError(errorCode, `group ${groupId} takes no commit of member ${claim.memberId}`)
  }

  /** Throws KafkaError when who asks says that it is a member, and is not, or not in this epoch. */
  checkFetch(groupId: string, claim: EpochClaim | undefined): void {
    this.#options.store.checkReady()
    const machine = this.#options.store.groups.get(groupId)?.machine
    if (!claim || (machine?.type !== 'consumer' && machine?.type !== 'streams')) return
    const errorCode = machine.fetchError(claim)
    if (errorCode !== ErrorCode.NONE)
      throw new KafkaError(errorCode, `group ${groupId} tells nothing to member ${claim.memberId}`)
  }

  /** What is committed, and on disk; undefined where nothing is. Unstable is what an open transaction may yet change. */
  async fetchOffsets(
    groupId: string,
    asked: readonly TopicPartition[] | 'all',
  ): Promise<Array<TopicPartition & { committed: CommittedOffset | undefined; isUnstable: boolean }>> {
    this.#options.store.checkReady()
    const { offsets, pending } = this.#options.store.groups.get(groupId) ?? {}
    const isUnstable = (at: TopicPartition) => pending?.has(at) ?? false
    const found =
      asked === 'all'
        ? [...(offsets?.entries() ?? [])].map(([at, committed]) => ({ ...at, committed, isUnstable: isUnstable(at) }))
        : asked.map((at) => ({ ...at, committed: offsets?.get(at), isUnstable: isUnstable(at) }))
    await this.#options.store.settled()
    return found
  }

  /**
   * An error code for each partition: GROUP_SUBSCRIBED_TO_TOPIC where a member reads the topic. Rejects with KafkaError
   * for all: GROUP_ID_NOT_FOUND, and NON_EMPTY_GROUP when its members are no consumers.
   */
  async deleteOffsets(groupId: string, asked: ReadonlyArray<TopicPartition & { name: string }>): Promise<number[]> {
    const { machine, offsets } = this.#existing(groupId)
    if (machine.type === 'share') throw new KafkaError('GROUP_ID_NOT_FOUND', `${groupId} is a share group`)
    const { isEmpty, protocolType } = machine
    if (!isEmpty && protocolType !== 'consumer')
      throw new KafkaError('NON_EMPTY_GROUP', `${groupId} has members that are no consumers`)
    const topics = isEmpty ? new Set<string>() : machine.subscribedTopics()
    const isRead = (name: string) => topics === null || topics.has(name)
    const doomed = asked.filter((at) => !isRead(at.name) && offsets.get(at) !== undefined)
    const each = new Map(doomed.map((at) => [`${at.topicId}/${at.partition}`, noOffset(groupId, at)]))
    await this.#options.store.change([...each.values()])
    return asked.map(({ name }) => (isRead(name) ? ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC : ErrorCode.NONE))
  }

  /** A topic is gone, and with it what was committed for it. */
  forgetTopic(topicId: string): void {
    const records = [...this.#options.store.groups].flatMap(([groupId, { offsets, pending, shares }]) => [
      ...offsets.partitionsOf(topicId).map((at) => noOffset(groupId, at)),
      ...shares.partitionsOf(topicId).map((at) => noShare(groupId, at)),
      ...[...pending.entries()]
        .filter(([at]) => at.topicId === topicId)
        .map(([at, producerId]) => nothingPending(groupId, at, producerId)),
    ])
    if (records.length > 0) this.#options.store.changeUnasked(records)
  }

  #existing(groupId: string): HeldGroup {
    this.#options.store.checkReady()
    const group = this.#options.store.groups.get(groupId)
    if (!group || isNothing(group)) throw new KafkaError('GROUP_ID_NOT_FOUND', `there is no group ${groupId}`)
    return group
  }
}
