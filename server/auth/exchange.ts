/** One way to sign in, as a conversation: the client's tokens in, the relay's out, until it is decided. */

/** Who somebody turned out to be, and until when that holds. */
export interface Identity {
  name: string
  /** Wall clock; undefined when the mechanism sets no end. */
  expiresAtMs?: number
  /** False from the moment on at which this is nobody any more. */
  stillHolds?: () => boolean
}

export interface ExchangeStep {
  reply: Uint8Array
  /** There when this was the last step. */
  identity?: Identity
}

export interface Exchange {
  /** Rejects with AuthenticationError; anything else is a fault of ours. */
  step(token: Uint8Array): Promise<ExchangeStep>
}

/** Not who they say, or not in the words of the mechanism. The text is told to the client: no secrets, no hints. */
export class AuthenticationError extends Error {
  override readonly name = 'AuthenticationError'
  /** Nobody can say now whether they are: to be tried again, not given up. */
  readonly isTemporary: boolean

  constructor(message: string, { isTemporary = false } = {}) {
    super(message)
    this.isTemporary = isTemporary
  }
}

/** What every refusal says, so that nobody learns which of the two was wrong. */
export const WRONG_CREDENTIALS = 'invalid credentials'

const utf8 = new TextDecoder('utf-8', { fatal: true })

export function textOf(token: Uint8Array, mechanism: string): string {
  try {
    return utf8.decode(token)
  } catch {
    throw new AuthenticationError(`a ${mechanism} token that is not UTF-8`)
  }
}
