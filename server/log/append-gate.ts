/**
 * May a batch be appended now? Not while the log is offline, being truncated, closed, or on a full disk, and not while
 * too much waits to be written.
 *
 * A log that met a full disk looks for room itself, once a second: what is written seldom must not be refused long after.
 */
import { KafkaError } from '../../protocol/errors.ts'
import type { Clock, Timer } from '../../protocol/lib/clock.ts'
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
  #probeTimer: Timer | undefined
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
    if (this.#refusal) throw new KafkaError('KAFKA_STORAGE_ERROR', this.#refusal.message)
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
    this.#probeLater()
  }

  open(): void {
    if (!this.#isClosed) this.#refusal = undefined
  }

  /** For good. */
  close(message: string): void {
    this.#isClosed = true
    this.#probeTimer?.cancel()
    this.shut(message)
  }

  #probeLater(): void {
    const { clock, files, dir } = this.#options
    this.#probeTimer?.cancel()
    this.#probeTimer = clock.setTimer(ROOM_PROBE_MS, async () => {
      const bytes = await files.freeBytes(dir).catch(() => 0)
      if (!this.#refusal?.isFull || this.#isClosed) return
      if (bytes >= ROOM_BYTES_MIN) this.open()
      else this.#probeLater()
    })
  }
}
