/** Tabs as members of a group, in a real Chromium: they share partitions, one dies, the others take over. */
import type { Page } from 'playwright-core'
import { expect, onTestFinished, test } from 'vitest'
import { connect, string } from '../../client/index.ts'
import { startChromium } from '../support/chromium.ts'
import { clientFiles } from '../support/client-files.ts'
import { eventually } from '../support/eventually.ts'
import { startPageServer } from '../support/page-server.ts'
import { startRelay } from '../support/relay.ts'

const PARTITIONS = 6
const TAB = `<!doctype html><title>tab</title><link rel="icon" href="data:,"><script type="module">
import { connect, string } from '/client.js'
const ottla = await connect(new URLSearchParams(location.search).get('relay'), { replica: 'tabs' })
const group = ottla.group('tabs', { rebalanceTimeoutMs: 3000 })
const consumer = group.read('work', { value: string, from: 'beginning' })
const seen = []
consumer.each(({ value }) => { seen.push(value) }).catch((error) => { window.failure = String(error) })
window.state = () => ({ seen, failure: window.failure, parts: consumer.status?.partitions.length ?? 0 })
window.ask = async (value) => {
  const receipt = ottla.topic('work', { value: string }).send({ value }, { receipt: 'tabs', deadlineMs: 15000 })
  return receipt.processed.then(() => 'handled', (error) => String(error.code))
}
</script>`

interface TabState {
  seen: string[]
  failure?: string
  parts: number
}

const stateOf = (page: Page) => page.evaluate(() => (window as unknown as { state(): TabState }).state())
const ask = (page: Page, value: string) =>
  page.evaluate((text) => (window as unknown as { ask(value: string): Promise<string> }).ask(text), value)

/** Tabs that are members, a relay that misses them after `sessionMs`, and what else writes and looks. */
async function tabsInGroup(count: number, sessionMs: number) {
  const pages = await startPageServer(clientFiles())
  onTestFinished(() => pages.close())
  pages.serve('/tab.html', TAB)
  pages.serve('/elsewhere.html', '<!doctype html><title>elsewhere</title><link rel="icon" href="data:,">')
  const relay = await startRelay({
    config: {
      ...{ kafkaPort: 0, allowOrigins: [pages.origin] },
      ...{ groupConsumerSessionTimeoutMs: sessionMs, groupConsumerHeartbeatIntervalMs: 200 },
    },
  })
  const ottla = await connect(relay.websocket.url)
  onTestFinished(() => ottla.close())
  await ottla.admin.createTopics([{ name: 'work', partitions: PARTITIONS }])
  const work = ottla.topic('work', { value: string })
  const write = async (first: number, records: number) => {
    const messages = Array.from({ length: records }, (_, index) => ({
      value: `${first + index}`,
      partition: index % PARTITIONS,
    }))
    await Promise.all(work.sendAll(messages).map(({ committed }) => committed))
  }
  const chromium = await startChromium()
  onTestFinished(() => chromium.close())
  const url = `${pages.origin}/tab.html?relay=${encodeURIComponent(relay.websocket.url)}`
  const tabs = await Promise.all(Array.from({ length: count }, () => chromium.open(url)))
  const settled = (of: Page[], parts: number, withinMs = 20_000) =>
    eventually(async () => (await Promise.all(of.map(stateOf))).every((state) => state.parts === parts), { withinMs })
  return { ottla, chromium, tabs, write, settled, elsewhere: `${pages.origin}/elsewhere.html`, url }
}

test('[CON-21] three tabs share a group, one is killed, the others take over and nothing is lost; receipts reach a tab', async () => {
  const { chromium, tabs, write, settled } = await tabsInGroup(3, 1_500)
  await settled(tabs, 2)
  await write(0, 60)
  await eventually(async () => (await Promise.all(tabs.map(stateOf))).every(({ seen }) => seen.length === 20), {
    withinMs: 10_000,
  })
  const [lost, ...left] = tabs as [Page, Page, Page]
  const before = (await stateOf(lost)).seen
  await chromium.crash(lost)
  await write(60, 60)
  await settled(left, 3)
  const all = Array.from({ length: 120 }, (_, index) => `${index}`)
  await eventually(
    async () => {
      const seen = new Set([...before, ...(await Promise.all(left.map(stateOf))).flatMap((state) => state.seen)])
      return all.every((value) => seen.has(value))
    },
    { withinMs: 15_000 },
  )
  expect(await ask(left[0], 'a record of its own')).toBe('handled')
  for (const page of left) expect((await stateOf(page)).failure).toBeUndefined()
}, 60_000)

test('[CON-33] a tab that stands still for longer than its session loses its partitions, and joins again when it goes on', async () => {
  const { tabs, write, settled } = await tabsInGroup(2, 1_500)
  const [awake, asleep] = tabs as [Page, Page]
  await settled(tabs, 3)
  // No timer, no message: as a frozen page, but for tabs that are in front too.
  const debug = await asleep.context().newCDPSession(asleep)
  await debug.send('Debugger.enable')
  await debug.send('Debugger.pause')
  await settled([awake], 6)
  await write(0, 60)
  await eventually(async () => (await stateOf(awake)).seen.length === 60, { withinMs: 10_000 })
  await debug.send('Debugger.resume')
  await settled(tabs, 3)
  await write(60, 60)
  await eventually(async () => (await Promise.all(tabs.map(stateOf))).map(({ seen }) => seen.length).join() === '90,30')
}, 60_000)

test('[CON-36] a tab that is closed, or goes to another page, leaves the group at once; one that comes back joins again', async () => {
  const sessionMs = 30_000
  const { tabs, write, settled, elsewhere, url } = await tabsInGroup(3, sessionMs)
  const [stays, closes, goes] = tabs as [Page, Page, Page]
  await settled(tabs, 2)
  await write(0, 60)
  await eventually(async () => (await Promise.all(tabs.map(stateOf))).every(({ seen }) => seen.length === 20))
  await closes.close()
  await settled([stays, goes], 3, sessionMs / 3)
  await goes.goto(elsewhere)
  await settled([stays], 6, sessionMs / 3)
  await goes.goto(url)
  await settled([stays, goes], 3, sessionMs / 3)
  await write(60, 60)
  const seenBy = async () => (await Promise.all([stays, goes].map(stateOf))).map(({ seen }) => seen.length)
  await eventually(async () => (await seenBy()).join() === '50,30')
}, 60_000)
