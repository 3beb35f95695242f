/** A consumer of the classic protocol, step by step, as cooperative or eager clients behave in a group of either kind. */
import { ErrorCode } from '../../../../protocol/errors.ts'
import {
  decodeAssignment,
  decodeSubscription,
  encodeAssignment,
  encodeSubscription,
} from '../../../../protocol/messages/consumer-protocol.ts'
import type { JoinReply } from '../../../../server/coordinator/group-state.ts'
import type { GroupCoordinator } from '../../../../server/coordinator/runtime.ts'
import { joinRequest, stays } from '../coordinator-fixture.ts'

export interface ClassicOptions {
  isEager?: boolean
  instanceId?: string
  topics?: readonly string[]
  partitionCount?: number
}

export class ClassicClient {
  memberId = ''
  generationId = -1
  /** Of topic t. */
  owned: number[] = []
  readonly #coordinator: GroupCoordinator
  readonly #options: ClassicOptions

  constructor(coordinator: GroupCoordinator, options: ClassicOptions = {}) {
    this.#coordinator = coordinator
    this.#options = options
  }

  get claim() {
    const { memberId, generationId } = this
    return { memberId, generationId, groupInstanceId: this.#options.instanceId ?? null }
  }

  /** Joins and syncs until there is nothing more to let go of. The code of the first refusal, or NONE. */
  async round(): Promise<number> {
    for (;;) {
      const joined = await this.join()
      if (joined.errorCode === ErrorCode.MEMBER_ID_REQUIRED) continue
      if (joined.errorCode !== ErrorCode.NONE) return joined.errorCode
      const before = this.owned
      const errorCode = await this.sync(joined)
      if (errorCode !== ErrorCode.NONE) return errorCode
      if (before.every((partition) => this.owned.includes(partition))) return ErrorCode.NONE
    }
  }

  /** What an eager client does not say, it has let go of. */
  async join(): Promise<JoinReply> {
    const { isEager = false, instanceId = null, topics = ['t'] } = this.#options
    if (isEager) this.owned = []
    const ownedPartitions = isEager ? [] : [{ topic: 't', partitions: this.owned }]
    const metadata = encodeSubscription(
      { topics: [...topics], userData: null, ownedPartitions, generationId: this.generationId, rackId: null },
      isEager ? 0 : 3,
    )
    const reply = await this.#coordinator.join(
      'g',
      joinRequest({
        ...{ memberId: this.memberId, groupInstanceId: instanceId, mustKnowItsId: true },
        protocols: [{ name: isEager ? 'range' : 'cooperative-sticky', metadata }],
      }),
      stays,
    )
    if (reply.memberId !== '') this.memberId = reply.memberId
    this.generationId = reply.generationId
    return reply
  }

  async sync(joined: JoinReply): Promise<number> {
    const assignments = joined.leader === this.memberId ? share(joined, this.#options.partitionCount ?? 4) : []
    const request = { ...this.claim, protocolType: 'consumer', protocolName: joined.protocolName, assignments }
    const reply = await this.#coordinator.sync('g', request, stays)
    if (reply.errorCode === ErrorCode.NONE)
      this.owned = decodeAssignment(reply.assignment).assignedPartitions.flatMap(({ partitions }) => partitions)
    return reply.errorCode
  }

  heartbeat(): number {
    return this.#coordinator.heartbeat('g', this.claim)
  }

  leave(): number[] {
    return this.#coordinator.leave('g', [this.claim])
  }
}

function share({ members }: JoinReply, partitionCount: number) {
  const readers = members.filter(({ metadata }) => decodeSubscription(metadata).topics.includes('t'))
  const partitions = Array.from({ length: partitionCount }, (_, partition) => partition)
  return readers.map(({ memberId }, index) => {
    const own = partitions.filter((partition) => partition % readers.length === index)
    const assignedPartitions = [{ topic: 't', partitions: own }]
    return { memberId, assignment: encodeAssignment({ assignedPartitions, userData: null }) }
  })
}
