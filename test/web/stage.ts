/** The built page in a folder of its own, a relay that serves it, and a Chromium to look at it. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Page } from 'playwright-core'
import { build } from 'vite'
import { createRelay, type Relay } from '../../server/relay.ts'
import { type Chromium, startChromium } from '../support/chromium.ts'

const CONFIG = fileURLToPath(new URL('../../vite.config.ts', import.meta.url))

export interface Stage {
  readonly chromium: Chromium
  readonly url: string
  readonly relay: Relay
  open(hash: string, size?: { width: number; height: number }): Promise<Page>
  /** The relay goes away; the page's files with it. */
  stopRelay(): Promise<void>
  /** On the same port, with the same data. */
  startRelay(): Promise<void>
  /** Changes the page as a new release would: another page under another revision in the service worker. */
  release(title: string): Promise<void>
  close(): Promise<void>
}

export async function setStage(): Promise<Stage> {
  const folder = await mkdtemp(join(tmpdir(), 'ottla-page-'))
  const webDir = join(folder, 'web')
  const dataDir = join(folder, 'data')
  await build({ configFile: CONFIG, logLevel: 'error', build: { outDir: webDir, emptyOutDir: true } })
  const start = (httpPort: number) => createRelay({ webDir, config: { dataDir, httpPort, autoCreateTopics: true } })
  let relay = await start(0)
  const url = relay.http.url
  const chromium = await startChromium()
  return {
    chromium,
    url,
    get relay() {
      return relay
    },
    async open(hash, size = { width: 1280, height: 800 }) {
      const page = await chromium.open('about:blank')
      await page.setViewportSize(size)
      await page.goto(new URL(hash, url).href)
      return page
    },
    stopRelay: () => relay.close(),
    async startRelay() {
      relay = await start(Number(new URL(url).port))
    },
    async release(title) {
      const html = join(webDir, 'index.html')
      await writeFile(html, (await readFile(html, 'utf8')).replace(/<title>.*<\/title>/, `<title>${title}</title>`))
      const worker = join(webDir, 'service-worker.js')
      const revision = /(url:.index\.html.,revision:.)[0-9a-f]+|(revision:.)[0-9a-f]+(.,url:.index\.html)/
      const code = await readFile(worker, 'utf8')
      const changed = code.replace(
        revision,
        (_, before = '', other = '', after = '') => `${before}${other}${Date.now().toString(16)}${after}`,
      )
      if (changed === code) throw new Error('the service worker names no revision of index.html')
      await writeFile(worker, changed)
    },
    async close() {
      try {
        await chromium.close()
      } finally {
        await relay.close()
        await rm(folder, { recursive: true, force: true })
      }
    },
  }
}
