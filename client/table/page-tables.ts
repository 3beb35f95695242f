/**
 * A page's own reads of its tables, straight from IndexedDB, while the rows there are all that there is to see: no write waits
 * over them, the page's own included. Otherwise the host is asked, who lays over the rows what waits in the outbox.
 *
 *     host answers "nothing waits"  ->  the page reads by itself  ->  news of a write, or one of its own, or no host: it asks again
 *
 * News are late: one may tell of what was before. So news only end it, and an answer begins it only if nothing has happened
 * since it was asked for. Of a write in another tab a page hears a few milliseconds later, as its listeners do.
 *
 * Read only: it never makes, upgrades or holds the database. What fails here is asked of the host, who knows what is wrong.
 */
import { openExisting } from '../replica/idb-existing.ts'
import { answerTo } from '../replica/idb-request.ts'
import { type StoreOf, TABLES_VERSION, tablesDatabaseName } from './idb-format.ts'
import { countIn, pageIn } from './idb-read.ts'
import type { BareTable, TableDefinition, TableNews, TablePage, TableRead, TableSelection } from './seam.ts'
import type { StoredTable } from './store.ts'
import { shown } from './view-reads.ts'

export interface PageTablesParts {
  replica: string
  /** No write of this page is on its way. */
  isQuiet(): boolean
}

export class PageTables {
  readonly #parts: PageTablesParts
  /** The topic's id by the table's name, of those that the page may read. */
  readonly #bare = new Map<string, string>()
  /** Grows with whatever makes an older answer doubtful. */
  #happened = 0
  #opening: Promise<IDBDatabase | undefined> | undefined

  constructor(parts: PageTablesParts) {
    this.#parts = parts
  }

  /** A write of this page begins or ends. */
  wrote(): void {
    this.#happened++
  }

  heard({ topic, bareTopicId }: TableNews): void {
    const known = this.#bare.get(topic) ?? bareTopicId
    if (bareTopicId !== null && bareTopicId === known) return
    this.#bare.delete(topic)
    this.#happened++
  }

  /** The host is gone, or the page freezes: a frozen page's open database would stand in the way of deleting it. */
  close(): void {
    this.#bare.clear()
    this.#happened++
    this.#drop()
  }

  /** Asks, and remembers whether the page may read the next one by itself. */
  async ask<T extends BareTable>({ topic }: TableDefinition, ask: () => Promise<T>): Promise<T> {
    const happened = this.#happened
    const answer = await ask()
    const isSo = happened === this.#happened && this.#parts.isQuiet()
    if (isSo && answer.bareTopicId !== null) this.#bare.set(topic, answer.bareTopicId)
    return answer
  }

  async read(definition: TableDefinition, read: TableRead, ask: () => Promise<TablePage>): Promise<TablePage> {
    const own = await this.#own(definition, read, async (storeOf, topicId): Promise<TablePage> => {
      const page = await pageIn(storeOf, { topicId, ...read })
      const last = page.length < read.countMax ? undefined : page.at(-1)
      const next = last ? { at: last.at, key: last.row.key } : null
      return { rows: page.map(({ row }) => shown(row)), next, bareTopicId: topicId }
    })
    return own ?? this.ask(definition, ask)
  }

  async count(definition: TableDefinition, selection: TableSelection, ask: () => Promise<number>): Promise<number> {
    const count = (storeOf: StoreOf, topicId: string) => countIn(storeOf, { topicId, ...selection })
    return (await this.#own(definition, selection, count)) ?? ask()
  }

  async #own<T>(
    { topic, indexes }: TableDefinition,
    { index }: TableSelection,
    act: (storeOf: StoreOf, topicId: string) => Promise<T>,
  ): Promise<T | undefined> {
    const topicId = this.#bare.get(topic)
    if (topicId === undefined || !this.#parts.isQuiet()) return undefined
    try {
      const database = await this.#database()
      if (!database) return undefined
      const transaction = database.transaction(['tables', 'rows'])
      const storeOf: StoreOf = (name) => transaction.objectStore(name)
      const [table, answer] = await Promise.all([
        answerTo<StoredTable | undefined>(storeOf('tables').get(topicId)),
        act(storeOf, topicId),
      ])
      // Cleared under us; or an index that is being made, of another path perhaps.
      const isThere = table && (index === null || table.indexes[index] === indexes[index])
      return isThere ? answer : undefined
    } catch {
      this.#drop()
      return undefined
    }
  }

  async #database(): Promise<IDBDatabase | undefined> {
    this.#opening ??= openExisting(tablesDatabaseName(this.#parts.replica)).then((database) => {
      if (database?.version === TABLES_VERSION) {
        database.onversionchange = database.onclose = () => this.#drop()
        return database
      }
      // The host has not brought it to this page's version, or to a newer one.
      database?.close()
      this.#opening = undefined
      return undefined
    })
    return this.#opening
  }

  #drop(): void {
    const opening = this.#opening
    this.#opening = undefined
    opening?.then((database) => database?.close()).catch(() => {})
  }
}
