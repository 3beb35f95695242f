/** What happens to a browser's database, in a real Chromium: cleared under an open page, files gone, never to be opened. */
import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { type Chromium, startChromium } from '../support/chromium.ts'
import { clientFiles } from '../support/client-files.ts'
import { eventually } from '../support/eventually.ts'
import { type PageServer, startPageServer } from '../support/page-server.ts'
import { startRelay } from '../support/relay.ts'
import { RelayClient } from '../support/relay-client.ts'
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts'
import { REAL_PAGE } from './fixtures/real-page.ts'
import { setStage } from './fixtures/stage.ts'

const LONG = { withinMs: 20_000 }
const valuesIn = (page: Page) => page.evaluate(() => window.readState().values.map((value) => value.slice(0, 8)))
const errorIn = (page: Page) => page.evaluate(() => window.ottla.status.storageError)

describe('a database in trouble', () => {
  let pages: PageServer
  beforeAll(async () => {
    pages = await startPageServer(clientFiles())
    pages.serve('/real.html', REAL_PAGE)
  })
  afterAll(() => pages?.close())

  async function world(): Promise<{ proxy: TcpProxy; admin: RelayClient; profileDir: string }> {
    const relay = await startRelay({ config: { allowOrigins: [pages.origin], heartbeatMs: 400 } })
    const proxy = await startTcpProxy({ port: Number(new URL(relay.http.url).port) })
    onTestFinished(() => proxy.close())
    const admin = await RelayClient.open(relay.websocket.url)
    await admin.createTopic('notes')
    const profileDir = await mkdtemp(join(tmpdir(), 'ottla-profile-'))
    onTestFinished(() => rm(profileDir, { recursive: true, force: true, maxRetries: 5 }))
    return { proxy, admin, profileDir }
  }

  async function start(profileDir: string): Promise<Chromium> {
    const chromium = await startChromium({ profileDir })
    onTestFinished(() => chromium.close())
    return chromium
  }

  const open = (chromium: Chromium, proxy: TcpProxy) =>
    chromium.open(`${pages.origin}/real.html?worker=shared&replica=r&relay=ws://127.0.0.1:${proxy.port}/`)

  test('[STO-5] a database that is cleared under an open page that does nothing: said at once, and fetched again', async () => {
    const { proxy, profileDir } = await world()
    const page = await open(await start(profileDir), proxy)
    await page.evaluate(() => window.send('kept', 3))
    await eventually(async () => (await valuesIn(page)).length === 3, LONG)
    const session = await page.context().newCDPSession(page)
    await session.send('Storage.clearDataForOrigin', { origin: pages.origin, storageTypes: 'indexeddb' })
    await eventually(async () => (await errorIn(page))?.storage === 'evicted', LONG)
    const ranges = () => page.evaluate(() => window.ottla.status.topics[0]?.replica[0])
    await eventually(async () => (await ranges())?.generation === 1 && (await ranges())?.upToDate, LONG)
    expect(await ranges()).toMatchObject({ start: 0, end: 3 })
  }, 60_000)

  test('[STO-7] [STO-8] files of the database that are gone: the replica heals, a lost write is shown as lost', async () => {
    const { proxy, admin, profileDir } = await world()
    const first = await start(profileDir)
    const before = await open(first, proxy)
    await before.evaluate(() => window.send('small', 1))
    await eventually(async () => (await valuesIn(before)).length === 1, LONG)
    // Chromium keeps what is larger than 64 KiB in files of its own.
    await admin.produce(await admin.topicId('notes'), [`xxxxxxxx${randomBytes(150_000).toString('hex')}`, 'last'])
    await eventually(async () => (await valuesIn(before)).length === 3, LONG)
    proxy.setMode('close')
    // Such as cannot be compressed, which Chromium would do.
    const large = randomBytes(150_000).toString('hex')
    await before.evaluate(async (value) => {
      await window.ottla
        .topic('notes', { value: { encode: (text: string) => new TextEncoder().encode(text) } as never })
        .send({ value: value as never }).stored
      window.send('offline', 1)
      await window.stored()
    }, large)
    await first.kill()
    await removeBlobs(profileDir)
    const page = await open(await start(profileDir), proxy)
    const entries = await eventually(async () => {
      const list = await page.evaluate(() => window.ottla.outbox.list())
      return list.length === 2 ? list : undefined
    }, LONG)
    expect(entries.map(({ state, error }) => [state, error?.storage])).toEqual([
      ['pending', undefined],
      ['unknown', 'corrupt'],
    ])
    proxy.setMode('pass')
    await eventually(async () => (await valuesIn(page)).length >= 4, LONG)
    const fresh = await page.context().newPage()
    await fresh.goto(page.url())
    await eventually(async () => (await valuesIn(fresh)).length === 4, LONG)
    expect(await valuesIn(fresh)).toEqual(['small-0', 'xxxxxxxx', 'last', 'offline-'])
  }, 60_000)
})

test('[STO-12] the browser is asked to keep the data once a write waits, not before, and the status has its answer', async () => {
  const pages = await startPageServer(clientFiles())
  onTestFinished(() => pages.close())
  // Headless Chromium asks nobody, so it is asked here how often it would be.
  const counting = `<script>
    window.asked = 0
    navigator.storage.persisted = async () => false
    navigator.storage.persist = async () => { window.asked++; return true }
  </script>`
  pages.serve('/real.html', REAL_PAGE.replace('<script type="module">', `${counting}<script type="module">`))
  const chromium = await startChromium()
  onTestFinished(() => chromium.close())
  const page = await chromium.open(`${pages.origin}/real.html?worker=shared&replica=r&relay=ws://127.0.0.1:9/`)
  const told = () =>
    page.evaluate(() => [(window as unknown as { asked: number }).asked, window.ottla.status.persisted] as const)
  await eventually(async () => (await told())[1] === false, LONG)
  expect(await told()).toEqual([0, false])
  await page.evaluate(() => window.send('waits', 1))
  await eventually(async () => (await told())[1] === true, LONG)
  await page.evaluate(() => window.send('waits', 1))
  await page.evaluate(() => window.stored())
  expect(await told()).toEqual([1, true])
  expect(await page.evaluate(async () => (await (await window.ottla.exportOutbox()).text()).split('\n').length)).toBe(4)
}, 60_000)

test('[STO-9] a worker that cannot open the database: the page says why, and goes on once it can', async () => {
  const stage = await setStage()
  onTestFinished(() => stage.close())
  const page = await stage.open('no-storage-at-first', 'shared')
  const status = () => page.evaluate(() => window.tab.bridge.status())
  await eventually(async () => (await status()).storageError?.storage === 'unavailable')
  await eventually(async () => (await status()).state === 'live', LONG)
  expect((await status()).storageError).toBeNull()
}, 60_000)

async function removeBlobs(profileDir: string): Promise<void> {
  const folder = join(profileDir, 'Default', 'IndexedDB')
  const blobs = (await readdir(folder)).filter((name) => name.endsWith('.indexeddb.blob'))
  expect(blobs.length).toBeGreaterThan(0)
  for (const name of blobs) await rm(join(folder, name), { recursive: true })
}
