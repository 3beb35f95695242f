/** What the driver asks of a page, and what a page's worker answers. All of it can be cloned. */

export interface SyncRequest {
  /** WebSocket address of the frame source, or of the relay. */
  url: string
  records: number
}

/** Milliseconds, by performance.now() of the measuring context. */
export type PageMetrics = Record<string, number>

export type WorkerRequest =
  | { task: 'sync'; request: SyncRequest }
  | { task: 'open'; records: number }
  | { task: 'lone-writes'; count: number }

/** For the page of the peers: which worker, and what it is to do. */
export interface PeerTask {
  script: string
  request: WorkerRequest
}

export type PageAnswer = { metrics: PageMetrics } | { error: string }

export const RECORD_BYTES = 100

/** For the page of the real client. */
export interface OttlaTask {
  task: 'sync' | 'open' | 'lone-writes'
  place: 'worker' | 'page'
  /** WebSocket address of the relay. */
  url: string
  topic: string
  /** Of writes. */
  count: number
}

/** For the page of documents. */
export interface DocumentTask {
  task: 'fill' | 'open'
  /** y-indexeddb instead of the relay. */
  isPeer: boolean
  hasReplica: boolean
  url: string
  documentId: string
  updates: number
}

/** For the page of tables. */
export interface TableTask {
  isPeer: boolean
  url: string
  rows: number
  times: number
}
