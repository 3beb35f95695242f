/** News of tables that wait for a tab, bounded: beyond that a table's changes become "read again". */
import type { TableChange, TableNews, TableRow } from '../client/table/seam.ts'

const BYTES_MAX = 1024 * 1024
/** About what a row takes beside its key and value. */
const ROW_BYTES = 128
/** About what there is to news beside changes. */
const NEWS_BYTES = 256

export class WaitingNews {
  #news: TableNews[] = []
  #sizeBytes = 0

  get isEmpty(): boolean {
    return this.#news.length === 0
  }

  offer(news: TableNews): void {
    this.#news.push(news)
    this.#sizeBytes += NEWS_BYTES
    for (const change of news.changes) this.#sizeBytes += sizeOf(change)
    if (this.#sizeBytes > BYTES_MAX) this.#shorten()
  }

  take(): TableNews[] {
    const taken = this.#news
    this.#news = []
    this.#sizeBytes = 0
    return taken
  }

  /** One for each table, with its newest state. */
  #shorten(): void {
    const newest = new Map(this.#news.map((news) => [news.topic, news]))
    this.#news = [...newest.values()].map((news) => ({ ...news, changes: [], isReset: true }))
    this.#sizeBytes = 0
  }
}

function sizeOf({ key, before, after, passed = [] }: TableChange): number {
  const values = passed.reduce((sum, { value }) => sum + (value?.length ?? 0) + ROW_BYTES, 0)
  return key.length + rowSize(before) + rowSize(after) + values
}

const rowSize = (row: TableRow | null): number =>
  row ? row.key.length + (row.value?.length ?? 0) + (row.below?.length ?? 0) + ROW_BYTES : 0
