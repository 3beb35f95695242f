/**
 * AddPartitionsToTxn 0-5, AddOffsetsToTxn 0-4, EndTxn 0-5.
 *
 * AddPartitionsToTxn takes all partitions of a transaction or none: where some cannot be taken, the others get
 * OPERATION_NOT_ATTEMPTED. Its versions from 4 on are for brokers in Kafka, and for clients too here: every resource that
 * they name is asked about. Which versions know the word PRODUCER_FENCED differs; older ones get INVALID_PRODUCER_EPOCH.
 */
import { ErrorCode } from '../../protocol/errors.ts'
import { addOffsetsToTxn, addPartitionsToTxn, endTxn } from '../../protocol/messages/transactions.ts'
import type { TopicPartition } from '../coordinator/offsets.ts'
import type { ProducerIdentity } from '../coordinator/transactional-offsets.ts'
import { entry, type RequestContext } from '../handler.ts'
import { asKafkaError } from './error-fields.ts'
import { groupError } from './group-access.ts'
import { fencedSince, transactionalIdError } from './transaction-access.ts'

const MANY_FROM = 4
const ABORTABLE_FROM = 5
const FENCED_FROM = 2
const CHANGES_IDENTITY_FROM = 5

interface Addition {
  transactionalId: string
  producerId: number
  producerEpoch: number
  topics: ReadonlyArray<{ name: string; partitions: readonly number[] }>
}

export const addPartitionsToTxnHandler = entry(addPartitionsToTxn, 'each', async (request, context) => {
  if (context.apiVersion < MANY_FROM) return { resultsByTopic: await add(request, context) }
  const resultsByTransaction = await Promise.all(
    request.transactions.map(async (each) => ({
      transactionalId: each.transactionalId,
      topicResults: each.verifyOnly ? verify(each, context) : await add(each, context),
    })),
  )
  return { errorCode: ErrorCode.NONE, resultsByTransaction }
})

async function add(addition: Addition, context: RequestContext) {
  const { transactionalId, topics } = addition
  const idError = transactionalIdError(context, 'write', transactionalId)
  if (idError !== ErrorCode.NONE) return answer(topics, () => idError)
  const { partitions, refusals } = resolve(addition, context)
  if (refusals.size > 0)
    return answer(
      topics,
      (name, partition) => refusals.get(`${name}-${partition}`) ?? ErrorCode.OPERATION_NOT_ATTEMPTED,
    )
  const errorCode = await codeOf(() =>
    context.services.transactions.add(transactionalId, identityOf(addition), { partitions }),
  )
  return answer(topics, () => fencedSince(FENCED_FROM, context, errorCode))
}

function verify(addition: Addition, context: RequestContext) {
  const { transactionalId, topics } = addition
  const idError = transactionalIdError(context, 'write', transactionalId)
  return answer(topics, (name, partition) => {
    if (idError !== ErrorCode.NONE) return idError
    const found = findPartition(name, partition, context)
    if (typeof found === 'number') return found
    try {
      context.services.transactions.verify(transactionalId, identityOf(addition), { partition: found })
      return ErrorCode.NONE
    } catch (error) {
      const { code } = asKafkaError(error)
      const isAbortable = code === ErrorCode.INVALID_TXN_STATE && context.apiVersion >= ABORTABLE_FROM
      return isAbortable ? ErrorCode.TRANSACTION_ABORTABLE : code
    }
  })
}

function resolve({ topics }: Addition, context: RequestContext) {
  const partitions: TopicPartition[] = []
  const refusals = new Map<string, number>()
  for (const { name, partitions: indexes } of topics) {
    for (const index of new Set(indexes)) {
      const found = findPartition(name, index, context)
      if (typeof found === 'number') refusals.set(`${name}-${index}`, found)
      else partitions.push(found)
    }
  }
  return { partitions, refusals }
}

function findPartition(name: string, partition: number, context: RequestContext): TopicPartition | number {
  if (!context.allows('write', { type: 'topic', name })) return ErrorCode.TOPIC_AUTHORIZATION_FAILED
  const topic = context.services.engine.topicByName(name)
  return topic?.partitions[partition] ? { topicId: topic.id, partition } : ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
}

function answer(topics: Addition['topics'], errorCodeOf: (name: string, partition: number) => number) {
  return topics.map(({ name, partitions }) => ({
    name,
    resultsByPartition: partitions.map((partitionIndex) => ({
      partitionIndex,
      partitionErrorCode: errorCodeOf(name, partitionIndex),
    })),
  }))
}

export const addOffsetsToTxnHandler = entry(addOffsetsToTxn, 'each', async (request, context) => {
  const { transactionalId, groupId } = request
  const refused = transactionalIdError(context, 'write', transactionalId) || groupError(context, 'read', groupId)
  if (refused !== ErrorCode.NONE) return { errorCode: refused }
  const errorCode = await codeOf(() =>
    context.services.transactions.add(transactionalId, identityOf(request), { groups: [groupId] }),
  )
  return { errorCode: fencedSince(FENCED_FROM, context, errorCode) }
})

export const endTxnHandler = entry(endTxn, 'each', async (request, context) => {
  const { transactionalId, committed } = request
  const refused = transactionalIdError(context, 'write', transactionalId)
  if (refused !== ErrorCode.NONE) return { errorCode: refused }
  try {
    const next = await context.services.transactions.end(transactionalId, {
      identity: identityOf(request),
      outcome: committed ? 'commit' : 'abort',
      changesIdentity: context.apiVersion >= CHANGES_IDENTITY_FROM,
    })
    return { errorCode: ErrorCode.NONE, ...next }
  } catch (error) {
    return { errorCode: fencedSince(FENCED_FROM, context, asKafkaError(error).code) }
  }
})

function identityOf({ producerId, producerEpoch }: ProducerIdentity): ProducerIdentity {
  return { producerId, producerEpoch }
}

async function codeOf(act: () => Promise<void>): Promise<number> {
  try {
    await act()
    return ErrorCode.NONE
  } catch (error) {
    return asKafkaError(error).code
  }
}
