/** The client signs in, stays signed in, and keeps what it holds while it is not, against real relays. */
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import WebSocket from 'ws'
import { tail } from '../../client/live.ts'
import { connect, json, type Ottla, type Status, string } from '../../client/node.ts'
import type { Credentials, CredentialsSource } from '../../client/sign-in/credentials.ts'
import { type Ask, signIn } from '../../client/sign-in/sasl.ts'
import { signedIn } from '../../client/signed-in.ts'
import { systemRandom } from '../../protocol/lib/random.ts'
import { saslHandshake } from '../../protocol/messages/sasl.ts'
import type { RelayConfig } from '../../server/config.ts'
import type { Relay } from '../../server/relay.ts'
import { eventually } from '../support/eventually.ts'
import { startRelay, temporaryFolder } from '../support/relay.ts'

const ada = { username: 'ada', password: 'wonder, land=' }
const MECHANISMS = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'] as const
const DOORS = ['websocket', 'kafka'] as const

async function setUp(config: Partial<RelayConfig> = {}) {
  const usersFile = join(await temporaryFolder(), 'users')
  await writeFile(usersFile, 'ada:wonder, land=\nbob:other\n', { mode: 0o600 })
  const names: string[] = []
  const relay = await startRelay({
    config: { kafkaPort: 0, saslEnabledMechanisms: [...MECHANISMS], usersFile, autoCreateTopics: true, ...config },
    authorizer: {
      allows({ name }) {
        names.push(name)
        return true
      },
    },
  })
  return { relay, names }
}

const urlOf = (relay: Relay, door: (typeof DOORS)[number]) =>
  door === 'kafka' ? `kafka://${relay.kafka!.address}` : relay.websocket.url

async function open(url: string, auth?: CredentialsSource, options: { lazy?: boolean } = {}): Promise<Ottla> {
  const backoff = { delayMsFirst: 5, delayMsMax: 20 }
  const ottla = await connect(url, { auth, backoff, ...options })
  onTestFinished(() => ottla.close())
  return ottla
}

const stateOf = (ottla: Ottla) => ottla.status.connection

async function readFirst(ottla: Ottla, topic: string): Promise<string | null> {
  for await (const { value } of ottla.topic(topic, { value: string }).read({ from: 'beginning' })) return value
  return null
}

describe.each(DOORS)('through the %s door', (door) => {
  test.each(MECHANISMS)('[SAS-30] by %s, writing and reading as that user', async (mechanism) => {
    const { relay, names } = await setUp()
    const ottla = await open(urlOf(relay, door), { ...ada, mechanism })
    await ottla.topic('seen', { value: string }).send({ value: 'x' }).committed
    expect(await readFirst(ottla, 'seen')).toBe('x')
    expect(new Set(names)).toEqual(new Set(['ada']))
  })

  test('[SAS-31] with another password, or none, connecting rejects with NEEDS_AUTH', async () => {
    const { relay } = await setUp()
    const url = urlOf(relay, door)
    await expect(open(url, { ...ada, password: 'x' })).rejects.toMatchObject({
      code: 'NEEDS_AUTH',
      message: expect.stringContaining('invalid credentials'),
    })
    await expect(open(url)).rejects.toMatchObject({ code: 'NEEDS_AUTH' })
    await expect(open(url, { token: 'no.such.thing' })).rejects.toMatchObject({
      code: 'NEEDS_AUTH',
      message: expect.stringContaining('OAUTHBEARER is not offered'),
    })
  })

  test('[SAS-31] what is written meanwhile is kept, and lands when somebody has signed in', async () => {
    const { relay } = await setUp()
    const ottla = await open(urlOf(relay, door), { ...ada, password: 'wrong' }, { lazy: true })
    const receipts = ottla.topic('kept', { value: json<number>() }).sendAll([{ value: 1 }, { value: 2 }])
    await Promise.all(receipts.map(({ stored }) => stored))
    await eventually(() => ottla.status.state === 'needs-auth')
    await expect(ottla.admin.listTopics()).rejects.toMatchObject({ code: 'NEEDS_AUTH' })
    await ottla.reauthenticate({ username: 'ada', password: 'also wrong' })
    await eventually(() => stateOf(ottla).phase === 'connecting')
    await eventually(() => ottla.status.state === 'needs-auth')
    expect(ottla.status.outbox.pendingRecords).toBe(2)
    await ottla.reauthenticate(ada)
    expect((await Promise.all(receipts.map(({ committed }) => committed))).map(({ offset }) => offset)).toEqual([0, 1])
  })

  test('[SAS-32] a session is refreshed before it ends, on the same connection', async () => {
    const { relay } = await setUp({ connectionsMaxReauthMs: 4000 })
    const ottla = await open(urlOf(relay, door), ada)
    const since = stateOf(ottla)
    const phases: string[] = []
    ottla.onStatus(({ connection }) => phases.push(connection.phase))
    const topic = ottla.topic('steady', { value: json<number>() })
    const until = performance.now() + 5500
    for (let value = 0; performance.now() < until; value++) {
      await topic.send({ value }).committed
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    expect(stateOf(ottla)).toEqual(since)
    expect(new Set(phases)).toEqual(new Set(['live']))
  })

  test('[SAS-32] new credentials refresh a live connection; those of somebody else begin another', async () => {
    const { relay, names } = await setUp()
    const ottla = await open(urlOf(relay, door), ada)
    const since = stateOf(ottla)
    await ottla.reauthenticate({ ...ada, mechanism: 'SCRAM-SHA-512' })
    await ottla.topic('mine', { value: string }).send({ value: 'a' }).committed
    expect(stateOf(ottla)).toEqual(since)
    await ottla.reauthenticate({ username: 'bob', password: 'other' })
    const isAnother = ({ phase, ...state }: Status['connection']) =>
      phase === 'live' && JSON.stringify({ phase, ...state }) !== JSON.stringify(since)
    await eventually(() => isAnother(stateOf(ottla)))
    await ottla.topic('mine', { value: string }).send({ value: 'b' }).committed
    expect(names.at(-1)).toBe('bob')
  })

  test('[SAS-33] who is taken away is not let in again', async () => {
    const { relay } = await setUp()
    const admin = await open(urlOf(relay, door), ada)
    const eve = { username: 'eve', password: 'x' }
    await admin.admin.alterUserScramCredentials([{ user: 'eve', mechanism: 'SCRAM-SHA-256', password: 'x' }])
    const ottla = await open(urlOf(relay, door), eve)
    await admin.admin.alterUserScramCredentials([{ user: 'eve', mechanism: 'SCRAM-SHA-256', remove: true }])
    await eventually(() => ottla.status.state === 'needs-auth')
    expect(stateOf(ottla)).toMatchObject({ error: { code: 'NEEDS_AUTH' } })
  })

  test('[SAS-35] a function is asked for each connection; while it fails the client is offline and tries again', async () => {
    const { relay } = await setUp()
    const asked: number[] = []
    let begin = () => {}
    const isListening = new Promise<void>((resolve) => {
      begin = resolve
    })
    const auth = async (): Promise<Credentials> => {
      await isListening
      asked.push(asked.length)
      if (asked.length < 3) throw new Error('no network to get them from')
      return ada
    }
    const ottla = await open(urlOf(relay, door), auth, { lazy: true })
    const offline: string[] = []
    ottla.onStatus(({ connection }) => {
      if (connection.phase === 'offline') offline.push(`${connection.error.code} ${connection.error.message}`)
    })
    begin()
    await eventually(() => stateOf(ottla).phase === 'live')
    expect(offline[0]).toMatch(/^DISCONNECTED .*no network to get them from/)
    expect(asked).toHaveLength(3)
  })
})

test('[SAS-31] credentials are refused where nobody signs in, rather than left unused', async () => {
  const relay = await startRelay()
  await expect(open(relay.websocket.url, ada)).rejects.toMatchObject({
    code: 'NEEDS_AUTH',
    message: expect.stringContaining('nobody signs in there'),
  })
})

test.each([
  [{ username: 'ada', password: '' }, /password is missing/],
  [{ username: '', password: 'x' }, /username is missing/],
  [{ token: '' }, /token is empty/],
  [null, /username is missing/],
])('[SAS-31] %j are no credentials', async (auth, message) => {
  await expect(connect('ws://127.0.0.1:1', { auth: (auth ?? {}) as Credentials })).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
    message: expect.stringMatching(message),
  })
})

describe('[SAS-34] nobody is believed who does not know the password', () => {
  const bytes = (text: string) => Uint8Array.from(Buffer.from(text))
  /** A relay that says these words, and takes everything. */
  function relaySaying(...words: Array<(told: string) => string>): { ask: Ask; told: string[] } {
    const told: string[] = []
    const ask = async (api: { key: number }, _version: number, body: unknown) => {
      if (api.key === saslHandshake.key) return { errorCode: 0, mechanisms: [] }
      told.push(Buffer.from((body as { authBytes: Uint8Array }).authBytes).toString())
      return { errorCode: 0, errorMessage: null, authBytes: bytes(words.shift()!(told.at(-1)!)), sessionLifetimeMs: 0 }
    }
    return { ask: ask as Ask, told }
  }
  const nonceOf = (told: string) => /r=([^,]+)/.exec(told)![1]
  const first = (iterations: number) => (told: string) => `r=${nonceOf(told)}more,s=c2FsdA==,i=${iterations}`

  test.each<[string, Array<(told: string) => string>, RegExp]>([
    ['a wrong signature', [first(4096), () => 'v=AAAA'], /does not know the password/],
    ['no signature', [first(4096), () => ''], /does not know the password/],
    ['rounds that make a password cheap', [first(1)], /1 rounds are asked for/],
    ['rounds that take for ever', [first(999_999_999)], /999999999 rounds/],
    ['another nonce', [() => 'r=other,s=c2FsdA==,i=4096'], /somebody else/],
    ['the own nonce alone', [(told) => `r=${nonceOf(told)},s=c2FsdA==,i=4096`], /somebody else/],
    ['nonsense', [() => 'hello'], /no SCRAM-SHA-256 is spoken/],
  ])('%s', async (_what, words, message) => {
    const { ask, told } = relaySaying(...words)
    await expect(signIn(ask, ada, systemRandom)).rejects.toThrow(message)
    expect(told.join()).not.toContain('wonder')
  })

  test('a token that is refused by word is refused by error', async () => {
    const said: Array<Uint8Array> = []
    const ask = async (api: { key: number }, _version: number, body: unknown) => {
      if (api.key === saslHandshake.key) return { errorCode: 0, mechanisms: [] }
      said.push((body as { authBytes: Uint8Array }).authBytes)
      return said.length === 1
        ? { errorCode: 0, authBytes: bytes('{"status":"invalid_token"}') }
        : { errorCode: 58, errorMessage: 'invalid_token', authBytes: bytes('') }
    }
    await expect(signIn(ask as Ask, { token: 'a.b.c' }, systemRandom)).rejects.toThrow('invalid_token')
    expect(said[1]).toEqual(Uint8Array.of(1))
  })
})

test('[SAS-33] a session that was not refreshed in time is begun anew', async () => {
  const { relay } = await setUp({ connectionsMaxReauthMs: 300 })
  const ottla = await open(relay.websocket.url, ada)
  // This device slept: nothing was done in time.
  const wake = performance.now() + 1600
  while (performance.now() < wake);
  await eventually(() => stateOf(ottla).phase === 'live')
  await ottla.topic('after', { value: string }).send({ value: 'x' }).committed
})

test('[SAS-36] the live tail signs in by a transport of its own, and is told when it is refused', async () => {
  const { relay } = await setUp()
  const ottla = await open(relay.websocket.url, ada)
  await ottla.topic('tailed', { value: string }).send({ value: randomBytes(4).toString('hex') }).committed
  const Socket = WebSocket as never
  const seen = tail(relay.websocket.url, 'tailed', { from: 'beginning', transport: signedIn(ada, Socket) })
  for await (const { offset } of seen) {
    expect(offset).toBe(0)
    break
  }
  const refused = tail(relay.websocket.url, 'tailed', { transport: signedIn({ ...ada, password: 'x' }, Socket) })
  await expect(refused[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 'NEEDS_AUTH' })
  expect(() => signedIn({ username: 'ada' } as Credentials)).toThrow('password is missing')
})
