/** Hooks as frameworks render them, in a real Chromium, from the package's own entries. */
import type { Page } from 'playwright-core'
import * as React from 'react'
import { renderToString } from 'react-dom/server'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ottlaHooks } from '../../../client/hooks/react.ts'
import { connect, type Ottla, string } from '../../../client/index.ts'
import { createRelay, type Relay } from '../../../server/relay.ts'
import { MemoryFiles } from '../../../server/storage/memory-files.ts'
import { type Chromium, startChromium } from '../../support/chromium.ts'
import { eventually } from '../../support/eventually.ts'
import { type PageServer, startPageServer } from '../../support/page-server.ts'
import { FRAMEWORKS, pageCode, pageOf } from './page-code.ts'

let host: PageServer
let chromium: Chromium
const ended: Array<() => Promise<unknown>> = []

beforeAll(async () => {
  host = await startPageServer({ '/icon.js': '' })
  chromium = await startChromium()
})

afterAll(async () => {
  for (const end of ended) await end()
  await chromium?.close()
  await host?.close()
})

interface Stage {
  page: Page
  relay: Relay
  writer: Ottla
  shows(facts: Record<string, string>): Promise<unknown>
}

async function stageFor(framework: string): Promise<Stage> {
  const config = { dataDir: 'data', httpPort: 0, allowOrigins: [host.origin] }
  const relay = await createRelay({ files: new MemoryFiles(), config })
  const writer = await connect(relay.websocket.url)
  ended.push(async () => {
    await writer.close()
    await relay.close()
  })
  await writer.admin.createTopics([{ name: 'notes', configs: { 'cleanup.policy': 'compact' } }])
  host.serve(`/${framework}.js`, await pageCode(framework))
  host.serve(`/${framework}.html`, pageOf(framework))
  const page = await chromium.open(`${host.origin}/${framework}.html?relay=${relay.websocket.url}`)
  const facts = () =>
    page.evaluate(() => Object.fromEntries([...document.querySelectorAll('#root p')].map((p) => [p.id, p.textContent])))
  const shows = (wanted: Record<string, string>) =>
    eventually(
      async () => {
        expect(await facts()).toMatchObject(wanted)
        return true
      },
      { withinMs: 15_000, everyMs: 50, what: `${framework} shows ${JSON.stringify(wanted)}` },
    )
  return { page, relay, writer, shows }
}

test.each(FRAMEWORKS)(
  '[HKS-5] %s shows what changes, errors too, and lets go of everything when it is unmounted',
  async (framework) => {
    const { page, relay, writer, shows } = await stageFor(framework)
    const notes = writer.topic<string, string>('notes', { value: string })
    await shows({ state: 'live', rows: '', records: '', outbox: '0', missing: 'UNKNOWN_TOPIC' })
    await notes.send({ key: 'n1', value: '"one"' }).committed
    await notes.send({ key: 'm1', value: '"two"' }).committed
    await shows({ rows: 'n1=one committed', records: '"one","two"' })
    await page.evaluate(() => window.page.select('m'))
    await shows({ rows: 'm1=two committed', records: '"one","two"' })
    await eventually(() => page.evaluate(() => window.page.opened.tables === 1), {
      what: 'the former table is let go of',
    })

    await relay.close()
    await eventually(() => page.evaluate(() => window.page.ottla.status.state !== 'live'), { withinMs: 10_000 })
    await page.evaluate(async () => {
      const table = await window.page.ottla.table<string, string>('notes')
      await table.put('m2', 'three').stored
      table.close()
    })
    await shows({ rows: 'm1=two committed, m2=three pending', outbox: '1' })

    await page.evaluate(() => window.page.unmount())
    await eventually(
      async () => {
        expect(await page.evaluate(() => [window.page.opened, document.querySelector('#root')!.textContent])).toEqual([
          { listeners: 0, tables: 0, readers: 0 },
          '',
        ])
        return true
      },
      { withinMs: 10_000 },
    )
    await page.close()
  },
  60_000,
)

test('[HKS-6] React renders on a server, with what is known then, and opens nothing', async () => {
  const relay = await createRelay({ files: new MemoryFiles(), config: { dataDir: 'data', httpPort: 0 } })
  const ottla = await connect(relay.websocket.url)
  ended.push(async () => {
    await ottla.close()
    await relay.close()
  })
  const { useStatus, useTable } = ottlaHooks(React, ottla)
  const View = () => React.createElement('p', null, `${useStatus().state} ${useTable('notes').rows.length}`)
  expect(renderToString(React.createElement(View))).toBe('<p>live 0</p>')
})
