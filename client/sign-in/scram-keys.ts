/**
 * What SCRAM (RFC 5802) makes of a password, by the platform's own Web Crypto. Browsers offer that to secure contexts alone:
 * https, or localhost.
 */
import { OttlaError } from '../errors.ts'

export const SCRAM_HASHES = { 'SCRAM-SHA-256': 'SHA-256', 'SCRAM-SHA-512': 'SHA-512' } as const
export type ScramMechanism = keyof typeof SCRAM_HASHES

const HASH_BITS = { 'SCRAM-SHA-256': 256, 'SCRAM-SHA-512': 512 } as const
const utf8 = new TextEncoder()

export interface Salting {
  salt: Uint8Array
  iterations: number
}

/** Rejects UNSUPPORTED where there is no Web Crypto. */
export async function saltPassword(
  mechanism: ScramMechanism,
  password: string,
  { salt, iterations }: Salting,
): Promise<Uint8Array> {
  const hash = SCRAM_HASHES[mechanism]
  const key = await subtle().importKey('raw', utf8.encode(password.normalize('NFKC')), 'PBKDF2', false, ['deriveBits'])
  const how = { name: 'PBKDF2', hash, salt: owned(salt), iterations }
  return new Uint8Array(await subtle().deriveBits(how, key, HASH_BITS[mechanism]))
}

export async function hmac(mechanism: ScramMechanism, key: Uint8Array, text: string): Promise<Uint8Array> {
  const how = { name: 'HMAC', hash: SCRAM_HASHES[mechanism] }
  const imported = await subtle().importKey('raw', owned(key), how, false, ['sign'])
  return new Uint8Array(await subtle().sign('HMAC', imported, utf8.encode(text)))
}

export async function hash(mechanism: ScramMechanism, bytes: Uint8Array): Promise<Uint8Array> {
  return new Uint8Array(await subtle().digest(SCRAM_HASHES[mechanism], owned(bytes)))
}

/** Web Crypto does not take views of shared memory, by its types. */
const owned = (bytes: Uint8Array) => bytes as Uint8Array<ArrayBuffer>

function subtle(): SubtleCrypto {
  const found = (globalThis.crypto as Crypto | undefined)?.subtle
  if (found) return found
  throw new OttlaError('UNSUPPORTED', {
    message: 'SCRAM needs Web Crypto, which this page does not have',
    hint: 'serve the page over https, or sign in with a token',
  })
}
