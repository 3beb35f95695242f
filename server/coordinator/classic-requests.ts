/**
 * Requests of members of the classic protocol. Joins and syncs wait here for other members; an answer that tells of a
 * change goes out when that is on disk. A group of the next protocol takes such members as well (consumer/).
 */
import { ErrorCode, KafkaError } from '../../protocol/errors.ts'
import type { ClassicGroup } from './classic-group.ts'
import type { ConsumerRequests } from './consumer/consumer-requests.ts'
import {
  type Instant,
  type JoinReply,
  joinRefusal,
  type Outcome,
  type Reply,
  type SyncReply,
  syncRefusal,
} from './group-state.ts'
import type { GroupStore } from './group-store.ts'
import { type GroupMachine, type HeldGroup, isNothing } from './held-group.ts'
import type { JoinCommand, Leaver } from './membership.ts'
import type { MemberClaim, SyncCommand } from './sync.ts'
import { type OnceClosed, WaitingReplies } from './waiting-replies.ts'

export type JoinRequest = Omit<JoinCommand, 'ticket' | 'newMemberId'>
export type SyncRequest = Omit<SyncCommand, 'ticket'>

export interface ClassicRequestsOptions {
  store: GroupStore
  consumers: ConsumerRequests
  now: () => Instant
  newMemberId: (request: JoinRequest) => string
  /** NONE, or why this member can't be taken in. */
  joinError: (request: JoinRequest, group: HeldGroup | undefined) => number
  /** The group has changed: what it takes, and when it must be looked at. */
  onChanged: (group: HeldGroup) => void
}

export class ClassicRequests {
  readonly #options: ClassicRequestsOptions
  readonly #waiting = new WaitingReplies()

  constructor(options: ClassicRequestsOptions) {
    this.#options = options
  }

  get waitingCount(): number {
    return this.#waiting.size
  }

  /** Resolves when the group has a new generation, or with an error. Never when the connection closes before. */
  join(groupId: string, request: JoinRequest, onceClosed: OnceClosed): Promise<JoinReply> {
    const { store, consumers, now, newMemberId, joinError } = this.#options
    const known = store.groups.get(groupId)
    const errorCode = store.refusal || joinError(request, known)
    if (errorCode !== ErrorCode.NONE) return Promise.resolve(joinRefusal(request.memberId, errorCode))
    const command = { ...request, newMemberId: newMemberId(request) }
    if (known?.machine.type === 'consumer' && !known.machine.isEmpty)
      return consumers.joinClassic(known.machine, command)
    if (known?.machine.type === 'share' || (known?.machine.type === 'streams' && !known.machine.isEmpty))
      return Promise.resolve(joinRefusal(request.memberId, ErrorCode.INCONSISTENT_GROUP_PROTOCOL))
    const machine = known?.machine.type === 'classic' ? known.machine : store.newClassicGroup(groupId, known?.machine)
    const group = store.put(machine)
    const { ticket, answered } = this.#waiting.join(onceClosed)
    this.#carryOut(group, machine, machine.join({ ...command, ticket }, now()))
    return answered
  }

  /** Resolves when the leader has handed in the assignments, or with an error. Never when the connection closes before. */
  sync(groupId: string, request: SyncRequest, onceClosed: OnceClosed): Promise<SyncReply> {
    const { store, consumers, now } = this.#options
    const group = store.groups.get(groupId)
    if (!group) return Promise.resolve(syncRefusal(store.refusal || ErrorCode.UNKNOWN_MEMBER_ID))
    const { machine } = group
    if (machine.type === 'consumer') return consumers.syncClassic(machine, request)
    if (machine.type !== 'classic') return Promise.resolve(syncRefusal(ErrorCode.UNKNOWN_MEMBER_ID))
    const { ticket, answered } = this.#waiting.sync(onceClosed)
    this.#carryOut(group, machine, machine.sync({ ...request, ticket }, now()))
    return answered
  }

  /** An error code. */
  heartbeat(groupId: string, claim: MemberClaim): number {
    const { store, consumers, now } = this.#options
    const machine = store.groups.get(groupId)?.machine
    if (!machine || machine.type === 'share' || machine.type === 'streams')
      return store.refusal || ErrorCode.UNKNOWN_MEMBER_ID
    return machine.type === 'classic' ? machine.heartbeat(claim, now()) : consumers.heartbeatClassic(machine, claim)
  }

  /** An error code for each. Throws KafkaError for all: UNKNOWN_MEMBER_ID when there is no such group. */
  leave(groupId: string, leavers: readonly Leaver[]): number[] {
    const { store, consumers, now } = this.#options
    store.checkReady()
    const group = store.groups.get(groupId)
    if (!group || group.machine.type === 'share' || group.machine.type === 'streams')
      throw new KafkaError('UNKNOWN_MEMBER_ID', `there is no consumer group ${groupId}`)
    const { machine } = group
    if (machine.type === 'consumer') return consumers.leaveClassic(machine, leavers)
    const { outcome, errorCodes } = machine.leave(leavers, now())
    this.#carryOut(group, machine, outcome)
    return errorCodes
  }

  expire(group: HeldGroup, machine: ClassicGroup): void {
    this.#carryOut(group, machine, machine.expire(this.#options.now()))
  }

  answer(reply: Reply): void {
    this.#waiting.answer(reply)
  }

  /** The state is dropped: whoever waits looks for the coordinator again. */
  dismissAll(): void {
    const code = ErrorCode.NOT_COORDINATOR
    this.#waiting.answerAll((kind) => (kind === 'join' ? joinRefusal('', code) : syncRefusal(code)))
  }

  /** Sends replies, none that shows what is not on disk. */
  #carryOut(group: HeldGroup, machine: ClassicGroup & GroupMachine, outcome: Outcome): void {
    const { store, onChanged } = this.#options
    if (outcome.mustPersist) this.#persist(machine, outcome)
    else this.#answerWhenSettled(outcome)
    if (isNothing(group) && machine.isUntouched) store.drop(group)
    onChanged(group)
  }

  /** Nothing of this is new, but what a reply shows may still be on its way to the disk. */
  #answerWhenSettled({ replies }: Outcome): void {
    const showing = replies.filter(({ body }) => body.errorCode === ErrorCode.NONE)
    for (const reply of replies) if (!showing.includes(reply)) this.#waiting.answer(reply)
    if (showing.length === 0) return
    const { store } = this.#options
    const { epoch } = store
    store.settled().then(
      () => {
        for (const reply of showing) this.#waiting.answer(reply)
      },
      (error: unknown) => store.failOver(epoch, error),
    )
  }

  #persist(machine: ClassicGroup, { replies }: Outcome): void {
    const { store } = this.#options
    const { epoch } = store
    store.change([{ kind: 'group', groupId: machine.groupId, value: machine.snapshot() }]).then(
      () => {
        for (const reply of replies) this.#waiting.answer(reply)
      },
      // The machine has gone on already. Whoever waits is answered when its state is dropped.
      (error: unknown) => store.failOver(epoch, error),
    )
  }
}
