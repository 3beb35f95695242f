/** Who may come into a group: as far as there is room for one more, and for what it says of itself. */
import { ErrorCode, KafkaError } from '../../protocol/errors.ts'
import type { JoinRequest } from './classic-requests.ts'
import { sizeOfSubscription } from './consumer/member.ts'
import type { HeartbeatCommand } from './consumer/membership.ts'
import type { CoordinatorConfig } from './group-configs.ts'
import { sizeOfMember } from './group-member.ts'
import type { HeldGroup } from './held-group.ts'
import { GROUPS_MAX } from './offset-requests.ts'

/** What the members of all groups may say of themselves together. */
export const MEMBER_BYTES_MAX = 64 * 1024 * 1024

export type Newcomer = Pick<HeartbeatCommand, 'subscribedNames' | 'subscribedRegex' | 'memberId'>

export interface AdmissionOptions {
  config: CoordinatorConfig
  groupCount: () => number
}

export class Admission {
  readonly #options: AdmissionOptions
  #memberBytes = 0

  constructor(options: AdmissionOptions) {
    this.#options = options
  }

  /** These are all the groups there are. */
  countAnew(groups: Iterable<HeldGroup>): void {
    this.#memberBytes = 0
    for (const group of groups) this.count(group)
  }

  /** The group, or what its members say, has changed. */
  count(group: HeldGroup): void {
    const { sizeBytes } = group.machine
    this.#memberBytes += sizeBytes - group.memberBytes
    group.memberBytes = sizeBytes
  }

  /** There is no such group any more. */
  forget(group: HeldGroup): void {
    this.#memberBytes -= group.memberBytes
    group.memberBytes = 0
  }

  /** NONE, or why this member of the classic protocol can't be taken in. */
  joinError(request: JoinRequest, group: HeldGroup | undefined): number {
    const { groupMinSessionTimeoutMs, groupMaxSessionTimeoutMs } = this.#options.config
    if (!group && request.memberId !== '') return ErrorCode.UNKNOWN_MEMBER_ID
    const isTooMuch = !this.#hasRoomFor(sizeOfMember({ ...request, memberId: '' }))
    if (isTooMuch || (!group && this.#isFull)) return ErrorCode.POLICY_VIOLATION
    const { sessionTimeoutMs } = request
    const isInRange = sessionTimeoutMs >= groupMinSessionTimeoutMs && sessionTimeoutMs <= groupMaxSessionTimeoutMs
    return isInRange ? ErrorCode.NONE : ErrorCode.INVALID_SESSION_TIMEOUT
  }

  /** The same for the other protocols. Throws KafkaError. */
  check(group: HeldGroup | undefined, { subscribedNames, subscribedRegex, memberId }: Newcomer): void {
    if (!group && this.#isFull)
      throw new KafkaError('POLICY_VIOLATION', `there are ${GROUPS_MAX} groups already; delete some`)
    if (subscribedNames === null && subscribedRegex === null) return
    if (!this.#hasRoomFor(sizeOfSubscription(memberId, subscribedNames ?? [], subscribedRegex)))
      throw new KafkaError('POLICY_VIOLATION', 'the members of all groups subscribe to more than the relay can hold')
  }

  get #isFull(): boolean {
    return this.#options.groupCount() >= GROUPS_MAX
  }

  #hasRoomFor(sizeBytes: number): boolean {
    return this.#memberBytes + sizeBytes <= MEMBER_BYTES_MAX
  }
}
