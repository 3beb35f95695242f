/**
 * What the relay knows of itself, as records of an ordinary log: the cluster's id, topics, reserved producer ids, and
 * facts such as who may sign in.
 *
 * The newest record of a key holds; a null value takes the key away. A change is durable before anybody hears of it.
 */

import type { Clock } from '../../protocol/lib/clock.ts'
import { BATCH_HEADER_BYTES, batchesIn } from '../../protocol/record-batch.ts'
import { decodeRecords, encodeBatch } from '../../protocol/records.ts'
import type { HeldFiles } from '../log/held-files.ts'
import type { PartitionLog } from '../log/partition-log.ts'
import type { FactKey } from './fact-store.ts'

const READ_BYTES = 1024 * 1024

/** Values of the log's records, by key prefix. */
export interface TopicRecord {
  name: string
  partitionCount: number
  configs: Record<string, string>
}

export type MetadataChange =
  | { key: 'cluster'; value: { clusterId: string } }
  | { key: 'producer-ids'; value: { reservedBelow: number } }
  | { key: `topic/${string}`; value: TopicRecord | null }
  | { key: FactKey; value: unknown }

const utf8 = new TextEncoder()
const text = new TextDecoder()

export class MetadataLog {
  readonly #log: PartitionLog
  readonly #clock: Clock

  constructor(log: PartitionLog, clock: Clock) {
    this.#log = log
    this.#clock = clock
  }

  get position(): { leaderEpoch: number; highWatermark: number } {
    const { leaderEpoch, highWatermark } = this.#log
    return { leaderEpoch, highWatermark }
  }

  /** Why no change can be written. */
  get fault(): string | undefined {
    return this.#log.fault?.message
  }

  /** What a backup takes. */
  hold(): HeldFiles {
    return this.#log.hold()
  }

  /** All changes in the order in which they were made. Throws when the log is damaged: guessing would lose topics. */
  async replay(apply: (change: MetadataChange) => void): Promise<void> {
    const { state, fault } = this.#log
    if (state === 'offline') throw new Error(`the metadata log is damaged: ${fault?.message ?? 'offline'}`)
    for (let offset = this.#log.startOffset; offset < this.#log.highWatermark; ) {
      const slice = await this.#log.read(offset, READ_BYTES)
      for (const { at, end, header } of batchesIn(slice.bytes)) {
        for (const record of decodeRecords(header, slice.bytes.subarray(at + BATCH_HEADER_BYTES, end))) {
          const value: unknown = record.value ? JSON.parse(text.decode(record.value)) : null
          apply({ key: text.decode(record.key ?? utf8.encode('')), value } as MetadataChange)
        }
      }
      offset = slice.nextOffset
    }
  }

  /** Resolves when the change is on disk. */
  async append(change: MetadataChange): Promise<void> {
    const value = change.value === null ? null : utf8.encode(JSON.stringify(change.value))
    const record = { key: utf8.encode(change.key), value, timestamp: this.#clock.now() }
    await this.#log.append(encodeBatch([record])).durable
  }

  /** For compaction. */
  get log(): PartitionLog {
    return this.#log
  }

  close(): Promise<void> {
    return this.#log.close()
  }
}
