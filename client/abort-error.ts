/** What a call ends with when its AbortSignal fires; the signal's own reason is the cause. */
import { OttlaError } from './errors.ts'

export function abortError(what: string, signal: AbortSignal): OttlaError {
  return new OttlaError('ABORTED', { message: `${what} was aborted by its signal`, cause: signal.reason })
}
