/** Asks the relay for one offset: END, START, or the first at or after a time (-1 when there is none). */
import { listOffsets } from '../../protocol/messages/offsets.ts'
import { kafkaFailure } from '../kafka-failure.ts'
import type { CallOptions, Session } from '../session.ts'
import type { Isolation } from './source.ts'

const CONSUMER = -1

export interface AskedOffset {
  topic: string
  partition: number
  timestampMs: number
  isolation: Isolation
}

export async function listOffset(
  session: Session,
  { topic, partition, timestampMs, isolation: isolationLevel }: AskedOffset,
  options: CallOptions,
): Promise<number> {
  const partitions = [{ partitionIndex: partition, timestamp: timestampMs }]
  const answer = await session.call(
    listOffsets,
    { replicaId: CONSUMER, isolationLevel, topics: [{ name: topic, partitions }] },
    options,
  )
  const found = answer.topics[0]?.partitions[0]
  if (found?.errorCode === 0) return found.offset
  throw kafkaFailure(found?.errorCode ?? 3, `ListOffsets of ${topic}-${partition}`)
}
