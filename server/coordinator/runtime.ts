/**
 * The group coordinator: every group's state in memory, every lasting change in one log.
 *
 * Rules
 *  - State is changed and its record appended in one turn, so memory and log agree on the order of changes.
 *  - An answer that tells of a change, or shows state, goes out when everything appended before it is on disk.
 *  - When an append fails, memory may say what the disk does not. All state is dropped and read from the log again, as if
 *    another process had taken over; clients are sent away with retriable errors meanwhile.
 */
import { ErrorCode, KafkaError } from '../../protocol/errors.ts'
import type { Clock, Timer } from '../../protocol/lib/clock.ts'
import type { Random } from '../../protocol/lib/random.ts'
import { randomUuid } from '../../protocol/lib/uuid.ts'
import type { RelayConfig } from '../config.ts'
import type { Logger } from '../logger.ts'
import type { Files } from '../storage/files.ts'
import { ClassicGroup } from './classic-group.ts'
import { decodeRecord, encodeRecord, type GroupRecord } from './group-records.ts'
import {
  type GroupLimits,
  type Instant,
  type JoinReply,
  joinRefusal,
  type Outcome,
  type SyncReply,
  syncRefusal,
} from './group-state.ts'
import { KeyedLog, type KeyedLogOptions, type KeyedRecord } from './keyed-log.ts'
import type { JoinCommand, Leaver } from './membership.ts'
import { type CommittedOffset, GroupOffsets, type NewOffset, type TopicPartition } from './offsets.ts'
import type { MemberClaim, SyncCommand } from './sync.ts'
import { type OnceClosed, WaitingReplies } from './waiting-replies.ts'

/** Groups at a time; a client that makes up names must not fill the memory. */
const GROUPS_MAX = 100_000
/** After a failed append, until the log is read again. */
const RELOAD_DELAY_MS = 100

export type CoordinatorConfig = Pick<
  RelayConfig,
  | 'groupInitialRebalanceDelayMs'
  | 'groupMinSessionTimeoutMs'
  | 'groupMaxSessionTimeoutMs'
  | 'groupMaxSize'
  | 'offsetsRetentionMinutes'
  | 'offsetsRetentionCheckIntervalMs'
>

/** What the coordinator asks of whoever knows the topics. */
export interface TopicIds {
  topicByName(name: string): { id: string } | undefined
  topicById(id: string): unknown
}

export interface GroupCoordinatorOptions extends Pick<KeyedLogOptions, 'deadBytesMin' | 'segmentBytes'> {
  files: Files
  /** `groups` in the data folder. */
  dir: string
  config: CoordinatorConfig
  clock: Clock
  random: Random
  logger: Logger
  topics: TopicIds
}

export interface Group {
  readonly classic: ClassicGroup
  readonly offsets: GroupOffsets
}

interface HeldGroup extends Group {
  classic: ClassicGroup
  /** The group's newest record: what `classic` was when it last had assignments, or nobody. */
  kept: KeyedRecord | undefined
  timer: Timer | undefined
  timerAt: number
}

export type JoinRequest = Omit<JoinCommand, 'ticket' | 'newMemberId'>
export type SyncRequest = Omit<SyncCommand, 'ticket'>

export async function openGroupCoordinator(options: GroupCoordinatorOptions): Promise<GroupCoordinator> {
  const coordinator = new GroupCoordinator(options, await KeyedLog.open(options))
  await coordinator.load()
  return coordinator
}

export class GroupCoordinator {
  readonly #options: GroupCoordinatorOptions
  readonly #log: KeyedLog
  readonly #waiting = new WaitingReplies()
  readonly #limits: () => GroupLimits
  #groups = new Map<string, HeldGroup>()
  /** The error that every request gets; NONE when the state is that of the log. */
  #refusal: number = ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
  /** Grows with each loading, so that what belongs to a state that was dropped is recognised. */
  #epoch = 0
  #cleanUpTimer: Timer | undefined
  #reloadTimer: Timer | undefined
  #isClosed = false

  /** Use `openGroupCoordinator`. */
  constructor(options: GroupCoordinatorOptions, log: KeyedLog) {
    this.#options = options
    this.#log = log
    this.#limits = () => ({
      initialRebalanceDelayMs: options.config.groupInitialRebalanceDelayMs,
      sessionTimeoutMsMin: options.config.groupMinSessionTimeoutMs,
      sessionTimeoutMsMax: options.config.groupMaxSessionTimeoutMs,
      membersMax: options.config.groupMaxSize,
    })
  }

  /** Bytes that groups and commits take on disk. */
  get sizeBytes(): number {
    return this.#log.sizeBytes
  }

  /** Reads the log. A damaged one leaves the coordinator out of service and the rest of the relay alone. */
  async load(): Promise<void> {
    const epoch = ++this.#epoch
    const { logger, clock, config } = this.#options
    const groups = new Map<string, HeldGroup>()
    try {
      if (!this.#log.isOnline) throw new Error(this.#log.faultMessage ?? 'the log is offline')
      await this.#log.replay((stored) => {
        const record = decodeRecord(stored)
        if (record) this.#apply(groups, record)
      })
    } catch (error) {
      logger.error('consumer groups are out of service', { dir: this.#options.dir, error: String(error) })
      this.#refusal = ErrorCode.COORDINATOR_NOT_AVAILABLE
      return
    }
    if (this.#isClosed || epoch !== this.#epoch) return
    this.#groups = groups
    this.#refusal = ErrorCode.NONE
    for (const group of groups.values()) this.#arm(group)
    this.#cleanUpTimer?.cancel()
    this.#cleanUpTimer = clock.setTimer(config.offsetsRetentionCheckIntervalMs, () => this.#cleanUpAgain())
  }

  // --- members ---------------------------------------------------------------------------------------------------

  /** Resolves when the group has a new generation, or with an error. Never when the connection closes before. */
  join(groupId: string, request: JoinRequest, onceClosed: OnceClosed): Promise<JoinReply> {
    const refused = (errorCode: number) => Promise.resolve(joinRefusal(request.memberId, errorCode))
    if (this.#refusal !== ErrorCode.NONE) return refused(this.#refusal)
    let group = this.#groups.get(groupId)
    if (!group) {
      if (request.memberId !== '') return refused(ErrorCode.UNKNOWN_MEMBER_ID)
      if (this.#groups.size >= GROUPS_MAX) return refused(ErrorCode.POLICY_VIOLATION)
      group = this.#newGroup(this.#groups, groupId)
    }
    const name = request.groupInstanceId ?? request.clientId
    const newMemberId = `${name}-${randomUuid(this.#options.random)}`
    const { ticket, answered } = this.#waiting.join(onceClosed)
    this.#carryOut(group, group.classic.join({ ...request, newMemberId, ticket }, this.#now()))
    return answered
  }

  /** Resolves when the leader has handed in the assignments, or with an error. */
  sync(groupId: string, request: SyncRequest, onceClosed: OnceClosed): Promise<SyncReply> {
    const group = this.#groups.get(groupId)
    if (this.#refusal !== ErrorCode.NONE || !group) {
      return Promise.resolve(syncRefusal(this.#refusal || ErrorCode.UNKNOWN_MEMBER_ID))
    }
    const { ticket, answered } = this.#waiting.sync(onceClosed)
    this.#carryOut(group, group.classic.sync({ ...request, ticket }, this.#now()))
    return answered
  }

  /** An error code. */
  heartbeat(groupId: string, claim: MemberClaim): number {
    if (this.#refusal !== ErrorCode.NONE) return this.#refusal
    return this.#groups.get(groupId)?.classic.heartbeat(claim, this.#now()) ?? ErrorCode.UNKNOWN_MEMBER_ID
  }

  /** An error code for each. Throws KafkaError for all: UNKNOWN_MEMBER_ID when there is no such group. */
  leave(groupId: string, leavers: readonly Leaver[]): number[] {
    this.#checkReady()
    const group = this.#groups.get(groupId)
    if (!group) throw new KafkaError('UNKNOWN_MEMBER_ID', `there is no group ${groupId}`)
    const { outcome, errorCodes } = group.classic.leave(leavers, this.#now())
    this.#carryOut(group, outcome)
    return errorCodes
  }

  // --- offsets ---------------------------------------------------------------------------------------------------

  /**
   * Resolves when the offsets are on disk. Rejects with KafkaError when the claim is not good for the group
   * (ILLEGAL_GENERATION, UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID, REBALANCE_IN_PROGRESS), or nothing can be written.
   */
  async commit(groupId: string, claim: MemberClaim, offsets: readonly NewOffset[]): Promise<void> {
    this.checkCommit(groupId, claim)
    if (offsets.length === 0) return
    const committedAtMs = this.#options.clock.now()
    await this.#change(
      offsets.map(({ topicId, partition, ...committed }) => ({
        kind: 'offset',
        groupId,
        at: { topicId, partition },
        value: { ...committed, committedAtMs },
      })),
    )
  }

  /** Throws the KafkaError that a commit by this claim would reject with. */
  checkCommit(groupId: string, claim: MemberClaim): void {
    this.#checkReady()
    const group = this.#groups.get(groupId)
    if (!group) {
      if (claim.generationId >= 0) throw new KafkaError('ILLEGAL_GENERATION', `there is no group ${groupId}`)
      if (this.#groups.size >= GROUPS_MAX)
        throw new KafkaError('POLICY_VIOLATION', `there are ${GROUPS_MAX} groups already; delete some`)
      return
    }
    const errorCode = group.classic.commitError(claim, this.#now())
    if (errorCode !== ErrorCode.NONE)
      throw new KafkaError(errorCode, `${groupId} takes no commits from ${claim.memberId}`)
  }

  /** What is committed, on disk; undefined where nothing is. */
  async fetchOffsets(
    groupId: string,
    asked: readonly TopicPartition[] | 'all',
  ): Promise<Array<TopicPartition & { committed: CommittedOffset | undefined }>> {
    this.#checkReady()
    const offsets = this.#groups.get(groupId)?.offsets
    const found =
      asked === 'all'
        ? [...(offsets?.entries() ?? [])].map(([at, committed]) => ({ ...at, committed }))
        : asked.map((at) => ({ ...at, committed: offsets?.get(at) }))
    await this.#settled()
    return found
  }

  /**
   * An error code for each partition: GROUP_SUBSCRIBED_TO_TOPIC where a member reads the topic. Rejects with KafkaError
   * for all: GROUP_ID_NOT_FOUND, and NON_EMPTY_GROUP where it can't be known what the members read.
   */
  async deleteOffsets(groupId: string, asked: ReadonlyArray<TopicPartition & { name: string }>): Promise<number[]> {
    this.#checkReady()
    const group = this.#existing(groupId)
    const isEmpty = group.classic.phase === 'Empty'
    if (!isEmpty && group.classic.protocolType !== 'consumer')
      throw new KafkaError('NON_EMPTY_GROUP', `${groupId} has members that are no consumers`)
    const topics = isEmpty ? new Set<string>() : group.classic.subscribedTopics()
    const isRead = (name: string) => topics === null || topics.has(name)
    const doomed = asked.filter((at) => !isRead(at.name) && group.offsets.get(at) !== undefined)
    await this.#change(doomed.map(({ topicId, partition }) => noOffset(groupId, { topicId, partition })))
    return asked.map(({ name }) => (isRead(name) ? ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC : ErrorCode.NONE))
  }

  // --- administration --------------------------------------------------------------------------------------------

  /** Throws KafkaError while the coordinator is not ready. */
  *groups(): Generator<Group> {
    this.#checkReady()
    for (const group of this.#groups.values()) if (!isNothing(group)) yield group
  }

  /** Throws KafkaError while the coordinator is not ready. */
  group(groupId: string): Group | undefined {
    this.#checkReady()
    const group = this.#groups.get(groupId)
    return group && !isNothing(group) ? group : undefined
  }

  /** Rejects with KafkaError GROUP_ID_NOT_FOUND, NON_EMPTY_GROUP. */
  async deleteGroup(groupId: string): Promise<void> {
    this.#checkReady()
    const { classic } = this.#existing(groupId)
    if (classic.phase !== 'Empty') throw new KafkaError('NON_EMPTY_GROUP', `${groupId} has members`)
    await this.#change([{ kind: 'group', groupId, value: null }])
  }

  /** A topic is gone, and with it what was committed for it. */
  forgetTopic(topicId: string): void {
    if (this.#refusal !== ErrorCode.NONE) return
    const records: GroupRecord[] = []
    for (const [groupId, { offsets }] of this.#groups) {
      for (const at of offsets.partitionsOf(topicId)) records.push(noOffset(groupId, at))
    }
    this.#changeUnasked(records)
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#leaveService(ErrorCode.COORDINATOR_NOT_AVAILABLE)
    this.#reloadTimer?.cancel()
    await this.#log.close()
  }

  // --- state and log ---------------------------------------------------------------------------------------------

  /** Appends, applies, and resolves when it is on disk. Throws nothing in this turn. */
  async #change(records: readonly GroupRecord[]): Promise<void> {
    if (records.length === 0) return this.#settled()
    const epoch = this.#epoch
    const durable = this.#append(records)
    for (const record of records) this.#apply(this.#groups, record)
    this.#log.rewriteIfDue(() => this.#liveParts(epoch))?.catch((error: unknown) => this.#reportRewrite(error))
    try {
      await durable
    } catch (error) {
      this.#failOver(epoch, error)
      throw notWritten(error)
    }
  }

  #append(records: readonly GroupRecord[]): Promise<void> {
    try {
      return this.#log.append(records.map(encodeRecord))
    } catch (error) {
      throw notWritten(error)
    }
  }

  /** A change that nobody waits for. Where it can't be written now, it is found necessary again later. */
  #changeUnasked(records: readonly GroupRecord[]): void {
    this.#change(records).catch((error: unknown) => {
      this.#options.logger.warn('consumer group change not written', { error: String(error) })
    })
  }

  /** The one way in which lasting state changes, when it happens and when it is read again. */
  #apply(groups: Map<string, HeldGroup>, record: GroupRecord): void {
    const { groupId } = record
    if (record.kind === 'offset') {
      const group = groups.get(groupId)
      if (record.value) (group ?? this.#newGroup(groups, groupId)).offsets.set(record.at, record.value)
      else group?.offsets.remove(record.at)
      return
    }
    const held = groups.get(groupId)
    if (record.value === null) {
      held?.timer?.cancel()
      held?.classic.die(this.#now())
      groups.delete(groupId)
      return
    }
    const group = held ?? this.#newGroup(groups, groupId)
    group.kept = encodeRecord(record)
    // While in service the machine is ahead of its record.
    if (groups === this.#groups) return
    group.classic = ClassicGroup.restore(groupId, record.value, this.#limits, this.#now())
  }

  /** Sends replies, when need be after the record; sets the timer. */
  #carryOut(group: HeldGroup, outcome: Outcome): void {
    const { groupId } = group.classic
    if (outcome.mustPersist) {
      const epoch = this.#epoch
      this.#change([{ kind: 'group', groupId, value: group.classic.snapshot() }]).then(
        () => this.#answer(outcome),
        (error: unknown) => {
          this.#failOver(epoch, error)
          this.#answerWith(outcome, ErrorCode.NOT_COORDINATOR)
        },
      )
    } else this.#answer(outcome)
    if (isNothing(group) && group.classic.isUntouched) this.#drop(group)
    else this.#arm(group)
  }

  #answer(outcome: Outcome): void {
    for (const reply of outcome.replies) this.#waiting.answer(reply)
  }

  #answerWith({ replies }: Outcome, errorCode: number): void {
    for (const reply of replies) {
      const body = reply.kind === 'join' ? joinRefusal(reply.body.memberId, errorCode) : syncRefusal(errorCode)
      this.#waiting.answer({ ticket: reply.ticket, body })
    }
  }

  /** Heartbeats only move deadlines on, so a timer may fire early and is set again then. */
  #arm(group: HeldGroup): void {
    const deadline = group.classic.nextDeadline
    if (deadline === undefined || this.#groups.get(group.classic.groupId) !== group) {
      group.timer?.cancel()
      group.timer = undefined
      return
    }
    if (group.timer && group.timerAt <= deadline) return
    group.timer?.cancel()
    group.timerAt = deadline
    group.timer = this.#options.clock.setTimer(Math.max(0, deadline - this.#options.clock.monotonic()), () => {
      group.timer = undefined
      this.#carryOut(group, group.classic.expire(this.#now()))
    })
  }

  #failOver(epoch: number, error: unknown): void {
    if (epoch !== this.#epoch || this.#refusal !== ErrorCode.NONE) return
    this.#options.logger.warn('consumer groups are read again', { reason: String(error) })
    this.#leaveService(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)
    this.#reloadTimer = this.#options.clock.setTimer(RELOAD_DELAY_MS, () => void this.load())
  }

  #leaveService(refusal: number): void {
    this.#refusal = refusal
    this.#cleanUpTimer?.cancel()
    for (const group of this.#groups.values()) group.timer?.cancel()
    this.#groups = new Map()
    this.#waiting.answerAll((kind) =>
      kind === 'join' ? joinRefusal('', ErrorCode.NOT_COORDINATOR) : syncRefusal(ErrorCode.NOT_COORDINATOR),
    )
  }

  async #settled(): Promise<void> {
    try {
      await this.#log.settled()
    } catch (error) {
      throw notWritten(error)
    }
  }

  #reportRewrite(error: unknown): void {
    this.#options.logger.warn('consumer groups: old records are kept for now', { error: String(error) })
  }

  /** Group by group, each in one turn. Those made later are in the log behind the snapshot's start anyway. */
  *#liveParts(epoch: number): Generator<() => KeyedRecord[]> {
    for (const groupId of [...this.#groups.keys()]) {
      yield () => {
        if (epoch !== this.#epoch || this.#refusal !== ErrorCode.NONE) throw new Error('groups are being read again')
        const group = this.#groups.get(groupId)
        return group ? liveRecords(groupId, group) : []
      }
    }
  }

  // --- expiry ----------------------------------------------------------------------------------------------------

  #cleanUpAgain(): void {
    this.#cleanUp()
    const { clock, config } = this.#options
    this.#cleanUpTimer = clock.setTimer(config.offsetsRetentionCheckIntervalMs, () => this.#cleanUpAgain())
  }

  /** Forgets offsets whose time is over, those of topics that are gone, and groups of which nothing is left. */
  #cleanUp(): void {
    const { clock, config, topics } = this.#options
    const records: GroupRecord[] = []
    for (const [groupId, group] of this.#groups) {
      const { classic, offsets } = group
      const view = {
        phase: classic.phase,
        phaseSinceMs: classic.phaseSinceMs,
        protocolType: classic.protocolType,
        readTopicIds: this.#readTopicIds(classic),
      }
      const gone = offsets.topicIds().filter((topicId) => topics.topicById(topicId) === undefined)
      const expired = [
        ...offsets.expired(view, config.offsetsRetentionMinutes * 60_000, clock.now()),
        ...gone.flatMap((topicId) => offsets.partitionsOf(topicId)),
      ]
      const left = [...offsets.entries()].length - new Set(expired.map((at) => `${at.topicId}/${at.partition}`)).size
      if (left === 0 && classic.phase === 'Empty' && classic.nextDeadline === undefined)
        records.push({ kind: 'group', groupId, value: null })
      else for (const at of expired) records.push(noOffset(groupId, at))
    }
    this.#changeUnasked(records)
  }

  #readTopicIds(group: ClassicGroup): ReadonlySet<string> | null {
    const names = group.subscribedTopics()
    if (names === null) return null
    const ids = [...names].map((name) => this.#options.topics.topicByName(name)?.id)
    return new Set(ids.filter((id) => id !== undefined))
  }

  // --- groups ----------------------------------------------------------------------------------------------------

  #newGroup(groups: Map<string, HeldGroup>, groupId: string): HeldGroup {
    const classic = new ClassicGroup(groupId, this.#limits, this.#now())
    const group: HeldGroup = { classic, kept: undefined, offsets: new GroupOffsets(), timer: undefined, timerAt: 0 }
    groups.set(groupId, group)
    return group
  }

  #drop(group: HeldGroup): void {
    group.timer?.cancel()
    this.#groups.delete(group.classic.groupId)
  }

  #existing(groupId: string): HeldGroup {
    const group = this.#groups.get(groupId)
    if (!group || isNothing(group)) throw new KafkaError('GROUP_ID_NOT_FOUND', `there is no group ${groupId}`)
    return group
  }

  #checkReady(): void {
    if (this.#refusal !== ErrorCode.NONE) throw new KafkaError(this.#refusal, 'the group coordinator is not ready')
  }

  #now(): Instant {
    const { clock } = this.#options
    return { monotonicMs: clock.monotonic(), wallMs: clock.now() }
  }
}

/** A group in name only: somebody has asked for an id and not come back yet. */
function isNothing({ classic, offsets }: Group): boolean {
  return offsets.isEmpty && classic.phase === 'Empty' && classic.generationId === 0
}

const noOffset = (groupId: string, at: TopicPartition): GroupRecord => ({ kind: 'offset', groupId, at, value: null })

function liveRecords(groupId: string, { kept, offsets }: HeldGroup): KeyedRecord[] {
  const records: KeyedRecord[] = kept ? [kept] : []
  for (const [at, value] of offsets.entries()) records.push(encodeRecord({ kind: 'offset', groupId, at, value }))
  return records
}

/** Retriable in any case: nothing is wrong with the request. */
function notWritten(error: unknown): KafkaError {
  const message = error instanceof Error ? error.message : String(error)
  return new KafkaError('COORDINATOR_NOT_AVAILABLE', message, { cause: error })
}
