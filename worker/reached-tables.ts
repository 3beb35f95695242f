/** Calls about tables: what the page can read by itself it does, all else the host answers. */
import { loadTables } from '../client/table/lazy-tables.ts'
import type { PageTables, PageTablesParts } from '../client/table/page-tables.ts'
import type { OpenedTable, TableCalls, TableDefinition } from '../client/table/seam.ts'
import type { HostCaller } from './host-caller.ts'

export class ReachedTables implements Omit<TableCalls, 'onNews'> {
  readonly #calls: HostCaller
  readonly #parts: PageTablesParts
  /** With the first table. */
  own: PageTables | undefined

  constructor(calls: HostCaller, parts: PageTablesParts) {
    this.#calls = calls
    this.#parts = parts
  }

  async open(definition: TableDefinition): Promise<OpenedTable> {
    const { PageTables } = await loadTables()
    this.own ??= new PageTables(this.#parts)
    return this.own.ask(definition, () => this.#calls.repeatedly('tableOpen', definition))
  }

  read: TableCalls['read'] = (definition, read) => {
    const ask = () => this.#calls.repeatedly('tableRead', definition, read)
    return this.own ? this.own.read(definition, read, ask) : ask()
  }

  count: TableCalls['count'] = (definition, selection) => {
    const ask = () => this.#calls.repeatedly('tableCount', definition, selection)
    return this.own ? this.own.count(definition, selection, ask) : ask()
  }
}
