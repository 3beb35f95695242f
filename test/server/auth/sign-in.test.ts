/** Signing in on both doors: who is let in, who is not, and what a stranger may cost. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { ErrorCode } from '../../../protocol/errors.ts'
import { type Clock, systemClock } from '../../../protocol/lib/clock.ts'
import { metadata } from '../../../protocol/messages/metadata.ts'
import { ping } from '../../../protocol/messages/offset-protocol.ts'
import { saslAuthenticate, saslHandshake } from '../../../protocol/messages/sasl.ts'
import { alterUserScramCredentials, describeUserScramCredentials } from '../../../protocol/messages/scram.ts'
import { apiVersions } from '../../../protocol/messages/versions.ts'
import type { Principal } from '../../../server/authorizer.ts'
import type { RelayConfig } from '../../../server/config.ts'
import { createLogger } from '../../../server/logger.ts'
import { createRelay } from '../../../server/relay.ts'
import { eventually } from '../../support/eventually.ts'
import { fastClock } from '../../support/fast-clock.ts'
import { KafkaWire } from '../../support/kafka-wire.ts'
import { startRelay, temporaryFolder } from '../../support/relay.ts'
import { RelayClient } from '../../support/relay-client.ts'
import { RawWebSocket } from '../support/raw-web-socket.ts'
import { type Caller, type Outcome, plainToken, scramChallenge, signInPlain, signInScram } from './sign-in.ts'

const ALL: RelayConfig['saslEnabledMechanisms'] = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512']
const REFUSED = ErrorCode.SASL_AUTHENTICATION_FAILED

async function setUp(config: Partial<RelayConfig> = {}, clock: Clock = systemClock) {
  const folder = await temporaryFolder()
  const usersFile = join(folder, 'users')
  await writeFile(usersFile, '# Users\n\nalice:wonder:land\nbob:schlüssel \n')
  const lines: string[] = []
  const principals: Principal[] = []
  const relay = await startRelay({
    clock,
    config: { kafkaPort: 0, saslEnabledMechanisms: ALL, usersFile, ...config },
    logger: createLogger({
      format: 'json',
      level: 'debug',
      clock: { now: () => 0 },
      write: (line) => lines.push(line),
    }),
    authorizer: {
      allows(principal) {
        principals.push(principal)
        return true
      },
    },
  })
  const overTcp = async () => {
    const wire = await KafkaWire.open(relay.kafka!.address)
    onTestFinished(() => wire.close())
    return wire
  }
  const overWebSocket = () => RelayClient.open(relay.websocket.url)
  return { relay, overTcp, overWebSocket, lines, principals, folder, usersFile }
}

const DOORS = ['overTcp', 'overWebSocket'] as const
const WAYS: ReadonlyArray<[string, (to: Caller, user: string, password: string) => Promise<Outcome>]> = [
  ['PLAIN', signInPlain],
  ['SCRAM-SHA-256', (to, user, password) => signInScram(to, 'SCRAM-SHA-256', user, password)],
  ['SCRAM-SHA-512', (to, user, password) => signInScram(to, 'SCRAM-SHA-512', user, password)],
]

describe.each(WAYS)('%s', (_name, signIn) => {
  test.each(DOORS)('[SAS-1] %s: the right password lets in, and the authorizer is told who it is', async (door) => {
    const { principals, ...doors } = await setUp()
    const client = await doors[door]()
    expect(await signIn(client, 'alice', 'wonder:land')).toMatchObject({ errorCode: 0, sessionLifetimeMs: 0 })
    await client.call(metadata, { topics: null })
    await client.call(describeUserScramCredentials, { users: null })
    expect(principals.at(-1)).toMatchObject({ name: 'alice' })
    expect(await signIn(await doors[door](), 'bob', 'schlüssel ')).toMatchObject({ errorCode: 0 })
  })

  test.each(DOORS)(
    '[SAS-2] %s: another password, and a user who is not there, get the same answer, late, and a close',
    async (door) => {
      const { relay: _relay, lines, ...doors } = await setUp()
      const answers = []
      for (const [user, password] of [
        ['alice', 'wonderland'],
        ['nobody', 'wonder:land'],
        ['alice', 'wonder:land '],
      ]) {
        const client = await doors[door]()
        const startedAt = performance.now()
        answers.push(await signIn(client, user!, password!))
        expect(performance.now() - startedAt).toBeGreaterThan(95)
        await eventually(() => (client instanceof KafkaWire ? client.isClosed : client.closed?.code === 4401))
      }
      expect(answers[0]).toMatchObject({
        errorCode: REFUSED,
        errorMessage: 'Authentication failed: invalid credentials',
      })
      expect(answers[1]).toEqual(answers[0])
      expect(answers[2]).toEqual(answers[0])
      const told = lines.join('')
      expect(told).toContain('authentication failed')
      for (const secret of ['wonder', 'schl']) expect(told).not.toContain(secret)
    },
  )
})

describe('a stranger', () => {
  test('[SAS-3] may ask for versions and sign in, and nothing else', async () => {
    const { overTcp, overWebSocket } = await setUp()
    const wire = await overTcp()
    expect((await wire.call(apiVersions, {})).apiKeys.map(({ apiKey }) => apiKey)).toEqual(
      expect.arrayContaining([17, 36]),
    )
    await expect(wire.call(metadata, { topics: null })).rejects.toThrow('closed')
    const client = await overWebSocket()
    void client.call(ping, { clientTimeMs: 1 })
    expect(await client.waitForClose()).toEqual({
      code: 4401,
      reason: 'sign in before Ping: SaslHandshake, then SaslAuthenticate',
    })
  })

  test('[SAS-3] with an exchange half done is still one', async () => {
    const { overTcp } = await setUp()
    const wire = await overTcp()
    expect((await scramChallenge(wire, 'SCRAM-SHA-256', 'alice')).errorCode).toBe(0)
    await expect(wire.call(metadata, { topics: null })).rejects.toThrow('closed')
  })

  test('[SAS-4] may send 64 KiB at a time, and who is signed in as much as ever', async () => {
    const { relay, overTcp, overWebSocket } = await setUp()
    const raw = await RawWebSocket.open(relay.websocket.url)
    raw.send(Buffer.alloc(0), { declaredBytes: 64 * 1024 + 1 })
    expect(await raw.waitForClose()).toMatchObject({ code: 1009 })
    const large = { topics: Array.from({ length: 9000 }, (_, index) => ({ name: `topic-${index}` })) }
    const wire = await overTcp()
    await expect(wire.call(saslAuthenticate, { authBytes: new Uint8Array(64 * 1024) })).rejects.toThrow('closed')
    for (const client of [await overTcp(), await overWebSocket()]) {
      await signInPlain(client, 'alice', 'wonder:land')
      expect((await client.call(metadata, large)).topics).toHaveLength(9000)
    }
  })

  test('[SAS-5] has ten seconds', async () => {
    const times = 4
    const { overTcp, overWebSocket } = await setUp({}, fastClock(times))
    const [wire, client, friend] = [await overTcp(), await overWebSocket(), await overWebSocket()]
    await signInPlain(friend, 'alice', 'wonder:land')
    const startedAt = performance.now()
    expect(await client.waitForClose(15_000)).toMatchObject({
      code: 4401,
      reason: expect.stringMatching(/within 10000 ms/),
    })
    expect(performance.now() - startedAt).toBeGreaterThan(8_500 / times)
    await eventually(() => wire.isClosed, { withinMs: 5_000 })
    expect(friend.closed).toBeUndefined()
  })

  test('[SAS-6] who asks for a mechanism that is not offered is told which are', async () => {
    const { overTcp } = await setUp({ saslEnabledMechanisms: ['SCRAM-SHA-512'] })
    for (const mechanism of ['PLAIN', 'GSSAPI', '__proto__']) {
      expect(await (await overTcp()).call(saslHandshake, { mechanism })).toEqual({
        errorCode: ErrorCode.UNSUPPORTED_SASL_MECHANISM,
        mechanisms: ['SCRAM-SHA-512'],
      })
    }
  })

  test('[SAS-6] where nobody has to sign in, nobody can', async () => {
    const { overTcp } = await setUp({ saslEnabledMechanisms: [] })
    const wire = await overTcp()
    expect(await wire.call(saslHandshake, { mechanism: 'PLAIN' })).toMatchObject({
      errorCode: ErrorCode.ILLEGAL_SASL_STATE,
    })
    expect((await wire.call(metadata, { topics: null })).topics).toEqual([])
  })
})

describe('exchanges that were tampered with', () => {
  const tampered: ReadonlyArray<[string, Parameters<typeof signInScram>[4]]> = [
    ['another nonce (CVE-2024-56128)', { nonce: () => 'x'.repeat(40) }],
    ['only the own half of the nonce', { nonce: (nonce) => nonce.slice(0, 24) }],
    ['a nonce with more behind it', { nonce: (nonce) => `${nonce}x` }],
    ['another channel', { channel: Buffer.from('y,,').toString('base64') }],
    ['a channel that is bound', { header: 'p=tls-unique,,' }],
    ['somebody else’s name to act by', { header: 'n,a=bob,' }],
    [
      'a proof with a flipped bit',
      { proof: (proof) => Buffer.from(proof.map((byte, at) => (at === 5 ? byte ^ 1 : byte))) },
    ],
    ['a proof cut short', { proof: (proof) => proof.subarray(0, 31) }],
    ['no proof', { proof: () => Buffer.alloc(0) }],
    ['a proof of zeros', { proof: () => Buffer.alloc(32) }],
  ]
  test.each(tampered)('[SAS-7] SCRAM with %s', async (_what, tricks) => {
    const { overTcp } = await setUp()
    expect(await signInScram(await overTcp(), 'SCRAM-SHA-256', 'alice', 'wonder:land', tricks)).toMatchObject({
      errorCode: REFUSED,
    })
  })

  const tokens: ReadonlyArray<[string, Uint8Array]> = [
    ['empty', new Uint8Array(0)],
    ['without a password', plainToken('alice', '')],
    ['without a user', plainToken('', 'wonder:land')],
    ['for somebody else (CVE-2017-12610)', plainToken('alice', 'wonder:land', 'bob')],
    ['with a fourth part', Buffer.from('\0alice\0wonder:land\0')],
    ['of two parts', Buffer.from('alice\0wonder:land')],
    ['that is not UTF-8', Uint8Array.of(0, 0xff, 0, 0xff)],
    ['of a name that objects have', plainToken('__proto__', 'x')],
    ['of the name of strangers', plainToken('ANONYMOUS', 'x')],
  ]
  test.each(tokens)('[SAS-7] a PLAIN token %s', async (_what, authBytes) => {
    const { overTcp } = await setUp()
    const wire = await overTcp()
    await wire.call(saslHandshake, { mechanism: 'PLAIN' })
    expect(await wire.call(saslAuthenticate, { authBytes })).toMatchObject({ errorCode: REFUSED })
  })

  test('[SAS-7] a token before the handshake, and one after the end', async () => {
    const { overTcp } = await setUp()
    const early = await overTcp()
    expect(await early.call(saslAuthenticate, { authBytes: plainToken('alice', 'wonder:land') })).toMatchObject({
      errorCode: REFUSED,
    })
    const late = await overTcp()
    await signInPlain(late, 'alice', 'wonder:land')
    expect(await late.call(saslAuthenticate, { authBytes: plainToken('alice', 'wonder:land') })).toMatchObject({
      errorCode: REFUSED,
    })
  })
})

test('[SAS-7] guesses that were sent in a row are one guess: what follows the first wrong one is not looked at', async () => {
  const { overTcp } = await setUp()
  const wire = await overTcp()
  const attempts = ['guess', 'wonder:land'].flatMap((password) => [
    wire.call(saslHandshake, { mechanism: 'PLAIN' }),
    wire.call(saslAuthenticate, { authBytes: plainToken('alice', password) }),
  ])
  const outcomes = await Promise.allSettled(attempts)
  expect(outcomes[1]).toMatchObject({ value: { errorCode: REFUSED } })
  expect(outcomes.slice(2).map(({ status }) => status)).toEqual(['rejected', 'rejected'])
})

test('[SAS-8] who is not there is salted like the others, and the same at each question and after a restart', async () => {
  const { relay, overTcp, usersFile } = await setUp()
  const saltOf = async (wire: KafkaWire, user: string) =>
    /,s=([^,]+),i=4096$/.exec((await scramChallenge(wire, 'SCRAM-SHA-256', user)).serverFirst)![1]!
  const salts = [await saltOf(await overTcp(), 'nobody'), await saltOf(await overTcp(), 'nobody')]
  expect(salts[1]).toBe(salts[0])
  expect(salts[0]).toHaveLength((await saltOf(await overTcp(), 'alice')).length)
  expect(await saltOf(await overTcp(), 'somebody')).not.toBe(salts[0])
  await relay.close()
  const again = await createRelay({
    config: { dataDir: relay.dataDir, httpPort: 0, kafkaPort: 0, saslEnabledMechanisms: ALL, usersFile },
  })
  onTestFinished(() => again.close())
  const wire = await KafkaWire.open(again.kafka!.address)
  onTestFinished(() => wire.close())
  expect(await saltOf(wire, 'nobody')).toBe(salts[0])
})

test('[SAS-7] SCRAM with the own half of the nonce said twice, as librdkafka did until 2.6.1, is let in', async () => {
  const { overTcp } = await setUp()
  const nonce = (whole: string) => whole.slice(0, 24) + whole
  expect(await signInScram(await overTcp(), 'SCRAM-SHA-256', 'alice', 'wonder:land', { nonce })).toMatchObject({
    errorCode: 0,
  })
  const shifted = (whole: string) => whole.slice(0, 23) + whole
  expect(await signInScram(await overTcp(), 'SCRAM-SHA-256', 'alice', 'wonder:land', { nonce: shifted })).toMatchObject(
    { errorCode: REFUSED },
  )
})

describe('signing in again', () => {
  test('[SAS-9] keeps the connection, and other requests go on meanwhile', async () => {
    const { overWebSocket } = await setUp({ connectionsMaxReauthMs: 60_000 })
    const client = await overWebSocket()
    expect(await signInPlain(client, 'alice', 'wonder:land')).toMatchObject({ errorCode: 0, sessionLifetimeMs: 60_000 })
    await client.call(saslHandshake, { mechanism: 'SCRAM-SHA-256' })
    expect(await client.call(ping, { clientTimeMs: 5 })).toMatchObject({ clientTimeMs: 5 })
    expect(await signInScram(client, 'SCRAM-SHA-256', 'alice', 'wonder:land')).toMatchObject({ errorCode: 0 })
    expect(await client.call(ping, { clientTimeMs: 6 })).toMatchObject({ clientTimeMs: 6 })
  })

  test('[SAS-9] as somebody else is refused', async () => {
    const { overTcp } = await setUp()
    const wire = await overTcp()
    await signInPlain(wire, 'alice', 'wonder:land')
    expect(await signInPlain(wire, 'bob', 'schlüssel ')).toMatchObject({ errorCode: REFUSED })
    await eventually(() => wire.isClosed)
  })

  test('[SAS-10] a session that ends without is closed with 4401, and one that was refreshed is not', async () => {
    const { overTcp, overWebSocket } = await setUp({ connectionsMaxReauthMs: 3000 })
    const [wire, gone, stays] = [await overTcp(), await overWebSocket(), await overWebSocket()]
    for (const client of [wire, gone, stays]) await signInPlain(client, 'alice', 'wonder:land')
    const refresh = setInterval(() => void signInPlain(stays, 'alice', 'wonder:land').catch(() => {}), 1000)
    onTestFinished(() => clearInterval(refresh))
    expect(await gone.waitForClose()).toEqual({ code: 4401, reason: 'the session has ended; sign in again' })
    await eventually(() => wire.isClosed)
    expect(stays.closed).toBeUndefined()
    expect(await stays.call(ping, { clientTimeMs: 1 })).toMatchObject({ clientTimeMs: 1 })
  })
})

describe('users that an administrator makes', () => {
  const upsertion = async (name: string, password: string, change: object = {}) => {
    const { pbkdf2Sync } = await import('node:crypto')
    const salt = Buffer.from('salt of this user')
    const saltedPassword = pbkdf2Sync(password, salt, 8192, 32, 'sha256')
    return { name, mechanism: 1, iterations: 8192, salt, saltedPassword, ...change }
  }

  test('[SAS-11] sign in at once and after a restart, are told of without their secrets, and no more when they are gone', async () => {
    const { relay, overTcp, usersFile } = await setUp()
    const admin = await overTcp()
    await signInPlain(admin, 'alice', 'wonder:land')
    const upsertions = [await upsertion('carol', 'first'), await upsertion('d,=é', 'x')]
    expect(await admin.call(alterUserScramCredentials, { deletions: [], upsertions })).toMatchObject({
      results: [
        { user: 'carol', errorCode: 0 },
        { user: 'd,=é', errorCode: 0 },
      ],
    })
    expect(await signInScram(await overTcp(), 'SCRAM-SHA-256', 'd,=é', 'x')).toMatchObject({ errorCode: 0 })
    expect(await admin.call(describeUserScramCredentials, { users: null })).toMatchObject({
      errorCode: 0,
      results: [
        { user: 'carol', errorCode: 0, credentialInfos: [{ mechanism: 1, iterations: 8192 }] },
        { user: 'd,=é', errorCode: 0 },
      ],
    })
    expect(
      await admin.call(describeUserScramCredentials, { users: [{ name: 'x' }, { name: 'carol' }, { name: 'x' }] }),
    ).toMatchObject({
      results: [
        { user: 'x', errorCode: ErrorCode.DUPLICATE_RESOURCE },
        { user: 'carol', errorCode: 0 },
      ],
    })
    await relay.close()
    const again = await startRelay({
      config: { dataDir: relay.dataDir, kafkaPort: 0, saslEnabledMechanisms: ALL, usersFile },
    })
    const open = async () => {
      const wire = await KafkaWire.open(again.kafka!.address)
      onTestFinished(() => wire.close())
      return wire
    }
    const carol = await open()
    expect(await signInPlain(carol, 'carol', 'first')).toMatchObject({ errorCode: 0 })
    const deletions = [{ name: 'carol', mechanism: 1 }]
    expect(await carol.call(alterUserScramCredentials, { deletions, upsertions: [] })).toMatchObject({
      results: [{ errorCode: 0 }],
    })
    expect(await signInPlain(await open(), 'carol', 'first')).toMatchObject({ errorCode: REFUSED })
  })

  test('[SAS-15] who is taken away is out at once; a new password leaves those who are in', async () => {
    const { overTcp, overWebSocket } = await setUp()
    const admin = await overTcp()
    await signInPlain(admin, 'alice', 'wonder:land')
    const change = (upsertions: Awaited<ReturnType<typeof upsertion>>[], names: string[] = []) =>
      admin.call(alterUserScramCredentials, { deletions: names.map((name) => ({ name, mechanism: 1 })), upsertions })
    await change([await upsertion('carol', 'first'), await upsertion('bob', 'over the file')])
    const [carol, bob] = [await overWebSocket(), await overWebSocket()]
    await signInScram(carol, 'SCRAM-SHA-256', 'carol', 'first')
    await signInScram(bob, 'SCRAM-SHA-256', 'bob', 'over the file')
    await change([await upsertion('carol', 'second')], ['bob'])
    expect(await signInPlain(await overTcp(), 'carol', 'first')).toMatchObject({ errorCode: REFUSED })
    expect(await carol.call(ping, { clientTimeMs: 1 })).toMatchObject({ clientTimeMs: 1 })
    await change([], ['carol'])
    expect(await carol.waitForClose()).toEqual({ code: 4401, reason: 'the session has ended; sign in again' })
    // Who is in the users file is still somebody.
    expect(await bob.call(ping, { clientTimeMs: 2 })).toMatchObject({ clientTimeMs: 2 })
  })

  test('[SAS-12] what cannot be kept is refused with its code, and changes nothing of that user', async () => {
    const { overTcp } = await setUp()
    const admin = await overTcp()
    await signInPlain(admin, 'alice', 'wonder:land')
    const alter = async (upsertions: object[], deletions: object[] = []) => {
      const { results } = await admin.call(alterUserScramCredentials, { deletions, upsertions } as never)
      return results.map(({ errorCode }) => errorCode)
    }
    const { UNACCEPTABLE_CREDENTIAL, UNSUPPORTED_SASL_MECHANISM, DUPLICATE_RESOURCE, RESOURCE_NOT_FOUND } = ErrorCode
    expect(await alter([await upsertion('e', 'x', { iterations: 4095 })])).toEqual([UNACCEPTABLE_CREDENTIAL])
    expect(await alter([await upsertion('e', 'x', { iterations: 1_000_000 })])).toEqual([UNACCEPTABLE_CREDENTIAL])
    expect(await alter([await upsertion('', 'x')])).toEqual([UNACCEPTABLE_CREDENTIAL])
    expect(await alter([await upsertion('ANONYMOUS', 'x')])).toEqual([UNACCEPTABLE_CREDENTIAL])
    expect(await alter([await upsertion('e\n', 'x')])).toEqual([UNACCEPTABLE_CREDENTIAL])
    expect(await alter([await upsertion('e', 'x', { salt: new Uint8Array(0) })])).toEqual([UNACCEPTABLE_CREDENTIAL])
    expect(await alter([await upsertion('e', 'x', { saltedPassword: new Uint8Array(20) })])).toEqual([
      UNACCEPTABLE_CREDENTIAL,
    ])
    expect(await alter([await upsertion('e', 'x', { mechanism: 3 })])).toEqual([UNSUPPORTED_SASL_MECHANISM])
    expect(await alter([await upsertion('e', 'x'), await upsertion('e', 'y')])).toEqual([DUPLICATE_RESOURCE])
    expect(await alter([await upsertion('e', 'x')], [{ name: 'e', mechanism: 2 }])).toEqual([RESOURCE_NOT_FOUND])
    expect(await alter([], [{ name: 'alice', mechanism: 1 }])).toEqual([RESOURCE_NOT_FOUND])
    expect((await admin.call(describeUserScramCredentials, { users: null })).results).toEqual([])
  })
})

test('[SAS-13] a users file that cannot be read is refused with the line, and without what stands in it', async () => {
  const folder = await temporaryFolder()
  const usersFile = join(folder, 'users')
  const start = () =>
    createRelay({ config: { dataDir: folder, httpPort: 0, saslEnabledMechanisms: ['PLAIN'], usersFile } })
  await expect(start()).rejects.toThrow('users-file')
  for (const content of ['alice:ok\nsecret-without-colon\n', 'alice:a-secret\nalice:other-secret\n', 'alice:\n']) {
    await writeFile(usersFile, content)
    const failure = await start().catch((error: Error) => error)
    expect(failure).toBeInstanceOf(Error)
    expect((failure as Error).message).toMatch(/line [12] of/)
    expect((failure as Error).message).not.toContain('secret')
  }
})
