/** A page as it is built, served by a relay of its own that can go and come back, and a Chromium to use it. */
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Page } from 'playwright-core'
import type { RelayConfig } from '../../server/config.ts'
import { createRelay, type Relay } from '../../server/relay.ts'
import { type Chromium, startChromium } from './chromium.ts'
import { nextRelease } from './next-release.ts'

export interface Size {
  width: number
  height: number
}

export interface PageStage {
  readonly chromium: Chromium
  readonly url: string
  readonly relay: Relay
  open(hash?: string, size?: Size): Promise<Page>
  /** The relay goes away; the page's files with it. */
  stopRelay(): Promise<void>
  /** On the same port, with the same data. */
  startRelay(): Promise<void>
  /** Changes the page as a new release would: another page under another revision in the service worker. */
  release(title: string): Promise<void>
  close(): Promise<void>
}

export interface PageStageOptions {
  /** Of a window that is opened without another. Default: a phone's. */
  size?: Size
  config?: Partial<RelayConfig>
}

const PHONE: Size = { width: 390, height: 844 }

/** `built` is the page's folder below dist/. */
export async function setPageStage(
  built: string,
  { size: usual = PHONE, config = {} }: PageStageOptions = {},
): Promise<PageStage> {
  const folder = await mkdtemp(join(tmpdir(), 'ottla-page-'))
  const webDir = join(folder, 'web')
  await cp(fileURLToPath(new URL(`../../dist/${built}`, import.meta.url)), webDir, { recursive: true })
  const dataDir = join(folder, 'data')
  const start = (httpPort: number) => createRelay({ webDir, config: { dataDir, httpPort, ...config } })
  let relay = await start(0)
  const url = relay.http.url
  const chromium = await startChromium()
  return {
    chromium,
    url,
    get relay() {
      return relay
    },
    async open(hash = '', size = usual) {
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
      const [html, worker] = ['index.html', 'service-worker.js'].map((name) => join(webDir, name))
      const next = nextRelease(await readFile(html!, 'utf8'), await readFile(worker!, 'utf8'), title)
      await writeFile(html!, next.html)
      await writeFile(worker!, next.worker)
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

/** Resolves when the shell is in the cache and this page is under the service worker's control. */
export async function startsOffline(page: Page): Promise<void> {
  await page.waitForFunction(() => navigator.serviceWorker.controller !== null)
}

export const shows = (page: Page, text: string | RegExp, withinMs = 15_000) =>
  page.getByText(text).locator('visible=true').first().waitFor({ timeout: withinMs })
