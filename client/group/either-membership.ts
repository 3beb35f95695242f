/**
 * A member of the consumer protocol, or of the classic one where the relay or the group does not have the other: decided
 * once, by the first answer.
 */
import type { OttlaError } from '../errors.ts'
import type { Session } from '../session.ts'
import { GroupCode } from './group-refusal.ts'
import type { MemberClaim, Membership, MembershipEvents, MembershipState } from './membership.ts'

type New = (events: MembershipEvents) => Membership

export class EitherMembership implements Membership {
  readonly #events: MembershipEvents
  readonly #newClassic: New
  #current: Membership
  #isDecided = false

  constructor(events: MembershipEvents, newConsumer: New, newClassic: New) {
    this.#events = events
    this.#newClassic = newClassic
    this.#current = newConsumer({
      ...events,
      changed: () => {
        this.#isDecided ||= this.#current.claim !== undefined
        events.changed()
      },
      failed: (error) => this.#failed(error),
    })
  }

  get state(): MembershipState {
    return this.#current.state
  }

  get claim(): MemberClaim | undefined {
    return this.#current.claim
  }

  get memberId(): string {
    return this.#current.memberId
  }

  get isLeader(): boolean {
    return this.#current.isLeader
  }

  start(): void {
    this.#current.start()
  }

  holdsLease(): boolean {
    return this.#current.holdsLease()
  }

  refused(claim: MemberClaim, errorCode: number): void {
    this.#current.refused(claim, errorCode)
  }

  stepOut(lastWords: (session: Session, claim: MemberClaim) => void): void {
    this.#current.stepOut(lastWords)
  }

  leave(): Promise<void> {
    return this.#current.leave()
  }

  #failed(error: OttlaError): void {
    const isUnspoken = error.code === 'UNSUPPORTED' || error.kafkaCode === GroupCode.GROUP_ID_NOT_FOUND
    if (this.#isDecided || !isUnspoken) return this.#events.failed(error)
    this.#isDecided = true
    this.#current = this.#newClassic(this.#events)
    this.#current.start()
    this.#events.changed()
  }
}
