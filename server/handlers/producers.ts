/**
 * InitProducerId 0-5: without a transactional id a new producer id, epoch 0; with one an identity that fences whoever had
 * one before, and aborts its open transaction. DescribeProducers 0: what each log remembers, so that a producer whose acks
 * were lost learns what has landed before it sends again, and an administrator which transactions are open where.
 */
import { ErrorCode, KafkaError } from '../../protocol/errors.ts'
import { describeProducers, initProducerId } from '../../protocol/messages/producers.ts'
import { entry, type RequestContext } from '../handler.ts'
import { asKafkaError, errorFields } from './error-fields.ts'
import { fencedSince, transactionalIdError } from './transaction-access.ts'

const FENCED_FROM = 4

export const initProducerIdHandler = entry(initProducerId, 'each', async (request, context) => {
  try {
    return { errorCode: ErrorCode.NONE, ...(await identityFor(request, context)) }
  } catch (error) {
    return { errorCode: fencedSince(FENCED_FROM, context, asKafkaError(error).code), producerEpoch: -1 }
  }
})

interface Asked {
  transactionalId: string | null
  transactionTimeoutMs: number
  producerId: number
  producerEpoch: number
}

async function identityFor(asked: Asked, context: RequestContext) {
  const { transactionalId, transactionTimeoutMs: timeoutMs, producerId, producerEpoch } = asked
  const { engine, transactions } = context.services
  if (transactionalId === null) {
    if (!context.allows('idempotent-write', { type: 'cluster' }) && !context.allowsSome('write', 'topic'))
      throw new KafkaError('CLUSTER_AUTHORIZATION_FAILED', 'not allowed to write anywhere')
    return { producerId: await engine.nextProducerId(), producerEpoch: 0 }
  }
  const errorCode = transactionalIdError(context, 'write', transactionalId)
  if (errorCode !== ErrorCode.NONE)
    throw new KafkaError(errorCode, `not allowed to begin as transactional id ${transactionalId}`)
  if (producerId < 0 !== producerEpoch < 0)
    throw new KafkaError('INVALID_REQUEST', `producer id ${producerId} with epoch ${producerEpoch}: both or none`)
  const expected = producerId < 0 ? null : { producerId, producerEpoch }
  return transactions.init(transactionalId, { timeoutMs, expected })
}

export const describeProducersHandler = entry(describeProducers, 'each', (request, context) => ({
  topics: [...partitionsByTopic(request.topics)].map(([name, partitionIndexes]) => ({
    name,
    partitions: [...partitionIndexes].map((partitionIndex) => {
      try {
        return {
          partitionIndex,
          errorCode: ErrorCode.NONE,
          errorMessage: null,
          activeProducers: producersOf(name, partitionIndex, context),
        }
      } catch (error) {
        return { partitionIndex, ...errorFields(error), activeProducers: [] }
      }
    }),
  })),
}))

/** Each partition once, however often it is named: it may have thousands of producers. */
function partitionsByTopic(topics: ReadonlyArray<{ name: string; partitionIndexes: readonly number[] }>) {
  const byTopic = new Map<string, Set<number>>()
  for (const { name, partitionIndexes } of topics) {
    const indexes = byTopic.get(name) ?? new Set()
    for (const index of partitionIndexes) indexes.add(index)
    byTopic.set(name, indexes)
  }
  return byTopic
}

function producersOf(name: string, partition: number, context: RequestContext) {
  if (!context.allows('read', { type: 'topic', name }))
    throw new KafkaError('TOPIC_AUTHORIZATION_FAILED', `not allowed to read ${name}`)
  const log = context.services.engine.topicByName(name)?.partitions[partition]
  if (!log) throw new KafkaError('UNKNOWN_TOPIC_OR_PARTITION', `there is no partition ${partition} of ${name}`)
  return log.producers().map(({ currentTransactionStartOffset: currentTxnStartOffset, ...known }) => ({
    ...known,
    currentTxnStartOffset,
  }))
}
