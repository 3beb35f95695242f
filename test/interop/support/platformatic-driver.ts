/** @platformatic/kafka as a client under test. It reads in groups alone, so a group of its own stands for none. */
import {
  Admin,
  type CompressionAlgorithmValue,
  Consumer,
  ListOffsetTimestamps,
  type Message,
  Producer,
} from '@platformatic/kafka'
import { type AdminOutcome, type Driver, type GroupProtocol, settle } from './driver.ts'
import type { PlainRecord, ReadRecord } from './records.ts'

const TOPIC = 2
const SET = 0
const base64 = (data: Buffer | null | undefined) => (data == null ? null : Buffer.from(data).toString('base64'))
const fromBase64 = (text: string | null) => (text === null ? undefined : Buffer.from(text, 'base64'))
const baseOf = (address: string) => ({ clientId: 'platformatic', bootstrapBrokers: [address] })
let groups = 0

export function platformaticDriver(version: string): Driver {
  return {
    version: async () => version,
    produce,
    consume: (address, topic, count) => read(address, topic, `reader-${groups++}`, count),
    group: (address, topic, group, count, protocol) => read(address, topic, group, count, protocol),
    admin: administer,
    transactions,
  }
}

/** Its offsets are those of messages that a member has read: of seven, the last. */
async function transactions(address: string, topic: string, input: string, groupId: string) {
  const producer = new Producer({ ...baseOf(address), transactionalId: `${topic}-tx`, idempotent: true })
  const consumer = new Consumer({ ...baseOf(address), groupId, maxWaitTime: 100 })
  try {
    for (const value of ['first', 'never', 'second']) {
      const transaction = await producer.beginTransaction()
      await transaction.send({ messages: [{ topic, partition: 0, value: Buffer.from(value) }], acks: -1 })
      if (value === 'second') {
        const stream = await consumer.consume({ topics: [input], mode: 'earliest', autocommit: false })
        const messages: Message[] = []
        for await (const message of stream) {
          messages.push(message)
          if (messages.length === 7) break
        }
        await transaction.addConsumer(consumer)
        await transaction.addOffset(messages.at(-1)!)
      }
      await (value === 'never' ? transaction.abort() : transaction.commit())
    }
  } finally {
    await consumer.close(true)
    await producer.close()
  }
}

async function produce(address: string, topic: string, codec: string, idempotent: boolean, records: PlainRecord[]) {
  const producer = new Producer({ ...baseOf(address), idempotent })
  try {
    const messages = records.map(({ key, value, headers, timestamp }) => ({
      topic,
      partition: 0,
      key: fromBase64(key),
      value: fromBase64(value),
      // Names are buffers, so that one may stand twice.
      headers: new Map(headers.map(([name, text]) => [Buffer.from(name), fromBase64(text) as Buffer])),
      timestamp: BigInt(timestamp),
    }))
    const { offsets } = await producer.send({ messages, compression: codec as CompressionAlgorithmValue, acks: -1 })
    return records.map((_, index) => Number(offsets![0]!.offset) + index)
  } finally {
    await producer.close()
  }
}

async function read(
  address: string,
  topic: string,
  groupId: string,
  count: number,
  groupProtocol: GroupProtocol = 'classic',
): Promise<ReadRecord[]> {
  const consumer = new Consumer({ ...baseOf(address), groupId, groupProtocol, maxWaitTime: 100 })
  const records: ReadRecord[] = []
  try {
    const options = {
      topics: [topic],
      mode: 'committed' as const,
      fallbackMode: 'earliest' as const,
      autocommit: false,
    }
    const stream = await consumer.consume(options)
    let last: Message | undefined
    for await (const message of stream) {
      last = message
      records.push(recordOf(message))
      if (records.length === count) break
    }
    const { offset } = last!
    await consumer.commit({ offsets: [{ topic, partition: 0, offset: offset + 1n, leaderEpoch: -1 }] })
    return records
  } finally {
    await consumer.close(true)
  }
}

function recordOf({ partition, offset, timestamp, key, value, headers }: Message): ReadRecord {
  return {
    partition,
    offset: Number(offset),
    timestamp: Number(timestamp),
    key: base64(key),
    value: base64(value),
    headers: [...headers].map(([name, data]) => [String(name), base64(data)]),
  }
}

async function administer(address: string, topic: string, settleMs: number): Promise<AdminOutcome> {
  const admin = new Admin(baseOf(address))
  try {
    const configs = [{ name: 'retention.ms', value: '60000' }]
    await admin.createTopics({ topics: [topic], partitions: 3, replicas: 1, configs })
    const setting = async () => {
      const [described] = await admin.describeConfigs({ resources: [{ resourceType: TOPIC, resourceName: topic }] })
      return described!.configs.find(({ name }) => name === 'retention.ms')!.value!
    }
    await settle(settleMs)
    const retention = await setting()
    const changed = [{ name: 'retention.ms', configOperation: SET, value: '120000' } as const]
    await admin.incrementalAlterConfigs({
      resources: [{ resourceType: TOPIC, resourceName: topic, configs: changed }],
    })
    await settle(settleMs)
    const altered = await setting()
    const toBroker = { brokerIds: [1] }
    await admin.createPartitions({ topics: [{ name: topic, count: 5, assignments: [toBroker, toBroker] }] })
    await settle(settleMs)
    const metadata = await admin.metadata({ topics: [topic], forceUpdate: true })
    const one: PlainRecord = { key: null, value: 'YQ==', headers: [], timestamp: 1 }
    await produce(address, topic, 'none', false, [one, one, one])
    await admin.deleteRecords({ topics: [{ name: topic, partitions: [{ partition: 0, offset: 2n }] }] })
    const offsetAt = async (timestamp: bigint) => {
      const topics = [{ name: topic, partitions: [{ partitionIndex: 0, timestamp }] }]
      const [listed] = await admin.listOffsets({ topics })
      return Number(listed!.partitions[0]!.offset)
    }
    const [first, last] = [await offsetAt(ListOffsetTimestamps.EARLIEST), await offsetAt(ListOffsetTimestamps.LATEST)]
    await admin.deleteTopics({ topics: [topic] })
    await settle(settleMs)
    return {
      retention,
      altered,
      partitions: metadata.topics.get(topic)!.partitionsCount,
      first,
      last,
      brokers: metadata.brokers.size,
      clusterId: metadata.id,
      deleted: !(await admin.listTopics()).includes(topic),
    }
  } finally {
    await admin.close()
  }
}
