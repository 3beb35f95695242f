/**
 * The key under which rows are encrypted: made once for each replica, at random. A secret only wraps it, so a secret that is
 * wrong is found at once, and nothing is ever encrypted under it.
 */
import { OttlaError } from '../../errors.ts'
import { StoreError } from '../store-error.ts'
import type { Encryption, SealingRecord, Secret } from './encryption.ts'

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
  const iterations = typeof encryption.secret === 'string' ? ITERATIONS : 0
  const salt = crypto.getRandomValues(new Uint8Array(16))
  const nonce = crypto.getRandomValues(new Uint8Array(12))
  const wrapping = await wrappingKey(encryption.secret, salt, iterations)
  const fresh = await crypto.subtle.generateKey(AES, true, ROWS)
  const key = new Uint8Array(await crypto.subtle.wrapKey('raw', fresh, wrapping, { name: 'AES-GCM', iv: nonce }))
  return openRowKey({ ...record, wrapped: { salt, iterations, nonce, key } }, encryption)
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
  const { salt, iterations, nonce, key } = record.wrapped
  const wrapping = await wrappingKey(encryption.secret, salt, iterations)
  try {
    const opened = await crypto.subtle.unwrapKey('raw', key, wrapping, { name: 'AES-GCM', iv: nonce }, AES, false, ROWS)
    return { record, key: opened }
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
