/**
 * The group coordinator: requests in, answers out.
 *
 * An answer that tells of a change, or shows what is committed, goes out when everything appended before it is on disk.
 * Each kind of request has a file of its own; here they meet, and a timer for each group brings what time brings.
 */
import { KafkaError } from '../../protocol/errors.ts'
import type { Clock, Timer } from '../../protocol/lib/clock.ts'
import type { Random } from '../../protocol/lib/random.ts'
import { randomUuid } from '../../protocol/lib/uuid.ts'
import type { HeldFiles } from '../log/held-files.ts'
import { PatientClock } from '../log/patient-clock.ts'
import type { Logger } from '../logger.ts'
import { NameSelector } from '../pattern/name-selector.ts'
import type { Files } from '../storage/files.ts'
import { Admission } from './admission.ts'
import { ClassicRequests, type JoinRequest, type SyncRequest } from './classic-requests.ts'
import type { HeartbeatReply } from './consumer/consumer-group.ts'
import { ConsumerRequests } from './consumer/consumer-requests.ts'
import type { HeartbeatCommand } from './consumer/membership.ts'
import { resolvePattern } from './consumer/pattern-resolver.ts'
import type { TopicCatalog } from './consumer/topics.ts'
import {
  type CoordinatorConfig,
  classicLimits,
  consumerLimits,
  GroupConfigs,
  shareConfig,
  shareLimits,
  streamsLimits,
  upgradedMembersMax,
} from './group-configs.ts'
import { expiredRecords } from './group-expiry.ts'
import type { Instant, JoinReply, SyncReply } from './group-state.ts'
import { GroupStore } from './group-store.ts'
import { type Group, type HeldGroup, isNothing } from './held-group.ts'
import { KeyedLog, type KeyedLogOptions } from './keyed-log.ts'
import { memberIdFor } from './member-id.ts'
import type { Leaver } from './membership.ts'
import { type CommitClaim, GROUPS_MAX, OffsetRequests } from './offset-requests.ts'
import type { TopicPartition } from './offsets.ts'
import { Receipts } from './receipts.ts'
import { ShareDeliveries } from './share/share-deliveries.ts'
import type { ShareHeartbeat } from './share/share-group.ts'
import { ShareOffsets } from './share/share-offsets.ts'
import { ShareRequests } from './share/share-requests.ts'
import type { SharedLog } from './share/share-start.ts'
import type { StreamsHeartbeat, StreamsReply } from './streams/streams-group.ts'
import { type MakeTopic, StreamsRequests } from './streams/streams-requests.ts'
import type { MemberClaim } from './sync.ts'
import type { OnceClosed } from './waiting-replies.ts'

export interface GroupCoordinatorOptions extends Pick<KeyedLogOptions, 'deadBytesMin' | 'segmentBytes'> {
  files: Files
  /** `groups` in the data folder. */
  dir: string
  config: CoordinatorConfig
  clock: Clock
  random: Random
  logger: Logger
  topics: TopicCatalog
  /** The log of a partition. Default: none is known, and each begins at 0. */
  logOf?(at: TopicPartition): SharedLog | undefined
}

export type { CommitClaim, CoordinatorConfig, JoinRequest, SyncRequest }
export { GROUPS_MAX }

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
  /** Settings of single groups. */
  readonly configs: GroupConfigs
  /** Records in the hands of share groups. */
  readonly deliveries: ShareDeliveries
  /** Where share groups stand. */
  readonly shareOffsets: ShareOffsets
  readonly #offsets: OffsetRequests
  readonly #consumers: ConsumerRequests
  readonly #classic: ClassicRequests
  readonly #shares: ShareRequests
  readonly #streams: StreamsRequests
  readonly #admission: Admission
  /** By which offsets expire. */
  readonly #time: PatientClock
  #cleanUpTimer: Timer | undefined
  #closing: Promise<void> | undefined

  /** Use `openGroupCoordinator`. */
  constructor(options: GroupCoordinatorOptions, log: KeyedLog) {
    this.#options = options
    this.#log = log
    const { config, clock, logger, topics } = options
    this.#time = new PatientClock(clock)
    this.#store = new GroupStore({
      ...{ log, clock, logger, topics },
      limits: () => classicLimits(config),
      consumerLimits: (groupId) => consumerLimits(config, this.#store.configs.get(groupId)),
      shareLimits: (groupId) => shareLimits(config, this.#store.configs.get(groupId)),
      streamsLimits: (groupId) => streamsLimits(config, this.#store.configs.get(groupId)),
      onLoaded: () => this.#onLoaded(),
      onDropping: () => this.#onDropping(),
      onRemoved: (group) => this.#admission.forget(group),
      onStored: (records) => this.receipts.stored(records),
    })
    this.#admission = new Admission({ config, groupCount: () => this.#store.groups.size })
    this.receipts = new Receipts(this.#store)
    this.configs = new GroupConfigs(this.#store, config)
    const { logOf = () => undefined } = options
    this.deliveries = new ShareDeliveries({
      ...{ store: this.#store, clock, logOf },
      configOf: (groupId) => shareConfig(config, this.#store.configs.get(groupId)),
    })
    this.shareOffsets = new ShareOffsets({ store: this.#store, deliveries: this.deliveries, logOf })
    this.#offsets = new OffsetRequests({
      ...{ store: this.#store, receipts: this.receipts },
      logStartOf: (at) => logOf(at)?.startOffset ?? 0,
      now: () => this.#now(),
    })
    const selector = new NameSelector()
    const shared = {
      store: this.#store,
      now: () => this.#now(),
      onChanged: (group: HeldGroup) => this.#onChanged(group),
    }
    this.#consumers = new ConsumerRequests({
      ...shared,
      topics,
      upgradedMembersMax: () => upgradedMembersMax(config),
      checkRoom: (group, command) => this.#admission.check(group, command),
      resolve: (regex, isVisible) => resolvePattern(regex, topics, isVisible, selector),
      answer: (reply) => this.#classic.answer(reply),
    })
    this.#shares = new ShareRequests({
      ...shared,
      checkRoom: (group, command) => this.#admission.check(group, command),
      begin: (...partitions) => this.deliveries.begin(...partitions),
    })
    this.#streams = new StreamsRequests({
      ...{ ...shared, topics },
      checkRoom: (group, command) => this.#admission.check(group, command),
    })
    this.#classic = new ClassicRequests({
      ...shared,
      consumers: this.#consumers,
      newMemberId: ({ groupInstanceId, clientId }) => memberIdFor(groupInstanceId ?? clientId, options.random),
      joinError: (request, group) => this.#admission.joinError(request, group),
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

  /** Why groups are out of service. */
  get fault(): string | undefined {
    return this.#store.fault
  }

  /** Nothing is known of groups yet, but will be. */
  get isLoading(): boolean {
    return this.#store.isLoading
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

  /** Joins a share group, stays, hears what to fetch. Rejects with KafkaError. */
  shareHeartbeat(groupId: string, command: ShareHeartbeat): Promise<HeartbeatReply> {
    return this.#shares.heartbeat(groupId, command)
  }

  /** Rejects with KafkaError. */
  shareLeave(groupId: string, memberId: string): Promise<void> {
    return this.#shares.leave(groupId, memberId)
  }

  /** Joins a streams group, stays, hears its tasks. Rejects with KafkaError. */
  streamsHeartbeat(groupId: string, command: StreamsHeartbeat, makeTopic: MakeTopic): Promise<StreamsReply> {
    return this.#streams.heartbeat(groupId, command, makeTopic)
  }

  /** Rejects with KafkaError. */
  streamsLeave(
    groupId: string,
    command: Pick<HeartbeatCommand, 'memberId' | 'memberEpoch' | 'instanceId'>,
  ): Promise<void> {
    return this.#streams.leave(groupId, command)
  }

  // --- offsets ---------------------------------------------------------------------------------------------------

  /**
   * Resolves when the offsets are on disk. Rejects with KafkaError when the claim is not good for the group
   * (ILLEGAL_GENERATION, UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID, REBALANCE_IN_PROGRESS, STALE_MEMBER_EPOCH), or nothing
   * can be written.
   */
  commit: OffsetRequests['commit'] = (...request) => this.#offsets.commit(...request)
  commitInTransaction: OffsetRequests['commitInTransaction'] = (...request) =>
    this.#offsets.commitInTransaction(...request)
  decideTransaction: OffsetRequests['decideTransaction'] = (...decision) => this.#offsets.decideTransaction(...decision)
  pendingTransactions: OffsetRequests['pendingTransactions'] = () => this.#offsets.pendingTransactions()
  reportFailed: OffsetRequests['reportFailed'] = (...report) => this.#offsets.reportFailed(...report)
  checkFetch: OffsetRequests['checkFetch'] = (...claim) => this.#offsets.checkFetch(...claim)
  fetchOffsets: OffsetRequests['fetchOffsets'] = (...asked) => this.#offsets.fetchOffsets(...asked)
  deleteOffsets: OffsetRequests['deleteOffsets'] = (...asked) => this.#offsets.deleteOffsets(...asked)
  forgetTopic: OffsetRequests['forgetTopic'] = (topicId) => this.#offsets.forgetTopic(topicId)

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
    await this.#store.change([{ kind: 'group', groupId, value: null }])
  }

  /** Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#store.close()
    return this.#closing
  }

  // --- effects ---------------------------------------------------------------------------------------------------

  #onChanged(group: HeldGroup): void {
    this.#admission.count(group)
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
    else if (machine.type === 'share') this.#shares.expire(machine)
    else if (machine.type === 'streams') this.#streams.expire(machine)
    else this.#consumers.expire(machine)
  }

  #onLoaded(): void {
    this.#admission.countAnew(this.#store.groups.values())
    for (const group of this.#store.groups.values()) this.#arm(group)
    this.deliveries.resume()
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
      const records = expiredRecords(this.#store.groups.values(), topics, retentionMs, this.#time.now())
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
