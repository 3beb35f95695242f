/**
 * A browser and a relay that are killed again and again, in an order that a seed decides, while two tabs and a worker of the
 * application write; before a kill the network may lose what is under way.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { type Random, randomBelow, seededRandom } from '../../protocol/lib/random.ts'
import type { Report } from '../checker/check.ts'
import { type ChildRelay, startChildRelay } from '../server/support/child-relay.ts'
import { eventually } from '../support/eventually.ts'
import { RelayClient } from '../support/relay-client.ts'
import { type ProxyMode, startTcpProxy } from '../support/tcp-proxy.ts'
import type { EngineName } from './engine/recipes.ts'
import type { Tab } from './engine/tab.ts'
import type { TrafficNote } from './fixtures/traffic.ts'
import { pathOf, startBrowserOnPages } from './stage.ts'
import { TrafficJournal } from './traffic-journal.ts'

export interface KillPlan {
  engine: EngineName
  browserKills: number
  relayKills: number
  seed: number
}

export interface KillOutcome {
  report: Report
  journal: TrafficJournal
  /** By partition. */
  log: string[][]
  /** As a tab reads it in the end. */
  read: string[]
  /** What is left in outboxes. */
  left: unknown[]
  troubles: string[]
}

type Victim = 'browser' | 'relay'

const PARTITIONS = 2
const MODES: readonly ProxyMode[] = ['pass', 'pass', 'drop-down', 'stall', 'black-hole', 'reset']
const WORKERS = ['shared', 'dedicated'] as const
const LONG = { withinMs: 120_000 }
const portOf = (url: string) => Number(new URL(url).port)
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

export async function runBrowserKills({ engine, browserKills, relayKills, seed }: KillPlan): Promise<KillOutcome> {
  const random = seededRandom(seed)
  const browser = await startBrowserOnPages(engine)
  onTestFinished(() => browser.close())
  const dataDir = await mkdtemp(join(tmpdir(), 'ottla-browser-kills-'))
  onTestFinished(() => rm(dataDir, { recursive: true, force: true }))
  const config = { dataDir, httpPort: 0, heartbeatMs: 1_000, allowOrigins: [browser.pages.origin] }
  let relay: ChildRelay = await startChildRelay({ config })
  const proxy = await startTcpProxy({ port: portOf(relay.websocket) })
  onTestFinished(() => proxy.close())
  const topicId = await (await RelayClient.open(relay.websocket)).createTopic('traffic', { partitions: PARTITIONS })

  const journal = new TrafficJournal()
  browser.talkBack.onNote = (note) => journal.note(note as TrafficNote)
  let life = 0
  const openTabs = async (): Promise<Tab[]> => {
    const worker = WORKERS[randomBelow(random, WORKERS.length)]!
    const shared = { relay: `ws://127.0.0.1:${proxy.port}/`, replica: 'kills', worker }
    const first = await browser.open(pathOf('/traffic.html', { ...shared, writer: `${life}.one`, own: `${life}.own` }))
    const second = await browser.open(pathOf('/traffic.html', { ...shared, writer: `${life}.two` }))
    for (const tab of [first, second]) await tab.until(() => window.isReady, LONG.withinMs)
    return [first, second]
  }
  const killRelay = async () => {
    await relay.kill()
    relay = await startChildRelay({ config })
    proxy.retarget(portOf(relay.websocket))
  }
  const startAgain = async () => {
    life++
    await browser.start()
    return openTabs()
  }

  let tabs = await openTabs()
  const victims = shuffled(random, browserKills, relayKills)
  for (const [index, victim] of victims.entries()) {
    if (index > 0 && index % 20 === 0) console.log(`${engine}: ${index} of ${victims.length} kills`)
    // Each writer of this life has begun, or has gone on from what earlier lives left; then any moment is as good.
    const writers = [`${life}.one`, `${life}.two`, `${life}.own`]
    const sign = random.next() < 0.5 ? 'storedBy' : 'committedBy'
    await eventually(() => writers.every((writer) => journal[sign](writer) > 0), { ...LONG, what: `all ${sign}` })
    await pause(randomBelow(random, 400))
    proxy.setMode(MODES[randomBelow(random, MODES.length)]!)
    await pause(randomBelow(random, 100))
    if (victim === 'relay') await killRelay()
    else await browser.kill()
    // Whatever was silent stays so: only a new connection may carry on.
    proxy.setMode('reset')
    proxy.setMode('pass')
    if (victim === 'browser') tabs = await startAgain()
  }
  await Promise.all(tabs.map((tab) => tab.evaluate(() => window.stopTraffic())))
  for (const tab of tabs) await eventually(() => tab.evaluate(() => window.isDrained()), { ...LONG, what: 'drained' })
  const { report, log } = await journal.judge(relay.websocket, topicId, PARTITIONS)
  const left = await tabs[0]!.evaluate(() => window.ottla.outbox.list())
  const read = await tabs[1]!.evaluate((count: number) => window.readAll(count), log.flat().length)
  return { report, journal, log, read, left, troubles: browser.takeTroubles() }
}

function shuffled(random: Random, browserKills: number, relayKills: number): Victim[] {
  const victims: Victim[] = [...Array<Victim>(browserKills).fill('browser'), ...Array<Victim>(relayKills).fill('relay')]
  for (let index = victims.length - 1; index > 0; index--) {
    const other = randomBelow(random, index + 1)
    ;[victims[index], victims[other]] = [victims[other]!, victims[index]!]
  }
  return victims
}
