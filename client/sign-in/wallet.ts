/** The credentials of one client, for all its connections; may be filled or renewed at any time. */
import { Emitter } from '../../protocol/lib/events.ts'
import { type Credentials, type CredentialsSource, checkCredentials } from './credentials.ts'

export interface Wallet {
  /** Nobody is to sign in. */
  readonly isEmpty: boolean
  /** Rejects with what the application's own function throws, or INVALID_ARGUMENT. */
  credentials(): Promise<Credentials>
  /** Connections that are signed in do it again with these, those that were refused come back. Default: as before. */
  renew(source?: CredentialsSource): void
  onRenewed(listener: () => void): () => void
  /** Nobody signs in with them any more. */
  forget(): void
}

/** Throws INVALID_ARGUMENT. */
export function openWallet(source?: CredentialsSource): Wallet {
  let held = source && checked(source)
  const renewed = new Emitter<void>()
  return {
    get isEmpty() {
      return held === undefined
    },
    async credentials() {
      return checkCredentials((typeof held === 'function' ? await held() : held) as Credentials)
    },
    renew(newer) {
      if (newer) held = checked(newer)
      renewed.emit()
    },
    onRenewed: (listener) => renewed.on(listener),
    forget() {
      held = undefined
    },
  }
}

const checked = (source: CredentialsSource) => (typeof source === 'function' ? source : checkCredentials(source))
