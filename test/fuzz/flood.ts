/**
 * Runs cases against a relay: many connections through both doors, each case followed by a request that must be answered
 * unless the case has ended its connection. Every answer is read field by field, and ids in it are used by later cases.
 */
import { type AnyApi, API_VERSIONS_KEY, type Api, decodeResponse, encodeRequest } from '../../protocol/api.ts'
import { Reader } from '../../protocol/bytes/reader.ts'
import { CloseCode, PUSH_CORRELATION_ID } from '../../protocol/messages/offset-protocol.ts'
import { apiVersions } from '../../protocol/messages/versions.ts'
import { relayConfigDefaults } from '../../server/config.ts'
import type { Caller } from '../server/auth/sign-in.ts'
import type { FuzzCase } from './cases.ts'
import { KnownValues } from './known-values.ts'
import { PUSHES } from './pushes.ts'
import { findApi, setCorrelationId } from './request-tree.ts'
import { type Node, readNode } from './wire-tree.ts'
import { type Door, openWire, type Wire } from './wires.ts'

const PROBE_CORRELATION_ID = 0x7fff_fff0
const probe = encodeRequest(apiVersions, 0, { correlationId: PROBE_CORRELATION_ID, clientId: null }, {})
/** A mutated Fetch or JoinGroup may wait legally; its connection is then given up. */
const PATIENCE_MS = 250
const ANSWER_WAIT_MS = 50

export interface Fault {
  index: number
  what: string
  /** The requests of the case, in hex. */
  sent: string[]
}

export interface FloodOutcome {
  answered: number
  /** Connections that the relay ended. */
  refused: number
  abandoned: number
  faults: Fault[]
  /** How often each API and version went through each door. */
  sent: Map<string, number>
}

export class Flood {
  readonly outcome: FloodOutcome = { answered: 0, refused: 0, abandoned: 0, faults: [], sent: new Map() }
  /** What is being tried at this moment. */
  readonly underWay = new Map<number, string[]>()
  readonly #addresses: { kafka: string; websocket: string }
  readonly #known: KnownValues
  readonly #signIn: (to: Caller) => Promise<unknown>

  /** `signIn` is done on each connection that is no stranger's. */
  constructor(
    addresses: { kafka: string; websocket: string },
    known: KnownValues,
    signIn: (to: Caller) => Promise<unknown> = async () => {},
  ) {
    this.#signIn = signIn
    this.#addresses = addresses
    this.#known = known
  }

  async run(cases: Iterator<FuzzCase>, width: number): Promise<void> {
    await Promise.all(
      Array.from({ length: width }, async () => {
        const visitors = new Map<string, Visitor | undefined>()
        for (let next = cases.next(); !next.done; next = cases.next()) {
          const which = `${next.value.door} ${next.value.isStranger}`
          visitors.set(which, await this.#try(next.value, visitors.get(which)))
        }
        for (const visitor of visitors.values()) visitor?.wire.reset()
      }),
    )
  }

  /** The connection, if it can be used for another case. */
  async #try(fuzzCase: FuzzCase, before: Visitor | undefined): Promise<Visitor | undefined> {
    const sent: string[] = []
    this.underWay.set(fuzzCase.index, sent)
    const visitor = before ?? (await this.#open(fuzzCase))
    const own = new KnownValues()
    visitor.own = own
    visitor.onFault = (what) => this.#note(fuzzCase.index, what, sent)
    if (fuzzCase.raw) {
      sent.push(Buffer.from(fuzzCase.raw).toString('hex'))
      visitor.wire.sendRaw(fuzzCase.raw)
    }
    for (const build of fuzzCase.steps) {
      if (visitor.wire.isGone) break
      const request = build(own)
      sent.push(Buffer.from(request).toString('hex'))
      this.#count(request, fuzzCase.door)
      const answer = visitor.send(request)
      if (fuzzCase.waitsForAnswers) await Promise.race([answer, passed(ANSWER_WAIT_MS)])
    }
    const end = await visitor.probe()
    if (end === 'answered') this.outcome.answered++
    else if (end === 'waiting') this.outcome.abandoned++
    else {
      this.outcome.refused++
      const { close } = visitor.wire
      const isTooLarge = close?.code === CloseCode.messageTooBig && (fuzzCase.isStranger || sent.some(isAboveLimit))
      if (fuzzCase.door === 'websocket' && !fuzzCase.raw && !isTooLarge && !isReasoned(close))
        this.#note(fuzzCase.index, `closed with ${JSON.stringify(close)}`, sent)
    }
    this.underWay.delete(fuzzCase.index)
    if (end === 'answered' && !fuzzCase.raw) return visitor
    visitor.wire.reset()
    return undefined
  }

  async #open({ door, isStranger }: FuzzCase): Promise<Visitor> {
    const visitor = new Visitor(await openWire(door, this.#addresses), this.#known)
    if (!isStranger) await this.#signIn(visitor)
    return visitor
  }

  #note(index: number, what: string, sent: readonly string[]): void {
    if (this.outcome.faults.length < 20) this.outcome.faults.push({ index, what, sent: [...sent] })
  }

  #count(request: Uint8Array, door: Door): void {
    if (request.length < 4) return
    const view = new DataView(request.buffer, request.byteOffset)
    const key = `${door} ${view.getInt16(0)}/${view.getInt16(2)}`
    this.outcome.sent.set(key, (this.outcome.sent.get(key) ?? 0) + 1)
  }
}

/** One connection and the answers that it waits for. */
class Visitor implements Caller {
  readonly wire: Wire
  readonly #known: KnownValues
  readonly #waiting = new Map<number, { api: AnyApi; version: number; settle: () => void }>()
  #lastId = 0
  #onProbe: (() => void) | undefined
  #onCall: ((answer: Reader) => void) | undefined
  #onEnd: (() => void) | undefined
  /** What this case has been told. */
  own = new KnownValues()
  onFault: (what: string) => void = () => {}

  constructor(wire: Wire, known: KnownValues) {
    this.wire = wire
    this.#known = known
    wire.onMessage = (message) => this.#receive(message)
    wire.onEnd = () => {
      for (const { settle } of this.#waiting.values()) settle()
      this.#onEnd?.()
    }
  }

  /** One good request, and its answer. */
  call<Res, ReqIn>(api: Api<unknown, Res, ReqIn, never>, body: ReqIn, version = api.maxVersion): Promise<Res> {
    const header = { correlationId: PROBE_CORRELATION_ID - 1, clientId: null }
    return new Promise((resolve, reject) => {
      this.#onCall = (reader) => resolve(decodeResponse(api as Api<unknown, Res, never, never>, version, reader))
      this.#onEnd = () => reject(new Error(`closed during ${api.name}`))
      this.wire.send(encodeRequest(api as Api<unknown, unknown, ReqIn, never>, version, header, body))
    })
  }

  /** Resolves with the answer, read or not, or the connection's end; never for a request that is not answered. */
  send(request: Uint8Array): Promise<void> {
    const id = ++this.#lastId
    setCorrelationId(request, id)
    this.wire.send(request)
    if (request.length < 4) return Promise.resolve()
    const view = new DataView(request.buffer, request.byteOffset)
    const api = findApi(view.getInt16(0))
    if (!api) return Promise.resolve()
    return new Promise((settle) => this.#waiting.set(id, { api, version: view.getInt16(2), settle }))
  }

  probe(): Promise<'answered' | 'ended' | 'waiting'> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve('waiting'), PATIENCE_MS)
      const finish = (end: 'answered' | 'ended') => {
        clearTimeout(timer)
        resolve(end)
      }
      this.#onProbe = () => finish('answered')
      this.#onEnd = () => finish('ended')
      if (this.wire.isGone) finish('ended')
      else this.wire.send(probe)
    })
  }

  #receive(message: Uint8Array): void {
    const reader = new Reader(message)
    const id = reader.int32()
    try {
      if (id === PROBE_CORRELATION_ID) return this.#onProbe?.()
      if (id === PROBE_CORRELATION_ID - 1) return this.#onCall?.(reader)
      if (id === PUSH_CORRELATION_ID) return this.#readPush(reader)
      const waiting = this.#waiting.get(id)
      if (!waiting) return
      this.#waiting.delete(id)
      const answer = readAnswer(waiting.api, waiting.version, reader)
      this.#known.learn(answer)
      this.own.learn(answer)
      waiting.settle()
    } catch (error) {
      this.onFault(`an answer that cannot be read: ${error} in ${Buffer.from(message).toString('hex')}`)
    }
  }

  #readPush(reader: Reader): void {
    const push = PUSHES.get(reader.int16())
    if (!push) throw new Error('a push of an unknown kind')
    const version = reader.int16()
    this.#known.learn(readNode(push.body.field.form, push.name, version, false, reader))
    if (reader.remaining > 0) throw new Error(`${reader.remaining} bytes behind ${push.name}`)
  }
}

function readAnswer(api: AnyApi, asked: number, reader: Reader): Node {
  const isTooNew = api.key === API_VERSIONS_KEY && (asked > api.maxVersion || asked < api.minVersion)
  const version = isTooNew ? 0 : asked
  const flexible = version >= api.flexibleFrom
  if (flexible && api.key !== API_VERSIONS_KEY) reader.skip(1)
  const body = readNode(api.response.field.form, api.name, version, flexible, reader)
  if (reader.remaining > 0) throw new Error(`${reader.remaining} bytes behind ${api.name} ${version}`)
  return body
}

/** 1011 only where a write that wants no answer failed: closing is the one way to say so. */
/** A request in hex. Batches that repeat can be larger than any message may be. */
const isAboveLimit = (request: string) => request.length / 2 > relayConfigDefaults.maxRequestBytes

function isReasoned(close: Wire['close']): boolean {
  if (!close || close.reason === '') return false
  return [4400, 4401, 4409].includes(close.code) || (close.code === 1011 && close.reason.startsWith('acks=0'))
}

const passed = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))
