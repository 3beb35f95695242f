/**
 * InitProducerId 0-5 without transactional id: a new id, epoch 0. DescribeProducers 0: what each log remembers, so that a
 * producer whose acks were lost learns what has landed before it sends again.
 *
 * Not done: transactional ids (docs/GAPS.md), answered with INVALID_REQUEST so that no client takes it for a passing
 * fault.
 */
import { ErrorCode, KafkaError } from '../../protocol/errors.ts'
import { describeProducers, initProducerId } from '../../protocol/messages/producers.ts'
import { entry, type RequestContext } from '../handler.ts'
import { asKafkaError, errorFields } from './error-fields.ts'

export const initProducerIdHandler = entry(initProducerId, 'each', async (request, context) => {
  if (request.transactionalId !== null) return { errorCode: ErrorCode.INVALID_REQUEST, producerEpoch: -1 }
  try {
    return { errorCode: ErrorCode.NONE, producerId: await context.services.engine.nextProducerId(), producerEpoch: 0 }
  } catch (error) {
    return { errorCode: asKafkaError(error).code, producerEpoch: -1 }
  }
})

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
