/** ConsumerGroupHeartbeat as a member says it. Throws GroupRefusal for an error code. */
import { consumerGroupHeartbeat, LEAVE_EPOCH, STATIC_LEAVE_EPOCH } from '../../protocol/messages/consumer-groups.ts'
import type { Session } from '../session.ts'
import { GroupRefusal } from './group-refusal.ts'
import type { TopicPartition } from './topic-partition.ts'

export interface ConsumerIdentity {
  groupId: string
  /** Made up by the member, and kept for its life. */
  memberId: string
  groupInstanceId: string | null
  rebalanceTimeoutMs: number
  topics: readonly string[]
  /** Topics whose names match as a whole, besides; null: none. */
  pattern: string | null
  /** null: the group's default. */
  serverAssignor: string | null
}

/** As the group names it: a topic that was made anew is another. */
export interface OwnedPartition extends TopicPartition {
  topicId: string
}

export interface PartitionsOfId {
  topicId: string
  partitions: readonly number[]
}

export interface Beat {
  memberEpoch: number
  /** Everything that the group may have forgotten, or never heard. */
  isFull: boolean
  /** What is read now; undefined: as said before. */
  owned: readonly OwnedPartition[] | undefined
}

export interface BeatAnswer {
  memberEpoch: number
  heartbeatIntervalMs: number
  /** null: as before. */
  assignment: PartitionsOfId[] | null
}

/** In the first version the relay gives out ids. */
const withOwnIds = { ...consumerGroupHeartbeat, minVersion: 1 }

export class ConsumerHeartbeat {
  readonly #session: Session
  readonly #identity: ConsumerIdentity

  constructor(session: Session, identity: ConsumerIdentity) {
    this.#session = session
    this.#identity = identity
  }

  async beat({ memberEpoch, isFull, owned }: Beat): Promise<BeatAnswer> {
    const { topics, pattern, serverAssignor, rebalanceTimeoutMs } = this.#identity
    const profile = {
      rebalanceTimeoutMs,
      subscribedTopicNames: [...topics],
      subscribedTopicRegex: pattern,
      serverAssignor,
    }
    const said = isFull ? { ...this.#nothingNew(), ...profile } : this.#nothingNew()
    const answer = await this.#session.call(withOwnIds, {
      ...{ ...said, memberEpoch },
      topicPartitions: owned ? byTopicId(owned) : null,
    })
    if (answer.errorCode !== 0) throw new GroupRefusal('a heartbeat', answer.errorCode, answer.errorMessage)
    const { heartbeatIntervalMs, assignment } = answer
    return {
      memberEpoch: answer.memberEpoch,
      heartbeatIntervalMs,
      assignment: assignment?.topicPartitions ?? null,
    }
  }

  /** For good; a static member's place is kept for the process that comes after. Errors are of no use to who goes. */
  async leave(): Promise<void> {
    const memberEpoch = this.#identity.groupInstanceId === null ? LEAVE_EPOCH : STATIC_LEAVE_EPOCH
    const farewell = { ...this.#nothingNew(), memberEpoch, topicPartitions: null }
    await this.#session.call(withOwnIds, farewell).catch(() => {})
  }

  #nothingNew() {
    const { groupId, memberId, groupInstanceId } = this.#identity
    return {
      ...{ groupId, memberId, instanceId: groupInstanceId, rackId: null, rebalanceTimeoutMs: -1 },
      ...{ subscribedTopicNames: null, subscribedTopicRegex: null, serverAssignor: null },
    }
  }
}

function byTopicId(list: readonly OwnedPartition[]): Array<{ topicId: string; partitions: number[] }> {
  const topics = new Map<string, number[]>()
  for (const { topicId, partition } of list) topics.set(topicId, [...(topics.get(topicId) ?? []), partition])
  return [...topics].map(([topicId, partitions]) => ({ topicId, partitions }))
}
