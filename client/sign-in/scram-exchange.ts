/**
 * The client's side of SCRAM (RFC 5802, 7677): it shows that it knows the password, and is shown that the relay does.
 *
 *   n,,n=user,r=NONCE   ->   <- r=NONCE+MORE,s=salt,i=iterations
 *   c=biws,r=NONCE+MORE,p=proof   ->   <- v=signature
 *
 * Fewer rounds than the standard's least are refused, so that nobody in the middle makes a password cheap to guess; more
 * than ITERATIONS_MAX too, so that nobody keeps a page busy.
 */
import type { Random } from '../../protocol/lib/random.ts'
import type { PasswordCredentials } from './credentials.ts'
import { SignInRefused } from './refusal.ts'
import type { Exchange } from './sasl.ts'
import { hash, hmac, type ScramMechanism, saltPassword } from './scram-keys.ts'

const NONCE_BYTES = 24
const ITERATIONS_MIN = 4096
const ITERATIONS_MAX = 200_000
const SERVER_FIRST = /^r=([!-+\--~]+),s=([A-Za-z0-9+/=]+),i=(\d{1,9})(?:,.*)?$/
/** `n,,` in base64: no channel is bound. */
const CHANNEL = 'biws'

const utf8 = new TextEncoder()
const text = new TextDecoder()
const toBase64 = (bytes: Uint8Array) => btoa(String.fromCharCode(...bytes))
const fromBase64 = (encoded: string) => Uint8Array.from(atob(encoded), (character) => character.charCodeAt(0))

export function scramExchange(
  mechanism: ScramMechanism,
  { username, password }: Pick<PasswordCredentials, 'username' | 'password'>,
  random: Random,
): Exchange {
  const nonce = toBase64(random.bytes(NONCE_BYTES))
  const bare = `n=${username.replaceAll('=', '=3D').replaceAll(',', '=2C')},r=${nonce}`
  let expected: string | undefined

  async function prove(serverFirst: string): Promise<Uint8Array> {
    const [, wholeNonce, salt, rounds] = SERVER_FIRST.exec(serverFirst) ?? []
    if (!wholeNonce || !salt || !rounds) throw new SignInRefused(`no ${mechanism} is spoken there`)
    if (!wholeNonce.startsWith(nonce) || wholeNonce === nonce) throw new SignInRefused('an answer to somebody else')
    const iterations = Number(rounds)
    if (iterations < ITERATIONS_MIN || iterations > ITERATIONS_MAX)
      throw new SignInRefused(
        `${iterations} rounds are asked for; ${ITERATIONS_MIN} to ${ITERATIONS_MAX} are done here`,
      )
    const salted = await saltPassword(mechanism, password, { salt: fromBase64(salt), iterations })
    const withoutProof = `c=${CHANNEL},r=${wholeNonce}`
    const signed = `${bare},${serverFirst},${withoutProof}`
    const clientKey = await hmac(mechanism, salted, 'Client Key')
    const signature = await hmac(mechanism, await hash(mechanism, clientKey), signed)
    const serverKey = await hmac(mechanism, salted, 'Server Key')
    expected = `v=${toBase64(await hmac(mechanism, serverKey, signed))}`
    const proof = clientKey.map((byte, index) => byte ^ signature[index]!)
    return utf8.encode(`${withoutProof},p=${toBase64(proof)}`)
  }

  return {
    mechanism,
    first: utf8.encode(`n,,${bare}`),
    async next(answer) {
      const said = text.decode(answer)
      if (expected === undefined) return prove(said)
      if (said !== expected) throw new SignInRefused('whoever answers there does not know the password')
      return undefined
    },
  }
}
