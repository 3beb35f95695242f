/** Consumers in groups against the real relay, over real WebSockets. */
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { connect, json, type Ottla, string } from '../../../client/index.ts'
import { offsetFetch } from '../../../protocol/messages/group-offsets.ts'
import { createRelay, type Relay } from '../../../server/relay.ts'
import { MemoryFiles } from '../../../server/storage/memory-files.ts'
import { eventually } from '../../support/eventually.ts'
import { RelayClient } from '../../support/relay-client.ts'

let relay: Relay
const FAST = { sessionTimeoutMs: 1_000, rebalanceTimeoutMs: 3_000, heartbeatMs: 100 }

beforeEach(async () => {
  relay = await createRelay({
    files: new MemoryFiles(),
    config: { dataDir: 'data', httpPort: 0, groupInitialRebalanceDelayMs: 50, groupMinSessionTimeoutMs: 500 },
  })
})

afterEach(async () => {
  await relay.close()
})

async function client(): Promise<Ottla> {
  const ottla = await connect(relay.websocket.url, { backoff: { delayMsFirst: 50 } })
  onTestFinished(() => ottla.close())
  return ottla
}

async function topicOf(ottla: Ottla, name: string, partitions: number) {
  await ottla.admin.createTopics([{ name, partitions }])
  return ottla.topic(name, { value: json<number>() })
}

/** Numbers from `first` on, dealt out over the partitions. */
async function write(ottla: Ottla, name: string, partitions: number, first: number, count: number): Promise<void> {
  const topic = ottla.topic(name, { value: json<number>() })
  const messages = Array.from({ length: count }, (_, index) => ({
    value: first + index,
    partition: index % partitions,
  }))
  await Promise.all(topic.sendAll(messages).map(({ committed }) => committed))
}

async function committed(group: string): Promise<Record<string, number>> {
  const raw = await RelayClient.open(relay.websocket.url)
  const { groups } = await raw.call(offsetFetch, { groups: [{ groupId: group, topics: null }] }, 9)
  return Object.fromEntries(
    groups[0]!.topics.flatMap(({ name, partitions }) =>
      partitions.map((one) => [`${name}/${one.partitionIndex}`, one.committedOffset]),
    ),
  )
}

const sorted = (values: Iterable<number>) => [...values].sort((a, b) => a - b)
const upTo = (count: number) => Array.from({ length: count }, (_, index) => index)

describe('a consumer', () => {
  test('[CON-10] a loop takes records in order; what it has gone past is committed, its last record is given back', async () => {
    const ottla = await client()
    await topicOf(ottla, 'orders', 1)
    await write(ottla, 'orders', 1, 0, 10)
    const seen: Array<number | null> = []
    for await (const { value } of ottla.group('g', FAST).read('orders', { value: json<number>(), from: 'beginning' })) {
      seen.push(value)
      if (seen.length === 4) break
    }
    expect(seen).toEqual([0, 1, 2, 3])
    expect(await committed('g')).toEqual({ 'orders/0': 3 })
    const again = ottla.group('g', FAST).read('orders', { value: json<number>() })
    for await (const record of again) {
      expect(record.value).toBe(3)
      await again.commit(record)
      break
    }
    expect(await committed('g')).toEqual({ 'orders/0': 4 })
  })

  test('[CON-11] two members share a topic, one leaves, the other takes over where it was', async () => {
    const [one, two] = [await client(), await client()]
    await topicOf(one, 'orders', 4)
    await write(one, 'orders', 4, 0, 40)
    const seen: number[][] = [[], []]
    const consumers = [one, two].map((ottla) =>
      ottla.group('g', FAST).read('orders', { value: json<number>(), from: 'beginning' }),
    )
    const done = consumers.map((consumer, index) => consumer.each(({ value }) => void seen[index]!.push(value!)))
    await eventually(() =>
      consumers.every(({ status }) => status?.partitions.length === 2 && status.state === 'reading'),
    )
    await write(one, 'orders', 4, 40, 40)
    await eventually(() => seen.flat().length >= 80)
    expect(sorted(seen.flat())).toEqual(upTo(80))
    for (const part of seen) expect(part.some((value) => value >= 40)).toBe(true)
    await consumers[0]!.close()
    await done[0]
    await eventually(() => consumers[1]!.status?.partitions.length === 4)
    await write(one, 'orders', 4, 80, 8)
    await eventually(() => seen.flat().length >= 88)
    expect(sorted(seen.flat())).toEqual(upTo(88))
    await consumers[1]!.close()
    expect(await committed('g')).toEqual({ 'orders/0': 22, 'orders/1': 22, 'orders/2': 22, 'orders/3': 22 })
  })

  test('[CON-12] a cooperative member reads on while another joins, and gives up only what moves', async () => {
    const [one, two] = [await client(), await client()]
    await topicOf(one, 'orders', 4)
    const first = one.group('g', FAST).read('orders', { value: json<number>() })
    const lost: string[] = []
    first.onRevoked((partitions, { isLost }) =>
      lost.push(...partitions.map(({ partition }) => `${partition} ${isLost}`)),
    )
    const seen: number[] = []
    const done = first.each(({ value }) => void seen.push(value!))
    await eventually(() => first.status?.partitions.length === 4)
    const second = two.group('g', FAST).read('orders', { value: json<number>() })
    const others: number[] = []
    const doneToo = second.each(({ value }) => void others.push(value!))
    await eventually(() => second.status?.partitions.length === 2 && second.status.state === 'reading')
    expect(lost).toHaveLength(2)
    expect(lost.every((entry) => entry.endsWith('false'))).toBe(true)
    expect(first.status!.partitions).toHaveLength(2)
    await Promise.all([first.close(), second.close()])
    await Promise.all([done, doneToo])
  })

  test('[CON-13] the handler decides the pace: what it has not finished is not committed', async () => {
    const ottla = await client()
    await topicOf(ottla, 'orders', 1)
    await write(ottla, 'orders', 1, 0, 5)
    const consumer = ottla.group('g', FAST).read('orders', { value: json<number>(), from: 'beginning' })
    let release = () => {}
    const started: number[] = []
    const done = consumer.each(async ({ value }) => {
      started.push(value!)
      if (value === 2) await new Promise<void>((resolve) => (release = resolve))
    })
    await eventually(() => started.length === 3)
    await eventually(async () => (await committed('g'))['orders/0'] === 2)
    const closing = consumer.close()
    release()
    await closing
    await done
    expect(started).toEqual([0, 1, 2])
    expect(await committed('g')).toEqual({ 'orders/0': 3 })
  })

  test('[CON-14] a handler that throws ends the consumer with its error, and nothing past it is committed', async () => {
    const ottla = await client()
    await topicOf(ottla, 'orders', 1)
    await write(ottla, 'orders', 1, 0, 5)
    const consumer = ottla.group('g', FAST).read('orders', { value: json<number>(), from: 'beginning' })
    const failure = new Error('no room')
    await expect(
      consumer.each(({ value }) => {
        if (value === 2) throw failure
      }),
    ).rejects.toBe(failure)
    expect(consumer.status).toMatchObject({ state: 'closed', error: { code: 'HANDLER_FAILED', message: 'no room' } })
    expect(await committed('g')).toEqual({ 'orders/0': 2 })
  })

  test('[CON-15] where it begins at the end is committed at once, so that a crash loses nothing', async () => {
    const ottla = await client()
    await topicOf(ottla, 'orders', 2)
    await write(ottla, 'orders', 2, 0, 4)
    const consumer = ottla.group('g', FAST).read('orders', { value: json<number>() })
    void consumer.each(() => {})
    await eventually(
      () =>
        consumer.status?.partitions.every(({ committed: at }) => at === 2) && consumer.status.partitions.length === 2,
    )
    expect(await committed('g')).toEqual({ 'orders/0': 2, 'orders/1': 2 })
  })

  test('[CON-16] several typed topics, in batches', async () => {
    const ottla = await client()
    const orders = await topicOf(ottla, 'orders', 2)
    await ottla.admin.createTopics([{ name: 'notes', partitions: 1 }])
    const notes = ottla.topic('notes', { value: string })
    await write(ottla, 'orders', 2, 0, 10)
    await Promise.all(notes.sendAll([{ value: 'a' }, { value: 'b' }]).map(({ committed: sent }) => sent))
    const seen: Array<number | string | null> = []
    const consumer = ottla.group('g', FAST).read([orders, notes], { from: 'beginning' })
    const done = consumer.each((records) => void seen.push(...records.map(({ value }) => value)), { batch: true })
    await eventually(() => seen.length === 12)
    await consumer.close()
    await done
    expect(await committed('g')).toEqual({ 'orders/0': 5, 'orders/1': 5, 'notes/0': 2 })
  })

  test('[CON-17] manual commits: only what the application says, never what it was not given', async () => {
    const ottla = await client()
    await topicOf(ottla, 'orders', 1)
    await write(ottla, 'orders', 1, 0, 5)
    const consumer = ottla
      .group('g', FAST)
      .read('orders', { value: json<number>(), from: 'beginning', commit: 'manual', metadata: 'here' })
    let count = 0
    for await (const record of consumer) {
      count++
      if (record.value === 1) await consumer.commit(record)
      if (record.value === 2) {
        await expect(consumer.commit({ ...record, offset: 3 })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
        await expect(consumer.commit({ ...record, partition: 9 })).rejects.toMatchObject({ code: 'NOT_ASSIGNED' })
        break
      }
    }
    expect(count).toBe(3)
    expect(await committed('g')).toEqual({ 'orders/0': 2 })
  })

  test('[CON-18] pause holds one partition, others go on; seek goes elsewhere', async () => {
    const ottla = await client()
    await topicOf(ottla, 'orders', 2)
    const consumer = ottla.group('g', FAST).read('orders', { value: json<number>(), from: 'beginning' })
    const seen: number[] = []
    const done = consumer.each(({ value }) => void seen.push(value!))
    await eventually(
      () =>
        consumer.status?.partitions.length === 2 &&
        consumer.status.partitions.every(({ state }) => state === 'reading'),
    )
    consumer.pause([{ topic: 'orders', partition: 1 }])
    await write(ottla, 'orders', 2, 0, 6)
    await eventually(() => seen.length === 3)
    expect(seen).toEqual([0, 2, 4])
    expect(consumer.status!.partitions.map(({ state }) => state).sort()).toEqual(['paused', 'reading'])
    await eventually(() => consumer.status!.partitions.find(({ partition }) => partition === 1)!.lag === 3)
    consumer.resume()
    await eventually(() => seen.length === 6)
    await consumer.seek({ topic: 'orders', partition: 0 }, 1)
    await eventually(() => seen.length === 8)
    expect(seen.slice(-2)).toEqual([2, 4])
    await consumer.close()
    await done
  })

  test('[CON-19] a topic that is not there, a signal, and a client that closes end it', async () => {
    const ottla = await client()
    await expect(
      ottla
        .group('g', FAST)
        .read('nowhere')
        .each(() => {}),
    ).rejects.toMatchObject({ code: 'UNKNOWN_TOPIC' })
    await topicOf(ottla, 'orders', 1)
    const over = new AbortController()
    const aborted = ottla.group('g', FAST).read('orders', { signal: over.signal })
    const done = expect(aborted.each(() => {})).rejects.toMatchObject({ code: 'ABORTED' })
    await eventually(() => aborted.status?.state === 'reading')
    over.abort()
    await done
    const closed = ottla.group('g', FAST).read('orders')
    const ended = closed.each(() => {})
    await eventually(() => closed.status?.state === 'reading')
    await ottla.close()
    await ended
    expect(closed.status!.state).toBe('closed')
  })
})
