/** Channels of tabs that share a worker, in a real Chromium. */
import type { Page } from 'playwright-core'
import { expect, onTestFinished, test } from 'vitest'
import { connect } from '../../client/index.ts'
import { startChromium } from '../support/chromium.ts'
import { clientFiles } from '../support/client-files.ts'
import { eventually } from '../support/eventually.ts'
import { startPageServer } from '../support/page-server.ts'
import { startRelay } from '../support/relay.ts'

const TAB = `<!doctype html><title>tab</title><link rel="icon" href="data:,"><script type="module">
import { connect } from '/client.js'
const query = new URLSearchParams(location.search)
const ottla = await connect(query.get('relay'), { replica: 'tabs' })
window.channel = await ottla.channel('notes', 'n1', { state: query.get('name') })
window.heard = []
channel.onMessage((message) => heard.push(message))
</script>`

interface Tab {
  channel?: { others: Array<{ state: string }>; send(message: string): Promise<void> }
  heard: string[]
}

const others = (page: Page) =>
  page.evaluate(() => (window as unknown as Tab).channel?.others.map(({ state }) => state).sort() ?? [])

test('[CHN-10] two tabs behind one worker, and somebody elsewhere, see each other; a tab that is closed has left', async () => {
  const pages = await startPageServer(clientFiles())
  onTestFinished(() => pages.close())
  pages.serve('/tab.html', TAB)
  const relay = await startRelay({ config: { allowOrigins: [pages.origin] } })
  const ottla = await connect(relay.websocket.url)
  onTestFinished(() => ottla.close())
  await ottla.admin.createTopics([{ name: 'notes' }])
  const elsewhere = await ottla.channel<string, string>('notes', 'n1', { state: 'elsewhere' })
  const chromium = await startChromium()
  onTestFinished(() => chromium.close())
  const url = `${pages.origin}/tab.html?relay=${encodeURIComponent(relay.websocket.url)}`
  const [one, two] = [await chromium.open(`${url}&name=one`), await chromium.open(`${url}&name=two`)]
  await eventually(async () => (await others(one)).join() === 'elsewhere,two', {
    withinMs: 15_000,
    what: 'one sees both',
  })
  await eventually(async () => (await others(two)).join() === 'elsewhere,one', {
    withinMs: 15_000,
    what: 'two sees both',
  })
  await elsewhere.send('hello')
  for (const page of [one, two]) {
    await eventually(async () => (await page.evaluate(() => (window as unknown as Tab).heard)).join() === 'hello', {
      ...{ withinMs: 10_000, what: 'both hear it' },
    })
  }
  await two.close()
  await eventually(async () => (await others(one)).join() === 'elsewhere', {
    withinMs: 10_000,
    what: 'the tab has left',
  })
  expect(elsewhere.others.map(({ state }) => state)).toEqual(['one'])
})
