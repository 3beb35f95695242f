/** All of tables, for pages and for what keeps them, as one module: loaded at the first. Built as tables.js. */
import { IdbTableStore } from './idb-store.ts'
import { MemoryTableStore } from './memory-store.ts'
import type { TableSource } from './source.ts'
import type { TableStore } from './store.ts'
import { Tables } from './tables.ts'

export { PageTables } from './page-tables.ts'
export { Table } from './table.ts'

/** Beside the replica of that name; null: in memory. */
export function openTables(source: TableSource, place: string | null | TableStore): Tables {
  if (place === null) return new Tables(source, new MemoryTableStore())
  return new Tables(source, typeof place === 'string' ? new IdbTableStore(place, source.clock) : place)
}
