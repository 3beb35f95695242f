/**
 * The newest state of documents that were opened on this device, so that opening one again reads what came behind it, and not
 * its whole history: from the replica when offline, from the relay when not.
 *
 * Invariant: what is given out stands for everything of the document below its offset in the log that the replica follows.
 * So it is kept only once the replica has come as far (a log that is cut after that is noticed, and raises the generation),
 * and only while nothing of the topic waits in the outbox: what may still be refused is not part of it.
 */
import type { ReplicaRange } from '../core.ts'
import type { ReplicaStore, StoredDocument } from '../replica/store.ts'
import { storeErrorFrom } from '../replica/store-error.ts'

/** What a page asks about one document: to have what is kept, or to keep this in its place. */
export interface DocumentAsk {
  topic: string
  documentId: string
  keep?: KeptDocument
}

export interface KeptDocument {
  partition: number
  /** Everything of the document below is in it. */
  nextOffset: number
  /** One update of Yjs that stands for the document. */
  update: Uint8Array
}

export interface KeptDocumentsParts {
  store: Pick<ReplicaStore, 'readDocument' | 'putDocument' | 'dropDocuments'>
  ranges(topic: string): readonly ReplicaRange[]
  /** Nothing of the topic waits in the outbox, or was set aside there. */
  isAllSent(topic: string): boolean
}

export const DOCUMENT_BYTES_MAX = 32 * 1024 * 1024

export class KeptDocuments {
  readonly #parts: KeptDocumentsParts

  constructor(parts: KeptDocumentsParts) {
    this.#parts = parts
  }

  /** What is kept now (what was just handed in: without its bytes); null: nothing that can be relied upon. */
  async ask({ topic, documentId, keep }: DocumentAsk): Promise<KeptDocument | null> {
    return keep ? await this.#keep(topic, documentId, keep) : await this.#kept(topic, documentId)
  }

  async #kept(topic: string, documentId: string): Promise<KeptDocument | null> {
    const ranges = this.#parts.ranges(topic)
    const topicId = ranges[0]?.topicId
    const found = topicId === undefined ? undefined : await this.#parts.store.readDocument(topicId, documentId)
    const range = found && ranges.find(({ partition }) => partition === found.partition)
    if (!range || !isOf(range, found)) return null
    const { partition, nextOffset, update } = found
    return { partition, nextOffset, update }
  }

  async #keep(topic: string, documentId: string, keep: KeptDocument): Promise<KeptDocument | null> {
    const { store, ranges, isAllSent } = this.#parts
    const range = ranges(topic).find(({ partition }) => partition === keep.partition)
    if (!range || keep.update.length > DOCUMENT_BYTES_MAX || !isAllSent(topic)) return null
    const { topicId, generation } = range
    const document: StoredDocument = { topicId, documentId, generation, ...keep }
    if (!isOf(range, document)) return null
    try {
      await store.putDocument(document)
      return { ...keep, update: new Uint8Array(0) }
    } catch (failure) {
      if (storeErrorFrom(failure, 'keeping a document').kind !== 'quota') throw failure
      // Room is worth more to what exists nowhere else.
      await store.dropDocuments()
      return null
    }
  }
}

/** Of a replica of some keys nobody can say that nothing of the document is missing. */
function isOf({ generation, end, filter }: ReplicaRange, kept: StoredDocument): boolean {
  return filter === undefined && kept.generation === generation && kept.nextOffset <= end
}
