/**
 * Errors of talking to a relay, with what client/errors.ts says of the others. They stand here because a page with a worker
 * never makes them itself. Docs: docs/ERRORS.md lists all tables.
 */
import { type CommonErrorCode, type ErrorKind, OttlaError, type OttlaErrorDetail } from './errors.ts'

export const RELAY_ERRORS = {
  NEEDS_AUTH: { retriable: false, hint: 'renew the credentials, then call reauthenticate()' },
  REPLACED: { retriable: false, hint: 'another client took the replica over; use one for each replica' },
  REFUSED: { retriable: false, hint: 'the relay does not want this connection back; see the message' },
  NO_WEBSOCKET: { retriable: false, hint: "pass `webSocket`, or install the package 'ws'" },
  UNKNOWN_TOPIC: { retriable: false, hint: 'create the topic first, or check its name' },
  TOPIC_EXISTS: { retriable: false, hint: 'use it, or pass ifNotExists' },
  NOT_AUTHORIZED: { retriable: false, hint: 'ask for the right on this topic' },
  TOO_LARGE: { retriable: false, hint: "send smaller records, or raise the topic's max.message.bytes" },
} as const

export type RelayErrorCode = keyof typeof RELAY_ERRORS

/** Also of the codes that everything shares, for tables in which a relay's answers lead to either. */
export function relayError(code: RelayErrorCode | CommonErrorCode, detail: OttlaErrorDetail): OttlaError {
  const kinds: Partial<Record<string, ErrorKind>> = RELAY_ERRORS
  return new OttlaError(code as CommonErrorCode, { ...kinds[code], ...detail })
}
