/**
 * May a batch be appended now? Not while the log is offline, being truncated, closed, or on a full disk, and not while
 * too much waits to be written.
 *
 * A log that met a full disk looks for room itself, once a second at most, when an append asks.
 */
import { KafkaError } from '../../protocol/errors.ts'
import type { Clock } from '../../protocol/lib/clock.ts'
import type { DiskSpace } from '../storage/disk-space.ts'
import type { Files } from '../storage/files.ts'
import { storageRefusal } from './log-fault.ts'
import type { LogState } from './log-state.ts'

/** Appends beyond this wait for nothing: they are refused with a retriable error. */
export const QUEUED_BYTES_MAX = 32 * 1024 * 1024
/** Room that must be there before a log that met a full disk takes appends again. */
const ROOM_BYTES_MIN = 16 * 1024 * 1024
const ROOM_PROBE_MS = 1000

export interface AppendGateOptions {
  files: Files
  dir: string
  clock: Clock
  state: LogState
  /** Left out for logs that go on writing until the disk is full. */
  space?: DiskSpace
}

export class AppendGate {
  readonly #options: AppendGateOptions
  #refusal: { message: string; isFull: boolean } | undefined
  #probedAtMs = 0
  #isClosed = false

  constructor(options: AppendGateOptions) {
    this.#options = options
  }

  /** Whether appends are refused although the log is online. */
  get isShut(): boolean {
    return this.#refusal !== undefined
  }

  /** Of a producer: refused before the disk is full. Throws as `check` does. */
  checkRecords(sizeBytes: number, queuedBytes: number): void {
    this.check(sizeBytes, queuedBytes)
    const { space, dir } = this.#options
    if (!space) return
    if (space.level !== 'free') {
      throw new KafkaError('KAFKA_STORAGE_ERROR', `the disk that holds ${dir} is almost full; send again later`)
    }
    space.take(sizeBytes)
  }

  /** Throws KafkaError: KAFKA_STORAGE_ERROR, or REQUEST_TIMED_OUT when too much is queued already. */
  check(sizeBytes: number, queuedBytes: number): void {
    const { fault } = this.#options.state
    if (fault) throw storageRefusal(fault)
    if (this.#refusal) throw this.#refuse(this.#refusal)
    if (queuedBytes + sizeBytes > QUEUED_BYTES_MAX) {
      throw new KafkaError(
        'REQUEST_TIMED_OUT',
        `${queuedBytes} bytes wait to be written; no more than ${QUEUED_BYTES_MAX} may: send again later`,
      )
    }
  }

  shut(message: string): void {
    this.#refusal = { message, isFull: false }
  }

  /** Until there is room again. */
  shutForRoom(message: string): void {
    this.#refusal = { message, isFull: true }
  }

  open(): void {
    if (!this.#isClosed) this.#refusal = undefined
  }

  /** For good. */
  close(message: string): void {
    this.#isClosed = true
    this.shut(message)
  }

  #refuse(refusal: { message: string; isFull: boolean }): KafkaError {
    if (refusal.isFull) this.#probeRoom()
    return new KafkaError('KAFKA_STORAGE_ERROR', refusal.message)
  }

  #probeRoom(): void {
    const { clock, files, dir } = this.#options
    const nowMs = clock.monotonic()
    if (nowMs - this.#probedAtMs < ROOM_PROBE_MS) return
    this.#probedAtMs = nowMs
    files.freeBytes(dir).then(
      (bytes) => {
        if (bytes >= ROOM_BYTES_MIN && this.#refusal?.isFull) this.open()
      },
      () => {},
    )
  }
}
