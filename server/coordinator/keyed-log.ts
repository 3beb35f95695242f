/**
 * A log of keyed texts in which the newest value of a key holds and null takes the key away: the memory of a coordinator.
 *
 * It does not grow for ever. When most of it is outdated, what still holds is appended once more, and what lies before
 * that is deleted. A crash at any point leaves a log that says the same: until the deletion is on disk everything is there
 * as before, a part of it twice.
 */
import type { Clock } from '../../protocol/lib/clock.ts'
import { BATCH_HEADER_BYTES, batchesIn } from '../../protocol/record-batch.ts'
import { decodeRecords, encodeBatch } from '../../protocol/records.ts'
import { QUEUED_BYTES_MAX } from '../log/append-gate.ts'
import type { HeldFiles } from '../log/held-files.ts'
import { DEFAULT_LOG_CONFIG, type LogConfig } from '../log/log-config.ts'
import { openPartitionLog } from '../log/open-log.ts'
import type { PartitionLog } from '../log/partition-log.ts'
import { RecentBudget } from '../log/recent-batches.ts'
import type { Logger } from '../logger.ts'
import type { Files } from '../storage/files.ts'

export interface KeyedRecord {
  key: string
  value: string | null
}

export interface KeyedLogOptions {
  files: Files
  dir: string
  clock: Clock
  logger: Logger
  /** Outdated bytes below this are left alone. Default 4 MiB. */
  deadBytesMin?: number
  /** Deletion frees whole segments, so these are small. Default 1 MiB. */
  segmentBytes?: number
}

const READ_BYTES = 1024 * 1024
const SNAPSHOT_BATCH_BYTES = 256 * 1024
/** A snapshot leaves the queue to commits that come meanwhile. */
const SNAPSHOT_QUEUED_BYTES_MAX = QUEUED_BYTES_MAX / 8
const RECORD_OVERHEAD_BYTES = 16

const utf8 = new TextEncoder()
const text = new TextDecoder()

export class KeyedLog {
  readonly #log: PartitionLog
  readonly #clock: Clock
  readonly #deadBytesMin: number
  /** No need to look for outdated bytes below this size. */
  #checkAtBytes: number
  #lastDurable: Promise<void> = Promise.resolve()
  #rewriting: Promise<void> | undefined

  private constructor(log: PartitionLog, { clock, deadBytesMin = 4 * 1024 * 1024 }: KeyedLogOptions) {
    this.#log = log
    this.#clock = clock
    this.#deadBytesMin = deadBytesMin
    this.#checkAtBytes = deadBytesMin
  }

  static async open(options: KeyedLogOptions): Promise<KeyedLog> {
    const { files, dir, clock, logger, segmentBytes = 1024 * 1024 } = options
    const config: LogConfig = {
      ...DEFAULT_LOG_CONFIG,
      ...{ segmentBytes, maxMessageBytes: QUEUED_BYTES_MAX, retentionMs: -1, retentionBytes: -1 },
    }
    const log = await openPartitionLog({
      ...{ files, dir, clock },
      config: () => config,
      logger: { warn: (message) => logger.warn(message) },
      onFault: (fault) => logger.error('coordinator log offline', { fault: fault.message }),
      // Read at starts only.
      recentBudget: new RecentBudget(256 * 1024),
    })
    return new KeyedLog(log, options)
  }

  /** What a backup takes. */
  hold(): HeldFiles {
    return this.#log.hold()
  }

  get isOnline(): boolean {
    return this.#log.state === 'online'
  }

  get faultMessage(): string | undefined {
    return this.#log.fault?.message
  }

  get sizeBytes(): number {
    return this.#log.sizeBytes
  }

  /** All records in the order in which they were written. Rejects when the log is damaged. */
  async replay(apply: (record: KeyedRecord) => void): Promise<void> {
    // What is on its way to the disk may yet get there, and be told.
    await this.#lastDurable.catch(() => {})
    for (let offset = this.#log.startOffset; offset < this.#log.highWatermark; ) {
      const slice = await this.#log.read(offset, READ_BYTES)
      for (const { at, end, header } of batchesIn(slice.bytes)) {
        for (const record of decodeRecords(header, slice.bytes.subarray(at + BATCH_HEADER_BYTES, end))) {
          // A batch that straddles the log's start begins with records that are gone.
          if (record.offset < offset || record.key === null) continue
          apply({ key: text.decode(record.key), value: record.value && text.decode(record.value) })
        }
      }
      offset = slice.nextOffset
    }
    this.#lastDurable = Promise.resolve()
  }

  /** One batch: all or nothing. Throws KafkaError when the log takes no more; resolves when it is on disk. */
  append(records: readonly KeyedRecord[]): Promise<void> {
    const timestamp = this.#clock.now()
    const batch = encodeBatch(
      records.map(({ key, value }) => ({
        key: utf8.encode(key),
        value: value === null ? null : utf8.encode(value),
        timestamp,
      })),
    )
    this.#lastDurable = this.#log.append(batch).durable
    return this.#lastDurable
  }

  /** Resolves when everything appended so far is on disk. */
  settled(): Promise<void> {
    return this.#lastDurable
  }

  /**
   * Rewrites the log when more than half of it, and no less than `deadBytesMin`, is outdated. Each part yields what holds
   * of some keys, and is asked in the turn in which it is appended: so no change made meanwhile can be undone by it. A
   * part that throws ends the rewriting, and nothing is deleted.
   */
  rewriteIfDue(liveParts: () => Iterable<() => readonly KeyedRecord[]>): Promise<void> | undefined {
    if (this.#rewriting || this.#log.sizeBytes < this.#checkAtBytes) return this.#rewriting
    let liveBytes = 0
    for (const part of liveParts()) for (const record of part()) liveBytes += sizeOf(record)
    const dueAtBytes = Math.max(liveBytes * 2, liveBytes + this.#deadBytesMin)
    this.#checkAtBytes = dueAtBytes
    if (this.#log.sizeBytes < dueAtBytes) return undefined
    this.#rewriting = this.#rewrite(liveParts()).finally(() => {
      this.#rewriting = undefined
    })
    return this.#rewriting
  }

  async #rewrite(liveParts: Iterable<() => readonly KeyedRecord[]>): Promise<void> {
    const from = this.#log.endOffset
    const appended: Promise<void>[] = []
    for (const part of liveParts) {
      for (const records of batchesOf(part())) {
        const durable = this.append(records)
        durable.catch(() => {})
        appended.push(durable)
      }
      if (this.#log.queuedBytes > SNAPSHOT_QUEUED_BYTES_MAX) await this.#lastDurable
    }
    // Every single one: a disk that was full for a moment may have refused one in the middle.
    await Promise.all(appended)
    await this.#log.deleteRecordsBefore(from)
  }

  async close(): Promise<void> {
    await this.#rewriting?.catch(() => {})
    await this.#log.close()
  }
}

function sizeOf({ key, value }: KeyedRecord): number {
  return key.length + (value?.length ?? 0) + RECORD_OVERHEAD_BYTES
}

function* batchesOf(records: readonly KeyedRecord[]): Generator<KeyedRecord[]> {
  let batch: KeyedRecord[] = []
  let sizeBytes = 0
  for (const record of records) {
    batch.push(record)
    sizeBytes += sizeOf(record)
    if (sizeBytes < SNAPSHOT_BATCH_BYTES) continue
    yield batch
    batch = []
    sizeBytes = 0
  }
  if (batch.length > 0) yield batch
}
