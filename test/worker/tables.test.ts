/** Tables of two tabs over one worker, in a real Chromium, with the files that a relay serves. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { connect, type Ottla, type Table } from '../../client/index.ts'
import { createRelay, type Relay } from '../../server/relay.ts'
import { type Chromium, startChromium } from '../support/chromium.ts'
import { eventually } from '../support/eventually.ts'
import { type PageServer, startPageServer } from '../support/page-server.ts'

interface Note {
  text: string
  place: string
}

declare global {
  interface Window {
    ottla: Ottla
    notes: Table<string, Note>
    heard: string[]
  }
}

const root = new URL('../../', import.meta.url).pathname

let relay: Relay
let dataDir: string
let host: PageServer
let chromium: Chromium
let port = 0

async function startRelay(): Promise<void> {
  const config = { httpPort: port, dataDir, allowOrigins: [host.origin] }
  relay = await createRelay({ config, webDir: join(root, 'dist/web') })
  port = Number(new URL(relay.http.url).port)
}

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'ottla-test-'))
  host = await startPageServer()
  await startRelay()
  const ottla = await connect(relay.websocket.url)
  await ottla.admin.createTopics([{ name: 'notes', configs: { 'cleanup.policy': 'compact' } }])
  await ottla.close()
  chromium = await startChromium()
})

afterAll(async () => {
  await chromium?.close()
  await relay?.close()
  await host?.close()
  rmSync(dataDir, { recursive: true, force: true })
})

async function openTab() {
  const page = await chromium.open(`${host.origin}/notes.html`)
  await eventually(() => page.evaluate(() => window.notes !== undefined), { withinMs: 20_000, what: 'a table' })
  return page
}

test('[TAB-17] tabs share a table: what one writes offline the other shows as pending, and both as committed', async () => {
  const base = relay.http.url.replace(/\/$/, '')
  host.serve(
    '/notes.html',
    `<!doctype html><link rel="icon" href="data:,"><script type="module">
      const { connect } = await import('${base}/client.js')
      const ottla = await connect('${relay.websocket.url}', { replica: 'notes' })
      window.heard = []
      const notes = await ottla.table('notes', { indexes: { byPlace: 'place' } })
      notes.subscribe({ prefix: 'n' }, ({ changes }) => {
        for (const { key, after } of changes) window.heard.push(key + ' ' + (after ? after.state : 'gone'))
      })
      Object.assign(window, { ottla, notes })
    </script>`,
  )
  const one = await openTab()
  const two = await openTab()
  await one.evaluate(() => window.notes.put('n1', { text: 'a', place: 'Praha' }).committed)
  await eventually(() => two.evaluate(() => window.heard.includes('n1 committed')), { withinMs: 10_000 })
  await relay.close()
  await eventually(() => one.evaluate(() => window.ottla.status.state !== 'live'), { withinMs: 10_000 })
  await one.evaluate(() => window.notes.put('n2', { text: 'b', place: 'Brno' }).stored)
  await eventually(() => two.evaluate(() => window.heard.includes('n2 pending')), { withinMs: 10_000 })
  const places = () =>
    two.evaluate(async () =>
      (await window.notes.range({ index: 'byPlace' })).map(({ value, state }) => `${value.place} ${state}`),
    )
  expect(await places()).toEqual(['Brno pending', 'Praha committed'])
  await one.close()
  await startRelay()
  await two.evaluate(() => window.ottla.wake())
  // Another worker may lead now, and then changes come as "read again".
  await eventually(async () => (await places()).join() === 'Brno committed,Praha committed', { withinMs: 15_000 })
  await two.close()
})

test('[TAB-19] a page that reads rows by itself sees its own writes, stored or committed, and soon those of others', async () => {
  const one = await openTab()
  const two = await openTab()
  const wrong = await one.evaluate(async () => {
    const { notes } = window
    const wrong: string[] = []
    for (let n = 0; n < 100; n++) {
      const receipt = notes.put('mine', { text: `${n}`, place: 'Praha' })
      await (n % 2 ? receipt.committed : receipt.stored)
      const seen = await notes.get('mine')
      if (seen?.value.text !== `${n}`) wrong.push(`${n}: ${seen?.value.text}`)
      // By itself, once nothing waits.
      while ((await notes.get('mine'))?.state !== 'committed') await new Promise((resolve) => setTimeout(resolve, 1))
      const [again] = await notes.range({ index: 'byPlace', equals: 'Praha' })
      if (!again) wrong.push(`${n}: not in the index`)
    }
    return wrong
  })
  expect(wrong).toEqual([])
  await two.evaluate(() => window.notes.put('theirs', { text: 'new', place: 'Brno' }).stored)
  await eventually(() => one.evaluate(async () => (await window.notes.get('theirs'))?.value.text === 'new'))
  await one.close()
  await two.close()
})
