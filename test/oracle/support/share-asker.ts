/** A member of a share group at either peer, request by request: it counts its epochs as clients do. */
import type { RequestInputOf, ResponseOf } from '../../../protocol/api.ts'
import { incrementalAlterConfigs } from '../../../protocol/messages/configs.ts'
import { shareAcknowledge, shareFetch } from '../../../protocol/messages/share-fetch.ts'
import { shareGroupHeartbeat } from '../../../protocol/messages/share-groups.ts'
import { batchesOf, type Said } from '../../server/groups/share/share-member.ts'
import { eventually } from '../../support/eventually.ts'
import type { KafkaWire } from '../../support/kafka-wire.ts'
import type { Peer, TopicOnPeer } from './compare.ts'

type Fetch = RequestInputOf<typeof shareFetch>
type Beat = Partial<RequestInputOf<typeof shareGroupHeartbeat>>
type Topics = Fetch['topics']

const GROUP_RESOURCE = 32

export function configureGroup({ wire }: Pick<Peer, 'wire'>, groupId: string, values: Record<string, string | null>) {
  const configs = Object.entries(values).map(([name, value]) => ({
    ...{ name, value, configOperation: value === null ? 1 : 0 },
  }))
  const resources = [{ resourceType: GROUP_RESOURCE, resourceName: groupId, configs }]
  return wire.call(incrementalAlterConfigs, { resources, validateOnly: false })
}

export class ShareAsker {
  readonly wire: KafkaWire
  readonly groupId: string
  readonly memberId: string
  memberEpoch = 0
  sessionEpoch = 0

  constructor({ wire }: Pick<Peer, 'wire'>, groupId: string, memberId: string) {
    this.wire = wire
    this.groupId = groupId
    this.memberId = memberId
  }

  async beat(fields: Beat = {}) {
    const { groupId, memberId, memberEpoch } = this
    const reply = await this.wire.call(shareGroupHeartbeat, {
      ...{ groupId, memberId, memberEpoch, rackId: null, subscribedTopicNames: null },
      ...fields,
    })
    if (reply.errorCode === 0) this.memberEpoch = reply.memberEpoch
    return reply
  }

  join(topics: readonly string[], fields: Beat = {}) {
    this.memberEpoch = 0
    return this.beat({ subscribedTopicNames: topics, ...fields })
  }

  leave() {
    return this.beat({ memberEpoch: -1 })
  }

  /** In Kafka a member has its partitions when their beginning is on disk, which it hears with a later heartbeat. */
  async joined(...topics: readonly TopicOnPeer[]) {
    await this.join(topics.map(({ name }) => name))
    await eventually(
      async () => {
        const { assignment } = await this.join(topics.map(({ name }) => name))
        return assignment?.topicPartitions.length === topics.length
      },
      { withinMs: 20_000, everyMs: 50, what: `${this.memberId} has its partitions` },
    )
  }

  async fetch(topics: Topics, fields: Partial<Fetch> = {}, version = 2) {
    const { groupId, memberId, sessionEpoch: shareSessionEpoch } = this
    const asked = {
      ...{ groupId, memberId, shareSessionEpoch, topics, forgottenTopicsData: [] },
      ...{ maxWaitMs: 0, minBytes: 0, maxBytes: 1_000_000, maxRecords: 100, batchSize: 100, isRenewAck: false },
      ...fields,
    }
    const reply = await this.wire.call(shareFetch, asked, version)
    if (reply.errorCode === 0 && asked.shareSessionEpoch >= 0) this.sessionEpoch = asked.shareSessionEpoch + 1
    return tidy(reply)
  }

  /** Kafka's first fetch of a partition begins to read what it knows of it, and answers before it has. */
  fetchSome(topics: Topics, fields: Partial<Fetch> = {}) {
    return eventually(
      async () => {
        const reply = await this.fetch(topics, { maxWaitMs: 500, minBytes: 1, ...fields })
        return reply.errorCode !== 0 || reply.responses.some(isNews) ? reply : undefined
      },
      { withinMs: 20_000, what: `${this.memberId} gets something` },
    )
  }

  async acknowledge(topics: Topics, fields: { shareSessionEpoch?: number; isRenewAck?: boolean } = {}, version = 2) {
    const { groupId, memberId, sessionEpoch } = this
    const asked = { groupId, memberId, shareSessionEpoch: sessionEpoch, isRenewAck: false, topics, ...fields }
    const { responses, ...reply } = await this.wire.call(shareAcknowledge, asked, version)
    if (reply.errorCode === 0 && asked.shareSessionEpoch >= 0) this.sessionEpoch = asked.shareSessionEpoch + 1
    return {
      ...reply,
      responses: responses.map(({ topicId, partitions }) => ({
        topicId,
        partitions: partitions.map(({ currentLeader: _, ...rest }) => rest),
      })),
    }
  }
}

/** Of a topic: its partition 0, or another. `[first, last, type]`, or a type for each offset. */
export const of = ({ topicId }: Pick<TopicOnPeer, 'topicId'>, said: readonly Said[] = [], partitionIndex = 0) => ({
  ...{ topicId, partitions: [{ partitionIndex, acknowledgementBatches: batchesOf(said) }] },
})

const isNews = ({ partitions }: { partitions: ReadonlyArray<{ acquiredRecords: unknown[]; errorCode: number }> }) =>
  partitions.some(({ acquiredRecords, errorCode }) => acquiredRecords.length > 0 || errorCode !== 0)

/** Bytes of batches are compared elsewhere; here it is how many come. Kafka leaves zeros for a leader that has not changed. */
function tidy({ responses, ...reply }: ResponseOf<typeof shareFetch>) {
  return {
    ...reply,
    responses: responses.map(({ topicId, partitions }) => ({
      topicId,
      partitions: partitions
        .map(({ records, currentLeader: _, ...rest }) => ({ ...rest, bytes: records?.length ?? 0 }))
        .sort((a, b) => a.partitionIndex - b.partitionIndex),
    })),
  }
}
