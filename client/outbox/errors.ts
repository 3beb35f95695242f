/**
 * Errors of the outbox, with what client/errors.ts says of the others. They stand here because a page gets them whole.
 * Docs: docs/ERRORS.md lists all tables.
 */
import { OttlaError, type OttlaErrorDetail } from '../errors.ts'

export const OUTBOX_ERRORS = {
  OUTBOX_FULL: { retriable: true, hint: 'go online so that the outbox drains, or discard parked entries' },
  OUTCOME_UNKNOWN: { retriable: false, hint: 'it may be in the log; look there, then retry or discard it' },
  REJECTED: { retriable: false, hint: 'the relay refused it for good; it is parked in the outbox' },
  DISCARDED: { retriable: false, hint: 'this application discarded it' },
} as const

export type OutboxErrorCode = keyof typeof OUTBOX_ERRORS

export function outboxError(code: OutboxErrorCode, detail: OttlaErrorDetail): OttlaError {
  return new OttlaError(code, { ...OUTBOX_ERRORS[code], ...detail })
}
