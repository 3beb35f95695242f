/** Tokens: which are taken, which attacks are not, keys that change. Then through the relay. */
import { createHmac, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { CompactSign, exportJWK, type JWK, type JWTPayload, SignJWT } from 'jose'
import { describe, expect, onTestFinished, test } from 'vitest'
import { connect } from '../../../client/node.ts'
import { ErrorCode } from '../../../protocol/errors.ts'
import { systemClock } from '../../../protocol/lib/clock.ts'
import { saslAuthenticate, saslHandshake } from '../../../protocol/messages/sasl.ts'
import { TokenCheck, type TokenCheckOptions } from '../../../server/auth/token-check.ts'
import { type RelayConfig, relayConfigDefaults } from '../../../server/config.ts'
import { LimitedLog } from '../../../server/limited-log.ts'
import { createLogger, silentLogger } from '../../../server/logger.ts'
import { nodeFiles } from '../../../server/storage/node-files.ts'
import { eventually } from '../../support/eventually.ts'
import { KafkaWire } from '../../support/kafka-wire.ts'
import { startRelay, temporaryFolder } from '../../support/relay.ts'
import { RelayClient } from '../../support/relay-client.ts'
import type { Caller, Outcome } from './sign-in.ts'

const ISSUER = 'https://issuer.example.org'
const AUDIENCE = 'ottla'
const SECRET = 'a secret that is long enough for every hash that there is, sixty-four bytes'

interface Signer {
  alg: string
  kid: string | undefined
  key: KeyObject
  jwk: JWK
}

async function signer(alg: string, kid?: string): Promise<Signer> {
  const pair =
    alg[0] === 'E'
      ? alg === 'EdDSA'
        ? generateKeyPairSync('ed25519')
        : generateKeyPairSync('ec', { namedCurve: { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' }[alg]! })
      : generateKeyPairSync('rsa', { modulusLength: 2048 })
  return { alg, kid, key: pair.privateKey, jwk: { ...(await exportJWK(pair.publicKey)), ...(kid && { kid }), alg } }
}

const seconds = (ms: number) => Math.floor(ms / 1000)

function tokenOf(by: Signer | Uint8Array, claims: JWTPayload = {}, header: object = {}): Promise<string> {
  const own = by instanceof Uint8Array ? { alg: 'HS256', kid: undefined, key: by } : by
  const payload = { sub: 'ada', iss: ISSUER, aud: AUDIENCE, exp: seconds(Date.now()) + 3600, ...claims }
  return new SignJWT(payload)
    .setProtectedHeader({ alg: own.alg, ...(own.kid && { kid: own.kid }), ...header })
    .sign(own.key)
}

const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

type TokenConfig = TokenCheckOptions['config']

async function checkBy(config: Partial<TokenConfig>, clock: TokenCheckOptions['clock']): Promise<TokenCheck> {
  const expected = { saslOauthbearerExpectedAudience: [AUDIENCE], saslOauthbearerExpectedIssuer: ISSUER }
  const noise = new LimitedLog(silentLogger, clock)
  return TokenCheck.open({ config: { ...relayConfigDefaults, ...expected, ...config }, files: nodeFiles, clock, noise })
}

async function fileOf(content: unknown): Promise<string> {
  const path = join(await temporaryFolder(), 'keys')
  await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content))
  return path
}

describe('[SAS-40] a token that is right says who somebody is, until when', () => {
  test.each(['RS256', 'PS384', 'ES256', 'ES384', 'ES512', 'EdDSA'])('%s, by public keys', async (alg) => {
    const [one, other] = [await signer(alg, 'one'), await signer('RS512', 'other')]
    const place = await fileOf({ keys: [other.jwk, one.jwk] })
    for (const url of [place, `file://${place}`]) {
      const check = await checkBy({ saslOauthbearerJwksEndpointUrl: url }, systemClock)
      const exp = seconds(Date.now()) + 60
      const identity = await check.identityIn(await tokenOf(one, { exp, aud: ['elsewhere', AUDIENCE] }))
      expect(identity).toMatchObject({ name: 'ada', expiresAtMs: exp * 1000 })
    }
  })

  test('without the name of a key, by each that fits', async () => {
    const several = await Promise.all(['RS256', 'RS256', 'RS256'].map((alg) => signer(alg)))
    const place = await fileOf({ keys: several.map(({ jwk }) => jwk) })
    const check = await checkBy({ saslOauthbearerJwksEndpointUrl: place }, systemClock)
    for (const each of several) expect((await check.identityIn(await tokenOf(each))).name).toBe('ada')
    await expect(check.identityIn(await tokenOf(await signer('RS256')))).rejects.toThrow('no token that is accepted')
  })

  test('by a secret, and another claim', async () => {
    const config = { saslOauthbearerSecretFile: await fileOf(`${SECRET}\n`), saslOauthbearerSubClaimName: 'email' }
    const check = await checkBy(config, systemClock)
    const token = await tokenOf(Buffer.from(SECRET), { email: 'ada@example.org' })
    expect((await check.identityIn(token)).name).toBe('ada@example.org')
    await expect(check.identityIn(await tokenOf(Buffer.from(SECRET)))).rejects.toThrow("the token's email is not")
  })
})

describe('[SAS-41] a token is refused', async () => {
  const mine = await signer('RS256', 'mine')
  const ec = await signer('ES256', 'ec')
  const stranger = await signer('RS256', 'mine')
  const now = seconds(Date.now())
  const good = await tokenOf(mine)
  const [header, payload, signature] = good.split('.') as [string, string, string]
  const publicPem = Buffer.from(JSON.stringify(mine.jwk))
  const hmac = (signed: string, key: Uint8Array) => createHmac('sha256', key).update(signed).digest('base64url')
  const withHeader = (changed: object) => `${encoded(changed)}.${payload}.${signature}`
  const signedAs = (alg: string, key: Uint8Array) => {
    const signed = `${encoded({ alg, kid: 'mine' })}.${payload}`
    return `${signed}.${hmac(signed, key)}`
  }
  const modulus = Buffer.from(mine.jwk.n!, 'base64url')

  const ATTACKS: ReadonlyArray<[string, string | Promise<string>, RegExp?]> = [
    ['by nobody (alg none)', `${encoded({ alg: 'none' })}.${payload}.`],
    ['alg None', `${encoded({ alg: 'None' })}.${payload}.`],
    ['alg NONE', `${encoded({ alg: 'NONE', kid: 'mine' })}.${payload}.`],
    ['alg none with a signature', withHeader({ alg: 'none', kid: 'mine' })],
    ['no alg', withHeader({ kid: 'mine' })],
    ['alg that is no text', withHeader({ alg: 256, kid: 'mine' })],
    ['alg null', withHeader({ alg: null, kid: 'mine' })],
    ['alg that nobody knows', withHeader({ alg: 'RS1024', kid: 'mine' })],
    ['alg RS1', withHeader({ alg: 'RS1', kid: 'mine' })],
    ['a public key as a secret', signedAs('HS256', publicPem)],
    ['a modulus as a secret', signedAs('HS256', modulus)],
    ['an empty secret', signedAs('HS256', Buffer.from('x').subarray(0, 0))],
    ['HS512 by a public key', signedAs('HS512', publicPem)],
    ['another RSA algorithm than the key is for', withHeader({ alg: 'RS512', kid: 'mine' })],
    ['PS256 with a signature of RS256', withHeader({ alg: 'PS256', kid: 'mine' })],
    ['an elliptic algorithm by an RSA key', withHeader({ alg: 'ES256', kid: 'mine' })],
    ['an RSA algorithm by an elliptic key', withHeader({ alg: 'RS256', kid: 'ec' })],
    ['EdDSA by an RSA key', withHeader({ alg: 'EdDSA', kid: 'mine' })],
    [
      'a signature of zeros (psychic)',
      `${encoded({ alg: 'ES256', kid: 'ec' })}.${payload}.${Buffer.alloc(64).toString('base64url')}`,
    ],
    ['somebody else’s key of the same name', tokenOf(stranger)],
    ['a key that is not known', tokenOf(await signer('RS256', 'unknown'))],
    ['a key that it brings along (jwk)', tokenOf(stranger, {}, { jwk: stranger.jwk })],
    ['a key that it points to (jku)', tokenOf(stranger, {}, { jku: 'http://127.0.0.1:1/keys' })],
    ['a key that it points to (x5u)', tokenOf(stranger, {}, { x5u: 'http://127.0.0.1:1/key' })],
    ['a certificate of its own (x5c)', tokenOf(stranger, {}, { x5c: ['AAAA'] })],
    ['a kid that is a path', tokenOf(stranger, {}, { kid: '../../../../dev/null' })],
    ['a kid that is a query', tokenOf(stranger, {}, { kid: "x' UNION SELECT 'key" })],
    ['a kid that is no text', withHeader({ alg: 'RS256', kid: 5 })],
    ['a kid that objects have', withHeader({ alg: 'RS256', kid: '__proto__' })],
    ['something that must be understood (crit)', withHeader({ alg: 'RS256', kid: 'mine', crit: ['exp'], exp: 1 })],
    ['crit of nothing', withHeader({ alg: 'RS256', kid: 'mine', crit: [] })],
    ['a payload that is not encoded (b64)', withHeader({ alg: 'RS256', kid: 'mine', crit: ['b64'], b64: false })],
    ['a changed signature', `${header}.${payload}.${signature.slice(0, -4)}AAAA`],
    ['a signature cut short', `${header}.${payload}.${signature.slice(0, -2)}`],
    ['a signature with more behind it', `${header}.${payload}.${signature}AA`],
    ['no signature', `${header}.${payload}.`],
    [
      'a changed payload',
      `${header}.${encoded({ sub: 'root', iss: ISSUER, aud: AUDIENCE, exp: now + 60 })}.${signature}`,
    ],
    ['two parts', `${header}.${payload}`],
    ['four parts', `${good}.${signature}`],
    ['five parts, as if it were encrypted', `${good}.${signature}.${signature}`],
    ['nothing', ''],
    ['dots', '..'],
    ['many dots', '.'.repeat(1000)],
    ['what is not base64', 'a*b.c*d.e*f'],
    ['a header that is no JSON', `${Buffer.from('{').toString('base64url')}.${payload}.${signature}`],
    ['a header that is a list', `${encoded([])}.${payload}.${signature}`],
    [
      'a payload that is no object',
      new CompactSign(Buffer.from('["x"]')).setProtectedHeader({ alg: 'RS256', kid: 'mine' }).sign(mine.key),
    ],
    ['its parts with spaces', `${header} .${payload}.${signature}`],
    ['JSON instead of the compact form', JSON.stringify({ protected: header, payload, signature })],
    ['more than 16 KiB', tokenOf(mine, { padding: 'x'.repeat(20_000) }), /more than 16384 bytes/],
    ['expired', tokenOf(mine, { exp: now - 60 }), /expired/],
    ['expired long ago', tokenOf(mine, { exp: 1 }), /expired/],
    ['without an end', tokenOf(mine, { exp: undefined }), /token's exp/],
    ['with an end that is text', tokenOf(mine, { exp: `${now + 60}` as never }), /token's exp|no token/],
    [
      'with an end that is infinite',
      `${header}.${Buffer.from(`{"sub":"ada","exp":1e999}`).toString('base64url')}.${signature}`,
    ],
    ['not valid yet', tokenOf(mine, { nbf: now + 600 }), /token's nbf/],
    ['with a beginning that is text', tokenOf(mine, { nbf: 'now' as never }), /token's nbf|no token/],
    ['for another service', tokenOf(mine, { aud: 'billing' }), /token's aud/],
    ['for several others', tokenOf(mine, { aud: ['billing', 'ottla2'] }), /token's aud/],
    ['for nobody', tokenOf(mine, { aud: undefined }), /token's aud/],
    ['for an audience in other letters', tokenOf(mine, { aud: 'OTTLA' }), /token's aud/],
    ['for an audience that begins so', tokenOf(mine, { aud: `${AUDIENCE} ` }), /token's aud/],
    ['of another issuer', tokenOf(mine, { iss: 'https://issuer.example.com' }), /token's iss/],
    ['of an issuer that begins so', tokenOf(mine, { iss: `${ISSUER}.evil.example` }), /token's iss/],
    ['of an issuer with a slash more', tokenOf(mine, { iss: `${ISSUER}/` }), /token's iss/],
    ['of no issuer', tokenOf(mine, { iss: undefined }), /token's iss/],
    ['of nobody', tokenOf(mine, { sub: undefined }), /token's sub/],
    ['of an empty name', tokenOf(mine, { sub: '' }), /names nobody/],
    ['of a name that is a number', tokenOf(mine, { sub: 5 as never }), /names nobody|token's sub|no token/],
    ['of a name that is a list', tokenOf(mine, { sub: ['ada'] as never }), /names nobody|token's sub|no token/],
    ['of the name of strangers', tokenOf(mine, { sub: 'ANONYMOUS' }), /names nobody/],
    ['of a name with a line in it', tokenOf(mine, { sub: 'ada\nroot' }), /names nobody/],
    ['of a name of 256 letters', tokenOf(mine, { sub: 'x'.repeat(256) }), /names nobody/],
  ]

  test.each(ATTACKS)('%s', async (_what, made, message = /^no token that is accepted here$/) => {
    const place = await fileOf({ keys: [mine.jwk, ec.jwk] })
    const check = await checkBy({ saslOauthbearerJwksEndpointUrl: place }, systemClock)
    const token = await made
    const failure = await check.identityIn(token).catch((error: Error) => error)
    expect(failure).toMatchObject({ name: 'AuthenticationError', isTemporary: false })
    expect((failure as Error).message).toMatch(message)
  })

  test('with the issuer’s clock a little off it is not', async () => {
    const check = await checkBy({ saslOauthbearerJwksEndpointUrl: await fileOf({ keys: [mine.jwk] }) }, systemClock)
    await check.identityIn(await tokenOf(mine, { nbf: now + 20 }))
  })
})

test('[SAS-42] keys of a file change while the relay runs: new ones are known, old ones forgotten, within five seconds', async () => {
  const [before, after] = [await signer('ES256', 'before'), await signer('ES256', 'after')]
  const place = await fileOf({ keys: [before.jwk] })
  let monotonic = 0
  const clock = { ...systemClock, monotonic: () => monotonic }
  const check = await checkBy({ saslOauthbearerJwksEndpointUrl: place }, clock)
  await check.identityIn(await tokenOf(before))
  await writeFile(place, JSON.stringify({ keys: [after.jwk] }))
  monotonic = 5000
  await check.identityIn(await tokenOf(after))
  await expect(check.identityIn(await tokenOf(before))).rejects.toThrow('no token')
  // Half written: what was known holds.
  await writeFile(place, '{"keys":')
  monotonic = 10_000
  await check.identityIn(await tokenOf(after))
})

test('[SAS-42] keys of a server are asked for when they are not known; while it is silent nobody is refused for good', async () => {
  const key = await signer('RS256', 'one')
  let answer: { status: number; body: string } = { status: 503, body: '' }
  const server = createServer((_request, response) => response.writeHead(answer.status).end(answer.body))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  const saslOauthbearerJwksEndpointUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`
  const check = await checkBy({ saslOauthbearerJwksEndpointUrl }, systemClock)
  const token = await tokenOf(key)
  await expect(check.identityIn(token)).rejects.toMatchObject({ isTemporary: true })
  answer = { status: 200, body: 'no keys' }
  await expect(check.identityIn(token)).rejects.toMatchObject({ isTemporary: true })
  answer = { status: 200, body: JSON.stringify({ keys: [key.jwk] }) }
  expect((await check.identityIn(token)).name).toBe('ada')
  await expect(check.identityIn(await tokenOf(await signer('RS256', 'two')))).rejects.toMatchObject({
    isTemporary: false,
  })
})

test.each<[Partial<TokenConfig>, RegExp]>([
  [{}, /one of the two/],
  [{ saslOauthbearerJwksEndpointUrl: 'x', saslOauthbearerSecretFile: 'y' }, /one of the two/],
  [{ saslOauthbearerJwksEndpointUrl: '/nowhere/keys' }, /a file that is there/],
  [{ saslOauthbearerJwksEndpointUrl: 'http://issuer.example.org/keys' }, /https:\/\//],
  [{ saslOauthbearerJwksEndpointUrl: 'ftp://issuer.example.org/keys' }, /https:\/\/, file:\/\/ or/],
  [{ saslOauthbearerSecretFile: '/nowhere/secret' }, /32 bytes/],
])('[SAS-43] %j stops the start', async (config, message) => {
  await expect(checkBy(config, systemClock)).rejects.toThrow(message)
})

test('[SAS-43] so do keys that are none, and a secret that can be guessed; what stands in the file is not told', async () => {
  const [keys, secret] = [await fileOf('{"no":"keys"}'), await fileOf('hunter2')]
  await expect(checkBy({ saslOauthbearerJwksEndpointUrl: keys }, systemClock)).rejects.toThrow('JSON Web Key Set')
  const failure = await checkBy({ saslOauthbearerSecretFile: secret }, systemClock).catch((error: Error) => error)
  expect((failure as Error).message).toMatch(/32 bytes/)
  expect((failure as Error).message).not.toContain('hunter2')
})

describe('through the relay', () => {
  async function setUp(config: Partial<RelayConfig> = {}) {
    const lines: string[] = []
    const names: string[] = []
    const relay = await startRelay({
      config: {
        ...{ kafkaPort: 0, saslEnabledMechanisms: ['OAUTHBEARER'], saslOauthbearerExpectedAudience: [AUDIENCE] },
        ...{ saslOauthbearerSecretFile: await fileOf(SECRET), autoCreateTopics: true, ...config },
      },
      logger: createLogger({
        ...{ format: 'json', level: 'debug', clock: { now: () => 0 }, write: (line) => lines.push(line) },
      }),
      authorizer: {
        allows({ name }) {
          names.push(name)
          return true
        },
      },
    })
    const overTcp = async () => {
      const wire = await KafkaWire.open(relay.kafka!.address)
      onTestFinished(() => wire.close())
      return wire
    }
    return { relay, lines, names, overTcp, overWebSocket: () => RelayClient.open(relay.websocket.url) }
  }

  const message = (token: string, header = 'n,,') =>
    Uint8Array.from(Buffer.from(`${header}\x01auth=Bearer ${token}\x01\x01`))
  async function signIn(to: Caller, authBytes: Uint8Array): Promise<Outcome> {
    await to.call(saslHandshake, { mechanism: 'OAUTHBEARER' })
    return to.call(saslAuthenticate, { authBytes })
  }
  const by = Buffer.from(SECRET)

  test.each(['overTcp', 'overWebSocket'] as const)(
    '[SAS-44] %s: a session lasts as long as its token',
    async (door) => {
      const doors = await setUp()
      const client = await doors[door]()
      const answer = await signIn(client, message(await tokenOf(by, { exp: seconds(Date.now()) + 3 })))
      expect(answer).toMatchObject({ errorCode: 0 })
      expect(answer.sessionLifetimeMs).toBeGreaterThan(1000)
      expect(answer.sessionLifetimeMs).toBeLessThanOrEqual(3000)
      await eventually(() => (client instanceof KafkaWire ? client.isClosed : client.closed?.code === 4401))
    },
  )

  test('[SAS-44] and is refreshed by another of the same user', async () => {
    const { overWebSocket } = await setUp()
    const client = await overWebSocket()
    await signIn(client, message(await tokenOf(by, { exp: seconds(Date.now()) + 2 })))
    const later = await signIn(client, message(await tokenOf(by)))
    expect(later.sessionLifetimeMs).toBeGreaterThan(3_000_000)
    const other = await signIn(client, message(await tokenOf(by, { sub: 'bob' })))
    expect(other).toMatchObject({ errorCode: ErrorCode.SASL_AUTHENTICATION_FAILED })
  })

  test.each<[string, (token: string) => Uint8Array]>([
    ['for somebody else', (token) => message(token, 'n,a=bob,')],
    ['with a channel that is bound', (token) => message(token, 'p=tls-unique,,')],
    ['twice', (token) => Uint8Array.from(Buffer.from(`n,,\x01auth=Bearer ${token}\x01auth=Bearer ${token}\x01\x01`))],
    ['without its end', (token) => message(token).subarray(0, -1)],
    ['by another scheme', (token) => Uint8Array.from(Buffer.from(`n,,\x01auth=Basic ${token}\x01\x01`))],
    ['bare', (token) => Uint8Array.from(Buffer.from(token))],
    ['with bytes that are no text', (token) => Uint8Array.from([0xff, ...message(token)])],
  ])('[SAS-45] a message %s is refused; no token is in the log', async (_what, made) => {
    const { overTcp, lines } = await setUp()
    const token = await tokenOf(by)
    expect(await signIn(await overTcp(), made(token))).toMatchObject({
      errorCode: ErrorCode.SASL_AUTHENTICATION_FAILED,
    })
    expect(lines.join('')).toContain('authentication failed')
    expect(lines.join('')).not.toContain(token.split('.')[1])
  })

  test('[SAS-45] for oneself, with what other clients add (KIP-342), it is taken', async () => {
    const { overTcp } = await setUp()
    const extended = `n,a=ada,\x01auth=Bearer ${await tokenOf(by)}\x01traceId=5\x01\x01`
    expect(await signIn(await overTcp(), Uint8Array.from(Buffer.from(extended)))).toMatchObject({ errorCode: 0 })
  })

  test('[SAS-46] while tokens cannot be checked a client is sent away for now', async () => {
    const { overWebSocket } = await setUp({
      saslOauthbearerSecretFile: '',
      saslOauthbearerJwksEndpointUrl: 'http://127.0.0.1:1/keys',
    })
    const client = await overWebSocket()
    const key = await signer('ES256', randomBytes(4).toString('hex'))
    void signIn(client, message(await tokenOf(key))).catch(() => {})
    expect(await client.waitForClose()).toMatchObject({ code: 1013 })
  })

  test.each(['websocket', 'kafka'] as const)(
    '[SAS-47] Ottla’s client renews its token on the live connection (%s)',
    async (door) => {
      const { relay, names } = await setUp()
      let asked = 0
      const auth = async () => {
        asked++
        return { token: await tokenOf(by, { exp: seconds(Date.now()) + 5 }) }
      }
      const ottla = await connect(door === 'kafka' ? `kafka://${relay.kafka!.address}` : relay.websocket.url, { auth })
      onTestFinished(() => ottla.close())
      const since = ottla.status.connection
      await eventually(() => asked >= 2, { withinMs: 10_000 })
      await new Promise((resolve) => setTimeout(resolve, 1500))
      await ottla.topic('t').send({ value: new Uint8Array(1) }).committed
      expect(ottla.status.connection).toEqual(since)
      expect(new Set(names)).toEqual(new Set(['ada']))
    },
  )
})
