/**
 * CreateTopics 2-7, DeleteTopics 1-6, CreatePartitions 0-3.
 *
 * Each topic of a request succeeds or fails by itself. Replication factor -1 or 1; assignments are refused unless they
 * name broker 1 alone, because there is no other.
 */
import { ErrorCode, KafkaError } from '../../protocol/errors.ts'
import { NULL_UUID } from '../../protocol/lib/uuid.ts'
import { createPartitions, createTopics, deleteTopics } from '../../protocol/messages/topics.ts'
import type { CheckedTopic, NewTopic, Topic } from '../engine.ts'
import { entry, type RequestContext } from '../handler.ts'
import { BROKER_ID } from '../services.ts'
import { describeEntries } from './configs.ts'
import { errorFields } from './error-fields.ts'
import { mayCreateTopic } from './find-topic.ts'

interface AskedTopic {
  name: string
  numPartitions: number
  replicationFactor: number
  assignments: ReadonlyArray<{ partitionIndex: number; brokerIds: readonly number[] }>
  configs: ReadonlyArray<{ name: string; value: string | null }>
}

export const createTopicsHandler = entry(createTopics, 'each', async (request, context) => {
  const repeated = repeatedNames(request.topics)
  return {
    topics: await Promise.all(
      request.topics.map(async (asked) => {
        try {
          checkAlone(asked.name, repeated)
          return createdTopic(await create(asked, request.validateOnly, context))
        } catch (error) {
          return { name: asked.name, topicId: NULL_UUID, ...errorFields(error) }
        }
      }),
    ),
  }
})

async function create(asked: AskedTopic, validateOnly: boolean, context: RequestContext): Promise<CheckedTopic> {
  const { name, replicationFactor } = asked
  if (!mayCreateTopic(context, name))
    throw new KafkaError('TOPIC_AUTHORIZATION_FAILED', `not allowed to create ${name}`)
  if (replicationFactor !== -1 && replicationFactor !== 1) {
    throw new KafkaError(
      'INVALID_REPLICATION_FACTOR',
      `replication factor ${replicationFactor}: there is one broker, use 1 or -1`,
    )
  }
  const topic: NewTopic = { name, partitionCount: partitionCountOf(asked), configs: configsOf(asked) }
  const { engine } = context.services
  if (!validateOnly) {
    const created = await engine.createTopic(topic)
    return { ...created, partitionCount: created.partitions.length }
  }
  return engine.checkNewTopic(topic)
}

function partitionCountOf({ assignments, numPartitions, replicationFactor }: AskedTopic): number {
  if (assignments.length === 0) return numPartitions
  if (numPartitions !== -1 || replicationFactor !== -1)
    throw new KafkaError('INVALID_REQUEST', 'assignments say how many partitions there are: leave both counts at -1')
  const isPossible = assignments.every(isToThisBroker)
  const indexes = assignments.map(({ partitionIndex }) => partitionIndex).sort((a, b) => a - b)
  if (!isPossible || indexes.some((partition, index) => partition !== index)) {
    throw new KafkaError(
      'INVALID_REPLICA_ASSIGNMENT',
      `assignments must give partitions 0 to n-1 to broker ${BROKER_ID} alone`,
    )
  }
  return assignments.length
}

function isToThisBroker({ brokerIds }: { brokerIds: readonly number[] }): boolean {
  return brokerIds.length === 1 && brokerIds[0] === BROKER_ID
}

function configsOf({ configs }: AskedTopic): Record<string, string> {
  return Object.fromEntries(configs.flatMap(({ name, value }) => (value === null ? [] : [[name, value]])))
}

function createdTopic(created: CheckedTopic) {
  return {
    errorCode: ErrorCode.NONE,
    errorMessage: null,
    name: created.name,
    topicId: created.id,
    numPartitions: created.partitionCount,
    replicationFactor: 1,
    configs: describeEntries(created),
  }
}

export const deleteTopicsHandler = entry(deleteTopics, 'each', async (request, context) => {
  const asked =
    context.apiVersion >= 6 ? request.topics : request.topicNames.map((name) => ({ name, topicId: NULL_UUID }))
  return {
    responses: await Promise.all(
      asked.map(async ({ name, topicId }) => {
        try {
          const topic = await remove(name, topicId, context)
          return { name: topic.name, topicId: topic.id, errorCode: ErrorCode.NONE, errorMessage: null }
        } catch (error) {
          return { name, topicId, ...errorFields(error) }
        }
      }),
    ),
  }
})

async function remove(name: string | null, topicId: string, context: RequestContext): Promise<Topic> {
  const { engine } = context.services
  if (name !== null && !context.allows('describe', { type: 'topic', name }))
    throw new KafkaError('TOPIC_AUTHORIZATION_FAILED', `not allowed to delete ${name}`)
  const topic = name === null ? engine.topicById(topicId) : engine.topicByName(name)
  if (!topic) {
    throw name === null
      ? new KafkaError('UNKNOWN_TOPIC_ID', `no topic has the id ${topicId}`)
      : new KafkaError('UNKNOWN_TOPIC_OR_PARTITION', `there is no topic ${name}`)
  }
  if (!context.allows('delete', { type: 'topic', name: topic.name })) {
    // An id tells nobody the name of a topic that may not be seen.
    const known = context.allows('describe', { type: 'topic', name: topic.name }) ? topic.name : topicId
    throw new KafkaError('TOPIC_AUTHORIZATION_FAILED', `not allowed to delete ${known}`)
  }
  await engine.deleteTopic(topic.id)
  return topic
}

export const createPartitionsHandler = entry(createPartitions, 'each', async (request, context) => {
  const repeated = repeatedNames(request.topics)
  return {
    results: await Promise.all(
      request.topics.map(async ({ name, count, assignments }) => {
        try {
          checkAlone(name, repeated)
          await grow({ name, count, assignments }, request.validateOnly, context)
          return { name, errorCode: ErrorCode.NONE, errorMessage: null }
        } catch (error) {
          return { name, ...errorFields(error) }
        }
      }),
    ),
  }
})

interface Growth {
  name: string
  /** The new total. */
  count: number
  assignments: ReadonlyArray<{ brokerIds: readonly number[] }> | null
}

async function grow(
  { name, count, assignments }: Growth,
  validateOnly: boolean,
  context: RequestContext,
): Promise<void> {
  const { engine } = context.services
  if (!context.allows('alter', { type: 'topic', name }))
    throw new KafkaError('TOPIC_AUTHORIZATION_FAILED', `not allowed to alter ${name}`)
  const topic = engine.topicByName(name)
  if (!topic) throw new KafkaError('UNKNOWN_TOPIC_OR_PARTITION', `there is no topic ${name}`)
  const added = count - topic.partitions.length
  if (assignments && added > 0 && !(assignments.length === added && assignments.every(isToThisBroker))) {
    throw new KafkaError(
      'INVALID_REPLICA_ASSIGNMENT',
      `assignments must give each of the ${added} new partitions to broker ${BROKER_ID} alone; leave them out`,
    )
  }
  await engine.growTopic(topic.id, count, { validateOnly })
}

/** A name that stands twice in one request is refused twice, as Kafka does: which one was meant? */
function checkAlone(name: string, repeated: ReadonlySet<string>): void {
  if (repeated.has(name)) throw new KafkaError('INVALID_REQUEST', `${name} stands more than once in the request`)
}

function repeatedNames(topics: ReadonlyArray<{ name: string }>): Set<string> {
  const seen = new Set<string>()
  const repeated = new Set<string>()
  for (const { name } of topics) (seen.has(name) ? repeated : seen).add(name)
  return repeated
}
