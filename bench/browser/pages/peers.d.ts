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
