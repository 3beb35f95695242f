/** A relay that is killed, again and again, under producers that resend: nothing acknowledged is lost, doubled or moved. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { randomBelow, seededRandom } from '../../protocol/lib/random.ts'
import { describeConfigs } from '../../protocol/messages/configs.ts'
import { initProducerId } from '../../protocol/messages/producers.ts'
import { startRelay } from '../support/relay.ts'
import { RelayClient } from '../support/relay-client.ts'
import { storedRecords } from '../support/stored-records.ts'
import { type ChildRelay, startChildRelay } from './support/child-relay.ts'
import { ResendingProducer } from './support/resending-producer.ts'

const KILLS = 50
const PRODUCERS = 4
const PARTITIONS = 3

async function dataFolder(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'ottla-crash-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
  return dir
}

test('[LOG-90] killed 50 times under load: every acknowledged record is there once, in order, where it was said to be', async () => {
  const seed = Date.now() % 1_000_000
  console.log(`crash: seed ${seed}`)
  const random = seededRandom(seed)
  const dataDir = await dataFolder()
  const config = { dataDir, httpPort: 0 }
  let relay: ChildRelay = await startChildRelay({ config })
  const admin = await RelayClient.open(relay.websocket)
  const topicId = await admin.createTopic('t', { partitions: PARTITIONS, configs: { 'segment.bytes': '60000' } })
  const producers = Array.from(
    { length: PRODUCERS },
    (_, index) =>
      new ResendingProducer(`p${index}`, topicId, { partitions: PARTITIONS, url: () => relay.websocket, random }),
  )
  const running = producers.map((producer) => producer.run())
  const producerIds = new Set<number>()

  for (let kill = 0; kill < KILLS; kill++) {
    await new Promise((resolve) => setTimeout(resolve, 20 + randomBelow(random, 250)))
    if (kill % 3 === 0) producers[randomBelow(random, PRODUCERS)]!.disconnect()
    if (kill % 5 === 0) {
      const client = await RelayClient.open(relay.websocket)
      producerIds.add((await client.call(initProducerId, { transactionTimeoutMs: 0 })).producerId)
    }
    await relay.kill()
    relay = await startChildRelay({ config })
  }
  for (const producer of producers) producer.stop()
  await Promise.all(running)

  const { uncaught, errors } = await relay.report()
  expect({ uncaught, errors }).toEqual({ uncaught: [], errors: [] })
  expect(producers.flatMap(({ complaints }) => complaints)).toEqual([])
  for (const { producerId } of producers) producerIds.add(producerId)
  expect(producerIds.size).toBe(KILLS / 5 + PRODUCERS)
  const resent = producers.reduce((sum, { resentCount }) => sum + resentCount, 0)
  expect(resent).toBeGreaterThan(KILLS)

  const reader = await RelayClient.open(relay.websocket)
  expect(await reader.topicId('t')).toBe(topicId)
  const resources = [{ resourceType: 2, resourceName: 't', configurationKeys: ['segment.bytes'] }]
  const { results } = await reader.call(describeConfigs, { resources, includeSynonyms: false })
  expect(results[0]!.configs).toMatchObject([{ value: '60000', configSource: 1 }])
  let ackedCount = 0
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const stored = await storedRecords(relay.websocket, topicId, partition)
    const byOffset = new Map(stored.map(({ offset, value }) => [offset, value]))
    expect(byOffset.size, 'no offset twice').toBe(stored.length)
    for (const producer of producers) {
      const lane = producer.lanes[partition]!
      const own = stored.filter(({ value }) => value.startsWith(`${producer.name}/`)).map(({ value }) => value)
      expect(own, `${producer.name} in partition ${partition}`).toEqual(lane.values)
      for (const { baseOffset, baseSequence, recordCount } of lane.acked) {
        ackedCount += recordCount
        if (baseOffset < 0) continue
        for (let index = 0; index < recordCount; index++)
          expect(byOffset.get(baseOffset + index)).toBe(lane.values[baseSequence + index])
      }
    }
  }
  console.log(`crash: ${ackedCount} records acknowledged, ${resent} batches sent again`)
  expect(ackedCount).toBeGreaterThan(1000)
}, 180_000)

test('[LOG-91] a second relay on the same folder refuses to start, and the first does not notice', async () => {
  const first = await startRelay()
  const client = await RelayClient.open(first.websocket.url)
  const topicId = await client.createTopic('t')
  await expect(startRelay({ config: { dataDir: first.dataDir } })).rejects.toMatchObject({ code: 'LOCKED' })
  await expect(startChildRelay({ config: { dataDir: first.dataDir, httpPort: 0 } })).rejects.toThrow('ended')
  expect(await client.produce(topicId, ['a'])).toMatchObject({ errorCode: 0 })
})

test('[LOG-92] a killed relay leaves a folder that the next one takes at once', async () => {
  const dataDir = await dataFolder()
  const killed = await startChildRelay({ config: { dataDir, httpPort: 0 } })
  const client = await RelayClient.open(killed.websocket)
  const topicId = await client.createTopic('t')
  expect(await client.produce(topicId, ['a', 'b'])).toMatchObject({ baseOffset: 0 })
  await killed.kill()
  const next = await startRelay({ config: { dataDir } })
  const later = await RelayClient.open(next.websocket.url)
  expect(await later.topicId('t')).toBe(topicId)
  expect(await later.produce(topicId, ['c'])).toMatchObject({ baseOffset: 2 })
})
