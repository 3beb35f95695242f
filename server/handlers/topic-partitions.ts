/**
 * DescribeTopicPartitions 0: like Metadata for topics, in the order of their names and in pieces, so that no answer grows
 * with the number of partitions there are.
 *
 * A piece holds at most as many partitions as asked for, 2,000 at most and 1 at least. Its cursor names the partition
 * with which the next piece begins, by topic name: topics that come or go between two pieces do not disturb it.
 */
import type { RequestOf, ResponseInputOf } from '../../protocol/api.ts'
import { ErrorCode } from '../../protocol/errors.ts'
import { NULL_UUID } from '../../protocol/lib/uuid.ts'
import { describeTopicPartitions } from '../../protocol/messages/topic-partitions.ts'
import type { Topic } from '../engine.ts'
import { entry, type RequestContext } from '../handler.ts'
import { BROKER_ID } from '../services.ts'
import { authorizedOperations } from './authorized-operations.ts'

const PARTITIONS_MAX = 2000

type Request = RequestOf<typeof describeTopicPartitions>
type Described = ResponseInputOf<typeof describeTopicPartitions>['topics'][number]

export const describeTopicPartitionsHandler = entry(describeTopicPartitions, 'each', (request, context) => {
  const { cursor } = request
  let room = Math.max(1, Math.min(request.responsePartitionLimit, PARTITIONS_MAX))
  const topics: Described[] = []
  for (const name of namesFrom(request, context)) {
    const isVisible = context.allows('describe', { type: 'topic', name })
    const topic = isVisible ? context.services.engine.topicByName(name) : undefined
    if (!topic) {
      // Topics that nobody asked for by name, and that may not be seen, are not there.
      if (request.topics.length > 0) topics.push(missing(name, isVisible))
      continue
    }
    const from = name === cursor?.topicName ? Math.max(0, cursor.partitionIndex) : 0
    if (room === 0) return { topics, nextCursor: { topicName: name, partitionIndex: from } }
    const to = Math.min(from + room, topic.partitions.length)
    topics.push(describe(topic, from, to, context))
    room -= Math.max(0, to - from)
    if (to < topic.partitions.length) return { topics, nextCursor: { topicName: name, partitionIndex: to } }
  }
  return { topics, nextCursor: null }
})

/** The asked names, each once, in Kafka's order (that of their bytes), from the cursor's on. */
function namesFrom(request: Request, { services }: RequestContext): string[] {
  const asked = request.topics.length > 0 ? request.topics : [...services.engine.topics()]
  const first = request.cursor?.topicName ?? ''
  return [...new Set(asked.map(({ name }) => name))].filter((name) => name >= first).sort(byBytes)
}

/** Names of topics are ASCII. */
function byBytes(a: string, b: string): number {
  return a < b ? -1 : Number(a > b)
}

function describe(topic: Topic, from: number, to: number, context: RequestContext): Described {
  return {
    errorCode: ErrorCode.NONE,
    name: topic.name,
    topicId: topic.id,
    partitions: topic.partitions.slice(from, to).map((log, index) => ({
      errorCode: ErrorCode.NONE,
      partitionIndex: from + index,
      leaderId: BROKER_ID,
      leaderEpoch: log.leaderEpoch,
      replicaNodes: [BROKER_ID],
      isrNodes: [BROKER_ID],
      eligibleLeaderReplicas: [],
      lastKnownElr: [],
      offlineReplicas: log.state === 'offline' ? [BROKER_ID] : [],
    })),
    topicAuthorizedOperations: authorizedOperations({ type: 'topic', name: topic.name }, context),
  }
}

function missing(name: string, isVisible: boolean): Described {
  const errorCode = isVisible ? ErrorCode.UNKNOWN_TOPIC_OR_PARTITION : ErrorCode.TOPIC_AUTHORIZATION_FAILED
  return { errorCode, name, topicId: NULL_UUID, partitions: [] }
}
