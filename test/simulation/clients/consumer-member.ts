/**
 * A member of a group of the next protocol (KIP-848): one heartbeat says what it has and hears what it should have. It
 * commits and gives up what it is to lose before it says so, and begins with what it was given.
 */
import { ErrorCode, errorName } from '../../../protocol/errors.ts'
import { randomUuid } from '../../../protocol/lib/uuid.ts'
import { consumerGroupHeartbeat, JOIN_EPOCH, LEAVE_EPOCH } from '../../../protocol/messages/consumer-groups.ts'
import type { Assigned } from '../../checker/history.ts'
import type { Member } from './consumer-group.ts'
import { type FetchPosition, fetchOnce } from './fetch-position.ts'
import { KafkaClient, type KafkaClientOptions, type TopicView } from './kafka-client.ts'
import { Disconnected, type KafkaWire } from './kafka-wire.ts'
import { check, commitOffset, Rejoin, startOffset } from './member-offsets.ts'

const FETCH_WAIT_MS = 500
const REBALANCE_TIMEOUT_MS = 6_000

export interface ConsumerMemberOptions extends KafkaClientOptions {
  group: string
  topic: string
}

export class ConsumerMember extends KafkaClient implements Member {
  readonly #options: ConsumerMemberOptions
  readonly #memberId: string
  readonly #committed = new Map<number, number>()
  #epoch = JOIN_EPOCH
  #view: TopicView | undefined
  /** What it works on, and tells that it has. */
  #positions: FetchPosition[] = []
  #wanted: readonly number[] = []
  #isLeaving = false
  isGone = false

  constructor(options: ConsumerMemberOptions) {
    // Topics have ids in newer answers alone.
    super({ ...options, age: 1 })
    this.#options = options
    this.#memberId = randomUuid(this.process.dice)
  }

  get owned(): ReadonlyMap<number, number> {
    return new Map(this.#positions.map(({ partition }) => [partition, this.#committed.get(partition) ?? 0]))
  }

  async run(): Promise<void> {
    while (!this.isGone) {
      try {
        const wire = await this.connect()
        await this.#lookForTopic()
        await this.#work(wire)
      } catch (error) {
        if (error instanceof Rejoin) this.#forgetAfter(error)
        else if (!(error instanceof Disconnected)) throw error
        await this.pause()
      }
    }
  }

  /** What it had of a topic that is gone is gone, and what it is given of the next one is told by that one's id. */
  async #lookForTopic(): Promise<void> {
    if (this.#view) return
    this.#positions = []
    this.#wanted = []
    this.#view = await this.describe(this.#options.topic)
    if (!this.#view) throw new Rejoin(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
  }

  leave(): void {
    this.#isLeaving = true
  }

  /** Only who was put out begins anew; who was not heard goes on. */
  #forgetAfter({ errorCode }: Rejoin): void {
    this.world.trace.add(this.process.name, `hears: ${errorName(errorCode)}`)
    this.world.probes.reached(`member of the next protocol heard: ${errorName(errorCode)}`)
    if (errorCode !== ErrorCode.FENCED_MEMBER_EPOCH && errorCode !== ErrorCode.UNKNOWN_MEMBER_ID) return
    this.#epoch = JOIN_EPOCH
    this.#positions = []
    this.#wanted = []
  }

  async #work(wire: KafkaWire): Promise<void> {
    for (;;) {
      if (this.#isLeaving) return await this.#leave(wire)
      await this.#heartbeat(wire)
      await this.#reconcile(wire)
      if (this.#positions.length === 0) {
        await this.process.sleep(FETCH_WAIT_MS)
        continue
      }
      const { dice, name } = this.process
      const reading = {
        ...{ reader: `${name}/${this.#epoch}`, isolation: 0 as const, maxWaitMs: FETCH_WAIT_MS },
        ...{ maxBytes: dice.pick([1, 2_000, 100_000]), group: this.#options.group },
      }
      if (!(await fetchOnce(this, wire, this.#positions, reading))) {
        this.#view = undefined
        throw new Rejoin(ErrorCode.UNKNOWN_TOPIC_ID)
      }
      for (const position of this.#positions) await this.#commit(wire, position)
    }
  }

  async #heartbeat(wire: KafkaWire): Promise<void> {
    const { group, topic } = this.#options
    const partitions = this.#positions.map(({ partition }) => partition)
    const isJoining = this.#epoch === JOIN_EPOCH
    const owned = partitions.length > 0 ? [{ topicId: this.#topicId, partitions }] : []
    const answer = await wire.call(
      consumerGroupHeartbeat,
      {
        ...{ groupId: group, memberId: this.#memberId, memberEpoch: this.#epoch, instanceId: null, rackId: null },
        ...{ rebalanceTimeoutMs: REBALANCE_TIMEOUT_MS, subscribedTopicNames: [topic], subscribedTopicRegex: null },
        ...{ serverAssignor: null, topicPartitions: isJoining ? [] : owned },
      },
      { version: 1 },
    )
    check(answer.errorCode)
    this.#epoch = answer.memberEpoch
    if (!answer.assignment) return
    const { topicPartitions } = answer.assignment
    if (topicPartitions.some(({ topicId }) => topicId !== this.#topicId)) {
      this.#view = undefined
      throw new Rejoin(ErrorCode.UNKNOWN_TOPIC_ID)
    }
    this.#wanted = topicPartitions.flatMap(({ partitions }) => partitions)
    this.#noteAssigned()
  }

  get #topicId(): string {
    return this.#view?.topicId ?? ''
  }

  #noteAssigned(): void {
    const { group, topic } = this.#options
    this.recorder.note<Assigned>({
      ...{ op: 'assigned', process: this.process.name, group, member: this.#memberId, generation: this.#epoch },
      partitions: this.#wanted.map((partition) => ({ topic, partition })),
    })
    this.world.probes.reached('partitions assigned by the coordinator', this.#wanted.length)
  }

  async #reconcile(wire: KafkaWire): Promise<void> {
    const { group, topic } = this.#options
    const isWanted = ({ partition }: FetchPosition) => this.#wanted.includes(partition)
    const lost = this.#positions.filter((position) => !isWanted(position))
    for (const position of lost) await this.#commit(wire, position)
    if (lost.length > 0) this.world.probes.reached('partition given up for another member')
    this.#positions = this.#positions.filter(isWanted)
    for (const partition of this.#wanted) {
      if (this.#positions.some((position) => position.partition === partition)) continue
      const offset = await startOffset(this, wire, { group, topic, partition })
      this.#committed.set(partition, offset)
      this.#positions.push({ topic: this.#view!, partition, offset, jump: 'start' })
    }
  }

  async #commit(wire: KafkaWire, { partition, offset }: FetchPosition): Promise<void> {
    if (offset <= (this.#committed.get(partition) ?? 0)) return
    const { group, topic } = this.#options
    const claim = { memberId: this.#memberId, generation: this.#epoch, isNext: true }
    check(await commitOffset(this, wire, { group, topic, partition }, claim, offset))
    this.#committed.set(partition, offset)
  }

  async #leave(wire: KafkaWire): Promise<void> {
    this.#positions = []
    this.isGone = true
    this.world.probes.reached('member of the next protocol left')
    const body = {
      ...{ groupId: this.#options.group, memberId: this.#memberId, memberEpoch: LEAVE_EPOCH, instanceId: null },
      ...{ rackId: null, subscribedTopicNames: null, subscribedTopicRegex: null, serverAssignor: null },
    }
    await wire.call(consumerGroupHeartbeat, { ...body, topicPartitions: null }, { version: 1 })
  }
}
