/** Transactional producers against the real relay, over WebSocket and over TCP, and what fences them. */
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { json, type Ottla, string } from '../../../client/index.ts'
import { connect } from '../../../client/node.ts'
import { createRelay, type Relay } from '../../../server/relay.ts'
import { MemoryFiles } from '../../../server/storage/memory-files.ts'
import { eventually } from '../../support/eventually.ts'
import { startTcpProxy, type TcpProxy } from '../../support/tcp-proxy.ts'

let relay: Relay
const FAST = { sessionTimeoutMs: 1_000, rebalanceTimeoutMs: 3_000, heartbeatMs: 100 }

beforeEach(async () => {
  relay = await createRelay({
    files: new MemoryFiles(),
    config: {
      ...{ dataDir: 'data', httpPort: 0, kafkaPort: 0, heartbeatMs: 1_000 },
      ...{ groupInitialRebalanceDelayMs: 50, groupMinSessionTimeoutMs: 500 },
    },
  })
})

afterEach(async () => {
  await relay.close()
})

async function client(url = relay.websocket.url): Promise<Ottla> {
  const ottla = await connect(url, { backoff: { delayMsFirst: 20, delayMsMax: 50 }, requestTimeoutMs: 1_000 })
  onTestFinished(() => ottla.close())
  return ottla
}

async function throughProxy(): Promise<{ ottla: Ottla; proxy: TcpProxy }> {
  const proxy = await startTcpProxy({ port: Number(new URL(relay.http.url).port) })
  onTestFinished(() => proxy.close())
  return { ottla: await client(`ws://127.0.0.1:${proxy.port}`), proxy }
}

async function valuesOf(ottla: Ottla, topic: string): Promise<Array<string | null>> {
  const values: Array<string | null> = []
  const reader = ottla.topic(topic, { value: string }).read({ from: 'beginning', follow: false })
  for await (const { value } of reader) values.push(value)
  return values
}

describe.each([
  ['WebSocket', () => relay.websocket.url],
  ['TCP', () => `kafka://${relay.kafka!.address}`],
])('over %s', (_, url) => {
  test('[TXN-80] commits what it sent, in order, and nothing of what it aborted', async () => {
    const ottla = await client(url())
    await ottla.admin.createTopics([{ name: 'a', partitions: 3 }, { name: 'b' }])
    const producer = await ottla.producer({ transactionalId: 'p' })
    await producer.init()
    await producer.begin()
    const places = Array.from({ length: 500 }, (_, index) =>
      producer.send('a', { key: `k${index % 7}`, value: `${index}` }),
    )
    const place = await producer.send('b', { value: 'b' })
    expect(place).toEqual({ partition: 0, offset: 0 })
    expect(await valuesOf(ottla, 'b')).toEqual([])
    await producer.commit()
    await Promise.all(places)
    const order = new Map<string | null, number>()
    for await (const { key, value } of ottla.topic('a', { value: string }).read({ from: 'beginning', follow: false })) {
      expect(Number(value)).toBeGreaterThan(order.get(key) ?? -1)
      order.set(key, Number(value))
    }
    expect([...order.values()].sort((x, y) => x - y)).toEqual([493, 494, 495, 496, 497, 498, 499])

    await producer.begin()
    await producer.send('b', { value: 'never' })
    await producer.abort()
    await producer.transaction((tx) => void tx.send('b', { value: 'c' }))
    await expect(
      producer.transaction(async (tx) => {
        await tx.send('b', { value: 'neither' })
        throw new Error('changed my mind')
      }),
    ).rejects.toThrow('changed my mind')
    await producer.transaction(() => {})
    expect(await valuesOf(ottla, 'b')).toEqual(['b', 'c'])
  })

  test('[TXN-81] the next producer of the id fences the one before, and ends what it left open', async () => {
    const ottla = await client(url())
    await ottla.admin.createTopics([{ name: 'a' }])
    const [old, next] = [await ottla.producer({ transactionalId: 'p' }), await ottla.producer({ transactionalId: 'p' })]
    await old.begin()
    await old.send('a', { value: 'old' })
    await next.transaction((tx) => void tx.send('a', { value: 'next' }))
    await expect(old.commit()).rejects.toMatchObject({ code: 'FENCED', retriable: false })
    await expect(old.begin()).rejects.toMatchObject({ code: 'FENCED' })
    expect(await valuesOf(ottla, 'a')).toEqual(['next'])
    await old.init()
    await old.transaction((tx) => void tx.send('a', { value: 'old again' }))
    await next.begin()
    await expect(next.send('a', { value: 'x' })).rejects.toMatchObject({ code: 'FENCED' })
    expect(await valuesOf(ottla, 'a')).toEqual(['next', 'old again'])
  })
})

test('[TXN-82] each wrong order is INVALID_STATE, each refusal has its code, and an aborted producer goes on', async () => {
  const ottla = await client()
  await ottla.admin.createTopics([{ name: 'a' }, { name: 'small', configs: { 'max.message.bytes': '300' } }])
  const producer = await ottla.producer({ transactionalId: 'p' })
  expect(() => producer.send('a', { value: 'x' })).toThrow(expect.objectContaining({ code: 'INVALID_STATE' }))
  await expect(producer.commit()).rejects.toMatchObject({ code: 'INVALID_STATE' })
  await producer.begin()
  await expect(producer.begin()).rejects.toMatchObject({ code: 'INVALID_STATE' })
  void producer.send('a', { value: 'x' })
  await expect(producer.send('small', { value: 'x'.repeat(1_000) })).rejects.toMatchObject({ code: 'TOO_LARGE' })
  expect(() => producer.send('a', { value: 'y' })).toThrow(expect.objectContaining({ code: 'TOO_LARGE' }))
  await expect(producer.commit()).rejects.toMatchObject({ code: 'TOO_LARGE' })
  await producer.abort()
  await expect(producer.transaction((tx) => tx.send('nowhere', { value: 'x' }))).rejects.toMatchObject({
    code: 'UNKNOWN_TOPIC',
  })
  await producer.transaction((tx) => void tx.send('a', { value: 'good' }))
  expect(await valuesOf(ottla, 'a')).toEqual(['good'])
  await expect(ottla.producer({ transactionalId: '' })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
})

test('[TXN-83] open for longer than its timeout, it is aborted, and its producer says so', async () => {
  const ottla = await client()
  await ottla.admin.createTopics([{ name: 'a' }])
  const producer = await ottla.producer({ transactionalId: 'p', timeoutMs: 300 })
  await producer.begin()
  await producer.send('a', { value: 'late' })
  await eventually(async () => (await ottla.admin.describeTransactions(['p']))[0]?.state === 'CompleteAbort', {
    what: 'aborted by the coordinator',
  })
  await expect(producer.commit()).rejects.toMatchObject({ code: 'TRANSACTION_ABORTED', retriable: false })
  expect(await valuesOf(ottla, 'a')).toEqual([])
  await expect(producer.begin()).rejects.toMatchObject({ code: 'FENCED' })
  await producer.init()
  await producer.transaction((tx) => void tx.send('a', { value: 'in time' }))
  expect(await valuesOf(ottla, 'a')).toEqual(['in time'])
})

test('[TXN-84] answers that are lost, of writes and of commits, change nothing: each transaction is there once', async () => {
  const { ottla, proxy } = await throughProxy()
  await ottla.admin.createTopics([{ name: 'a', partitions: 2 }])
  const producer = await ottla.producer({ transactionalId: 'p' })
  await producer.init()
  const expected: string[] = []
  for (let round = 0; round < 6; round++) {
    await producer.begin()
    for (let count = 0; count < 10; count++) void producer.send('a', { key: `k${count}`, value: `${round}/${count}` })
    // Requests arrive and answers don't; of the writes in one round, of the commit in the next.
    if (round % 2 === 0) proxy.setMode('drop-down')
    else await producer.flush()
    proxy.setMode('drop-down')
    const committed = producer.commit()
    await new Promise((resolve) => setTimeout(resolve, 60))
    proxy.setMode('reset')
    proxy.setMode('pass')
    await committed
    for (let count = 0; count < 10; count++) expected.push(`${round}/${count}`)
  }
  expect((await valuesOf(await client(), 'a')).sort()).toEqual(expected.sort())
})

test('[TXN-85] what is consumed and what is made of it are committed together, through kills of members and of answers', async () => {
  const COUNT = 2_000
  const admin = await client()
  await admin.admin.createTopics([
    { name: 'in', partitions: 4 },
    { name: 'out', partitions: 4 },
  ])
  const input = admin.topic('in', { value: json<number>() })
  await Promise.all(
    input
      .sendAll(Array.from({ length: COUNT }, (_, value) => ({ key: `${value}`, value })))
      .map((each) => each.committed),
  )
  const over = new AbortController()
  /** A program that dies now and then, without closing anything, and is started again. */
  const program = async (name: string) => {
    for (let life = 0; !over.signal.aborted; life++) {
      const { ottla, proxy } = await throughProxy()
      const producer = await ottla.producer({ transactionalId: name, timeoutMs: 5_000 })
      const options = { value: json<number>(), from: 'beginning', commit: 'manual', signal: over.signal } as const
      const consumer = ottla.group('g', FAST).read('in', options)
      let batches = 0
      try {
        for await (const batch of consumer.batches()) {
          await producer.transaction(
            async (tx) => {
              for (const { key, value } of batch) void tx.send('out', { key, value: `${value}` })
              await tx.sendOffsets(consumer, batch)
            },
            { attempts: 3 },
          )
          if (life >= 3 || ++batches <= life + 1) continue
          // Sometimes without a word of farewell.
          if (life % 2 === 1) proxy.setMode('reset')
          break
        }
      } catch {
        // As a program that ends with an error, and is started again.
      }
      proxy.setMode('reset')
    }
  }
  const programs = ['p1', 'p2'].map(program)
  const watcher = admin.topic('out', { value: string }).read({ from: 'beginning' })
  const seen: number[] = []
  for await (const { value } of watcher) {
    seen.push(Number(value))
    if (seen.length === COUNT) break
  }
  const offsets = async () => {
    const [group] = await admin.admin.listConsumerGroupOffsets(['g'])
    return group!.offsets.reduce((sum, { offset }) => sum + offset, 0)
  }
  await eventually(async () => (await offsets()) === COUNT, { what: 'all committed' })
  over.abort()
  await Promise.all(programs)
  expect(new Set(seen).size).toBe(COUNT)
  expect((await valuesOf(admin, 'out')).length).toBe(COUNT)
}, 60_000)
