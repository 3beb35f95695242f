/**
 * Who a token (JWT) says somebody is, once its signature, issuer, audience and times have been checked. The session that
 * begins with it ends with it.
 */
import { errors, type JWTPayload, type JWTVerifyOptions, jwtVerify } from 'jose'
import type { RelayConfig } from '../config.ts'
import { AuthenticationError, type Identity } from './exchange.ts'
import { KeysUnavailable, openTokenKeys, type TokenKeys, type TokenKeysOptions } from './token-keys.ts'
import { isUserName } from './users.ts'

export interface TokenCheckOptions extends TokenKeysOptions {
  config: TokenKeysOptions['config'] &
    Pick<
      RelayConfig,
      | 'saslOauthbearerExpectedAudience'
      | 'saslOauthbearerExpectedIssuer'
      | 'saslOauthbearerClockSkewSeconds'
      | 'saslOauthbearerSubClaimName'
    >
}

/** Of a token: several times what any issuer makes. */
const TOKEN_LENGTH_MAX = 16 * 1024
/** What a lack of `kid` may cost: as many signatures are tried. */
const KEYS_TRIED_MAX = 8

export class TokenCheck {
  readonly #options: TokenCheckOptions
  readonly #keys: TokenKeys

  /** Throws ConfigError. */
  static async open(options: TokenCheckOptions): Promise<TokenCheck> {
    return new TokenCheck(options, await openTokenKeys(options))
  }

  constructor(options: TokenCheckOptions, keys: TokenKeys) {
    this.#options = options
    this.#keys = keys
  }

  /** Rejects with AuthenticationError, which says what is wrong and nothing of what stands in the token. */
  async identityIn(token: string): Promise<Identity> {
    if (token.length > TOKEN_LENGTH_MAX) throw new AuthenticationError(`a token of more than ${TOKEN_LENGTH_MAX} bytes`)
    try {
      return this.#identity(await this.#payload(token))
    } catch (error) {
      throw error instanceof AuthenticationError ? error : refusalOf(error)
    }
  }

  async #payload(token: string): Promise<JWTPayload> {
    const verifying = this.#rules()
    try {
      return (await jwtVerify(token, this.#keys.keys, verifying)).payload
    } catch (error) {
      if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error
      let tried = 0
      for await (const key of error) {
        if (tried++ === KEYS_TRIED_MAX) break
        const verified = await jwtVerify(token, key, verifying).catch((failure: unknown) => {
          if (!(failure instanceof errors.JWSSignatureVerificationFailed)) throw failure
        })
        if (verified) return verified.payload
      }
      throw new errors.JWSSignatureVerificationFailed()
    }
  }

  #rules(): JWTVerifyOptions {
    const { config, clock } = this.#options
    const audience = [...config.saslOauthbearerExpectedAudience]
    const issuer = config.saslOauthbearerExpectedIssuer
    return {
      algorithms: this.#keys.algorithms,
      requiredClaims: ['exp', config.saslOauthbearerSubClaimName],
      clockTolerance: config.saslOauthbearerClockSkewSeconds,
      currentDate: new Date(clock.now()),
      ...(audience.length > 0 && { audience }),
      ...(issuer !== '' && { issuer }),
    }
  }

  #identity(payload: JWTPayload): Identity {
    const name = payload[this.#options.config.saslOauthbearerSubClaimName]
    if (typeof name !== 'string' || !isUserName(name)) throw new AuthenticationError('the token names nobody')
    return { name, expiresAtMs: payload.exp! * 1000 }
  }
}

/** Whatever is not known to be something else is a token that is not accepted. */
function refusalOf(error: unknown): AuthenticationError {
  if (error instanceof KeysUnavailable)
    return new AuthenticationError(`tokens cannot be checked now: ${error.message}`, { isTemporary: true })
  if (error instanceof errors.JWTExpired) return new AuthenticationError('the token has expired')
  if (error instanceof errors.JWTClaimValidationFailed)
    return new AuthenticationError(`the token's ${error.claim} is not the one that is expected here`)
  return new AuthenticationError('no token that is accepted here')
}
