/** Records that handlers cannot do: tried again, paused, left out, or written to a dead-letter topic. */
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest'
import { bytes, connect, json, type Ottla, string } from '../../../client/index.ts'
import type { Transport } from '../../../client/transport/transport.ts'
import { webSocketTransport } from '../../../client/transport/websocket.ts'
import { findWebSocket } from '../../../client/transport/ws-package.ts'
import { watchProgress } from '../../../protocol/messages/receipts.ts'
import { endTxn } from '../../../protocol/messages/transactions.ts'
import { createRelay, type Relay } from '../../../server/relay.ts'
import { MemoryFiles } from '../../../server/storage/memory-files.ts'
import { eventually } from '../../support/eventually.ts'
import { RelayClient } from '../../support/relay-client.ts'

let relay: Relay
const FAST = { sessionTimeoutMs: 3_000, rebalanceTimeoutMs: 3_000, heartbeatMs: 100 }
const BACKOFF = { firstMs: 5, maxMs: 20 }

beforeEach(async () => {
  relay = await createRelay({
    files: new MemoryFiles(),
    config: {
      dataDir: 'data',
      httpPort: 0,
      kafkaPort: 0,
      groupInitialRebalanceDelayMs: 20,
      groupMinSessionTimeoutMs: 500,
    },
  })
})

afterEach(async () => {
  await relay.close()
})

async function filled(partitions: number, values: readonly string[]): Promise<Ottla> {
  const ottla = await connect(relay.websocket.url)
  onTestFinished(() => ottla.close())
  await ottla.admin.createTopics([{ name: 'orders', partitions }])
  const messages = values.map((value, index) => ({
    ...{
      key: `k${index}`,
      value,
      partition: index % partitions,
      headers: { trace: `t${index}` },
      timestamp: 1_700_000_000_000 + index,
    },
  }))
  await Promise.all(
    ottla
      .topic('orders', { value: string })
      .sendAll(messages)
      .map(({ committed }) => committed),
  )
  return ottla
}

async function progress(topicId: string, partition = 0) {
  const raw = await RelayClient.open(relay.websocket.url)
  const { watches } = await raw.call(watchProgress, { watches: [{ groupId: 'g', topicId, partition, fromOffset: 0 }] })
  return watches[0]!
}

test('[DLQ-1] a dead letter is the record as it was, with where it was and why it died; the relay is told before the commit', async () => {
  const ottla = await filled(1, ['a', 'bad', 'c'])
  const attempts: number[] = []
  const seen: string[] = []
  const retry = { attempts: 3, backoff: BACKOFF, orElse: 'dead-letter' } as const
  const consumer = ottla.group('g', FAST).read('orders', { value: string, from: 'beginning', retry })
  const done = consumer.each(({ value }, { attempt }) => {
    if (value === 'bad') {
      attempts.push(attempt)
      throw Object.assign(new Error('no stock'), { code: 'E_STOCK' })
    }
    seen.push(value!)
  })
  await eventually(() => seen.length === 2)
  await consumer.close()
  await done
  expect(attempts).toEqual([1, 2, 3])
  const letters = []
  for await (const letter of ottla
    .topic('orders.g.dlq', { key: bytes, value: bytes })
    .read({ from: 'beginning', follow: false }))
    letters.push(letter)
  expect(letters).toHaveLength(1)
  const text = (view: Uint8Array | null) => (view ? new TextDecoder().decode(view) : null)
  expect([text(letters[0]!.key), text(letters[0]!.value)]).toEqual(['k1', 'bad'])
  const { id } = await ottla.topic('orders').info()
  expect(Object.fromEntries(letters[0]!.headers.map(({ key, value }) => [key, text(value)]))).toEqual({
    trace: 't1',
    'ottla.dead.group': 'g',
    'ottla.dead.topic': 'orders',
    'ottla.dead.topic-id': id,
    'ottla.dead.partition': '0',
    'ottla.dead.offset': '1',
    'ottla.dead.timestamp': '1700000000001',
    'ottla.dead.code': 'E_STOCK',
    'ottla.dead.message': 'no stock',
    'ottla.dead.attempts': '3',
  })
  const { committed, knownFrom, failed } = await progress(id)
  expect([committed, knownFrom]).toEqual([3, 0])
  expect(failed).toEqual([
    {
      from: 1,
      to: 2,
      how: 0,
      reason: 'no stock',
      deadTopic: 'orders.g.dlq',
      deadPartition: letters[0]!.partition,
      deadOffset: 0,
    },
  ])
})

test('[DLQ-2] a paused partition waits with its record until it is resumed, others go on', async () => {
  const ottla = await filled(2, ['bad', 'b', 'c', 'd'])
  const seen: string[] = []
  let isMended = false
  const retry = { attempts: 2, backoff: BACKOFF, orElse: 'pause' } as const
  const consumer = ottla.group('g', FAST).read('orders', { value: string, from: 'beginning', retry })
  const done = consumer.each(({ value }) => {
    if (value === 'bad' && !isMended) throw new Error('not yet')
    seen.push(value!)
  })
  const held = () => consumer.status?.partitions.find(({ partition }) => partition === 0)
  await eventually(() => seen.length === 2 && held()?.failure?.retryAtMs === null)
  expect(seen).toEqual(['b', 'd'])
  expect(held()).toMatchObject({
    state: 'failing',
    position: 0,
    failure: { offset: 0, attempts: 2, message: 'not yet' },
  })
  isMended = true
  consumer.resume()
  await eventually(() => seen.length === 4)
  expect(seen.slice(2)).toEqual(['bad', 'c'])
  await consumer.close()
  await done
})

test.each(['pause', 'skip'] as const)(
  '[DLQ-2] who seeks past a record that fails goes on at once, and fails no longer (%s)',
  async (orElse) => {
    const ottla = await filled(1, ['bad', 'b'])
    const seen: string[] = []
    const retry = { attempts: orElse === 'pause' ? 1 : 9, backoff: { firstMs: 60_000, maxMs: 60_000 }, orElse }
    const consumer = ottla.group('g', FAST).read('orders', { value: string, from: 'beginning', retry })
    const done = consumer.each(({ value }) => {
      if (value === 'bad') throw new Error('never')
      seen.push(value!)
    })
    const state = () => consumer.status?.partitions[0]
    let told: string | undefined
    consumer.onStatus(({ partitions }) => (told = partitions[0]?.state))
    await eventually(() => told === 'failing')
    await consumer.seek({ topic: 'orders', partition: 0 }, 2)
    expect(told).not.toBe('failing')
    expect(state()).toMatchObject({ state: orElse === 'pause' ? 'paused' : 'reading', failure: null })
    await ottla.topic('orders', { value: string }).send({ value: 'c', partition: 0 }).committed
    consumer.resume()
    await eventually(() => seen.length === 1)
    expect(seen).toEqual(['c'])
    await consumer.close()
    await done
  },
)

test('[DLQ-3] what is left out is told as left out; what cannot be decoded is not tried again', async () => {
  const ottla = await filled(1, ['1', '{', '3'])
  const seen: unknown[] = []
  const retry = { attempts: 5, backoff: BACKOFF, orElse: 'skip' } as const
  const consumer = ottla.group('g', FAST).read('orders', { value: json(), from: 'beginning', retry })
  const done = consumer.each((records) => void seen.push(...records.map(({ value }) => value)), { batch: true })
  await eventually(() => seen.length === 2)
  await consumer.close()
  await done
  expect(seen).toEqual([1, 3])
  const { failed, committed } = await progress((await ottla.topic('orders').info()).id)
  expect(committed).toBe(3)
  expect(failed).toMatchObject([{ from: 1, to: 2, how: 1, deadPartition: -1 }])
})

test('[DLQ-4] dead letters are listed and sent back; what was replayed is not sent twice unless asked', async () => {
  const ottla = await filled(2, ['bad', 'b', 'worse', 'd'])
  const retry = { attempts: 1, orElse: 'dead-letter' } as const
  const seen: string[] = []
  let isMended = false
  const consumer = ottla.group('g', FAST).read('orders', { value: string, from: 'beginning', retry })
  const done = consumer.each(({ value }) => {
    if (!isMended && value !== 'b' && value !== 'd') throw new Error(`${value}!`)
    seen.push(value!)
  })
  await eventually(
    () =>
      consumer.status?.partitions.length === 2 && consumer.status.partitions.every(({ committed }) => committed === 2),
  )
  const letters = await ottla.group('g').deadLetters('orders')
  const found = []
  for await (const letter of letters.list()) found.push(letter)
  expect(
    found.map(({ origin, message, isReplayed }) => [origin.partition, origin.offset, message, isReplayed]),
  ).toEqual([
    [0, 0, 'bad!', false],
    [0, 1, 'worse!', false],
  ])
  isMended = true
  expect(await letters.replay({ where: ({ message }) => message === 'worse!' })).toBe(1)
  await eventually(() => seen.includes('worse'))
  expect(await letters.replay()).toBe(1)
  await eventually(() => seen.includes('bad'))
  expect(await letters.replay()).toBe(0)
  expect(await letters.replay({ again: true })).toBe(2)
  await eventually(() => seen.length === 6)
  await consumer.close()
  await done
  const back = []
  for await (const record of ottla
    .topic('orders', { value: string })
    .read({ from: 'beginning', partitions: [0], follow: false }))
    back.push(record)
  expect(back.at(-1)!.headers.map(({ key }) => key)).toEqual(['trace', 'ottla.replay-of'])
})

/** A device that dies in the moment when a transaction is about to be ended: before the relay hears that, or after. */
async function dyingAtTheEnd(isHeard: boolean): Promise<{ ottla: Ottla; dead: Promise<void> }> {
  const inner = webSocketTransport(await findWebSocket())
  let die = () => {}
  const dead = new Promise<void>((resolve) => {
    die = resolve
  })
  let isDead = false
  let ends = 0
  const transport: Transport = {
    open(url, handlers) {
      const connection = inner.open(isDead ? 'ws://127.0.0.1:9' : url, {
        ...handlers,
        onMessage: (message) => isDead || handlers.onMessage(message),
      })
      return {
        get bufferedBytes() {
          return connection.bufferedBytes
        },
        send(message) {
          // The first is the outbox's own, by which it prepares its marks.
          const isEnd = (message[0]! << 8) + message[1]! === endTxn.key && ++ends === 2
          if (!isDead && (!isEnd || isHeard)) connection.send(message)
          if (!isEnd || isDead) return
          isDead = true
          die()
        },
        close: (code, reason) => connection.close(code, reason),
      }
    },
  }
  const ottla = await connect(relay.websocket.url, { transport })
  onTestFinished(() => ottla.close())
  return { ottla, dead }
}

test.each([false, true])(
  '[DLQ-6] a replay that dies at its end has sent and marked all, or nothing (the relay hears of the end: %s)',
  async (isHeard) => {
    const ottla = await filled(2, ['bad', 'worse', 'c', 'd'])
    const retry = { attempts: 1, orElse: 'dead-letter' } as const
    const consumer = ottla.group('g', FAST).read('orders', { value: string, from: 'beginning', retry })
    const done = consumer.each(({ value }) => {
      if (value!.length > 1) throw new Error(`${value}!`)
    })
    await eventually(() => consumer.status?.partitions.map(({ committed }) => committed).join() === '2,2')
    await consumer.close()
    await done
    const dying = await dyingAtTheEnd(isHeard)
    void (await dying.ottla.group('g').deadLetters('orders')).replay().catch(() => {})
    await dying.dead
    // What is open is ended by its timeout, or at once by an administrator.
    const ids = (await ottla.admin.listTransactions()).map(({ transactionalId }) => transactionalId)
    if (!isHeard) await ottla.admin.fenceProducers(ids)
    const states = async () => (await ottla.admin.listTransactions()).map(({ state }) => state).join()
    await eventually(async () => !/Ongoing|Prepare/.test(await states()))
    const letters = await ottla.group('g').deadLetters('orders')
    expect(await letters.replay()).toBe(isHeard ? 0 : 2)
    const values = []
    for await (const { value } of ottla.topic('orders', { value: string }).read({ from: 'beginning', follow: false }))
      values.push(value)
    expect(values.sort()).toEqual(['bad', 'bad', 'c', 'd', 'worse', 'worse'])
    const marks = []
    for await (const letter of letters.list()) marks.push(letter.isReplayed)
    expect(marks).toEqual([true, true])
  },
)

test('[DLQ-5] what a member seeks past is told as left out', async () => {
  const ottla = await filled(1, ['a', 'b', 'c', 'd'])
  const seen: string[] = []
  const consumer = ottla.group('g', FAST).read('orders', { value: string, from: 'beginning' })
  const isOpen = () => consumer.status?.partitions[0]?.state === 'paused'
  consumer.onAssigned(() => consumer.pause())
  const done = consumer.each(({ value }) => void seen.push(value!))
  await eventually(isOpen)
  await consumer.seek({ topic: 'orders', partition: 0 }, 2)
  consumer.resume()
  await eventually(() => seen.length === 2)
  await consumer.close()
  await done
  expect(seen).toEqual(['c', 'd'])
  const { failed, committed } = await progress((await ottla.topic('orders').info()).id)
  expect(committed).toBe(4)
  expect(failed).toMatchObject([{ from: 0, to: 2, how: 1 }])
})
