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
import { startRelay } from '../harness/servers.ts'

const FULL_BYTES = 1024 * 2 ** 20
const QUICK_BYTES = 128 * 2 ** 20
const BATCH_BYTES = 64 * 1024
const RECORD_BYTES = 100
const KEYS = 200_000
const DONE_WITHIN_MS = 120_000
const UNLIMITED = ['--compaction-check-ms', '100', '--compaction-bytes-per-second', String(2 ** 40)]

/** 90-byte values under 200,000 keys: what stays is a small part. Written by the relay's own engine. */
async function fill(directory: string, bytes: number): Promise<void> {
  const dataDir = join(directory, 'ottla')
  mkdirSync(dataDir, { recursive: true })
  const engine = await openEmbeddedEngine({
    ...{ files: nodeFiles, dataDir, clock: systemClock, random: systemRandom, logger: silentLogger },
    config: { ...relayConfigDefaults, dataDir },
  })
  const configs = { 'cleanup.policy': 'compact', 'segment.bytes': String(16 * 2 ** 20) }
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

/** Writers on another topic, meanwhile or without. */
async function writers(trial: Trial, hasCompaction: boolean): Promise<Metrics> {
  const bytes = trial.quick ? QUICK_BYTES : FULL_BYTES
  await fill(trial.directory, bytes)
  const server = await startRelay(trial.directory, hasCompaction ? UNLIMITED : ['--compaction-check-ms', '600000'])
  try {
    const durationMs = trial.quick ? 3000 : 10_000
    const compacted = hasCompaction ? compaction(server.port, bytes) : Promise.resolve({})
    const produced = await load('produce', {
      ...{ port: server.port, topic: 'live', rate: 1000, size: 100, 'in-flight': 64 },
      ...{ 'duration-ms': durationMs, 'warm-ms': 300, 'server-pid': server.pid },
    })
    return { ...produced, ...(await compacted) }
  } finally {
    await server.stop()
  }
}

/** From the first look until nothing is left to do: bytes that were in the log, by the time it took. */
async function compaction(port: number, bytes: number): Promise<Metrics> {
  const startedAt = performance.now()
  for (;;) {
    const answer = await fetch(`http://127.0.0.1:${port}/readyz`)
    const { compaction: status } = (await answer.json()) as { compaction: { running: unknown; passes: number } }
    const tookS = (performance.now() - startedAt) / 1000
    if (status.passes > 0 && !status.running) return { compactedMbPerS: bytes / 1e6 / tookS, compactionS: tookS }
    if (tookS * 1000 > DONE_WITHIN_MS) throw new Error('compaction did not end')
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

const QUIET = 'Ottla, nothing to compact'
const BUSY = 'Ottla, while 1 GiB is compacted as fast as it goes'

const contenders: Contender[] = [
  { name: QUIET, run: (trial) => writers(trial, false) },
  { name: BUSY, run: (trial) => writers(trial, true) },
]

export const compactionScenario: Scenario = {
  name: 'compaction',
  title: 'Compaction of 1 GiB with 200,000 keys, and writers meanwhile',
  method:
    '100 B records in 64 KiB batches without a codec, segments of 16 MiB. MB/s: all that was in the log, by the time until nothing is left to do. Writers: 1,000 records/s to another topic, open loop, to the fsynced acknowledgement. The limit on compaction (64 MiB/s by default) is lifted.',
  columns: [
    { metric: 'compactedMbPerS', title: 'compacted MB/s', digits: 0 },
    { metric: 'compactionS', title: 'seconds', digits: 1 },
    { metric: 'p50Ms', title: 'produce p50 ms', digits: 2 },
    { metric: 'p99Ms', title: 'produce p99 ms', digits: 2 },
    { metric: 'serverCores', title: 'server cores', digits: 2 },
    { metric: 'othersCores', title: "others' cores", digits: 2 },
  ],
  contenders,
  aims: [{ text: 'p99 of writers at most 2 times', metric: 'p99Ms', of: BUSY, to: QUIET, atMost: 2 }],
}
