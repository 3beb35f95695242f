/**
 * Errors of encryption and logout, with what client/errors.ts says of the others. They stand here because they are made where the
 * replica is, and a page gets them whole. Docs: docs/ERRORS.md lists all tables.
 */
export const DEVICE_ERRORS = {
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
