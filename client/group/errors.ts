/**
 * Errors of groups, with what client/errors.ts says of the others. They stand here because most pages never read in a
 * group. Docs: docs/ERRORS.md lists both tables.
 */
import { asOttlaError, OttlaError, type OttlaErrorDetail } from '../errors.ts'

export const GROUP_ERRORS = {
  FENCED: { retriable: false, hint: 'give each process a groupInstanceId of its own' },
  GROUP_MISMATCH: { retriable: false, hint: 'name the assignors of the other members, or use another group' },
  NOT_ASSIGNED: { retriable: false, hint: 'whoever has the partition now goes on from the last commit' },
  DEAD_LETTERED: { retriable: false, hint: 'look at the dead letter, mend what it says, and replay it' },
  SKIPPED: { retriable: false, hint: 'the group left the record out; send it again if it still matters' },
  DEADLINE: { retriable: true, hint: 'the group may still handle the record; ask again, or look at its lag' },
  PROCESSING_UNKNOWN: {
    retriable: false,
    hint: 'look at what the group does with such records, and send it again if needed',
  },
  HANDLER_FAILED: { retriable: false, hint: 'mend the handler, or give the consumer a retry policy' },
  UNKNOWN_GROUP: { retriable: false, hint: "check the group's name; it has neither members nor commits" },
  GROUP_NOT_EMPTY: { retriable: false, hint: 'stop its members first, or remove them' },
} as const

export type GroupErrorCode = keyof typeof GROUP_ERRORS

export function groupError(code: GroupErrorCode, detail: OttlaErrorDetail): OttlaError {
  return new OttlaError(code, { ...GROUP_ERRORS[code], ...detail })
}

/** What an application's own code threw. */
export function handlerError(thrown: unknown): OttlaError {
  if (thrown instanceof OttlaError) return thrown
  const { message } = asOttlaError(thrown, 'INVALID_VALUE')
  return groupError('HANDLER_FAILED', { message, cause: thrown })
}
