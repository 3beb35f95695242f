/**
 * SCRAM (RFC 5802, 7677): both sides show that they know the password, which never travels.
 *
 *   client  n,,n=user,r=NONCE                       relay  r=NONCE+MORE,s=salt,i=iterations
 *   client  c=biws,r=NONCE+MORE,p=proof             relay  v=signature
 *
 * Nonce and channel are compared with what was said before (CVE-2024-56128): else an old exchange could be played again.
 */
import { timingSafeEqual } from 'node:crypto'
import type { Random } from '../../protocol/lib/random.ts'
import { AuthenticationError, type Exchange, textOf, WRONG_CREDENTIALS } from './exchange.ts'
import { hash, hmac, type ScramCredential, type ScramMechanism } from './scram-credential.ts'
import type { Users } from './users.ts'

const NONCE_BYTES = 24
/** Printable ASCII without a comma. */
const NONCE = '[\\x21-\\x2b\\x2d-\\x7e]+'
const NAME = '(?:[^,=\\0]|=2C|=3D)+'
/** The first group is said again, in base64, by the last message. Extensions that must be understood (m=) are not. */
const CLIENT_FIRST = new RegExp(`^([ny],(?:a=(${NAME}))?,)(n=(${NAME}),r=(${NONCE})(?:,.*)?)$`, 's')
const CLIENT_FINAL = new RegExp(`^(c=([A-Za-z0-9+/=]+),r=(${NONCE})(?:,.*)?),p=([A-Za-z0-9+/=]+)$`, 's')

interface Begun {
  user: string
  channel: string
  nonce: string
  clientNonce: string
  /** What both sides sign, up to the last message. */
  signed: string
  credential: ScramCredential
  isReal: boolean
}

export function scramExchange(mechanism: ScramMechanism, users: Users, random: Random): Exchange {
  let begun: Begun | undefined
  let isOver = false
  return {
    async step(token) {
      if (isOver) throw new AuthenticationError(`a ${mechanism} exchange that is over`)
      const text = textOf(token, mechanism)
      if (!begun) {
        begun = begin(text, mechanism, users, random)
        return { reply: Buffer.from(serverFirst(begun)) }
      }
      isOver = true
      const serverFinal = finish(text, mechanism, begun)
      return { reply: Buffer.from(serverFinal), identity: users.identityOf(begun.user) }
    },
  }
}

function begin(text: string, mechanism: ScramMechanism, users: Users, random: Random): Begun {
  const [, channel, authorizedAs, bare, name, clientNonce] = CLIENT_FIRST.exec(text) ?? []
  if (!channel || !bare || !name || !clientNonce) throw new AuthenticationError(`no first ${mechanism} message`)
  const user = unescaped(name)
  if (authorizedAs !== undefined && unescaped(authorizedAs) !== user)
    throw new AuthenticationError('nobody acts for somebody else here')
  const { credential, isReal } = users.forScram(mechanism, user)
  const nonce = clientNonce + Buffer.from(random.bytes(NONCE_BYTES)).toString('base64url')
  const begun = { user, channel, nonce, clientNonce, credential, isReal, signed: '' }
  return { ...begun, signed: `${bare},${serverFirst(begun)}` }
}

function serverFirst({ nonce, credential: { salt, iterations } }: Pick<Begun, 'nonce' | 'credential'>): string {
  return `r=${nonce},s=${salt.toString('base64')},i=${iterations}`
}

/** The relay's signature, when the proof is right. */
function finish(text: string, mechanism: ScramMechanism, begun: Begun): string {
  const [, withoutProof, channel, nonce, proofText] = CLIENT_FINAL.exec(text) ?? []
  if (!withoutProof || !channel || !nonce || !proofText) throw new AuthenticationError(`no last ${mechanism} message`)
  // Until 2.6.1 librdkafka puts its half in front once more. The whole nonce is there, and the proof is over what was sent.
  const isOurs = nonce === begun.nonce || nonce === begun.clientNonce + begun.nonce
  if (!isOurs || Buffer.from(channel, 'base64').toString() !== begun.channel)
    throw new AuthenticationError(`the last ${mechanism} message belongs to another exchange`)
  const { storedKey, serverKey } = begun.credential
  const signed = `${begun.signed},${withoutProof}`
  const signature = hmac(mechanism, storedKey, signed)
  const proof = Buffer.from(proofText, 'base64')
  const isRight =
    proof.length === signature.length && timingSafeEqual(hash(mechanism, xor(proof, signature)), storedKey)
  if (!isRight || !begun.isReal) throw new AuthenticationError(WRONG_CREDENTIALS)
  return `v=${hmac(mechanism, serverKey, signed).toString('base64')}`
}

const unescaped = (name: string) => name.replaceAll('=2C', ',').replaceAll('=3D', '=')
const xor = (a: Buffer, b: Buffer) => a.map((byte, index) => byte ^ b[index]!)
