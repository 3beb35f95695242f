/** The relay's end of a connection: to the relay it is a socket like any other. */
import { Duplex } from 'node:stream'
import type { PeerSocket } from '../../../server/listener/peer-socket.ts'
import type { Pipe, Receiver } from './pipe.ts'
import type { Process } from './process.ts'

export class ServerSocket extends Duplex implements PeerSocket, Receiver {
  readonly remoteAddress: string
  readonly #process: Process
  readonly #inbound: Pipe
  readonly #outbound: Pipe
  /** The relay's process is gone, and the system has ended the connection for it. */
  #isOrphan = false

  constructor(process: Process, remoteAddress: string, inbound: Pipe, outbound: Pipe) {
    super({ allowHalfOpen: false })
    this.remoteAddress = remoteAddress
    this.#process = process
    this.#inbound = inbound
    this.#outbound = outbound
    inbound.receiver = this
  }

  get awakeAt(): number {
    return this.#process.awakeAt
  }

  onBytes(bytes: Uint8Array): boolean {
    return this.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length))
  }

  onEnd(): void {
    this.push(null)
  }

  onReset(): void {
    this.destroy(Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }))
  }

  destroySoon(): void {
    if (this.writable) this.end()
    if (this.writableFinished) this.destroy()
    else this.once('finish', () => this.destroy())
  }

  /** `end` as when a program exits, `reset` as when it dies with something unread, `nothing` as when the power goes. */
  orphan(how: 'end' | 'reset' | 'nothing'): void {
    this.#isOrphan = true
    this.#inbound.receiver = undefined
    if (how === 'end') this.#outbound.end()
    if (how === 'reset') this.#outbound.reset()
    if (how === 'nothing') this.#outbound.forget()
    this.destroy()
  }

  override _read(): void {
    this.#inbound.resume()
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error) => void): void {
    if (this.#isOrphan) return
    // As the system does, which lets the writer use its buffer again.
    this.#outbound.write(new Uint8Array(chunk), () => done())
  }

  override _final(done: (error?: Error) => void): void {
    if (!this.#isOrphan) this.#outbound.end()
    done()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (!this.#isOrphan) {
      this.#inbound.receiver = undefined
      if (error) this.#outbound.forget()
      else this.#outbound.end()
    }
    done(error)
  }
}
