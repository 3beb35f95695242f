/** The real client as a contender, against a relay whose topic was filled before. */
import { join } from 'node:path'
import { load } from '../harness/load-client.ts'
import type { Contender, Trial } from '../harness/scenario.ts'
import { type Server, startRelay } from '../harness/servers.ts'
import { addedMemoryMib } from './browser.ts'
import type { OttlaTask } from './pages/contract.ts'
import { closeLab, withBrowser } from './peers.ts'

const RUN_MS_MAX = 120_000
const PAGE = 'ottla-page'
const TOPIC = 'records'
const BATCHED_RECORD_BYTES = 109
/** The pages come from the page host, not from the relay. */
const ANY_ORIGIN = ['--allow-origins', '*']

export type Place = OttlaTask['place']
export const OTTLA = 'Ottla'
const nameOf = (place: Place) => (place === 'worker' ? OTTLA : `${OTTLA}, in the page`)

let relay: Server | undefined

/** A relay with one topic of so many records, started anew so that it serves them from disk. */
export async function fillRelay(trial: Trial, records: number): Promise<void> {
  const folder = join(trial.directory, 'relay')
  const bytes = (trial.quick ? records / 10 : records) * BATCHED_RECORD_BYTES
  relay = await startRelay(folder, ANY_ORIGIN)
  await load('produce', { port: relay.port, topic: TOPIC, bytes, 'warm-ms': 0, producers: 1, 'in-flight': 1 })
  await relay.stop()
  relay = await startRelay(folder, ANY_ORIGIN)
}

export async function closeRelayAndLab(): Promise<void> {
  const stopping = relay
  relay = undefined
  await stopping?.stop()
  await closeLab()
}

function task(name: OttlaTask['task'], place: Place): OttlaTask {
  if (!relay) throw new Error('the relay was not filled')
  return { task: name, place, url: `ws://127.0.0.1:${relay.port}`, topic: TOPIC, count: 300 }
}

export function ottlaSync(place: Place): Contender {
  const run = (trial: Trial) =>
    withBrowser(trial, PAGE, async (browser, host) => {
      const cpu = browser.cpuSeconds()
      const metrics = await host.run(task('sync', place), RUN_MS_MAX)
      return { ...metrics, cpuSeconds: browser.cpuSeconds() - cpu }
    })
  return { name: nameOf(place), run }
}

export function ottlaMemory(place: Place): Contender {
  const run = (trial: Trial) =>
    withBrowser(trial, PAGE, async (browser, host) => ({
      addedMib: await addedMemoryMib(browser, () => host.run(task('sync', place), RUN_MS_MAX)),
    }))
  return { name: nameOf(place), run }
}

export function ottlaOpen(place: Place): Contender {
  const run = async (trial: Trial) => {
    await withBrowser(trial, PAGE, (_, host) => host.run(task('sync', place), RUN_MS_MAX))
    return withBrowser(trial, PAGE, (_, host) => host.run(task('open', place), RUN_MS_MAX))
  }
  return { name: nameOf(place), run }
}

export function ottlaLoneWrite(place: Place): Contender {
  const run = (trial: Trial) => withBrowser(trial, PAGE, (_, host) => host.run(task('lone-writes', place), RUN_MS_MAX))
  return { name: nameOf(place), run }
}
