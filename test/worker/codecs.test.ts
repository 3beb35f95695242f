/** A page reads what Kafka's other clients have compressed: the codecs are files of their own, fetched when needed. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'
import type * as client from '../../worker/index.ts'
import { startChromium } from '../support/chromium.ts'
import { clientFiles } from '../support/client-files.ts'
import { startPageServer } from '../support/page-server.ts'
import { startRelay } from '../support/relay.ts'

declare global {
  interface Window {
    codecClient: typeof client
  }
}

const run = promisify(execFile)
const PAGE = `<!doctype html><script type="module">window.codecClient = await import('./client.js')</script>`
const CODECS = ['gzip', 'snappy', 'lz4', 'zstd']

test('[COD-1] in Chromium, with batches of kcat, in each codec', async () => {
  const pages = await startPageServer(clientFiles())
  onTestFinished(() => pages.close())
  pages.serve('/codecs.html', PAGE)
  const relay = await startRelay({ config: { kafkaPort: 0, allowOrigins: [pages.origin] } })
  await relay.engine.createTopic({ name: 't', partitionCount: 1, configs: {} })
  const values = CODECS.map((codec) => `${codec} ${'compresses well, '.repeat(100)}`)
  for (const [index, codec] of CODECS.entries()) {
    const args = ['-b', relay.kafka!.address, '-P', '-t', 't', '-z', codec]
    const writing = run('kcat', args, { timeout: 20_000 })
    writing.child.stdin?.end(values[index]!)
    await writing
  }
  const chromium = await startChromium()
  onTestFinished(() => chromium.close())
  const page = await chromium.open(`${pages.origin}/codecs.html`)
  await page.waitForFunction(() => window.codecClient !== undefined)
  const read = await page.evaluate(
    async ([url, count]) => {
      const { connect, string } = window.codecClient
      const ottla = await connect(url)
      const seen: Array<string | null> = []
      for await (const { value } of ottla.topic('t', { value: string }).read({ from: 'beginning' })) {
        seen.push(value)
        if (seen.length === count) break
      }
      await ottla.close()
      return seen
    },
    [relay.websocket.url, CODECS.length] as const,
  )
  expect(read).toEqual(values)
})
