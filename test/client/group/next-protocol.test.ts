/** Consumers that speak the consumer protocol (KIP-848), against the real relay, over WebSockets and over TCP. */
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { json, type Ottla } from '../../../client/index.ts'
import { connect } from '../../../client/node.ts'
import { webSocketTransport } from '../../../client/transport/websocket.ts'
import { findWebSocket } from '../../../client/transport/ws-package.ts'
import { offsetFetch } from '../../../protocol/messages/group-offsets.ts'
import { createRelay, type Relay } from '../../../server/relay.ts'
import { MemoryFiles } from '../../../server/storage/memory-files.ts'
import { eventually } from '../../support/eventually.ts'
import { type Freezable, freezable } from '../../support/freezable.ts'
import { RelayClient } from '../../support/relay-client.ts'

let relay: Relay
const SESSION_MS = 1_500

beforeEach(async () => {
  relay = await createRelay({
    files: new MemoryFiles(),
    config: {
      ...{
        dataDir: 'data',
        httpPort: 0,
        kafkaPort: 0,
        groupInitialRebalanceDelayMs: 20,
        groupMinSessionTimeoutMs: 500,
      },
      ...{ groupConsumerSessionTimeoutMs: SESSION_MS, groupConsumerHeartbeatIntervalMs: 100 },
    },
  })
  // After the clients, whose consumers would look for it for a while.
  onTestFinished(() => relay.close())
})

async function client(url = relay.websocket.url, surroundings: Partial<Freezable> = {}): Promise<Ottla> {
  const { transport, clock } = surroundings
  const ottla = await connect(url, { backoff: { delayMsFirst: 50 }, ...(transport ? { transport, clock } : {}) })
  onTestFinished(() => ottla.close())
  return ottla
}

const urls = {
  WebSocket: () => relay.websocket.url,
  'kafka://': () => `kafka://${relay.kafka!.address}`,
}

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

async function typeOf(ottla: Ottla, group = 'g') {
  const [described] = await ottla.admin.describeConsumerGroups([group])
  return described!.type
}

const sorted = (values: Iterable<number>) => [...values].sort((a, b) => a - b)
const upTo = (count: number) => Array.from({ length: count }, (_, index) => index)
const OPTIONS = { value: json<number>(), from: 'beginning' } as const
const NEXT = { groupProtocol: 'consumer', rebalanceTimeoutMs: 3_000 } as const

/** A member that counts what it was given, and how it ended. */
function member(ottla: Ottla, group: Parameters<Ottla['group']>[1] = NEXT, name = 'g') {
  const consumer = ottla.group(name, group).read('orders', OPTIONS)
  const seen: number[] = []
  const lost: string[] = []
  consumer.onRevoked((list, { isLost }) => lost.push(...list.map(({ partition }) => `${partition} ${isLost}`)))
  const done = consumer.each(({ value }) => void seen.push(value!))
  done.catch(() => {})
  return { consumer, seen, lost, done, parts: () => consumer.status?.partitions.length ?? 0 }
}

describe.each(Object.keys(urls) as Array<keyof typeof urls>)('over %s', (door) => {
  test('[CON-30] members share, hand over and leave; nothing is given twice', async () => {
    const [one, two] = [await client(urls[door]()), await client(urls[door]())]
    await one.admin.createTopics([{ name: 'orders', partitions: 4 }])
    await write(one, 'orders', 4, 0, 40)
    const first = member(one)
    await eventually(() => first.seen.length === 40)
    const second = member(two)
    await eventually(() => first.parts() === 2 && second.parts() === 2)
    expect(first.lost).toHaveLength(2)
    expect(first.lost.every((entry) => entry.endsWith('false'))).toBe(true)
    await write(one, 'orders', 4, 40, 40)
    await eventually(() => first.seen.length + second.seen.length === 80)
    expect(await typeOf(one)).toBe('consumer')
    await first.consumer.close()
    await first.done
    await eventually(() => second.parts() === 4)
    await write(one, 'orders', 4, 80, 8)
    await eventually(() => first.seen.length + second.seen.length === 88)
    expect(sorted([...first.seen, ...second.seen])).toEqual(upTo(88))
    await second.consumer.close()
    expect(await committed('g')).toEqual({ 'orders/0': 22, 'orders/1': 22, 'orders/2': 22, 'orders/3': 22 })
  })
})

test('[CON-31] a partition changes hands when its handler has finished and its offset is committed, not before', async () => {
  const [one, two] = [await client(), await client()]
  await one.admin.createTopics([{ name: 'orders', partitions: 2 }])
  await write(one, 'orders', 2, 0, 20)
  const consumer = one.group('g', { ...NEXT, rebalanceTimeoutMs: 30_000 }).read('orders', OPTIONS)
  const release: Array<() => void> = []
  let atWork = 0
  const done = consumer.each(
    async () => {
      atWork++
      await new Promise<void>((resolve) => release.push(resolve))
      atWork--
    },
    { concurrency: 2 },
  )
  await eventually(() => atWork === 2)
  const second = member(two)
  await eventually(() => second.consumer.status?.state === 'reading')
  // Longer than a session: who is at work is heard meanwhile.
  const since = Date.now()
  await eventually(() => Date.now() - since > SESSION_MS * 1.5, { withinMs: SESSION_MS * 3 })
  expect(second.parts()).toBe(0)
  expect(atWork).toBe(2)
  for (const go of release.splice(0)) go()
  await eventually(() => second.parts() === 1)
  const before = await committed('g')
  expect(Object.values(before).every((offset) => offset >= 1)).toBe(true)
  await eventually(() => second.seen.length === 9)
  const closing = consumer.close()
  await eventually(() => {
    for (const go of release.splice(0)) go()
    return consumer.status?.partitions.length === 0
  })
  await closing
  await done
})

test('[CON-32] members of both protocols share a group, whoever comes first, and the group is classic again in the end', async () => {
  const [one, two] = [await client(), await client()]
  await one.admin.createTopics([{ name: 'orders', partitions: 4 }])
  await write(one, 'orders', 4, 0, 40)
  const classic = member(one, { groupProtocol: 'classic', sessionTimeoutMs: SESSION_MS, heartbeatMs: 100 })
  await eventually(() => classic.seen.length === 40)
  expect(await typeOf(one)).toBe('classic')
  const next = member(two)
  await eventually(() => classic.parts() === 2 && next.parts() === 2, { withinMs: 10_000 })
  expect(await typeOf(one)).toBe('consumer')
  await write(one, 'orders', 4, 40, 40)
  await eventually(() => classic.seen.length + next.seen.length === 80)
  await next.consumer.close()
  await eventually(() => classic.parts() === 4, { withinMs: 10_000 })
  expect(await typeOf(one)).toBe('classic')
  await write(one, 'orders', 4, 80, 8)
  await eventually(() => classic.seen.length + next.seen.length === 88)
  expect(sorted([...classic.seen, ...next.seen])).toEqual(upTo(88))
  const again = member(two)
  await eventually(() => classic.parts() === 2 && again.parts() === 2, { withinMs: 10_000 })
  await classic.consumer.close()
  await eventually(() => again.parts() === 4)
  expect(await typeOf(one)).toBe('consumer')
})

test.each(['consumer', 'classic'] as const)(
  '[CON-33] a %s member that freezes loses its partitions, joins again when it thaws, and commits nothing of theirs',
  async (groupProtocol) => {
    const tab = freezable(webSocketTransport(await findWebSocket()))
    const [one, two] = [await client(), await client(relay.websocket.url, tab)]
    await one.admin.createTopics([{ name: 'orders', partitions: 2 }])
    const timing = { groupProtocol, sessionTimeoutMs: SESSION_MS, heartbeatMs: 100, rebalanceTimeoutMs: 3_000 }
    const awake = member(one, timing)
    const asleep = member(two, timing)
    await eventually(() => awake.parts() === 1 && asleep.parts() === 1, { withinMs: 10_000 })
    await write(one, 'orders', 2, 0, 10)
    await eventually(() => awake.seen.length + asleep.seen.length === 10)
    await eventually(async () => Object.values(await committed('g')).every((offset) => offset === 5))
    tab.freeze()
    // These come to the frozen page too, which does not read them in time.
    await write(one, 'orders', 2, 10, 10)
    await eventually(() => awake.parts() === 2, { withinMs: SESSION_MS * 4 })
    await eventually(() => awake.seen.length + asleep.seen.length === 20)
    const sawBefore = asleep.seen.length
    tab.thaw()
    await eventually(() => awake.parts() === 1 && asleep.parts() === 1, { withinMs: 10_000 })
    expect(asleep.lost).toHaveLength(1)
    expect(asleep.lost[0]).toMatch(/true$/)
    expect(asleep.seen).toHaveLength(sawBefore)
    await write(one, 'orders', 2, 20, 10)
    await eventually(() => awake.seen.length + asleep.seen.length === 30)
    expect(sorted([...awake.seen, ...asleep.seen])).toEqual(upTo(30))
    await eventually(async () => Object.values(await committed('g')).every((offset) => offset === 15))
  },
)

describe('[CON-34] a static member', () => {
  const STATIC = { ...NEXT, groupInstanceId: 'desk-1' }

  test('keeps its place for its next process, which takes over at once', async () => {
    const [one, two, three] = [await client(), await client(), await client()]
    await one.admin.createTopics([{ name: 'orders', partitions: 2 }])
    const desk = member(one, STATIC)
    const other = member(two)
    await eventually(() => desk.parts() === 1 && other.parts() === 1)
    await desk.consumer.close()
    const next = member(three, STATIC)
    await eventually(() => next.parts() === 1)
    expect(other.lost).toHaveLength(0)
    expect(other.parts()).toBe(1)
  })

  test('whose process crashed is replaced when its session is over, and not before', async () => {
    const tab = freezable(webSocketTransport(await findWebSocket()))
    const [one, two] = [await client(), await client(relay.websocket.url, tab)]
    await one.admin.createTopics([{ name: 'orders', partitions: 1 }])
    const crashed = member(two, STATIC)
    await eventually(() => crashed.parts() === 1)
    const next = member(one, STATIC)
    const since = Date.now()
    await eventually(() => Date.now() - since > SESSION_MS)
    expect(next.parts()).toBe(0)
    tab.freeze()
    await eventually(() => next.parts() === 1, { withinMs: SESSION_MS * 8 })
    tab.thaw()
    await eventually(() => crashed.parts() === 0)
    expect(next.parts()).toBe(1)
  })

  test.each(['classic'] as const)(
    'of the %s protocol is fenced by another process of its name',
    async (groupProtocol) => {
      const [one, two] = [await client(), await client()]
      await one.admin.createTopics([{ name: 'orders', partitions: 1 }])
      const timing = { groupProtocol, groupInstanceId: 'desk-1', sessionTimeoutMs: SESSION_MS, heartbeatMs: 100 }
      const first = member(one, timing)
      await eventually(() => first.parts() === 1)
      const second = member(two, timing)
      await expect(first.done).rejects.toMatchObject({ code: 'FENCED' })
      expect(first.consumer.status).toMatchObject({ state: 'closed', partitions: [], error: { code: 'FENCED' } })
      await eventually(() => second.parts() === 1)
      await write(one, 'orders', 1, 0, 3)
      await eventually(() => second.seen.length === 3)
      expect(first.seen).toEqual([])
    },
  )
})

test('[CON-35] a topic that is made anew is read from its beginning, by whom the group gives it to', async () => {
  const [one, two] = [await client(), await client()]
  await one.admin.createTopics([{ name: 'orders', partitions: 2 }])
  const values = { value: json<number>() }
  const seen: number[] = []
  const consumers = [one, two].map((ottla) => ottla.group('g', NEXT).read('orders', values))
  const done = consumers.map((consumer) => consumer.each(({ value }) => void seen.push(value!)))
  await eventually(() => consumers.every(({ status }) => status?.partitions.every(({ position }) => position === 0)))
  await eventually(() => consumers.every(({ status }) => status?.partitions.length === 1))
  await write(one, 'orders', 2, 0, 20)
  await eventually(() => seen.length === 20)
  await one.admin.deleteTopics(['orders'])
  await one.admin.createTopics([{ name: 'orders', partitions: 2 }])
  await write(one, 'orders', 2, 100, 20)
  await eventually(() => seen.length === 40, { withinMs: 10_000 })
  expect(sorted(seen)).toEqual([...upTo(20), ...upTo(20).map((value) => value + 100)])
  expect(consumers.map(({ status }) => status!.partitions.length)).toEqual([1, 1])
  await Promise.all(consumers.map((consumer) => consumer.close()))
  await Promise.all(done)
  expect(await committed('g')).toEqual({ 'orders/0': 10, 'orders/1': 10 })
})

test.each(['consumer', 'classic'] as const)(
  '[CON-37] a partition that is added begins at its start, also for who begins at the end (%s)',
  async (groupProtocol) => {
    const ottla = await client()
    await ottla.admin.createTopics([{ name: 'orders', partitions: 1 }])
    await write(ottla, 'orders', 1, 0, 5)
    const seen: number[] = []
    const group = ottla.group('g', { groupProtocol, metadataEveryMs: 500, heartbeatMs: 100 })
    const consumer = group.read('orders', { value: json<number>() })
    const done = consumer.each(({ value }) => void seen.push(value!))
    await eventually(() => consumer.status?.partitions[0]?.position === 5)
    await ottla.admin.createPartitions({ orders: 2 })
    const topic = (await client()).topic('orders', { value: json<number>() })
    await topic.send({ value: 10, partition: 1 }).committed
    await eventually(() => seen.length === 1, { withinMs: 10_000 })
    expect(seen).toEqual([10])
    await consumer.close()
    await done
  },
)

test('[CON-38] a pattern of topics, those made later too', async () => {
  const ottla = await client()
  const names = (list: readonly string[]) => list.map((name) => ({ name, partitions: 1 }))
  await ottla.admin.createTopics(names(['shop.a', 'shop.b', 'other']))
  const seen: string[] = []
  const consumer = ottla.group('g', NEXT).read({ pattern: 'shop\\..*' }, OPTIONS)
  const done = consumer.each(({ topic, value }) => void seen.push(`${topic} ${value}`))
  for (const name of ['shop.a', 'shop.b', 'other']) await write(ottla, name, 1, 1, 1)
  await eventually(() => seen.length === 2)
  await ottla.admin.createTopics(names(['shop.c']))
  await write(ottla, 'shop.c', 1, 2, 1)
  await eventually(() => seen.length === 3, { withinMs: 10_000 })
  expect(seen.sort()).toEqual(['shop.a 1', 'shop.b 1', 'shop.c 2'])
  await consumer.close()
  await done
  expect(await committed('g')).toEqual({ 'shop.a/0': 1, 'shop.b/0': 1, 'shop.c/0': 1 })
})

describe('[CON-39] which protocol is spoken', () => {
  test('the consumer protocol unless an option belongs to the other', async () => {
    const ottla = await client()
    await ottla.admin.createTopics([{ name: 'orders', partitions: 1 }])
    const types: Record<string, string> = {}
    const options = { plain: {}, timed: { sessionTimeoutMs: SESSION_MS }, dealt: { assignors: ['range'] as const } }
    for (const [name, group] of Object.entries(options)) {
      const { consumer, parts } = member(ottla, group, name)
      await eventually(() => parts() === 1)
      types[name] = await typeOf(ottla, name)
      await consumer.close()
    }
    expect(types).toEqual({ plain: 'consumer', timed: 'classic', dealt: 'classic' })
  })

  test('the classic one where the group is held in it', async () => {
    const files = new MemoryFiles()
    const held = await createRelay({
      files,
      config: {
        ...{ dataDir: 'data', httpPort: 0, kafkaPort: 0, groupInitialRebalanceDelayMs: 20 },
        groupConsumerMigrationPolicy: 'disabled',
      },
    })
    onTestFinished(() => held.close())
    const ottla = await client(held.websocket.url)
    await ottla.admin.createTopics([{ name: 'orders', partitions: 2 }])
    const classic = member(ottla, { groupProtocol: 'classic', heartbeatMs: 100 })
    await eventually(() => classic.parts() === 2)
    await expect(member(ottla).done).rejects.toMatchObject({ code: 'GROUP_MISMATCH' })
    const either = member(ottla, {})
    await eventually(() => classic.parts() === 1 && either.parts() === 1, { withinMs: 10_000 })
  })

  test('options that contradict each other, or that the relay cannot follow, are told', async () => {
    const ottla = await client()
    await ottla.admin.createTopics([{ name: 'orders', partitions: 1 }])
    const refused = { code: 'INVALID_ARGUMENT' }
    await expect(member(ottla, { ...NEXT, assignors: ['range'] }).done).rejects.toMatchObject(refused)
    await expect(member(ottla, { groupProtocol: 'classic', serverAssignor: 'range' }).done).rejects.toMatchObject(
      refused,
    )
    await expect(member(ottla, { serverAssignor: 'nearest' }).done).rejects.toMatchObject(refused)
    const wrong = ottla
      .group('g')
      .read({ pattern: '(' })
      .each(() => {})
    await expect(wrong).rejects.toMatchObject({ ...refused, message: expect.stringContaining('pattern') })
  })
})
