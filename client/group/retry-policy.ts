/** What happens with a record whose handler fails. */
import type { Random } from '../../protocol/lib/random.ts'
import { OttlaError } from '../errors.ts'

export interface RetryOptions {
  /** How often a record is given to the handler in all. Default 5. */
  attempts?: number
  /** Waits double from `firstMs` (200) up to `maxMs` (30,000); each is between half of that and all of it, at random. */
  backoff?: { firstMs?: number; maxMs?: number }
  /** An error for which this is false is not tried again. Default: all are. */
  isRetriable?(error: unknown): boolean
  /**
   * After the last attempt. 'dead-letter': the record is written to the dead-letter topic, and reading goes on. 'pause':
   * its partition stands still until `resume`, others go on. 'skip': reading goes on without it. 'stop': the consumer ends
   * with the error.
   */
  orElse: 'dead-letter' | 'pause' | 'skip' | 'stop'
}

export type Verdict = { kind: 'retry'; afterMs: number } | { kind: RetryOptions['orElse'] }

const STOP: RetryOptions = { attempts: 1, orElse: 'stop' }

export class RetryPolicy {
  readonly #attempts: number
  readonly #firstMs: number
  readonly #maxMs: number
  readonly #options: RetryOptions
  readonly #random: Random

  constructor(options: RetryOptions = STOP, random: Random) {
    const { attempts = 5, backoff: { firstMs = 200, maxMs = 30_000 } = {} } = options
    if (!Number.isSafeInteger(attempts) || attempts < 1) {
      throw new OttlaError('INVALID_ARGUMENT', { message: `retry.attempts must be 1 or more, not ${attempts}` })
    }
    this.#options = options
    this.#random = random
    this.#attempts = attempts
    this.#firstMs = firstMs
    this.#maxMs = maxMs
  }

  /** After attempt number `attempt`, counted from 1, has failed. */
  afterFailure(attempt: number, error: unknown): Verdict {
    const { isRetriable, orElse } = this.#options
    // Trying again does not change what the bytes are.
    const isHopeless = error instanceof OttlaError && error.code === 'INVALID_VALUE'
    if (isHopeless || attempt >= this.#attempts || isRetriable?.(error) === false) return { kind: orElse }
    const boundMs = Math.min(this.#maxMs, this.#firstMs * 2 ** (attempt - 1))
    return { kind: 'retry', afterMs: boundMs / 2 + (this.#random.next() * boundMs) / 2 }
  }
}
