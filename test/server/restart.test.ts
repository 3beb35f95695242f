/** A start after a crash reads little, however many partitions have been written to. */
import { expect, test } from 'vitest'
import { HandClock } from '../../protocol/lib/clock.ts'
import { seededRandom } from '../../protocol/lib/random.ts'
import { relayConfigDefaults } from '../../server/config.ts'
import { openEmbeddedEngine } from '../../server/engine/embedded.ts'
import { silentLogger } from '../../server/logger.ts'
import { MemoryFiles } from '../../server/storage/memory-files.ts'
import { batchOfSize } from '../support/batches.ts'

const MIB = 1024 * 1024

test('[LOG-53] the more partitions, the closer are the points from which a start after a crash reads', async () => {
  const files = new MemoryFiles({ tracksPower: true })
  const options = {
    ...{ files, dataDir: '/data', clock: new HandClock(), random: seededRandom(1), logger: silentLogger },
    config: { ...relayConfigDefaults, dataDir: '/data' },
  }
  const engine = await openEmbeddedEngine(options)
  const { partitions } = await engine.createTopic({ name: 't', partitionCount: 600, configs: {} })
  for (let count = 0; count < 12; count++) await partitions[7]!.append(batchOfSize(MIB / 4)).durable
  await new Promise((resolve) => setImmediate(resolve))
  const again = await openEmbeddedEngine({ ...options, files: files.powerCut('kept', seededRandom(1)) })
  const { recovery, endOffset } = again.topicByName('t')!.partitions[7]!
  expect(endOffset).toBe(12)
  expect(recovery.isClean).toBe(false)
  expect(recovery.scannedBytes).toBeLessThan(1.5 * MIB)
})
