/**
 * What readers see: the stored rows with the writes over them that wait in the outbox, and the news of how that changes.
 *
 *     stored in the outbox -> over the rows -> committed -> taken in with the log: the row itself is there
 *                                          -> refused, discarded: gone, with the reason
 *
 * Everything here is done in a turn of the rows'.
 */
import type { RawRecord } from '../../protocol/records.ts'
import type { Settled } from '../core.ts'
import type { StoredRow } from './fold.ts'
import { textOf } from './key-order.ts'
import type { NewsDesk } from './news-desk.ts'
import { PendingWrites, writeMarkOf } from './pending.ts'
import type { PassedRecord, TableChange, TableRow } from './seam.ts'
import type { RowsAhead, StoredRows } from './stored-rows.ts'
import { isSameRow, shownOf } from './view-reads.ts'

/** By the text of their keys. */
export type ShownRows = Map<string, { key: Uint8Array; shown: TableRow | null }>

export class Overlay {
  readonly pending = new PendingWrites()
  readonly #rows: StoredRows
  readonly #desk: NewsDesk

  constructor(rows: StoredRows, desk: NewsDesk) {
    this.#rows = rows
    this.#desk = desk
  }

  /** An entry was stored in the outbox; records of other topics are null. `ahead`: what lies below, if that was read before. */
  async add(id: string, records: ReadonlyArray<RawRecord | null>, ahead?: RowsAhead): Promise<void> {
    const keys = keysOf(records)
    const rows = await this.#rows.asTheyAre(keys, ahead)
    const before = this.shownOver(keys, rows)
    this.pending.add(id, records)
    this.#desk.tell(changesBetween(before, this.shownOver(keys, rows)))
  }

  async settle(settled: Settled): Promise<void> {
    const { id } = settled
    if (settled.outcome !== 'committed') {
      return this.#uncover(() => this.pending.end(id), { id, error: settled.error })
    }
    this.pending.landed(id, settled.partitions, settled.offsets)
    const isSomewhere = settled.offsets.some((offset) => offset < 0)
    if (isSomewhere) return this.#uncover(() => this.pending.end(id))
    for (const { partition, nextOffset } of this.#rows.positions()) {
      await this.#uncover(() => this.pending.takenIn(partition, nextOffset))
    }
  }

  async shown(keys: readonly Uint8Array[]): Promise<ShownRows> {
    const rows = await this.#rows.of(keys)
    return this.shownOver(keys, rows)
  }

  shownOver(keys: readonly Uint8Array[], rows: ReadonlyArray<StoredRow | undefined>): ShownRows {
    return new Map(keys.map((key, at) => [textOf(key), { key, shown: shownOf(this.pending.newest(key), rows[at]) }]))
  }

  /** Somebody else has moved the rows on: what they have taken in is in them. */
  loadedAgain(): void {
    for (const { partition, nextOffset } of this.#rows.positions()) this.pending.takenIn(partition, nextOffset)
  }

  /** The rows were changed under the writes. */
  async tellChanged(before: ShownRows): Promise<void> {
    this.#desk.tell(await this.#changes(before))
  }

  /** The rows have taken in these records: the writes that they were are over. `isTold`: readers know the rows. */
  async takenIn(
    records: readonly RawRecord[],
    { partition, nextOffset }: { partition: number; nextOffset: number },
    before: ShownRows,
    isTold: boolean,
  ): Promise<void> {
    const passed = this.#passed(records, partition)
    for (const { key, landed } of this.pending.all()) {
      if (landed?.partition !== partition || landed.offset >= nextOffset || before.has(textOf(key))) continue
      before.set(textOf(key), { key, shown: shownOf(this.pending.newest(key), undefined) })
    }
    this.pending.takenIn(partition, nextOffset)
    if (isTold) this.#desk.tell(await this.#changes(before, undefined, passed))
    else this.#desk.reset()
  }

  /** Of the keys that have pending writes. */
  #passed(records: readonly RawRecord[], partition: number): Map<string, PassedRecord[]> {
    const passed = new Map<string, PassedRecord[]>()
    for (const record of records) {
      if (!record.key || !this.pending.newest(record.key)) continue
      const { offset, value } = record
      const text = textOf(record.key)
      const one = { partition, offset, value: value?.slice() ?? null, writeId: writeMarkOf(record)?.id ?? null }
      passed.set(text, [...(passed.get(text) ?? []), one])
    }
    return passed
  }

  async #uncover(take: () => Uint8Array[], rolledBack?: TableChange['rolledBack']): Promise<void> {
    const covered = new Map([...this.pending.all()].map((record) => [textOf(record.key), record]))
    const keys = take()
    const rows = await this.#rows.of(keys)
    const before: ShownRows = new Map(
      keys.map((key, at) => [textOf(key), { key, shown: shownOf(covered.get(textOf(key)), rows[at]) }]),
    )
    this.#desk.tell(await this.#changes(before, rolledBack))
  }

  async #changes(
    before: ShownRows,
    rolledBack?: TableChange['rolledBack'],
    passed?: ReadonlyMap<string, PassedRecord[]>,
  ): Promise<TableChange[]> {
    const after = await this.shown([...before.values()].map(({ key }) => key))
    return changesBetween(before, after, rolledBack, passed)
  }
}

function changesBetween(
  before: ShownRows,
  after: ShownRows,
  rolledBack?: TableChange['rolledBack'],
  passed?: ReadonlyMap<string, PassedRecord[]>,
): TableChange[] {
  return [...before].flatMap(([text, { key, shown }]): TableChange[] => {
    const now = after.get(text)?.shown ?? null
    const records = passed?.get(text)
    if (isSameRow(shown, now) && !rolledBack && !records) return []
    return [{ key, before: shown, after: now, ...(rolledBack && { rolledBack }), ...(records && { passed: records }) }]
  })
}

export const keysOf = (records: ReadonlyArray<RawRecord | null>): Uint8Array[] =>
  records.flatMap((record) => (record?.key ? [record.key.slice()] : []))
