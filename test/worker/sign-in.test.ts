/** Signing in of pages whose connection lives in a worker: the built files, a real Chromium, a real relay. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { Ottla } from '../../client/ottla.ts'
import type { Credentials } from '../../client/sign-in/credentials.ts'
import { startChromium } from '../support/chromium.ts'
import { clientFiles } from '../support/client-files.ts'
import { eventually } from '../support/eventually.ts'
import { startPageServer } from '../support/page-server.ts'
import { startRelay, temporaryFolder } from '../support/relay.ts'

declare global {
  interface Window {
    client: typeof import('../../worker/index.ts')
    signIn: typeof import('../../client/signed-in.ts')
    live: typeof import('../../client/live.ts')
    ottla: Ottla
    asked: number
  }
}

const PAGE = `<!doctype html><script type="module">
  window.client = await import('/client.js')
  window.live = await import('/live.js')
  window.signIn = await import('/sign-in.js')
  document.title = 'ready'
</script>`

async function setStage() {
  const pages = await startPageServer(clientFiles())
  onTestFinished(() => pages.close())
  pages.serve('/page.html', PAGE)
  const usersFile = join(await temporaryFolder(), 'users')
  await writeFile(usersFile, 'ada:secret\n', { mode: 0o600 })
  const config = { allowOrigins: [pages.origin], saslEnabledMechanisms: ['SCRAM-SHA-256' as const], usersFile }
  const relay = await startRelay({ config: { ...config, autoCreateTopics: true } })
  const chromium = await startChromium()
  onTestFinished(() => chromium.close())
  const open = async () => {
    const page = await chromium.open(`${pages.origin}/page.html`)
    await eventually(async () => (await page.title()) === 'ready')
    return page
  }
  return { url: relay.websocket.url, open }
}

test('[SAS-37] a page’s worker signs in with what the page gave, and again with what it gives later; other tabs come along', async () => {
  const { url, open } = await setStage()
  const first = await open()
  await first.evaluate(
    async ({ url, auth }) => {
      window.ottla = await window.client.connect(url, { replica: 'pages', auth })
      await window.ottla.topic('notes', { value: window.client.string }).send({ value: 'kept' }).stored
    },
    { url, auth: { username: 'ada', password: 'wrong' } as Credentials },
  )
  const state = () => first.evaluate(() => window.ottla.status.state)
  await eventually(async () => (await state()) === 'needs-auth')
  expect(await first.evaluate(() => window.ottla.status.outbox.pendingRecords)).toBe(1)

  // As after a reload: the worker is still there, with what it was given.
  const second = await open()
  await second.evaluate(async (url) => {
    window.asked = 0
    const auth = () => {
      window.asked++
      return { username: 'ada', password: 'secret' }
    }
    window.ottla = await window.client.connect(url, { replica: 'pages', auth })
  }, url)
  await eventually(async () => (await state()) === 'live')
  expect(await second.evaluate(() => window.asked)).toBe(1)
  await eventually(async () => (await first.evaluate(() => window.ottla.status.outbox.pendingRecords)) === 0)

  const read = await second.evaluate(async (url) => {
    const { string } = window.client
    const values: unknown[] = []
    // Past the replica: over a connection of the page's own.
    const live = window.ottla.topic('notes', { value: string, replica: false })
    for await (const { value } of live.read({ from: 'beginning' })) if (values.push(value)) break
    const transport = window.signIn.signedIn({ username: 'ada', password: 'secret' })
    const tail = window.live.tail(url, 'notes', { value: window.live.string, from: 'beginning', transport })
    for await (const { value } of tail) if (values.push(value)) break
    return values
  }, url)
  expect(read).toEqual(['kept', 'kept'])
})
