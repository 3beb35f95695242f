/** Tabs with a worker each, one of which leads, and the ends that a leader can come to. */

import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { isLive, reportOf, type Stage, setStage } from './fixtures/stage.ts'

describe('dedicated workers with a leader', () => {
  let stage: Stage
  beforeAll(async () => {
    stage = await setStage()
  })
  afterAll(async () => {
    await stage?.close()
  })

  /** The first tab leads, as it was there first; the others follow over channels. */
  async function openTabs(replica: string, count: number): Promise<Page[]> {
    const pages: Page[] = []
    for (let index = 0; index < count; index++) {
      const page = await stage.open(replica, 'dedicated')
      await eventually(() => isLive(page))
      pages.push(page)
    }
    return pages
  }

  async function expectHandOver(
    replica: string,
    endLeader: (leader: Page) => Promise<unknown>,
    withinMs = 2_000,
  ): Promise<void> {
    const before = stage.server.connectionsEver
    const [leader, ...followers] = await openTabs(replica, 3)
    expect(stage.server.connectionsEver - before).toBe(1)
    for (const [index, page] of followers.entries()) {
      await page.evaluate((prefix) => void window.tab.keepWriting(prefix), `${replica}${index}`)
    }
    await leader!.evaluate((prefix) => void window.tab.keepWriting(prefix), `${replica}-leader`)
    await eventually(() => stage.server.offsets.has(`${replica}1-5`))
    const connections = stage.server.connectionsEver
    await endLeader(leader!)
    await eventually(() => stage.server.connectionsEver > connections, { withinMs })
    const written = stage.server.offsets.size
    await eventually(() => stage.server.offsets.size > written + 5, { withinMs })
    for (const page of followers) await page.evaluate(() => window.tab.stopWriting())
    for (const page of followers) {
      const report = await eventually(async () => {
        const now = await reportOf(page)
        return now.stored.every((id) => now.committed.includes(id)) ? now : undefined
      })
      expect(report.failed).toEqual([])
      expect(report.stored.filter((id) => !stage.server.offsets.has(id))).toEqual([])
    }
    for (const page of [leader!, ...followers]) if (!page.isClosed()) await page.close()
    // A tab that led for a moment while the others were closed is not of the next test.
    await eventually(() => stage.server.openConnections === 0)
  }

  test('[WRK-9] the leader tab is closed: another leads within 2 s, nothing is lost', async () => {
    await expectHandOver('closed', (leader) => leader.close())
  })

  test('[WRK-9] the leader tab navigates away mid-write', async () => {
    await expectHandOver('navigated', (leader) => leader.goto(`${stage.pages.origin}/elsewhere.html`))
  })

  test('[WRK-9] the leader tab lets go of its bridge', async () => {
    await expectHandOver('released', (leader) => leader.evaluate(() => window.tab.bridge.close()))
  })

  test('[WRK-9] the leader worker is killed under its living page', async () => {
    await expectHandOver('killed', async (leader) => {
      const [worker] = leader.workers()
      await worker!.evaluate(() => (globalThis as unknown as { close(): void }).close())
    })
  })

  test('[WRK-9] a page whose own worker was killed goes on with the one that leads', async () => {
    const [leader, follower] = await openTabs('orphaned', 2)
    const [worker] = leader!.workers()
    await worker!.evaluate(() => (globalThis as unknown as { close(): void }).close())
    await leader!.evaluate(() => window.tab.write('orphan'))
    await eventually(async () => (await reportOf(leader!)).committed.includes('orphan'), { withinMs: 2_000 })
    for (const page of [leader!, follower!]) await page.close()
  })

  test('[WRK-9] the leader worker hangs: its page ends it, and another leads', async () => {
    // It hangs with a transaction open, which holds the database until Chromium ends a busy worker: 2 s after it is told.
    const withinMs = 5_000
    const hang = (leader: Page) => leader.evaluate(() => new BroadcastChannel('hang hung').postMessage(20_000))
    await expectHandOver('hung', hang, withinMs)
  })

  test('[WRK-10] a tab that is loaded again attaches again', async () => {
    const [page] = await openTabs('reloaded', 1)
    await page!.goto(`${stage.pages.origin}/elsewhere.html`)
    await page!.goBack()
    await eventually(() => isLive(page!))
    await page!.evaluate(() => window.tab.write('after-reload'))
    await eventually(async () => (await reportOf(page!)).committed.includes('after-reload'))
    await page!.close()
  })

  for (const kind of ['dedicated', 'shared']) {
    test(`[WRK-10] a page in the back/forward cache holds no lead, and attaches again when it returns (${kind})`, async () => {
      const replica = `cached-${kind}`
      const page = await stage.open(replica, kind, { 'page-cache': '' })
      await eventually(() => isLive(page))
      const follower = await stage.open(replica, kind)
      await eventually(() => isLive(follower))
      await page.evaluate(() => Object.assign(window, { wasHereBefore: true }))
      const { devtools } = stage.chromium
      // By the protocol itself: playwright loses sight of a page that goes into that cache.
      const [target] = (await devtools.targets('page')).filter(({ url }) => url.includes('page-cache'))
      await devtools.evaluate(target!, "setTimeout(() => { location.href = '/elsewhere.html' })")
      await eventually(async () => (await devtools.targets('page')).some(({ url }) => url.endsWith('/elsewhere.html')))
      await follower.evaluate(() => window.tab.write('while-away'))
      await eventually(async () => (await reportOf(follower)).committed.includes('while-away'), { withinMs: 2_000 })
      await devtools.evaluate(target!, 'setTimeout(() => history.back())')
      const state = 'window.wasHereBefore ? window.tab.report().state : "loaded anew"'
      await eventually(async () => (await devtools.evaluate(target!, state)) === 'live')
      await devtools.evaluate(target!, "window.tab.write('after-return')")
      await eventually(() => stage.server.offsets.has('after-return'))
      stage.server.offsets.clear()
      await devtools.end(target!)
      await follower.close()
    })
  }

  test('[WRK-11] a tab with a SharedWorker and one with a dedicated worker share one leader', async () => {
    const before = stage.server.connectionsEver
    const [dedicated] = await openTabs('mixed', 1)
    const shared = await stage.open('mixed', 'shared')
    const inPage = await stage.open('mixed', 'none')
    await eventually(async () => (await isLive(shared)) && (await isLive(inPage)))
    expect(stage.server.connectionsEver - before).toBe(1)
    await dedicated!.close()
    await inPage.evaluate(() => window.tab.write('after-the-first'))
    await eventually(async () => (await reportOf(inPage)).committed.includes('after-the-first'))
    for (const page of [shared, inPage]) await page.close()
  })

  test('[WRK-12] one replica name for two relays is refused with the reason', async () => {
    const [first] = await openTabs('two-relays', 1)
    const other = await stage.open('two-relays', 'dedicated', { relay: 'ws://127.0.0.1:9/' })
    expect(await other.evaluate(() => window.tab.errorOf(() => window.tab.bridge.topic('t')))).toBe('INVALID_ARGUMENT')
    await first!.close()
    await other.close()
  })
})
