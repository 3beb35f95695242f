/** How long a relay with much data takes until it serves again after it was killed: every partition, not only the first. */
import { execFileSync } from 'node:child_process'
import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock } from '../../protocol/lib/clock.ts'
import { systemRandom } from '../../protocol/lib/random.ts'
import { encodeBatch } from '../../protocol/records.ts'
import { relayConfigDefaults } from '../../server/config.ts'
import { openEmbeddedEngine } from '../../server/engine/embedded.ts'
import type { PartitionLog } from '../../server/log/partition-log.ts'
import { silentLogger } from '../../server/logger.ts'
import { nodeFiles } from '../../server/storage/node-files.ts'
import { load } from '../harness/load-client.ts'
import type { Contender, Metrics, Scenario, Trial } from '../harness/scenario.ts'
import { startRelay } from '../harness/servers.ts'

const PARTITIONS = 100
const FULL_BYTES = 10 * 2 ** 30
const QUICK_BYTES = 2 ** 30
/** Sizes are spread over so much, so that what was written since the last checkpoint is anything from none to all of it. */
const SPREAD_BYTES = 32 * 2 ** 20
const BATCH_BYTES = 64 * 1024
const WRITERS_AT_ONCE = 16

let filled: string | undefined

/** Written by the relay's own engine, which is then let go of as a killed process lets go. */
async function fill({ directory, quick }: Trial): Promise<void> {
  filled = join(directory, 'filled')
  const dataDir = join(filled, 'ottla')
  await nodeFiles.makeDir(dataDir)
  const engine = await openEmbeddedEngine({
    ...{ files: nodeFiles, dataDir, clock: systemClock, random: systemRandom, logger: silentLogger },
    config: { ...relayConfigDefaults, dataDir },
  })
  const topic = await engine.createTopic({ name: 'full', partitionCount: PARTITIONS, configs: {} })
  const batch = makeBatch()
  const meanBytes = (quick ? QUICK_BYTES : FULL_BYTES) / PARTITIONS
  const spread = Math.min(SPREAD_BYTES, meanBytes)
  const left = topic.partitions.map((log, index) => ({
    log,
    bytes: meanBytes - spread / 2 + (spread * index) / PARTITIONS,
  }))
  const writers = Array.from({ length: WRITERS_AT_ONCE }, async () => {
    for (let next = left.pop(); next; next = left.pop()) await append(next.log, batch, next.bytes)
  })
  await Promise.all(writers)
}

async function append(log: PartitionLog, template: Uint8Array, bytes: number): Promise<void> {
  let durable: Promise<void> = Promise.resolve()
  for (let written = 0; written < bytes; written += template.length) {
    if (log.queuedBytes > 2 ** 22) await durable
    durable = log.append(template.slice()).durable
  }
  await durable
}

function makeBatch(): Uint8Array {
  const value = new Uint8Array(90).fill(120)
  const timestamp = Date.now() - 1000
  return encodeBatch(Array.from({ length: Math.floor(BATCH_BYTES / 100) }, () => ({ key: null, value, timestamp })))
}

/** Kills it in the end, so that the next run finds what this one did. */
async function restart(): Promise<Metrics> {
  if (!filled) throw new Error('the folder could not be filled')
  const server = await startRelay(filled)
  try {
    const readyMs = Number(process.hrtime.bigint() - server.startedNs) / 1e6
    const report = await load('first-ack', {
      protocol: 'ottla',
      port: server.port,
      topic: 'full',
      'duration-ms': 20_000,
    })
    return { readyMs, firstAckMs: (report.ackedNs! - Number(server.startedNs)) / 1e6 }
  } finally {
    await server.stop('SIGKILL')
  }
}

/** Takes the files out of the page cache, as after the machine was off. */
function dropFromCache(folder: string): void {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const file = join(entry.parentPath, entry.name)
    execFileSync('dd', [`if=${file}`, 'iflag=nocache', 'count=0', 'status=none'])
  }
}

const contenders: Contender[] = [
  { name: 'Ottla, 10 GiB, page cache warm', run: restart },
  {
    name: 'Ottla, 10 GiB, page cache cold',
    run: async () => {
      if (filled) dropFromCache(filled)
      return restart()
    },
  },
]

export const restartScenario: Scenario = {
  name: 'restart',
  title: 'From the start of the process to serving 100 partitions of 10 GiB after SIGKILL',
  method:
    'Partitions hold 86 to 118 MiB of 64 KiB batches, so each has between nothing and a whole checkpoint interval to be scanned. The ready line comes when every partition serves; then one record is written to the topic.',
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
  aims: contenders.map(({ name }) => ({
    text: `serving within 3 s (${name})`,
    metric: 'firstAckMs',
    of: name,
    unit: 'ms',
    below: 3000,
  })),
}
