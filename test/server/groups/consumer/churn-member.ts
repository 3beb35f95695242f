/**
 * A consumer of the next protocol in virtual time, as a Kafka client behaves: it lets go as soon as it is told to and says
 * so at once, begins to read what it is given, heartbeats as often as it is asked to, joins again when it is fenced, and
 * commits what it has read. It can leave, freeze (like a tab put to sleep), go on as if nothing had happened, or die.
 */
import { ErrorCode, type KafkaError } from '../../../../protocol/errors.ts'
import type { HandClock } from '../../../../protocol/lib/clock.ts'
import type { HeartbeatReply } from '../../../../server/coordinator/consumer/consumer-group.ts'
import { eachOf, NO_PARTITIONS, type Partitions } from '../../../../server/coordinator/consumer/partitions.ts'
import type { GroupCoordinator } from '../../../../server/coordinator/runtime.ts'
import { ChurningMember, GROUP, HEARTBEAT_MS, SESSION_MS } from '../churn.ts'
import { offsetOf } from '../coordinator-fixture.ts'
import { type Beat, consumerBeat } from './consumer-beat.ts'

export interface Surroundings {
  readonly clock: HandClock
  readonly coordinator: GroupCoordinator
  /** The member reads these from now on. */
  acquired(member: ChurnMember): void
  /** The coordinator has accepted this. */
  committed(member: ChurnMember, partition: number, epoch: number): void
}

export class ChurnMember extends ChurningMember {
  readonly instanceId: string | null
  epoch = 0
  owned: Partitions = NO_PARTITIONS
  readonly #around: Surroundings
  #heardAt: number
  #beats = 0

  constructor(name: string, around: Surroundings, instanceId: string | null = null) {
    super(name)
    this.instanceId = instanceId
    this.#around = around
    this.#heardAt = around.clock.monotonic()
    void this.#beat()
  }

  leave(memberEpoch = -1): void {
    this.owned = NO_PARTITIONS
    const { name: memberId, instanceId } = this
    this.#around.coordinator.consumerLeave(GROUP, { memberId, memberEpoch, instanceId }).catch(() => {})
    this.die()
  }

  get partitions(): number[] {
    return [...eachOf(this.owned)].map(([, partition]) => partition)
  }

  #beatLater(ms: number): void {
    this.timer?.cancel()
    this.timer = this.#around.clock.setTimer(ms, () => this.when(() => void this.#beat()))
  }

  async #beat(): Promise<void> {
    const { clock, coordinator } = this.#around
    // What a thawed member has read before it looks at the time is on its way already.
    if (this.partitions.length > 0 && this.#beats++ % 2 === 0) void this.#commitOne()
    if (clock.monotonic() - this.#heardAt >= SESSION_MS) this.owned = NO_PARTITIONS
    const joining: Beat = { subscribedNames: ['t'], rebalanceTimeoutMs: SESSION_MS }
    const beat = { memberEpoch: this.epoch, instanceId: this.instanceId, owned: this.owned }
    // As clients do after a time-out too: everything is said again, so that a lost answer is made up for.
    const answered = consumerBeat(coordinator, this.name, { ...beat, ...joining }, GROUP)
    const outcome = await answered.catch((error: unknown) => error as KafkaError)
    this.when(() => this.#onAnswer(outcome))
  }

  #onAnswer(outcome: HeartbeatReply | KafkaError): void {
    if (outcome instanceof Error) return this.#onRefusal(outcome)
    this.#heardAt = this.#around.clock.monotonic()
    this.epoch = outcome.memberEpoch
    this.#beatLater(outcome.heartbeatIntervalMs)
    const before = this.owned
    if (outcome.assignment) this.owned = outcome.assignment
    const partitions = new Set(this.partitions)
    const hasLost = [...eachOf(before)].some(([, partition]) => !partitions.has(partition))
    this.#around.acquired(this)
    if (hasLost) void this.#beat()
  }

  #onRefusal({ code }: KafkaError): void {
    const isFenced = code === ErrorCode.FENCED_MEMBER_EPOCH || code === ErrorCode.UNKNOWN_MEMBER_ID
    if (isFenced) {
      this.owned = NO_PARTITIONS
      this.epoch = 0
    }
    this.#beatLater(isFenced ? 1 : HEARTBEAT_MS)
  }

  async #commitOne(): Promise<void> {
    const { name: memberId, epoch: generationId, partitions } = this
    const partition = partitions[this.#beats % partitions.length]!
    const claim = { memberId, generationId, groupInstanceId: null, knowsEpochs: true }
    const offset = offsetOf(partition, this.#around.clock.monotonic())
    // Refused when fenced; the next heartbeat says what to do.
    const isCommitted = await this.#around.coordinator.commit(GROUP, claim, [offset]).then(
      () => true,
      () => false,
    )
    if (isCommitted) this.#around.committed(this, partition, generationId)
  }
}
