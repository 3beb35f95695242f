/** The three calls an outbox makes, in its own terms. */
import { ErrorCode, errorName } from '../../protocol/errors.ts'
import { produce, RELAXED } from '../../protocol/messages/produce.ts'
import { describeProducers, initProducerId } from '../../protocol/messages/producers.ts'
import { kafkaFailure } from '../kafka-failure.ts'
import type { Session } from '../session.ts'
import type { KnownProducer } from './recovery.ts'

export interface OutgoingBatch {
  topic: string
  topicId: string
  partition: number
  records: Uint8Array
}

export interface ProduceAnswer {
  errorCode: number
  baseOffset: number
  errorText: string | null
  /** Written, and not yet on the relay's disk. */
  isRelaxed: boolean
}

const PRODUCE_TIMEOUT_MS = 30_000
/** From 12 on a write adds its partition to the transaction by itself (KIP-890). */
const produceInTransaction = { ...produce, minVersion: 12 }
const ACKS_ALL = -1

/** One request; the answers stand in the order of `batches`, undefined where the relay left one out. */
export async function sendProduce(
  session: Session,
  batches: readonly OutgoingBatch[],
  transactionalId: string | null = null,
): Promise<Array<ProduceAnswer | undefined>> {
  const topics = new Map<string, { name: string; topicId: string; partitionData: PartitionData[] }>()
  for (const { topic, topicId, partition, records } of batches) {
    const entry = topics.get(topicId) ?? { name: topic, topicId, partitionData: [] }
    entry.partitionData.push({ index: partition, records })
    topics.set(topicId, entry)
  }
  const response = await session.call(
    transactionalId === null ? produce : produceInTransaction,
    { transactionalId, acks: ACKS_ALL, timeoutMs: PRODUCE_TIMEOUT_MS, topicData: [...topics.values()] },
    { timeoutMs: PRODUCE_TIMEOUT_MS },
  )
  return batches.map(({ topic, topicId, partition }) => {
    // Up to version 12 an answer has the name, from 13 the id.
    const answered = response.responses.find((each) => each.topicId === topicId || each.name === topic)
    const answer = answered?.partitionResponses.find(({ index }) => index === partition)
    if (!answer) return undefined
    const { errorCode, baseOffset, durability } = answer
    return { errorCode, baseOffset, errorText: textOf(answer), isRelaxed: durability === RELAXED }
  })
}

interface PartitionData {
  index: number
  records: Uint8Array
}

function textOf(answer: {
  errorMessage: string | null
  recordErrors: Array<{ batchIndexErrorMessage: string | null }>
}): string | null {
  return answer.errorMessage ?? answer.recordErrors?.[0]?.batchIndexErrorMessage ?? null
}

/** What the relay knows of producers, for each of `partitions` in its order. */
export async function askProducers(
  session: Session,
  partitions: ReadonlyArray<{ topic: string; partition: number }>,
): Promise<Array<Map<number, KnownProducer> | { errorCode: number }>> {
  const topics = new Map<string, { name: string; partitionIndexes: number[] }>()
  for (const { topic, partition } of partitions) {
    const entry = topics.get(topic) ?? { name: topic, partitionIndexes: [] }
    entry.partitionIndexes.push(partition)
    topics.set(topic, entry)
  }
  const response = await session.call(describeProducers, { topics: [...topics.values()] })
  return partitions.map(({ topic, partition }) => {
    const answer = response.topics
      .find(({ name }) => name === topic)
      ?.partitions.find(({ partitionIndex }) => partitionIndex === partition)
    // Left out: that partition is asked about again, the others need not wait for it.
    if (!answer) return { errorCode: ErrorCode.UNKNOWN_SERVER_ERROR }
    if (answer.errorCode !== 0) return { errorCode: answer.errorCode }
    return new Map(
      answer.activeProducers.map(({ producerId, producerEpoch, lastSequence }) => [
        producerId,
        { producerEpoch, lastSequence },
      ]),
    )
  })
}

/** A producer id that nobody has had before. */
export async function newProducerId(session: Session): Promise<number> {
  const answer = await session.call(initProducerId, { transactionalId: null, transactionTimeoutMs: 0 })
  if (answer.errorCode === 0) return answer.producerId
  throw kafkaFailure(answer.errorCode, 'asking for a producer id', errorName(answer.errorCode))
}
