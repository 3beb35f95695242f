/** What is edited here, as records: one for all keystrokes of a moment. It goes through the outbox, online or not. */
import * as Y from 'yjs'
import type { Clock, Timer } from '../../protocol/lib/clock.ts'
import { asOttlaError, type OttlaError } from '../errors.ts'
import type { Topic } from '../topic.ts'
import { ORIGIN_HEADER } from './document-log.ts'

export interface UpdateWriterParts {
  topic: Topic<string, Uint8Array>
  documentId: string
  session: string
  clock: Clock
  batchMs: number
  /** More or less waits for the relay. */
  onChange(): void
  onError(error: OttlaError): void
  /** It is on this device now. */
  onStored(update: Uint8Array): void
}

export class UpdateWriter {
  readonly #parts: UpdateWriterParts
  #gathered: Uint8Array[] = []
  #timer: Timer | undefined
  #unsaved = 0
  /** Something was refused: it may never be there. */
  #isRefused = false
  /** When everything that was handed over has been told as stored, or never will be. */
  stored: Promise<void> = Promise.resolve()

  constructor(parts: UpdateWriterParts) {
    this.#parts = parts
  }

  /** Everything that was edited here is on the relay's disk. */
  get isSaved(): boolean {
    return !this.#isRefused && this.#unsaved === 0 && this.#gathered.length === 0
  }

  add(update: Uint8Array): void {
    this.#gathered.push(update)
    this.#timer ??= this.#parts.clock.setTimer(this.#parts.batchMs, () => this.flush())
    if (this.#gathered.length === 1) this.#parts.onChange()
  }

  /** Hands over what was gathered, in this very turn. */
  flush(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    if (this.#gathered.length === 0) return
    const { topic, documentId, session } = this.#parts
    const value = Y.mergeUpdates(this.#gathered)
    try {
      const headers = [{ key: ORIGIN_HEADER, value: new TextEncoder().encode(session) }]
      const receipt = topic.send({ key: documentId, value, headers })
      this.#gathered = []
      this.#unsaved++
      this.stored = receipt.stored.then(
        () => this.#parts.onStored(value),
        // `committed` says why.
        () => {},
      )
      receipt.committed.then(
        () => {
          this.#unsaved--
          this.#parts.onChange()
        },
        (error) => {
          this.#isRefused = true
          this.#parts.onError(asOttlaError(error, 'RELAY'))
        },
      )
    } catch (thrown) {
      this.#notTaken(asOttlaError(thrown, 'INVALID_VALUE'))
    }
  }

  /** The device does not keep up: later. For good: it is told, and stays in the document alone. */
  #notTaken(error: OttlaError): void {
    if (error.retriable) this.#timer = this.#parts.clock.setTimer(1_000, () => this.flush())
    else {
      this.#gathered = []
      this.#isRefused = true
    }
    this.#parts.onError(error)
  }
}
