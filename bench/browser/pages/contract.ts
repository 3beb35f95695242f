/** What the driver asks of a page, and what a page's worker answers. All of it can be cloned. */

export interface SyncRequest {
  /** WebSocket address of the frame source, or of the relay. */
  url: string
  records: number
}

/** Milliseconds, by performance.now() of the measuring context. */
export type PageMetrics = Record<string, number>

/** 'use': opened cold, sought in, read through and written to. */
export type WorkerRequest = { task: 'sync'; request: SyncRequest } | { task: 'use'; records: number }

/** For the page of the peers: which worker, and what it is to do. */
export interface PeerTask {
  script: string
  request: WorkerRequest
}

export type PageAnswer = { metrics: PageMetrics } | { error: string }

export const RECORD_BYTES = 100

/** What everybody does of each in `use`. */
export const SEEKS = 300
export const LONE_WRITES = 100
export const BURSTS = 8
export const BURST_WRITES = 1_000
/** Of a record of 100 B in a batch of its own. */
export const WRITE_ROW_BYTES = 170

/** For the page of the real client. */
export interface OttlaTask {
  task: 'sync' | 'use'
  place: 'worker' | 'page'
  isEncrypted: boolean
  /** WebSocket address of the relay. */
  url: string
  topic: string
}

/** For the page of documents. */
export interface DocumentTask {
  task: 'fill' | 'open'
  /** y-indexeddb instead of the relay. */
  isPeer: boolean
  hasReplica: boolean
  /** It was opened on this device once, and there is no relay now. */
  isOffline: boolean
  url: string
  topic: string
  documentId: string
  updates: number
}

/** For the page of tables. */
export interface TableTask {
  who: 'ottla' | 'dexie' | 'rxdb'
  url: string
  rows: number
  times: number
}
