/** What every client with a driver goes through: writing, reading, each codec, exactly once, admin, groups. */
import { expect } from 'vitest'
import { CODEC_NAMES } from '../../../protocol/compression.ts'
import { consumerGroupDescribe } from '../../../protocol/messages/consumer-groups.ts'
import { fetch } from '../../../protocol/messages/fetch.ts'
import { listGroups } from '../../../protocol/messages/group-admin.ts'
import { offsetFetch } from '../../../protocol/messages/group-offsets.ts'
import { describeProducers } from '../../../protocol/messages/producers.ts'
import { batchesIn, codecOf } from '../../../protocol/record-batch.ts'
import { committedOffset, committedValues } from '../../server/transactions/transactional-client.ts'
import { eventually } from '../../support/eventually.ts'
import { clientTest, type Feature } from './compatibility.ts'
import type { Driver } from './driver.ts'
import { isOracleRun, type Peer, peerForClients } from './peer.ts'
import { atOffsets, NULL_HEADER, type PlainRecord, RECORDS } from './records.ts'

type Codec = Extract<Feature, 'gzip' | 'snappy' | 'lz4' | 'zstd'>
/** A relay answers when a change is there. */
const SETTLE_MS = 1_000
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
    const peer = await peerForClients()
    const driver = start()
    const version = await driver.version()
    for (const codec of ['none', ...CODECS]) {
      const reason = traits.withoutCodecs?.[codec as Codec]
      if (reason !== undefined) {
        show(version, [codec as Codec, reason])
        continue
      }
      const topic = peer.name(`written-${codec}`)
      await peer.createTopic(topic)
      const offsets = await driver.produce(peer.address, topic, codec, false, records)
      expect(offsets, codec).toEqual(records.map((_, index) => index))
      expect(await peer.read(topic, records.length), codec).toEqual(atOffsets(records))
      expect(await codecsStored(peer, topic), codec).toContain(codec)
      expect(await driver.consume(peer.address, topic, records.length), codec).toEqual(readBack(records))
      if (codec !== 'none') show(version, codec as Codec)
    }
    show(version, 'produce')
  })

  clientTest(client, 'reads what Ottla has written', async (show) => {
    const peer = await peerForClients()
    const written = peer.name('written')
    await peer.createTopic(written)
    const all = [...RECORDS, NULL_HEADER]
    await peer.write(written, all)
    const driver = start()
    expect(await driver.consume(peer.address, written, all.length)).toEqual(readBack(all))
    show(await driver.version(), 'consume')
  })

  clientTest(client, 'idempotent producer, admin', async (show) => {
    const peer = await peerForClients()
    const driver = start()
    const version = await driver.version()
    if (traits.withoutIdempotence === undefined) {
      const once = peer.name('once')
      await peer.createTopic(once)
      await driver.produce(peer.address, once, 'none', true, records)
      expect(await producerOf(peer, once)).toMatchObject({ producerEpoch: 0, lastSequence: records.length - 1 })
    }
    show(version, traits.withoutIdempotence === undefined ? 'idempotent' : ['idempotent', traits.withoutIdempotence])
    if (traits.withoutAdmin === undefined) {
      expect(await driver.admin(peer.address, peer.name('administered'), isOracleRun ? SETTLE_MS : 0)).toEqual({
        retention: '60000',
        altered: '120000',
        partitions: 5,
        first: 2,
        last: 3,
        brokers: 1,
        clusterId: await peer.clusterId(),
        deleted: true,
      })
    }
    show(version, traits.withoutAdmin === undefined ? 'admin' : ['admin', traits.withoutAdmin])
  })

  clientTest(client, 'commits records and offsets in transactions, and aborts', async (show) => {
    const peer = await peerForClients()
    const [input, output, group] = ['input', 'output', 'g'].map(peer.name) as [string, string, string]
    for (const name of [input, output]) await peer.createTopic(name)
    await peer.write(input, [...RECORDS, ...RECORDS].slice(0, 7))
    const driver = start()
    await driver.transactions(peer.address, output, input, group)
    const topicId = await peer.topicId(output)
    await eventually(async () => (await committedOffset(peer, await peer.topicId(input), group, true)) === 7)
    expect(await committedValues(peer, topicId)).toEqual(['first', 'second'])
    const { highWatermark, lastStableOffset } = await fetched(peer, topicId)
    expect([highWatermark, lastStableOffset]).toEqual([6, 6])
    show(await driver.version(), 'transactions')
  })

  for (const protocol of ['classic', 'consumer'] as const) {
    const feature = protocol === 'classic' ? 'classic groups' : 'KIP-848 groups'
    clientTest(client, `goes on from what its group has committed (${protocol} protocol)`, async (show) => {
      const peer = await peerForClients()
      const driver = start()
      const version = await driver.version()
      const reason = protocol === 'consumer' ? traits.withoutConsumerProtocol : undefined
      if (reason !== undefined) return show(version, [feature, reason])
      const [topic, group] = [peer.name('shared'), peer.name('g')]
      await peer.createTopic(topic)
      await peer.write(topic, RECORDS)
      const expected = readBack([...RECORDS])
      expect(await driver.group(peer.address, topic, group, RECORDS.length, protocol)).toEqual(expected)
      expect(await typeOfGroup(peer, group)).toBe(protocol)
      await peer.write(topic, RECORDS.slice(0, 2))
      const [first, second] = await driver.group(peer.address, topic, group, 2, protocol)
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
  const peer = await peerForClients()
  const [first, second, other] = ['matched-1', 'matched-2', 'other'].map(peer.name) as [string, string, string]
  const [group, pattern] = [peer.name('g'), `^${peer.name('matched')}-.*`]
  await peer.createTopic(first)
  // Kafka looks for later ones at most each ten seconds, and some clients then for their names in minutes. How it finds them
  // is compared in test/oracle/consumer-groups.oracle.ts.
  if (isOracleRun) await peer.createTopic(second)
  const reading = driver.group(peer.address, pattern, group, 2 * RECORDS.length, 'consumer')
  const described = async () => (await peer.call(consumerGroupDescribe, { groupIds: [group] })).groups[0]!
  // Some put it in brackets.
  await eventually(async () => (await described()).members[0]?.subscribedTopicRegex?.includes(pattern), {
    withinMs: 15_000,
    what: 'the expression has come',
  })
  if (!isOracleRun) await peer.createTopic(second)
  await peer.createTopic(other)
  for (const topic of [first, second, other]) await peer.write(topic, RECORDS)
  expect(await reading).toHaveLength(2 * RECORDS.length)
  const { groups } = await peer.call(offsetFetch, { groups: [{ groupId: group, topics: null }] }, 9)
  const committed = groups[0]!.topics.map(({ name, partitions }) => [name, partitions[0]!.committedOffset])
  expect(Object.fromEntries(committed)).toEqual({ [first]: RECORDS.length, [second]: RECORDS.length })
}

/** Some clients fall back to the classic protocol without a word. */
async function typeOfGroup(peer: Peer, groupId: string): Promise<string | undefined> {
  const { groups } = await peer.call(listGroups, {})
  return groups.find((group) => group.groupId === groupId)?.groupType.toLowerCase()
}

async function producerOf(peer: Peer, name: string) {
  const { topics } = await peer.call(describeProducers, { topics: [{ name, partitionIndexes: [0] }] })
  return topics[0]!.partitions[0]!.activeProducers[0]
}

/** The codecs of the batches in partition 0: they are stored as they came. */
export async function codecsStored(peer: Pick<Peer, 'call' | 'topicId'>, topic: string): Promise<string[]> {
  const { records } = await fetched(peer, await peer.topicId(topic))
  return [...batchesIn(records!)].map(({ header }) => CODEC_NAMES[codecOf(header)]!)
}

/** The front of partition 0. */
async function fetched(peer: Pick<Peer, 'call'>, topicId: string) {
  const partitions = [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 2 ** 20 }]
  const { responses } = await peer.call(fetch, { maxWaitMs: 0, minBytes: 0, topics: [{ topicId, partitions }] })
  return responses[0]!.partitions[0]!
}
