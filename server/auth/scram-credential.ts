/**
 * What a relay keeps of a password (RFC 5802): enough to check one, not to sign in with.
 *
 *   SaltedPassword = PBKDF2(password, salt, iterations)
 *   StoredKey = H(HMAC(SaltedPassword, "Client Key"))      ServerKey = HMAC(SaltedPassword, "Server Key")
 */
import { createHash, createHmac, pbkdf2, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'

export const SCRAM_HASHES = { 'SCRAM-SHA-256': 'sha256', 'SCRAM-SHA-512': 'sha512' } as const
export type ScramMechanism = keyof typeof SCRAM_HASHES
export const SCRAM_MECHANISMS = Object.keys(SCRAM_HASHES) as ScramMechanism[]

/** Fewer are refused, by RFC 7677; more than Kafka allows would let one login take seconds. */
export const ITERATIONS_MIN = 4096
export const ITERATIONS_MAX = 16_384
export const SALT_BYTES = 24

export interface ScramCredential {
  salt: Buffer
  iterations: number
  storedKey: Buffer
  serverKey: Buffer
}

const derive = promisify(pbkdf2)
const HASH_BYTES = { 'SCRAM-SHA-256': 32, 'SCRAM-SHA-512': 64 } as const

export const hashBytesOf = (mechanism: ScramMechanism): number => HASH_BYTES[mechanism]

/** Off the main thread: thousands of rounds. */
export function saltPassword(
  mechanism: ScramMechanism,
  password: string,
  { salt, iterations }: Pick<ScramCredential, 'salt' | 'iterations'>,
): Promise<Buffer> {
  return derive(password.normalize('NFKC'), salt, iterations, hashBytesOf(mechanism), SCRAM_HASHES[mechanism])
}

export function credentialFrom(
  mechanism: ScramMechanism,
  salted: Uint8Array,
  { salt, iterations }: Pick<ScramCredential, 'salt' | 'iterations'>,
): ScramCredential {
  const storedKey = hash(mechanism, hmac(mechanism, salted, 'Client Key'))
  return { salt, iterations, storedKey, serverKey: hmac(mechanism, salted, 'Server Key') }
}

/** Whether this is the password; takes the same time whichever it is. */
export async function isPassword(
  mechanism: ScramMechanism,
  password: string,
  credential: ScramCredential,
): Promise<boolean> {
  const salted = await saltPassword(mechanism, password, credential)
  return timingSafeEqual(credentialFrom(mechanism, salted, credential).storedKey, credential.storedKey)
}

export const hmac = (mechanism: ScramMechanism, key: Uint8Array, text: string): Buffer =>
  createHmac(SCRAM_HASHES[mechanism], key).update(text).digest()

export const hash = (mechanism: ScramMechanism, bytes: Uint8Array): Buffer =>
  createHash(SCRAM_HASHES[mechanism]).update(bytes).digest()
