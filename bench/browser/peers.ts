/** Raw IndexedDB and the peers as contenders: one fresh browser and profile a run, frames from the frame source. */
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { Contender, Trial } from '../harness/scenario.ts'
import { addedMemoryMib, type Browser, startBrowser } from './browser.ts'
import { type FrameSource, startFrameSource } from './frame-source.ts'
import { buildPages, hostPages, type PageHost } from './page-host.ts'
import type { PeerTask } from './pages/contract.ts'

/** A 100 B record in a batch: 100 of value, 9 or so around it. Four batches of 64 KiB make a row of a catch-up. */
const BATCHED_RECORD_BYTES = 109
const CATCH_UP_FRAME_BYTES = 4 * 65_536
const RUN_MS_MAX = 240_000
const START_MS_MAX = 30_000
/** A browser that has just started still does work of its own. */
const SETTLE_MS = 1_000
const PEER_PAGE = 'peer-page'

export interface Peer {
  name: string
  script: string
  /** Slow ones get fewer; records per second compare all the same. */
  records: number
  frameBytes: number
  recordBytes?: number
}

export const rawCatchUpRows: Peer = {
  name: 'raw IndexedDB, 256 KiB rows',
  script: '/raw-worker.js',
  records: 1_000_000,
  frameBytes: CATCH_UP_FRAME_BYTES,
  recordBytes: BATCHED_RECORD_BYTES,
}
export const rawTailRows: Peer = { ...rawCatchUpRows, name: 'raw IndexedDB, 60 KiB rows', frameBytes: 60 * 1_024 }
export const waSqlite: Peer = {
  name: 'wa-sqlite on OPFS',
  script: '/wa-sqlite-worker.js',
  records: 1_000_000,
  frameBytes: 100_000,
}
export const dexie: Peer = { name: 'Dexie', script: '/dexie-worker.js', records: 100_000, frameBytes: 100_000 }
export const pouchdb: Peer = { name: 'PouchDB', script: '/pouchdb-worker.js', records: 20_000, frameBytes: 100_000 }

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

/** A browser on the trial's profile, its page waiting for a task, and a second of peace. */
export async function withBrowser<T>(
  trial: Trial,
  page: string,
  work: (browser: Browser, host: PageHost) => Promise<T>,
): Promise<T> {
  const { host } = await openLab()
  const browser = startBrowser(join(trial.directory, 'profile'), host.page(page))
  try {
    await host.started(START_MS_MAX)
    await pause(SETTLE_MS)
    return await work(browser, host)
  } finally {
    await browser.close()
  }
}

async function syncTask(peer: Peer, trial: Trial): Promise<PeerTask> {
  const { source } = await openLab()
  const records = trial.quick ? peer.records / 10 : peer.records
  return { script: peer.script, request: { task: 'sync', request: { records, url: source.url({ ...peer, records }) } } }
}

/** Fills an empty store; the measured values are the page's own. */
export function syncContender(peer: Peer): Contender {
  const run = async (trial: Trial) => {
    const task = await syncTask(peer, trial)
    return withBrowser(trial, PEER_PAGE, async (browser, host) => {
      const cpu = browser.cpuSeconds()
      const metrics = await host.run(task, RUN_MS_MAX)
      return { ...metrics, cpuSeconds: browser.cpuSeconds() - cpu }
    })
  }
  return { name: peer.name, run }
}

export function memoryContender(peer: Peer): Contender {
  const run = async (trial: Trial) => {
    const task = await syncTask(peer, trial)
    return withBrowser(trial, PEER_PAGE, async (browser, host) => ({
      addedMib: await addedMemoryMib(browser, () => host.run(task, RUN_MS_MAX)),
    }))
  }
  return { name: peer.name, run }
}

/** Fills, ends the browser, starts it on the same profile and opens: each in a process that knows nothing. */
export function openContender(peer: Peer): Contender {
  const run = async (trial: Trial) => {
    const task = await syncTask(peer, trial)
    const records = trial.quick ? peer.records / 10 : peer.records
    await withBrowser(trial, PEER_PAGE, (_, host) => host.run(task, RUN_MS_MAX))
    const open: PeerTask = { script: peer.script, request: { task: 'open', records } }
    return withBrowser(trial, PEER_PAGE, (_, host) => host.run(open, RUN_MS_MAX))
  }
  return { name: peer.name, run }
}

export function loneWriteContender(name: string): Contender {
  const task: PeerTask = { script: rawCatchUpRows.script, request: { task: 'lone-writes', count: 300 } }
  return { name, run: (trial) => withBrowser(trial, PEER_PAGE, (_, host) => host.run(task, RUN_MS_MAX)) }
}
