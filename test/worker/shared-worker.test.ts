/** Tabs, one SharedWorker, and its death, in a real Chromium. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { isLive, reportOf, type Stage, setStage } from './fixtures/stage.ts'

describe('tabs that share a SharedWorker', () => {
  let stage: Stage
  beforeAll(async () => {
    stage = await setStage()
  })
  afterAll(async () => {
    await stage?.close()
  })

  async function workerOf(replica: string) {
    const all = await stage.chromium.devtools.targets('shared_worker')
    return all.filter((target) => target.title.startsWith(`ottla ${replica}`))
  }

  test('[WRK-1] two tabs of one replica share one worker and one connection', async () => {
    const before = stage.server.connectionsEver
    const first = await stage.open('sharing', 'shared')
    const second = await stage.open('sharing', 'shared')
    await eventually(async () => (await isLive(first)) && (await isLive(second)))
    expect(stage.server.connectionsEver - before).toBe(1)
    await first.evaluate(() => window.tab.write('one'))
    await eventually(async () => (await reportOf(second)).committed.includes('one'))
    await first.close()
    await second.close()
  })

  test('[WRK-2] errors keep their code, chunks their bytes', async () => {
    const page = await stage.open('calls', 'shared')
    expect(await page.evaluate(() => window.tab.errorOf(() => window.tab.bridge.topic('missing')))).toBe(
      'UNKNOWN_TOPIC',
    )
    const read = await page.evaluate(async () => {
      const [chunk] = await window.tab.bridge.readReplica('x', 0, 5, 1_000)
      return { offset: chunk?.baseOffset, bytes: chunk?.batches.length, first: chunk?.batches[0] }
    })
    expect(read).toEqual({ offset: 5, bytes: 1_000, first: 7 })
    await page.close()
  })

  test('[WRK-3] a killed worker is replaced within 2 s, and every write is there once', async () => {
    const pages = [await stage.open('killed', 'shared'), await stage.open('killed', 'shared')]
    await eventually(async () => (await isLive(pages[0]!)) && (await isLive(pages[1]!)))
    for (const [index, page] of pages.entries()) {
      await page.evaluate((prefix) => void window.tab.keepWriting(prefix), `killed${index}`)
    }
    for (let round = 0; round < 3; round++) {
      const [worker] = await eventually(async () => {
        const found = await workerOf('killed')
        return found.length === 1 ? found : undefined
      })
      const writtenBefore = stage.server.offsets.size
      await eventually(() => stage.server.offsets.size > writtenBefore + 5)
      const connections = stage.server.connectionsEver
      await stage.chromium.devtools.end(worker!)
      await eventually(() => stage.server.connectionsEver > connections, { withinMs: 2_000 })
      const writtenAfter = stage.server.offsets.size
      await eventually(() => stage.server.offsets.size > writtenAfter + 5, { withinMs: 2_000 })
    }
    for (const page of pages) await page.evaluate(() => window.tab.stopWriting())
    for (const page of pages) {
      const report = await eventually(async () => {
        const now = await reportOf(page)
        return now.stored.every((id) => now.committed.includes(id)) ? now : undefined
      })
      expect(report.failed).toEqual([])
      expect(report.stored.length).toBeGreaterThan(15)
      expect(report.stored.filter((id) => !stage.server.offsets.has(id))).toEqual([])
    }
    for (const page of pages) await page.close()
  })

  test('[WRK-4] a worker that hangs is replaced, and the tabs agree on its successor', async () => {
    const first = await stage.open('hung', 'shared')
    const second = await stage.open('hung', 'shared')
    await eventually(async () => (await isLive(first)) && (await isLive(second)))
    const [worker] = await workerOf('hung')
    await stage.chromium.devtools.hang(worker!, 6_000)
    await Promise.all([
      first.evaluate(() => window.tab.write('first-after-hang')),
      second.evaluate(() => window.tab.write('second-after-hang')),
    ])
    await eventually(async () => (await reportOf(first)).committed.includes('first-after-hang'))
    await eventually(async () => (await reportOf(second)).committed.includes('second-after-hang'))
    await first.close()
    await second.close()
  })

  test('[WRK-5] a call that changes the relay is not repeated at the next worker', async () => {
    const page = await stage.open('admin', 'shared')
    await eventually(() => isLive(page))
    const outcome = page.evaluate(() =>
      window.tab.errorOf(() => window.tab.bridge.request('CreateTopics', {}, { isChange: true })),
    )
    expect(await page.evaluate(() => window.tab.bridge.request('Metadata', {}))).toEqual({ name: 'Metadata' })
    const [worker] = await workerOf('admin')
    await stage.chromium.devtools.end(worker!)
    expect(await outcome).toBe('OUTCOME_UNKNOWN')
    await page.close()
  })

  test('[WRK-6] the connection ends some seconds after the last tab has left, though the page lives', async () => {
    const page = await stage.open('left', 'shared')
    await eventually(() => isLive(page))
    const open = stage.server.openConnections
    await page.evaluate(() => window.tab.bridge.close())
    expect(await page.evaluate(() => window.tab.errorOf(() => window.tab.bridge.topic('t')))).toBe('CLOSED')
    await eventually(() => stage.server.openConnections < open, { withinMs: 6_000 })
    await page.close()
  })

  test('[WRK-13] a tab whose process dies is dropped: it holds nothing open', async () => {
    const first = await stage.open('crashed', 'shared')
    await eventually(() => isLive(first))
    const second = await stage.open('crashed', 'shared')
    await eventually(() => isLive(second))
    await stage.chromium.crash(second)
    const open = stage.server.openConnections
    await first.evaluate(() => window.tab.bridge.close())
    await eventually(() => stage.server.openConnections < open, { withinMs: 6_000 })
    await first.close()
    await second.close()
  })

  test('[WRK-7] pages of two builds of an application find one leader', async () => {
    const before = stage.server.connectionsEver
    const former = await stage.open('builds', 'shared')
    await eventually(() => isLive(former))
    const next = await stage.open('builds', 'shared', { script: '/worker-next.js' })
    await eventually(() => isLive(next))
    expect(stage.server.connectionsEver - before).toBe(1)
    await former.close()
    await next.evaluate(() => window.tab.write('after-the-former-build'))
    await eventually(async () => (await reportOf(next)).committed.includes('after-the-former-build'))
    await next.close()
  })

  test('[WRK-8] a script that is not there is said, and does not hang a call', async () => {
    const page = await stage.open('nowhere', 'shared', { script: '/no-such-worker.js' })
    expect(await page.evaluate(() => window.tab.errorOf(() => window.tab.bridge.topic('t')))).toBe('UNSUPPORTED')
    await page.close()
  })
})
