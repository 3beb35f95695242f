/** Raw IndexedDB and the peers as contenders: one fresh browser and profile a run, frames from the frame source. */
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import type { Contender, Metrics, Trial } from '../harness/scenario.ts'
import { addedMemoryMib, type Browser, startBrowser } from './browser.ts'
import { type FrameSource, startFrameSource } from './frame-source.ts'
import { buildPages, hostPages, type PageHost } from './page-host.ts'
import type { WorkerRequest } from './pages/contract.ts'

/** A 100 B record in a batch: 100 of value, 9 or so around it. Seven batches of 64 KiB make a catch-up frame. */
const BATCHED_RECORD_BYTES = 109
const CATCH_UP_FRAME_BYTES = 7 * 65_536
const RUN_MS_MAX = 240_000

export interface Peer {
  name: string
  worker: string
  /** Slow ones get fewer; records per second compare all the same. */
  records: number
  frameBytes: number
  recordBytes?: number
}

export const rawCatchUpRows: Peer = {
  name: 'raw IndexedDB, 448 KiB rows',
  worker: '/raw-worker.js',
  records: 1_000_000,
  frameBytes: CATCH_UP_FRAME_BYTES,
  recordBytes: BATCHED_RECORD_BYTES,
}
export const rawTailRows: Peer = { ...rawCatchUpRows, name: 'raw IndexedDB, 60 KiB rows', frameBytes: 60 * 1_024 }
export const waSqlite: Peer = {
  name: 'wa-sqlite on OPFS',
  worker: '/wa-sqlite-worker.js',
  records: 1_000_000,
  frameBytes: 100_000,
}
export const dexie: Peer = { name: 'Dexie', worker: '/dexie-worker.js', records: 100_000, frameBytes: 100_000 }
export const pouchdb: Peer = { name: 'PouchDB', worker: '/pouchdb-worker.js', records: 20_000, frameBytes: 100_000 }

export interface BrowserLab {
  host: PageHost
  source: FrameSource
}

let lab: BrowserLab | undefined

export async function openLab(): Promise<BrowserLab> {
  if (!lab) {
    await buildPages()
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

export async function withBrowser<T>(trial: Trial, work: (browser: Browser) => Promise<T>): Promise<T> {
  const browser = await startBrowser(join(trial.directory, 'profile'))
  try {
    return await work(browser)
  } finally {
    await browser.close()
  }
}

/** Rejects when the page has not answered in time, so that a page that hangs cannot hold up the run. */
export async function within<T>(what: string, work: Promise<T>, limitMs = RUN_MS_MAX): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not end within ${limitMs / 1_000} s`)), limitMs)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}

function ask(page: Page, peer: Peer, request: WorkerRequest): Promise<Metrics> {
  const work = page.evaluate(([script, asked]) => globalThis.runInWorker(script, asked), [
    peer.worker,
    request,
  ] as const)
  return within(`${peer.name}, ${request.task}`, work)
}

function syncRequest(peer: Peer, trial: Trial, source: FrameSource): WorkerRequest {
  const records = trial.quick ? peer.records / 10 : peer.records
  return { task: 'sync', request: { records, url: source.url({ ...peer, records }) } }
}

/** Fills an empty store; the measured values are the page's own. */
export function syncContender(peer: Peer): Contender {
  return {
    name: peer.name,
    run: async (trial) => {
      const { host, source } = await openLab()
      return withBrowser(trial, async (browser) => {
        const page = await browser.open(`${host.origin}/peer-page.html`)
        const cpu = browser.cpuSeconds()
        const metrics = await ask(page, peer, syncRequest(peer, trial, source))
        return { ...metrics, cpuSeconds: browser.cpuSeconds() - cpu }
      })
    },
  }
}

export function memoryContender(peer: Peer): Contender {
  return {
    name: peer.name,
    run: async (trial) => {
      const { host, source } = await openLab()
      return withBrowser(trial, async (browser) => {
        const page = await browser.open(`${host.origin}/peer-page.html`)
        const addedMib = await addedMemoryMib(browser, () => ask(page, peer, syncRequest(peer, trial, source)))
        return { addedMib }
      })
    },
  }
}

/** Fills, ends the browser, starts it on the same profile and opens: each in a process that knows nothing. */
export function openContender(peer: Peer): Contender {
  return {
    name: peer.name,
    run: async (trial) => {
      const { host, source } = await openLab()
      const request = syncRequest(peer, trial, source)
      await withBrowser(trial, async (browser) =>
        ask(await browser.open(`${host.origin}/peer-page.html`), peer, request),
      )
      return withBrowser(trial, async (browser) => {
        const page = await browser.open(`${host.origin}/peer-page.html`)
        return ask(page, peer, { task: 'open', records: trial.quick ? peer.records / 10 : peer.records })
      })
    },
  }
}

export function loneWriteContender(name: string): Contender {
  const peer: Peer = { ...rawCatchUpRows, name }
  return {
    name,
    run: async (trial) => {
      const { host } = await openLab()
      return withBrowser(trial, async (browser) =>
        ask(await browser.open(`${host.origin}/peer-page.html`), peer, { task: 'lone-writes', count: 300 }),
      )
    },
  }
}
