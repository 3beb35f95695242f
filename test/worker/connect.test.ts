/** The built client and worker, without a bundler, in a real Chromium against a real relay behind a spoiling proxy. */
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import type { Ottla } from '../../client/ottla.ts'
import { seededRandom } from '../../protocol/lib/random.ts'
import type { Relay } from '../../server/relay.ts'
import { type Chromium, startChromium } from '../support/chromium.ts'
import { clientFiles } from '../support/client-files.ts'
import { eventually } from '../support/eventually.ts'
import { type PageServer, startPageServer } from '../support/page-server.ts'
import { recordsIn } from '../support/read-values.ts'
import { startRelay } from '../support/relay.ts'
import { RelayClient } from '../support/relay-client.ts'
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts'
import { InterleavedTransactions } from '../support/transactions.ts'
import { BARE_PAGE, REAL_PAGE } from './fixtures/real-page.ts'

declare global {
  interface Window {
    client: typeof import('../../worker/index.ts')
    ottla: Ottla
    send(prefix: string, count: number): void
    outcome(): Promise<Array<number | string>>
    stored(): Promise<string[]>
    readState(): { values: string[]; firstMs: number | null; error?: string }
  }
}

const valuesIn = (page: Page) => page.evaluate(() => window.readState().values)
const expected = (prefix: string, count: number) => Array.from({ length: count }, (_, index) => `${prefix}-${index}`)

describe('the client in pages, with the real relay', () => {
  let pages: PageServer
  let chromium: Chromium
  let proxy: TcpProxy
  let relay: Relay
  let relayUrl: string
  beforeAll(async () => {
    pages = await startPageServer(clientFiles())
    pages.serve('/real.html', REAL_PAGE)
    pages.serve('/bare.html', BARE_PAGE)
  })
  afterAll(() => pages?.close())

  beforeEach(async () => {
    relay = await startRelay({ config: { allowOrigins: [pages.origin] } })
    proxy = await startTcpProxy({ port: Number(new URL(relay.http.url).port) })
    relayUrl = relay.websocket.url
    const client = await RelayClient.open(relayUrl)
    await client.createTopic('notes')
    onTestFinished(() => proxy.close())
    const started = await startChromium()
    chromium = started
    onTestFinished(() => started.close())
  })

  function open(worker: string, replica = 'pages'): Promise<Page> {
    const query = new URLSearchParams({ worker, replica, relay: `ws://127.0.0.1:${proxy.port}/` })
    return chromium.open(`${pages.origin}/real.html?${query}`)
  }

  for (const worker of ['shared', 'dedicated', 'none']) {
    test(`[WRK-21] two tabs write and read over one connection (${worker})`, async () => {
      const first = await open(worker)
      await first.evaluate(() => window.send('first', 50))
      expect(await first.evaluate(() => window.outcome())).toEqual(Array.from({ length: 50 }, (_, offset) => offset))
      const second = await open(worker)
      await eventually(async () => (await valuesIn(second)).length === 50)
      expect(await valuesIn(second)).toEqual(expected('first', 50))
      await second.evaluate(() => window.send('second', 50))
      await second.evaluate(() => window.outcome())
      await eventually(async () => (await valuesIn(first)).length === 100)
      expect(proxy.counters.open).toBe(1)
    })
  }

  test('[WRK-24] a page without a replica uses one connection, and its errors are of the class that it imported', async () => {
    const page = await chromium.open(`${pages.origin}/bare.html`)
    const seen = await page.evaluate(async (url) => {
      const { connect, OttlaError, string } = window.client
      const ottla = await connect(url)
      const { committed } = ottla.topic('notes', { value: string }).send({ key: 'k', value: 'v' })
      const { offset } = await committed
      const error: unknown = await ottla
        .topic('no-such-topic')
        .info()
        .catch((thrown: unknown) => thrown)
      return { offset, code: error instanceof OttlaError ? error.code : String(error) }
    }, `ws://127.0.0.1:${proxy.port}/`)
    expect(seen).toEqual({ offset: 0, code: 'UNKNOWN_TOPIC' })
    expect(proxy.counters.accepted).toBe(1)
  })

  /** What the relay has, by its own account. */
  async function logged(count: number): Promise<string[]> {
    const client = await RelayClient.open(relayUrl)
    await client.sayHello()
    await client.subscribe(await client.topicId('notes'), 0)
    const deliveries = await client.deliveredTo(count)
    return deliveries.flatMap(({ records }) => recordsIn(records).map(({ value }) => value))
  }

  test('[TXN-56] a page shows committed records alone, from its replica in IndexedDB, and offline the same', async () => {
    const log = relay.engine.topicByName('notes')!.partitions[0]!
    const account = new InterleavedTransactions(log, seededRandom(56))
    for (let step = 0; step < 200; step++) await account.step()
    await account.written()
    const committed = account.committed().map(({ value }) => value)
    expect(log.lastStableOffset).toBeLessThan(log.highWatermark)
    const online = await open('shared', 'transactions')
    await eventually(async () => (await valuesIn(online)).length >= committed.length)
    expect(await valuesIn(online)).toEqual(committed)
    await account.settle()
    const all = account.committed().map(({ value }) => value)
    await eventually(async () => (await valuesIn(online)).length >= all.length)
    expect(await valuesIn(online)).toEqual(all)
    const end = log.highWatermark
    await eventually(() => online.evaluate((at) => window.ottla.status.topics[0]?.replica[0]?.end === at, end))
    await online.close()
    proxy.setMode('close')
    const offline = await open('shared', 'transactions')
    await eventually(async () => (await valuesIn(offline)).length >= all.length)
    expect(await valuesIn(offline)).toEqual(all)
  })

  test('[WRK-22] a page opens and reads its replica with the relay out of reach, and its write goes out later, once', async () => {
    const before = await open('shared', 'offline')
    await before.evaluate(() => window.send('online', 1_000))
    await before.evaluate(() => window.outcome())
    await eventually(async () => (await valuesIn(before)).length === 1_000)
    await before.close()
    proxy.setMode('close')
    const page = await open('shared', 'offline')
    await eventually(async () => (await valuesIn(page)).length === 1_000)
    console.log(
      `first record of a cold open: ${(await page.evaluate(() => window.readState())).firstMs?.toFixed(1)} ms`,
    )
    await page.evaluate(() => window.send('offline', 10))
    expect(await page.evaluate(() => window.stored())).toEqual(Array.from({ length: 10 }, () => 'fulfilled'))
    proxy.setMode('pass')
    await page.evaluate(() => window.ottla.wake())
    expect(await page.evaluate(() => window.outcome())).toEqual(Array.from({ length: 10 }, (_, index) => 1_000 + index))
    expect(await logged(1_010)).toEqual([...expected('online', 1_000), ...expected('offline', 10)])
  })

  test('[WRK-25] a page that cannot load what comes after its first record reads its replica, and is told of what it sends', async () => {
    const before = await open('shared', 'partly')
    await before.evaluate(() => window.send('before', 10))
    await before.evaluate(() => window.outcome())
    await eventually(async () => (await valuesIn(before)).length === 10)
    await before.close()
    for (const fileName of ['/bridge.js', '/sending.js']) {
      pages.serve(fileName, 'throw new Error("gone")')
      const page = await open('shared', 'partly')
      await eventually(async () => (await valuesIn(page)).length === 10)
      await page.evaluate(() => window.send('lost', 2))
      const outcome = await page.evaluate(() => window.outcome())
      expect(outcome).toEqual(Array.from({ length: 2 }, () => expect.stringContaining('could not be loaded')))
      await page.close()
      pages.serve(fileName, clientFiles()[fileName]!)
    }
    const after = await open('shared', 'partly')
    await after.evaluate(() => window.send('after', 1))
    expect(await after.evaluate(() => window.outcome())).toEqual([10])
  })

  test('[WRK-22] what was stored offline survives the death of the whole browser, and goes out once', async () => {
    const first = await open('shared', 'killed')
    await first.evaluate(() => window.send('online', 10))
    await first.evaluate(() => window.outcome())
    proxy.setMode('close')
    await first.evaluate(() => window.send('stored', 100))
    await first.evaluate(() => window.stored())
    await chromium.kill()
    proxy.setMode('pass')
    const again = await startChromium({ profileDir: chromium.profileDir })
    onTestFinished(() => again.close())
    chromium = again
    await open('shared', 'killed')
    expect(await logged(110)).toEqual([...expected('online', 10), ...expected('stored', 100)])
  })

  for (const worker of ['shared', 'dedicated'] as const) {
    test(`[WRK-23] the host dies and acks are lost in the middle of writing: all is there once (${worker})`, async () => {
      const leader = await open(worker, 'dying')
      const page = await open(worker, 'dying')
      await page.evaluate(() => window.send('first', 100))
      await page.evaluate(() => window.outcome())
      const dropped = proxy.counters.bytesDropped
      proxy.setMode('drop-down')
      await page.evaluate(() => window.send('second', 100))
      await page.evaluate(() => window.stored())
      await eventually(() => proxy.counters.bytesDropped > dropped)
      if (worker === 'dedicated') await leader.close()
      else for (const target of await chromium.devtools.targets('shared_worker')) await chromium.devtools.end(target)
      await page.evaluate(() => window.send('third', 100))
      proxy.setMode('pass')
      const outcome = await page.evaluate(() => window.outcome())
      expect(outcome.filter((each) => typeof each === 'string')).toEqual([])
      expect(await logged(300)).toEqual(['first', 'second', 'third'].flatMap((prefix) => expected(prefix, 100)))
    })
  }
})
