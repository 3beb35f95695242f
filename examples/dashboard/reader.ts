/** Reads the topic in a worker and tells the page ten times a second what it comes to: the page has nothing to do but draw. */
import { connect, json } from 'ottla'
import { Aggregate, type Snapshot } from './aggregate.ts'
import { type Reading, TOPIC, WINDOW_MS } from './readings.ts'

const TELL_EVERY_MS = 100
const AGAIN_MS = 1_000

declare const self: DedicatedWorkerGlobalScope

const aggregate = new Aggregate()
let error = ''

const relayUrl = `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}`
const ottla = await connect(relayUrl, { lazy: true })
setInterval(() => {
  const snapshot: Snapshot = { ...aggregate.snapshot(Date.now()), state: ottla.status.state, error }
  self.postMessage(snapshot, [snapshot.times.buffer, ...snapshot.series.map(({ buffer }) => buffer)])
}, TELL_EVERY_MS)

const readings = ottla.topic<string, Reading>(TOPIC, { value: json<Reading>() })
for (let from = Date.now() - WINDOW_MS; ; ) {
  try {
    for await (const batch of readings.read({ from: { timestamp: from } }).batches()) {
      error = ''
      for (const { value, timestamp } of batch) if (value) aggregate.add(value, timestamp)
    }
  } catch (failure) {
    error = failure instanceof Error ? failure.message : String(failure)
    // The feeder may not have made the topic yet, or somebody has made it anew.
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS))
    from = Date.now() - AGAIN_MS
  }
}
