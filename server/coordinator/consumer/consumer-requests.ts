/**
 * Requests of members, of either protocol, to consumer groups: which group they are for, what their regular expressions
 * match, whether the group changes its protocol, and the answer when everything before it is on disk.
 */
import { KafkaError } from '../../../protocol/errors.ts'
import { JOIN_EPOCH } from '../../../protocol/messages/consumer-groups.ts'
import type { ClassicGroup } from '../classic-group.ts'
import type { GroupRecord } from '../group-records.ts'
import { type Instant, type JoinReply, joinRefusal, type Reply, type SyncReply, syncRefusal } from '../group-state.ts'
import type { HeldGroup } from '../held-group.ts'
import type { Leaver } from '../membership.ts'
import { type Settling, settle, unknownMember } from '../settle.ts'
import type { MemberClaim } from '../sync.ts'
import type { ClassicJoin, ClassicSync } from './classic-members.ts'
import type { ChangeOutcome, ConsumerGroup, HeartbeatReply } from './consumer-group.ts'
import type { ResolvedPattern } from './consumer-state.ts'
import type { HeartbeatCommand } from './membership.ts'
import { upgraded } from './migration.ts'
import type { TopicCatalog } from './topics.ts'

export interface ConsumerRequestsOptions extends Settling {
  topics: TopicCatalog
  now: () => Instant
  /** Whether a group with members of the classic protocol takes members of the next, if there are no more of them. */
  upgradedMembersMax: () => number
  /** Throws KafkaError when there is no room for one more group, or for more that members say of themselves. */
  checkRoom: (group: HeldGroup | undefined, command: HeartbeatCommand) => void
  /** Matches all topics that the member may know of. Rejects with KafkaError INVALID_REGULAR_EXPRESSION. */
  resolve: (regex: string, isVisible: (topic: string) => boolean) => Promise<ResolvedPattern>
  /** To those who wait in a classic group that is none any more. */
  answer: (reply: Reply) => void
}

/** The machine for a request, and what must be written before its own records when the group has become another. */
interface Found {
  machine: ConsumerGroup
  records: GroupRecord[]
  /** Whom it follows. */
  before?: ClassicGroup
}

export class ConsumerRequests {
  readonly #options: ConsumerRequestsOptions

  constructor(options: ConsumerRequestsOptions) {
    this.#options = options
  }

  async heartbeat(
    groupId: string,
    command: HeartbeatCommand,
    isVisible: (topic: string) => boolean,
  ): Promise<HeartbeatReply> {
    const { store, resolve } = this.#options
    store.checkReady()
    const regex = this.#find(groupId, command).machine.unresolvedPattern(command)
    const pattern = regex === undefined ? undefined : await resolve(regex, isVisible)
    // The group may be another one by now.
    if (pattern) store.checkReady()
    const { machine, records, before } = this.#find(groupId, command)
    const outcome = machine.heartbeat(command, pattern, this.#options.now())
    const replies = before?.handOver(this.#options.now()) ?? []
    await this.#settle(machine, { ...outcome, records: [...records, ...outcome.records] })
    for (const reply of replies) this.#options.answer(reply)
    return outcome.reply
  }

  async leave(
    groupId: string,
    command: Pick<HeartbeatCommand, 'memberId' | 'memberEpoch' | 'instanceId'>,
  ): Promise<HeartbeatReply> {
    this.#options.store.checkReady()
    const machine = this.#options.store.groups.get(groupId)?.machine
    if (machine?.type !== 'consumer') throw unknownMember(groupId, command.memberId)
    const outcome = machine.leave(command, this.#options.now())
    await this.#settle(machine, outcome)
    return outcome.reply
  }

  expire(machine: ConsumerGroup): void {
    // What cannot be written now is found necessary again when the state has been read anew.
    this.#settle(machine, machine.expire(this.#options.now())).catch(() => {})
  }

  // --- members of the classic protocol -------------------------------------------------------------------------------

  async joinClassic(machine: ConsumerGroup, command: ClassicJoin): Promise<JoinReply> {
    try {
      const outcome = machine.joinClassic(command, this.#options.now())
      await this.#settle(machine, outcome)
      return outcome.reply
    } catch (error) {
      return joinRefusal(command.memberId, codeOf(error))
    }
  }

  async syncClassic(machine: ConsumerGroup, command: ClassicSync): Promise<SyncReply> {
    try {
      const reply = machine.syncClassic(command, this.#options.now())
      await this.#options.store.settled()
      return reply
    } catch (error) {
      return syncRefusal(codeOf(error))
    }
  }

  heartbeatClassic(machine: ConsumerGroup, claim: MemberClaim): number {
    try {
      return machine.heartbeatClassic(claim, this.#options.now())
    } catch (error) {
      return codeOf(error)
    }
  }

  leaveClassic(machine: ConsumerGroup, leavers: readonly Leaver[]): number[] {
    const outcome = machine.leaveClassic(leavers, this.#options.now())
    this.#settle(machine, outcome).catch(() => {})
    return outcome.errorCodes
  }

  // --- effects -------------------------------------------------------------------------------------------------------

  /** A group comes to be, or changes its protocol, when somebody joins it who may. */
  #find(groupId: string, command: HeartbeatCommand): Found {
    const { store, checkRoom } = this.#options
    const known = store.groups.get(groupId)
    if (command.memberEpoch !== JOIN_EPOCH && !known) throw unknownMember(groupId, command.memberId)
    checkRoom(known, command)
    if (known?.machine.type === 'consumer') return { machine: known.machine, records: [] }
    if (known?.machine.type === 'share' || (known?.machine.type === 'streams' && !known.machine.isEmpty))
      throw new KafkaError('GROUP_ID_NOT_FOUND', `${groupId} is a ${known.machine.type} group`)
    if (known && command.memberEpoch !== JOIN_EPOCH)
      throw new KafkaError('GROUP_ID_NOT_FOUND', `${groupId} is a group of the classic protocol`)
    if (known?.machine.type === 'classic' && !known.machine.isEmpty) return this.#upgrade(known.machine)
    return { machine: store.newConsumerGroup(groupId, known?.machine), records: [] }
  }

  #upgrade(before: ClassicGroup): Found {
    const { store, topics, now, upgradedMembersMax } = this.#options
    if ([...before.members].length > upgradedMembersMax())
      throw new KafkaError('GROUP_ID_NOT_FOUND', `${before.groupId} is a group of the classic protocol`)
    const records = upgraded(before, topics)
    const machine = store.newConsumerGroup(before.groupId)
    for (const record of records) machine.restore(record)
    machine.resume(now())
    return { machine, records, before }
  }

  /** Resolves when it is on disk. */
  #settle(
    machine: ConsumerGroup,
    { records, downgrade }: Omit<ChangeOutcome, 'records'> & { records: GroupRecord[] },
  ): Promise<void> {
    const { groupId } = machine
    if (!downgrade) return settle(this.#options, machine, records)
    const classic = this.#options.store.newDowngradedGroup(groupId, downgrade)
    return settle(this.#options, classic, [{ kind: 'group', groupId, value: downgrade }])
  }
}

function codeOf(error: unknown): number {
  if (error instanceof KafkaError) return error.code
  throw error
}
