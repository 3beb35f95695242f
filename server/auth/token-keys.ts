/**
 * By what signatures of tokens are checked: a secret that both sides know, or public keys (JWKS) from a file or a server.
 *
 * A kind of key goes with its own algorithms and no others: else a public key, which everybody knows, could be used as a
 * secret. Keys change while the relay runs: a file is read again, a server asked again for a key that is not known.
 */
import { createLocalJWKSet, createRemoteJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose'
import type { Clock } from '../../protocol/lib/clock.ts'
import { ConfigError, type RelayConfig } from '../config.ts'
import type { LimitedLog } from '../limited-log.ts'
import { type Files, readWholeFile } from '../storage/files.ts'

export interface TokenKeys {
  algorithms: string[]
  keys: JWTVerifyGetKey
}

export interface TokenKeysOptions {
  config: Pick<RelayConfig, 'saslOauthbearerJwksEndpointUrl' | 'saslOauthbearerSecretFile'>
  files: Files
  clock: Clock
  noise: LimitedLog
}

const WITH_SECRET = ['HS256', 'HS384', 'HS512']
const WITH_PUBLIC_KEYS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA']
/** As many bytes as the weakest of the hashes gives. */
const SECRET_BYTES_MIN = 32
/** A key that was taken out of the file is not believed for longer. */
const FILE_HELD_MS = 5_000
const LOOPBACK = /^(127\.\d+\.\d+\.\d+|localhost|\[::1\])$/
const SECRET_OPTION = 'sasl-oauthbearer-secret-file'
const KEYS_OPTION = 'sasl-oauthbearer-jwks-endpoint-url'

/** Throws ConfigError when there is nothing to check by, or it cannot be used. */
export async function openTokenKeys(options: TokenKeysOptions): Promise<TokenKeys> {
  const { saslOauthbearerJwksEndpointUrl: place, saslOauthbearerSecretFile: secretFile } = options.config
  if ((place === '') === (secretFile === ''))
    throw new ConfigError(KEYS_OPTION, place, `OAUTHBEARER with this or ${SECRET_OPTION}, one of the two`)
  if (secretFile !== '') return { algorithms: WITH_SECRET, keys: await secretFrom(options.files, secretFile) }
  const url = URL.canParse(place) ? new URL(place) : undefined
  const isRemote = url !== undefined && /^https?:$/.test(url.protocol)
  const keys = isRemote ? keysFromServer(url) : await keysFromFile(options, fileNameOf(place, url))
  return { algorithms: WITH_PUBLIC_KEYS, keys }
}

async function secretFrom(files: Files, path: string): Promise<JWTVerifyGetKey> {
  const content = (await readWholeFile(files, path)) ?? new Uint8Array(0)
  const [line] = Buffer.from(content).toString('latin1').split(/\r?\n/, 1)
  const secret = Buffer.from(line!, 'latin1')
  if (secret.length < SECRET_BYTES_MIN)
    throw new ConfigError(
      SECRET_OPTION,
      path,
      `a file whose first line is a secret of ${SECRET_BYTES_MIN} bytes or more`,
    )
  return async () => secret
}

function keysFromServer(url: URL): JWTVerifyGetKey {
  if (url.protocol === 'http:' && !LOOPBACK.test(url.hostname))
    throw new ConfigError(KEYS_OPTION, url.href, 'https://', 'whoever changes the keys on the way signs in as anybody')
  const remote = createRemoteJWKSet(url)
  return async (header, token) => {
    try {
      return await remote(header, token)
    } catch (error) {
      throw OF_TOKEN.some((kind) => error instanceof kind) ? error : new KeysUnavailable(error)
    }
  }
}

/** What a server of keys may answer for a token's sake; anything else is the server's own trouble. */
const OF_TOKEN = [
  errors.JWKSNoMatchingKey,
  errors.JWKSMultipleMatchingKeys,
  errors.JWKInvalid,
  errors.JOSENotSupported,
] as const

/** Nobody can tell now whether a token is right. */
export class KeysUnavailable extends Error {
  override readonly name = 'KeysUnavailable'

  constructor(cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause })
  }
}

function fileNameOf(place: string, url: URL | undefined): string {
  if (url?.protocol === 'file:') return decodeURIComponent(url.pathname)
  if (url && place.includes('://')) throw new ConfigError(KEYS_OPTION, place, 'https://, file:// or the name of a file')
  return place
}

async function keysFromFile({ files, clock, noise }: TokenKeysOptions, path: string): Promise<JWTVerifyGetKey> {
  const read = async () => {
    const bytes = await readWholeFile(files, path)
    if (!bytes) throw new ConfigError(KEYS_OPTION, path, 'a file that is there')
    try {
      return createLocalJWKSet(JSON.parse(new TextDecoder().decode(bytes)) as JSONWebKeySet)
    } catch {
      throw new ConfigError(KEYS_OPTION, path, 'a file that holds a JSON Web Key Set')
    }
  }
  let held = await read()
  let readAt = clock.monotonic()
  return async (header, token) => {
    if (clock.monotonic() - readAt >= FILE_HELD_MS) {
      readAt = clock.monotonic()
      // A file that is being written is read again the next time.
      await read().then(
        (newer) => {
          held = newer
        },
        (error: Error) => noise.warn('token keys not read', { reason: error.message }),
      )
    }
    return held(header, token)
  }
}
