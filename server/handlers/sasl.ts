/**
 * SaslHandshake 0-1, SaslAuthenticate 0-2 (KIP-43, KIP-152, KIP-368).
 *
 * Who fails is told so a little later and closed with 4401. On a connection that is signed in both may come again, and
 * refresh the session; other requests go on meanwhile. Where nobody can tell (no keys to check a token by), 1013 says so.
 */
import { ErrorCode } from '../../protocol/errors.ts'
import { CloseCode } from '../../protocol/messages/offset-protocol.ts'
import { saslAuthenticate, saslHandshake } from '../../protocol/messages/sasl.ts'
import { AuthenticationError } from '../auth/exchange.ts'
import { entry, NO_REPLY } from '../handler.ts'

const BEFORE_SIGN_IN = { isBeforeSignIn: true }
const NOTHING = new Uint8Array(0)

export const saslHandshakeHandler = entry(
  saslHandshake,
  'none',
  ({ mechanism }, context) => {
    const { connection, services, apiVersion } = context
    const errorCode = connection.sasl.handshake(mechanism, apiVersion)
    if (errorCode !== ErrorCode.NONE && !connection.sasl.isAdmitted)
      context.afterReply(() => connection.close(CloseCode.needsAuth, 'this mechanism is not offered'))
    return { errorCode, mechanisms: [...services.authentication.mechanisms] }
  },
  BEFORE_SIGN_IN,
)

export const saslAuthenticateHandler = entry(
  saslAuthenticate,
  'none',
  async ({ authBytes }, context) => {
    const { connection, services } = context
    const { sasl, remoteAddress } = connection
    try {
      const { reply, sessionLifetimeMs } = await sasl.authenticate(authBytes)
      return { errorCode: ErrorCode.NONE, errorMessage: null, authBytes: reply, sessionLifetimeMs }
    } catch (error) {
      if (!(error instanceof AuthenticationError)) throw error
      await services.authentication.refuse(remoteAddress, sasl.mechanism, error.message)
      if (error.isTemporary) {
        connection.close(CloseCode.tryAgainLater, 'nobody can be signed in now')
        return NO_REPLY
      }
      context.afterReply(() => connection.close(CloseCode.needsAuth, 'authentication failed'))
      const errorMessage = `Authentication failed: ${error.message}`
      return { errorCode: ErrorCode.SASL_AUTHENTICATION_FAILED, errorMessage, authBytes: NOTHING }
    }
  },
  BEFORE_SIGN_IN,
)
