/** Signing in over any connection: SaslHandshake, then as many SaslAuthenticate as the mechanism takes. */
import type { Api } from '../../protocol/api.ts'
import type { Random } from '../../protocol/lib/random.ts'
import { saslAuthenticate, saslHandshake } from '../../protocol/messages/sasl.ts'
import { type Credentials, isToken } from './credentials.ts'
import { SignInRefused } from './refusal.ts'

/** One request and its answer. */
export type Ask = <Res, ReqIn>(api: Api<unknown, Res, ReqIn, never>, version: number, body: ReqIn) => Promise<Res>

/** A mechanism's side of the conversation. */
export interface Exchange {
  mechanism: string
  first: Uint8Array
  /** What to say to the relay's answer; undefined when it was the last word, and a right one. */
  next(answer: Uint8Array): Promise<Uint8Array | undefined>
}

/** Served by every broker since Kafka 2.2. */
const VERSION = 1
/** No mechanism says more; a relay that goes on for ever is none. */
const STEPS_MAX = 4
const UNSUPPORTED_SASL_MECHANISM = 33

const utf8 = new TextEncoder()

/** Resolves with how long it holds, 0 without an end. Rejects SignInRefused, or as `ask` does. */
export async function signIn(ask: Ask, credentials: Credentials, random: Random): Promise<number> {
  const exchange = await exchangeFor(credentials, random)
  await agreeOn(ask, exchange.mechanism)
  let token: Uint8Array | undefined = exchange.first
  for (let step = 0; step < STEPS_MAX; step++) {
    const answer = await ask(saslAuthenticate, VERSION, { authBytes: token })
    if (answer.errorCode !== 0)
      throw new SignInRefused(answer.errorMessage ?? `authentication failed (error ${answer.errorCode})`)
    token = await exchange.next(answer.authBytes)
    if (!token) return answer.sessionLifetimeMs
  }
  throw new SignInRefused(`${exchange.mechanism} does not come to an end there`)
}

async function agreeOn(ask: Ask, mechanism: string): Promise<void> {
  const { errorCode, mechanisms } = await ask(saslHandshake, VERSION, { mechanism })
  if (errorCode === 0) return
  if (errorCode === UNSUPPORTED_SASL_MECHANISM)
    throw new SignInRefused(`${mechanism} is not offered there, but ${mechanisms.join(', ') || 'nothing'} is`)
  throw new SignInRefused(`nobody signs in there (error ${errorCode}); leave auth out`)
}

async function exchangeFor(credentials: Credentials, random: Random): Promise<Exchange> {
  if (isToken(credentials)) return bearerExchange(credentials.token)
  const { username, password, mechanism = 'SCRAM-SHA-256' } = credentials
  if (mechanism === 'PLAIN') return plainExchange(username, password)
  const { scramExchange } = await import('./scram-exchange.ts')
  return scramExchange(mechanism, { username, password }, random)
}

const plainExchange = (username: string, password: string): Exchange => ({
  mechanism: 'PLAIN',
  first: utf8.encode(`\0${username}\0${password}`),
  next: async () => undefined,
})

/** RFC 7628: a refusal comes as text, is to be acknowledged, and only then as an error. */
const bearerExchange = (token: string): Exchange => ({
  mechanism: 'OAUTHBEARER',
  first: utf8.encode(`n,,\x01auth=Bearer ${token}\x01\x01`),
  next: async (answer) => (answer.length === 0 ? undefined : Uint8Array.of(1)),
})
