/** Transactions of pages in a real Chromium, while tabs, workers, the browser and the relay die. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { connect, type Ottla, string } from '../../client/index.ts'
import { randomBelow, seededRandom } from '../../protocol/lib/random.ts'
import { type ChildRelay, startChildRelay } from '../server/support/child-relay.ts'
import { type Chromium, startChromium } from '../support/chromium.ts'
import { clientFiles } from '../support/client-files.ts'
import { eventually } from '../support/eventually.ts'
import { type PageServer, startPageServer } from '../support/page-server.ts'
import { suiteSeed } from '../support/suite-seed.ts'
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts'
import { TRANSACTION_PAGE } from './fixtures/transaction-page.ts'

const LONG = { withinMs: 30_000 }
const KILLS = Number(process.env.OTTLA_KILLS ?? 10)
const portOf = (url: string) => Number(new URL(url).port)

describe('transactions of a page', () => {
  let pages: PageServer
  let chromium: Chromium
  let proxy: TcpProxy
  let relay: ChildRelay
  let reader: Ottla
  let config: Parameters<typeof startChildRelay>[0]['config']

  beforeAll(async () => {
    pages = await startPageServer(clientFiles())
    pages.serve('/page.html', TRANSACTION_PAGE)
  })
  afterAll(() => pages?.close())

  beforeEach(async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'ottla-page-transactions-'))
    onTestFinished(() => rm(dataDir, { recursive: true, force: true }))
    config = { dataDir, httpPort: 0, heartbeatMs: 1_000, allowOrigins: [pages.origin] }
    relay = await startChildRelay({ config })
    proxy = await startTcpProxy({ port: portOf(relay.websocket) })
    onTestFinished(() => proxy.close())
    chromium = await startChromium()
    onTestFinished(() => chromium.close())
    reader = await connect(`ws://127.0.0.1:${proxy.port}`, { backoff: { delayMsFirst: 20, delayMsMax: 200 } })
    onTestFinished(() => reader.close())
    await reader.admin.createTopics([{ name: 'debits', partitions: 2 }, { name: 'credits' }])
  })

  async function open(worker = 'auto'): Promise<Page> {
    const query = new URLSearchParams({ replica: 'money', worker, relay: `ws://127.0.0.1:${proxy.port}/` })
    const page = await chromium.open(`${pages.origin}/page.html?${query}`)
    await page.waitForFunction(() => window.ready)
    return page
  }

  async function inLog(topic: string): Promise<string[]> {
    const values: string[] = []
    for await (const { value } of reader.topic(topic, { value: string }).read({ from: 'beginning', follow: false })) {
      values.push(value ?? '')
    }
    return values
  }

  const isDrained = (page: Page) =>
    page.evaluate(() => window.ottla.status.outbox.pendingEntries === 0 && window.ottla.status.state === 'live')

  test('[TXN-78] made offline in a tab that is closed, it is one entry for the next tab, goes out once, and vanishes as one when refused', async () => {
    const first = await open()
    await eventually(() => isDrained(first), LONG)
    // What a transaction needs is there before the net goes.
    await first.waitForFunction(() =>
      performance.getEntriesByType('resource').some(({ name }) => /transactions\.js/.test(name)),
    )
    proxy.setMode('close')
    await eventually(() => first.evaluate(() => window.ottla.status.state === 'offline'), LONG)
    expect(await first.evaluate(() => window.transact('kept'))).toMatchObject({ durability: 'device' })
    await first.evaluate(() => window.transact('late', { expiresAfterMs: 1 }))
    await first.close()
    const next = await open()
    const list = () => next.evaluate(() => window.ottla.outbox.list())
    expect(await list()).toMatchObject([
      { state: 'pending', recordCount: 2, transaction: { topics: ['debits', 'credits'] } },
      { state: 'pending', recordCount: 2, transaction: { topics: ['debits', 'credits'] } },
    ])
    proxy.setMode('pass')
    await next.evaluate(() => window.ottla.wake())
    await eventually(() => isDrained(next), LONG)
    expect([await inLog('debits'), await inLog('credits')]).toEqual([['kept'], ['kept']])
    await eventually(
      () => next.evaluate(() => window.seen.debits.length === 1 && window.seen.credits.length === 1),
      LONG,
    )
    const [refused, ...others] = await list()
    expect(others).toEqual([])
    expect(refused).toMatchObject({ state: 'parked', error: { code: 'EXPIRED' } })
    await next.evaluate((id) => window.ottla.outbox.discard(id), refused!.id)
    expect(await list()).toEqual([])
  }, 90_000)

  test(
    `[TXN-79] ${KILLS} kills of tabs, workers, browser and relay, at random steps: each stored transaction is there once and whole`,
    async () => {
      const seed = suiteSeed()
      console.log(`transactions of a page through kills: seed ${seed}`)
      const random = seededRandom(seed)
      const seen = { debits: [] as string[], credits: [] as string[] }
      for (const name of ['debits', 'credits'] as const) {
        const following = reader.topic(name, { value: string }).read({ from: 'beginning' })
        following.each(({ value }) => void seen[name].push(value ?? '')).catch(() => {})
      }
      const kills = ['relay', 'browser', 'worker', 'tab'] as const
      const stored: string[] = []
      let page = await open()
      let serial = 0
      for (let kill = 0; kill < KILLS; kill++) {
        if (random.next() < 0.4) proxy.setMode('close')
        for (let count = 2 + randomBelow(random, 4); count > 0; count--) {
          const value = `t${serial++}`
          await page.evaluate((each) => window.transact(each), value)
          stored.push(value)
        }
        proxy.setMode('pass')
        await page.evaluate(() => window.ottla.wake())
        // These may be under way when it happens.
        const open3 = [`t${serial++}`, `t${serial++}`, `t${serial++}`]
        const dying = page.evaluate((values) => void values.map((each) => window.transact(each)), open3).catch(() => {})
        await new Promise((resolve) => setTimeout(resolve, randomBelow(random, 120)))
        const victim = kills[kill < kills.length ? kill : randomBelow(random, kills.length)]!
        if (victim === 'relay') {
          if (random.next() < 0.5) proxy.setMode('drop-down')
          await relay.kill()
          relay = await startChildRelay({ config })
          proxy.retarget(portOf(relay.websocket))
          proxy.setMode('reset')
          proxy.setMode('pass')
        } else if (victim === 'browser') {
          await chromium.kill()
          chromium = await startChromium({ profileDir: chromium.profileDir })
          const again = chromium
          onTestFinished(() => again.close())
          page = await open()
        } else if (victim === 'worker') {
          const [worker] = await chromium.devtools.targets('shared_worker')
          if (worker) await chromium.devtools.end(worker)
        } else {
          await page.close()
          page = await open()
        }
        await dying
      }
      await eventually(() => isDrained(page), LONG)
      expect(await page.evaluate(() => window.ottla.outbox.list())).toEqual([])
      const [debits, credits] = [await inLog('debits'), await inLog('credits')]
      for (const values of [debits, credits]) expect(new Set(values).size, 'none twice').toBe(values.length)
      expect([...debits].sort(), 'whole').toEqual([...credits].sort())
      for (const value of stored) expect(debits, 'none lost').toContain(value)
      const sorted = (values: readonly string[]) => [...values].sort().join()
      await eventually(() => sorted(seen.debits) === sorted(debits) && sorted(seen.credits) === sorted(credits), LONG)
      await eventually(async () => {
        const shown = await page.evaluate(() => window.seen)
        return sorted(shown.debits) === sorted(debits) && sorted(shown.credits) === sorted(credits)
      }, LONG)
      expect(seen.credits).toEqual(credits)
    },
    KILLS * 18_000,
  )
})
