/**
 * A member of a group that the relay divides (KIP-848): one heartbeat joins, says what is read, and hears what is to be.
 *
 *     join (epoch 0) ──> member, beating ──told an assignment──> let go of what is not in it ──> take what is new
 *                           │     ^                                        └──> say so at once, others wait for it
 *                           │     └───────────────────────────────────────────────────────┘
 *                           └──silent too long, or fenced: all is lost──> join anew, under the same id
 *
 * Invariants: a partition is said to be let go of only when its handler has finished and its last offset is committed;
 * heartbeats go on meanwhile; what was told in an earlier life (before all was lost) changes nothing any more.
 */
import type { Clock, Timer } from '../../protocol/lib/clock.ts'
import type { Random } from '../../protocol/lib/random.ts'
import { JOIN_EPOCH } from '../../protocol/messages/consumer-groups.ts'
import { Backoff } from '../backoff.ts'
import { asOttlaError, type OttlaError } from '../errors.ts'
import type { Session, TopicDirectory } from '../session.ts'
import {
  type BeatAnswer,
  ConsumerHeartbeat,
  type ConsumerIdentity,
  type OwnedPartition,
  type PartitionsOfId,
} from './consumer-heartbeat.ts'
import { GroupCode, GroupRefusal, isTemporary, refusalError } from './group-refusal.ts'
import { groupSessionTimeoutMs } from './group-session.ts'
import { Heartbeats } from './heartbeats.ts'
import { Lease, type LeaseMark } from './lease.ts'
import type { MemberClaim, Membership, MembershipEvents, MembershipState } from './membership.ts'

export interface ConsumerMembershipOptions extends ConsumerIdentity {
  /** Of its own; closed with the membership. */
  session: Session
  /** Of those who read: what it learns of a topic's new id they learn. */
  directory: Pick<TopicDirectory, 'lookUpId'>
  clock: Clock
  random: Random
  /** Believed where the relay does not tell the group's. */
  sessionTimeoutMs: number
  events: MembershipEvents
}

const RETRY = { delayMsFirst: 100, delayMsMax: 5_000 }
/** A broken or hostile answer must not make a timer spin, nor stand still. */
const INTERVAL_MS = { min: 20, max: 60_000 }
/** After stepping out: a page that is still there by then has come back. */
const COME_BACK_MS = 1_000
/** A process that crashed is a static member for one more session. */
const UNRELEASED_MARGIN_MS = 10_000
const UNRELEASED_RETRY_MS = 1_000

export class ConsumerMembership implements Membership {
  readonly isLeader = false
  readonly #options: ConsumerMembershipOptions
  readonly #requests: ConsumerHeartbeat
  readonly #lease: Lease
  readonly #backoff: Backoff
  #heartbeats: Heartbeats | undefined
  #unlisten: () => void = () => {}
  #state: MembershipState = 'joining'
  #epoch = JOIN_EPOCH
  /** Grows when all is lost. */
  #life = 0
  #owned: OwnedPartition[] = []
  /** What the group wants this member to read; undefined before it has said so. */
  #target: readonly PartitionsOfId[] | undefined
  #isReconciling = false
  /** The target, or what is owned, is another than when it was last looked at. */
  #mustReconcile = false
  /** Of which the group was told what is read. */
  #saidOf: readonly PartitionsOfId[] | undefined
  /** A topic of the target could not be looked up: it is tried again. */
  #isIncomplete = false
  #mustSayAll = true
  #mustSayOwned = false
  #leaseTimer: Timer | undefined
  #unreleasedSinceMs: number | undefined
  #leaving: Promise<void> | undefined

  constructor(options: ConsumerMembershipOptions) {
    const { session, clock, random, sessionTimeoutMs } = options
    this.#options = options
    this.#requests = new ConsumerHeartbeat(session, options)
    this.#lease = new Lease(clock, sessionTimeoutMs)
    this.#backoff = new Backoff(clock, random, RETRY)
  }

  get state(): MembershipState {
    return this.#state
  }

  get memberId(): string {
    return this.#options.memberId
  }

  get claim(): MemberClaim | undefined {
    if (this.#epoch === JOIN_EPOCH) return undefined
    const { memberId, groupInstanceId } = this.#options
    return { protocol: 'consumer', memberId, generation: this.#epoch, groupInstanceId }
  }

  start(): void {
    const { session, clock } = this.#options
    this.#heartbeats = new Heartbeats({ session, clock, firstInMs: 0, beat: () => this.#beat() })
    this.#unlisten = session.onState(() => this.#heartbeats?.hurry())
  }

  holdsLease(): boolean {
    if (this.#epoch === JOIN_EPOCH) return false
    if (this.#lease.holds) return true
    this.#lose()
    this.#heartbeats?.hurry()
    return false
  }

  refused(claim: MemberClaim, errorCode: number): void {
    // Of an epoch that is over meanwhile: the next try says the new one.
    if (this.#state === 'left' || claim.generation !== this.#epoch) return
    if (errorCode === GroupCode.FENCED_INSTANCE_ID) return this.#fail(new GroupRefusal('a commit', errorCode))
    // In a newer epoch of its own the group tells the member, if it asks.
    if (errorCode === GroupCode.UNKNOWN_MEMBER_ID || errorCode === GroupCode.FENCED_MEMBER_EPOCH) this.#lose()
    this.#mustSayAll = true
    this.#heartbeats?.hurry()
  }

  stepOut(lastWords: (session: Session, claim: MemberClaim) => void): void {
    const { claim } = this
    if (!claim || this.#state === 'left') return
    lastWords(this.#options.session, claim)
    void this.#requests.leave()
    this.#lose()
    this.#heartbeats?.postpone(COME_BACK_MS)
  }

  leave(): Promise<void> {
    this.#leaving ??= this.#leave()
    return this.#leaving
  }

  async #leave(): Promise<void> {
    const { session } = this.#options
    this.#end()
    // A join may be on its way, so that it is not known whether there is a member to take leave for.
    if (session.state.phase === 'live') await this.#requests.leave()
    await session.close()
  }

  /** Resolves with the time until the next. */
  async #beat(): Promise<number> {
    const { session } = this.#options
    const { phase } = session.state
    // The session comes back by itself, and then this is called again.
    if (phase !== 'live' && phase !== 'closed') return INTERVAL_MS.max
    const life = this.#life
    const sentAt = this.#lease.now()
    const isFull = this.#mustSayAll
    const owned = isFull || this.#mustSayOwned ? this.#owned : undefined
    this.#mustSayAll = this.#mustSayOwned = false
    try {
      const answer = await this.#requests.beat({ memberEpoch: this.#epoch, isFull, owned })
      return life === this.#life ? this.#heard(answer, sentAt) : COME_BACK_MS
    } catch (error) {
      this.#mustSayAll = true
      return life === this.#life ? this.#notHeard(error) : COME_BACK_MS
    }
  }

  #heard({ memberEpoch, heartbeatIntervalMs, assignment }: BeatAnswer, sentAt: LeaseMark): number {
    if (this.#state === 'left') return INTERVAL_MS.max
    const isNew = this.#epoch === JOIN_EPOCH
    this.#backoff.reset()
    this.#unreleasedSinceMs = undefined
    this.#lease.renew(sentAt)
    this.#watchLease()
    if (memberEpoch !== this.#epoch) {
      this.#epoch = memberEpoch
      this.#setState('member')
    }
    if (isNew) void this.#learnSession()
    if (assignment) this.#target = assignment
    if (assignment || this.#isIncomplete) void this.#reconcile()
    return Math.min(Math.max(heartbeatIntervalMs, INTERVAL_MS.min), INTERVAL_MS.max)
  }

  #notHeard(error: unknown): number {
    if (this.#state === 'left') return INTERVAL_MS.max
    if (error instanceof GroupRefusal) this.#wasRefused(error)
    else {
      const known = asOttlaError(error, 'PROTOCOL')
      if (!known.retriable && known.code !== 'NEEDS_AUTH') this.#fail(known)
    }
    return this.#unreleasedSinceMs === undefined ? this.#backoff.nextDelayMs() : UNRELEASED_RETRY_MS
  }

  #wasRefused(refusal: GroupRefusal): void {
    const { errorCode } = refusal
    const isMember = this.#epoch !== JOIN_EPOCH
    const isFenced =
      errorCode === GroupCode.UNKNOWN_MEMBER_ID ||
      errorCode === GroupCode.FENCED_MEMBER_EPOCH ||
      errorCode === GroupCode.STALE_MEMBER_EPOCH ||
      (isMember && errorCode === GroupCode.GROUP_ID_NOT_FOUND)
    if (isFenced) return this.#lose()
    if (isTemporary(errorCode) || this.#mayStillBeReleased(errorCode)) return
    this.#fail(refusal)
  }

  /** The last process of a static member may have crashed; then it is out after a session. */
  #mayStillBeReleased(errorCode: number): boolean {
    if (errorCode !== GroupCode.UNRELEASED_INSTANCE_ID) return false
    const nowMs = this.#options.clock.monotonic()
    this.#unreleasedSinceMs ??= nowMs
    return nowMs - this.#unreleasedSinceMs < this.#lease.durationMs + UNRELEASED_MARGIN_MS
  }

  /** Towards the target, which may change meanwhile. */
  async #reconcile(): Promise<void> {
    this.#mustReconcile = true
    if (this.#isReconciling) return
    this.#isReconciling = true
    while (this.#mustReconcile) {
      this.#mustReconcile = false
      await this.#step(this.#life)
    }
    this.#isReconciling = false
  }

  async #step(life: number): Promise<void> {
    const { events } = this.#options
    const target = this.#target
    if (!target) return
    const wanted = new Set(target.flatMap(({ topicId, partitions }) => partitions.map((each) => idOf(topicId, each))))
    const taken = this.#owned.filter(({ topicId, partition }) => !wanted.has(idOf(topicId, partition)))
    if (taken.length > 0) {
      await events.revoke(taken)
      this.#mustReconcile = true
      if (life === this.#life) this.#nowOwns(this.#owned.filter((at) => !taken.includes(at)))
      return
    }
    const added = await this.#named(withoutOwned(target, this.#owned))
    if (target !== this.#target) return
    if (added.length > 0) events.assign(added)
    if (added.length > 0 || target !== this.#saidOf) this.#nowOwns([...this.#owned, ...added])
    this.#saidOf = target
  }

  /** The group waits for hearing it. */
  #nowOwns(owned: OwnedPartition[]): void {
    this.#owned = owned
    this.#mustSayOwned = true
    this.#heartbeats?.hurry()
  }

  async #named(target: readonly PartitionsOfId[]): Promise<OwnedPartition[]> {
    this.#isIncomplete = false
    const topics = target.map(async ({ topicId, partitions }) => {
      const info = await this.#options.directory.lookUpId(topicId).catch(() => undefined)
      if (!info) this.#isIncomplete = true
      return info ? partitions.map((partition) => ({ topic: info.name, topicId, partition })) : []
    })
    return (await Promise.all(topics)).flat()
  }

  async #learnSession(): Promise<void> {
    const { session, groupId } = this.#options
    const durationMs = await groupSessionTimeoutMs(session, groupId)
    if (durationMs === undefined || this.#epoch === JOIN_EPOCH) return
    this.#lease.durationMs = durationMs
    this.#watchLease()
  }

  /** The group counts without this member. */
  #lose(): void {
    const lost = this.#owned
    this.#life++
    this.#owned = []
    this.#target = undefined
    this.#epoch = JOIN_EPOCH
    this.#isIncomplete = false
    this.#mustSayAll = true
    this.#lease.end()
    this.#leaseTimer?.cancel()
    if (lost.length > 0) this.#options.events.lose(lost)
    this.#setState('joining')
  }

  #fail(error: GroupRefusal | OttlaError): void {
    if (this.#state === 'left') return
    const lost = this.#owned
    this.#end()
    if (lost.length > 0) this.#options.events.lose(lost)
    void this.#options.session.close()
    this.#options.events.failed(error instanceof GroupRefusal ? refusalError(this.#options.groupId, error) : error)
  }

  #end(): void {
    this.#life++
    this.#owned = []
    this.#target = undefined
    this.#epoch = JOIN_EPOCH
    this.#heartbeats?.stop()
    this.#unlisten()
    this.#leaseTimer?.cancel()
    this.#setState('left')
  }

  #watchLease(): void {
    this.#leaseTimer?.cancel()
    this.#leaseTimer = this.#options.clock.setTimer(this.#lease.remainingMs + 1, () => void this.holdsLease())
  }

  #setState(state: MembershipState): void {
    this.#state = state
    this.#options.events.changed()
  }
}

const idOf = (topicId: string, partition: number) => `${topicId}/${partition}`

function withoutOwned(target: readonly PartitionsOfId[], owned: readonly OwnedPartition[]): PartitionsOfId[] {
  const known = new Set(owned.map(({ topicId, partition }) => idOf(topicId, partition)))
  return target
    .map(({ topicId, partitions }) => ({
      topicId,
      partitions: partitions.filter((partition) => !known.has(idOf(topicId, partition))),
    }))
    .filter(({ partitions }) => partitions.length > 0)
}
