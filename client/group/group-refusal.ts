/**
 * The error codes that a group answers with, by what a member does about them.
 *
 * Numbers as in protocol/errors.ts, which is not loaded for them: pages load this on demand, and it should stay small.
 */
import { OttlaError } from '../errors.ts'
import { isTransient, kafkaFailure } from '../kafka-failure.ts'
import { relayError } from '../relay-errors.ts'
import { groupError } from './errors.ts'

export const GroupCode = {
  COORDINATOR_LOAD_IN_PROGRESS: 14,
  COORDINATOR_NOT_AVAILABLE: 15,
  NOT_COORDINATOR: 16,
  ILLEGAL_GENERATION: 22,
  INCONSISTENT_GROUP_PROTOCOL: 23,
  INVALID_GROUP_ID: 24,
  UNKNOWN_MEMBER_ID: 25,
  INVALID_SESSION_TIMEOUT: 26,
  REBALANCE_IN_PROGRESS: 27,
  GROUP_AUTHORIZATION_FAILED: 30,
  GROUP_ID_NOT_FOUND: 69,
  MEMBER_ID_REQUIRED: 79,
  GROUP_MAX_SIZE_REACHED: 81,
  FENCED_INSTANCE_ID: 82,
  FENCED_MEMBER_EPOCH: 110,
  UNRELEASED_INSTANCE_ID: 111,
  UNSUPPORTED_ASSIGNOR: 112,
  STALE_MEMBER_EPOCH: 113,
  INVALID_REGULAR_EXPRESSION: 128,
} as const

/** A group said no. Caught by the membership, which knows what to do. */
export class GroupRefusal extends Error {
  override readonly name = 'GroupRefusal'
  readonly errorCode: number
  /** What the relay says about it; empty when nothing. */
  readonly reason: string

  constructor(what: string, errorCode: number, reason: string | null = null) {
    super(`${what} was refused with Kafka error ${errorCode}${reason ? `: ${reason}` : ''}`)
    this.errorCode = errorCode
    this.reason = reason ?? ''
  }
}

/** Only time is needed. */
export const isTemporary = (errorCode: number): boolean =>
  errorCode === GroupCode.NOT_COORDINATOR || isTransient(errorCode)

/** The group knows no such member, or not in this generation or epoch: a matter for the membership. */
export const isAboutClaim = (errorCode: number): boolean =>
  errorCode === GroupCode.ILLEGAL_GENERATION ||
  errorCode === GroupCode.UNKNOWN_MEMBER_ID ||
  errorCode === GroupCode.FENCED_INSTANCE_ID ||
  errorCode === GroupCode.FENCED_MEMBER_EPOCH ||
  errorCode === GroupCode.STALE_MEMBER_EPOCH

/** What an application is told when a group will not have it. */
export function refusalError(groupId: string, { errorCode, message, reason }: GroupRefusal): OttlaError {
  const kafkaCode = errorCode
  switch (errorCode) {
    case GroupCode.FENCED_INSTANCE_ID:
      return groupError('FENCED', {
        message: `another process took this static member's place in group ${groupId}`,
        kafkaCode,
      })
    case GroupCode.INCONSISTENT_GROUP_PROTOCOL:
      return groupError('GROUP_MISMATCH', {
        message: `the members of group ${groupId} know none of this consumer's assignors, or are no consumers`,
        kafkaCode,
      })
    case GroupCode.UNRELEASED_INSTANCE_ID:
      return groupError('FENCED', {
        message: `another process is this static member of group ${groupId}, and does not go`,
        kafkaCode,
      })
    case GroupCode.GROUP_ID_NOT_FOUND:
      return groupError('GROUP_MISMATCH', {
        message: `the members of group ${groupId} speak the classic protocol, and the relay does not let the group go on with another`,
        hint: "use groupProtocol 'classic', or see the relay's group.consumer.migration.policy",
        kafkaCode,
      })
    case GroupCode.UNSUPPORTED_ASSIGNOR:
      return new OttlaError('INVALID_ARGUMENT', {
        message: `group ${groupId}: the relay has no such serverAssignor${reason && `: ${reason}`}`,
        hint: "see the relay's group.consumer.assignors",
        kafkaCode,
      })
    case GroupCode.INVALID_REGULAR_EXPRESSION:
      return new OttlaError('INVALID_ARGUMENT', {
        message: `group ${groupId}: the relay cannot read this pattern${reason && `: ${reason}`}`,
        kafkaCode,
      })
    case GroupCode.INVALID_SESSION_TIMEOUT:
      return new OttlaError('INVALID_ARGUMENT', {
        message: `group ${groupId}: the relay does not allow this sessionTimeoutMs`,
        hint: "see the relay's group.min.session.timeout.ms and group.max.session.timeout.ms",
        kafkaCode,
      })
    case GroupCode.INVALID_GROUP_ID:
      return new OttlaError('INVALID_ARGUMENT', { message: `'${groupId}' cannot be the name of a group`, kafkaCode })
    case GroupCode.GROUP_AUTHORIZATION_FAILED:
      return relayError('NOT_AUTHORIZED', { message: `group ${groupId} may not be used by this client`, kafkaCode })
    default:
      return kafkaFailure(errorCode, `group ${groupId}: ${message}`)
  }
}
