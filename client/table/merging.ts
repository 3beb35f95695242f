/**
 * What happens to a write when the row that it was made from has moved on in the log meanwhile: with a merge function the
 * three values are brought together in a new write behind it.
 *
 *      base ----------- remote            (somebody else's record comes first)
 *          \--- local (ours, on its way) ----- merged
 *
 * The one whose record comes later merges; the other has nothing to do. A merged write's id is made from what it merges, so
 * that of several tabs that see the same only one writes.
 */

import { BATCH_HEADER_BYTES, codecOf, readBatchHeader, viewOf } from '../../protocol/record-batch.ts'
import { decodeRecords } from '../../protocol/records.ts'
import type { Core } from '../core.ts'
import { textOf } from './key-order.ts'
import { type WriteMark, writeMarkOf } from './pending.ts'
import type { PassedRecord, TableChange, TableRow } from './seam.ts'

/** What the writer saw in the log. */
export interface Base extends Omit<WriteMark, 'id'> {
  /** undefined: it is not known any more. */
  value: Uint8Array | null | undefined
}

interface OwnWrite {
  id: string
  base: Base
  local: Uint8Array | null
  isStored?: boolean
  /** Where it is in the log, once that is known. */
  landed?: Pick<WriteMark, 'partition' | 'offset'>
}

export interface MergeParts {
  merge(base: Base['value'], local: Uint8Array | null, remote: Uint8Array | null, key: Uint8Array): Uint8Array | null
  /** Stores a merged value under this id. */
  write(id: string, key: Uint8Array, value: Uint8Array | null, base: Base): void
}

export class Merging {
  readonly #parts: MergeParts
  /** In the order of writing; those that are not in the log yet. */
  readonly #own = new Map<string, OwnWrite[]>()

  constructor(parts: MergeParts) {
    this.#parts = parts
  }

  /** What a new write is made from: the row in the log, or what an older write of ours on its way was. */
  baseOf(key: Uint8Array, row: TableRow | undefined): Base {
    const older = this.#own.get(textOf(key))?.at(-1)
    if (older) return older.base
    if (!row) return { value: null, partition: -1, offset: -1 }
    return {
      value: row.pendingId === undefined ? row.value : (row.below ?? null),
      partition: row.partition,
      offset: row.offset,
    }
  }

  wrote(key: Uint8Array, write: OwnWrite): void {
    const text = textOf(key)
    this.#own.set(text, [...(this.#own.get(text) ?? []), write])
  }

  stored(key: Uint8Array, id: string): void {
    const write = this.#find(key, id)
    if (write) write.isStored = true
  }

  /** The table may be behind that place. */
  committed(key: Uint8Array, id: string, landed: OwnWrite['landed']): void {
    const write = this.#find(key, id)
    if (write) write.landed = landed
  }

  #find(key: Uint8Array, id: string): OwnWrite | undefined {
    return this.#own.get(textOf(key))?.find((write) => write.id === id)
  }

  /** It will not be in the log. */
  dropped(key: Uint8Array, id: string): void {
    this.#keep(textOf(key), (write) => write.id !== id)
  }

  heard({ key, passed = [] }: TableChange): void {
    for (const record of passed) this.#passed(key, record)
  }

  /** Changes were not told one by one: what has come of the writes shows in the rows. */
  async lookAgain(rowOf: (key: Uint8Array) => Promise<TableRow | undefined>): Promise<void> {
    for (const [text, own] of [...this.#own]) {
      const newest = own.at(-1)!
      const stored = own.filter(({ isStored }) => isStored)
      const key = Uint8Array.from(text, (character) => character.charCodeAt(0))
      const row = await rowOf(key)
      if (this.#own.get(text) !== own) continue
      // What was stored lies over the row, or has ended.
      if (row?.pendingId === undefined) this.#keep(text, (write) => !stored.includes(write))
      if (row?.pendingId !== newest.id) continue
      const { partition, offset, below = null } = row
      const landed = own.findIndex((write) => write.landed?.partition === partition && write.landed.offset === offset)
      if (landed >= 0) {
        this.#landed(text, landed, { partition, offset, value: below })
        continue
      }
      const isMoved = partition !== newest.base.partition || offset !== newest.base.offset
      if (isMoved && offset >= 0) this.#conflict(key, newest, { partition, offset, value: below })
    }
  }

  #passed(key: Uint8Array, record: PassedRecord): void {
    const text = textOf(key)
    const own = this.#own.get(text) ?? []
    const landed = own.findIndex(({ id }) => id === record.writeId)
    if (landed >= 0) {
      const { partition, offset, value } = record
      return this.#landed(text, landed, { partition, offset, value })
    }
    const newest = own.at(-1)
    if (newest && !isBefore(record, newest.base)) this.#conflict(key, newest, record)
  }

  /** What comes behind that write is made from it. */
  #landed(text: string, at: number, base: Base): void {
    const behind = (this.#own.get(text) ?? []).slice(at + 1)
    this.#own.set(
      text,
      behind.map((write) => ({ ...write, base })),
    )
    this.#keep(text, () => true)
  }

  #conflict(key: Uint8Array, { id, base, local }: OwnWrite, remote: Omit<PassedRecord, 'writeId'>): void {
    const merged = this.#parts.merge(base.value, local, remote.value, key)
    const { partition, offset, value } = remote
    const from: Base = { partition, offset, value }
    const text = textOf(key)
    this.#own.set(
      text,
      (this.#own.get(text) ?? []).map((write) => ({ ...write, base: from })),
    )
    // Ours will be behind the other one, and is what is wanted.
    if (isSame(merged, local)) return
    const mergedId = `${id.split('/')[0]}/${partition}-${offset}`
    this.#parts.write(mergedId, key, merged, from)
  }

  /** Writes of an earlier life of this page, or of other tabs that may have gone. */
  async adopt(core: Pick<Core, 'outbox'>, topic: string, rowOf: (key: Uint8Array) => Promise<TableRow | undefined>) {
    if ((await core.outbox.list(topic)).length === 0) return
    for (const { topic: name, state, batch } of await core.outbox.export()) {
      const isWaiting = state === 'pending' || state === 'in-flight'
      if (name !== topic || !isWaiting || codecOf(readBatchHeader(viewOf(batch))) !== 0) continue
      for (const record of decodeRecords(readBatchHeader(viewOf(batch)), batch.subarray(BATCH_HEADER_BYTES))) {
        const mark = writeMarkOf(record)
        if (record.key && mark) await this.#adopt(record.key.slice(), mark, record.value?.slice() ?? null, rowOf)
      }
    }
  }

  async #adopt(
    key: Uint8Array,
    { id, partition, offset }: WriteMark,
    local: Uint8Array | null,
    rowOf: (key: Uint8Array) => Promise<TableRow | undefined>,
  ): Promise<void> {
    const row = await rowOf(key)
    if (row?.pendingId === undefined || this.#own.get(textOf(key))?.some((write) => write.id === id)) return
    const below = { partition: row.partition, offset: row.offset, value: row.below ?? null }
    const isUnmoved = below.partition === partition && below.offset === offset
    const write = { id, local, isStored: true, base: isUnmoved ? below : { partition, offset, value: undefined } }
    this.wrote(key, write)
    if (!isUnmoved && below.offset >= 0) this.#conflict(key, write, below)
  }

  #keep(text: string, isKept: (write: OwnWrite) => boolean): void {
    const kept = (this.#own.get(text) ?? []).filter(isKept)
    if (kept.length > 0) this.#own.set(text, kept)
    else this.#own.delete(text)
  }
}

/** The writer had seen it. */
const isBefore = (record: PassedRecord, base: Base): boolean =>
  record.partition === base.partition && record.offset <= base.offset

const isSame = (a: Uint8Array | null, b: Uint8Array | null): boolean =>
  a === b || (a !== null && b !== null && textOf(a) === textOf(b))
