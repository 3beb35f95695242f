/** What all pages of a run come from: the page host and the frame source, and a browser on a profile with its page waiting. */
import { setTimeout as pause } from 'node:timers/promises'
import { type Browser, startBrowser } from './browser.ts'
import type { Engine } from './engines.ts'
import { type FrameSource, startFrameSource } from './frame-source.ts'
import { buildPages, hostPages, type PageHost } from './page-host.ts'

const START_MS_MAX = 60_000
/** A browser that has just started still does work of its own. */
const SETTLE_MS = 1_000

export interface Lab {
  host: PageHost
  source: FrameSource
}

let built: Promise<void> | undefined
let lab: Lab | undefined

/** On the same ports until `closeLab`: the pages' databases belong to their origin. */
export async function openLab(): Promise<Lab> {
  if (!lab) {
    built ??= buildPages()
    await built
    lab = { host: await hostPages(), source: await startFrameSource() }
  }
  return lab
}

export async function closeLab(): Promise<void> {
  const closing = lab
  lab = undefined
  await closing?.host.close()
  await closing?.source.close()
}

export async function withBrowser<T>(
  engine: Engine,
  profile: string,
  page: string,
  work: (browser: Browser, host: PageHost) => Promise<T>,
): Promise<T> {
  const { host } = await openLab()
  const browser = await startBrowser(engine.name, profile, host.page(page))
  try {
    await host.started(START_MS_MAX)
    await pause(SETTLE_MS)
    return await work(browser, host)
  } finally {
    await browser.close()
  }
}
