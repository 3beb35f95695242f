/** All tables of a core: opened once each, told of the outbox's and the replica's news. */
import { standardCodecs } from '../../protocol/codecs/standard.ts'
import { Emitter } from '../../protocol/lib/events.ts'
import { readBatchHeader, viewOf } from '../../protocol/record-batch.ts'
import type { RawRecord } from '../../protocol/records.ts'
import type { Settled } from '../core.ts'
import { recordsIn } from '../outbox/exported-records.ts'
import type {
  OpenedTable,
  TableCalls,
  TableDefinition,
  TableNews,
  TablePage,
  TableRead,
  TableSelection,
} from './seam.ts'
import type { TableSource } from './source.ts'
import type { TableStore } from './store.ts'
import type { RowsAhead } from './stored-rows.ts'
import { TableView } from './view.ts'

export interface StoredWrite {
  topic: string
  batch: Uint8Array
}

/** For one table. */
interface ComingWrite {
  records: Array<RawRecord | null>
  ahead: RowsAhead | undefined
}

export class Tables implements TableCalls {
  readonly #source: TableSource
  readonly #store: TableStore
  readonly #codecs = standardCodecs()
  readonly #views = new Map<string, { view: TableView; opened: Promise<void> }>()
  readonly #adding = new Map<string, Promise<unknown>>()
  readonly #news = new Emitter<TableNews>()

  constructor(source: TableSource, store: TableStore) {
    this.#source = source
    this.#store = store
  }

  async open(definition: TableDefinition): Promise<OpenedTable> {
    return (await this.#view(definition)).welcome(definition)
  }

  async read(definition: TableDefinition, read: TableRead): Promise<TablePage> {
    await this.#added()
    return (await this.#view(definition)).read(definition, read)
  }

  async count(definition: TableDefinition, selection: TableSelection): Promise<number> {
    await this.#added()
    return (await this.#view(definition)).count(definition, selection)
  }

  onNews(listener: (news: TableNews) => void): () => void {
    return this.#news.on(listener)
  }

  /** The entry `id` is being stored in the outbox: what it will lie over is read meanwhile. Call what this gives when it is. */
  storing(id: string, writes: readonly StoredWrite[]): () => Promise<void> {
    const coming = new Map(this.#concerned(writes).map((view) => [view, this.#coming(view, writes)]))
    // Nobody may ask for it, if the write cannot be stored.
    for (const each of coming.values()) each.catch(ignored)
    return () => this.#stored(id, writes, coming)
  }

  #concerned(writes: readonly StoredWrite[]): TableView[] {
    return [...this.#open()].filter((view) => writes.some(({ topic }) => topic === view.topic))
  }

  async #coming(view: TableView, writes: readonly StoredWrite[]): Promise<ComingWrite> {
    const records = await this.#recordsFor(view, writes)
    return { records, ahead: view.ahead(records) }
  }

  async #stored(
    id: string,
    writes: readonly StoredWrite[],
    coming: ReadonlyMap<TableView, Promise<ComingWrite>>,
  ): Promise<void> {
    const views = this.#concerned(writes)
    if (views.length === 0) return
    const adding = Promise.all(views.map((view) => this.#add(view, id, coming.get(view) ?? this.#coming(view, writes))))
    this.#adding.set(id, adding)
    // A view that fails here tells its readers why; the write is stored all the same.
    await adding.catch(ignored)
    this.#adding.delete(id)
  }

  /** Whoever has heard the end of a write reads it, however soon that came. */
  async #added(): Promise<void> {
    if (this.#adding.size > 0) await Promise.allSettled(this.#adding.values())
  }

  async #add(view: TableView, id: string, coming: Promise<ComingWrite>): Promise<void> {
    const { records, ahead } = await coming
    await view.stored(id, records, ahead)
  }

  async #recordsFor(view: TableView, writes: readonly StoredWrite[]): Promise<Array<RawRecord | null>> {
    const records = await Promise.all(
      writes.map(({ topic, batch }) => (topic === view.topic ? recordsIn(batch, this.#codecs) : othersRecords(batch))),
    )
    return records.flat()
  }

  settled(all: readonly Settled[]): void {
    for (const settled of all) {
      const tell = () => {
        for (const view of this.#open()) view.settled(settled).catch(ignored)
      }
      // The end of a write may come while its beginning is still being taken in.
      const adding = this.#adding.get(settled.id)
      if (adding) adding.then(tell, tell)
      else tell()
    }
  }

  retried(id: string): void {
    for (const view of this.#open()) view.retried(id).catch(ignored)
  }

  wake(): void {
    for (const view of this.#open()) view.wake()
  }

  async close(): Promise<void> {
    await Promise.all([...this.#open()].map((view) => view.close()))
    this.#news.clear()
    await this.#store.close()
  }

  async #view(definition: TableDefinition): Promise<TableView> {
    const { topic } = definition
    let known = this.#views.get(topic)
    if (!known) {
      const parts = { source: this.#source, store: this.#store, codecs: this.#codecs }
      const view = new TableView({ ...parts, tell: (news) => this.#news.emit(news) }, definition)
      known = { view, opened: view.open() }
      this.#views.set(topic, known)
    }
    try {
      await known.opened
    } catch (failure) {
      // Asked again, it may be there.
      if (this.#views.get(topic) === known) this.#views.delete(topic)
      throw failure
    }
    return known.view
  }

  *#open(): Generator<TableView> {
    for (const { view } of this.#views.values()) yield view
  }
}

const othersRecords = (batch: Uint8Array): Array<RawRecord | null> =>
  new Array(readBatchHeader(viewOf(batch)).recordCount).fill(null)

/** What fails here fails for readers too, and they are told. */
function ignored(): void {}
