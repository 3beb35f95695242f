/**
 * How a table comes to have what the replica has:
 *
 *     chunks -> records -> (rows, position) in one step -> at the end: what was not found again goes
 *
 * Whatever makes the rows doubtful (the log was truncated, chunks are gone that were not taken in, tombstones may be) has one
 * answer: the partition is read anew under a new build number. The rows stay readable meanwhile.
 */
import type { CodecRegistry } from '../../protocol/compression.ts'
import type { RawRecord } from '../../protocol/records.ts'
import { decodePieces } from '../consumer/decode-frame.ts'
import type { ReplicaRange } from '../core.ts'
import { matcherOf } from '../key-filter.ts'
import { emptyChange, foldRecords, foldRemoval, lastOfEachKey, type StoredRow } from './fold.ts'
import type { NewsDesk } from './news-desk.ts'
import type { Overlay, ShownRows } from './overlay.ts'
import type { TableSource } from './source.ts'
import type { TablePosition } from './store.ts'
import type { StoredRows } from './stored-rows.ts'

export interface FollowingParts {
  source: TableSource
  codecs: CodecRegistry
  rows: StoredRows
  overlay: Overlay
  desk: NewsDesk
  tombstonesKeptMs: number
}

/** Records of one step: each reads and writes a row of its own. */
const STEP_RECORDS = 500
/** A table that is whole looks again so often, as the log's start moves and tombstones go without a word. */
export const LOOK_EVERY_MS = 60_000
/** Less is what measuring the relay's clock may be off by; who has set it back does not tell how long it has been. */
const SET_BACK_MS = 60_000

export class Following {
  readonly #parts: FollowingParts
  /** The generation that each partition was in when it was to begin again, and when that was asked for. */
  readonly #beginning = new Map<number, { generation: number; askedAt: number }>()

  constructor(parts: FollowingParts) {
    this.#parts = parts
  }

  /** Takes a partition of the table's topic on by a piece. False when there is nothing to do. */
  async step(range: ReplicaRange): Promise<boolean> {
    const position = this.#parts.rows.position(range.partition)
    const place = this.#placeToGoOn(range, position)
    if (!place) return false
    if (position && place.build !== position.build) return this.#readAnew(position, place)
    if (place.nextOffset < range.end) return this.#takeIn(range, place)
    return this.#finish(range, place)
  }

  /** Where to go on; undefined while the partition is not there yet or begins again. */
  #placeToGoOn(range: ReplicaRange, position: TablePosition | undefined): TablePosition | undefined {
    const { topicId, partition, start, end, generation, relayEnd, filter } = range
    const logStart = this.#parts.source.logStart(topicId, partition)
    const isWhole = start <= logStart
    if (!position) {
      if (end === 0 && relayEnd < 0) return undefined
      if (!isWhole) return this.#beginAgain(range)
      const fresh = { nextOffset: start, generation, build: 1, isComplete: false, logStart, upToDateAtMs: 0, filter }
      return { topicId, partition, ...fresh }
    }
    const isOther = position.generation !== generation || position.filter !== filter
    const isDoubtful = isOther || (position.nextOffset < start && !isWhole)
    if (isDoubtful && isWhole) {
      return { ...position, generation, filter, nextOffset: start, build: position.build + 1, isComplete: false }
    }
    if (isDoubtful || this.#mayHaveMissedTombstones(position)) return this.#beginAgain(range)
    return { ...position, nextOffset: Math.max(position.nextOffset, start) }
  }

  #mayHaveMissedTombstones({ isComplete, upToDateAtMs }: TablePosition): boolean {
    const { source, tombstonesKeptMs } = this.#parts
    if (!isComplete || upToDateAtMs === 0 || !source.isLive()) return false
    const awayMs = source.relayNow() - upToDateAtMs
    return awayMs > tombstonesKeptMs || awayMs < -SET_BACK_MS
  }

  #beginAgain({ topicId, partition, generation }: ReplicaRange): undefined {
    const { source } = this.#parts
    const asked = this.#beginning.get(partition)
    const now = source.clock.monotonic()
    // The device may have failed over it: then the generation is the same for ever.
    if (asked?.generation === generation && now - asked.askedAt < LOOK_EVERY_MS) return undefined
    this.#beginning.set(partition, { generation, askedAt: now })
    source.beginAgain(topicId, partition)
    return undefined
  }

  async #readAnew(position: TablePosition, place: TablePosition): Promise<boolean> {
    const { rows, desk } = this.#parts
    await rows.turns.take(() => rows.change([], position, () => emptyChange(place)))
    desk.reset()
    return true
  }

  async #takeIn(range: ReplicaRange, from: TablePosition): Promise<boolean> {
    const { source, codecs, rows } = this.#parts
    const { topicId, partition } = range
    const [chunk] = await source.readReplica(topicId, partition, from.nextOffset, 1)
    if (!chunk) return false
    const { batches, nextOffset, aborted = [] } = chunk
    const matches = from.filter === undefined ? undefined : matcherOf(from.filter)
    const stretch = { partition, fromOffset: from.nextOffset, nextOffset }
    const frame = { ...stretch, batches, aborted, matches, gap: undefined, release() {} }
    let records: RawRecord[] = []
    let place = from
    // One piece behind: the last takes the position to the end of the chunk.
    for await (const piece of decodePieces(frame, codecs, STEP_RECORDS)) {
      if (records.length > 0) place = await this.#takeInPiece(records, place, records.at(-1)!.offset + 1)
      if (rows.isClosed) return false
      records = piece
    }
    await this.#takeInPiece(records, place, Math.max(nextOffset, from.nextOffset))
    source.takenIn(topicId, partition, rows.position(partition)!.nextOffset)
    return true
  }

  #takeInPiece(records: readonly RawRecord[], place: TablePosition, nextOffset: number): Promise<TablePosition> {
    const { rows, overlay } = this.#parts
    return rows.turns.take(async () => {
      const next = { ...place, nextOffset }
      const last = lastOfEachKey(records)
      const keys = last.map(({ key }) => key!)
      let before: ShownRows = new Map()
      await rows.change(keys, rows.position(place.partition), (found) => {
        // Copies: the keys are views of the whole chunk.
        before = overlay.shownOver(
          keys.map((key) => key.slice()),
          found,
        )
        return foldRecords(last, found, next, rows.indexes)
      })
      await overlay.takenIn(records, next, before, next.isComplete)
      return next
    })
  }

  /** At the replica's end: what was not found again goes, and what the log no longer has. */
  async #finish(range: ReplicaRange, place: TablePosition): Promise<boolean> {
    if (!range.upToDate) return false
    const { source, rows, desk } = this.#parts
    const logStart = source.logStart(range.topicId, range.partition)
    const nowMs = source.relayNow()
    const isNews = !place.isComplete || logStart > place.logStart
    if (isNews) {
      await this.#sweep(place, ({ build, offset }) => build !== place.build || offset < logStart)
    } else if (nowMs - place.upToDateAtMs < LOOK_EVERY_MS) return false
    const finished = { ...place, logStart, isComplete: true, upToDateAtMs: nowMs }
    await rows.turns.take(() => rows.change([], rows.position(range.partition), () => emptyChange(finished)))
    source.takenIn(range.topicId, range.partition, place.nextOffset)
    if (!place.isComplete) desk.reset()
    return isNews
  }

  async #sweep(place: TablePosition, isGone: (row: StoredRow) => boolean): Promise<void> {
    const { rows, overlay } = this.#parts
    const isOurs = (row: StoredRow) => row.partition === place.partition && isGone(row)
    for await (const page of rows.all()) {
      const keys = page.filter(isOurs).map(({ key }) => key)
      if (keys.length === 0) continue
      await rows.turns.take(async () => {
        const before = await overlay.shown(keys)
        const position = rows.position(place.partition)
        await rows.change(keys, position, (found) =>
          foldRemoval(found.filter((row) => row !== undefined).filter(isOurs), position ?? place),
        )
        if (place.isComplete) await overlay.tellChanged(before)
      })
    }
  }
}
