/** A user leaves a device, with tabs open, asleep and dying, in a real Chromium against a real relay. */
import { mkdtemp, rm } from 'node:fs/promises'
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
import { storedInPage } from '../support/stored-in-page.ts'
import { REAL_PAGE } from './fixtures/real-page.ts'

const LONG = { withinMs: 20_000 }
const NOWHERE = 'ws://127.0.0.1:9/'

describe('a logout', () => {
  let pages: PageServer
  beforeAll(async () => {
    pages = await startPageServer(clientFiles())
    pages.serve('/real.html', REAL_PAGE)
    pages.serve('/elsewhere.html', '<!doctype html><title>elsewhere</title><link rel="icon" href="data:,">')
  })
  afterAll(() => pages?.close())

  async function relayWithNotes(): Promise<string> {
    const relay = await startRelay({ config: { allowOrigins: [pages.origin] } })
    const admin = await RelayClient.open(relay.websocket.url)
    await admin.createTopic('notes')
    return relay.websocket.url
  }

  async function start(profileDir?: string): Promise<Chromium> {
    const chromium = await startChromium({ profileDir })
    onTestFinished(() => chromium.close())
    return chromium
  }

  const open = (chromium: Chromium, replica: string, relay: string, worker = 'shared', more = '') =>
    chromium.open(`${pages.origin}/real.html?${new URLSearchParams({ worker, replica, relay })}${more}`)

  const stateOf = (page: Page) =>
    page.evaluate(() => {
      const { connection } = window.ottla.status
      return 'error' in connection && connection.error ? connection.error.code : connection.phase
    })

  const send = (page: Page, value: string) =>
    page.evaluate(
      (text) =>
        window.ottla
          .topic('notes')
          .send({ value: new TextEncoder().encode(text) })
          .stored.then(
            (stored) => stored,
            (error: { code: string }) => error.code,
          ),
      value,
    )

  const values = (page: Page) => page.evaluate(() => window.readState().values)

  for (const worker of ['shared', 'dedicated']) {
    test(`[LGO-7] every tab of the user is closed and told, the next user sees nothing (${worker})`, async () => {
      const relay = await relayWithNotes()
      const chromium = await start()
      const [page, other] = [await open(chromium, 'ada', relay, worker), await open(chromium, 'ada', relay, worker)]
      expect(await send(page, 'a secret of ada')).toBe('device')
      await eventually(async () => (await values(other)).length === 1, LONG)
      await page.evaluate(() => window.ottla.logout({ pending: 'send' }))
      await eventually(async () => (await stateOf(other)) === 'LOGGED_OUT', LONG)
      expect(await send(other, 'too late')).toBe('LOGGED_OUT')
      expect(await page.evaluate(storedInPage, '')).toEqual([1, 'ended', 'ended'])
      const bob = await open(chromium, 'bob', NOWHERE, worker)
      await send(bob, 'of bob')
      expect(await bob.evaluate(() => window.ottla.outbox.list().then((list) => list.length))).toBe(1)
      expect(await values(bob)).toEqual([])
      const again = await open(chromium, 'ada', relay, worker)
      await eventually(async () => (await values(again)).join() === 'a secret of ada', LONG)
    }, 60_000)
  }

  test('[LGO-8] a tab that sleeps through it wakes up logged out, and writes nothing', async () => {
    const relay = await relayWithNotes()
    const chromium = await start()
    const asleep = await open(chromium, 'ada', relay, 'dedicated', '&page-cache')
    await send(asleep, 'before')
    await asleep.evaluate(() => Object.assign(window, { wasHereBefore: true }))
    const page = await open(chromium, 'ada', relay, 'dedicated')
    await eventually(async () => (await values(page)).length === 1, LONG)
    const { devtools } = chromium
    const [target] = (await devtools.targets('page')).filter(({ url }) => url.includes('page-cache'))
    await devtools.evaluate(target!, "setTimeout(() => { location.href = '/elsewhere.html' })")
    await eventually(async () => (await devtools.targets('page')).some(({ url }) => url.endsWith('/elsewhere.html')))
    await page.evaluate(() => window.ottla.logout({ pending: 'send' }))
    await page.close()
    await devtools.evaluate(target!, 'setTimeout(() => history.back())')
    const state = `window.wasHereBefore
      ? window.ottla.topic('notes').send({ value: new Uint8Array(3) }).stored.catch(({ code }) => code) : 'loaded anew'`
    await eventually(async () => (await devtools.evaluate(target!, state)) === 'LOGGED_OUT', LONG)
    await devtools.end(target!)
    const again = await open(chromium, 'ada', relay)
    await eventually(async () => (await values(again)).join() === 'before', LONG)
    expect(await again.evaluate(() => window.ottla.outbox.list())).toEqual([])
  }, 60_000)

  test('[LGO-6] a browser that is killed amid a logout has finished it at its next start, or not begun it', async () => {
    const profileDir = await mkdtemp(join(tmpdir(), 'ottla-profile-'))
    onTestFinished(() => rm(profileDir, { recursive: true, force: true, maxRetries: 5 }))
    for (const [round, delayMs] of [2, 15].entries()) {
      const chromium = await startChromium({ profileDir })
      const replica = `user-${round}`
      const page = await open(chromium, replica, NOWHERE)
      for (const value of ['a', 'b', 'c']) await send(page, value)
      await page.evaluate((ms) => {
        void window.ottla.logout({ pending: 'discard' })
        return new Promise((resolve) => setTimeout(resolve, ms))
      }, delayMs)
      await chromium.kill()
      const next = await startChromium({ profileDir })
      const again = await open(next, replica, NOWHERE)
      expect([0, 3]).toContain(await again.evaluate(() => window.ottla.outbox.list().then((list) => list.length)))
      expect(await send(again, 'goes on')).toBe('device')
      const names = await again.evaluate(() => indexedDB.databases().then((all) => all.map(({ name }) => name)))
      expect(names.filter((name) => name?.startsWith('ottla-ending/'))).toEqual([])
      await next.close()
      await chromium.close()
    }
  }, 90_000)
})
