/**
 * Errors of a device's storage, encryption and logout, with what client/errors.ts says of the others. They stand here because they are made where the
 * replica is, and a page gets them whole. Docs: docs/ERRORS.md lists all tables.
 */
import { OttlaError, type OttlaErrorDetail } from './errors.ts'

export const DEVICE_ERRORS = {
  QUOTA_EXCEEDED: { retriable: true, hint: 'free storage for this origin, or keep less in the replica' },
  STORAGE_LOST: { retriable: false, hint: "this device's storage was cleared; the replica begins anew" },
  LOCKED: {
    retriable: false,
    hint: 'the replica is encrypted otherwise: give the secret that it was made with, or use another name',
  },
  LOGGED_OUT: { retriable: false, hint: 'whoever uses this device now connects anew' },
  UNSENT_WRITES: {
    retriable: true,
    hint: "nothing has changed; go online first, or log out with pending: 'send', 'keep' or 'discard'",
  },
} as const

export type DeviceErrorCode = keyof typeof DEVICE_ERRORS

export function deviceError(code: DeviceErrorCode, detail: OttlaErrorDetail): OttlaError {
  return new OttlaError(code, { ...DEVICE_ERRORS[code], ...detail })
}
