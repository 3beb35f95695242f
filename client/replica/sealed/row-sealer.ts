/**
 * Rows as AES-GCM makes them: a version, a nonce, the ciphertext with its tag.
 *
 * Each is bound to its place, which is authenticated with it: a row that was put elsewhere, or changed, does not open.
 * Nonces are 96 random bits of the platform, so tabs and workers need not know of each other: two of 2^32 rows under one key
 * share one with a chance of 2^-33, which no replica comes near.
 */
import { StoreError } from '../store-error.ts'

const VERSION = 1
const NONCE_BYTES = 12
const HEAD_BYTES = 1 + NONCE_BYTES
const TAG_BYTES = 16

/** By which each row is larger. */
export const OVERHEAD_BYTES = HEAD_BYTES + TAG_BYTES

const toBytes = (text: string) => new TextEncoder().encode(text)

export class RowSealer {
  readonly #key: CryptoKey
  #naming: Promise<CryptoKey> | undefined

  constructor(key: CryptoKey) {
    this.#key = key
  }

  async seal(plain: Uint8Array, place: string): Promise<Uint8Array> {
    const nonce = crypto.getRandomValues(new Uint8Array(NONCE_BYTES))
    const cipher = await crypto.subtle.encrypt(how(nonce, place), this.#key, plain as Uint8Array<ArrayBuffer>)
    const sealed = new Uint8Array(HEAD_BYTES + cipher.byteLength)
    sealed[0] = VERSION
    sealed.set(nonce, 1)
    sealed.set(new Uint8Array(cipher), HEAD_BYTES)
    return sealed
  }

  /** Rejects `corrupt`. */
  async open(sealed: Uint8Array, place: string): Promise<Uint8Array> {
    try {
      if (sealed[0] !== VERSION) throw new Error(`version ${sealed[0]}`)
      const nonce = sealed.slice(1, HEAD_BYTES)
      return new Uint8Array(await crypto.subtle.decrypt(how(nonce, place), this.#key, sealed.slice(HEAD_BYTES)))
    } catch (cause) {
      throw new StoreError('corrupt', `a row that was encrypted (${place.split('/')[0]}) does not open`, cause)
    }
  }

  /** Always the same for a text, and nobody without the key can tell of which: for what has to be found again by its name. */
  async nameFor(text: string): Promise<string> {
    this.#naming ??= this.#namingKey()
    const name = await crypto.subtle.sign('HMAC', await this.#naming, toBytes(text))
    return btoa(String.fromCharCode(...new Uint8Array(name)))
  }

  /** The one thing that is ever encrypted under this nonce and place: a key made of a key. */
  async #namingKey(): Promise<CryptoKey> {
    const how = { name: 'AES-GCM', iv: new Uint8Array(NONCE_BYTES), additionalData: toBytes('naming') }
    const bytes = await crypto.subtle.encrypt(how, this.#key, new Uint8Array(32))
    return crypto.subtle.importKey('raw', bytes.slice(0, 32), { name: 'HMAC', hash: 'SHA-256' }, false, ['sign'])
  }

  async sealText(text: string, place: string): Promise<string> {
    const sealed = await this.seal(toBytes(text), place)
    return btoa(String.fromCharCode(...sealed))
  }

  async openText(text: string, place: string): Promise<string> {
    const sealed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))
    return new TextDecoder().decode(await this.open(sealed, place))
  }
}

const how = (iv: Uint8Array<ArrayBuffer>, place: string) => ({ name: 'AES-GCM', iv, additionalData: toBytes(place) })
