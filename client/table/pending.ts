/**
 * Writes to a table that are stored in the outbox and not in the table yet. They lie over the rows: the newest of a key
 * shows.
 *
 * Invariant: all records of one outbox entry, be it a batch or a transaction, come and go together, except that those
 * that are in the log go one by one as the table takes them in. Bounded by what the outbox holds.
 */
import type { RawRecord } from '../../protocol/records.ts'
import { string } from '../serde.ts'
import { textOf } from './key-order.ts'
import { WRITE_ID_HEADER } from './seam.ts'

export interface PendingRecord {
  id: string
  key: Uint8Array
  value: Uint8Array | null
  timestamp: number
  /** Where it is in the log, once that is known. */
  landed: { partition: number; offset: number } | null
}

/** Entries that ended are remembered, for the news of an end may overtake that of the beginning. */
const ENDED_MAX = 4_096

export class PendingWrites {
  readonly #byKey = new Map<string, PendingRecord[]>()
  readonly #byId = new Map<string, Array<PendingRecord | null>>()
  readonly #ended = new Set<string>()

  /** Nothing lies over the rows. */
  get isEmpty(): boolean {
    return this.#byKey.size === 0
  }

  knows(id: string): boolean {
    return this.#byId.has(id) || this.#ended.has(id)
  }

  /** All records of the entry in their order, those of other topics as null. Gives the keys that it covers. */
  add(id: string, records: ReadonlyArray<RawRecord | null>): Uint8Array[] {
    if (this.knows(id)) return []
    const added = records.map((record): PendingRecord | null =>
      record?.key
        ? {
            id,
            key: record.key.slice(),
            value: record.value?.slice() ?? null,
            timestamp: record.timestamp,
            landed: null,
          }
        : null,
    )
    this.#byId.set(id, added)
    const keys: Uint8Array[] = []
    for (const record of added) {
      if (!record) continue
      keys.push(record.key)
      const text = textOf(record.key)
      const stack = this.#byKey.get(text)
      if (stack) stack.push(record)
      else this.#byKey.set(text, [record])
    }
    return keys
  }

  newest(key: Uint8Array): PendingRecord | undefined {
    return this.#byKey.get(textOf(key))?.at(-1)
  }

  /** The newest of each key. */
  *all(): Generator<PendingRecord> {
    for (const stack of this.#byKey.values()) yield stack.at(-1)!
  }

  /** The entry will not be in the log, or nobody knows where. Gives the keys that it covered. */
  end(id: string): Uint8Array[] {
    const records = this.#byId.get(id) ?? []
    this.#remember(id)
    const open = records.filter((record) => record !== null)
    for (const record of open) this.#remove(record)
    return open.map(({ key }) => key)
  }

  /** The entry is in the log; its records stay until the table has come so far. */
  landed(id: string, partitions: readonly number[], offsets: readonly number[]): void {
    this.#byId.get(id)?.forEach((record, index) => {
      const [partition, offset] = [partitions[index], offsets[index]]
      if (record && partition !== undefined && offset !== undefined) record.landed = { partition, offset }
    })
  }

  /** The log that entries have landed in is gone. */
  endLanded(): void {
    for (const [id, records] of this.#byId) if (records.some((record) => record?.landed)) this.end(id)
  }

  /** Parked entries that are sent again. */
  reopen(id: string): void {
    this.#ended.delete(id)
  }

  /** The table has taken in the partition up to `nextOffset`. Gives the keys that writes no longer cover. */
  takenIn(partition: number, nextOffset: number): Uint8Array[] {
    const keys: Uint8Array[] = []
    for (const [id, records] of this.#byId) {
      records.forEach((record, index) => {
        if (record?.landed?.partition !== partition || record.landed.offset >= nextOffset) return
        records[index] = null
        this.#remove(record)
        keys.push(record.key)
      })
      if (records.every((record) => record === null)) this.#remember(id)
    }
    return keys
  }

  #remove(record: PendingRecord): void {
    const text = textOf(record.key)
    const left = this.#byKey.get(text)?.filter((other) => other !== record) ?? []
    if (left.length > 0) this.#byKey.set(text, left)
    else this.#byKey.delete(text)
  }

  #remember(id: string): void {
    this.#byId.delete(id)
    this.#ended.add(id)
    if (this.#ended.size > ENDED_MAX) this.#ended.delete(this.#ended.values().next().value!)
  }
}

export interface WriteMark {
  id: string
  /** What the writer saw in the log; -1 and -1: nothing. */
  partition: number
  offset: number
}

/** Of a record that a table with a merge function has written. */
export function writeMarkOf({ headers }: Pick<RawRecord, 'headers'>): WriteMark | null {
  const header = headers.find(({ key }) => key === WRITE_ID_HEADER)
  if (!header?.value) return null
  const [id = '', partition, offset] = string.decode(header.value).split(' ')
  return { id, partition: Number(partition ?? -1), offset: Number(offset ?? -1) }
}
