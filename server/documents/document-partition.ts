/**
 * The documents of one partition: what is known of them, and whoever follows one.
 *
 * Updates and snapshots are read in the order of their logs, once each, by one loop. Invariant: a follower is told every
 * update behind the position that its `open` answered with, in order. A document that has many updates behind its snapshot
 * gets a newer one, made here and written like any record: whoever reads both loses nothing, whichever of two is newer.
 * Retention asks before it deletes updates, and those that no snapshot covers stay until one does.
 */

import { KafkaError } from '../../protocol/errors.ts'
import type { Clock } from '../../protocol/lib/clock.ts'
import { encodeBatch, type RawRecord } from '../../protocol/records.ts'
import type { PartitionLog } from '../log/partition-log.ts'
import type { Logger } from '../logger.ts'
import { DocumentIndex } from './document-index.ts'
import { mergedUpdates } from './merged-updates.ts'
import { readRecords } from './read-records.ts'
import { coversOf, snapshotRecord } from './snapshot-record.ts'

export const SNAPSHOT_EVERY_UPDATES = 500
export const DOCUMENTS_MAX = 500_000
const READ_BYTES = 1024 * 1024
/** What one `open` answers with at most, but for one update or snapshot that is larger. */
const OPEN_BYTES_MAX = 2 * 1024 * 1024
const OPEN_UPDATES_MAX = 20_000

export interface OpenedPart {
  snapshot: Uint8Array | null
  updates: Uint8Array[]
  /** Where to go on. */
  nextOffset: number
  /** Everything there was is there. */
  isWhole: boolean
  /** Records that were looked at. */
  recordsRead: number
}

export interface Follower {
  update(update: Uint8Array, offset: number): void
  /** Nothing more will be told: the topic was deleted, or that of the snapshots, or the relay stops. */
  ended(): void
}

export interface DocumentPartitionOptions {
  topicId: string
  log: PartitionLog
  snapshots: PartitionLog
  clock: Clock
  logger: Logger
  snapshotEveryUpdates?: number
}

const NOT_FOLLOWED = 'documents cannot be followed'

const text = new TextDecoder()
const utf8 = new TextEncoder()

export class DocumentPartition {
  readonly #options: DocumentPartitionOptions
  readonly #index = new DocumentIndex()
  readonly #followers = new Map<string, Set<Follower>>()
  /** With how many updates each is worth a snapshot. */
  readonly #due = new Map<string, number>()
  /** A document whose snapshot could not be written is tried again when it has twice as many updates. */
  readonly #patience = new Map<string, number>()
  readonly #stopListening: () => void
  #next = 0
  #nextSnapshot = 0
  #reading: Promise<void> | undefined
  #snapshotting: Promise<void> | undefined
  #isClosed = false

  constructor(options: DocumentPartitionOptions) {
    this.#options = options
    this.#stopListening = options.log.onAdvance(() => this.#advanced())
  }

  get #everyUpdates(): number {
    return this.#options.snapshotEveryUpdates ?? SNAPSHOT_EVERY_UPDATES
  }

  /** From the snapshot on, or from `fromOffset`, if that lies behind what the snapshot covers. */
  async open(key: string, fromOffset = -1): Promise<OpenedPart> {
    await this.catchUp()
    const { snapshotAt, covers } = this.#index.place(key)
    try {
      const part = await this.#openNow(key, fromOffset)
      const wasKept = this.#options.log.startOffset <= covers || this.#index.place(key).covers === covers
      return wasKept ? part : await this.open(key, fromOffset)
    } catch (error) {
      // Retention took what was being read; it is in a newer snapshot.
      if (this.#index.place(key).snapshotAt === snapshotAt) throw error
      return this.open(key, fromOffset)
    }
  }

  async #openNow(key: string, fromOffset: number): Promise<OpenedPart> {
    const { snapshotAt, covers, updates } = this.#index.place(key)
    const end = this.#next
    const part: OpenedPart = { snapshot: null, updates: [], nextOffset: end, isWhole: true, recordsRead: 0 }
    let sizeBytes = 0
    if (fromOffset < covers && snapshotAt >= 0) {
      part.snapshot = await this.#snapshotAt(snapshotAt, key)
      part.recordsRead++
      sizeBytes = part.snapshot?.length ?? 0
    }
    const wanted = updates.filter((offset) => offset >= fromOffset)
    const isFull = () => sizeBytes > OPEN_BYTES_MAX || part.updates.length >= OPEN_UPDATES_MAX
    for (let at = 0; at < wanted.length; ) {
      if (isFull()) return { ...part, nextOffset: wanted[at]!, isWhole: false }
      const { records, nextOffset } = await readRecords(this.#options.log, wanted[at]!, nearby(wanted, at))
      for (const { offset, key: recordKey, value } of records) {
        if (offset > wanted[at]!) while (at < wanted.length && wanted[at]! < offset) at++
        if (offset !== wanted[at]) continue
        if (isFull()) break
        at++
        part.recordsRead++
        if (!recordKey || !value) continue
        part.updates.push(value)
        sizeBytes += value.length
      }
      // Compaction or retention took what is missing.
      while (!isFull() && at < wanted.length && wanted[at]! < nextOffset) at++
    }
    return part
  }

  /** Called for each update of the document that is read from now on. Returns the function that ends it. */
  follow(key: string, follower: Follower): () => void {
    const followers = this.#followers.get(key) ?? new Set()
    this.#followers.set(key, followers.add(follower))
    return () => {
      if (followers.delete(follower) && followers.size === 0) this.#followers.delete(key)
    }
  }

  /** Resolves when all that was in the log when it was called has been read. */
  async catchUp(): Promise<void> {
    const end = this.#options.log.lastStableOffset
    while (this.#next < end && !this.#isClosed) {
      this.#reading ??= this.#read().finally(() => {
        this.#reading = undefined
      })
      await this.#reading
    }
  }

  /**
   * Up to where updates may be deleted now, at most `offset`: each below is part of a snapshot that is on the disk. Where that
   * is less than was asked for, snapshots are written, so that a later answer is more.
   */
  deletableUpTo(offset: number): number {
    const { log, snapshots } = this.#options
    if (snapshots.syncedOffset < snapshots.highWatermark) return log.startOffset
    const covered = Math.min(offset, this.#next, this.#index.oldestUpdate(log.startOffset))
    if (covered < offset) this.#coverUpTo(offset).catch((error: unknown) => this.#complain(NOT_FOLLOWED, error))
    return Math.max(covered, log.startOffset)
  }

  async #coverUpTo(offset: number): Promise<void> {
    await this.catchUp()
    for (const key of this.#index.withUpdates(this.#options.log.startOffset, offset)) this.#snapshotSoon(key, 1)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#stopListening()
    for (const follower of [...this.#followers.values()].flatMap((ofKey) => [...ofKey])) follower.ended()
    await this.#reading?.catch(() => {})
    await this.#snapshotting
  }

  #advanced(): void {
    // Also while it is being read: that read may have begun before this was there.
    if (this.#isClosed || this.#next >= this.#options.log.lastStableOffset) return
    this.catchUp().catch((error: unknown) => this.#complain(NOT_FOLLOWED, error))
  }

  async #read(): Promise<void> {
    const { log, snapshots } = this.#options
    // Snapshots first: those that are there make their updates unimportant.
    while (this.#nextSnapshot < snapshots.lastStableOffset) {
      const from = Math.max(this.#nextSnapshot, snapshots.startOffset)
      const { records, nextOffset, unreadable } = await readRecords(snapshots, from, READ_BYTES)
      this.#leftOut('snapshots', unreadable)
      for (const record of records) this.#tookSnapshot(record)
      this.#nextSnapshot = nextOffset
    }
    const next = this.#next
    const from = Math.max(next, log.startOffset)
    if (from >= log.lastStableOffset) {
      this.#next = from
      return
    }
    const { records, nextOffset, unreadable } = await readRecords(log, from, READ_BYTES)
    this.#leftOut('updates', unreadable)
    // All is to be read again: a snapshot that covers less was written meanwhile.
    if (this.#next !== next) return
    for (const record of records) this.#tookUpdate(record)
    this.#next = nextOffset
  }

  #tookSnapshot(record: RawRecord): void {
    const covers = record.value ? coversOf(record, this.#options.topicId) : undefined
    if (!record.key || covers === undefined) return
    const [key, end] = [text.decode(record.key), this.#options.log.highWatermark]
    this.#addSnapshot(key, record.offset, Math.min(covers, end))
    // The log was cut: what comes in the place of what was lost is not in it, nor may a later start think so.
    if (covers > end) this.#snapshotSoon(key, 0)
  }

  #addSnapshot(key: string, offset: number, covers: number): void {
    // Of what lies between nothing is left but the one before.
    if (covers < this.#index.place(key).covers && covers < this.#options.log.startOffset)
      return this.#snapshotSoon(key, 0)
    const isForward = this.#index.addSnapshot(key, offset, covers)
    // Somebody else wrote one of the two. Updates are few and idempotent: they are read again.
    if (isForward || this.#next === 0) return
    this.#index.forgetUpdates()
    this.#next = 0
  }

  #tookUpdate({ key: keyBytes, value, offset }: RawRecord): void {
    if (!keyBytes || !value) return
    const key = text.decode(keyBytes)
    if (!this.#index.has(key) && this.#index.count >= DOCUMENTS_MAX)
      throw new KafkaError('POLICY_VIOLATION', `more than ${DOCUMENTS_MAX} documents in one partition`)
    const count = this.#index.addUpdate(key, offset)
    for (const follower of this.#followers.get(key) ?? []) follower.update(value, offset)
    if (count >= (this.#patience.get(key) ?? this.#everyUpdates)) this.#snapshotSoon(key, this.#everyUpdates)
  }

  #snapshotSoon(key: string, updatesMin: number): void {
    this.#due.set(key, Math.min(updatesMin, this.#due.get(key) ?? updatesMin))
    this.#snapshotting ??= this.#snapshotAll().finally(() => {
      this.#snapshotting = undefined
    })
  }

  /** One after another, in turns of their own. */
  async #snapshotAll(): Promise<void> {
    await new Promise<void>((resolve) => this.#options.clock.setTimer(0, resolve))
    for (const [key, updatesMin] of this.#due) {
      this.#due.delete(key)
      if (this.#isClosed) return
      try {
        await this.#snapshot(key, updatesMin)
        this.#patience.delete(key)
      } catch (error) {
        this.#patience.set(key, this.#index.place(key).updates.length * 2)
        this.#complain('snapshot of a document not written', error)
      }
    }
  }

  async #snapshot(key: string, updatesMin: number): Promise<void> {
    const { snapshots, topicId, clock } = this.#options
    const parts: Uint8Array[] = []
    let part = await this.open(key)
    if (part.updates.length < updatesMin && part.isWhole) return
    for (;;) {
      if (part.snapshot) parts.push(part.snapshot)
      parts.push(...part.updates)
      if (part.isWhole) break
      part = await this.open(key, part.nextOffset)
    }
    const update = await mergedUpdates(parts)
    const record = snapshotRecord(utf8.encode(key), {
      ...{ update, covers: part.nextOffset, topicId, timestamp: clock.now() },
    })
    const { baseOffset, durable } = snapshots.append(encodeBatch([record]))
    await durable
    this.#addSnapshot(key, baseOffset, part.nextOffset)
  }

  async #snapshotAt(offset: number, key: string): Promise<Uint8Array | null> {
    const { records } = await readRecords(this.#options.snapshots, offset, 1)
    const record = records.find((each) => each.offset === offset)
    if (record?.value && record.key && text.decode(record.key) === key) return record.value
    throw new KafkaError('KAFKA_STORAGE_ERROR', `the snapshot of document ${key} at ${offset} is gone`)
  }

  /** They would make no update for anybody, and the documents of the partition are not to be lost for them. */
  #leftOut(of: 'updates' | 'snapshots', offsets: readonly number[]): void {
    if (offsets.length === 0) return
    const { logger, topicId } = this.#options
    const told = offsets.slice(0, 20).join(', ')
    logger.warn('batches that cannot be read are no part of any document', {
      topicId,
      of,
      count: offsets.length,
      offsets: told,
    })
  }

  #complain(message: string, error: unknown): void {
    const { logger, topicId } = this.#options
    logger.warn(message, { topicId, reason: error instanceof Error ? error.message : String(error) })
  }
}

/** How much to read at once: a run of the document's own updates in one go, one among others' alone. */
function nearby(offsets: readonly number[], at: number): number {
  const isRun = offsets[at + 1] !== undefined && offsets[at + 1]! - offsets[at]! < 8
  return isRun ? READ_BYTES : 1
}
