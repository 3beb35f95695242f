/**
 * Kept documents in IndexedDB, in the store `meta`:
 *
 *   'document/' topicId '/' documentId   StoredDocument
 *   'documents'                          KeptNote[], oldest first: what there is, and how large
 *
 * They are bounded all together. What was kept longest ago goes first: it is fetched, or read from the log, again.
 */
import type { StoredDocument } from './store.ts'

export const DOCUMENTS_BYTES_MAX = 64 * 1024 * 1024
export const DOCUMENTS_MAX = 256

/** What the list says of each. */
export interface KeptNote {
  key: string
  sizeBytes: number
}

export const DOCUMENT_LIST = 'documents'

export const documentKey = (topicId: string, documentId: string): string => `document/${topicId}/${documentId}`

/** Of one topic, or of all. */
export function documentsOf(topicId?: string): IDBKeyRange {
  const prefix = topicId === undefined ? 'document/' : `document/${topicId}/`
  return IDBKeyRange.bound(prefix, `${prefix}\uffff`)
}

/** The list once this document is in it, and the keys of those that have to go. `there`: of all that are held. */
export function listWith(
  list: readonly KeptNote[],
  there: readonly string[],
  { topicId, documentId, update }: StoredDocument,
): { list: KeptNote[]; gone: string[] } {
  const key = documentKey(topicId, documentId)
  const held = new Set(there)
  const kept = [...list.filter((note) => note.key !== key && held.has(note.key)), { key, sizeBytes: update.length }]
  let sizeBytes = kept.reduce((sum, note) => sum + note.sizeBytes, 0)
  const gone: string[] = []
  while (kept.length > 1 && (sizeBytes > DOCUMENTS_BYTES_MAX || kept.length > DOCUMENTS_MAX)) {
    const oldest = kept.shift()!
    sizeBytes -= oldest.sizeBytes
    gone.push(oldest.key)
  }
  return { list: kept, gone }
}
