/**
 * What groups have in common whose coordinator assigns (consumer, share, streams): who is in them, how far they are, and how
 * they are kept. What members say, and what follows from it, is each type's own.
 */
import type { Instant } from '../group-state.ts'
import { allRecords, type ConsumerRecord } from './consumer-records.ts'
import type { Changes, ConsumerState } from './consumer-state.ts'
import type { ConsumerMember } from './member.ts'
import { restore, resume } from './restore.ts'
import type { TopicCatalog } from './topics.ts'

export abstract class AssignedGroup<L extends { sessionTimeoutMs: number }> {
  protected readonly state: ConsumerState
  protected readonly limits: () => L
  protected readonly topics: TopicCatalog

  constructor(state: ConsumerState, limits: () => L, topics: TopicCatalog) {
    this.state = state
    this.limits = limits
    this.topics = topics
  }

  get groupId(): string {
    return this.state.groupId
  }

  get epoch(): number {
    return this.state.epoch
  }

  get assignmentEpoch(): number {
    return this.state.assignmentEpoch
  }

  get phaseSinceMs(): number {
    return this.state.sinceMs
  }

  get isEmpty(): boolean {
    return this.state.members.size === 0
  }

  /** It never had a member. */
  get wasNeverUsed(): boolean {
    return this.state.epoch === 0
  }

  get members(): Iterable<Readonly<ConsumerMember>> {
    return this.state.members.values()
  }

  /** Monotonic; undefined when nothing will happen by itself. May be early: `expire` does what is due, if anything. */
  get nextDeadline(): number | undefined {
    return Number.isFinite(this.state.wakeAt) ? this.state.wakeAt : undefined
  }

  records(): ConsumerRecord[] {
    return allRecords(this.state)
  }

  /** A record that is read again; the newest of each key holds. */
  restore(record: ConsumerRecord): void {
    restore(this.state, record)
  }

  /** All records have been read: members have a whole session to show up in. */
  resume(at: Instant): void {
    resume(this.state, this.limits(), at)
  }

  /** The group has another phase from now on. */
  protected since(at: Instant, changes: Changes): void {
    this.state.sinceMs = at.wallMs
    changes.hasGroup = true
  }
}
