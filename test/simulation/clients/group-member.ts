/**
 * A member of a classic consumer group, request by request: joins, shares partitions out when it leads, reads what it was
 * given, commits how far it has come, and gives everything up before it joins again.
 */
import { ErrorCode, errorName } from '../../../protocol/errors.ts'
import { decodeAssignment, encodeAssignment, encodeSubscription } from '../../../protocol/messages/consumer-protocol.ts'
import { heartbeat, joinGroup, leaveGroup, syncGroup } from '../../../protocol/messages/groups.ts'
import type { Assigned } from '../../checker/history.ts'
import { type FetchPosition, fetchOnce } from './fetch-position.ts'
import { KafkaClient, type KafkaClientOptions, type TopicView } from './kafka-client.ts'
import { Disconnected, type KafkaWire } from './kafka-wire.ts'
import { check, commitOffset, Rejoin, startOffset } from './member-offsets.ts'

export interface GroupMemberOptions extends KafkaClientOptions {
  group: string
  topic: string
}

const SESSION_MS = 6_000
/** Reads and commits between two looks at the group. */
const HEARTBEAT_MS = 500

export class GroupMember extends KafkaClient {
  readonly #options: GroupMemberOptions
  #memberId = ''
  #generation = -1
  #view: TopicView | undefined
  #positions: FetchPosition[] = []
  #committed = new Map<number, number>()
  #isLeaving = false
  isGone = false

  constructor(options: GroupMemberOptions) {
    super(options)
    this.#options = options
  }

  /** Of what it has been given, everything has been read and committed. */
  get owned(): ReadonlyMap<number, number> {
    return new Map(this.#positions.map(({ partition }) => [partition, this.#committed.get(partition) ?? 0]))
  }

  async run(): Promise<void> {
    while (!this.isGone) {
      try {
        const wire = await this.connect()
        await this.#join(wire)
        await this.#work(wire)
      } catch (error) {
        this.#positions = []
        if (error instanceof Rejoin) this.#forgetIdAfter(error)
        else if (!(error instanceof Disconnected)) throw error
        await this.pause()
      }
    }
  }

  leave(): void {
    this.#isLeaving = true
  }

  #forgetIdAfter({ errorCode }: Rejoin): void {
    this.world.trace.add(this.process.name, `rejoins: ${errorName(errorCode)}`)
    this.world.probes.reached(`member rejoined: ${errorName(errorCode)}`)
    if (errorCode !== ErrorCode.REBALANCE_IN_PROGRESS && errorCode !== ErrorCode.NOT_COORDINATOR) this.#memberId = ''
  }

  async #join(wire: KafkaWire): Promise<void> {
    const { group, topic } = this.#options
    this.#view = await this.describe(topic)
    const joined = await wire.call(joinGroup, this.#joinRequest(), { extraMs: 2 * SESSION_MS })
    if (joined.errorCode === ErrorCode.MEMBER_ID_REQUIRED) {
      this.#memberId = joined.memberId
      return this.#join(wire)
    }
    check(joined.errorCode)
    this.#memberId = joined.memberId
    this.#generation = joined.generationId
    const members = joined.leader === joined.memberId ? joined.members.map(({ memberId }) => memberId) : []
    const synced = await wire.call(
      syncGroup,
      {
        ...{ groupId: group, generationId: this.#generation, memberId: this.#memberId },
        ...{ protocolType: 'consumer', protocolName: 'range', assignments: this.#share(members) },
      },
      { extraMs: 2 * SESSION_MS },
    )
    check(synced.errorCode)
    const { assignedPartitions } = decodeAssignment(synced.assignment)
    await this.#begin(wire, assignedPartitions.find((each) => each.topic === topic)?.partitions ?? [])
  }

  #joinRequest() {
    const { group, topic } = this.#options
    return {
      ...{ groupId: group, sessionTimeoutMs: SESSION_MS, rebalanceTimeoutMs: SESSION_MS, memberId: this.#memberId },
      protocolType: 'consumer',
      protocols: [
        { name: 'range', metadata: encodeSubscription({ topics: [topic], userData: null, ownedPartitions: [] }) },
      ],
    }
  }

  #share(members: readonly string[]) {
    const count = this.#view?.partitions ?? 0
    return members.map((memberId, index) => {
      const partitions = Array.from({ length: count }, (_, partition) => partition)
      const own = partitions.filter((partition) => partition % members.length === index)
      const assignedPartitions = [{ topic: this.#options.topic, partitions: own }]
      return { memberId, assignment: encodeAssignment({ assignedPartitions, userData: null }) }
    })
  }

  async #begin(wire: KafkaWire, partitions: readonly number[]): Promise<void> {
    const { group, topic, name } = this.#options
    this.recorder.note<Assigned>({
      ...{ op: 'assigned', process: name, group, member: this.#memberId, generation: this.#generation },
      partitions: partitions.map((partition) => ({ topic, partition })),
    })
    this.world.probes.reached('partitions assigned', partitions.length)
    // Who led may have known of a topic that was not there yet when this one asked.
    if (partitions.length > 0) this.#view ??= await this.describe(topic)
    if (partitions.length > 0 && !this.#view) throw new Rejoin(ErrorCode.REBALANCE_IN_PROGRESS)
    const positions: FetchPosition[] = []
    for (const partition of partitions) {
      const offset = await startOffset(this, wire, { group, topic, partition })
      this.#committed.set(partition, offset)
      positions.push({ topic: this.#view!, partition, offset, jump: 'start' })
    }
    this.#positions = positions
  }

  async #work(wire: KafkaWire): Promise<void> {
    const { group, name } = this.#options
    const { dice } = this.process
    for (;;) {
      if (this.#isLeaving) return await this.#leave(wire)
      check(await this.#heartbeat(wire))
      if (this.#positions.length === 0) {
        await this.process.sleep(HEARTBEAT_MS)
        await this.#lookForTopic()
        continue
      }
      const reader = `${name}/${this.#generation}`
      const options = {
        reader,
        isolation: 0 as const,
        maxWaitMs: HEARTBEAT_MS,
        maxBytes: dice.pick([1, 2_000, 100_000]),
        group,
      }
      if (!(await fetchOnce(this, wire, this.#positions, options))) throw new Rejoin(ErrorCode.REBALANCE_IN_PROGRESS)
      for (const position of this.#positions) await this.#commit(wire, position)
    }
  }

  /** As consumers do: who joined while there was no such topic joins again when there is. */
  async #lookForTopic(): Promise<void> {
    const found = await this.describe(this.#options.topic)
    if (found?.partitions !== this.#view?.partitions) throw new Rejoin(ErrorCode.REBALANCE_IN_PROGRESS)
  }

  async #heartbeat(wire: KafkaWire): Promise<number> {
    const body = { groupId: this.#options.group, generationId: this.#generation, memberId: this.#memberId }
    return (await wire.call(heartbeat, body)).errorCode
  }

  async #commit(wire: KafkaWire, { partition, offset }: FetchPosition): Promise<void> {
    if (offset <= (this.#committed.get(partition) ?? 0)) return
    const { group, topic } = this.#options
    const claim = { memberId: this.#memberId, generation: this.#generation }
    check(await commitOffset(this, wire, { group, topic, partition }, claim, offset))
    this.#committed.set(partition, offset)
  }

  async #leave(wire: KafkaWire): Promise<void> {
    this.#positions = []
    this.isGone = true
    this.world.probes.reached('member left')
    const { group } = this.#options
    const memberId = this.#memberId
    await wire.call(leaveGroup, { groupId: group, memberId, members: [{ memberId }] })
  }
}
