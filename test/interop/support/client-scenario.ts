/** What every client with a driver goes through: writing, reading, each codec, exactly once, admin, groups. */
import { expect } from 'vitest'
import { CODEC_NAMES } from '../../../protocol/compression.ts'
import { consumerGroupDescribe } from '../../../protocol/messages/consumer-groups.ts'
import { fetch } from '../../../protocol/messages/fetch.ts'
import { listGroups } from '../../../protocol/messages/group-admin.ts'
import { offsetFetch } from '../../../protocol/messages/group-offsets.ts'
import { batchesIn, codecOf } from '../../../protocol/record-batch.ts'
import type { Relay } from '../../../server/relay.ts'
import { committedOffset, committedValues } from '../../server/transactions/transactional-client.ts'
import { eventually } from '../../support/eventually.ts'
import { startRelay } from '../../support/relay.ts'
import { RelayClient } from '../../support/relay-client.ts'
import { clientTest, type Feature } from './compatibility.ts'
import type { Driver } from './driver.ts'
import { atOffsets, NULL_HEADER, type PlainRecord, RECORDS, readByOttla, writeByOttla } from './records.ts'

type Codec = Extract<Feature, 'gzip' | 'snappy' | 'lz4' | 'zstd'>
const CODECS: readonly Codec[] = ['gzip', 'snappy', 'lz4', 'zstd']

export interface ClientTraits {
  client: string
  /** Called once in each test. */
  start: () => Driver
  /** Reasons by codec, where the client lacks one. */
  withoutCodecs?: Partial<Record<Codec, string>>
  /** Whether it can write a header whose value is null; all can read one. Default true. */
  writesNullHeaders?: boolean
  /** Records as the client gives them, where that differs from what was written. */
  asRead?: (record: PlainRecord) => PlainRecord
  /** Reason why it has no consumer of the new group protocol, where it has none. */
  withoutConsumerProtocol?: string
  /** Whether it hands regular expressions (topics that begin with ^) to the relay. Default: it cannot, or matches itself. */
  sendsPatterns?: boolean
  withoutAdmin?: string
  withoutIdempotence?: string
}

export function testClient(traits: ClientTraits): void {
  const { client, start } = traits
  const records = (traits.writesNullHeaders ?? true) ? [...RECORDS, NULL_HEADER] : [...RECORDS]
  const readBack = (all: PlainRecord[]) => atOffsets(all.map(traits.asRead ?? ((record) => record)))

  clientTest(client, 'what it writes, in each codec, is what Ottla and it read', async (show) => {
    const { relay, address, url } = await relayForClients()
    const driver = start()
    const version = await driver.version()
    for (const codec of ['none', ...CODECS]) {
      const reason = traits.withoutCodecs?.[codec as Codec]
      if (reason !== undefined) {
        show(version, [codec as Codec, reason])
        continue
      }
      const topic = `written-${codec}`
      await relay.engine.createTopic({ name: topic, partitionCount: 1, configs: {} })
      const offsets = await driver.produce(address, topic, codec, false, records)
      expect(offsets, codec).toEqual(records.map((_, index) => index))
      expect(await readByOttla(url, topic, records.length), codec).toEqual(atOffsets(records))
      expect(await codecsStored(relay, topic), codec).toContain(codec)
      expect(await driver.consume(address, topic, records.length), codec).toEqual(readBack(records))
      if (codec !== 'none') show(version, codec as Codec)
    }
    show(version, 'produce')
  })

  clientTest(client, 'reads what Ottla has written', async (show) => {
    const { relay, address, url } = await relayForClients()
    await relay.engine.createTopic({ name: 'written', partitionCount: 1, configs: {} })
    const all = [...RECORDS, NULL_HEADER]
    await writeByOttla(url, 'written', all)
    const driver = start()
    expect(await driver.consume(address, 'written', all.length)).toEqual(readBack(all))
    show(await driver.version(), 'consume')
  })

  clientTest(client, 'idempotent producer, admin', async (show) => {
    const { relay, address } = await relayForClients()
    const driver = start()
    const version = await driver.version()
    if (traits.withoutIdempotence === undefined) {
      await relay.engine.createTopic({ name: 'once', partitionCount: 1, configs: {} })
      await driver.produce(address, 'once', 'none', true, records)
      const [producer] = relay.engine.topicByName('once')!.partitions[0]!.producers()
      expect(producer).toMatchObject({ producerEpoch: 0, lastSequence: records.length - 1 })
    }
    show(version, traits.withoutIdempotence === undefined ? 'idempotent' : ['idempotent', traits.withoutIdempotence])
    if (traits.withoutAdmin === undefined) {
      expect(await driver.admin(address, 'administered')).toEqual({
        retention: '60000',
        altered: '120000',
        partitions: 5,
        first: 2,
        last: 3,
        brokers: 1,
        clusterId: relay.engine.clusterId,
        deleted: true,
      })
    }
    show(version, traits.withoutAdmin === undefined ? 'admin' : ['admin', traits.withoutAdmin])
  })

  clientTest(client, 'commits records and offsets in transactions, and aborts', async (show) => {
    const { relay, address, url } = await relayForClients()
    for (const name of ['input', 'output']) await relay.engine.createTopic({ name, partitionCount: 1, configs: {} })
    await writeByOttla(url, 'input', [...RECORDS, ...RECORDS].slice(0, 7))
    const driver = start()
    await driver.transactions(address, 'output', 'input', 'g')
    const reader = await RelayClient.open(url)
    const topicId = await reader.topicId('output')
    expect(await committedValues(reader, topicId)).toEqual(['first', 'second'])
    expect(await committedOffset(reader, await reader.topicId('input'), 'g', true)).toBe(7)
    const [log] = relay.engine.topicById(topicId)!.partitions
    expect([log!.highWatermark, log!.lastStableOffset]).toEqual([6, 6])
    show(await driver.version(), 'transactions')
  })

  for (const protocol of ['classic', 'consumer'] as const) {
    const feature = protocol === 'classic' ? 'classic groups' : 'KIP-848 groups'
    clientTest(client, `goes on from what its group has committed (${protocol} protocol)`, async (show) => {
      const { relay, address, url } = await relayForClients()
      const driver = start()
      const version = await driver.version()
      const reason = protocol === 'consumer' ? traits.withoutConsumerProtocol : undefined
      if (reason !== undefined) return show(version, [feature, reason])
      await relay.engine.createTopic({ name: 'shared', partitionCount: 1, configs: {} })
      await writeByOttla(url, 'shared', RECORDS)
      const expected = readBack([...RECORDS])
      expect(await driver.group(address, 'shared', 'g', RECORDS.length, protocol)).toEqual(expected)
      expect(await typeOfGroup(url, 'g')).toBe(protocol)
      await writeByOttla(url, 'shared', RECORDS.slice(0, 2))
      const [first, second] = await driver.group(address, 'shared', 'g', 2, protocol)
      expect([first!.offset, second!.offset]).toEqual([RECORDS.length, RECORDS.length + 1])
      show(version, feature)
    })
  }

  if (traits.sendsPatterns) {
    clientTest(
      client,
      'reads topics that match its expression, also those that come to (consumer protocol)',
      async (show) => {
        const driver = start()
        await readsWhatMatches(driver)
        show(await driver.version(), 'KIP-848 groups')
      },
    )
  }
}

async function readsWhatMatches(driver: Driver): Promise<void> {
  const { relay, address, url } = await relayForClients()
  const create = (name: string) => relay.engine.createTopic({ name, partitionCount: 1, configs: {} })
  await create('matched-1')
  const reading = driver.group(address, '^matched-.*', 'g', 2 * RECORDS.length, 'consumer')
  const client = await RelayClient.open(url)
  const described = async () => (await client.call(consumerGroupDescribe, { groupIds: ['g'] })).groups[0]!
  // Some put it in brackets.
  await eventually(async () => (await described()).members[0]?.subscribedTopicRegex?.includes('^matched-.*'), {
    withinMs: 15_000,
    what: 'the expression has come',
  })
  await Promise.all([create('matched-2'), create('unmatched')])
  for (const topic of ['matched-1', 'matched-2', 'unmatched']) await writeByOttla(url, topic, RECORDS)
  expect(await reading).toHaveLength(2 * RECORDS.length)
  const { groups } = await client.call(offsetFetch, { groups: [{ groupId: 'g', topics: null }] }, 9)
  const committed = groups[0]!.topics.map(({ name, partitions }) => [name, partitions[0]!.committedOffset])
  expect(Object.fromEntries(committed)).toEqual({ 'matched-1': RECORDS.length, 'matched-2': RECORDS.length })
}

/** Some clients fall back to the classic protocol without a word. */
async function typeOfGroup(url: string, groupId: string): Promise<string | undefined> {
  const client = await RelayClient.open(url)
  const { groups } = await client.call(listGroups, {})
  return groups.find((group) => group.groupId === groupId)?.groupType
}

export async function relayForClients(): Promise<{ relay: Relay; address: string; url: string }> {
  const relay = await startRelay({
    config: { kafkaPort: 0, groupInitialRebalanceDelayMs: 0, groupConsumerHeartbeatIntervalMs: 500 },
  })
  return { relay, address: relay.kafka!.address, url: relay.websocket.url }
}

/** The codecs of the batches in partition 0: they are stored as they came. */
export async function codecsStored(relay: Relay, topic: string): Promise<string[]> {
  const client = await RelayClient.open(relay.websocket.url)
  const { responses } = await client.call(fetch, {
    maxWaitMs: 0,
    minBytes: 0,
    topics: [
      {
        topicId: await client.topicId(topic),
        partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 2 ** 20 }],
      },
    ],
  })
  return [...batchesIn(responses[0]!.partitions[0]!.records!)].map(({ header }) => CODEC_NAMES[codecOf(header)]!)
}
