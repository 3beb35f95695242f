/** Signing in by hand, step by step, with each value open to be changed: what libraries do right, a test must do wrong. */
import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto'
import type { Api } from '../../../protocol/api.ts'
import { saslAuthenticate, saslHandshake } from '../../../protocol/messages/sasl.ts'

export interface Caller {
  call<Res, ReqIn>(api: Api<unknown, Res, ReqIn, never>, body: ReqIn, version?: number): Promise<Res>
}

export interface Outcome {
  errorCode: number
  errorMessage: string | null
  sessionLifetimeMs: number
}

const bytes = (text: string) => Uint8Array.from(Buffer.from(text))

export const plainToken = (user: string, password: string, authorizedAs = '') =>
  bytes(`${authorizedAs}\0${user}\0${password}`)

export async function signInPlain(to: Caller, user: string, password: string): Promise<Outcome> {
  await to.call(saslHandshake, { mechanism: 'PLAIN' })
  return to.call(saslAuthenticate, { authBytes: plainToken(user, password) })
}

export interface ScramTricks {
  /** Changes the last message before it is signed. */
  nonce?: (nonce: string) => string
  channel?: string
  header?: string
  /** Changes the proof. */
  proof?: (proof: Buffer) => Buffer
}

/** The first half of SCRAM: what the relay says of a user. */
export async function scramChallenge(to: Caller, mechanism: string, user: string, header = 'n,,') {
  await to.call(saslHandshake, { mechanism })
  const name = user.replaceAll('=', '=3D').replaceAll(',', '=2C')
  const bare = `n=${name},r=${randomBytes(18).toString('base64url')}`
  const first = await to.call(saslAuthenticate, { authBytes: bytes(header + bare) })
  return { ...first, bare, serverFirst: Buffer.from(first.authBytes).toString() }
}

/** Throws when the relay's own signature is wrong: then it does not know the password either. */
export async function signInScram(
  to: Caller,
  mechanism: 'SCRAM-SHA-256' | 'SCRAM-SHA-512',
  user: string,
  password: string,
  tricks: ScramTricks = {},
): Promise<Outcome> {
  const algorithm = mechanism === 'SCRAM-SHA-256' ? 'sha256' : 'sha512'
  const { header = 'n,,' } = tricks
  const first = await scramChallenge(to, mechanism, user, header)
  if (first.errorCode !== 0) return first
  const { r, s, i } = Object.fromEntries(first.serverFirst.split(',').map((each) => [each[0], each.slice(2)])) as {
    [key: string]: string
  }
  const length = algorithm === 'sha256' ? 32 : 64
  const salted = pbkdf2Sync(password, Buffer.from(s!, 'base64'), Number(i), length, algorithm)
  const hmac = (key: Buffer, text: string) => createHmac(algorithm, key).update(text).digest()
  const channel = tricks.channel ?? Buffer.from(header).toString('base64')
  const withoutProof = `c=${channel},r=${tricks.nonce?.(r!) ?? r}`
  const signed = `${first.bare},${first.serverFirst},${withoutProof}`
  const clientKey = hmac(salted, 'Client Key')
  const signature = hmac(createHash(algorithm).update(clientKey).digest(), signed)
  const right = Buffer.from(clientKey.map((byte, index) => byte ^ signature[index]!))
  const proof = (tricks.proof?.(right) ?? right).toString('base64')
  const last = await to.call(saslAuthenticate, { authBytes: bytes(`${withoutProof},p=${proof}`) })
  if (last.errorCode === 0) {
    const expected = `v=${hmac(hmac(salted, 'Server Key'), signed).toString('base64')}`
    if (Buffer.from(last.authBytes).toString() !== expected) throw new Error('the relay signed with another password')
  }
  return last
}
