/**
 * A record that no attempt could do, written to another topic as it was: key, value and headers unchanged, and headers of
 * ours that say where it was, what happened and how often it was tried.
 */
import type { RawRecord } from '../../protocol/records.ts'
import type { Committed } from '../producer/receipt.ts'
import type { Topic } from '../topic.ts'
import type { AssignedPartition } from './assigned-partition.ts'
import type { Failure } from './partition-worker.ts'

/** Begins the name of each header that is added. */
export const DEAD_PREFIX = 'ottla.dead.'

const MESSAGE_LENGTH_MAX = 1_000

export interface DeadLetterPlace extends Committed {
  topic: string
}

const utf8 = new TextEncoder()

export async function writeDeadLetter(
  topic: Topic<Uint8Array, Uint8Array>,
  groupId: string,
  from: Pick<AssignedPartition, 'topic' | 'topicId' | 'partition'>,
  record: RawRecord,
  failure: Failure,
): Promise<DeadLetterPlace> {
  const told = { ...origin(groupId, from, record), ...whatHappened(failure) }
  const added = Object.entries(told).map(([name, value]) => ({ key: DEAD_PREFIX + name, value: utf8.encode(value) }))
  // One that fails again after a replay tells of its last death.
  const own = record.headers.filter(({ key }) => !key.startsWith(DEAD_PREFIX))
  const { key, value } = record
  const placed = await topic.send({ key, value, headers: [...own, ...added] }).committed
  return { topic: topic.name, ...placed }
}

function origin(groupId: string, from: Pick<AssignedPartition, 'topic' | 'topicId' | 'partition'>, record: RawRecord) {
  return {
    group: groupId,
    topic: from.topic,
    'topic-id': from.topicId,
    partition: String(from.partition),
    offset: String(record.offset),
    timestamp: String(record.timestamp),
  }
}

function whatHappened({ error, attempts }: Failure) {
  return { code: codeOf(error), message: reasonOf(error), attempts: String(attempts) }
}

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'Error'
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name
}

export function reasonOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).slice(0, MESSAGE_LENGTH_MAX)
}
