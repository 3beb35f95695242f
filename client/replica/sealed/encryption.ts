/** How a replica is encrypted on this device, as an application asks for it. Types only: the code is loaded with the first. */

/**
 * 'device': under a key that the browser makes and never shows, kept beside the data. It protects nothing against whoever
 * can run this browser profile; a logout that deletes the key makes what is left on the disk unreadable.
 * `secret`: under a key that is derived from it each time and stored nowhere. Text is stretched (PBKDF2, 600,000 rounds);
 * bytes (at least 16, random) are not.
 */
export type Encryption = 'device' | { secret: Secret }

export type Secret = string | Uint8Array<ArrayBuffer>

export interface SecretChange {
  /** The one that opens the replica now. */
  from: Secret
  to: Secret
}

/** What lies in the database, in plain: how to come to the key. */
export interface SealingRecord {
  version: 1
  /** Tells two records apart that were made at the same time. */
  id: string
  /** The key itself, which cannot be taken out of the browser. */
  key?: CryptoKey
  /** The same as bytes, where a context cannot store keys: the SharedWorkers of WebKit. */
  rawKey?: Uint8Array<ArrayBuffer>
  /** Of a secret: the key of the rows, encrypted under the key that comes of the secret. */
  wrapped?: WrappedKey
}

export interface WrappedKey {
  salt: Uint8Array<ArrayBuffer>
  iterations: number
  nonce: Uint8Array<ArrayBuffer>
  key: Uint8Array<ArrayBuffer>
}
