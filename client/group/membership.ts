/**
 * Being a member of a group, whichever protocol the group speaks: what the consumer above it is told, and what it may ask.
 *
 * Invariants: a partition is assigned once before it is revoked or lost; `revoke` is awaited before anybody else can get
 * the partitions, `lose` says that somebody else may have them already; after `failed` nothing more happens.
 */
import type { OttlaError } from '../errors.ts'
import type { Session } from '../session.ts'
import type { TopicPartition } from './topic-partition.ts'

/** By what right a member commits. `generation` is a member epoch in the consumer protocol (KIP-848). */
export interface MemberClaim {
  protocol: 'classic' | 'consumer'
  memberId: string
  generation: number
  groupInstanceId: string | null
}

/** 'joining': no member, or waiting for the others; 'member': has its part; 'left': over. */
export type MembershipState = 'joining' | 'member' | 'left'

export interface MembershipEvents {
  /** With ids where the group divides topics by them. */
  assign(partitions: ReadonlyArray<TopicPartition & { topicId?: string }>): void
  /** Resolves when nothing of them is worked on any more and what was done is committed. */
  revoke(partitions: readonly TopicPartition[]): Promise<void>
  lose(partitions: readonly TopicPartition[]): void
  /** State or claim are others than before. */
  changed(): void
  failed(error: OttlaError): void
}

export interface Membership {
  readonly state: MembershipState
  /** Undefined while it is no member of any generation. */
  readonly claim: MemberClaim | undefined
  readonly memberId: string
  readonly isLeader: boolean
  start(): void
  /** False: it was silent for so long that the group must be thought to have given its partitions to others. */
  holdsLease(): boolean
  /** The relay refused this claim with this error code. */
  refused(claim: MemberClaim, errorCode: number): void
  /**
   * The page is going, perhaps for good: `lastWords` and the farewell are sent at once, and all is lost. Joins again if
   * there is life after that.
   */
  stepOut(lastWords: (session: Session, claim: MemberClaim) => void): void
  /** Leaves the group, unless it is a static member's place that is kept for the next process. Idempotent. */
  leave(): Promise<void>
}
