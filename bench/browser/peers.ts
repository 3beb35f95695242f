/** Raw IndexedDB and the peers as contenders: frames from the frame source into an empty store, and a full one in use. */
import { join } from 'node:path'
import type { Contender, Trial } from '../harness/scenario.ts'
import type { Engine } from './engines.ts'
import { openLab, withBrowser } from './lab.ts'
import { memoryDuring } from './memory.ts'
import type { PeerTask } from './pages/contract.ts'
import type { ProfileShelf } from './profile-shelf.ts'
import { bytesStored } from './profile-size.ts'

/** A 100 B record in a batch: 100 of value, 9 or so around it. Four batches of 64 KiB make a row of a catch-up. */
export const BATCHED_RECORD_BYTES = 109
const CATCH_UP_FRAME_BYTES = 4 * 65_536
const RUN_MS_MAX = 240_000
const PAGE = 'peer-page'

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
export const dexie: Peer = { name: 'Dexie', script: '/dexie-worker.js', records: 50_000, frameBytes: 100_000 }
export const pouchdb: Peer = { name: 'PouchDB', script: '/pouchdb-worker.js', records: 10_000, frameBytes: 100_000 }
export const rxdb: Peer = { name: 'RxDB', script: '/rxdb-worker.js', records: 10_000, frameBytes: 100_000 }

const recordsOf = (peer: Peer, { quick }: Trial) => (quick ? peer.records / 10 : peer.records)

async function syncTask(peer: Peer, trial: Trial): Promise<PeerTask> {
  const { source } = await openLab()
  const records = recordsOf(peer, trial)
  return { script: peer.script, request: { task: 'sync', request: { records, url: source.url({ ...peer, records }) } } }
}

/** The measured values are the page's own, but CPU, and what lies in the profile once the browser has ended. */
export function syncContender(engine: Engine, peer: Peer): Contender {
  const run = async (trial: Trial) => {
    const task = await syncTask(peer, trial)
    const profile = join(trial.directory, 'profile')
    const metrics = await withBrowser(engine, profile, PAGE, async (browser, host) => {
      const cpu = browser.cpuSeconds()
      const measured = await host.run(task, RUN_MS_MAX)
      return { ...measured, cpuSeconds: browser.cpuSeconds() - cpu }
    })
    return { ...metrics, storedBytes: bytesStored(profile) / recordsOf(peer, trial) }
  }
  return { name: peer.name, run }
}

export function memoryContender(engine: Engine, peer: Peer): Contender {
  const run = async (trial: Trial) => {
    const task = await syncTask(peer, trial)
    return withBrowser(engine, join(trial.directory, 'profile'), PAGE, (browser, host) =>
      memoryDuring(browser, () => host.run(task, RUN_MS_MAX)),
    )
  }
  return { name: peer.name, run }
}

/** On a copy of a full profile, in a browser that knows nothing of it but what is on the disk. */
export function useContender(engine: Engine, peer: Peer, shelf: ProfileShelf): Contender {
  const run = async (trial: Trial) => {
    const task = await syncTask(peer, trial)
    const profile = await shelf.copyOf(peer.name, trial, (empty) =>
      withBrowser(engine, empty, PAGE, (_, host) => host.run(task, RUN_MS_MAX)),
    )
    const use: PeerTask = { script: peer.script, request: { task: 'use', records: recordsOf(peer, trial) } }
    return withBrowser(engine, profile, PAGE, (_, host) => host.run(use, RUN_MS_MAX))
  }
  return { name: peer.name, run }
}
