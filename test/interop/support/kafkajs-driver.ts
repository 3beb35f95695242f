/** kafkajs as a client under test. It reads in groups alone, so a group of its own stands for none. */
import { CompressionTypes, ConfigResourceTypes, type IHeaders, Kafka, type KafkaMessage, logLevel } from 'kafkajs'
import { type AdminOutcome, type Driver, settle } from './driver.ts'
import type { PlainRecord, ReadRecord } from './records.ts'

const base64 = (data: Buffer | string) => Buffer.from(data).toString('base64')
const fromBase64 = (text: string | null) => (text === null ? null : Buffer.from(text, 'base64'))
const open = (address: string) => new Kafka({ brokers: [address], clientId: 'kafkajs', logLevel: logLevel.NOTHING })
let groups = 0

export function kafkajsDriver(version: string): Driver {
  return {
    version: async () => version,
    produce,
    consume: (address, topic, count) => read(address, topic, `reader-${groups++}`, count),
    group: (address, topic, group, count) => read(address, topic, group, count),
    admin: administer,
    transactions,
  }
}

async function transactions(address: string, topic: string, input: string, group: string) {
  const options = { transactionalId: `${topic}-tx`, idempotent: true, maxInFlightRequests: 1 }
  const producer = open(address).producer(options)
  await producer.connect()
  try {
    for (const value of ['first', 'never', 'second']) {
      const transaction = await producer.transaction()
      await transaction.send({ topic, messages: [{ partition: 0, value }] })
      if (value === 'second') {
        const topics = [{ topic: input, partitions: [{ partition: 0, offset: '7' }] }]
        await transaction.sendOffsets({ consumerGroupId: group, topics })
      }
      await (value === 'never' ? transaction.abort() : transaction.commit())
    }
  } finally {
    await producer.disconnect()
  }
}

async function produce(address: string, topic: string, codec: string, idempotent: boolean, records: PlainRecord[]) {
  const producer = open(address).producer({ idempotent, maxInFlightRequests: 1 })
  await producer.connect()
  try {
    const messages = records.map(({ key, value, headers, timestamp }) => ({
      partition: 0,
      key: fromBase64(key),
      value: fromBase64(value),
      headers: headersIn(headers),
      timestamp: String(timestamp),
    }))
    const compression = codec === 'none' ? CompressionTypes.None : CompressionTypes.GZIP
    const [sent] = await producer.send({ topic, messages, compression })
    return records.map((_, index) => Number(sent!.baseOffset) + index)
  } finally {
    await producer.disconnect()
  }
}

function headersIn(headers: PlainRecord['headers']): IHeaders {
  const named: Record<string, Buffer | Buffer[]> = {}
  for (const [name, text] of headers) {
    const value = fromBase64(text) ?? Buffer.alloc(0)
    const before = named[name]
    named[name] = before === undefined ? value : [before, value].flat()
  }
  return named
}

function headersOut(headers: IHeaders | undefined): PlainRecord['headers'] {
  return Object.entries(headers ?? {}).flatMap(([name, held]) =>
    [held].flat().map((value): [string, string | null] => [name, value == null ? null : base64(value)]),
  )
}

async function read(address: string, topic: string, groupId: string, count: number): Promise<ReadRecord[]> {
  const consumer = open(address).consumer({ groupId, maxWaitTimeInMs: 100 })
  const records: ReadRecord[] = []
  await consumer.connect()
  try {
    await consumer.subscribe({ topic, fromBeginning: true })
    await new Promise<void>((resolve, reject) => {
      consumer.on('consumer.crash', ({ payload }) => reject(payload.error))
      consumer
        .run({
          autoCommit: false,
          eachMessage: async ({ partition, message }) => {
            if (records.length < count) records.push(recordOf(partition, message))
            if (records.length === count) resolve()
          },
        })
        .catch(reject)
    })
    const offset = String(records.at(-1)!.offset + 1)
    await consumer.commitOffsets([{ topic, partition: 0, offset }])
    return records
  } finally {
    await consumer.disconnect()
  }
}

function recordOf(partition: number, message: KafkaMessage): ReadRecord {
  return {
    partition,
    offset: Number(message.offset),
    timestamp: Number(message.timestamp),
    key: message.key && base64(message.key),
    value: message.value && base64(message.value),
    headers: headersOut(message.headers),
  }
}

async function administer(address: string, topic: string, settleMs: number): Promise<AdminOutcome> {
  const admin = open(address).admin()
  await admin.connect()
  try {
    const configEntries = [{ name: 'retention.ms', value: '60000' }]
    await admin.createTopics({ topics: [{ topic, numPartitions: 3, replicationFactor: 1, configEntries }] })
    const type = ConfigResourceTypes.TOPIC
    const setting = async () => {
      const { resources } = await admin.describeConfigs({ includeSynonyms: false, resources: [{ type, name: topic }] })
      return resources[0]!.configEntries.find(({ configName }) => configName === 'retention.ms')!.configValue
    }
    await settle(settleMs)
    const retention = await setting()
    const changed = [{ name: 'retention.ms', value: '120000' }]
    await admin.alterConfigs({ validateOnly: false, resources: [{ type, name: topic, configEntries: changed }] })
    await settle(settleMs)
    const altered = await setting()
    await admin.createPartitions({ topicPartitions: [{ topic, count: 5 }] })
    await settle(settleMs)
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
    const one: PlainRecord = { key: null, value: 'YQ==', headers: [], timestamp: 1 }
    await produce(address, topic, 'none', false, [one, one, one])
    await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '2' }] })
    const offsets = (await admin.fetchTopicOffsets(topic)).find(({ partition }) => partition === 0)!
    const cluster = await admin.describeCluster()
    await admin.deleteTopics({ topics: [topic] })
    await settle(settleMs)
    return {
      retention,
      altered,
      partitions: topics[0]!.partitions.length,
      first: Number(offsets.low),
      last: Number(offsets.high),
      brokers: cluster.brokers.length,
      clusterId: cluster.clusterId,
      deleted: !(await admin.listTopics()).includes(topic),
    }
  } finally {
    await admin.disconnect()
  }
}
