/**
 * A consumer in virtual time, as a Kafka client behaves: it gives its partitions up before it rejoins, heartbeats, counts
 * itself out when nobody has answered for a session, and commits what it has read. It can leave, freeze (like a tab put
 * to sleep, or a long collection of garbage) and go on as if nothing had happened, or die.
 */
import { ErrorCode } from '../../../protocol/errors.ts'
import type { HandClock } from '../../../protocol/lib/clock.ts'
import type { JoinReply } from '../../../server/coordinator/group-state.ts'
import type { GroupCoordinator } from '../../../server/coordinator/runtime.ts'
import { ChurningMember, GROUP, HEARTBEAT_MS, PARTITIONS, SESSION_MS } from './churn.ts'
import { joinRequest, offsetOf } from './coordinator-fixture.ts'
import { bytes, text } from './group-driver.ts'

export interface Observer {
  /** The member reads these from now on. */
  acquired(member: ChurnMember): void
  /** The coordinator has accepted this. */
  committed(member: ChurnMember, partition: number, generationId: number): void
}

export class ChurnMember extends ChurningMember {
  memberId = ''
  generationId = -1
  owned: number[] = []
  readonly #coordinator: GroupCoordinator
  readonly #clock: HandClock
  readonly #observer: Observer
  readonly #hangUps = new Set<() => void>()
  #answeredAt = 0
  #beats = 0

  constructor(name: string, coordinator: GroupCoordinator, clock: HandClock, observer: Observer) {
    super(name)
    this.#coordinator = coordinator
    this.#clock = clock
    this.#observer = observer
    void this.#join()
  }

  get partitions(): readonly number[] {
    return this.owned
  }

  override die(): void {
    super.die()
    for (const hangUp of [...this.#hangUps]) hangUp()
  }

  leave(): void {
    this.owned = []
    if (this.memberId !== '') {
      const leaver = { memberId: this.memberId, groupInstanceId: null }
      try {
        this.#coordinator.leave(GROUP, [leaver])
      } catch {
        // The group is gone already.
      }
    }
    this.die()
  }

  readonly #onceClosed = (listener: () => void) => {
    this.#hangUps.add(listener)
    return () => this.#hangUps.delete(listener)
  }

  async #join(): Promise<void> {
    this.owned = []
    this.timer?.cancel()
    const timeouts = { sessionTimeoutMs: SESSION_MS, rebalanceTimeoutMs: SESSION_MS }
    const request = joinRequest({ ...timeouts, memberId: this.memberId, mustKnowItsId: true, clientId: this.name })
    const reply = await this.#coordinator.join(GROUP, request, this.#onceClosed)
    this.when(() => void this.#onJoined(reply))
  }

  async #onJoined(reply: JoinReply): Promise<void> {
    if (reply.errorCode === ErrorCode.MEMBER_ID_REQUIRED) {
      this.memberId = reply.memberId
      return this.#join()
    }
    if (reply.errorCode !== ErrorCode.NONE) return this.#startAgain(reply.errorCode)
    this.generationId = reply.generationId
    this.#answeredAt = this.#clock.monotonic()
    this.#beatLater()
    const { memberId, generationId } = this
    const assignments = reply.leader === memberId ? share(reply.members.map((member) => member.memberId)) : []
    const protocol = { protocolType: 'consumer', protocolName: 'range' }
    const request = { memberId, generationId, groupInstanceId: null, ...protocol, assignments }
    const synced = await this.#coordinator.sync(GROUP, request, this.#onceClosed)
    this.when(() => {
      if (synced.errorCode !== ErrorCode.NONE) return this.#startAgain(synced.errorCode)
      this.owned = JSON.parse(text(synced.assignment) || '[]')
      this.#answeredAt = this.#clock.monotonic()
      this.#observer.acquired(this)
    })
  }

  #beatLater(): void {
    this.timer?.cancel()
    this.timer = this.#clock.setTimer(HEARTBEAT_MS, () => this.when(() => this.#beat()))
  }

  #beat(): void {
    // What a thawed member has read before it looks at the time is on its way already.
    if (this.owned.length > 0 && this.#beats++ % 2 === 0) void this.#commitOne()
    if (this.#clock.monotonic() - this.#answeredAt >= SESSION_MS) this.owned = []
    const { memberId, generationId } = this
    const errorCode = this.#coordinator.heartbeat(GROUP, { memberId, generationId, groupInstanceId: null })
    if (errorCode !== ErrorCode.NONE) return this.#startAgain(errorCode)
    this.#answeredAt = this.#clock.monotonic()
    this.#beatLater()
  }

  async #commitOne(): Promise<void> {
    const { memberId, generationId } = this
    const partition = this.owned[this.#beats % this.owned.length]!
    const offset = this.#clock.monotonic()
    const claim = { memberId, generationId, groupInstanceId: null }
    // Refused when fenced; the next heartbeat says what to do.
    const isCommitted = await this.#coordinator.commit(GROUP, claim, [offsetOf(partition, offset)]).then(
      () => true,
      () => false,
    )
    if (isCommitted) this.#observer.committed(this, partition, generationId)
  }

  #startAgain(errorCode: number): void {
    if (errorCode !== ErrorCode.REBALANCE_IN_PROGRESS) this.memberId = ''
    void this.#join()
  }
}

function share(memberIds: readonly string[]) {
  const parts = memberIds.map((): number[] => [])
  for (let partition = 0; partition < PARTITIONS; partition++) parts[partition % parts.length]!.push(partition)
  return memberIds.map((memberId, index) => ({ memberId, assignment: bytes(JSON.stringify(parts[index])) }))
}
