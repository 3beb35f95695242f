/** How fast a log is compacted, and what writers notice of it. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock } from '../../protocol/lib/clock.ts'
import { systemRandom } from '../../protocol/lib/random.ts'
import { encodeBatch } from '../../protocol/records.ts'
import { relayConfigDefaults } from '../../server/config.ts'
import { openEmbeddedEngine } from '../../server/engine/embedded.ts'
import { silentLogger } from '../../server/logger.ts'
import { nodeFiles } from '../../server/storage/node-files.ts'
import { load } from '../harness/load-client.ts'
import type { Contender, Metrics, Scenario, Trial } from '../harness/scenario.ts'
import { type Server, startRelay, withServer } from '../harness/servers.ts'

const FULL_BYTES = 512 * 2 ** 20
const QUICK_BYTES = 48 * 2 ** 20
const SEGMENT_BYTES = 8 * 2 ** 20
const BATCH_BYTES = 64 * 1024
const RECORD_BYTES = 100
const KEYS = 200_000
const DONE_WITHIN_MS = 240_000
const UNLIMITED = ['--compaction-check-ms', '100', '--compaction-bytes-per-second', String(2 ** 40)]

/** 90-byte values under 200,000 keys: what stays is a small part. Written by the relay's own engine. */
async function fill(directory: string, bytes: number): Promise<void> {
  const dataDir = join(directory, 'ottla')
  mkdirSync(dataDir, { recursive: true })
  const engine = await openEmbeddedEngine({
    ...{ files: nodeFiles, dataDir, clock: systemClock, random: systemRandom, logger: silentLogger },
    config: { ...relayConfigDefaults, dataDir },
  })
  const configs = { 'cleanup.policy': 'compact', 'segment.bytes': String(SEGMENT_BYTES) }
  const { partitions } = await engine.createTopic({ name: 'keyed', partitionCount: 1, configs })
  const log = partitions[0]!
  let key = 0
  for (let written = 0; written < bytes; ) {
    const batch = encodeBatch(Array.from({ length: BATCH_BYTES / RECORD_BYTES }, () => recordOf(key++)))
    written += batch.length
    const { durable } = log.append(batch)
    if (log.queuedBytes > 2 ** 22) await durable
  }
  await engine.close()
}

const encoder = new TextEncoder()
const value = new Uint8Array(RECORD_BYTES - 20).fill(120)
const recordOf = (serial: number) => ({
  ...{ key: encoder.encode(`key-${(serial * 7919) % KEYS}`), value, timestamp: Date.now() - 1000 },
})

async function relayWith(trial: Trial, options: string[]): Promise<Server> {
  await fill(trial.directory, trial.quick ? QUICK_BYTES : FULL_BYTES)
  return startRelay(trial.directory, options)
}

/** Writers on another topic. */
const write = (server: Server, quick: boolean): Promise<Metrics> =>
  load('produce', {
    ...{ port: server.port, 'server-pid': server.pid, topic: 'live', rate: 1000, size: 100, 'in-flight': 64 },
    ...{ 'warm-ms': 500, 'duration-ms': quick ? 2000 : 8000 },
  })

async function statusOf({ port }: Server): Promise<{ running: unknown; passes: number }> {
  const answer = await fetch(`http://127.0.0.1:${port}/readyz`)
  return ((await answer.json()) as { compaction: { running: unknown; passes: number } }).compaction
}

async function untilStatus(server: Server, isSo: (status: { running: unknown; passes: number }) => boolean) {
  const until = performance.now() + DONE_WITHIN_MS
  while (!isSo(await statusOf(server))) {
    if (performance.now() > until) throw new Error('compaction did not come to an end')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** All that was in the log, by the time from the first look until nothing is left to do. */
async function alone(trial: Trial): Promise<Metrics> {
  return withServer(relayWith(trial, UNLIMITED), async (server) => {
    await untilStatus(server, ({ running, passes }) => Boolean(running) || passes > 0)
    const startedAt = performance.now()
    await untilStatus(server, ({ running, passes }) => !running && passes > 0)
    const compactionS = (performance.now() - startedAt) / 1000
    return { compactionS, compactedMbPerS: (trial.quick ? QUICK_BYTES : FULL_BYTES) / 1e6 / compactionS }
  })
}

async function both(trial: Trial): Promise<Metrics> {
  return withServer(relayWith(trial, UNLIMITED), async (server) => {
    await untilStatus(server, ({ running }) => Boolean(running))
    const written = await write(server, trial.quick)
    return { ...written, isRunning: (await statusOf(server)).running ? 1 : 0 }
  })
}

const QUIET = 'writers, nothing to compact'
const BUSY = 'writers, while it compacts'

const contenders: Contender[] = [
  { name: 'compaction alone', run: alone },
  {
    name: QUIET,
    run: (trial) =>
      withServer(relayWith(trial, ['--compaction-check-ms', '600000']), (server) => write(server, trial.quick)),
  },
  { name: BUSY, run: both },
]

export const compactionScenario: Scenario = {
  name: 'compaction',
  title: 'Compaction of 512 MiB with 200,000 keys, and writers meanwhile',
  method:
    '100 B records in 64 KiB batches without a codec, segments of 8 MiB. MB/s: all that was in the log, by the time until nothing is left to do, with nobody else there. Writers: 1,000 records/s to another topic, open loop, to the fsynced acknowledgement. The limit on compaction (64 MiB/s by default) is lifted.',
  columns: [
    { metric: 'compactedMbPerS', title: 'compacted MB/s', digits: 0 },
    { metric: 'compactionS', title: 'seconds', digits: 1 },
    { metric: 'p50Ms', title: 'produce p50 ms', digits: 2 },
    { metric: 'p99Ms', title: 'produce p99 ms', digits: 2 },
    { metric: 'isRunning', title: 'still compacting in the end', digits: 0 },
    { metric: 'serverCores', title: 'server cores', digits: 2 },
    { metric: 'othersCores', title: "others' cores", digits: 2 },
  ],
  contenders,
  aims: [{ text: 'p99 of writers at most 2 times', metric: 'p99Ms', of: BUSY, to: QUIET, atMost: 2 }],
}
