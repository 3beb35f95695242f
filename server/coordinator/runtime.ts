/**
 * The group coordinator: requests in, answers out.
 *
 * An answer that tells of a change, or shows what is committed, goes out when everything appended before it is on disk.
 * Requests that need others (joins, syncs) wait here; a timer for each group brings what time brings.
 */
import { ErrorCode, KafkaError } from '../../protocol/errors.ts'
import type { Clock, Timer } from '../../protocol/lib/clock.ts'
import type { Random } from '../../protocol/lib/random.ts'
import { randomUuid } from '../../protocol/lib/uuid.ts'
import type { TransactionOutcome } from '../../protocol/transaction-marker.ts'
import { ConfigError, checkGroupConfig, groupConfigOf, type RelayConfig } from '../config.ts'
import type { HeldFiles } from '../log/held-files.ts'
import type { Logger } from '../logger.ts'
import type { Files } from '../storage/files.ts'
import { ClassicRequests, type JoinRequest, type SyncRequest } from './classic-requests.ts'
import type { EpochClaim, HeartbeatReply } from './consumer/consumer-group.ts'
import { ConsumerRequests } from './consumer/consumer-requests.ts'
import type { ConsumerLimits } from './consumer/consumer-state.ts'
import { sizeOfSubscription } from './consumer/member.ts'
import type { HeartbeatCommand } from './consumer/membership.ts'
import { PatternResolver } from './consumer/pattern/resolver.ts'
import type { TopicCatalog } from './consumer/topics.ts'
import { expiredRecords } from './group-expiry.ts'
import { sizeOfMember } from './group-member.ts'
import type { GroupOverrides, GroupRecord } from './group-records.ts'
import type { GroupLimits, Instant, JoinReply, SyncReply } from './group-state.ts'
import { GroupStore } from './group-store.ts'
import { type Group, type HeldGroup, isNothing, noOffset, nothingPending } from './held-group.ts'
import { KeyedLog, type KeyedLogOptions } from './keyed-log.ts'
import { knownFromAfter } from './known-range.ts'
import type { Leaver } from './membership.ts'
import type { CommittedOffset, NewOffset, TopicPartition } from './offsets.ts'
import { sizeOfPending } from './pending-offsets.ts'
import { Receipts, type ReportedPartition } from './receipts.ts'
import type { MemberClaim } from './sync.ts'
import { decided, handedIn, overtaken, PENDING_BYTES_MAX, type ProducerIdentity } from './transactional-offsets.ts'
import type { OnceClosed } from './waiting-replies.ts'

/** Groups at a time; a client that makes up names must not fill the memory. */
export const GROUPS_MAX = 100_000
/** Groups with settings of their own. */
const CONFIGURED_GROUPS_MAX = 10_000
/** What the members of all groups may say of themselves together. */
export const MEMBER_BYTES_MAX = 64 * 1024 * 1024

export type CoordinatorConfig = Pick<
  RelayConfig,
  | 'groupInitialRebalanceDelayMs'
  | 'groupMinSessionTimeoutMs'
  | 'groupMaxSessionTimeoutMs'
  | 'groupMaxSize'
  | 'groupConsumerSessionTimeoutMs'
  | 'groupConsumerHeartbeatIntervalMs'
  | 'groupConsumerMaxSize'
  | 'groupConsumerAssignors'
  | 'groupConsumerMigrationPolicy'
  | 'offsetsRetentionMinutes'
  | 'offsetsRetentionCheckIntervalMs'
>

export interface GroupCoordinatorOptions extends Pick<KeyedLogOptions, 'deadBytesMin' | 'segmentBytes'> {
  files: Files
  /** `groups` in the data folder. */
  dir: string
  config: CoordinatorConfig
  clock: Clock
  random: Random
  logger: Logger
  topics: TopicCatalog
  /** Where the log of a partition begins. Default: at 0. */
  logStartOf?(at: TopicPartition): number
}

/** Generation or member epoch, as the group has it. */
export interface CommitClaim extends MemberClaim {
  /** OffsetCommit 9 and later. */
  knowsEpochs?: boolean
  isTransactional?: boolean
}

export type { JoinRequest, SyncRequest }

/** Rejects when the folder cannot be read at all. With a damaged log it opens, and refuses everything. */
export async function openGroupCoordinator(options: GroupCoordinatorOptions): Promise<GroupCoordinator> {
  const coordinator = new GroupCoordinator(options, await KeyedLog.open(options))
  await coordinator.load()
  return coordinator
}

export class GroupCoordinator {
  readonly #options: GroupCoordinatorOptions
  readonly #log: KeyedLog
  readonly #store: GroupStore
  /** What became of records in groups. */
  readonly receipts: Receipts
  readonly #consumers: ConsumerRequests
  readonly #classic: ClassicRequests
  #memberBytes = 0
  #cleanUpTimer: Timer | undefined
  #closing: Promise<void> | undefined

  /** Use `openGroupCoordinator`. */
  constructor(options: GroupCoordinatorOptions, log: KeyedLog) {
    this.#options = options
    this.#log = log
    const { config, clock, logger, topics } = options
    this.#store = new GroupStore({
      ...{ log, clock, logger, topics },
      limits: () => limitsOf(config),
      consumerLimits: (groupId) => consumerLimitsOf(config, this.#store.configs.get(groupId)),
      onLoaded: () => this.#onLoaded(),
      onDropping: () => this.#onDropping(),
      onStored: (records) => this.receipts.stored(records),
    })
    this.receipts = new Receipts(this.#store)
    const patterns = new PatternResolver(topics)
    const shared = {
      store: this.#store,
      now: () => this.#now(),
      onChanged: (group: HeldGroup) => this.#onChanged(group),
    }
    this.#consumers = new ConsumerRequests({
      ...shared,
      topics,
      upgradedMembersMax: () => (migratesUp(config) ? config.groupConsumerMaxSize : 0),
      checkRoom: (group, command) => this.#checkRoom(group, command),
      resolve: (regex, isVisible) => patterns.resolve(regex, isVisible),
      answer: (reply) => this.#classic.answer(reply),
    })
    this.#classic = new ClassicRequests({
      ...shared,
      consumers: this.#consumers,
      newMemberId: ({ groupInstanceId, clientId }) => `${groupInstanceId ?? clientId}-${randomUuid(options.random)}`,
      joinError: (request, group) => this.#joinError(request, group),
    })
  }

  /** Bytes that groups and commits take on disk. */
  get sizeBytes(): number {
    return this.#log.sizeBytes
  }

  /** What a backup takes. */
  hold(): HeldFiles {
    return this.#log.hold()
  }

  /** Requests that wait for other members. */
  get waitingCount(): number {
    return this.#classic.waitingCount
  }

  load(): Promise<void> {
    return this.#store.load()
  }

  // --- members ---------------------------------------------------------------------------------------------------

  /** Resolves when the group has a new generation, or with an error. Never when the connection closes before. */
  join(groupId: string, request: JoinRequest, onceClosed: OnceClosed): Promise<JoinReply> {
    return this.#classic.join(groupId, request, onceClosed)
  }

  /** Resolves when the leader has handed in the assignments, or with an error. Never when the connection closes before. */
  sync(groupId: string, request: SyncRequest, onceClosed: OnceClosed): Promise<SyncReply> {
    return this.#classic.sync(groupId, request, onceClosed)
  }

  /** An error code. */
  heartbeat(groupId: string, claim: MemberClaim): number {
    return this.#classic.heartbeat(groupId, claim)
  }

  /** An error code for each. Throws KafkaError for all: UNKNOWN_MEMBER_ID when there is no such group. */
  leave(groupId: string, leavers: readonly Leaver[]): number[] {
    return this.#classic.leave(groupId, leavers)
  }

  /** Joins, stays, hears what to read. Rejects with KafkaError. */
  consumerHeartbeat(
    groupId: string,
    command: HeartbeatCommand,
    isVisible: (topic: string) => boolean,
  ): Promise<HeartbeatReply> {
    const memberId = command.memberId === '' ? randomUuid(this.#options.random) : command.memberId
    return this.#consumers.heartbeat(groupId, { ...command, memberId }, isVisible)
  }

  /** Rejects with KafkaError. */
  consumerLeave(
    groupId: string,
    command: Pick<HeartbeatCommand, 'memberId' | 'memberEpoch' | 'instanceId'>,
  ): Promise<HeartbeatReply> {
    return this.#consumers.leave(groupId, command)
  }

  // --- offsets ---------------------------------------------------------------------------------------------------

  /**
   * Resolves when the offsets are on disk. Rejects with KafkaError when the claim is not good for the group
   * (ILLEGAL_GENERATION, UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID, REBALANCE_IN_PROGRESS, STALE_MEMBER_EPOCH), or nothing
   * can be written.
   */
  async commit(groupId: string, claim: CommitClaim, offsets: readonly NewOffset[]): Promise<void> {
    this.#checkCommit(groupId, claim, offsets)
    if (offsets.length === 0) return
    const committedAtMs = this.#options.clock.now()
    const pending = this.#store.groups.get(groupId)?.pending
    const records = new Map<string, GroupRecord[]>()
    for (const { topicId, partition, ...committed } of offsets) {
      const at = { topicId, partition }
      const overtakenByIt = pending ? overtaken(groupId, pending, at) : []
      const record = this.#offsetRecord(groupId, at, { ...committed, committedAtMs }, claim.generationId >= 0)
      records.set(`${topicId}/${partition}`, [record, ...overtakenByIt])
    }
    await this.#store.change([...records.values()].flat())
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
    if (this.#store.pendingBytes + addedBytes > PENDING_BYTES_MAX)
      throw new KafkaError('POLICY_VIOLATION', `open transactions hold ${PENDING_BYTES_MAX} bytes of offsets already`)
    if (offsets.length === 0) return
    const how = { committedAtMs: this.#options.clock.now(), isMembers: claim.generationId >= 0 }
    await this.#store.change(handedIn(groupId, producer, offsets, how))
  }

  /**
   * Resolves when what the producer's transaction handed in for these groups counts, or is forgotten, on disk. May be
   * called again. Rejects with KafkaError when it cannot be written now.
   */
  async decideTransaction(groupIds: Iterable<string>, producerId: number, outcome: TransactionOutcome): Promise<void> {
    this.#store.checkReady()
    const records = [...groupIds].flatMap((groupId) => {
      const group = this.#store.groups.get(groupId)
      if (!group) return []
      return decided(groupId, group.pending, producerId, outcome, (...offset) => this.#offsetRecord(groupId, ...offset))
    })
    await this.#store.change(records)
  }

  #offsetRecord(
    groupId: string,
    at: TopicPartition,
    value: Omit<CommittedOffset, 'knownFrom'>,
    isMembers: boolean,
  ): GroupRecord {
    const before = this.#store.groups.get(groupId)?.offsets.get(at)
    const logStart = this.#options.logStartOf?.(at) ?? 0
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
    await this.receipts.report(groupId, partitions)
  }

  /** Whose offsets are pending, and in which group. Throws KafkaError while the coordinator is not ready. */
  *pendingTransactions(): Generator<ProducerIdentity & { groupId: string }> {
    this.#store.checkReady()
    for (const [groupId, { pending }] of this.#store.groups) {
      const seen = new Set<number>()
      for (const [, producerId, { producerEpoch }] of pending.entries()) {
        if (seen.has(producerId)) continue
        seen.add(producerId)
        yield { groupId, producerId, producerEpoch }
      }
    }
  }

  #checkCommit(groupId: string, claim: CommitClaim, offsets: readonly TopicPartition[]): void {
    this.#store.checkReady()
    const machine = this.#store.groups.get(groupId)?.machine
    if (!machine) {
      const code = claim.knowsEpochs ? 'GROUP_ID_NOT_FOUND' : 'ILLEGAL_GENERATION'
      if (claim.generationId >= 0) throw new KafkaError(code, `there is no group ${groupId}`)
      if (this.#store.groups.size < GROUPS_MAX) return
      throw new KafkaError('POLICY_VIOLATION', `there are ${GROUPS_MAX} groups already; delete some`)
    }
    const errorCode =
      machine.type === 'classic'
        ? machine.commitError(claim, this.#now(), claim.isTransactional)
        : machine.commitError({ ...claim, memberEpoch: claim.generationId }, offsets)
    if (errorCode !== ErrorCode.NONE)
      throw new KafkaError(errorCode, `group ${groupId} takes no commit of member ${claim.memberId}`)
  }

  /** Throws KafkaError when who asks says that it is a member, and is not, or not in this epoch. */
  checkFetch(groupId: string, claim: EpochClaim | undefined): void {
    this.#store.checkReady()
    const machine = this.#store.groups.get(groupId)?.machine
    if (!claim || machine?.type !== 'consumer') return
    const errorCode = machine.fetchError(claim)
    if (errorCode !== ErrorCode.NONE)
      throw new KafkaError(errorCode, `group ${groupId} tells nothing to member ${claim.memberId}`)
  }

  /** What is committed, and on disk; undefined where nothing is. Unstable is what an open transaction may yet change. */
  async fetchOffsets(
    groupId: string,
    asked: readonly TopicPartition[] | 'all',
  ): Promise<Array<TopicPartition & { committed: CommittedOffset | undefined; isUnstable: boolean }>> {
    this.#store.checkReady()
    const { offsets, pending } = this.#store.groups.get(groupId) ?? {}
    const isUnstable = (at: TopicPartition) => pending?.has(at) ?? false
    const found =
      asked === 'all'
        ? [...(offsets?.entries() ?? [])].map(([at, committed]) => ({ ...at, committed, isUnstable: isUnstable(at) }))
        : asked.map((at) => ({ ...at, committed: offsets?.get(at), isUnstable: isUnstable(at) }))
    await this.#store.settled()
    return found
  }

  /**
   * An error code for each partition: GROUP_SUBSCRIBED_TO_TOPIC where a member reads the topic. Rejects with KafkaError
   * for all: GROUP_ID_NOT_FOUND, and NON_EMPTY_GROUP when its members are no consumers.
   */
  async deleteOffsets(groupId: string, asked: ReadonlyArray<TopicPartition & { name: string }>): Promise<number[]> {
    const { machine, offsets } = this.#existing(groupId)
    const { isEmpty, protocolType } = machine
    if (!isEmpty && protocolType !== 'consumer')
      throw new KafkaError('NON_EMPTY_GROUP', `${groupId} has members that are no consumers`)
    const topics = isEmpty ? new Set<string>() : machine.subscribedTopics()
    const isRead = (name: string) => topics === null || topics.has(name)
    const doomed = asked.filter((at) => !isRead(at.name) && offsets.get(at) !== undefined)
    const each = new Map(doomed.map((at) => [`${at.topicId}/${at.partition}`, noOffset(groupId, at)]))
    await this.#store.change([...each.values()])
    return asked.map(({ name }) => (isRead(name) ? ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC : ErrorCode.NONE))
  }

  // --- administration --------------------------------------------------------------------------------------------

  /** Throws KafkaError while the coordinator is not ready. */
  groups(): Group[] {
    this.#store.checkReady()
    return [...this.#store.groups.values()].filter((group) => !isNothing(group))
  }

  /** Throws KafkaError while the coordinator is not ready. */
  group(groupId: string): Group | undefined {
    this.#store.checkReady()
    const group = this.#store.groups.get(groupId)
    return group && !isNothing(group) ? group : undefined
  }

  /** Rejects with KafkaError GROUP_ID_NOT_FOUND, NON_EMPTY_GROUP. */
  async deleteGroup(groupId: string): Promise<void> {
    const group = this.#existing(groupId)
    if (!group.machine.isEmpty) throw new KafkaError('NON_EMPTY_GROUP', `${groupId} has members`)
    const durable = this.#store.change([{ kind: 'group', groupId, value: null }])
    this.#countBytes(group)
    await durable
  }

  // --- configuration -----------------------------------------------------------------------------------------------

  /** Groups for which something is configured, whether they exist or not. Throws KafkaError while not ready. */
  configuredGroups(): ReadonlyMap<string, GroupOverrides> {
    this.#store.checkReady()
    return this.#store.configs
  }

  /** `null` takes an override back. Rejects with KafkaError INVALID_CONFIG. */
  async alterConfig(
    groupId: string,
    changes: ReadonlyMap<string, string | null>,
    { validateOnly = false } = {},
  ): Promise<void> {
    const known = this.configuredGroups().get(groupId)
    const changed = new Map<string, string | null>([...Object.entries(known ?? {}), ...changes])
    const value = Object.fromEntries([...changed].filter((each): each is [string, string] => each[1] !== null))
    try {
      checkGroupConfig(value, this.#options.config)
    } catch (error) {
      if (error instanceof ConfigError) throw new KafkaError('INVALID_CONFIG', error.message, { cause: error })
      throw error
    }
    if (!known && this.#store.configs.size >= CONFIGURED_GROUPS_MAX)
      throw new KafkaError('POLICY_VIOLATION', `${CONFIGURED_GROUPS_MAX} groups are configured already`)
    const isNothing = Object.keys(value).length === 0
    if (!validateOnly) await this.#store.change([{ kind: 'config', groupId, value: isNothing ? null : value }])
  }

  /** A topic is gone, and with it what was committed for it. */
  forgetTopic(topicId: string): void {
    const records = [...this.#store.groups].flatMap(([groupId, { offsets, pending }]) => [
      ...offsets.partitionsOf(topicId).map((at) => noOffset(groupId, at)),
      ...[...pending.entries()]
        .filter(([at]) => at.topicId === topicId)
        .map(([at, producerId]) => nothingPending(groupId, at, producerId)),
    ])
    if (records.length > 0) this.#store.changeUnasked(records)
  }

  /** Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#store.close()
    return this.#closing
  }

  // --- effects ---------------------------------------------------------------------------------------------------

  #onChanged(group: HeldGroup): void {
    this.#countBytes(group)
    this.#arm(group)
  }

  /** Heartbeats only move deadlines on, so a timer may fire early and is set again then. */
  #arm(group: HeldGroup): void {
    const { clock } = this.#options
    const { groupId, nextDeadline: deadline } = group.machine
    if (deadline === undefined || this.#store.groups.get(groupId) !== group) {
      group.timer?.cancel()
      group.timer = undefined
      return
    }
    if (group.timer && group.timerAt <= deadline) return
    group.timer?.cancel()
    group.timerAt = deadline
    group.timer = clock.setTimer(Math.max(0, deadline - clock.monotonic()), () => {
      group.timer = undefined
      this.#expire(group)
    })
  }

  #expire(group: HeldGroup): void {
    const { machine } = group
    if (machine.type === 'classic') this.#classic.expire(group, machine)
    else this.#consumers.expire(machine)
  }

  #countBytes(group: HeldGroup): void {
    const { sizeBytes } = group.machine
    this.#memberBytes += sizeBytes - group.memberBytes
    group.memberBytes = sizeBytes
  }

  #joinError(request: JoinRequest, group: HeldGroup | undefined): number {
    const { groupMinSessionTimeoutMs, groupMaxSessionTimeoutMs } = this.#options.config
    if (!group && request.memberId !== '') return ErrorCode.UNKNOWN_MEMBER_ID
    const isTooMuch = this.#memberBytes + sizeOfMember({ ...request, memberId: '' }) > MEMBER_BYTES_MAX
    if (isTooMuch || (!group && this.#store.groups.size >= GROUPS_MAX)) return ErrorCode.POLICY_VIOLATION
    const { sessionTimeoutMs } = request
    const isInRange = sessionTimeoutMs >= groupMinSessionTimeoutMs && sessionTimeoutMs <= groupMaxSessionTimeoutMs
    return isInRange ? ErrorCode.NONE : ErrorCode.INVALID_SESSION_TIMEOUT
  }

  #checkRoom(group: HeldGroup | undefined, { subscribedNames, subscribedRegex, memberId }: HeartbeatCommand): void {
    if (!group && this.#store.groups.size >= GROUPS_MAX)
      throw new KafkaError('POLICY_VIOLATION', `there are ${GROUPS_MAX} groups already; delete some`)
    if (subscribedNames === null && subscribedRegex === null) return
    const size = sizeOfSubscription(memberId, subscribedNames ?? [], subscribedRegex)
    if (this.#memberBytes + size > MEMBER_BYTES_MAX)
      throw new KafkaError('POLICY_VIOLATION', 'the members of all groups subscribe to more than the relay can hold')
  }

  #onLoaded(): void {
    this.#memberBytes = 0
    for (const group of this.#store.groups.values()) {
      this.#countBytes(group)
      this.#arm(group)
    }
    this.#cleanUpLater()
    this.receipts.onReloaded.emit()
  }

  #onDropping(): void {
    this.#cleanUpTimer?.cancel()
    this.#classic.dismissAll()
  }

  #cleanUpLater(): void {
    const { clock, config, topics } = this.#options
    this.#cleanUpTimer?.cancel()
    this.#cleanUpTimer = clock.setTimer(config.offsetsRetentionCheckIntervalMs, () => {
      const retentionMs = config.offsetsRetentionMinutes * 60_000
      const records = expiredRecords(this.#store.groups.values(), topics, retentionMs, clock.now())
      if (records.length > 0) this.#store.changeUnasked(records)
      this.#cleanUpLater()
    })
  }

  #existing(groupId: string): HeldGroup {
    this.#store.checkReady()
    const group = this.#store.groups.get(groupId)
    if (!group || isNothing(group)) throw new KafkaError('GROUP_ID_NOT_FOUND', `there is no group ${groupId}`)
    return group
  }

  #now(): Instant {
    const { clock } = this.#options
    return { monotonicMs: clock.monotonic(), wallMs: clock.now() }
  }
}

function consumerLimitsOf(config: CoordinatorConfig, overrides: GroupOverrides = {}): ConsumerLimits {
  const { consumerSessionTimeoutMs, consumerHeartbeatIntervalMs } = groupConfigOf(overrides, config)
  return {
    sessionTimeoutMs: consumerSessionTimeoutMs,
    heartbeatIntervalMs: consumerHeartbeatIntervalMs,
    membersMax: config.groupConsumerMaxSize,
    assignors: config.groupConsumerAssignors,
    downgradedMembersMax: migratesDown(config) ? config.groupMaxSize : 0,
  }
}

const migratesUp = ({ groupConsumerMigrationPolicy: policy }: CoordinatorConfig) =>
  policy === 'upgrade' || policy === 'bidirectional'
const migratesDown = ({ groupConsumerMigrationPolicy: policy }: CoordinatorConfig) =>
  policy === 'downgrade' || policy === 'bidirectional'

function limitsOf(config: CoordinatorConfig): GroupLimits {
  return {
    initialRebalanceDelayMs: config.groupInitialRebalanceDelayMs,
    sessionTimeoutMsMin: config.groupMinSessionTimeoutMs,
    sessionTimeoutMsMax: config.groupMaxSessionTimeoutMs,
    membersMax: config.groupMaxSize,
  }
}
