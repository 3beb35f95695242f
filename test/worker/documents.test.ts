/** Documents edited together by pages in a real Chromium: two tabs of ours over one worker, and the stock provider. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createRelay, type Relay } from '../../server/relay.ts'
import { bundle } from '../support/bundle.ts'
import { type Chromium, startChromium } from '../support/chromium.ts'
import { clientFiles } from '../support/client-files.ts'
import { eventually } from '../support/eventually.ts'
import { type PageServer, startPageServer } from '../support/page-server.ts'

declare global {
  interface Window {
    editor: typeof import('./fixtures/editor-page.ts').editor
  }
}

let pages: PageServer
let chromium: Chromium
let dataDir: string
let relay: Relay
let port = 0

async function startRelay(): Promise<void> {
  const config = { httpPort: port, dataDir, autoCreateTopics: true, allowOrigins: [pages.origin] }
  relay = await createRelay({ config })
  port = Number(new URL(relay.http.url).port)
}

beforeAll(async () => {
  pages = await startPageServer({
    '/editor.html': '<!doctype html><link rel="icon" href="data:,"><script type="module" src="/editor.js"></script>',
    '/editor.js': await bundle('./fixtures/editor-page.ts', import.meta.url),
    ...clientFiles(),
  })
  dataDir = mkdtempSync(join(tmpdir(), 'ottla-test-'))
  await startRelay()
  chromium = await startChromium()
})

afterAll(async () => {
  await chromium?.close()
  await relay?.close()
  await pages?.close()
  rmSync(dataDir, { recursive: true, force: true })
})

async function open(documentId: string, more: Record<string, string> = {}): Promise<Page> {
  const query = new URLSearchParams({ relay: `ws://127.0.0.1:${port}`, document: documentId, ...more })
  const page = await chromium.open(`${pages.origin}/editor.html?${query}`)
  await untilReady(page)
  return page
}

const untilReady = (page: Page) =>
  eventually(() => page.evaluate(() => window.editor !== undefined), { withinMs: 20_000, what: 'an editor' })
const append = (page: Page, words: string) => page.evaluate((given) => window.editor.append(given), words)
const textIn = (page: Page) => page.evaluate(() => window.editor.text())

async function untilAllHave(editors: readonly Page[], text: string): Promise<void> {
  for (const page of editors) {
    await eventually(async () => expect(await textIn(page)).toBe(text), { withinMs: 20_000, what: 'all have the same' })
  }
}

test('[DOC-9] two tabs edit, one offline and loaded again there; on return both have everything, and it is saved', async () => {
  const [one, two] = [await open('trip'), await open('trip')]
  await append(one, 'Praha ')
  await untilAllHave([one, two], 'Praha ')
  await append(two, 'Brno ')
  await untilAllHave([one, two], 'Praha Brno ')
  await relay.close()
  await eventually(() => one.evaluate(() => !window.editor.isSynced()), { withinMs: 10_000, what: 'offline' })
  await append(one, 'Wien ')
  // Within `batchMs` nothing has been handed over yet, so closing the page has to.
  await one.reload()
  await untilReady(one)
  await untilAllHave([one], 'Praha Brno Wien ')
  await append(one, 'Berlin ')
  await two.close()
  await startRelay()
  await one.evaluate(() => window.editor.wake())
  await eventually(() => one.evaluate(() => window.editor.isSynced() && window.editor.isSaved()), {
    ...{ withinMs: 20_000, what: 'all is on the disk of the relay' },
  })
  const late = await open('trip')
  await untilAllHave([one, late], 'Praha Brno Wien Berlin ')
  await one.close()
  await late.close()
})

test('[DOC-8] the stock provider of y-websocket in a page edits the same document, and both kinds see who is there', async () => {
  const [ours, stock] = [await open('shared'), await open('shared', { stock: 'yes' })]
  await append(ours, 'ours ')
  await untilAllHave([ours, stock], 'ours ')
  await append(stock, 'theirs ')
  await untilAllHave([ours, stock], 'ours theirs ')
  await ours.evaluate(() => window.editor.nameMe('Ada'))
  await stock.evaluate(() => window.editor.nameMe('Bob'))
  for (const page of [ours, stock]) {
    await eventually(async () => expect(await page.evaluate(() => window.editor.names())).toEqual(['Ada', 'Bob']), {
      ...{ withinMs: 10_000, what: 'both see both' },
    })
  }
  await relay.close()
  await append(ours, 'offline ')
  await append(stock, 'too ')
  await startRelay()
  await ours.evaluate(() => window.editor.wake())
  await eventually(
    async () =>
      (await textIn(ours)).length === 'ours theirs offline too '.length &&
      (await textIn(ours)) === (await textIn(stock)),
    {
      ...{ withinMs: 20_000, what: 'both have both' },
    },
  )
  await stock.close()
  await eventually(async () => expect(await ours.evaluate(() => window.editor.names())).toEqual(['Ada']), {
    ...{ withinMs: 15_000, what: 'who left is gone' },
  })
  await ours.close()
})
