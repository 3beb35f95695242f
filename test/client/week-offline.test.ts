/**
 * A week offline. A phone stores 50,000 records while it has no network; meanwhile its producer is forgotten, one of its topics
 * is compacted, one loses its front, one is deleted and made anew, and its token runs out. Real relay and client over WebSockets
 * that are unplugged; the clocks of both are moved by the week. Each of these has one outcome.
 */
import 'fake-indexeddb/auto'
import { SignJWT } from 'jose'
import { expect, onTestFinished, test } from 'vitest'
import { WebSocket } from 'ws'
import { connect, json, type Ottla, string } from '../../client/index.ts'
import type { Transport, TransportConnection } from '../../client/transport/transport.ts'
import { type WebSocketConstructor, webSocketTransport } from '../../client/transport/websocket.ts'
import { type Clock, systemClock } from '../../protocol/lib/clock.ts'
import { relayConfigDefaults } from '../../server/config.ts'
import { createRelay, type Relay } from '../../server/relay.ts'
import { MemoryFiles } from '../../server/storage/memory-files.ts'
import { eventually } from '../support/eventually.ts'

const DAY_MS = 86_400_000
const SECRET = 'a secret that is long enough for every hash that there is, sixty-four bytes'
const RECORDS = 50_000
const BATCH = 500

/** The calendar of this world. */
const time = { shiftMs: 0, waitedMs: 0 }
const clock: Clock = {
  ...systemClock,
  now: () => Date.now() + time.shiftMs,
  monotonic: () => systemClock.monotonic() + time.waitedMs,
}

function tokenFor(sub: string, lifetimeMs: number): Promise<string> {
  const exp = Math.floor((clock.now() + lifetimeMs) / 1000)
  return new SignJWT({ sub, aud: 'ottla', exp }).setProtectedHeader({ alg: 'HS256' }).sign(Buffer.from(SECRET))
}

/** A network plug: pulled, nothing goes through; deaf, what is sent arrives and no answer comes back. */
class Plug implements Transport {
  readonly #inner = webSocketTransport(WebSocket as unknown as WebSocketConstructor)
  readonly #open = new Set<() => void>()
  #isIn = true
  isDeaf = false

  pull(): void {
    this.#isIn = false
    for (const cut of this.#open) cut()
  }

  put(): void {
    this.#isIn = true
    this.isDeaf = false
  }

  open(url: string, handlers: Parameters<Transport['open']>[1]): TransportConnection {
    if (!this.#isIn) {
      queueMicrotask(() => handlers.onClose({ code: 1006, reason: 'no network', by: 'us' }))
      return { bufferedBytes: 0, send() {}, close() {} }
    }
    let isOver = false
    const end = (reason: Parameters<typeof handlers.onClose>[0]) => {
      if (isOver) return
      isOver = true
      this.#open.delete(cut)
      handlers.onClose(reason)
    }
    const connection = this.#inner.open(url, {
      onOpen: () => handlers.onOpen(),
      onMessage: (message) => {
        if (!isOver && !this.isDeaf) handlers.onMessage(message)
      },
      onClose: end,
    })
    const cut = () => {
      connection.close(1000, 'cut')
      end({ code: 1006, reason: 'no network', by: 'us' })
    }
    this.#open.add(cut)
    return connection
  }
}

class World {
  readonly #files = new MemoryFiles()
  #port = 0
  relay!: Relay

  async keepSecret(): Promise<void> {
    await this.#files.makeDir('keys')
    const file = await this.#files.open('keys/secret', 'create')
    await file.writev([Buffer.from(SECRET)], 0)
    await file.close()
  }

  async start(): Promise<void> {
    this.relay = await createRelay({
      ...{ files: this.#files, clock },
      config: {
        ...{ dataDir: 'data', httpPort: this.#port, compactionCheckMs: 20, retentionCheckMs: 20 },
        ...{ saslEnabledMechanisms: ['OAUTHBEARER'], saslOauthbearerSecretFile: 'keys/secret' },
        saslOauthbearerExpectedAudience: ['ottla'],
        topicDefaults: { ...relayConfigDefaults.topicDefaults, producerIdExpirationMs: 3 * DAY_MS, retentionMs: -1 },
      },
    })
    this.#port = Number(new URL(this.relay.http.url).port)
  }

  async client(options: Parameters<typeof connect>[1]): Promise<Ottla> {
    const backoff = { delayMsFirst: 10, delayMsMax: 50 }
    const ottla = await connect(this.relay.websocket.url, { clock, backoff, ...options })
    onTestFinished(() => ottla.close())
    return ottla
  }

  logOf(topic: string, partition = 0) {
    return this.relay.engine.topicByName(topic)!.partitions[partition]!
  }
}

async function valuesOf(ottla: Ottla, topic: string): Promise<Array<{ key: string | null; value: string | null }>> {
  const found: Array<{ key: string | null; value: string | null }> = []
  const reader = ottla.topic(topic, { value: string, replica: false }).read({ from: 'beginning', follow: false })
  for await (const { key, value } of reader) found.push({ key, value })
  return found
}

test('[WEEK-1] 50,000 records stored offline land once and in order; what became doubtful or moved has one outcome each', async () => {
  const world = new World()
  await world.keepSecret()
  await world.start()
  onTestFinished(() => world.relay.close())
  const office = async () => world.client({ auth: { token: await tokenFor('office', DAY_MS) } })
  const admin = await office()
  const compacted = { 'cleanup.policy': 'compact', 'segment.bytes': '4096', 'min.cleanable.dirty.ratio': '0' }
  await admin.admin.createTopics([
    { name: 'notes', partitions: 2 },
    { name: 'orders', partitions: 1, configs: compacted },
    { name: 'journal', partitions: 1 },
  ])

  // Monday: online, with a replica and a table. The answer to the last write gets lost with the network.
  const plug = new Plug()
  const phoneOptions = { replica: 'phone', transport: plug }
  const first = await world.client({ ...phoneOptions, auth: { token: await tokenFor('phone', DAY_MS) } })
  await eventually(() => first.status.connection.phase === 'live')
  const notes = first.topic('notes', { value: string })
  for (let index = 0; index < 20; index++) await notes.send({ key: `k${index}`, value: 'monday' }).committed
  await first.topic('journal', { value: string }).send({ key: 'j', value: 'monday' }).committed
  const table = await first.table('orders', { value: json<{ n: number }>() })
  await table.put('kept', { n: 0 }).committed
  await table.put('deleted', { n: 0 }).committed
  await notes.replicate()
  const held = (ottla: Ottla) => ottla.status.topics.find(({ name }) => name === 'notes')!.replica
  await eventually(() => held(first).length === 2 && held(first).every(({ upToDate }) => upToDate))
  await eventually(() => table.state.isUpToDate)
  plug.isDeaf = true
  const before = world.logOf('notes').highWatermark + world.logOf('notes', 1).highWatermark
  notes.send({ key: 'k0', value: 'doubtful' }).committed.catch(() => {})
  await eventually(() => world.logOf('notes').highWatermark + world.logOf('notes', 1).highWatermark > before)
  plug.pull()
  await eventually(() => first.status.connection.phase !== 'live')

  // All week: 50,000 records, stored. Then the app is closed.
  const written = { notes: [] as string[], journal: [] as string[], orders: new Map<string, number>() }
  for (let from = 0; from < RECORDS; from += BATCH) {
    const kind = from % 5_000 === 0 ? 'journal' : from % 5_000 === BATCH ? 'orders' : 'notes'
    const batch = Array.from({ length: BATCH }, (_, index) => from + index)
    const receipts = first.topic(kind, { value: string }).sendAll(
      batch.map((n) => ({
        key: kind === 'orders' ? `o${n % 50}` : `k${n % 100}`,
        value: kind === 'orders' ? `{"n":${n}}` : `${n}`,
      })),
    )
    for (const { committed } of receipts) committed.catch(() => {})
    await Promise.all(receipts.map(({ stored }) => stored))
    for (const n of batch) {
      if (kind === 'orders') written.orders.set(`o${n % 50}`, n)
      else written[kind].push(`${n}`)
    }
  }
  expect(first.status.outbox).toMatchObject({ pendingRecords: RECORDS + 1, parkedEntries: 0 })
  await first.close()

  // Meanwhile, elsewhere: the relay moves into the next week, and others go on.
  await admin.close()
  await world.relay.close()
  time.shiftMs += 7 * DAY_MS
  await world.start()
  // A relay that has just started forgets nobody.
  time.waitedMs += 15 * 60_000
  const others = await office()
  await Promise.all(
    others
      .topic('notes', { value: string })
      .sendAll(Array.from({ length: 10 }, (_, n) => ({ key: `x${n}`, value: 'others' })))
      .map(({ committed }) => committed),
  )
  for (const partition of [0, 1]) {
    const beforeOffset = world.logOf('notes', partition).highWatermark
    await others.admin.deleteRecords([{ topic: 'notes', partition, beforeOffset }])
  }
  await others.admin.deleteTopics(['journal'])
  await others.admin.createTopics([{ name: 'journal', partitions: 1 }])
  const orders = others.topic('orders', { value: string })
  await orders.send({ key: 'deleted', value: null }).committed
  for (let n = 0; n < 60; n++)
    await orders.send({ key: 'noise', value: `{"n":${n},"pad":"${'.'.repeat(200)}"}` }).committed
  await eventually(async () => (await valuesOf(others, 'orders')).filter(({ key }) => key === 'noise').length < 60, {
    withinMs: 15_000,
    what: 'compacted',
  })

  // Back: the token that the app remembers has run out. Nothing is lost by it, and what is held is read.
  plug.put()
  const second = await world.client({ ...phoneOptions, auth: { token: await tokenFor('phone', -6 * DAY_MS) } })
  await eventually(() => second.status.state === 'needs-auth')
  expect(second.status.outbox).toMatchObject({ pendingRecords: RECORDS + 1, parkedEntries: 0 })
  const gaps: string[] = []
  const seen: string[] = []
  const reader = second.topic('notes', { value: string }).read({ from: 'beginning' })
  reader.onGap(({ reason }) => gaps.push(reason))
  void reader.each(({ value }) => void seen.push(value!)).catch(() => {})
  await eventually(() => seen.length === 20, { what: "Monday's records, from the replica" })

  await second.reauthenticate({ token: await tokenFor('phone', DAY_MS) })
  await eventually(() => second.status.outbox.pendingRecords === 0, {
    withinMs: 60_000,
    what: 'the outbox has drained',
  })

  // The doubtful write: nobody knows any more, so a person is asked. It is the only one.
  const parked = await second.outbox.list()
  expect(parked.map(({ state, recordCount, topic }) => ({ state, recordCount, topic }))).toEqual([
    { state: 'unknown', recordCount: 1, topic: 'notes' },
  ])
  // Everything else is in the log: once, and in order for each key. The topic made anew has what was for it.
  const inNotes = (await valuesOf(others, 'notes')).filter(({ value }) => value !== 'others')
  expect(inNotes).toHaveLength(written.notes.length)
  expect(new Set(inNotes.map(({ value }) => value)).size).toBe(written.notes.length)
  const lastOfKey = new Map<string, number>()
  for (const { key, value } of inNotes) {
    expect(Number(value)).toBeGreaterThan(lastOfKey.get(key!) ?? -1)
    lastOfKey.set(key!, Number(value))
  }
  expect((await valuesOf(others, 'journal')).map(({ value }) => value)).toEqual(written.journal)
  // The replica says what it will never have, and has the rest.
  const isWhole = () => second.status.behindRecords === 0 && held(second).every(({ upToDate }) => upToDate)
  await eventually(() => isWhole() && seen.length === 20 + written.notes.length, {
    withinMs: 60_000,
    what: 'the replica is whole',
  })
  expect(gaps).toEqual(['deleted', 'deleted'])
  for (const range of second.status.topics.find(({ name }) => name === 'notes')!.replica) {
    expect(range).toMatchObject({ start: world.logOf('notes', range.partition).startOffset })
  }
  // The table is the fold of the compacted log: the tombstone is seen, the phone's writes are the last of their keys.
  const rows = await second.table('orders', { value: json<{ n: number }>() })
  await eventually(() => rows.state.isUpToDate, { what: 'the table is up to date' })
  expect(await rows.get('deleted')).toBeUndefined()
  expect((await rows.get('kept'))?.value).toEqual({ n: 0 })
  for (const [key, n] of written.orders) expect((await rows.get(key))?.value).toEqual({ n })
  expect(Math.abs(second.status.clockOffsetMs!)).toBeLessThan(5_000)
}, 120_000)
