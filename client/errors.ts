/**
 * The one error type of the client, and the table of the codes that a page's own part may give. What comes of talking to a
 * relay, of the outbox, groups, transactions and the device stands where it is made: relay-errors.ts, outbox/errors.ts,
 * group/errors.ts, transactions/errors.ts and device-errors.ts. A page gets those whole.
 *
 * Invariants: a code never changes its meaning; every code has an entry in a table; `retriable` says whether the same
 * call may succeed later without the caller changing anything. Docs: docs/ERRORS.md lists the same table.
 */
import type { DeviceErrorCode } from './device-errors.ts'
import type { GroupErrorCode } from './group/errors.ts'
import type { OutboxErrorCode } from './outbox/errors.ts'
import type { RelayErrorCode } from './relay-errors.ts'
import type { StorageReason } from './storage-reason.ts'
import type { TransactionErrorCode } from './transactions/errors.ts'

export interface ErrorKind {
  retriable: boolean
  hint: string
}

export const ERRORS = {
  DISCONNECTED: { retriable: true, hint: 'the client reconnects by itself; repeat it when live' },
  TIMEOUT: { retriable: true, hint: 'no answer in time; it may have been carried out' },
  CLOSED: { retriable: false, hint: 'this client was closed; connect again' },
  ABORTED: { retriable: false, hint: 'the AbortSignal that was handed in ended the call' },
  PROTOCOL: { retriable: true, hint: 'check the versions of relay and client' },
  UNSUPPORTED: { retriable: false, hint: 'the relay does not offer this; update one of the two' },
  UNKNOWN_PARTITION: { retriable: false, hint: 'ask describeTopics for the partitions that exist' },
  OFFSET_OUT_OF_RANGE: { retriable: false, hint: "seek to the beginning, or read with onMissingOffset: 'earliest'" },
  TOPIC_RECREATED: { retriable: false, hint: 'the topic was made anew; open a new reader' },
  LOG_TRUNCATED: { retriable: false, hint: 'records that were read are gone; open a new reader' },
  BUFFER_FULL: { retriable: true, hint: 'wait until earlier receipts are stored' },
  STORAGE_FAILED: { retriable: true, hint: "this device's storage failed; nothing was stored" },
  CORRUPT: { retriable: true, hint: 'it does not match its checksum; it is fetched again' },
  INVALID_ARGUMENT: { retriable: false, hint: 'correct the argument named in the message' },
  INVALID_VALUE: { retriable: false, hint: 'the value does not fit the serde or schema of the topic' },
  NO_CODEC: { retriable: false, hint: 'register a codec for this compression' },
  RELAY: { retriable: false, hint: 'see `kafkaCode`' },
} as const satisfies Record<string, ErrorKind>

export type CommonErrorCode = keyof typeof ERRORS

export type OttlaErrorCode =
  | CommonErrorCode
  | RelayErrorCode
  | OutboxErrorCode
  | DeviceErrorCode
  | GroupErrorCode
  | TransactionErrorCode

/** An error as plain data: crosses a worker's border and fits into storage. */
export interface ErrorInfo {
  code: OttlaErrorCode
  message: string
  hint: string
  retriable: boolean
  /** Kafka's error code when the relay answered with one. */
  kafkaCode?: number
  /** When it is this device's storage that failed: how. */
  storage?: StorageReason
}

export interface OttlaErrorDetail {
  message: string
  /** Default: the hint of the code. */
  hint?: string
  /** Default: as the code's. */
  retriable?: boolean
  kafkaCode?: number
  storage?: StorageReason
  cause?: unknown
}

export class OttlaError extends Error {
  override readonly name = 'OttlaError'
  readonly code: OttlaErrorCode
  readonly hint: string
  readonly retriable: boolean
  readonly kafkaCode: number | undefined
  readonly storage: StorageReason | undefined

  constructor(code: CommonErrorCode, detail: OttlaErrorDetail)
  /** Of a code whose table is elsewhere, as the functions beside those tables make it. */
  constructor(code: OttlaErrorCode, detail: OttlaErrorDetail & ErrorKind)
  constructor(code: OttlaErrorCode, detail: OttlaErrorDetail) {
    super(detail.message, detail)
    this.code = code
    const kind: ErrorKind | undefined = ERRORS[code as keyof typeof ERRORS]
    this.hint = detail.hint ?? kind?.hint ?? ''
    this.retriable = detail.retriable ?? kind?.retriable ?? false
    this.kafkaCode = detail.kafkaCode
    this.storage = detail.storage
  }

  /** Also true for an error of another copy of this class: the files that a page loads may each hold one. */
  static override [Symbol.hasInstance](value: unknown): value is OttlaError {
    return value instanceof Error && value.name === 'OttlaError' && 'code' in value
  }

  toInfo(): ErrorInfo {
    const { code, message, hint, retriable, kafkaCode, storage } = this
    return { code, message, hint, retriable, kafkaCode, storage }
  }

  static fromInfo(info: ErrorInfo): OttlaError {
    return new OttlaError(info.code, info)
  }
}

/** Whatever was thrown, as an OttlaError: itself when it is one, else `fallback` with the thrown thing as its cause. */
export function asOttlaError(thrown: unknown, fallback: CommonErrorCode): OttlaError {
  if (thrown instanceof OttlaError) return thrown
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  return new OttlaError(fallback, { message, cause: thrown })
}
