/**
 * A transport that signs in before it says that it is open, and again before a session ends. Whoever uses it notices
 * nothing: requests of its own carry ids that nobody else uses, and their answers stay here.
 *
 * What is refused ends with 4401, as the relay's own close codes would say it; TCP has none. What merely failed (no answer,
 * no token to be had) ends like any broken connection and is tried again.
 */
import { type Api, decodeResponse, encodeRequest } from '../../protocol/api.ts'
import { Reader } from '../../protocol/bytes/reader.ts'
import type { Clock, Timer } from '../../protocol/lib/clock.ts'
import type { Random } from '../../protocol/lib/random.ts'
import { OttlaError } from '../errors.ts'
import type { CloseReason, Transport, TransportConnection, TransportHandlers } from '../transport/transport.ts'
import { type Credentials, isToken } from './credentials.ts'
import { SignInRefused } from './refusal.ts'
import { signIn } from './sasl.ts'
import type { Wallet } from './wallet.ts'

export interface SigningInParts {
  wallet: Wallet
  clock: Clock
  random: Random
}

/** Of a session's life; the rest is for the network. */
const RENEWED_AT = 0.9
/** Below those of others, and of pushes. */
const FIRST_ID = -1000
const NEEDS_AUTH = 4401
const ABNORMAL = 1006

export function signingIn(inner: Transport, parts: SigningInParts): Transport {
  return {
    mayBeKafka: inner.mayBeKafka,
    open: (url, handlers) =>
      parts.wallet.isEmpty ? inner.open(url, handlers) : new SignedInConnection(inner, url, handlers, parts),
  }
}

class SignedInConnection implements TransportConnection {
  readonly #inner: TransportConnection
  readonly #handlers: TransportHandlers
  readonly #parts: SigningInParts
  /** A Kafka takes nothing else while somebody signs in again. */
  readonly #holdsBack: boolean
  readonly #unlisten: () => void
  readonly #answers = new Map<number, { resolve(reader: Reader): void; reject(reason: Error): void }>()
  #held: Uint8Array[] | undefined
  #shown: Credentials | undefined
  #signingIn: Promise<void> | undefined
  #isToSignInAgain = false
  #timer: Timer | undefined
  #lastId = FIRST_ID
  #isOver = false

  constructor(inner: Transport, url: string, handlers: TransportHandlers, parts: SigningInParts) {
    this.#handlers = handlers
    this.#parts = parts
    this.#holdsBack = inner.mayBeKafka === true
    this.#inner = inner.open(url, {
      onOpen: () => this.#signIn(() => handlers.onOpen()),
      onMessage: (message) => this.#receive(message),
      onClose: (reason) => this.#end(this.#hasRunOut(reason) ? { ...reason, code: ABNORMAL, by: 'us' } : reason),
    })
    this.#unlisten = parts.wallet.onRenewed(() => this.#renew())
  }

  get bufferedBytes(): number {
    return (this.#held ?? []).reduce((sum, { length }) => sum + length, this.#inner.bufferedBytes)
  }

  send(message: Uint8Array): void {
    if (this.#held) this.#held.push(message)
    else this.#inner.send(message)
  }

  close(code: number, reason: string): void {
    this.#inner.close(code, reason)
  }

  /** A session that was not refreshed in time (this device slept, say) is begun anew. A refusal is answered, not closed with. */
  #hasRunOut({ code }: CloseReason): boolean {
    return code === NEEDS_AUTH && this.#shown !== undefined
  }

  #renew(): void {
    if (this.#signingIn) this.#isToSignInAgain = true
    else if (this.#shown && !this.#isOver) this.#signIn(() => {})
  }

  #signIn(onDone: () => void): void {
    this.#signingIn = this.#converse()
      .then(() => {
        this.#signingIn = undefined
        if (this.#isOver) return
        this.#letGo()
        onDone()
        if (this.#isToSignInAgain) this.#renew()
      })
      .catch((failure: unknown) => this.#fail(closeReasonOf(failure)))
  }

  async #converse(): Promise<void> {
    this.#isToSignInAgain = false
    const { wallet, clock, random } = this.#parts
    const credentials = await wallet.credentials()
    // A connection belongs to one user: somebody else begins anew.
    if (this.#shown && nameOf(this.#shown) !== nameOf(credentials))
      return this.#fail({ code: ABNORMAL, reason: 'somebody else signs in', by: 'us' })
    if (this.#holdsBack && this.#shown) this.#held = []
    const lifetimeMs = await signIn((api, version, body) => this.#ask(api, version, body), credentials, random)
    this.#shown = credentials
    this.#timer?.cancel()
    if (lifetimeMs > 0 && !this.#isOver)
      this.#timer = clock.setTimer(Math.min(lifetimeMs * RENEWED_AT, 0x7fff_ffff), () => this.#renew())
  }

  #ask<Res, ReqIn>(api: Api<unknown, Res, ReqIn, never>, version: number, body: ReqIn): Promise<Res> {
    const correlationId = --this.#lastId
    const answered = new Promise<Reader>((resolve, reject) => this.#answers.set(correlationId, { resolve, reject }))
    this.#inner.send(encodeRequest(api, version, { correlationId, clientId: null }, body))
    return answered.then((reader) => decodeResponse(api, version, reader))
  }

  #receive(message: Uint8Array): void {
    const reader = new Reader(message)
    const id = message.length < 4 ? 0 : reader.int32()
    const waiting = this.#answers.get(id)
    if (!waiting) {
      if (!this.#isOver) this.#handlers.onMessage(message)
      return
    }
    this.#answers.delete(id)
    waiting.resolve(reader)
  }

  #letGo(): void {
    const held = this.#held ?? []
    this.#held = undefined
    for (const message of held) this.#inner.send(message)
  }

  #fail(reason: CloseReason): void {
    if (this.#isOver) return
    this.#end(reason)
    this.#inner.close(1000, 'not signed in')
  }

  #end(reason: CloseReason): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#unlisten()
    this.#timer?.cancel()
    const answers = [...this.#answers.values()]
    this.#answers.clear()
    for (const { reject } of answers) reject(new Error('the connection ended'))
    this.#handlers.onClose(reason)
  }
}

const nameOf = (credentials: Credentials) => (isToken(credentials) ? '' : credentials.username)

function closeReasonOf(failure: unknown): CloseReason {
  const reason = failure instanceof Error ? failure.message : String(failure)
  const isFinal = failure instanceof SignInRefused || failure instanceof OttlaError
  return isFinal ? { code: NEEDS_AUTH, reason, by: 'relay' } : { code: ABNORMAL, reason, by: 'us' }
}
