/** The real client as a contender, against a relay whose topic was filled before. */
import { join } from 'node:path'
import { load } from '../harness/load-client.ts'
import type { Contender, Metrics, Trial } from '../harness/scenario.ts'
import { type Server, startRelay } from '../harness/servers.ts'
import type { Engine } from './engines.ts'
import { closeLab, withBrowser } from './lab.ts'
import { memoryDuring } from './memory.ts'
import type { OttlaTask } from './pages/contract.ts'
import { BATCHED_RECORD_BYTES } from './peers.ts'
import type { ProfileShelf } from './profile-shelf.ts'
import { bytesStored } from './profile-size.ts'

const RUN_MS_MAX = 240_000
const PAGE = 'ottla-page'
/** The pages come from the page host, not from the relay. */
const ANY_ORIGIN = ['--allow-origins', '*']

type Kind = Pick<OttlaTask, 'place' | 'isEncrypted'> & { name: string }

export const inWorker: Kind = { name: 'Ottla', place: 'worker', isEncrypted: false }
export const inPage: Kind = { name: 'Ottla, in the page', place: 'page', isEncrypted: false }
export const encrypted: Kind = { name: 'Ottla, encrypted', place: 'worker', isEncrypted: true }

let relay: Server | undefined

/** As Kafka's producer makes them unless it is told otherwise. */
const BATCH_BYTES = 16_384

/** A relay with a topic for each number of records, started anew so that it serves them from disk. */
export async function fillRelay(trial: Trial, ...counts: number[]): Promise<void> {
  const folder = join(trial.directory, 'relay')
  const filling = await startRelay(folder, ANY_ORIGIN)
  for (const count of counts) {
    const bytes = (trial.quick ? count / 10 : count) * BATCHED_RECORD_BYTES
    const one = {
      port: filling.port,
      topic: topicOf(count),
      'warm-ms': 0,
      producers: 1,
      'in-flight': 1,
      'batch-bytes': BATCH_BYTES,
    }
    await load('produce', { ...one, bytes })
  }
  await filling.stop()
  relay = await startRelay(folder, ANY_ORIGIN)
}

const topicOf = (records: number) => `records-${records}`

export async function closeRelayAndLab(): Promise<void> {
  const stopping = relay
  relay = undefined
  await stopping?.stop()
  await closeLab()
}

function task(name: OttlaTask['task'], { place, isEncrypted }: Kind, records: number): OttlaTask {
  if (!relay) throw new Error('the relay was not filled')
  return { task: name, place, isEncrypted, url: `ws://127.0.0.1:${relay.port}`, topic: topicOf(records) }
}

export function ottlaSync(engine: Engine, kind: Kind, records: number): Contender {
  const run = async (trial: Trial) => {
    const profile = join(trial.directory, 'profile')
    const metrics: Metrics = await withBrowser(engine, profile, PAGE, async (browser, host) => {
      const cpu = browser.cpuSeconds()
      const measured = await host.run(task('sync', kind, records), RUN_MS_MAX)
      return { ...measured, cpuSeconds: browser.cpuSeconds() - cpu }
    })
    return { ...metrics, storedBytes: bytesStored(profile) / metrics.records! }
  }
  return { name: kind.name, run }
}

export function ottlaMemory(engine: Engine, name: string, records: number): Contender {
  const run = (trial: Trial) =>
    withBrowser(engine, join(trial.directory, 'profile'), PAGE, (browser, host) =>
      memoryDuring(browser, () => host.run(task('sync', inWorker, records), RUN_MS_MAX)),
    )
  return { name, run }
}

/** See useContender. */
export function ottlaUse(engine: Engine, kind: Kind, records: number, shelf: ProfileShelf): Contender {
  const run = async (trial: Trial) => {
    const profile = await shelf.copyOf(kind.name, trial, (empty) =>
      withBrowser(engine, empty, PAGE, (_, host) => host.run(task('sync', kind, records), RUN_MS_MAX)),
    )
    return withBrowser(engine, profile, PAGE, (_, host) => host.run(task('use', kind, records), RUN_MS_MAX))
  }
  return { name: kind.name, run }
}
