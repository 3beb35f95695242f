/** One subscriber reads a full topic from its first offset to its end, out of the log on disk. */

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { load } from '../harness/load-client.ts'
import type { Scenario, Trial } from '../harness/scenario.ts'
import { type Server, startNats, startRelay } from '../harness/servers.ts'

const CREDIT_BYTES = 8 * 2 ** 20
const JETSTREAM_RECORDS = 500_000

let relay: Server | undefined
let jetStream: Server | undefined

async function fill(trial: Trial): Promise<void> {
  const natsFolder = join(trial.directory, 'jetstream')
  mkdirSync(natsFolder)
  relay = await startRelay(trial.directory)
  await load('produce', { port: relay.port, producers: 4, bytes: trial.quick ? 2 ** 27 : 2 ** 29 })
  // Started anew, so that nothing of the tail is in memory.
  await relay.stop()
  relay = await startRelay(trial.directory)
  jetStream = await startNats(natsFolder, { jetstream: true })
  const bytes = JETSTREAM_RECORDS * 100
  await load('produce', { protocol: 'jetstream', port: jetStream.port, window: 500, bytes })
}

export const catchUp: Scenario = {
  name: 'catch-up',
  title: 'Catch-up of one subscriber from the log',
  method:
    'A topic of 512 MiB in 64 KiB batches of 100 B records, relay started anew, page cache warm; credit window 8 MiB, CRC-32C of every batch and every offset checked by the reader. JetStream: 500,000 records of 100 B by a push consumer; MB/s of payload.',
  columns: [
    { metric: 'mbPerS', title: 'MB/s', digits: 0 },
    { metric: 'recordsPerS', title: 'records/s', digits: 0 },
    { metric: 'serverCores', title: 'server cores', digits: 2 },
    { metric: 'clientCores', title: 'client cores', digits: 2 },
    { metric: 'othersCores', title: "others' cores", digits: 2 },
  ],
  prepare: fill,
  finish: async () => {
    await relay?.stop()
    await jetStream?.stop()
    relay = jetStream = undefined
  },
  contenders: [
    {
      name: 'Ottla',
      run: () => complete('ottla', relay, { credit: CREDIT_BYTES, window: 0, create: 0 }),
    },
    { name: 'JetStream', run: () => complete('jetstream', jetStream, { window: JETSTREAM_RECORDS, create: 0 }) },
  ],
  aims: [{ text: 'at least 500 MB/s', metric: 'mbPerS', of: 'Ottla', unit: 'MB/s', atLeast: 500 }],
}

async function complete(protocol: string, server: Server | undefined, options: Record<string, number>) {
  if (!server) throw new Error('the server could not be filled')
  const metrics = await load('catch-up', {
    protocol,
    port: server.port,
    'server-pid': server.pid,
    'duration-ms': 60_000,
    ...options,
  })
  if (!metrics.complete) throw new Error(`only ${metrics.records} records within 60 s`)
  return metrics
}
