/** Keyed records for logs that are compacted, what a reader finds of them, and a log that is easily due. */
import { readWriteCodecs } from '../../../protocol/codecs/read-write.ts'
import { HandClock } from '../../../protocol/lib/clock.ts'
import { seededRandom } from '../../../protocol/lib/random.ts'
import type { BatchHeader, CodecId } from '../../../protocol/record-batch.ts'
import { BATCH_HEADER_BYTES, batchesIn, codecOf, isControl, stampProducer } from '../../../protocol/record-batch.ts'
import { compressBatch, decodeRecords, encodeBatch, type RawRecord } from '../../../protocol/records.ts'
import type { CompactionReport, CompactionTools } from '../../../server/log/compaction/log-compaction.ts'
import { unpaced } from '../../../server/log/compaction/pace.ts'
import type { LogConfig, PartitionLog } from '../../../server/log/partition-log.ts'
import { TEST_TIMESTAMP, type TestBatchOptions } from '../../support/batches.ts'
import { type LogFixture, openLog } from './log-fixture.ts'

const utf8 = new TextEncoder()
const text = new TextDecoder()
export const codecs = readWriteCodecs()

/** Key and value; null takes the key away. A key of null is none. */
export type Entry = readonly [key: string | null, value: string | null]

export async function keyedBatch(
  entries: readonly Entry[],
  { codec = 0, timestamp = TEST_TIMESTAMP, producer }: TestBatchOptions & { codec?: CodecId } = {},
): Promise<Uint8Array<ArrayBuffer>> {
  const records = entries.map(([key, value], index) => ({
    key: key === null ? null : utf8.encode(key),
    value: value === null ? null : utf8.encode(value),
    headers: [{ key: 'h', value: utf8.encode('v') }],
    timestamp: timestamp + index,
  }))
  let batch = encodeBatch(records)
  if (codec !== 0) {
    const { compress } = await codecs.find(codec)
    batch = await compressBatch(batch, codec, async (block) => compress!(block))
  }
  if (producer) {
    const { id, epoch = 0, sequence, isTransactional = false } = producer
    stampProducer(batch, { producerId: id, producerEpoch: epoch, baseSequence: sequence, isTransactional })
  }
  return batch
}

export const COMPACT: Partial<LogConfig> = {
  cleanupPolicy: 'compact',
  segmentBytes: 1500,
  deleteRetentionMs: 60_000,
  minCleanableDirtyRatio: 0.01,
}

export const openCompacted = (fixture: LogFixture = {}): Promise<PartitionLog> =>
  openLog({ clock: new HandClock(), ...fixture, config: { ...COMPACT, ...fixture.config } })

export const tools = (changed: Partial<CompactionTools> = {}): CompactionTools => ({
  pace: unpaced,
  codecs,
  random: seededRandom(3),
  mapBytesMax: 1024 * 1024,
  ...changed,
})

export const compact = (log: PartitionLog, changed?: Partial<CompactionTools>): Promise<CompactionReport> =>
  log.compact(tools(changed))

/** Each entry in a batch and a commit of its own. */
export async function write(log: PartitionLog, entries: readonly Entry[]): Promise<void> {
  for (const entry of entries) await log.append(await keyedBatch([entry])).durable
}

/** Closes the segment that is written to, by writing more than it holds; keys of these fillers begin with a '~'. */
export async function roll(log: PartitionLog, segmentBytes = COMPACT.segmentBytes!): Promise<void> {
  await log.append(await keyedBatch([[`~${log.endOffset}`, 'x'.repeat(segmentBytes)]])).durable
  await log.append(await keyedBatch([[`~${log.endOffset}`, '']])).durable
}

export interface FoundRecord {
  offset: number
  timestamp: number
  key: string | null
  value: string | null
}

export async function batchesFrom(log: PartitionLog, from = log.startOffset, maxBytes = 500) {
  const found: Array<{ header: BatchHeader; records: RawRecord[] }> = []
  for (let at = from; at < log.highWatermark; ) {
    const read = await log.read(at, maxBytes)
    for (const { at: start, end, header } of batchesIn(read.bytes)) {
      const block = read.bytes.subarray(start + BATCH_HEADER_BYTES, end)
      const codec = codecOf(header)
      const inflated = codec === 0 ? block : await (await codecs.find(codec)).decompress(block, 1 << 24)
      found.push({ header, records: [...decodeRecords(header, inflated)] })
    }
    at = read.nextOffset
  }
  return found
}

/** All records that a reader sees from `from` on, markers left out. */
export async function recordsFrom(log: PartitionLog, from = log.startOffset): Promise<FoundRecord[]> {
  return (await batchesFrom(log, from)).flatMap(({ header, records }) =>
    isControl(header)
      ? []
      : records
          .filter(({ offset }) => offset >= from)
          .map(({ offset, timestamp, key, value }) => ({
            ...{ offset, timestamp },
            key: key && text.decode(key),
            value: value && text.decode(value),
          })),
  )
}

/** The same, as `offset:key=value`, without fillers. */
export const entriesFrom = async (log: PartitionLog, from?: number): Promise<string[]> =>
  (await recordsFrom(log, from))
    .filter(({ key }) => !key?.startsWith('~'))
    .map(({ offset, key, value }) => `${offset}:${key}=${value}`)
