/** Whatever was thrown, as something to show: what happened and what can be done. */
import type { ErrorInfo } from '../client/errors.ts'

export function errorInfo(thrown: unknown): ErrorInfo {
  const shown = thrown as Partial<ErrorInfo> | null
  if (shown && typeof shown === 'object' && typeof shown.code === 'string' && typeof shown.message === 'string') {
    return { code: shown.code, message: shown.message, hint: shown.hint ?? '', retriable: shown.retriable ?? false }
  }
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  return { code: 'PROTOCOL', message, hint: 'reload the page; the data on this device stays', retriable: true }
}

export function isAbort(thrown: unknown): boolean {
  if (typeof thrown !== 'object' || thrown === null) return false
  const { name, code } = thrown as { name?: unknown; code?: unknown }
  return name === 'AbortError' || code === 'ABORTED'
}
