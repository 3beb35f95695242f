/**
 * Where one connection stands in signing in.
 *
 *   stranger --handshake--> choosing --tokens--> signed in --handshake--> signing in again --tokens--> signed in
 *
 * Invariants: who is signed in stays the same person for the connection's life; while signing in again the old session
 * holds until it ends; after a failure nothing more is taken, so guesses that were sent in a row are one guess.
 */
import { ErrorCode } from '../../protocol/errors.ts'
import type { Authentication, Mechanism } from './authentication.ts'
import { AuthenticationError, type Exchange, type Identity } from './exchange.ts'
import { ANONYMOUS } from './users.ts'

export interface Authenticated {
  reply: Uint8Array
  /** 0: not at an end yet, or without one. */
  sessionLifetimeMs: number
}

export class SaslSession {
  readonly #authentication: Authentication
  readonly #onSignedIn: () => void
  #mechanism: Mechanism | undefined
  #exchange: Exchange | undefined
  #takesBareTokens = false
  #isStepping = false
  #hasFailed = false
  #user: string | undefined
  #stillHolds: (() => boolean) | undefined
  /** By the monotonic clock. */
  #endsAt = Number.POSITIVE_INFINITY

  constructor(authentication: Authentication, onSignedIn: () => void) {
    this.#authentication = authentication
    this.#onSignedIn = onSignedIn
  }

  /** May do what the authorizer allows. */
  get isAdmitted(): boolean {
    return this.#user !== undefined || !this.#authentication.isRequired
  }

  get user(): string {
    return this.#user ?? ANONYMOUS
  }

  /** The next message is a token, without a header: the way of SaslHandshake 0. */
  get takesBareTokens(): boolean {
    return this.#takesBareTokens && this.#exchange !== undefined
  }

  get mechanism(): string {
    return this.#mechanism ?? ''
  }

  isOver(nowMonotonicMs: number): boolean {
    return nowMonotonicMs >= this.#endsAt || this.#stillHolds?.() === false
  }

  /** NONE, UNSUPPORTED_SASL_MECHANISM or ILLEGAL_SASL_STATE. */
  handshake(mechanism: string, version: number): number {
    if (!this.#authentication.isRequired || this.#isStepping || this.#hasFailed) return ErrorCode.ILLEGAL_SASL_STATE
    if (!this.#authentication.isEnabled(mechanism)) return ErrorCode.UNSUPPORTED_SASL_MECHANISM
    this.#mechanism = mechanism
    this.#exchange = this.#authentication.begin(mechanism)
    this.#takesBareTokens = version === 0
    return ErrorCode.NONE
  }

  /** Rejects with AuthenticationError. */
  async authenticate(token: Uint8Array): Promise<Authenticated> {
    const exchange = this.#exchange
    if (!exchange || this.#isStepping) {
      this.#hasFailed = true
      throw new AuthenticationError('no mechanism was agreed on: SaslHandshake comes first')
    }
    this.#isStepping = true
    try {
      const { reply, identity } = await exchange.step(token)
      return { reply, sessionLifetimeMs: identity ? this.#signIn(identity) : 0 }
    } catch (error) {
      this.#exchange = undefined
      this.#hasFailed = true
      throw error
    } finally {
      this.#isStepping = false
    }
  }

  #signIn({ name, expiresAtMs, stillHolds }: Identity): number {
    if (this.#user !== undefined && this.#user !== name)
      throw new AuthenticationError('a connection belongs to one user; open another one')
    const { clock, sessionMsMax } = this.#authentication
    const leftMs = Math.min(
      expiresAtMs === undefined ? Number.POSITIVE_INFINITY : expiresAtMs - clock.now(),
      sessionMsMax === 0 ? Number.POSITIVE_INFINITY : sessionMsMax,
    )
    if (leftMs <= 0) throw new AuthenticationError('what was shown has expired')
    this.#exchange = undefined
    this.#user = name
    this.#stillHolds = stillHolds
    this.#endsAt = clock.monotonic() + leftMs
    this.#onSignedIn()
    return Number.isFinite(leftMs) ? Math.floor(leftMs) : 0
  }
}
