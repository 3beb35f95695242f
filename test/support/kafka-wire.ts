/** A bare client of the Kafka protocol over TCP for tests: any API in any version, to a relay or to Apache Kafka. */
import { connect, type Socket } from 'node:net'
import { type Api, decodeResponse, encodeRequest } from '../../protocol/api.ts'
import { Reader } from '../../protocol/bytes/reader.ts'
import { FrameCutter } from '../../protocol/frame.ts'
import { metadata } from '../../protocol/messages/metadata.ts'

const FRAME_BYTES_MAX = 100 * 1024 * 1024

export class KafkaWire {
  readonly #socket: Socket
  readonly #cutter = new FrameCutter(FRAME_BYTES_MAX)
  readonly #waiting = new Map<number, { answer(reader: Reader): void; fail(error: Error): void }>()
  #correlationId = 0
  #isClosed = false

  static async open(address: string): Promise<KafkaWire> {
    const [host, port] = address.split(':')
    const socket = connect({ host, port: Number(port), noDelay: true })
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', reject)
    })
    return new KafkaWire(socket)
  }

  /** How many brokers the one at this address knows; rejects when nobody answers. */
  static async brokersAt(address: string): Promise<number> {
    const wire = await KafkaWire.open(address)
    try {
      return (await wire.call(metadata, { topics: [] }, 1)).brokers.length
    } finally {
      wire.close()
    }
  }

  constructor(socket: Socket) {
    this.#socket = socket
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => {
      for (const frame of this.#cutter.push(chunk)) this.#onFrame(frame)
    })
    socket.on('close', () => {
      this.#isClosed = true
      for (const { fail } of this.#waiting.values()) fail(new Error('the connection was closed'))
      this.#waiting.clear()
    })
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** In the API's newest version unless told otherwise. Rejects when the connection closes. */
  call<Res, ReqIn>(api: Api<unknown, Res, ReqIn, never>, body: ReqIn, version = api.maxVersion): Promise<Res> {
    const correlationId = this.#correlationId++
    const answered = new Promise<Res>((resolve, reject) => {
      this.#waiting.set(correlationId, {
        fail: reject,
        answer: (reader) => {
          try {
            resolve(decodeResponse(api as Api<unknown, Res, never, never>, version, reader))
          } catch (error) {
            reject(error as Error)
          }
        },
      })
    })
    const request = encodeRequest(
      api as Api<unknown, unknown, ReqIn, never>,
      version,
      { correlationId, clientId: 'test' },
      body,
    )
    const size = Buffer.alloc(4)
    size.writeInt32BE(request.length)
    this.#socket.write(Buffer.concat([size, request]))
    return answered
  }

  close(): void {
    this.#socket.destroy()
  }

  #onFrame(frame: Uint8Array): void {
    const reader = new Reader(frame)
    const correlationId = reader.int32()
    const waiting = this.#waiting.get(correlationId)
    this.#waiting.delete(correlationId)
    waiting?.answer(reader)
  }
}
