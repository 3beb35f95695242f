/**
 * A transport between a client and a real relay that changes what the relay says: fields of answers and pushes, their
 * order, how often they come. What was changed last is kept, for the report of a failure.
 */
import type { Transport, TransportConnection, TransportHandlers } from '../../client/transport/transport.ts'
import { type AnyApi, API_VERSIONS_KEY, readRequestStart } from '../../protocol/api.ts'
import { Reader } from '../../protocol/bytes/reader.ts'
import { Writer } from '../../protocol/bytes/writer.ts'
import { hello, PUSH_CORRELATION_ID } from '../../protocol/messages/offset-protocol.ts'
import type { Draw } from './draw.ts'
import { KnownValues } from './known-values.ts'
import { mutateBytes, mutateTree } from './mutations.ts'
import { PUSHES } from './pushes.ts'
import { findApi } from './request-tree.ts'
import { type Node, readNode, writeNode } from './wire-tree.ts'

/** A client that is never let in would see nothing else. */
const HANDSHAKE_CHANCE = 0.05
const CHANCE = 0.4
const KEPT = 20

export class HostileTransport implements Transport {
  isHostile = true
  /** Messages that were changed, left out, sent twice, or held back. */
  count = 0
  readonly latest: string[] = []
  readonly #inner: Transport
  readonly #draw: Draw
  readonly #known = new KnownValues()
  /** To be sent again, on whatever connection. */
  readonly #old: Uint8Array[] = []

  constructor(inner: Transport, draw: Draw) {
    this.#inner = inner
    this.#draw = draw
  }

  open(url: string, handlers: TransportHandlers): TransportConnection {
    const asked = new Map<number, { api: AnyApi; version: number }>()
    let isOver = false
    const give = (message: Uint8Array) => {
      if (!isOver) handlers.onMessage(message)
    }
    const connection = this.#inner.open(url, {
      onOpen: () => handlers.onOpen(),
      onClose: (reason) => {
        isOver = true
        handlers.onClose(reason)
      },
      onMessage: (message) => {
        for (const each of this.#spoiled(message, asked)) give(each)
      },
    })
    return {
      get bufferedBytes() {
        return connection.bufferedBytes
      },
      send(message) {
        const { apiKey, apiVersion: version, correlationId } = readRequestStart(new Reader(message))
        const api = findApi(apiKey)
        if (api) asked.set(correlationId, { api, version })
        connection.send(message)
      },
      close: (code, reason) => {
        isOver = true
        connection.close(code, reason)
      },
    }
  }

  #spoiled(message: Uint8Array, asked: ReadonlyMap<number, { api: AnyApi; version: number }>): Uint8Array[] {
    const draw = this.#draw
    const question = asked.get(new Reader(message).int32())
    const isHandshake = question && (question.api.key === API_VERSIONS_KEY || question.api.key === hello.key)
    if (!this.isHostile || !draw.chance(isHandshake ? HANDSHAKE_CHANCE : CHANCE)) return [message]
    this.count++
    const old = draw.from([...this.#old, message])
    if (this.#old.length < KEPT) this.#old.push(message.slice())
    else this.#old[draw.below(KEPT)] = message.slice()
    switch (draw.below(12)) {
      case 0:
        return this.#noted([])
      case 1:
        return this.#noted([message, message.slice()])
      case 2:
        return this.#noted([old.slice(), message])
      default: {
        const changed = this.#changed(message, question)
        return this.#noted([draw.chance(0.1) ? mutateBytes(changed, draw) : changed])
      }
    }
  }

  #noted(messages: Uint8Array[]): Uint8Array[] {
    this.latest.push(messages.map((each) => Buffer.from(each).toString('hex').slice(0, 4000)).join(' then '))
    if (this.latest.length > KEPT) this.latest.shift()
    return messages
  }

  #changed(message: Uint8Array, question: { api: AnyApi; version: number } | undefined): Uint8Array {
    const draw = this.#draw
    const reader = new Reader(message)
    const writer = new Writer(message.length + 64)
    writer.int32(reader.int32())
    const body = question ? answerBody(question, reader, writer) : pushBody(reader, writer)
    const sources = { draw, known: this.#known, other: () => undefined }
    for (let count = 1 + draw.few(2); count > 0; count--) mutateTree(body, sources)
    writeNode(body, writer)
    return writer.finish().slice()
  }
}

function answerBody({ api, version }: { api: AnyApi; version: number }, reader: Reader, writer: Writer): Node {
  const flexible = version >= api.flexibleFrom
  if (flexible && api.key !== API_VERSIONS_KEY) writer.bytes(reader.bytes(1))
  return readNode(api.response.field.form, api.name, version, flexible, reader)
}

function pushBody(reader: Reader, writer: Writer): Node {
  const [key, version] = [reader.int16(), reader.int16()]
  writer.int16(key)
  writer.int16(version)
  const push = PUSHES.get(key)
  if (!push) throw new Error(`correlation id ${PUSH_CORRELATION_ID} and key ${key}`)
  return readNode(push.body.field.form, push.name, version, false, reader)
}
