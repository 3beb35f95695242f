/**
 * Reading for a share group: from a partition's log to what one member takes of it.
 *
 * Of batches only headers are looked at. One request at a time reads a partition for a group; others find out what is left
 * when it has taken its part.
 */

import { KafkaError } from '../protocol/errors.ts'
import { batchesIn, isControl, isTransactional, lastOffsetOf } from '../protocol/record-batch.ts'
import type { TopicPartition } from './coordinator/offsets.ts'
import type { ShareConfig, ShareDeliveries } from './coordinator/share/share-deliveries.ts'
import type { Span } from './coordinator/share/share-partition.ts'
import type { Acquired } from './coordinator/share/taking.ts'
import { damageCode } from './damage.ts'
import type { PartitionLog } from './log/partition-log.ts'
import type { SessionKey } from './share-sessions.ts'

/** Read at once; records may be small, and few of them wanted. */
const READ_BYTES = 256 * 1024

export interface ShareReadLimits {
  bytesLeft: number
  recordsLeft: number
  readonly batchSize: number
  readonly isStrict: boolean
  /** The first batch of an answer may be larger than the limits. */
  isFirst: boolean
}

export interface ShareRead {
  at: TopicPartition
  log: PartitionLog
  session: SessionKey
  config: ShareConfig
  deliveries: ShareDeliveries
  /** Counted down by what is taken. */
  limits: ShareReadLimits
  /** False: nobody is there any more to take anything. */
  mayTake: () => boolean
}

export interface Taken {
  /** Whole batches. */
  records: Uint8Array
  /** What of them is the member's. */
  acquired: Acquired[]
}

/** undefined when there is nothing to take now. Rejects with KafkaError when the log can't be read. */
export async function takeFrom(read: ShareRead): Promise<Taken | undefined> {
  const { at, log, session, deliveries } = read
  const held = deliveries.heldShare(session.groupId, at)
  if (!held && log.state === 'offline') throw new KafkaError('KAFKA_STORAGE_ERROR', 'the log is offline')
  if (!held || held.isBeingRead) return undefined
  const before = nextOffset(read)
  if (before === undefined || before >= endOf(read)) return undefined
  held.isBeingRead = true
  try {
    const taken = await takeSlices(read)
    return taken.acquired.length > 0 ? taken : undefined
  } finally {
    held.isBeingRead = false
    // Others may take what is left. Where nothing has changed they would only find the same.
    if (deliveries.isCurrent(held) && nextOffset(read) !== before) held.released.emit()
  }
}

async function takeSlices(read: ShareRead): Promise<Taken> {
  const { limits } = read
  const pieces: Uint8Array[] = []
  const all: Acquired[] = []
  while (limits.recordsLeft > 0 && (limits.bytesLeft > 0 || limits.isFirst) && read.mayTake()) {
    const slice = await readNext(read)
    if (!slice || !read.mayTake()) break
    const acquired = acquire(read, slice.spans)
    // All of it was nothing to hand out, or another member had it by now: what comes next may be different.
    if (acquired.length === 0 && slice.wasSkipped()) continue
    if (acquired.length === 0) break
    const piece = covering(slice.bytes, acquired[0]!.first, acquired.at(-1)!.last)
    pieces.push(piece)
    all.push(...acquired)
    limits.isFirst = false
    limits.bytesLeft -= piece.length
    for (const { first, last } of acquired) limits.recordsLeft -= last - first + 1
    // Records on their last delivery come alone.
    if (acquired.some(({ deliveryCount }) => deliveryCount >= read.config.deliveriesMax)) limits.recordsLeft = 0
    // What was released comes in its own time: the answer holds offsets in order, each batch once.
    const next = nextOffset(read)
    if (next === undefined || next !== slice.nextOffset) break
  }
  return { records: pieces.length === 1 ? pieces[0]! : joined(pieces), acquired: all }
}

function nextOffset({ at, session, config, deliveries }: ShareRead): number | undefined {
  return deliveries.heldShare(session.groupId, at)?.partition.nextOffset(config)
}

const endOf = ({ log, config }: ShareRead) => (config.isCommitted ? log.lastStableOffset : log.highWatermark)

async function readNext(read: ShareRead) {
  const { log, config, limits } = read
  const offset = nextOffset(read)
  if (offset === undefined || offset >= endOf(read)) return undefined
  const errorCode = damageCode(log, offset, config.isCommitted)
  if (errorCode) throw new KafkaError(errorCode, 'the log is damaged there')
  const bytesMax = Math.min(READ_BYTES, Math.max(1, limits.bytesLeft))
  const {
    bytes,
    nextOffset: endOffset,
    aborted,
  } = config.isCommitted
    ? await log.readCommitted(offset, bytesMax)
    : { ...(await log.read(offset, bytesMax)), aborted: [] }
  // A batch alone may be larger than what is left of the answer.
  if (bytes.length === 0 || (bytes.length > limits.bytesLeft && !limits.isFirst)) return undefined
  return {
    ...{ bytes, nextOffset: endOffset, spans: spansOf(bytes, offset, aborted) },
    wasSkipped: () => nextOffset(read) !== offset,
  }
}

function acquire({ at, session, deliveries, limits }: ShareRead, spans: readonly Span[]): readonly Acquired[] {
  const { recordsLeft: recordsMax, isStrict, batchSize } = limits
  return deliveries.acquire(session.groupId, at, spans, { memberId: session.memberId, recordsMax, isStrict, batchSize })
}

type Aborted = ReadonlyArray<{ producerId: number; firstOffset: number; lastOffset: number }>

/** Batch by batch, and what lies between them, from `from` on. */
export function spansOf(bytes: Uint8Array, from: number, aborted: Aborted): Span[] {
  const spans: Span[] = []
  let next = from
  for (const { header } of batchesIn(bytes)) {
    const { baseOffset: first, producerId, recordCount } = header
    const last = lastOffsetOf(header)
    if (first > next) spans.push({ first: next, last: first - 1, hasRecords: false })
    const isAborted =
      isTransactional(header) &&
      aborted.some((each) => each.producerId === producerId && each.firstOffset <= first && first <= each.lastOffset)
    spans.push({ first, last, hasRecords: recordCount > 0 && !isControl(header) && !isAborted })
    next = last + 1
  }
  return spans
}

/** The batches that hold these offsets. */
function covering(bytes: Uint8Array, first: number, last: number): Uint8Array {
  let from: number | undefined
  let to = 0
  for (const { at, end, header } of batchesIn(bytes)) {
    if (lastOffsetOf(header) < first || header.baseOffset > last) continue
    from ??= at
    to = end
  }
  return bytes.subarray(from ?? 0, to)
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const piece of pieces) {
    bytes.set(piece, at)
    at += piece.length
  }
  return bytes
}
