/** Writes 10,000 readings a second, as four sites with many meters would. Runs in a thread beside the relay. */
import { parentPort, workerData } from 'node:worker_threads'
import { connect, json } from '../../client/node.ts'
import { sleep, systemClock } from '../../protocol/lib/clock.ts'
import { PARTITIONS, type Reading, SITES, TOPIC } from './readings.ts'

const PER_SECOND = 10_000
const TICK_MS = 50
/** What a feed that was held up makes good for at once. */
const BEHIND_MAX = PER_SECOND

const ending = new AbortController()
parentPort?.once('message', () => ending.abort())
await feed((workerData as { url: string }).url, ending.signal)
process.exit(0)

async function feed(url: string, signal: AbortSignal): Promise<void> {
  const ottla = await connect(url, { clientId: 'dashboard-feeder' })
  // A minute is looked at: ten are plenty. Nothing of it needs to outlive a power cut.
  const configs = { 'retention.ms': '600000', 'segment.bytes': '16777216', 'ottla.durability': 'relaxed' }
  await ottla.admin.createTopics([{ name: TOPIC, partitions: PARTITIONS, configs }], { ifNotExists: true })
  const readings = ottla.topic<string, Reading>(TOPIC, { value: json<Reading>() })
  const startedMs = systemClock.monotonic()
  let sent = 0
  while (!signal.aborted) {
    const due = Math.floor(((systemClock.monotonic() - startedMs) * PER_SECOND) / 1000)
    const count = Math.min(due - sent, BEHIND_MAX)
    sent = due
    const nowMs = systemClock.now()
    // Each at its own time, however late the feed itself is.
    const batch = Array.from({ length: count }, (_, index) =>
      reading(index, nowMs - ((count - index) * 1000) / PER_SECOND),
    )
    for (const { committed } of readings.sendAll(batch)) committed.catch(() => {})
    await readings.whenRoom()
    await sleep(systemClock, TICK_MS, signal).catch(() => {})
  }
  await ottla.close()
}

/** A day in a minute, with noise: sites wake one after another. */
function reading(index: number, atMs: number) {
  const at = index % SITES.length
  const site = SITES[at]!
  const turn = (atMs / 60_000 + at / SITES.length) * 2 * Math.PI
  const kilowatts =
    Math.round((60 + 35 * Math.sin(turn) + 12 * Math.sin(turn * 7) + (Math.random() - 0.5) * 20) * 10) / 10
  return { key: `${site}-${index % 100}`, value: { site, kilowatts }, timestamp: Math.round(atMs) }
}
