/**
 * A connection of a Kafka client: frames over a stream, answers in the order of the requests. Which versions it speaks is
 * a matter of its age.
 */
import { type Api, decodeResponse, encodeRequest } from '../../../protocol/api.ts'
import { Reader } from '../../../protocol/bytes/reader.ts'
import { FrameCutter } from '../../../protocol/frame.ts'
import type { Timer } from '../../../protocol/lib/clock.ts'
import type { ClientSocket } from '../world/client-socket.ts'
import type { Host } from '../world/network.ts'
import type { Process } from '../world/process.ts'
import type { World } from '../world/world.ts'

const RESPONSE_BYTES_MAX = 64 * 1024 * 1024

export class Disconnected extends Error {
  override readonly name = 'Disconnected'
}

interface Waiting {
  name: string
  settle(reader: Reader): void
  fail(error: Error): void
  timer: Timer
}

export interface WireOptions {
  world: World
  process: Process
  from: Host
  to: Host
  /** 0 speaks the oldest versions, 1 the newest. */
  age: number
  requestTimeoutMs?: number
}

export class KafkaWire {
  readonly #options: WireOptions
  readonly #waiting = new Map<number, Waiting>()
  readonly #cutter = new FrameCutter(RESPONSE_BYTES_MAX)
  #socket!: ClientSocket
  #correlationId = 0
  #end: string | undefined

  constructor(options: WireOptions) {
    this.#options = options
  }

  /** Rejects Disconnected. */
  static open(options: WireOptions): Promise<KafkaWire> {
    const wire = new KafkaWire(options)
    const { world, process, from, to } = options
    return new Promise((resolve, reject) => {
      wire.#socket = world.network.connect(process, from, to, 'kafka', {
        onOpen: () => resolve(wire),
        onBytes: (bytes) => wire.#receive(bytes),
        onClose: (reason) => {
          reject(new Disconnected(reason))
          wire.#over(reason)
        },
      })
    })
  }

  get isOver(): boolean {
    return this.#end !== undefined
  }

  versionOf(api: { minVersion: number; maxVersion: number }): number {
    const { minVersion, maxVersion } = api
    return minVersion + Math.floor(this.#options.age * (maxVersion - minVersion + 0.999))
  }

  /** Rejects Disconnected, also when no answer comes in time: nothing on the connection can be trusted then. */
  call<Res, ReqIn>(
    api: Api<unknown, Res, ReqIn, never>,
    body: ReqIn,
    { version = this.versionOf(api), extraMs = 0 } = {},
  ): Promise<Res> {
    if (this.#end !== undefined) return Promise.reject(new Disconnected(this.#end))
    const correlationId = this.#correlationId++
    const { process, requestTimeoutMs = 10_000 } = this.#options
    return new Promise((resolve, reject) => {
      this.#waiting.set(correlationId, {
        name: api.name,
        settle: (reader) => resolve(decodeResponse(api, version, reader)),
        fail: reject,
        timer: process.clock.setTimer(requestTimeoutMs + extraMs, () => this.abort(`${api.name} timed out`)),
      })
      this.#send(api, version, correlationId, body)
    })
  }

  /** For what has no answer. */
  tell<ReqIn>(api: Api<unknown, unknown, ReqIn, never>, body: ReqIn): void {
    if (this.#end === undefined) this.#send(api, this.versionOf(api), this.#correlationId++, body)
  }

  close(): void {
    this.#socket.close()
    this.#over('closed')
  }

  abort(reason: string): void {
    this.#socket.abort()
    this.#over(reason)
  }

  #send<ReqIn>(api: Api<unknown, unknown, ReqIn, never>, version: number, correlationId: number, body: ReqIn): void {
    const request = encodeRequest(api, version, { correlationId, clientId: this.#options.process.name }, body)
    const frame = new Uint8Array(4 + request.length)
    new DataView(frame.buffer).setInt32(0, request.length)
    frame.set(request, 4)
    this.#socket.write(frame)
  }

  #receive(bytes: Uint8Array): void {
    for (const frame of this.#cutter.push(bytes)) {
      const reader = new Reader(frame)
      const correlationId = reader.int32()
      const [first, waiting] = this.#waiting.entries().next().value ?? []
      if (first !== correlationId || !waiting) {
        this.#options.world.fail(`an answer to request ${correlationId}; the next one due was ${first}`)
        return this.abort('out of order')
      }
      this.#waiting.delete(correlationId)
      waiting.timer.cancel()
      waiting.settle(reader)
    }
  }

  #over(reason: string): void {
    if (this.#end !== undefined) return
    this.#end = reason
    for (const { timer, fail, name } of this.#waiting.values()) {
      timer.cancel()
      fail(new Disconnected(`${name}: ${reason}`))
    }
    this.#waiting.clear()
  }
}
