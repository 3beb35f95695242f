/**
 * Signing in for the live tail, whose few kilobytes do not hold it:
 *
 *     tail('wss://example.org', 'flights', { transport: signedIn({ username: 'ada', password }) })
 */
import { systemClock } from '../protocol/lib/clock.ts'
import { systemRandom } from '../protocol/lib/random.ts'
import type { CredentialsSource } from './sign-in/credentials.ts'
import { signingIn } from './sign-in/signing-in.ts'
import { openWallet } from './sign-in/wallet.ts'
import type { Transport } from './transport/transport.ts'
import { type WebSocketConstructor, webSocketTransport } from './transport/websocket.ts'

export type { Credentials, CredentialsSource, PasswordCredentials, TokenCredentials } from './sign-in/credentials.ts'

/** Throws INVALID_ARGUMENT for credentials that are none. Without `webSocket`, the platform's. */
export function signedIn(auth: CredentialsSource, webSocket?: WebSocketConstructor): Transport {
  const parts = { wallet: openWallet(auth), clock: systemClock, random: systemRandom }
  return signingIn(webSocketTransport(webSocket), parts)
}
