/**
 * Metadata 0-13, DescribeCluster 0-2. One relay is broker 1 of a cluster of one, and leads every partition.
 *
 * A topic that is asked for by name and missing is created when both the relay (`auto-create-topics`) and the request
 * allow it.
 */
import type { ResponseInputOf } from '../../protocol/api.ts'
import { ErrorCode } from '../../protocol/errors.ts'
import { NULL_UUID } from '../../protocol/lib/uuid.ts'
import { describeCluster, metadata } from '../../protocol/messages/metadata.ts'
import { isTopicName } from '../engine/topic-names.ts'
import type { Topic } from '../engine.ts'
import { entry, type RequestContext } from '../handler.ts'
import { BROKER_ID } from '../services.ts'
import { authorizedOperations } from './authorized-operations.ts'
import { asKafkaError } from './error-fields.ts'
import { mayCreateTopic } from './find-topic.ts'

type TopicMetadata = ResponseInputOf<typeof metadata>['topics'][number]

export const metadataHandler = entry(metadata, 'each', async (request, context) => {
  const { services } = context
  const asksForAll = request.topics === null || (context.apiVersion === 0 && request.topics.length === 0)
  const topics = asksForAll
    ? visibleTopics(context).map(describe)
    : await Promise.all(
        distinct(request.topics ?? []).map((asked) => find(asked, request.allowAutoTopicCreation, context)),
      )
  return {
    brokers: [{ nodeId: BROKER_ID, ...context.connection.advertised }],
    clusterId: services.engine.clusterId,
    controllerId: BROKER_ID,
    topics: request.includeTopicAuthorizedOperations ? topics.map((topic) => withOperations(topic, context)) : topics,
    clusterAuthorizedOperations: authorizedOperations(
      { type: 'cluster' },
      context,
      request.includeClusterAuthorizedOperations,
    ),
  }
})

function withOperations(topic: TopicMetadata, context: RequestContext): TopicMetadata {
  if (topic.errorCode !== ErrorCode.NONE || topic.name == null) return topic
  return { ...topic, topicAuthorizedOperations: authorizedOperations({ type: 'topic', name: topic.name }, context) }
}

/** A topic that is named twice is answered once, as in Kafka: an answer may be ten thousand times its question. */
function distinct<T extends { topicId: string; name: string | null }>(asked: readonly T[]): T[] {
  return [...new Map(asked.map((topic) => [`${topic.topicId}/${topic.name}`, topic])).values()]
}

function visibleTopics(context: RequestContext): Topic[] {
  return [...context.services.engine.topics()].filter(({ name }) => context.allows('describe', { type: 'topic', name }))
}

async function find(
  asked: { topicId: string; name: string | null },
  mayCreate: boolean,
  context: RequestContext,
): Promise<TopicMetadata> {
  const { engine, config } = context.services
  if (asked.name === null || asked.topicId !== NULL_UUID) {
    const topic = engine.topicById(asked.topicId)
    const isVisible = topic && context.allows('describe', { type: 'topic', name: topic.name })
    return isVisible ? describe(topic) : missing(asked, ErrorCode.UNKNOWN_TOPIC_ID)
  }
  const { name } = asked
  // Whether it is there or not: that is not told.
  if (!context.allows('describe', { type: 'topic', name })) return missing(asked, ErrorCode.TOPIC_AUTHORIZATION_FAILED)
  const topic = engine.topicByName(name)
  if (topic) return describe(topic)
  if (!isTopicName(name)) return missing(asked, ErrorCode.INVALID_TOPIC_EXCEPTION)
  if (!mayCreate || !config.autoCreateTopics) return missing(asked, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
  if (!mayCreateTopic(context, name)) return missing(asked, ErrorCode.TOPIC_AUTHORIZATION_FAILED)
  try {
    return describe(await engine.createTopic({ name, partitionCount: -1, configs: {} }))
  } catch (error) {
    const { code } = asKafkaError(error)
    // Two clients asked at once; the other one's topic is as good.
    const created = engine.topicByName(name)
    return created ? describe(created) : missing(asked, code)
  }
}

function describe(topic: Topic): TopicMetadata {
  return {
    errorCode: ErrorCode.NONE,
    name: topic.name,
    topicId: topic.id,
    partitions: topic.partitions.map((log, partitionIndex) => ({
      errorCode: ErrorCode.NONE,
      partitionIndex,
      leaderId: BROKER_ID,
      leaderEpoch: log.leaderEpoch,
      replicaNodes: [BROKER_ID],
      isrNodes: [BROKER_ID],
      offlineReplicas: log.state === 'offline' ? [BROKER_ID] : [],
    })),
  }
}

function missing(asked: { topicId: string; name: string | null }, errorCode: number): TopicMetadata {
  return { errorCode, name: asked.name, topicId: asked.topicId, partitions: [] }
}

/** Endpoint types of KIP-919. A single relay has no controllers apart, as a Kafka broker is none that clients may ask. */
const BROKERS = 1

export const describeClusterHandler = entry(describeCluster, 'none', (request, context) => {
  const { engine } = context.services
  const cluster = { clusterId: engine.clusterId, endpointType: BROKERS, controllerId: BROKER_ID }
  if (request.endpointType !== BROKERS) {
    const errorMessage = `endpoint type ${request.endpointType}: there are only brokers, type ${BROKERS}`
    return { ...cluster, errorCode: ErrorCode.MISMATCHED_ENDPOINT_TYPE, errorMessage, brokers: [] }
  }
  return {
    ...cluster,
    errorCode: ErrorCode.NONE,
    brokers: [{ brokerId: BROKER_ID, ...context.connection.advertised, rack: null }],
    clusterAuthorizedOperations: authorizedOperations(
      { type: 'cluster' },
      context,
      request.includeClusterAuthorizedOperations,
    ),
  }
})
