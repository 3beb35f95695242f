/**
 * The tables of a core that may never have one: their code is loaded at the first, and until then everything that they are
 * told is nothing.
 */
import { Emitter } from '../../protocol/lib/events.ts'
import type { Settled } from '../core.ts'
import { OttlaError } from '../errors.ts'
import { loadApart } from '../load-apart.ts'
import { StoreError } from '../replica/store-error.ts'
import type { TableCalls, TableNews } from './seam.ts'
import type { TableSource } from './source.ts'
import type { TableStore } from './store.ts'
import type { StoredWrite, Tables } from './tables.ts'

export interface LazyTables extends TableCalls {
  /** See Tables. */
  storing(id: string, writes: readonly StoredWrite[]): () => Promise<void>
  settled(all: readonly Settled[]): void
  retried(id: string): void
  wake(): void
  close(): Promise<void>
}

/** `place`: the name of the replica beside which they are stored; null: in memory; or a store that is there already. */
export function lazyTables(source: TableSource, place: string | null | TableStore): LazyTables {
  const news = new Emitter<TableNews>()
  let tables: Tables | undefined
  let loading: Promise<Tables> | undefined
  let isClosed = false
  const load = async (): Promise<Tables> => {
    if (isClosed) throw new OttlaError('CLOSED', { message: 'this client is closed' })
    loading ??= loadTables().then(({ openTables }) => {
      tables = openTables(source, place)
      tables.onNews((each) => news.emit(each))
      return tables
    })
    try {
      return await loading
    } catch (failure) {
      loading = undefined
      throw failure
    }
  }
  const ask = async <T>(call: (tables: Tables) => Promise<T>): Promise<T> => {
    const loaded = await load()
    return call(loaded).catch((failure: unknown) => {
      throw failure instanceof StoreError ? failure.toOttlaError() : failure
    })
  }
  return {
    open: (definition) => ask((all) => all.open(definition)),
    read: (definition, read) => ask((all) => all.read(definition, read)),
    count: (definition, selection) => ask((all) => all.count(definition, selection)),
    onNews: (listener) => news.on(listener),
    storing(id, writes) {
      const stored = tables?.storing(id, writes)
      // Loaded meanwhile, they know nothing of it.
      return async () => (stored ?? tables?.storing(id, writes))?.()
    },
    settled: (all) => tables?.settled(all),
    retried: (id) => tables?.retried(id),
    wake: () => tables?.wake(),
    async close() {
      isClosed = true
      await tables?.close()
      news.clear()
    },
  }
}

/** Called early by pages that may go offline before their first table. */
export const loadTables = () => loadApart('tables', () => import('./apart.ts'))
