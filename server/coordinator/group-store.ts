/**
 * Every group's state in memory, every lasting change of it in one log.
 *
 * Rules
 *  - State is changed and its record appended in one turn, so memory and log agree on the order of changes.
 *  - When an append fails, memory may say what the disk does not. All state is dropped and read from the log again, as if
 *    another process had taken over; everybody gets a retriable error meanwhile.
 */
import { ErrorCode, KafkaError } from '../../protocol/errors.ts'
import type { Clock, Timer } from '../../protocol/lib/clock.ts'
import type { Logger } from '../logger.ts'
import { StorageError } from '../storage/files.ts'
import { ClassicGroup, type GroupSnapshot } from './classic-group.ts'
import { ConsumerGroup } from './consumer/consumer-group.ts'
import { type ConsumerRecord, typeOfRecord } from './consumer/consumer-records.ts'
import type { AssignedType, ConsumerLimits } from './consumer/consumer-state.ts'
import type { TopicCatalog } from './consumer/topics.ts'
import { decodeRecord, encodeRecord, type GroupOverrides, type GroupRecord } from './group-records.ts'
import type { GroupLimits, Instant } from './group-state.ts'
import { type GroupMachine, generationOf, type HeldGroup, holdGroup, liveRecords, newTotals } from './held-group.ts'
import type { KeyedLog, KeyedRecord } from './keyed-log.ts'
import { ShareGroup, type ShareGroupLimits } from './share/share-group.ts'
import { SharePartition } from './share/share-partition.ts'
import { StreamsGroup, type StreamsLimits } from './streams/streams-group.ts'

/** After a failed append, until the log is read again. */
const RELOAD_DELAY_MS = 100
/** After the disk could not be read. */
const READ_AGAIN_MS = 1_000

export interface GroupStoreOptions {
  log: KeyedLog
  clock: Clock
  logger: Logger
  limits: () => GroupLimits
  consumerLimits: (groupId: string) => ConsumerLimits
  shareLimits: (groupId: string) => ShareGroupLimits
  streamsLimits: (groupId: string) => StreamsLimits
  topics: TopicCatalog
  /** The state is that of the log; called after each loading. */
  onLoaded: () => void
  /** The state is about to be dropped. */
  onDropping: () => void
  /** The group is no more. */
  onRemoved: (group: HeldGroup) => void
  /** These records are on disk. */
  onStored: (records: readonly GroupRecord[]) => void
}

type AssignedMachine = ConsumerGroup | ShareGroup | StreamsGroup

export class GroupStore {
  readonly #options: GroupStoreOptions
  #groups = new Map<string, HeldGroup>()
  /** By group id, whether there is such a group or not. */
  #configs = new Map<string, GroupOverrides>()
  #totals = newTotals()
  #refusal: number = ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
  #fault: string | undefined
  /** Grows with each loading, so that what belongs to a state that was dropped is recognised. */
  #epoch = 0
  #reloadTimer: Timer | undefined
  #isClosed = false

  constructor(options: GroupStoreOptions) {
    this.#options = options
  }

  /** The error that every request gets; NONE when the state is that of the log. */
  get refusal(): number {
    return this.#refusal
  }

  /** Why the log could not be read when it was last tried. */
  get fault(): string | undefined {
    return this.#fault
  }

  get groups(): ReadonlyMap<string, HeldGroup> {
    return this.#groups
  }

  get epoch(): number {
    return this.#epoch
  }

  get configs(): ReadonlyMap<string, GroupOverrides> {
    return this.#configs
  }

  /** What offsets of open transactions take. */
  get pendingBytes(): number {
    return this.#totals.pendingBytes.used
  }

  /** Partitions that share groups have begun to read. */
  get shareCount(): number {
    return this.#totals.shareCount.partitions
  }

  /** Throws KafkaError while the state is not that of the log. */
  checkReady(): void {
    if (this.#refusal !== ErrorCode.NONE) throw new KafkaError(this.#refusal, 'the group coordinator is not ready')
  }

  /** The log has not been read yet, but will be. */
  get isLoading(): boolean {
    return this.#refusal === ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
  }

  /**
   * Reads the log. A damaged one leaves the coordinator out of service and the rest of the relay alone; one that cannot be
   * read for the moment is tried again.
   */
  async load(): Promise<void> {
    const epoch = ++this.#epoch
    const { log, logger } = this.#options
    const groups = new Map<string, HeldGroup>()
    this.#totals = newTotals()
    this.#configs = new Map()
    try {
      if (!log.isOnline) throw new Error(log.faultMessage ?? 'the log is offline')
      await log.replay((stored) => {
        const record = decodeRecord(stored)
        if (record) this.#apply(groups, record)
      })
    } catch (error) {
      logger.error('consumer groups are out of service', { error: String(error) })
      this.#fault = error instanceof Error ? error.message : String(error)
      this.#refusal = ErrorCode.COORDINATOR_NOT_AVAILABLE
      if (log.isOnline && error instanceof StorageError) this.#readAgain()
      return
    }
    if (this.#isClosed || epoch !== this.#epoch) return
    for (const { machine } of groups.values()) if (machine.type !== 'classic') machine.resume(this.#now())
    this.#groups = groups
    this.#refusal = ErrorCode.NONE
    this.#fault = undefined
    this.#options.onLoaded()
  }

  #readAgain(): void {
    if (this.#isClosed) return
    this.#refusal = ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
    this.#reloadTimer = this.#options.clock.setTimer(READ_AGAIN_MS, () => void this.load())
  }

  /** Here and below: in place of `before`, which has no members, if there is such a group. */
  newClassicGroup(groupId: string, before?: GroupMachine): ClassicGroup {
    return new ClassicGroup(groupId, this.#options.limits, this.#now(), generationOf(before))
  }

  /** Members of the classic protocol that were in a group of the next; they agree anew among themselves. */
  newDowngradedGroup(groupId: string, snapshot: GroupSnapshot): ClassicGroup {
    const classic = this.#restoreClassic(groupId, snapshot)
    classic.rebalance(this.#now())
    return classic
  }

  newConsumerGroup(groupId: string, before?: GroupMachine): ConsumerGroup {
    const { consumerLimits, topics } = this.#options
    return new ConsumerGroup(groupId, () => consumerLimits(groupId), topics, this.#now(), generationOf(before))
  }

  newShareGroup(groupId: string): ShareGroup {
    const { shareLimits, topics } = this.#options
    return new ShareGroup(groupId, () => shareLimits(groupId), topics, this.#now())
  }

  newStreamsGroup(groupId: string, before?: GroupMachine): StreamsGroup {
    const { streamsLimits, topics } = this.#options
    return new StreamsGroup(groupId, () => streamsLimits(groupId), topics, this.#now(), generationOf(before))
  }

  /** A group that nothing is known of yet, or one without members that goes on with others. It lasts from its first record on. */
  put(machine: GroupMachine): HeldGroup {
    return this.#hold(this.#groups, machine)
  }

  /** For a group that has no records. */
  drop(group: HeldGroup): void {
    group.timer?.cancel()
    this.#groups.delete(group.machine.groupId)
  }

  /**
   * Appends, applies, and resolves when it is on disk. Rejects with COORDINATOR_NOT_AVAILABLE when it cannot be written;
   * throws nothing in this turn.
   */
  async change(records: readonly GroupRecord[]): Promise<void> {
    if (records.length === 0) return this.settled()
    const epoch = this.#epoch
    try {
      const durable = this.#options.log.append(records.map(encodeRecord))
      for (const record of records) this.#apply(this.#groups, record)
      this.#rewriteIfDue(epoch)
      await durable.catch((error: unknown) => {
        this.failOver(epoch, error)
        throw error
      })
      this.#options.onStored(records)
    } catch (error) {
      throw notWritten(error)
    }
  }

  /** The same for what memory has gone on with already: what cannot be written takes it back to what is on disk. */
  async changeAhead(records: readonly GroupRecord[]): Promise<void> {
    const epoch = this.#epoch
    try {
      await this.change(records)
    } catch (error) {
      this.failOver(epoch, error)
      throw error
    }
  }

  /** A change that nobody waits for. Where it can't be written now, it is found necessary again later. */
  changeUnasked(records: readonly GroupRecord[]): void {
    this.change(records).catch((error: unknown) => {
      this.#options.logger.warn('consumer group change not written', { error: String(error) })
    })
  }

  /** Resolves when everything appended so far is on disk: until then nobody may be told of it. */
  async settled(): Promise<void> {
    try {
      await this.#options.log.settled()
    } catch (error) {
      throw notWritten(error)
    }
  }

  /** Memory is ahead of what could be written in `epoch`: back to what is on disk. */
  failOver(epoch: number, error: unknown): void {
    if (epoch !== this.#epoch || this.#refusal !== ErrorCode.NONE) return
    this.#options.logger.warn('consumer groups are read again', { reason: String(error) })
    this.#leaveService(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)
    this.#reloadTimer = this.#options.clock.setTimer(RELOAD_DELAY_MS, () => void this.load())
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#leaveService(ErrorCode.COORDINATOR_NOT_AVAILABLE)
    this.#reloadTimer?.cancel()
    await this.#options.log.close()
  }

  #leaveService(refusal: number): void {
    this.#refusal = refusal
    this.#options.onDropping()
    for (const group of this.#groups.values()) {
      group.timer?.cancel()
      group.shares.clear()
    }
    this.#groups = new Map()
  }

  /** The one way in which lasting state changes, when it happens and when it is read again. */
  #apply(groups: Map<string, HeldGroup>, record: GroupRecord): void {
    const { groupId } = record
    const held = groups.get(groupId)
    // While in service the machines are ahead of their records.
    const isInService = groups === this.#groups
    if (record.kind === 'offset') {
      this.#applyOffset(groups, record)
    } else if (record.kind === 'failed') {
      held?.failed.set(record.at, record.range)
    } else if (record.kind === 'pending') {
      const { at, producerId, value } = record
      if (value) this.#heldOrNew(groups, groupId).pending.set(at, producerId, value)
      else held?.pending.remove(at, producerId)
    } else if (record.kind === 'config') {
      if (record.value) this.#configs.set(groupId, record.value)
      else this.#configs.delete(groupId)
    } else if (record.kind === 'share-state' || record.kind === 'share-update') {
      if (!isInService) this.#restoreShare(groups, record)
      else if (!record.value) held?.shares.remove(record.at)
    } else if (record.kind !== 'group') {
      if (!isInService) this.#assignedGroup(groups, record).restore(record)
    } else if (record.value === null) {
      held?.timer?.cancel()
      held?.pending.clear()
      held?.shares.clear()
      if (held?.machine.type === 'classic') held.machine.die(this.#now())
      groups.delete(groupId)
      if (held && isInService) this.#options.onRemoved(held)
    } else {
      const machine = isInService ? held!.machine : this.#restoreClassic(groupId, record.value)
      this.#hold(groups, machine).kept = encodeRecord(record)
    }
  }

  /** What was not finished is remembered for as long as it is known that the rest was. */
  #applyOffset(groups: Map<string, HeldGroup>, { groupId, at, value }: GroupRecord & { kind: 'offset' }): void {
    const group = value ? this.#heldOrNew(groups, groupId) : groups.get(groupId)
    if (value) group?.offsets.set(at, value)
    else group?.offsets.remove(at)
    group?.failed.removeBelow(at, value?.knownFrom ?? Number.POSITIVE_INFINITY)
  }

  #restoreClassic(groupId: string, snapshot: GroupSnapshot): ClassicGroup {
    return ClassicGroup.restore(groupId, snapshot, this.#options.limits, this.#now())
  }

  #assignedGroup(groups: Map<string, HeldGroup>, record: ConsumerRecord): AssignedMachine {
    const { groupId } = record
    const type = typeOfRecord(record)
    const known = groups.get(groupId)?.machine
    if (known?.type === type) return known
    const machine = this.#newAssignedGroup(type, groupId)
    this.#hold(groups, machine)
    return machine
  }

  #newAssignedGroup(type: AssignedType, groupId: string): AssignedMachine {
    if (type === 'share') return this.newShareGroup(groupId)
    return type === 'streams' ? this.newStreamsGroup(groupId) : this.newConsumerGroup(groupId)
  }

  #restoreShare(
    groups: Map<string, HeldGroup>,
    { groupId, at, kind, value }: GroupRecord & { kind: 'share-state' | 'share-update' },
  ): void {
    const shares = groups.get(groupId)?.shares
    if (!value) shares?.remove(at)
    else if (kind === 'share-state') shares?.set(at, SharePartition.restore(value))
    else shares?.get(at)?.partition.update(value)
  }

  #heldOrNew(groups: Map<string, HeldGroup>, groupId: string): HeldGroup {
    return groups.get(groupId) ?? this.#hold(groups, this.newClassicGroup(groupId))
  }

  /** In place of the machine that the group had, if it is known. */
  #hold(groups: Map<string, HeldGroup>, machine: GroupMachine): HeldGroup {
    const known = groups.get(machine.groupId)
    if (!known) {
      const group = holdGroup(machine, this.#totals)
      groups.set(machine.groupId, group)
      return group
    }
    if (known.machine !== machine) known.kept = undefined
    known.machine = machine
    return known
  }

  #rewriteIfDue(epoch: number): void {
    const { log, logger } = this.#options
    log
      .rewriteIfDue(() => this.#liveParts(epoch))
      ?.catch((error: unknown) =>
        logger.warn('consumer groups: old records are kept for now', { error: String(error) }),
      )
  }

  /** Group by group, each in one turn. Those made later are in the log behind the snapshot's start anyway. */
  *#liveParts(epoch: number): Generator<() => KeyedRecord[]> {
    const checkCurrent = () => {
      if (epoch !== this.#epoch || this.#refusal !== ErrorCode.NONE) throw new Error('groups are being read again')
    }
    yield () => {
      checkCurrent()
      return [...this.#configs].map(([groupId, value]) => encodeRecord({ kind: 'config', groupId, value }))
    }
    for (const groupId of [...this.#groups.keys()]) {
      yield () => {
        checkCurrent()
        const group = this.#groups.get(groupId)
        return group ? liveRecords(groupId, group) : []
      }
    }
  }

  #now(): Instant {
    const { clock } = this.#options
    return { monotonicMs: clock.monotonic(), wallMs: clock.now() }
  }
}

/** Retriable in any case: nothing is wrong with the request. */
function notWritten(error: unknown): KafkaError {
  const message = error instanceof Error ? error.message : String(error)
  return new KafkaError('COORDINATOR_NOT_AVAILABLE', message, { cause: error })
}
