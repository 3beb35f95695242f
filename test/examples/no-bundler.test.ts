/** The page without a bundler, as its three files stand, from another origin than the relay's. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { connect } from '../../client/index.ts'
import { createRelay } from '../../server/relay.ts'
import { MemoryFiles } from '../../server/storage/memory-files.ts'
import { startChromium } from '../support/chromium.ts'
import { startPageServer } from '../support/page-server.ts'

const repository = new URL('../../', import.meta.url)
const file = (name: string) => readFileSync(new URL(`examples/no-bundler/${name}`, repository), 'utf8')

test('[EXA-8] the page without a bundler, from another origin, writes a note and shows it', async () => {
  const host = await startPageServer({
    '/index.html': file('index.html'),
    '/notes.js': file('notes.js'),
    '/notes.css': file('notes.css'),
  })
  onTestFinished(() => host.close())
  const relay = await createRelay({
    files: new MemoryFiles(),
    config: { dataDir: 'data', httpPort: 0, allowOrigins: [host.origin] },
    webDir: fileURLToPath(new URL('dist/web', repository)),
  })
  onTestFinished(() => relay.close())
  const ottla = await connect(relay.websocket.url)
  await ottla.admin.createTopics([{ name: 'notes' }])
  await ottla.close()
  // The browser asks for an icon that is not there.
  const chromium = await startChromium()
  onTestFinished(() => chromium.close())
  const page = await chromium.open(`${host.origin}/index.html?relay=${relay.http.url.replace(/\/$/, '')}`)
  await page.locator('#status').filter({ hasText: 'live' }).waitFor({ timeout: 15_000 })
  await page.getByLabel('Note').fill('tea')
  await page.getByRole('button', { name: 'Write' }).click()
  await page.locator('#notes li', { hasText: 'tea' }).waitFor({ timeout: 15_000 })
  expect(await page.getByLabel('Note').inputValue()).toBe('')
})
