/**
 * Why this device's storage does not do what it should, as kinds that call for different answers. `error.storage` and
 * `status.storageError.storage` have it; docs/STORAGE.md says what an application can do about each.
 */
export type StorageReason =
  /** Another writer has claimed the store: this one has stopped. */
  | 'fenced'
  /** The database was cleared or evicted under us: it is claimed again, and everything begins anew. */
  | 'evicted'
  /** A newer format of the same replica has taken everything over: the page is to be loaded again. */
  | 'moved'
  | 'quota'
  /** The files under the database cannot be opened. */
  | 'backing-store'
  /** The connection died or closed; opening again may help. */
  | 'connection-lost'
  /** Somebody holds the database open, or is deleting it, and does not let go. */
  | 'blocked'
  /** No IndexedDB here, or none that may be written: private windows, disabled storage. */
  | 'unavailable'
  /** A row is there and cannot be read, now or ever. */
  | 'corrupt'
  /** The user was logged out, here or in another tab: this client has stopped. */
  | 'logged-out'
  /** The replica is encrypted, and the secret is missing or wrong; or it lies in plain, and encryption was asked for. */
  | 'locked'
  | 'closed'
  | 'failed'
