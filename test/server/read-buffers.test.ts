/** Buffers that answers were read into are used again; nobody may ever see another's records in his. */
import { connect } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { fetch as fetch_ } from '../../protocol/messages/fetch.ts'
import { ReadBuffers } from '../../server/read-buffers.ts'
import { batchOf } from '../support/batches.ts'
import { KafkaWire } from '../support/kafka-wire.ts'
import { recordsIn } from '../support/read-values.ts'
import { startRelay } from '../support/relay.ts'
import { RelayClient } from '../support/relay-client.ts'

const PARTITIONS = 6
/** More than the relay keeps of a log in memory. */
const BATCHES = 40
const VALUE_BYTES = 150_000

const storedValue = (partition: number, offset: number) =>
  `${partition}.${offset};`.repeat(VALUE_BYTES).slice(0, VALUE_BYTES)

type Ask = Array<{ partition: number; fetchOffset: number }>

function request(topicId: string, asked: Ask) {
  const partitions = asked.map((each) => ({ ...each, partitionMaxBytes: 1024 * 1024 }))
  const topics = [{ topic: '', topicId, partitions }]
  return { maxWaitMs: 0, minBytes: 1, maxBytes: 50 * 1024 * 1024, isolationLevel: 0, topics, forgottenTopicsData: [] }
}

type Answer = { responses: Array<{ partitions: Array<{ partitionIndex: number; records: Uint8Array | null }> }> }

/** How many records there were, all of them as they were written. */
function checked({ responses }: Answer): number {
  let count = 0
  for (const { partitionIndex, records } of responses.flatMap(({ partitions }) => partitions)) {
    for (const { offset, value } of recordsIn(records!)) {
      if (value !== storedValue(partitionIndex, offset)) throw new Error(`partition ${partitionIndex} offset ${offset}`)
      count++
    }
  }
  return count
}

async function filledRelay() {
  const relay = await startRelay({ config: { kafkaPort: 0 } })
  const client = await RelayClient.open(relay.websocket.url)
  const topicId = await client.createTopic('filled', { partitions: PARTITIONS })
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const all = Array.from({ length: BATCHES }, (_, offset) => batchOf([storedValue(partition, offset)]))
    for (const batch of all) await client.produce(topicId, batch, partition)
  }
  return { client, topicId, address: relay.kafka!.address }
}

async function openWire(address: string) {
  const [host, port] = address.split(':')
  const socket = connect(Number(port), host)
  onTestFinished(() => void socket.destroy())
  await new Promise<void>((resolve) => socket.once('connect', resolve))
  return { socket, wire: new KafkaWire(socket) }
}

test('answers stay as they are while they wait for slow consumers and others go on reading', async () => {
  const { client, topicId, address } = await filledRelay()
  const everything = Array.from({ length: PARTITIONS }, (_, partition) => ({ partition, fetchOffset: 0 }))
  const slow = await Promise.all([openWire(address), openWire(address), openWire(address)])
  for (const { socket } of slow) socket.pause()
  const waiting = slow.map(({ wire }) => wire.call(fetch_, request(topicId, everything)))

  const { wire } = await openWire(address)
  for (let fetchOffset = 0; fetchOffset < 30; fetchOffset += 6) {
    const asked = everything.map(({ partition }) => ({ partition, fetchOffset }))
    const answers = [wire, client].map((each) => each.call(fetch_, request(topicId, asked)))
    for (const answer of await Promise.all(answers)) expect(checked(answer as Answer)).toBeGreaterThan(PARTITIONS)
  }
  for (const { socket } of slow) socket.resume()
  for (const answer of await Promise.all(waiting)) expect(checked(answer as Answer)).toBeGreaterThan(PARTITIONS)
})

test('a buffer is given again when its answer has gone, not before', () => {
  const buffers = new ReadBuffers()
  const first = buffers.lease()
  const bytes = first.allocate(1024 * 1024)
  expect(buffers.lease().allocate(1024 * 1024).buffer).not.toBe(bytes.buffer)
  first.release()
  first.release()
  const next = buffers.lease()
  expect(next.allocate(500_000).buffer).toBe(bytes.buffer)
  expect(next.allocate(500_000).buffer).not.toBe(bytes.buffer)
})

test('small reads and reads beyond the usual get buffers of their own', () => {
  const lease = new ReadBuffers().lease()
  expect(lease.allocate(1000).buffer.byteLength).toBe(1000)
  expect(lease.allocate(5_000_000).length).toBe(5_000_000)
})
