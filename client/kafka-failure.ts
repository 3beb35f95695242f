/**
 * The relay's error codes as this client's errors.
 *
 * The numbers are Kafka's (protocol/errors.ts has their names and texts); they stand here as numbers so that the live
 * tail does not carry that table.
 */
import type { CommonErrorCode, OttlaError } from './errors.ts'
import { type RelayErrorCode, relayError } from './relay-errors.ts'

const CODES: Readonly<Record<number, RelayErrorCode | CommonErrorCode>> = {
  1: 'OFFSET_OUT_OF_RANGE',
  2: 'CORRUPT',
  3: 'UNKNOWN_TOPIC',
  10: 'TOO_LARGE',
  18: 'TOO_LARGE',
  29: 'NOT_AUTHORIZED',
  31: 'NOT_AUTHORIZED',
  35: 'UNSUPPORTED',
  36: 'TOPIC_EXISTS',
  74: 'LOG_TRUNCATED',
  100: 'TOPIC_RECREATED',
}

/**
 * Only time is needed: leader not available, not leader, timed out, network, loading, no coordinator, too few replicas,
 * unknown server error, storage error, newer leader epoch, quota.
 */
const TRANSIENT: ReadonlySet<number> = new Set([-1, 5, 6, 7, 13, 14, 15, 19, 56, 75, 89])

export const isTransient = (kafkaCode: number): boolean => TRANSIENT.has(kafkaCode)

/** `what` says what was tried, on what: "Subscribe to flights-0". */
export function kafkaFailure(kafkaCode: number, what: string, relayMessage?: string | null): OttlaError {
  const code = CODES[kafkaCode] ?? 'RELAY'
  const said = relayMessage || (code === 'NOT_AUTHORIZED' ? 'not allowed' : 'the relay answered')
  return relayError(code, {
    message: `${what} failed: ${said} (Kafka error ${kafkaCode})`,
    kafkaCode,
    ...(isTransient(kafkaCode) ? { retriable: true } : {}),
  })
}
