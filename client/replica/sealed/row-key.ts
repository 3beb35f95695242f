/**
 * The key under which rows are encrypted: made once for each replica, at random. A secret only wraps it, so a secret that is
 * wrong is found at once, and nothing is ever encrypted under it.
 */
import { OttlaError } from '../../errors.ts'
import { StoreError } from '../store-error.ts'
import type { Encryption, SealingRecord, Secret, SecretChange, WrappedKey } from './encryption.ts'

const ITERATIONS = 600_000
const SECRET_BYTES_MIN = 16
const ROWS: KeyUsage[] = ['encrypt', 'decrypt']
const AES = { name: 'AES-GCM', length: 256 }
const INFO = new TextEncoder().encode('ottla replica')

export interface RowKey {
  record: SealingRecord
  key: CryptoKey
}

/** For a database that has no record yet. */
export async function newRowKey(encryption: Encryption): Promise<RowKey> {
  checkEncryption(encryption)
  const record: SealingRecord = { version: 1, id: crypto.randomUUID() }
  if (encryption === 'device') return newDeviceKey(record)
  const fresh = await crypto.subtle.generateKey(AES, true, ROWS)
  return openRowKey({ ...record, wrapped: await wrap(fresh, encryption.secret) }, encryption)
}

/**
 * The same key under another secret. Rejects `locked` when `from` does not open it; if `to` does it has been changed already,
 * by a worker that died before it could say so.
 */
export async function rewrapRowKey(record: SealingRecord, { from, to }: SecretChange): Promise<SealingRecord> {
  for (const secret of [from, to]) checkEncryption({ secret })
  const { wrapped } = record
  if (!wrapped) {
    throw new OttlaError('INVALID_ARGUMENT', {
      message: 'the replica is encrypted under a key of the device: there is no secret',
    })
  }
  const key = await unwrap(wrapped, from, true).catch(() => undefined)
  if (key) return { version: 1, id: crypto.randomUUID(), wrapped: await wrap(key, to) }
  await openRowKey(record, { secret: to }).catch((failure) => Promise.reject(locked('this is not its secret', failure)))
  return record
}

async function wrap(key: CryptoKey, secret: Secret): Promise<WrappedKey> {
  const iterations = typeof secret === 'string' ? ITERATIONS : 0
  const salt = crypto.getRandomValues(new Uint8Array(16))
  const nonce = crypto.getRandomValues(new Uint8Array(12))
  const wrapping = await wrappingKey(secret, salt, iterations)
  const wrapped = await crypto.subtle.wrapKey('raw', key, wrapping, { name: 'AES-GCM', iv: nonce })
  return { salt, iterations, nonce, key: new Uint8Array(wrapped) }
}

async function unwrap({ salt, iterations, nonce, key }: WrappedKey, secret: Secret, isToLeave = false) {
  const wrapping = await wrappingKey(secret, salt, iterations)
  return crypto.subtle.unwrapKey('raw', key, wrapping, { name: 'AES-GCM', iv: nonce }, AES, isToLeave, ROWS)
}

async function newDeviceKey(record: SealingRecord): Promise<RowKey> {
  const key = await crypto.subtle.generateKey(AES, false, ROWS)
  if (isStorable(key)) return { record: { ...record, key }, key }
  const rawKey = crypto.getRandomValues(new Uint8Array(AES.length / 8))
  return { record: { ...record, rawKey }, key: await importRowKey(rawKey) }
}

/** What cannot be cloned, no database takes. */
function isStorable(key: CryptoKey): boolean {
  try {
    structuredClone(key)
    return true
  } catch {
    return false
  }
}

const importRowKey = (raw: Uint8Array<ArrayBuffer>) => crypto.subtle.importKey('raw', raw, AES, false, ROWS)

/** Rejects `locked` when it is not the secret, or not the kind of key, that the record was made with. */
export async function openRowKey(record: SealingRecord, encryption: Encryption): Promise<RowKey> {
  checkEncryption(encryption)
  if (encryption === 'device') {
    const key = record.key ?? (record.rawKey && (await importRowKey(record.rawKey)))
    if (!key) throw locked('it is encrypted under a secret, which was not given')
    return { record, key }
  }
  if (!record.wrapped) throw locked('it is encrypted under a key of the device, not under a secret')
  try {
    return { record, key: await unwrap(record.wrapped, encryption.secret) }
  } catch (cause) {
    throw locked('the secret is not the one that it was encrypted under', cause)
  }
}

async function wrappingKey(secret: Secret, salt: Uint8Array<ArrayBuffer>, iterations: number) {
  const isText = typeof secret === 'string'
  const name = isText ? 'PBKDF2' : 'HKDF'
  // The same letters, however the keyboard composed them.
  const bytes = isText ? new TextEncoder().encode(secret.normalize('NFKC')) : secret
  const raw = await crypto.subtle.importKey('raw', bytes, name, false, ['deriveKey'])
  const how = { name, hash: 'SHA-256', salt, iterations, info: INFO }
  return crypto.subtle.deriveKey(how, raw, AES, false, ['wrapKey', 'unwrapKey'])
}

function checkEncryption(encryption: Encryption): void {
  if (globalThis.crypto?.subtle === undefined) {
    throw new OttlaError('UNSUPPORTED', { message: 'encryption needs Web Crypto: https, or localhost' })
  }
  if (encryption === 'device') return
  const { secret } = encryption
  if (secret.length >= (typeof secret === 'string' ? 1 : SECRET_BYTES_MIN)) return
  const wanted = `a text that is not empty, or at least ${SECRET_BYTES_MIN} random bytes`
  throw new OttlaError('INVALID_ARGUMENT', { message: `the secret of a replica is ${wanted}` })
}

const locked = (why: string, cause?: unknown) => new StoreError('locked', `the replica cannot be opened: ${why}`, cause)
