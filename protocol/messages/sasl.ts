/** Signing in (KIP-43, KIP-152), and again on a connection that lives on (KIP-368). */
import { api } from '../api.ts'
import { array, bytes, int16, int64, nullable, since, string, struct } from '../schema.ts'

/** After version 0 the tokens follow bare, each in a frame without a header; after version 1 in SaslAuthenticate. */
export const saslHandshake = api({
  key: 17,
  name: 'SaslHandshake',
  versions: [0, 1],
  request: struct({ mechanism: string() }),
  response: struct({ errorCode: int16(), mechanisms: array(string()) }),
})

/** As many as the mechanism needs. A lifetime of 0: the session has no end of its own. */
export const saslAuthenticate = api({
  key: 36,
  name: 'SaslAuthenticate',
  versions: [0, 2],
  flexibleFrom: 2,
  request: struct({ authBytes: bytes() }),
  response: struct({
    errorCode: int16(),
    errorMessage: nullable(string()),
    authBytes: bytes(),
    sessionLifetimeMs: since(1, int64()),
  }),
})
