/**
 * Fetch, versions 4-18.
 *
 * Answers when `minBytes` have come, when `maxWaitMs` have passed, or at once when any partition has an error. Whole
 * batches as stored; the first may begin below the asked offset; at least one even when larger than the limits. Where a
 * limit keeps more back, it counts as reached: Kafka would cut a batch there, and waiting brings no more. Fetch
 * sessions are declined (session id 0), which is legal: the client goes on with full requests (KIP-227).
 *
 * With isolation level 1 a partition ends at its last stable offset, and the aborted transactions come with the records;
 * the client leaves their records out. A level that is not known is taken for 1, which never shows too much.
 *
 * Reading waits for its turn among the connection's replies, so that one connection never holds two answers in memory.
 */

import type { RequestOf, ResponseInputOf } from '../../protocol/api.ts'
import { ErrorCode } from '../../protocol/errors.ts'
import { fetch } from '../../protocol/messages/fetch.ts'
import { IsolationLevel } from '../../protocol/messages/offset-protocol.ts'
import { batchesIn } from '../../protocol/record-batch.ts'
import { damageCode } from '../damage.ts'
import type { Topic } from '../engine.ts'
import { entry, type RequestContext } from '../handler.ts'
import type { PartitionLog } from '../log/partition-log.ts'
import type { ReadLease } from '../read-buffers.ts'
import { waitForAdvance } from '../waiting.ts'
import { asKafkaError } from './error-fields.ts'
import { findTopicFor } from './find-topic.ts'

const RESPONSE_BYTES_MAX = 8 * 1024 * 1024
const WAIT_MS_MAX = 300_000

type Request = RequestOf<typeof fetch>
type TopicResponse = NonNullable<ResponseInputOf<typeof fetch>['responses']>[number]
type PartitionResponse = TopicResponse['partitions'][number]

export const fetchHandler = entry(fetch, 'each', async (request, context) => {
  const wanted = resolve(request, context)
  const minBytes = Math.min(request.minBytes, request.maxBytes, RESPONSE_BYTES_MAX)
  const deadline = context.services.clock.monotonic() + Math.min(Math.max(0, request.maxWaitMs), WAIT_MS_MAX)
  await context.turn()
  for (;;) {
    const logs = wanted.flatMap(({ log }) => (log ? [log] : []))
    // Listening starts before reading: what comes in between is not missed.
    const advance = waitForAdvance(context, logs, deadline)
    const buffers = context.services.readBuffers.lease()
    try {
      const { responses, worthBytes, hasError } = await readAll(request, wanted, buffers, context)
      const isDue = hasError || worthBytes >= minBytes || logs.length === 0 || advance.isOver
      if (isDue || context.connection.isClosed) {
        context.onSent(() => buffers.release())
        return { responses }
      }
      buffers.release()
      await advance.happened
    } finally {
      advance.stop()
    }
  }
})

interface Wanted {
  topic: Topic | number
  name: string
  topicId: string
  partition: number
  log: PartitionLog | undefined
  errorCode: number
  fetchOffset: number
  /** Where the client's last record was written, or -1. */
  lastFetchedEpoch: number
  bytesMax: number
}

/** A partition that is named twice is answered once, as in Kafka, where the last one counts. */
function resolve(request: Request, context: RequestContext): Wanted[] {
  const wanted = new Map<string, Wanted>()
  for (const { topic: name, topicId, partitions } of request.topics) {
    const topic = findTopicFor('read', context, { name, topicId, byId: context.apiVersion >= 13 })
    for (const asked of partitions) {
      const { log, errorCode } = findLog(topic, asked)
      const { partition, fetchOffset, lastFetchedEpoch, partitionMaxBytes: bytesMax } = asked
      const each = { topic, name, topicId, partition, log, errorCode, fetchOffset, lastFetchedEpoch, bytesMax }
      wanted.set(`${topicId}/${name}/${partition}`, each)
    }
  }
  return [...wanted.values()]
}

function findLog(
  topic: Topic | number,
  asked: { partition: number; currentLeaderEpoch: number },
): { log?: PartitionLog; errorCode: number } {
  if (typeof topic === 'number') return { errorCode: topic }
  const log = topic.partitions[asked.partition]
  if (!log) return { errorCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION }
  return { log, errorCode: leaderEpochError(log, asked.currentLeaderEpoch) }
}

/** KIP-320: a client that knows an older or newer epoch than ours must refresh its metadata first. */
export function leaderEpochError(log: PartitionLog, currentLeaderEpoch: number): number {
  if (currentLeaderEpoch < 0 || currentLeaderEpoch === log.leaderEpoch) return ErrorCode.NONE
  return currentLeaderEpoch < log.leaderEpoch ? ErrorCode.FENCED_LEADER_EPOCH : ErrorCode.UNKNOWN_LEADER_EPOCH
}

async function readAll(request: Request, wanted: readonly Wanted[], buffers: ReadLease, context: RequestContext) {
  const isCommitted = request.isolationLevel !== IsolationLevel.readUncommitted
  let budget = Math.min(Math.max(0, request.maxBytes), RESPONSE_BYTES_MAX)
  let sizeBytes = 0
  /** What counts for `minBytes`. */
  let worthBytes = 0
  let hasError = false
  const responses: Array<TopicResponse & { partitions: PartitionResponse[] }> = []
  for (const each of wanted) {
    const limits = { bytesMax: Math.min(each.bytesMax, budget), isFirst: sizeBytes === 0, isCommitted, buffers }
    const { isCut, ...read } = await readOne(each, limits)
    const goneCode = deletedCode(each, context)
    const partition = goneCode ? failure(each.partition, goneCode, false) : read
    const recordBytes = partition.records?.length ?? 0
    const room = Math.max(0, limits.bytesMax)
    // What does not fit takes the room all the same: else all that are behind it would be read, and not fit either.
    budget = Math.max(0, budget - (isCut && recordBytes === 0 ? room : recordBytes))
    sizeBytes += recordBytes
    if (isCut) worthBytes += Math.max(recordBytes, room)
    else if (holdsRecords(partition.records)) worthBytes += recordBytes
    hasError ||= partition.errorCode !== ErrorCode.NONE
    const last = responses.at(-1)
    if (last && last.topic === each.name && last.topicId === each.topicId) last.partitions.push(partition)
    else responses.push({ topic: each.name, topicId: each.topicId, partitions: [partition] })
  }
  return { responses, worthBytes, hasError }
}

/** Whole stretches may hold nothing any more: read from where there are records, as far as that is known. */
async function readOn(log: PartitionLog, fetchOffset: number, { bytesMax, isCommitted, buffers }: ReadLimits) {
  const before = buffers.mark
  for (let offset = fetchOffset; ; ) {
    buffers.giveBack(before)
    const end = isCommitted ? log.lastStableOffset : log.highWatermark
    const read = isCommitted
      ? await log.readCommitted(offset, bytesMax, undefined, buffers.allocate)
      : { ...(await log.read(offset, bytesMax, undefined, buffers.allocate)), aborted: null }
    const isCut = read.nextOffset < end
    if (read.nextOffset === offset || !isCut || holdsRecords(read.bytes)) return { ...read, isCut }
    offset = read.nextOffset
  }
}

/**
 * Compaction leaves batches without records. They take a client past offsets that are gone, but whoever waits for records
 * goes on waiting: some clients would ask again at once, and get the same.
 */
function holdsRecords(records: Uint8Array | null | undefined): boolean {
  if (!records) return false
  for (const { header } of batchesIn(records)) if (header.recordCount > 0) return true
  return false
}

/** The topic may be deleted while the request waits or reads; the one of that name may be another by now. */
function deletedCode({ topic }: Wanted, { services, apiVersion }: RequestContext): number {
  if (typeof topic === 'number' || services.engine.topicById(topic.id) === topic) return ErrorCode.NONE
  return apiVersion >= 13 ? ErrorCode.UNKNOWN_TOPIC_ID : ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
}

interface ReadLimits {
  bytesMax: number
  /** The first partition with data gives at least one batch; after that the limits hold. */
  isFirst: boolean
  isCommitted: boolean
  buffers: ReadLease
}

/** `isCut`: a limit keeps back what else there is. */
async function readOne(wanted: Wanted, limits: ReadLimits): Promise<PartitionResponse & { isCut?: boolean }> {
  const { bytesMax, isFirst, isCommitted, buffers } = limits
  const { log, partition: partitionIndex, fetchOffset } = wanted
  if (!log || wanted.errorCode !== ErrorCode.NONE) return failure(partitionIndex, wanted.errorCode, log !== undefined)
  if (damageCode(log, fetchOffset, isCommitted)) return failure(partitionIndex, ErrorCode.KAFKA_STORAGE_ERROR, true)
  const divergence = divergenceOf(wanted, log)
  if (divergence === 'unknown' || fetchOffset < log.startOffset || fetchOffset > log.highWatermark)
    return failure(partitionIndex, ErrorCode.OFFSET_OUT_OF_RANGE, true)
  const nothing = (): PartitionResponse => ({
    partitionIndex,
    errorCode: ErrorCode.NONE,
    highWatermark: log.highWatermark,
    lastStableOffset: log.lastStableOffset,
    logStartOffset: log.startOffset,
    abortedTransactions: isCommitted ? [] : null,
    records: NO_RECORDS,
  })
  if (divergence) return { ...nothing(), divergingEpoch: divergence }
  const end = isCommitted ? log.lastStableOffset : log.highWatermark
  if (fetchOffset >= end) return nothing()
  if (bytesMax <= 0 && !isFirst) return { ...nothing(), isCut: true }
  const before = buffers.mark
  try {
    const { bytes: records, aborted: abortedTransactions, isCut } = await readOn(log, fetchOffset, limits)
    if (records.length <= bytesMax || isFirst) return { ...nothing(), records, abortedTransactions, isCut }
    buffers.giveBack(before)
    return { ...nothing(), isCut: true }
  } catch (error) {
    return failure(partitionIndex, asKafkaError(error).code, true)
  }
}

/**
 * KIP-595: whoever says in which epoch its last record was written is told where that epoch ended here, if that is before
 * the offset it asks for. Of an epoch that is above all of ours nothing can be said.
 */
function divergenceOf({ fetchOffset, lastFetchedEpoch }: Wanted, log: PartitionLog) {
  if (lastFetchedEpoch < 0) return undefined
  const { epoch, endOffset } = log.endOffsetForEpoch(lastFetchedEpoch)
  if (epoch < 0 || lastFetchedEpoch > log.leaderEpoch) return 'unknown'
  return epoch < lastFetchedEpoch || endOffset < fetchOffset ? { epoch, endOffset } : undefined
}

/** Some clients take null for a protocol error; no bytes say the same. */
const NO_RECORDS = new Uint8Array(0)

/** `hasLog`: Kafka tells by null that there is a log. */
function failure(partitionIndex: number, errorCode: number, hasLog: boolean): PartitionResponse {
  const unknown = { highWatermark: -1, lastStableOffset: -1, logStartOffset: -1 }
  return { partitionIndex, errorCode, ...unknown, abortedTransactions: hasLog ? null : [], records: NO_RECORDS }
}
