/**
 * What can go wrong with a browser's database, as kinds that call for different answers.
 *
 * Measured in the field, about a quarter each: a backing store that does not open, a full quota, Safari's lost
 * connection; the rest are connections that close under a transaction.
 */
import { OttlaError, type OttlaErrorCode } from '../errors.ts'

export type StoreErrorKind =
  /** Another writer has claimed the store: stop writing. */
  | 'fenced'
  /** The database was cleared or evicted under us: claim again and begin anew. */
  | 'evicted'
  /** A newer format of the same replica has taken everything over: reload the page. */
  | 'moved'
  | 'quota'
  /** The files under the database cannot be opened. */
  | 'backing-store'
  /** The connection died or closed; opening again may help. */
  | 'connection-lost'
  /** Somebody holds the database open and does not let go. */
  | 'blocked'
  /** No IndexedDB here: private windows, disabled storage. */
  | 'unavailable'
  | 'closed'
  | 'failed'

const CODE_OF_KIND: Record<StoreErrorKind, OttlaErrorCode> = {
  fenced: 'REPLACED',
  evicted: 'STORAGE_LOST',
  moved: 'REPLACED',
  quota: 'QUOTA_EXCEEDED',
  'backing-store': 'STORAGE_FAILED',
  'connection-lost': 'STORAGE_FAILED',
  blocked: 'STORAGE_FAILED',
  unavailable: 'STORAGE_FAILED',
  closed: 'CLOSED',
  failed: 'STORAGE_FAILED',
}

export class StoreError extends Error {
  override readonly name = 'StoreError'
  readonly kind: StoreErrorKind

  constructor(kind: StoreErrorKind, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.kind = kind
  }

  /** Whether the same unit may succeed on a connection opened anew. */
  get isWorthReopening(): boolean {
    return this.kind === 'connection-lost' || this.kind === 'backing-store'
  }

  toOttlaError(): OttlaError {
    return new OttlaError(CODE_OF_KIND[this.kind], { message: this.message, cause: this })
  }
}

/** A DOMException's name and Chromium's and Safari's wording, as a kind. */
export function classifyStoreFailure(failure: unknown): StoreErrorKind {
  if (failure instanceof StoreError) return failure.kind
  const { name, message } = namesOf(failure)
  if (name === 'QuotaExceededError' || /quota|disk (is )?full|not enough space/i.test(message)) return 'quota'
  if (/connection to indexed database server lost/i.test(message)) return 'connection-lost'
  if (/backing store|corrupt/i.test(message)) return 'backing-store'
  if (name === 'InvalidStateError' || /connection is clos|database connection/i.test(message)) return 'connection-lost'
  if (name === 'SecurityError' || name === 'NotAllowedError') return 'unavailable'
  if (name === 'UnknownError') return 'backing-store'
  return 'failed'
}

export function storeErrorFrom(failure: unknown, what: string): StoreError {
  if (failure instanceof StoreError) return failure
  const { name, message } = namesOf(failure)
  const detail = [name, message].filter(Boolean).join(': ')
  return new StoreError(classifyStoreFailure(failure), `${what} failed${detail ? `: ${detail}` : ''}`, failure)
}

function namesOf(failure: unknown): { name: string; message: string } {
  if (typeof failure !== 'object' || failure === null) return { name: '', message: String(failure) }
  const { name, message } = failure as { name?: unknown; message?: unknown }
  return { name: String(name ?? ''), message: String(message ?? '') }
}
