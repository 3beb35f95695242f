/** Our admin calls against a real Apache Kafka: of one node, and of three, where each entry has its own broker to ask. */
import { Kafka, logLevel } from 'kafkajs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { connect, type Ottla, type TopicDescription } from '../../client/node.ts'
import { type ApacheKafka, startApacheKafka } from '../support/apache-kafka.ts'
import { eventually } from '../support/eventually.ts'
import { oracleAddress } from './support/compare.ts'

const kafkaOf = (address: string) => new Kafka({ brokers: [address], clientId: 'kafkajs', logLevel: logLevel.NOTHING })

async function write(address: string, topic: string, perPartition: readonly number[]): Promise<void> {
  const producer = kafkaOf(address).producer()
  await producer.connect()
  for (const [partition, count] of perPartition.entries()) {
    await producer.send({ topic, messages: Array.from({ length: count }, (_, n) => ({ partition, value: `${n}` })) })
  }
  await producer.disconnect()
}

describe.each(['one node', 'three nodes'])('[CAD-9] an Apache Kafka of %s is administered', (size) => {
  const nodes: ApacheKafka[] = []
  let address: string
  let ottla: Ottla
  beforeAll(async () => {
    address = oracleAddress()
    if (size === 'three nodes') {
      const settings = { 'auto.create.topics.enable': 'false', 'offsets.topic.num.partitions': 5 }
      const first = await startApacheKafka({ settings, heap: '256m' })
      nodes.push(first)
      for (const brokerId of [2, 3]) {
        const joins = { controllerPort: first.controllerPort, brokerId }
        nodes.push(await startApacheKafka({ settings, heap: '256m', joins }))
      }
      address = first.address
    }
    ottla = await connect(`kafka://${address}`)
  })
  afterAll(async () => {
    await ottla?.close()
    await Promise.all(nodes.map((node) => node.stop()))
  })

  /** As soon as the broker that is asked knows it with all its leaders. */
  async function ledTopic(name: string): Promise<TopicDescription | undefined> {
    const [topic] = await ottla.admin.describeTopics([name]).settled()
    return topic?.value?.partitions.every(({ leader }) => leader > 0) ? topic.value : undefined
  }

  test('topics, records, offsets and groups, wherever they are', async () => {
    const { admin } = ottla
    const topic = `admin-${process.pid}-${size.length}`
    await eventually(async () => (await admin.describeCluster()).brokers.length === Math.max(1, nodes.length), {
      withinMs: 30_000,
      everyMs: 300,
    })
    await admin.createTopics([{ name: topic, partitions: 6 }])
    await expect(admin.createTopics([{ name: topic }])).rejects.toMatchObject({ code: 'TOPIC_EXISTS' })
    const described = await eventually(() => ledTopic(topic))
    const leaders = new Set(described.partitions.map(({ leader }) => leader))
    expect(leaders.size).toBe(Math.max(1, nodes.length))
    await write(address, topic, [1, 2, 3, 4, 5, 6])
    const queries = Array.from({ length: 6 }, (_, partition) => ({ topic, partition, spec: 'latest' as const }))
    expect((await admin.listOffsets(queries)).map(({ offset }) => offset)).toEqual([1, 2, 3, 4, 5, 6])
    const cut = queries.map(({ partition }) => ({ topic, partition, beforeOffset: 1 }))
    expect((await admin.deleteRecords(cut)).map(({ logStart }) => logStart)).toEqual([1, 1, 1, 1, 1, 1])

    const groups = ['a', 'b', 'c', 'd'].map((name) => `${topic}-${name}`)
    for (const group of groups)
      await admin.alterConsumerGroupOffsets(group, [{ topic, partition: 5, offset: 2 }], { timeoutMs: 60_000 })
    const listed = (await admin.listConsumerGroups()).map(({ groupId }) => groupId)
    expect(listed).toEqual(expect.arrayContaining(groups))
    const lags = await admin.describeConsumerGroups(groups, { lag: true })
    expect(lags.map(({ state, lag }) => [state, lag![0]!.lag])).toEqual(groups.map(() => ['Empty', 4]))
    expect(await admin.resetConsumerGroupOffsets(groups[0]!, { to: 'earliest' })).toEqual([
      { topic, partition: 5, from: 2, to: 1 },
    ])
    expect(await admin.deleteConsumerGroups(groups)).toEqual(groups)
    const unknown = await admin.describeConsumerGroups([groups[0]!]).settled()
    expect(unknown[0]!.error).toMatchObject({ kafkaCode: 69 })

    await admin.incrementalAlterConfigs([{ resource: { topic }, name: 'retention.ms', value: '60000' }])
    expect(await admin.describeLogDirs()).toHaveLength(Math.max(1, nodes.length))
    expect(await admin.describeProducers(queries)).toBeInstanceOf(Array)
    expect((await admin.describeFeatures()).finalized['metadata.version']).toBeDefined()
    expect((await admin.describeMetadataQuorum()).leaderId).toBe(1)
    expect(await admin.listPartitionReassignments()).toEqual([])
    expect(await admin.describeUserScramCredentials()).toEqual([])
    await expect(admin.describeAcls()).rejects.toMatchObject({ kafkaCode: 54 })
    expect(await admin.deleteTopics([topic])).toEqual([topic])
  })

  test('what needs a relay is refused by name', async () => {
    const topic = `plain-${process.pid}-${size.length}`
    await ottla.admin.createTopics([{ name: topic, partitions: 1 }])
    await eventually(() => ledTopic(topic))
    const reading = ottla
      .topic(topic)
      .read({ from: 'beginning' })
      .each(() => {})
    await expect(reading).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      message: expect.stringContaining('Apache Kafka'),
    })
    const sending = ottla.topic(topic).send({ value: Uint8Array.of(1) })
    await expect(sending.stored).rejects.toMatchObject({ code: 'UNSUPPORTED' })
    await sending.committed.catch(() => {})
    await ottla.admin.deleteTopics([topic])
  })
})
