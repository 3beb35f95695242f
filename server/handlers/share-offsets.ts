/**
 * DescribeShareGroupOffsets 0-1, AlterShareGroupOffsets 0, DeleteShareGroupOffsets 0: where share groups stand.
 *
 * They are altered and deleted while a group has no members.
 */
import type { RequestOf, ResponseInputOf } from '../../protocol/api.ts'
import { ErrorCode, KafkaError } from '../../protocol/errors.ts'
import { NULL_UUID } from '../../protocol/lib/uuid.ts'
import {
  alterShareGroupOffsets,
  deleteShareGroupOffsets,
  describeShareGroupOffsets,
} from '../../protocol/messages/share-offsets.ts'
import type { Operation } from '../authorizer.ts'
import type { TopicPartition } from '../coordinator/offsets.ts'
import type { ShareProgress } from '../coordinator/share/share-offsets.ts'
import type { Topic } from '../engine.ts'
import { entry, type RequestContext } from '../handler.ts'
import { errorFields } from './error-fields.ts'
import { checkGroupAccess } from './group-access.ts'

const NO_ERROR = { errorCode: ErrorCode.NONE, errorMessage: null }

/** Throws KafkaError when there is none of that name, or the client may not do this with it. */
function topicFor(name: string, operation: Operation, context: RequestContext): Topic {
  if (!context.allows(operation, { type: 'topic', name }))
    throw new KafkaError('TOPIC_AUTHORIZATION_FAILED', `not allowed to ${operation} topic ${name}`)
  const topic = context.services.engine.topicByName(name)
  if (!topic) throw new KafkaError('UNKNOWN_TOPIC_OR_PARTITION', `there is no topic ${name}`)
  return topic
}

// --- describe ------------------------------------------------------------------------------------------------------

type AskedGroup = RequestOf<typeof describeShareGroupOffsets>['groups'][number]
type DescribedGroup = ResponseInputOf<typeof describeShareGroupOffsets>['groups'][number]
type DescribedTopic = DescribedGroup['topics'][number]
type DescribedPartition = DescribedTopic['partitions'][number]

export const describeShareGroupOffsetsHandler = entry(
  describeShareGroupOffsets,
  'each',
  async ({ groups }, context) => ({
    groups: await Promise.all(groups.map((group) => describeGroup(group, context))),
  }),
)

async function describeGroup({ groupId, topics }: AskedGroup, context: RequestContext): Promise<DescribedGroup> {
  try {
    checkGroupAccess(context, 'describe', groupId)
    const described =
      topics === null ? await describeAll(groupId, context) : await describeSome(groupId, topics, context)
    return { ...NO_ERROR, groupId, topics: described }
  } catch (error) {
    return { ...errorFields(error), groupId, topics: [] }
  }
}

async function describeAll(groupId: string, context: RequestContext): Promise<DescribedTopic[]> {
  const found = new Map<string, DescribedPartition[]>()
  for (const each of await context.services.groups.shareOffsets.describe(groupId, 'all')) {
    const partitions = found.get(each.topicId) ?? []
    found.set(each.topicId, partitions)
    partitions.push(described(each))
  }
  return [...found].flatMap(([topicId, partitions]) => {
    const name = context.services.engine.topicById(topicId)?.name
    const isShown = name !== undefined && context.allows('describe', { type: 'topic', name })
    return isShown ? [{ topicName: name, topicId, partitions }] : []
  })
}

function describeSome(
  groupId: string,
  asked: NonNullable<AskedGroup['topics']>,
  context: RequestContext,
): Promise<DescribedTopic[]> {
  return Promise.all(
    asked.map(async ({ topicName, partitions }): Promise<DescribedTopic> => {
      try {
        const { id: topicId } = topicFor(topicName, 'describe', context)
        const at = partitions.map((partition): TopicPartition => ({ topicId, partition }))
        const found = await context.services.groups.shareOffsets.describe(groupId, at)
        return { topicName, topicId, partitions: found.map(described) }
      } catch (error) {
        if (error instanceof KafkaError && error.code === ErrorCode.GROUP_ID_NOT_FOUND) throw error
        const unknown = { startOffset: -1, leaderEpoch: 0, lag: -1, ...errorFields(error) }
        const failed = partitions.map((partitionIndex) => ({ partitionIndex, ...unknown }))
        return { topicName, topicId: NULL_UUID, partitions: failed }
      }
    }),
  )
}

function described({ partition: partitionIndex, startOffset, leaderEpoch, lag }: TopicPartition & ShareProgress) {
  return { ...NO_ERROR, partitionIndex, startOffset, leaderEpoch, lag }
}

// --- alter ---------------------------------------------------------------------------------------------------------

type Altered = ResponseInputOf<typeof alterShareGroupOffsets>['responses'][number]

export const alterShareGroupOffsetsHandler = entry(alterShareGroupOffsets, 'each', async (request, context) => {
  const { groupId } = request
  try {
    checkGroupAccess(context, 'read', groupId)
    const wanted: Array<TopicPartition & { startOffset: number }> = []
    const responses = request.topics.map(({ topicName, partitions }): Altered => {
      try {
        const topic = topicFor(topicName, 'read', context)
        const results = partitions.map(({ partitionIndex, startOffset }) => {
          const refused = alterRefusal(topic, partitionIndex, startOffset)
          if (!refused) wanted.push({ topicId: topic.id, partition: partitionIndex, startOffset })
          return { partitionIndex, ...(refused ? errorFields(refused) : NO_ERROR) }
        })
        return { topicName, topicId: topic.id, partitions: results }
      } catch (error) {
        const failed = partitions.map(({ partitionIndex }) => ({ partitionIndex, ...errorFields(error) }))
        return { topicName, topicId: NULL_UUID, partitions: failed }
      }
    })
    await context.services.groups.shareOffsets.alter(groupId, wanted)
    return { ...NO_ERROR, responses }
  } catch (error) {
    return { ...errorFields(error), responses: [] }
  }
})

function alterRefusal({ name, partitions }: Topic, partition: number, startOffset: number): KafkaError | undefined {
  if (!partitions[partition])
    return new KafkaError('UNKNOWN_TOPIC_OR_PARTITION', `${name} has no partition ${partition}`)
  if (startOffset < 0) return new KafkaError('INVALID_REQUEST', `${startOffset} is no offset`)
  return undefined
}

// --- delete --------------------------------------------------------------------------------------------------------

type Deleted = ResponseInputOf<typeof deleteShareGroupOffsets>['responses'][number]

export const deleteShareGroupOffsetsHandler = entry(deleteShareGroupOffsets, 'each', async (request, context) => {
  const { groupId } = request
  try {
    checkGroupAccess(context, 'delete', groupId)
    const doomed: Deleted[] = []
    const responses = [...new Set(request.topics.map(({ topicName }) => topicName))].map((topicName): Deleted => {
      try {
        const deleted = { ...NO_ERROR, topicName, topicId: topicFor(topicName, 'read', context).id }
        doomed.push(deleted)
        return deleted
      } catch (error) {
        return { ...errorFields(error), topicName, topicId: NULL_UUID }
      }
    })
    const topicIds = doomed.map(({ topicId }) => topicId)
    const errorCodes = await context.services.groups.shareOffsets.forget(groupId, topicIds)
    for (const [index, deleted] of doomed.entries())
      if (errorCodes[index] !== ErrorCode.NONE)
        Object.assign(deleted, {
          ...{ errorCode: errorCodes[index], errorMessage: 'the group has not read this topic' },
          topicId: NULL_UUID,
        })
    return { ...NO_ERROR, responses }
  } catch (error) {
    return { ...errorFields(error), responses: [] }
  }
})
