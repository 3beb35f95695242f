/** Process start to the first acknowledged durable publish: with nothing, with 1 GiB, and after a crash with 1 GiB. */
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { load, parseReport, startLoad } from '../harness/load-client.ts'
import type { Contender, Metrics, Scenario, Trial } from '../harness/scenario.ts'
import { type Server, startNats, startRelay, withServer } from '../harness/servers.ts'

const FULL_BYTES = 2 ** 30
const QUICK_BYTES = 2 ** 27

let filled: string | undefined

/** Writes the topic once; every round then starts on the same folder. */
async function fill(trial: Trial): Promise<void> {
  const folder = join(trial.directory, 'filled')
  mkdirSync(folder, { recursive: true })
  await withServer(startRelay(folder), (server) =>
    load('produce', { port: server.port, producers: 4, topic: 'full', bytes: trial.quick ? QUICK_BYTES : FULL_BYTES }),
  )
  filled = folder
}

function filledFolder(): string {
  if (!filled) throw new Error('the folder could not be filled')
  return filled
}

/** Publishes to the topic `first`, made on the first start and found on later ones. */
async function firstAck(server: Promise<Server>, protocol: string): Promise<Metrics> {
  return withServer(server, async (running) => {
    const child = startLoad('first-ack', { protocol, port: running.port, topic: 'first', 'duration-ms': 20_000 })
    const readyMs = Number(process.hrtime.bigint() - running.startedNs) / 1e6
    const code = await child.ended(30_000)
    if (code !== 0) throw new Error(`no acknowledged publish:\n${child.output()}`)
    const report = parseReport(await child.line((line) => line.startsWith('{'), 1_000))
    return { readyMs, firstAckMs: (report.ackedNs! - Number(running.startedNs)) / 1e6 }
  })
}

async function afterCrash(): Promise<Metrics> {
  const crashing = await startRelay(filledFolder())
  try {
    await load('produce', { port: crashing.port, producers: 4, topic: 'full', 'duration-ms': 300, 'drain-ms': 0 })
  } finally {
    await crashing.stop('SIGKILL')
  }
  return firstAck(startRelay(filledFolder()), 'ottla')
}

const contenders: Contender[] = [
  { name: 'Ottla, empty', run: (trial) => firstAck(startRelay(trial.directory), 'ottla') },
  { name: 'Ottla, 1 GiB', run: () => firstAck(startRelay(filledFolder()), 'ottla') },
  { name: 'Ottla, 1 GiB, after SIGKILL under load', run: afterCrash },
  {
    name: 'JetStream, empty',
    run: (trial) => firstAck(startNats(trial.directory, { jetstream: true }), 'jetstream'),
  },
]

export const processStart: Scenario = {
  name: 'start',
  title: 'Process start to the first acknowledged durable publish',
  method:
    'From the exec of the server to the acknowledgement at a WebSocket client, the start of that client (2-3 ms) and making the topic included. The page cache is warm.',
  columns: [
    { metric: 'readyMs', title: 'ready line ms', digits: 0 },
    { metric: 'firstAckMs', title: 'first ack ms', digits: 0 },
  ],
  prepare: fill,
  finish: async () => {
    if (filled) rmSync(filled, { recursive: true, force: true })
    filled = undefined
  },
  contenders,
  aims: ['Ottla, empty', 'Ottla, 1 GiB', 'Ottla, 1 GiB, after SIGKILL under load'].map((of) => ({
    text: `under 250 ms (${of})`,
    metric: 'firstAckMs',
    of,
    unit: 'ms',
    below: 250,
  })),
}
