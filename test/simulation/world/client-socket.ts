/** A client's end of a connection: callbacks, no streams. */
import type { Pipe, Receiver } from './pipe.ts'
import type { Process } from './process.ts'

export interface SocketHandlers {
  onOpen(): void
  onBytes(bytes: Uint8Array): void
  /** Once, however it ended; not after `close` or `abort`. */
  onClose(reason: string): void
}

export class ClientSocket implements Receiver {
  readonly process: Process
  readonly #handlers: SocketHandlers
  readonly #stopWatching: () => void
  #inbound: Pipe | undefined
  #outbound: Pipe | undefined
  #isOpen = false
  #isOver = false

  constructor(process: Process, handlers: SocketHandlers) {
    this.process = process
    this.#handlers = handlers
    this.#stopWatching = process.onKill(() => this.#die())
  }

  get isOver(): boolean {
    return this.#isOver
  }

  get awakeAt(): number {
    return this.process.awakeAt
  }

  get bufferedBytes(): number {
    return this.#outbound?.unsentBytes ?? 0
  }

  /** The other side has accepted; this one will hear of it in a moment. */
  attach(inbound: Pipe, outbound: Pipe): void {
    this.#inbound = inbound
    this.#outbound = outbound
    inbound.receiver = this
  }

  opened(): void {
    if (this.#isOver || this.#isOpen) return
    this.#isOpen = true
    this.#handlers.onOpen()
  }

  write(bytes: Uint8Array): void {
    if (!this.#isOver) this.#outbound?.write(bytes)
  }

  onBytes(bytes: Uint8Array): boolean {
    this.opened()
    if (!this.#isOver) this.#handlers.onBytes(bytes)
    return true
  }

  onEnd(): void {
    this.end('ended by the other side')
  }

  onReset(): void {
    this.end('reset')
  }

  /** Says goodbye and listens no more. */
  close(): void {
    if (this.#over()) this.#outbound?.end()
  }

  /** What has not left is not sent. */
  abort(): void {
    if (this.#over()) this.#outbound?.reset()
  }

  /** The connection has ended, or could not be made. */
  end(reason: string): void {
    if (!this.#over()) return
    this.#outbound?.end()
    this.#handlers.onClose(reason)
  }

  #over(): boolean {
    if (this.#isOver) return false
    this.#isOver = true
    this.#stopWatching()
    if (this.#inbound) this.#inbound.receiver = undefined
    return true
  }

  #die(): void {
    if (this.process.dice.chance(0.5)) this.close()
    else this.abort()
  }
}
