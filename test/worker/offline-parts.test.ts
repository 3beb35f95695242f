/** Drafts, and draining as a service worker does it, from the files that pages without a bundler import. */
import { readdirSync, readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { connect, string } from '../../client/index.ts'
import { type Chromium, startChromium } from '../support/chromium.ts'
import { type PageServer, startPageServer } from '../support/page-server.ts'
import { startRelay, temporaryFolder } from '../support/relay.ts'

// Browsers on a busy machine.
vi.setConfig({ testTimeout: 60_000 })

declare global {
  interface Window {
    parts: typeof import('../../worker/offline/index.ts')
    drain: typeof import('../../worker/offline/drain.ts')
    draft: import('../../worker/offline/drafts.ts').Draft
  }
}

const PAGE = `<!doctype html><link rel="icon" href="data:,">
<form><textarea name="text"></textarea><input name="place"><input type="password" name="secret"><input type="hidden" name="photo">
<input type="checkbox" name="sure" value="yes"><select name="kind"><option>bird</option><option>fish</option></select></form>
<script type="module">
  window.client = await import('/client.js')
  window.parts = await import('/offline.js')
  window.drain = await import('/offline-worker.mjs')
  window.draft = window.parts.keepDraft(document.querySelector('form'), 'note')
  document.title = 'ready'
</script>`

let pages: PageServer
let chromium: Chromium

beforeAll(async () => {
  const folder = fileURLToPath(new URL('../../dist/web', import.meta.url))
  const scripts = readdirSync(folder).filter((name) => /\.m?js$/.test(name))
  // As JavaScript, whatever the ending: the test's server knows one.
  const files = scripts.map(
    (name) => [`/${name.replace('.mjs', '.mjs.js')}`, readFileSync(join(folder, name))] as const,
  )
  pages = await startPageServer({
    ...Object.fromEntries(files),
    '/page.html': PAGE.replace('worker.mjs', 'worker.mjs.js'),
  })
  chromium = await startChromium()
})

afterAll(async () => {
  await chromium?.close()
  await pages?.close()
})

async function open(): Promise<Page> {
  const page = await chromium.open(`${pages.origin}/page.html`)
  await page.waitForFunction(() => document.title === 'ready')
  return page
}

const valuesIn = (page: Page) =>
  page.evaluate(() => Object.fromEntries(new FormData(document.querySelector('form')!)) as Record<string, string>)

test('[OFF-5] a form’s draft outlives reload and tab, each tab with its own; passwords are not kept, what is long only while there is room', async () => {
  const one = await open()
  await one.locator('[name=text]').fill('from the first')
  await one.locator('[name=secret]').fill('hunter2')
  await one.locator('[name=sure]').check()
  await one.locator('[name=kind]').selectOption('fish')
  const two = await open()
  expect(await valuesIn(two)).toMatchObject({ text: 'from the first', sure: 'yes', kind: 'fish', secret: '' })
  await two.locator('[name=text]').fill('from the second')
  await one.reload()
  await one.waitForFunction(() => document.title === 'ready')
  expect(await valuesIn(one)).toMatchObject({ text: 'from the first', kind: 'fish', secret: '' })
  await one.evaluate(() => {
    document.querySelector<HTMLInputElement>('[name=photo]')!.value = 'x'.repeat(6_000_000)
    window.draft.keep()
  })
  await one.reload()
  await one.waitForFunction(() => document.title === 'ready')
  expect(await valuesIn(one)).toMatchObject({ text: 'from the first', photo: '' })
  await one.evaluate(() => window.draft.clear())
  await one.reload()
  await one.waitForFunction(() => document.title === 'ready')
  expect(await valuesIn(one)).toMatchObject({ text: '' })
  await one.close()
  await two.close()
})

/** With one write left in the outbox, and nobody who leads. */
async function leave(page: Page, url: string, replica: string): Promise<void> {
  await page.evaluate(
    async ([url, replica]) => {
      const ottla = await window.client.connect(url!, { replica })
      await ottla.topic('notes', { value: window.client.string }).send({ value: 'left' }).stored
      await ottla.close()
    },
    [url, replica],
  )
}

const drainIn = (page: Page, url: string, replica: string, stalledMsMax = 20_000) =>
  page.evaluate(
    ({ url, replica, stalledMsMax }) =>
      window.drain.drainOutbox({ url, replica, stalledMsMax, backoff: { delayMsFirst: 20 } }).then(
        () => 'drained',
        (error: { code: string }) => error.code,
      ),
    { url, replica, stalledMsMax },
  )

test('[OFF-6] draining ends when nothing waits, gives up when it does not get on, and says when nobody is signed in', async () => {
  const config = { allowOrigins: [pages.origin], autoCreateTopics: true, dataDir: await temporaryFolder() }
  const before = await startRelay({ config })
  const url = before.websocket.url
  await before.close()
  const page = await open()
  await leave(page, url, 'far')
  expect(await drainIn(page, url, 'far', 1_000)).toBe('TIMEOUT')
  await startRelay({ config: { ...config, httpPort: Number(new URL(url).port) } })
  expect(await drainIn(page, url, 'far')).toBe('drained')
  expect(await drainIn(page, url, 'far')).toBe('drained')
  const reader = await connect(url)
  const values: string[] = []
  for await (const { value } of reader.topic('notes', { value: string }).read({ from: 'beginning', follow: false })) {
    values.push(value!)
  }
  await reader.close()
  expect(values).toEqual(['left'])

  const usersFile = join(await temporaryFolder(), 'users')
  await writeFile(usersFile, 'ada:secret\n', { mode: 0o600 })
  const guarded = await startRelay({
    config: { ...config, dataDir: await temporaryFolder(), saslEnabledMechanisms: ['SCRAM-SHA-256'], usersFile },
  })
  await leave(page, guarded.websocket.url, 'guarded')
  expect(await drainIn(page, guarded.websocket.url, 'guarded')).toBe('NEEDS_AUTH')
  await page.close()
})
