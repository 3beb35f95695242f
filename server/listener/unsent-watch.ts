/**
 * Whether a socket takes what waits for it.
 *
 * On a bad line one message may take minutes. The stream counts only whole writes; the handle below it knows how much of
 * one is gone.
 */
import type { Duplex } from 'node:stream'

export class UnsentWatch {
  readonly #socket: Duplex
  /** What waited at the last look. */
  #queuedBytes = 0

  constructor(socket: Duplex) {
    this.#socket = socket
  }

  /** Since the last time this was asked. */
  isMoving(): boolean {
    const before = this.#queuedBytes
    const unsentBytes = this.#socket.writableLength
    const handle = (this.#socket as Duplex & { _handle?: { writeQueueSize?: number } | null })._handle
    this.#queuedBytes = unsentBytes === 0 ? 0 : (handle?.writeQueueSize ?? unsentBytes)
    return before > 0 && this.#queuedBytes !== before
  }
}
