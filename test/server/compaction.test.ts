/** Compacted topics as a client meets them: what is refused, what is read, and that configuration takes effect at once. */
import { describe, expect, test } from 'vitest'
import { readWriteCodecs } from '../../protocol/codecs/read-write.ts'
import { ErrorCode } from '../../protocol/errors.ts'
import { describeConfigs, incrementalAlterConfigs } from '../../protocol/messages/configs.ts'
import { fetch } from '../../protocol/messages/fetch.ts'
import { deleteRecords } from '../../protocol/messages/offsets.ts'
import { produce } from '../../protocol/messages/produce.ts'
import type { CodecId } from '../../protocol/record-batch.ts'
import { BATCH_HEADER_BYTES, batchesIn, nextOffsetOf, stampProducer } from '../../protocol/record-batch.ts'
import { compressBatch, decodeRecords, encodeBatch } from '../../protocol/records.ts'
import type { Relay } from '../../server/relay.ts'
import { eventually } from '../support/eventually.ts'
import { startRelay } from '../support/relay.ts'
import { RelayClient } from '../support/relay-client.ts'

const utf8 = new TextEncoder()
const codecs = readWriteCodecs()
const bytesOf = (text: string | null) => (text === null ? null : utf8.encode(text))
const entry = (key: string | null, value: string | null) => ({
  key: bytesOf(key),
  value: bytesOf(value),
  timestamp: Date.now(),
})

async function batchOf(entries: ReadonlyArray<readonly [string | null, string | null]>, codec: CodecId = 0) {
  const batch = encodeBatch(entries.map(([key, value]) => entry(key, value)))
  if (codec === 0) return batch
  const { compress } = await codecs.find(codec)
  return compressBatch(batch, codec, async (block) => compress!(block))
}

/** Uncompressed ones. */
function recordsIn(bytes: Uint8Array): Array<{ offset: number; key: string; value: string }> {
  const text = (each: Uint8Array | null) => (each ? new TextDecoder().decode(each) : 'null')
  return [...batchesIn(bytes)].flatMap(({ at, end, header }) =>
    [...decodeRecords(header, bytes.subarray(at + BATCH_HEADER_BYTES, end))].map(({ offset, key, value }) => {
      return { offset, key: text(key), value: text(value) }
    }),
  )
}

async function compactedTopic(configs: Record<string, string> = {}) {
  const relay = await startRelay({ config: { compactionCheckMs: 20, retentionCheckMs: 20 } })
  const client = await RelayClient.open(relay.websocket.url)
  const topicId = await client.createTopic('t', {
    configs: { 'cleanup.policy': 'compact', 'segment.bytes': '1024', 'min.cleanable.dirty.ratio': '0', ...configs },
  })
  return { relay, client, topicId, log: relay.engine.topicByName('t')!.partitions[0]! }
}

/** As a Kafka client reads: on behind the last batch of each answer, until there is nothing. */
async function keysIn(client: RelayClient, topicId: string, from = 0): Promise<string[]> {
  const found: string[] = []
  for (let fetchOffset = from; ; ) {
    const partitions = [{ partition: 0, fetchOffset, partitionMaxBytes: 1_000_000 }]
    const answer = await client.call(fetch, { maxWaitMs: 0, minBytes: 1, topics: [{ topicId, partitions }] })
    const { records } = answer.responses[0]!.partitions[0]!
    const last = [...batchesIn(records!)].at(-1)
    if (!last) return found
    for (const { offset, key, value } of recordsIn(records!))
      if (offset >= from) found.push(`${offset}:${key}=${value}`)
    fetchOffset = nextOffsetOf(last.header)
  }
}

interface Ready {
  compaction: { recordsRemoved: number; running: unknown }
}

const readyz = async (relay: Relay) => (await (await globalThis.fetch(`${relay.http.url}/readyz`)).json()) as Ready

/** Nothing is due, and nothing runs. */
const settled = (relay: Relay) =>
  eventually(async () => {
    const log = relay.engine.topicByName('t')!.partitions[0]!
    return (await readyz(relay)).compaction.running === null && (await log.compactionNeed()) === undefined
  })

const alter = async (client: RelayClient, name: string, configOperation: number, value: string) => {
  const configs = [{ name, configOperation, value }]
  const resources = [{ resourceType: 2, resourceName: 't', configs }]
  const { responses } = await client.call(incrementalAlterConfigs, { resources, validateOnly: false })
  expect(responses[0]).toMatchObject({ errorCode: 0 })
}

test('[CMP-30] a compacted topic shrinks to its newest records by itself, and says so', async () => {
  const { relay, client, topicId, log } = await compactedTopic()
  for (let index = 0; index < 60; index++) {
    await client.produce(topicId, await batchOf([[`k${index % 3}`, `${index}`.padEnd(100, '.')]]))
  }
  await eventually(async () => (await keysIn(client, topicId)).length < 20)
  const left = await keysIn(client, topicId)
  expect(left.slice(-3).map((each) => each.split('=')[0])).toEqual(['57:k0', '58:k1', '59:k2'])
  expect(log.startOffset).toBe(0)
  await eventually(async () => (await readyz(relay)).compaction.recordsRemoved > 40)
})

describe('[CMP-31] records without a key are refused with 87', () => {
  test.each([0, 1, 2, 3, 4] as const)('codec %i', async (codec) => {
    const { client, topicId } = await compactedTopic()
    const refused = await client.produce(
      topicId,
      await batchOf(
        [
          ['a', '1'],
          [null, '2'],
        ],
        codec,
      ),
    )
    expect(refused).toMatchObject({ errorCode: ErrorCode.INVALID_RECORD, errorMessage: /record 1 .*needs a key/ })
    expect(
      (
        await client.produce(
          topicId,
          await batchOf(
            [
              ['a', '1'],
              ['b', null],
            ],
            codec,
          ),
        )
      ).errorCode,
    ).toBe(0)
    expect(await client.produce(topicId, await batchOf([['', 'empty is a key']], codec))).toMatchObject({
      errorCode: 0,
      baseOffset: 2,
    })
  })

  test('what cannot be looked into is refused, and a bomb takes no memory', async () => {
    const { client, topicId } = await compactedTopic()
    const bomb = await batchOf([['a', 'x'.repeat(40_000_000)]], 1)
    expect(bomb.length).toBeLessThan(100_000)
    expect(await client.produce(topicId, bomb)).toMatchObject({
      errorCode: ErrorCode.INVALID_RECORD,
      errorMessage: /grows beyond/,
    })
  })
})

test('[CMP-32] batches of one connection are stored in their order, though some must be inflated first', async () => {
  const { client, topicId } = await compactedTopic({ 'segment.bytes': '1048576' })
  const answers = []
  for (let sequence = 0; sequence < 40; sequence++) {
    const codec = ((sequence * 7) % 5) as CodecId
    const batch = await batchOf([[`k${sequence}`, 'x'.repeat((sequence * 977) % 9000)]], codec)
    stampProducer(batch, { producerId: 4711, producerEpoch: 0, baseSequence: sequence })
    const topicData = [{ topicId, partitionData: [{ index: 0, records: batch }] }]
    answers.push(client.call(produce, { acks: -1, timeoutMs: 1000, topicData }))
  }
  const stored = (await Promise.all(answers)).map(({ responses }) => responses[0]!.partitionResponses[0]!)
  expect(stored.map(({ errorCode, baseOffset }) => [errorCode, baseOffset])).toEqual(
    answers.map((_, index) => [0, index]),
  )
})

test('[CMP-33] cleanup.policy changes both ways without a restart, set, appended to and subtracted from', async () => {
  const { relay, client, topicId, log } = await compactedTopic({ 'cleanup.policy': 'delete', 'retention.ms': '-1' })
  const fill = async (rounds: number) => {
    for (let index = 0; index < rounds; index++) {
      await client.produce(topicId, await batchOf([['same', `${index}`.padEnd(200, '.')]]))
    }
  }
  const policy = async () => {
    const resources = [{ resourceType: 2, resourceName: 't', configurationKeys: ['cleanup.policy'] }]
    const { results } = await client.call(describeConfigs, {
      resources,
      includeSynonyms: false,
      includeDocumentation: false,
    })
    return results[0]!.configs[0]
  }
  await fill(30)
  expect(await keysIn(client, topicId)).toHaveLength(30)
  await alter(client, 'cleanup.policy', 2, 'compact')
  expect(await policy()).toMatchObject({ value: 'compact,delete', configType: 7 })
  await eventually(async () => (await keysIn(client, topicId)).length < 10)
  expect(log.startOffset).toBe(0)
  await alter(client, 'cleanup.policy', 3, 'delete')
  expect(await policy()).toMatchObject({ value: 'compact' })
  const refused = await client.call(deleteRecords, {
    topics: [{ name: 't', partitions: [{ partitionIndex: 0, offset: 5 }] }],
    timeoutMs: 1000,
  })
  expect(refused.topics[0]!.partitions[0]!.errorCode).toBe(ErrorCode.POLICY_VIOLATION)
  await settled(relay)
  await alter(client, 'cleanup.policy', 0, 'delete')
  const before = (await keysIn(client, topicId)).length
  await fill(30)
  expect((await keysIn(client, topicId)).length).toBe(before + 30)
  await alter(client, 'retention.bytes', 0, '2000')
  await eventually(() => log.startOffset > 30)
})

test('[CMP-34] subscribers and fetches go over what is gone as if it had never been', async () => {
  const { relay, client, topicId, log } = await compactedTopic()
  for (let index = 0; index < 40; index++) {
    await client.produce(topicId, await batchOf([['k', `${index}`.padEnd(100, '.')]]))
  }
  await settled(relay)
  const [first] = await keysIn(client, topicId)
  for (const from of [0, 1, 7, 20]) {
    const follower = await RelayClient.open(client.socket.url)
    await follower.sayHello()
    await follower.subscribe(topicId, from, { credit: 1_000_000 })
    await eventually(() => follower.deliveries.at(-1)?.nextOffset === 40)
    const seen = follower.deliveries.flatMap(({ records }) => recordsIn(records))
    expect(`${seen[0]!.offset}`).toBe(first!.split(':')[0])
    expect(seen.at(-1)!.offset).toBe(39)
    expect((await keysIn(client, topicId, from))[0]).toBe(first)
    // Where records begin, one answer is enough.
    const partitions = [{ partition: 0, fetchOffset: from, partitionMaxBytes: 1_000_000 }]
    const answer = await client.call(fetch, { maxWaitMs: 20_000, minBytes: 1, topics: [{ topicId, partitions }] })
    expect(recordsIn(answer.responses[0]!.partitions[0]!.records!).length).toBeGreaterThan(0)
  }
  expect(log.startOffset).toBe(0)
})

test('[CMP-35] a fetch that finds only what is gone waits for records, and then moves its client past it', async () => {
  const { client, topicId, log } = await compactedTopic({ 'delete.retention.ms': '0', 'max.compaction.lag.ms': '50' })
  for (let index = 0; index < 20; index++) await client.produce(topicId, await batchOf([['k', 'x'.repeat(150)]]))
  await client.produce(topicId, await batchOf([['k', null]]))
  await eventually(async () => (await keysIn(client, topicId)).length === 0)
  const partitions = [{ partition: 0, fetchOffset: 3, partitionMaxBytes: 1_000_000 }]
  const startedAt = performance.now()
  const answer = await client.call(fetch, { maxWaitMs: 300, minBytes: 1, topics: [{ topicId, partitions }] })
  expect(performance.now() - startedAt).toBeGreaterThan(250)
  expect(answer.responses[0]!.partitions[0]!.records!.length).toBeGreaterThan(0)
  expect(log.highWatermark).toBe(21)
  const waiting = client.call(fetch, { maxWaitMs: 20_000, minBytes: 1, topics: [{ topicId, partitions }] })
  const other = await RelayClient.open(client.socket.url)
  await other.produce(topicId, await batchOf([['new', '1']]))
  const records = recordsIn((await waiting).responses[0]!.partitions[0]!.records!)
  expect(records.map(({ offset, key }) => `${offset}:${key}`)).toEqual(['21:new'])
})
