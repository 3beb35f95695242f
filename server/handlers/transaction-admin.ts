/**
 * DescribeTransactions 0, ListTransactions 0-2, WriteTxnMarkers 1-2.
 *
 * What a client may not describe is not listed to it, and of a transaction it sees only the topics that it may describe.
 *
 * WriteTxnMarkers is how `kafka-transactions.sh abort` ends a transaction that hangs because nobody coordinates it any
 * more. It needs the right to alter the cluster. One that is coordinated here is not touched: half of it would be decided
 * otherwise than the rest.
 */
import { ErrorCode, KafkaError } from '../../protocol/errors.ts'
import { describeTransactions, listTransactions } from '../../protocol/messages/transaction-admin.ts'
import { writeTxnMarkers } from '../../protocol/messages/transactions.ts'
import type { TransactionMarker } from '../../protocol/transaction-marker.ts'
import { TRANSACTION_PHASES, type TransactionPhase } from '../coordinator/transactions/transaction-state.ts'
import type { TransactionalProducer } from '../coordinator/transactions/transactional-producer.ts'
import { entry, type RequestContext } from '../handler.ts'
import { asKafkaError } from './error-fields.ts'
import { transactionalIdError } from './transaction-access.ts'

export const describeTransactionsHandler = entry(describeTransactions, 'each', (request, context) => ({
  // Each once: a transaction's description can be ten thousand times as long as its name.
  transactionStates: [...new Set(request.transactionalIds)].map((transactionalId) =>
    describe(transactionalId, context),
  ),
}))

function describe(transactionalId: string, context: RequestContext) {
  const refused = (errorCode: number) => ({
    ...{ errorCode, transactionalId, transactionState: '', transactionTimeoutMs: 0, transactionStartTimeMs: -1 },
    ...{ producerId: -1, producerEpoch: -1, topics: [] },
  })
  const errorCode = transactionalIdError(context, 'describe', transactionalId)
  if (errorCode !== ErrorCode.NONE) return refused(errorCode)
  try {
    const producer = context.services.transactions.producer(transactionalId)
    if (!producer) return refused(ErrorCode.TRANSACTIONAL_ID_NOT_FOUND)
    return {
      ...{ errorCode, transactionalId, transactionState: producer.phase },
      transactionTimeoutMs: producer.timeoutMs,
      transactionStartTimeMs: producer.startedAtMs,
      ...producer.identity,
      topics: topicsOf(producer, context),
    }
  } catch (error) {
    return refused(asKafkaError(error).code)
  }
}

function topicsOf({ partitions }: TransactionalProducer, context: RequestContext) {
  const topics = new Map<string, { topic: string; partitions: number[] }>()
  for (const { topicId, partition } of partitions) {
    const name = context.services.engine.topicById(topicId)?.name
    if (name === undefined || !context.allows('describe', { type: 'topic', name })) continue
    const topic = topics.get(topicId) ?? { topic: name, partitions: [] }
    topics.set(topicId, topic)
    topic.partitions.push(partition)
  }
  return [...topics.values()]
}

const isPhase = (text: string): text is TransactionPhase => (TRANSACTION_PHASES as readonly string[]).includes(text)

export const listTransactionsHandler = entry(listTransactions, 'each', async (request, context) => {
  const { stateFilters, durationFilter } = request
  const unknownStateFilters = stateFilters.filter((text) => !isPhase(text))
  const phases = new Set(stateFilters.filter(isPhase))
  const producerIds = new Set(request.producerIdFilters)
  const nowMs = context.services.clock.now()
  const isWanted = ({ phase, identity, startedAtMs, isAtRest, transactionalId }: TransactionalProducer) =>
    (stateFilters.length === 0 || phases.has(phase)) &&
    (producerIds.size === 0 || producerIds.has(identity.producerId)) &&
    (durationFilter < 0 || (!isAtRest && nowMs - startedAtMs > durationFilter)) &&
    transactionalIdError(context, 'describe', transactionalId) === ErrorCode.NONE
  try {
    const producers = [...context.services.transactions.producers()].filter(isWanted)
    // As they are now: an expression may take many turns.
    const states = producers.map(({ transactionalId, identity, phase }) => {
      return { transactionalId, producerId: identity.producerId, transactionState: phase }
    })
    const transactionStates = await matching(states, request.transactionalIdPattern, context)
    return { errorCode: ErrorCode.NONE, unknownStateFilters, transactionStates }
  } catch (error) {
    return { errorCode: asKafkaError(error).code, unknownStateFilters, transactionStates: [] }
  }
})

async function matching<T extends { transactionalId: string }>(
  states: T[],
  pattern: string | null,
  { services }: RequestContext,
): Promise<T[]> {
  if (pattern === null || pattern === '') return states
  const ids = states.map(({ transactionalId }) => transactionalId)
  const chosen = new Set(await services.selector.select(pattern, ids))
  return states.filter(({ transactionalId }) => chosen.has(transactionalId))
}

export const writeTxnMarkersHandler = entry(writeTxnMarkers, 'each', async (request, context) => ({
  markers: await Promise.all(
    request.markers.map(async (asked) => {
      const { producerId, producerEpoch, coordinatorEpoch, transactionResult } = asked
      const outcome = transactionResult ? ('commit' as const) : ('abort' as const)
      const marker = { producerId, producerEpoch, coordinatorEpoch, outcome }
      const topics = asked.topics.map(async ({ name, partitionIndexes }) => {
        const partitions = partitionIndexes.map(async (partitionIndex) => ({
          partitionIndex,
          errorCode: await write(marker, name, partitionIndex, context),
        }))
        return { name, partitions: await Promise.all(partitions) }
      })
      return { producerId, topics: await Promise.all(topics) }
    }),
  ),
}))

async function write(
  marker: TransactionMarker,
  name: string,
  partition: number,
  { services, allows }: RequestContext,
): Promise<number> {
  if (!allows('alter', { type: 'cluster' }) && !allows('cluster-action', { type: 'cluster' }))
    return ErrorCode.CLUSTER_AUTHORIZATION_FAILED
  try {
    const log = services.engine.topicByName(name)?.partitions[partition]
    if (!log) return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    if (services.transactions.isInCharge(marker.producerId))
      throw new KafkaError('INVALID_TXN_STATE', `the transaction of producer ${marker.producerId} is coordinated here`)
    await log.appendMarker(marker).durable
    return ErrorCode.NONE
  } catch (error) {
    return asKafkaError(error).code
  }
}
