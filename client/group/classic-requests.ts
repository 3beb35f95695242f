/** JoinGroup, SyncGroup, Heartbeat and LeaveGroup as a member says them. Each throws GroupRefusal for an error code. */
import { heartbeat, joinGroup, leaveGroup, syncGroup } from '../../protocol/messages/groups.ts'
import type { Session } from '../session.ts'
import { GroupCode, GroupRefusal } from './group-refusal.ts'

export interface ClassicIdentity {
  groupId: string
  groupInstanceId: string | null
  sessionTimeoutMs: number
  rebalanceTimeoutMs: number
}

export interface Joined {
  memberId: string
  generationId: number
  protocolName: string
  isLeader: boolean
  /** A static leader that came back to a stable group: nothing is to be assigned. */
  skipAssignment: boolean
  /** For the leader alone. */
  members: Array<{ memberId: string; groupInstanceId: string | null; metadata: Uint8Array }>
}

interface Protocol {
  name: string
  metadata: Uint8Array
}

/** The answer to a join may take as long as the slowest member does; this is for the way. */
const ANSWER_MARGIN_MS = 5_000
const PROTOCOL_TYPE = 'consumer'

export class ClassicRequests {
  readonly #session: Session
  readonly #identity: ClassicIdentity

  constructor(session: Session, identity: ClassicIdentity) {
    this.#session = session
    this.#identity = identity
  }

  /** Resolves with an id instead when the group wants to give one first. */
  async join(memberId: string, protocols: readonly Protocol[], reason: string): Promise<Joined | { newId: string }> {
    const { groupId, groupInstanceId, sessionTimeoutMs, rebalanceTimeoutMs } = this.#identity
    const answer = await this.#session.call(
      joinGroup,
      {
        ...{ groupId, memberId, groupInstanceId, sessionTimeoutMs, rebalanceTimeoutMs },
        ...{ protocolType: PROTOCOL_TYPE, protocols, reason },
      },
      { timeoutMs: rebalanceTimeoutMs + ANSWER_MARGIN_MS },
    )
    if (answer.errorCode === GroupCode.MEMBER_ID_REQUIRED) return { newId: answer.memberId }
    if (answer.errorCode !== 0) throw new GroupRefusal('joining', answer.errorCode)
    return {
      memberId: answer.memberId,
      generationId: answer.generationId,
      protocolName: answer.protocolName ?? '',
      isLeader: answer.leader === answer.memberId,
      skipAssignment: answer.skipAssignment,
      members: answer.members,
    }
  }

  async sync(
    { memberId, generationId, protocolName }: Joined,
    assignments: ReadonlyArray<{ memberId: string; assignment: Uint8Array }>,
  ): Promise<Uint8Array> {
    const { groupId, groupInstanceId, rebalanceTimeoutMs } = this.#identity
    const answer = await this.#session.call(
      syncGroup,
      {
        ...{ groupId, memberId, groupInstanceId, generationId, assignments },
        ...{ protocolType: PROTOCOL_TYPE, protocolName },
      },
      { timeoutMs: rebalanceTimeoutMs + ANSWER_MARGIN_MS },
    )
    if (answer.errorCode !== 0) throw new GroupRefusal('asking for its part', answer.errorCode)
    return answer.assignment
  }

  /** The error code: REBALANCE_IN_PROGRESS is news rather than a refusal. */
  async heartbeat(memberId: string, generationId: number): Promise<number> {
    const { groupId, groupInstanceId, sessionTimeoutMs } = this.#identity
    const answer = await this.#session.call(
      heartbeat,
      { groupId, generationId, memberId, groupInstanceId },
      { timeoutMs: sessionTimeoutMs },
    )
    return answer.errorCode
  }

  /** Errors are of no use to somebody who goes. */
  async leave(memberId: string): Promise<void> {
    const { groupId, groupInstanceId } = this.#identity
    const members = [{ memberId, groupInstanceId, reason: 'the consumer was closed' }]
    await this.#session.call(leaveGroup, { groupId, memberId, members }).catch(() => {})
  }
}
