/** The relay's own log of topics does not grow for ever, and forgets nothing that holds. */
import { expect, test } from 'vitest'
import { HandClock } from '../../protocol/lib/clock.ts'
import { seededRandom } from '../../protocol/lib/random.ts'
import { relayConfigDefaults } from '../../server/config.ts'
import { openEmbeddedEngine } from '../../server/engine/embedded.ts'
import { verifyDataDir } from '../../server/engine/verify.ts'
import { silentLogger } from '../../server/logger.ts'
import { MemoryFiles } from '../../server/storage/memory-files.ts'
import { tools } from './log/compaction-fixture.ts'

test('[CMP-36] the log of topics is compacted: as large as what holds, and nothing of that is forgotten', async () => {
  const files = new MemoryFiles()
  const clock = new HandClock()
  const open = () =>
    openEmbeddedEngine({
      ...{ files, clock, dataDir: '/data', config: relayConfigDefaults, logger: silentLogger },
      ...{ random: seededRandom(1), metadataSegmentBytes: 4096 },
    })
  let engine = await open()
  const { clusterId } = engine
  const topic = (name: string) => engine.createTopic({ name, partitionCount: 1, configs: {} })
  const kept = await topic('kept')
  const grown = await topic('grown')
  for (let round = 0; round < 100; round++) {
    await engine.alterTopic(kept.id, () => ({ 'retention.ms': `${round}` }))
    await engine.deleteTopic((await topic('short-lived')).id)
  }
  await engine.growTopic(grown.id, 3)
  const producerId = await engine.nextProducerId()
  const { log } = engine.internalLogs()[0]!
  const before = log.sizeBytes
  expect(await log.compactionNeed()).toMatchObject({ reason: 'dirty' })
  await log.compact(tools())
  clock.advance(8 * 86_400_000)
  await log.compact(tools())
  expect(log.sizeBytes).toBeLessThan(before / 3)
  await engine.close()
  engine = await open()
  expect(engine.clusterId).toBe(clusterId)
  const found = [...engine.topics()].map(({ id, name, partitions }) => ({ id, name, count: partitions.length }))
  expect(found.sort((a, b) => (a.name < b.name ? -1 : 1))).toEqual([
    { id: grown.id, name: 'grown', count: 3 },
    { id: kept.id, name: 'kept', count: 1 },
  ])
  expect(engine.topicByName('kept')!.configOverrides).toEqual({ 'retention.ms': '99' })
  expect(await engine.nextProducerId()).toBeGreaterThan(producerId)
  await engine.close()
  const findings = []
  for await (const finding of verifyDataDir(files, '/data')) findings.push(finding)
  expect(findings).toEqual([])
})
