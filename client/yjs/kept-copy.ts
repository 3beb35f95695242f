/**
 * Keeps the document's state on this device as its log grows, so that opening it again, offline too, is a matter of what came
 * behind it. client/documents has the rules of what may be kept.
 */
import * as Y from 'yjs'
import type { Clock, Timer } from '../../protocol/lib/clock.ts'
import type { DocumentAsk } from '../documents/kept-documents.ts'
import type { Ottla } from '../ottla.ts'
import type { DocumentLog } from './document-log.ts'

export interface KeptCopyParts {
  ottla: Ottla
  document: Pick<DocumentAsk, 'topic' | 'documentId'>
  doc: Y.Doc
  log: DocumentLog
  clock: Clock
  /** Nothing is in the document that may yet be refused. */
  mayKeep(): boolean
}

/** As the relay does with its snapshots. Records of other documents count: they have to be read past. */
const KEEP_EVERY_OFFSETS = 500
const FIRST_MS = 1_000
const NEXT_MS = 30_000

export class KeptCopy {
  readonly #parts: KeptCopyParts
  #timer: Timer | undefined
  #keptUpTo = 0
  #delayMs = FIRST_MS

  constructor(parts: KeptCopyParts) {
    this.#parts = parts
  }

  /** Applies what is kept, and gives it back. */
  async open(): Promise<Uint8Array[]> {
    const { ottla, document, log } = this.#parts
    // What cannot be read here is read from the log.
    const kept = await ottla.keptDocument(document).catch(() => null)
    if (!kept) return []
    log.beginAt(kept)
    this.#keptUpTo = kept.nextOffset
    return [kept.update]
  }

  /** The log has moved, or what was edited has been saved. */
  look(): void {
    const { log, clock } = this.#parts
    if (this.#timer || log.position - this.#keptUpTo < KEEP_EVERY_OFFSETS) return
    this.#timer = clock.setTimer(this.#delayMs, () => void this.#keep())
  }

  stop(): void {
    this.#timer?.cancel()
  }

  async #keep(): Promise<void> {
    const { ottla, document, doc, log, mayKeep } = this.#parts
    const { partition, position: nextOffset } = log
    const keep = mayKeep() && log.isWhole && { partition, nextOffset, update: Y.encodeStateAsUpdate(doc) }
    // The status tells of a storage that fails.
    if (keep && (await ottla.keptDocument({ ...document, keep }).catch(() => null))) {
      this.#keptUpTo = nextOffset
      this.#delayMs = NEXT_MS
    }
    this.#timer = undefined
  }
}
