/**
 * A member of a classic group.
 *
 *     join ──(leader: assign)──> sync ──> member, beating ──told of a rebalance──> join ...
 *                                            │
 *                                            └──silent too long, or unknown to the group: all is lost──> join anew
 *
 * With cooperative assignors the member keeps what it has while it joins, and gives up only what the next assignment takes
 * from it; it then joins once more, so that others can have that. With any eager one it gives everything up before.
 *
 * Invariants: `claim` is the generation in which `owned` is owned; heartbeats go on while partitions are given up; the
 * membership has its session to itself, as a join may keep it waiting for as long as the slowest member takes.
 */
import type { Clock, Timer } from '../../protocol/lib/clock.ts'
import { sleep } from '../../protocol/lib/clock.ts'
import type { Random } from '../../protocol/lib/random.ts'
import { decodeAssignment } from '../../protocol/messages/consumer-protocol.ts'
import { Backoff } from '../backoff.ts'
import { asOttlaError, type OttlaError } from '../errors.ts'
import type { Session } from '../session.ts'
import { untilLive } from '../when-live.ts'
import type { Assignor } from './assignor.ts'
import { assignAll, assignorNamed, countPartitions, subscriptionsFor } from './classic-assignment.ts'
import { type ClassicIdentity, ClassicRequests, type Joined } from './classic-requests.ts'
import { GroupCode, GroupRefusal, isTemporary, refusalError } from './group-refusal.ts'
import { Heartbeats } from './heartbeats.ts'
import { Lease } from './lease.ts'
import type { MemberClaim, Membership, MembershipEvents, MembershipState } from './membership.ts'
import { flatten, type TopicPartition, without } from './topic-partition.ts'

export interface ClassicMembershipOptions extends ClassicIdentity {
  /** Of its own; closed with the membership. */
  session: Session
  clock: Clock
  random: Random
  topics: readonly string[]
  assignors: readonly Assignor[]
  heartbeatMs: number
  /** How often the leader looks whether topics have come, gone or grown. */
  metadataEveryMs: number
  events: MembershipEvents
}

const RETRY = { delayMsFirst: 100, delayMsMax: 5_000 }
/** After stepping out: a page that is still there by then has come back. */
const COME_BACK_MS = 1_000

export class ClassicMembership implements Membership {
  readonly #options: ClassicMembershipOptions
  readonly #requests: ClassicRequests
  readonly #lease: Lease
  readonly #backoff: Backoff
  readonly #isCooperative: boolean
  readonly #over = new AbortController()
  #state: MembershipState = 'joining'
  #memberId = ''
  #generation = -1
  #isLeader = false
  #owned: TopicPartition[] = []
  /** Why the next round begins; told by heartbeats and by others. */
  #news: 'rebalance' | 'lost' | undefined
  #wake: () => void = () => {}
  #leaseTimer: Timer | undefined
  #hasSteppedOut = false
  #partitionCounts = new Map<string, number>()
  #countedAtMs = 0
  #leaving: Promise<void> | undefined

  constructor(options: ClassicMembershipOptions) {
    const { session, clock, random, sessionTimeoutMs, assignors } = options
    this.#options = options
    this.#requests = new ClassicRequests(session, options)
    this.#lease = new Lease(clock, sessionTimeoutMs)
    this.#backoff = new Backoff(clock, random, RETRY)
    // As Java decides it, so that a group can move from one kind to the other member by member.
    this.#isCooperative = assignors.every((assignor) => assignor.isCooperative)
  }

  get state(): MembershipState {
    return this.#state
  }

  get memberId(): string {
    return this.#memberId
  }

  get isLeader(): boolean {
    return this.#isLeader
  }

  get claim(): MemberClaim | undefined {
    if (this.#generation < 0) return undefined
    const { groupInstanceId } = this.#options
    return { protocol: 'classic', memberId: this.#memberId, generation: this.#generation, groupInstanceId }
  }

  start(): void {
    void this.#run()
  }

  holdsLease(): boolean {
    if (this.#generation < 0) return false
    // Under its old id it need not be waited for, if the group still knows it.
    if (!this.#lease.holds) this.#lose(GroupCode.ILLEGAL_GENERATION)
    return this.#generation >= 0
  }

  /** While the next generation is made, claims of the last one are refused; they are good again, or not, after that. */
  refused(claim: MemberClaim, errorCode: number): void {
    if (this.#state !== 'member' || claim.generation !== this.#generation) return
    if (claim.memberId === this.#memberId) this.#told(errorCode)
  }

  stepOut(lastWords: (session: Session, claim: MemberClaim) => void): void {
    const { claim } = this
    if (!claim || this.#state === 'left') return
    lastWords(this.#options.session, claim)
    if (claim.groupInstanceId === null) void this.#requests.leave(claim.memberId)
    this.#hasSteppedOut = true
    this.#lose(GroupCode.UNKNOWN_MEMBER_ID)
  }

  leave(): Promise<void> {
    this.#leaving ??= this.#leave()
    return this.#leaving
  }

  async #leave(): Promise<void> {
    const { session, groupInstanceId } = this.#options
    const isMember = this.#memberId !== ''
    this.#over.abort()
    this.#leaseTimer?.cancel()
    this.#wake()
    this.#generation = -1
    this.#setState('left')
    // A static member's place is kept for the process that comes after.
    if (isMember && groupInstanceId === null) await this.#requests.leave(this.#memberId)
    await session.close()
  }

  async #run(): Promise<void> {
    const { signal } = this.#over
    while (!signal.aborted) {
      try {
        if (this.#hasSteppedOut) await this.#comeBack()
        await untilLive(this.#options.session, signal)
        await this.#takePart()
      } catch (error) {
        if (!signal.aborted) await this.#recover(error)
      }
    }
  }

  async #comeBack(): Promise<void> {
    await sleep(this.#options.clock, COME_BACK_MS, this.#over.signal).catch(() => {})
    this.#hasSteppedOut = false
  }

  /** One generation: from joining to the reason for the next. */
  async #takePart(): Promise<void> {
    this.#setState('joining')
    const joined = await this.#join()
    const part = await this.#sync(joined)
    this.#generation = joined.generationId
    this.#isLeader = joined.isLeader
    this.#news = undefined
    this.#renewLease()
    const { session, clock, heartbeatMs } = this.#options
    const heartbeats = new Heartbeats({ session, clock, firstInMs: heartbeatMs, beat: () => this.#beat() })
    try {
      await this.#adopt(part)
      this.#backoff.reset()
      while (!this.#news && !this.#over.signal.aborted) await this.#woken()
      if (!this.#isCooperative) await this.#giveUp(this.#owned)
    } finally {
      heartbeats.stop()
    }
  }

  async #join(): Promise<Joined> {
    const { assignors, topics } = this.#options
    const reason = this.#news === 'rebalance' ? 'the group rebalances' : ''
    const stopRenewing = this.#renewWhileWaiting()
    try {
      for (;;) {
        const protocols = subscriptionsFor(assignors, topics, this.#owned, this.#generation)
        const answer = await this.#requests.join(this.#memberId, protocols, reason)
        if ('generationId' in answer) {
          this.#memberId = answer.memberId
          return answer
        }
        this.#memberId = answer.newId
      }
    } finally {
      stopRenewing()
    }
  }

  /** While a join waits for other members the group does not mind silence, as long as the connection stands. */
  #renewWhileWaiting(): () => void {
    if (this.#generation < 0) return () => {}
    return this.#options.session.onHeard(() => {
      if (this.#generation >= 0 && this.#lease.holds) this.#renewLease()
    })
  }

  async #sync(joined: Joined): Promise<TopicPartition[]> {
    const { session, assignors, clock } = this.#options
    let assignments: Array<{ memberId: string; assignment: Uint8Array }> = []
    if (joined.isLeader && !joined.skipAssignment) {
      const work = await assignAll(session, assignorNamed(assignors, joined.protocolName), joined)
      this.#partitionCounts = work.partitionCounts
      this.#countedAtMs = clock.monotonic()
      assignments = work.assignments
    }
    const assignment = await this.#requests.sync(joined, assignments)
    return flatten(decodeAssignment(assignment).assignedPartitions)
  }

  /** Lets go of what others are to have, takes what is new. */
  async #adopt(part: readonly TopicPartition[]): Promise<void> {
    const taken = without(this.#owned, part)
    this.#setState('member')
    await this.#giveUp(taken)
    if (this.#news === 'lost') return
    const added = without(part, this.#owned)
    this.#owned = [...part]
    this.#options.events.assign(added)
    // They are free only once this member has said so.
    if (taken.length > 0 && this.#isCooperative) this.#tell('rebalance')
  }

  async #giveUp(partitions: readonly TopicPartition[]): Promise<void> {
    if (partitions.length === 0) return
    await this.#options.events.revoke(partitions)
    this.#owned = without(this.#owned, partitions)
  }

  async #beat(): Promise<number> {
    const { claim } = this
    if (claim) await this.#beatAs(claim)
    return this.#options.heartbeatMs
  }

  async #beatAs(claim: MemberClaim): Promise<void> {
    const sentAt = this.#lease.now()
    try {
      const errorCode = await this.#requests.heartbeat(claim.memberId, claim.generation)
      if (claim.generation === this.#generation && (errorCode === 0 || errorCode === GroupCode.REBALANCE_IN_PROGRESS))
        this.#renewLease(sentAt)
      if (errorCode !== 0) this.refused(claim, errorCode)
      else if (this.#isLeader) await this.#lookForChanges()
    } catch {
      // The session comes back by itself; until then the lease says how long.
    }
  }

  async #lookForChanges(): Promise<void> {
    const { session, clock, metadataEveryMs } = this.#options
    if (clock.monotonic() - this.#countedAtMs < metadataEveryMs) return
    this.#countedAtMs = clock.monotonic()
    const now = await countPartitions(session, [...this.#partitionCounts.keys()])
    if ([...now].some(([topic, count]) => count !== this.#partitionCounts.get(topic))) this.#tell('rebalance')
  }

  #told(errorCode: number): void {
    if (errorCode === GroupCode.REBALANCE_IN_PROGRESS) this.#tell('rebalance')
    else if (errorCode === GroupCode.FENCED_INSTANCE_ID) this.#fail(new GroupRefusal('a heartbeat', errorCode))
    else if (!isTemporary(errorCode)) this.#lose(errorCode)
  }

  #tell(news: 'rebalance' | 'lost'): void {
    if (this.#news !== 'lost') this.#news = news
    this.#wake()
  }

  /** The group counts without this member, or with an older one of its generations. */
  #lose(errorCode: number): void {
    const lost = this.#owned
    this.#owned = []
    this.#generation = -1
    this.#isLeader = false
    this.#lease.end()
    if (errorCode !== GroupCode.ILLEGAL_GENERATION) this.#memberId = ''
    if (lost.length > 0) this.#options.events.lose(lost)
    this.#setState('joining')
    this.#tell('lost')
  }

  async #recover(error: unknown): Promise<void> {
    const { clock } = this.#options
    if (error instanceof GroupRefusal) {
      const { errorCode } = error
      if (errorCode === GroupCode.UNKNOWN_MEMBER_ID || errorCode === GroupCode.ILLEGAL_GENERATION) this.#lose(errorCode)
      else if (errorCode !== GroupCode.REBALANCE_IN_PROGRESS && !isTemporary(errorCode)) return this.#fail(error)
    } else {
      const known = asOttlaError(error, 'PROTOCOL')
      if (!known.retriable) return this.#fail(known)
    }
    await sleep(clock, this.#backoff.nextDelayMs(), this.#over.signal).catch(() => {})
  }

  #fail(error: GroupRefusal | OttlaError): void {
    if (this.#over.signal.aborted) return
    const lost = this.#owned
    this.#owned = []
    this.#generation = -1
    this.#over.abort()
    this.#leaseTimer?.cancel()
    this.#wake()
    if (lost.length > 0) this.#options.events.lose(lost)
    this.#setState('left')
    void this.#options.session.close()
    this.#options.events.failed(error instanceof GroupRefusal ? refusalError(this.#options.groupId, error) : error)
  }

  #renewLease(from = this.#lease.now()): void {
    this.#lease.renew(from)
    this.#leaseTimer?.cancel()
    this.#leaseTimer = this.#options.clock.setTimer(this.#lease.remainingMs + 1, () => void this.holdsLease())
  }

  #setState(state: MembershipState): void {
    this.#state = state
    this.#options.events.changed()
  }

  #woken(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }
}
