/**
 * What can go wrong with a browser's database, as kinds that call for different answers.
 *
 * Measured in the field, about a quarter each: a backing store that does not open, a full quota, Safari's lost
 * connection; the rest are connections that close under a transaction.
 */
import { DEVICE_ERRORS, type DeviceErrorCode } from '../device-errors.ts'
import { type CommonErrorCode, ERRORS, OttlaError } from '../errors.ts'
import { RELAY_ERRORS } from '../relay-errors.ts'
import type { StorageReason } from '../storage-reason.ts'

export type StoreErrorKind = StorageReason

const CODE_OF_KIND: Record<StoreErrorKind, CommonErrorCode | DeviceErrorCode | 'REPLACED'> = {
  fenced: 'REPLACED',
  evicted: 'STORAGE_LOST',
  moved: 'REPLACED',
  'logged-out': 'LOGGED_OUT',
  locked: 'LOCKED',
  quota: 'QUOTA_EXCEEDED',
  'backing-store': 'STORAGE_FAILED',
  'connection-lost': 'STORAGE_FAILED',
  blocked: 'STORAGE_FAILED',
  unavailable: 'STORAGE_FAILED',
  corrupt: 'CORRUPT',
  closed: 'CLOSED',
  failed: 'STORAGE_FAILED',
}

const FINAL_KINDS: ReadonlySet<StoreErrorKind> = new Set(['fenced', 'evicted', 'moved', 'logged-out'])

/** Where the hint of the code would not help. */
const HINT_OF_KIND: Partial<Record<StoreErrorKind, string>> = {
  moved: 'load this page again: a newer version of the application has taken the replica over',
  'backing-store': 'nothing was stored; it is tried again, and restarting the browser often helps',
  'connection-lost': 'nothing was stored; the database is opened again by itself, else load the page again',
  blocked: 'close other tabs of this application, or load them again',
  unavailable: 'allow this site to store data, leave the private window, or connect without a replica',
  corrupt: 'what lies in the log is fetched again; a write that was lost is shown in the outbox',
}

export class StoreError extends Error {
  override readonly name = 'StoreError'
  readonly kind: StoreErrorKind

  constructor(kind: StoreErrorKind, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.kind = kind
  }

  /** Also true for an error of another copy of this class: files that are loaded apart each hold one. */
  static override [Symbol.hasInstance](value: unknown): value is StoreError {
    return value instanceof Error && value.name === 'StoreError' && 'kind' in value
  }

  /** Whether the same unit may succeed on a connection opened anew. */
  get isWorthReopening(): boolean {
    return this.kind === 'connection-lost' || this.kind === 'backing-store'
  }

  /** Nothing more can be stored by whoever gets it. */
  get isFinal(): boolean {
    return FINAL_KINDS.has(this.kind)
  }

  toOttlaError(): OttlaError {
    const { kind, message } = this
    const kinds = { ...ERRORS, ...DEVICE_ERRORS, REPLACED: RELAY_ERRORS.REPLACED }
    const { retriable, hint } = kinds[CODE_OF_KIND[kind]]
    const detail = { message, cause: this, storage: kind, retriable, hint: HINT_OF_KIND[kind] ?? hint }
    return new OttlaError(CODE_OF_KIND[kind], detail)
  }
}

/** Rows of a partition that cannot be read: everything below `intactUpTo` can. */
export class CorruptChunks extends StoreError {
  readonly topicId: string
  readonly partition: number
  readonly intactUpTo: number

  static override [Symbol.hasInstance](value: unknown): value is CorruptChunks {
    return value instanceof StoreError && 'intactUpTo' in value
  }

  constructor(at: { topicId: string; partition: number; intactUpTo: number }, cause?: unknown) {
    super('corrupt', `rows of ${at.topicId}-${at.partition} from ${at.intactUpTo} on cannot be read`, cause)
    this.topicId = at.topicId
    this.partition = at.partition
    this.intactUpTo = at.intactUpTo
  }
}

/** A DOMException's name and the engines' wording, as a kind. */
export function classifyStoreFailure(failure: unknown): StoreErrorKind {
  if (failure instanceof StoreError) return failure.kind
  const { name, message } = namesOf(failure)
  if (name === 'QuotaExceededError' || /quota|disk (is )?full|not enough space/i.test(message)) return 'quota'
  // Chromium keeps large values in files of their own, which may go; it has named that in three ways.
  if (name === 'NotReadableError' || /failed to read large/i.test(message)) return 'corrupt'
  if (/connection to indexed database server lost/i.test(message)) return 'connection-lost'
  // Firefox, where a private window has no storage that may be written.
  if (/did not allow mutations/i.test(message)) return 'unavailable'
  if (/backing store|corrupt/i.test(message)) return 'backing-store'
  // What Chromium says to whoever opens a database while it is being cleared.
  if (/connection (is|was) clos|database connection/i.test(message)) return 'connection-lost'
  if (name === 'InvalidStateError') return 'connection-lost'
  // The database has another version than this code knows.
  if (name === 'VersionError') return 'moved'
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

export const loggedOutError = () => new StoreError('logged-out', 'the user of this replica was logged out')
