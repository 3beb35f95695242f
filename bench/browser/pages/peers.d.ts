/** The parts of untyped peers that the pages call. */
declare module '@journeyapps/wa-sqlite/dist/wa-sqlite.mjs' {
  const createModule: (options: { locateFile(name: string): string }) => Promise<object>
  export default createModule
}
declare module '@journeyapps/wa-sqlite/src/examples/OPFSCoopSyncVFS.js' {
  export const OPFSCoopSyncVFS: { create(name: string, module: object): Promise<SQLiteVFS> }
}
declare module 'pouchdb-browser' {
  export default class PouchDB {
    constructor(name: string, options?: { auto_compaction?: boolean; revs_limit?: number })
    bulkDocs(documents: readonly object[]): Promise<unknown>
    get(id: string): Promise<object>
    info(): Promise<{ doc_count: number }>
  }
}
declare module '*.wasm?url' {
  const url: string
  export default url
}
/** Not among the packages of the project: see bench/README.md. */
declare module 'rxdb/plugins/core' {
  interface Query {
    selector: Record<string, unknown>
  }
  interface Found<R> {
    exec(): Promise<R>
    $: { subscribe(next: (found: R) => void): { unsubscribe(): void } }
  }
  interface Collection<T> {
    bulkInsert(documents: readonly T[]): Promise<{ error: unknown[] }>
    upsert(document: T): Promise<unknown>
    findOne(id: string): Found<T | null>
    find(query: Query): Found<T[]>
    count(query: Query): Found<number>
  }
  interface Database {
    addCollections<T>(schemas: Record<string, { schema: object }>): Promise<Record<string, Collection<T>>>
    close(): Promise<unknown>
  }
  export function createRxDatabase(options: {
    name: string
    storage: object
    multiInstance: boolean
  }): Promise<Database>
}
declare module 'rxdb/plugins/storage-dexie' {
  export function getRxStorageDexie(): object
}
