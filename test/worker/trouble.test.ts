/** What goes wrong around a browser's replica and outbox, in a real Chromium against a real relay. */
import { randomBytes } from 'node:crypto'
import type { CDPSession, Page } from 'playwright-core'
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { deleteTopics } from '../../protocol/messages/topics.ts'
import type { Relay } from '../../server/relay.ts'
import { type Chromium, startChromium } from '../support/chromium.ts'
import { clientFiles } from '../support/client-files.ts'
import { eventually } from '../support/eventually.ts'
import { type PageServer, startPageServer } from '../support/page-server.ts'
import { recordsIn } from '../support/read-values.ts'
import { startRelay } from '../support/relay.ts'
import { RelayClient } from '../support/relay-client.ts'
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts'
import { REAL_PAGE } from './fixtures/real-page.ts'

const expected = (prefix: string, count: number) => Array.from({ length: count }, (_, index) => `${prefix}-${index}`)
const valuesIn = (page: Page) => page.evaluate(() => window.readState().values)
const LONG = { withinMs: 20_000 }

describe('trouble around a page', () => {
  let pages: PageServer
  let chromium: Chromium
  let proxy: TcpProxy
  let relay: Relay
  let admin: RelayClient
  beforeAll(async () => {
    pages = await startPageServer(clientFiles())
    pages.serve('/real.html', REAL_PAGE)
    pages.serve('/blank.html', '<!doctype html><title>blank</title><link rel="icon" href="data:,">')
  })
  afterAll(() => pages?.close())

  beforeEach(async () => {
    // A short heartbeat, so that a network that only falls silent is noticed soon.
    relay = await startRelay({ config: { allowOrigins: [pages.origin], heartbeatMs: 400 } })
    proxy = await startTcpProxy({ port: Number(new URL(relay.http.url).port) })
    onTestFinished(() => proxy.close())
    admin = await RelayClient.open(relay.websocket.url)
    await admin.createTopic('notes')
    const started = await startChromium()
    chromium = started
    onTestFinished(() => started.close())
  })

  function urlOf(replica: string): string {
    const query = new URLSearchParams({ worker: 'shared', replica, relay: `ws://127.0.0.1:${proxy.port}/` })
    return `${pages.origin}/real.html?${query}`
  }
  const open = (replica: string): Promise<Page> => chromium.open(urlOf(replica))

  async function logged(count: number): Promise<string[]> {
    const client = await RelayClient.open(relay.websocket.url)
    await client.subscribe(await client.topicId('notes'), 0)
    const deliveries = await client.deliveredTo(count, 20_000)
    return deliveries.flatMap(({ records }) => recordsIn(records).map(({ value }) => value))
  }

  for (const mode of ['close', 'reset', 'black-hole', 'stall', 'drop-down'] as const) {
    test(`[OUT-12] a network in mode ${mode} while acks are due: every write is there once, in order`, async () => {
      const page = await open(mode)
      await page.evaluate(() => window.send('before', 50))
      await page.evaluate(() => window.outcome())
      // Sent in the same turn as the network breaks: requests and acknowledgements are under way.
      await page.evaluate(() => window.send('during', 200))
      proxy.setMode(mode)
      await page.evaluate(() => window.send('after', 50))
      expect(new Set(await page.evaluate(() => window.stored()))).toEqual(new Set(['fulfilled']))
      await eventually(() => page.evaluate(() => window.ottla.status.state !== 'live'), LONG)
      proxy.setMode('reset')
      proxy.setMode('pass')
      const outcome = await page.evaluate(() => window.outcome())
      expect(outcome.filter((each) => typeof each === 'string')).toEqual([])
      const all = [...expected('before', 50), ...expected('during', 200), ...expected('after', 50)]
      expect(await logged(300)).toEqual(all)
      await eventually(async () => (await valuesIn(page)).length === 300, LONG)
      expect(await valuesIn(page)).toEqual(all)
    }, 60_000)
  }

  test('[REP-11] a topic made anew while the browser was away: the replica holds the new one, nothing of the old', async () => {
    const before = await open('recreated')
    await before.evaluate(() => window.send('old', 100))
    await eventually(async () => (await valuesIn(before)).length === 100, LONG)
    await before.close()
    proxy.setMode('close')
    await admin.call(deleteTopics, { topics: [{ name: 'notes' }], timeoutMs: 1000 })
    const topicId = await admin.createTopic('notes')
    await admin.produce(topicId, expected('new', 5))
    proxy.setMode('pass')
    await open('recreated').then((page) =>
      eventually(() => page.evaluate(() => window.ottla.status.state === 'live'), LONG),
    )
    await eventually(async () => {
      const page = await open('recreated')
      try {
        return await eventually(async () => (await valuesIn(page)).join() === expected('new', 5).join(), {
          withinMs: 1_500,
        })
      } finally {
        await page.close()
      }
    }, LONG)
  }, 60_000)

  test('[REP-12] a log truncated while the browser was away: the replica drops what is gone and goes on', async () => {
    const before = await open('truncated')
    for (const prefix of ['a', 'b', 'c']) {
      await before.evaluate((name) => window.send(name, 10), prefix)
      await before.evaluate(() => window.outcome())
    }
    await eventually(async () => (await valuesIn(before)).length === 30, LONG)
    await before.close()
    proxy.setMode('close')
    const topic = relay.engine.topicByName('notes')!
    const kept = await topic.partitions[0]!.truncateTo(20)
    await admin.produce(topic.id, ['rewritten'])
    proxy.setMode('pass')
    const all = [...expected('a', 10), ...expected('b', 10), ...expected('c', 10)].slice(0, kept)
    await open('truncated').then((page) => eventually(async () => (await valuesIn(page)).includes('rewritten'), LONG))
    const page = await open('truncated')
    await eventually(async () => (await valuesIn(page)).length === kept + 1, LONG)
    expect(await valuesIn(page)).toEqual([...all, 'rewritten'])
  }, 60_000)

  test('[REP-13] a browser that cleared the storage: the replica begins anew, and never says it is up to date by mistake', async () => {
    const before = await open('evicted')
    await before.evaluate(() => window.send('kept', 200))
    await eventually(async () => (await valuesIn(before)).length === 200, LONG)
    const session = await before.context().newCDPSession(before)
    await session.send('Storage.clearDataForOrigin', { origin: pages.origin, storageTypes: 'indexeddb' })
    await before.close()
    const page = await open('evicted')
    await eventually(async () => (await valuesIn(page)).length === 200, LONG)
    await page.evaluate(() => window.send('more', 10))
    await page.evaluate(() => window.outcome())
    await eventually(async () => (await valuesIn(page)).length === 210, LONG)
    expect(await valuesIn(page)).toEqual([...expected('kept', 200), ...expected('more', 10)])
  }, 60_000)

  const QUOTA_BYTES = 1_500_000

  /** Chromium remembers for a while how much room there was, so the quota is set before the database is first used. */
  async function withQuota(chromium: Chromium): Promise<CDPSession> {
    const blank = await chromium.open(`${pages.origin}/blank.html`)
    const session = await blank.context().newCDPSession(blank)
    await session.send('Storage.overrideQuotaForOrigin', { origin: pages.origin, quotaSize: QUOTA_BYTES })
    return session
  }

  async function fillAndMakeRoom(page: Page, session: CDPSession, before: string[]) {
    const topicId = await admin.topicId('notes')
    for (let count = 0; count < 4; count++)
      await admin.produce(topicId, [`xxxxxxxxxx${randomBytes(450_000).toString('hex')}`])
    await eventually(() => page.evaluate(() => window.ottla.status.storageError !== null), LONG)
    expect(await page.evaluate(() => window.ottla.status.storageError?.code)).toBe('QUOTA_EXCEEDED')
    await page.evaluate(() => window.send('full', 1))
    const [full] = (await page.evaluate(() => window.stored())).slice(-1)
    await session.send('Storage.overrideQuotaForOrigin', { origin: pages.origin })
    await page.evaluate(() => window.send('room', 1))
    await eventually(async () => (await valuesIn(page)).includes('room-0'), LONG)
    const values = (await valuesIn(page)).map((value) => value.slice(0, 10))
    expect(values).toEqual([
      ...before,
      ...Array<string>(4).fill('xxxxxxxxxx'),
      ...(full === 'fulfilled' ? ['full-0'] : []),
      'room-0',
    ])
  }

  test('[REP-14] a quota that runs out: said in the status, nothing called stored that is not, and all goes on with room again', async () => {
    const session = await withQuota(chromium)
    const page = await open('quota')
    await page.evaluate(() => window.send('first', 10))
    await page.evaluate(() => window.outcome())
    await fillAndMakeRoom(page, session, expected('first', 10))
  }, 60_000)

  test('[REP-14] a browser that was killed and has little room: its start takes none, and all goes on as before', async () => {
    const before = await open('restarted')
    await before.evaluate(() => window.send('first', 10))
    await before.evaluate(() => window.outcome())
    await chromium.kill()
    const restarted = await startChromium({ profileDir: chromium.profileDir })
    onTestFinished(() => restarted.close())
    const session = await withQuota(restarted)
    const page = await restarted.open(urlOf('restarted'))
    await page.evaluate(() => window.send('second', 10))
    expect(new Set(await page.evaluate(() => window.stored()))).toEqual(new Set(['fulfilled']))
    await page.evaluate(() => window.outcome())
    await fillAndMakeRoom(page, session, [...expected('first', 10), ...expected('second', 10)])
  }, 60_000)
})
