/**
 * Errors of transactions, with what client/errors.ts says of the others. They stand here because most pages never begin
 * one. Docs: docs/ERRORS.md lists all tables.
 */
import { OttlaError, type OttlaErrorDetail } from '../errors.ts'

export const TRANSACTION_ERRORS = {
  EXPIRED: { retriable: false, hint: 'it waited longer than its expiresAfterMs; make it anew if it still matters' },
  TRANSACTION_ABORTED: { retriable: true, hint: 'nothing of it has happened; make the transaction again' },
  INVALID_STATE: { retriable: false, hint: 'begin, then send, then commit or abort; one transaction at a time' },
} as const

export type TransactionErrorCode = keyof typeof TRANSACTION_ERRORS

export function transactionError(code: TransactionErrorCode, detail: OttlaErrorDetail): OttlaError {
  return new OttlaError(code, { ...TRANSACTION_ERRORS[code], ...detail })
}
