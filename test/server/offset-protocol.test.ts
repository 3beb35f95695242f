import { describe, expect, test } from 'vitest'
import { ErrorCode } from '../../protocol/errors.ts'
import { FROM_END, FROM_START, grant, ping, unsubscribe } from '../../protocol/messages/offset-protocol.ts'
import { deleteRecords } from '../../protocol/messages/offsets.ts'
import { deleteTopics } from '../../protocol/messages/topics.ts'
import { eventually } from '../support/eventually.ts'
import { recordsIn } from '../support/read-values.ts'
import { startRelay } from '../support/relay.ts'
import { batchOf, RelayClient } from '../support/relay-client.ts'

async function relayWithTopic(options: { configs?: Record<string, string> } = {}) {
  const relay = await startRelay()
  const client = await RelayClient.open(relay.websocket.url)
  await client.sayHello()
  const topicId = await client.createTopic('t', options)
  return { relay, client, topicId }
}

const valuesOf = (client: RelayClient) =>
  client.deliveries.flatMap(({ records }) => recordsIn(records)).map(({ value }) => value)

/** A batch of about `sizeBytes`. */
const largeBatch = (sizeBytes: number, name: string) => batchOf(name.padEnd(sizeBytes - 80, '.'))

describe('subscriptions', () => {
  test('[SYN-1] a subscriber at the end of an empty log is told at once that it has everything', async () => {
    const { client, topicId } = await relayWithTopic()
    const started = await client.subscribe(topicId, FROM_START)
    expect(started).toMatchObject({ errorCode: 0, startOffset: 0, highWatermark: 0 })
    const [mark] = await client.deliveredTo(0)
    expect(mark).toMatchObject({ nextOffset: 0, highWatermark: 0 })
    expect(mark!.records).toHaveLength(0)
  })

  test('[SYN-2] records written before and after the subscription arrive once, in order', async () => {
    const { client, topicId } = await relayWithTopic()
    await client.produce(topicId, ['a', 'b'])
    await client.subscribe(topicId, FROM_START)
    await client.produce(topicId, ['c'])
    await client.produce(topicId, ['d', 'e'])
    await client.deliveredTo(5)
    expect(valuesOf(client)).toEqual(['a', 'b', 'c', 'd', 'e'])
    expect(client.deliveries.at(-1)).toMatchObject({ nextOffset: 5, highWatermark: 5 })
  })

  test('[SYN-3] -1 begins with what comes next; an offset begins with its batch', async () => {
    const { relay, client, topicId } = await relayWithTopic()
    await client.produce(topicId, ['a', 'b', 'c'])
    const other = await RelayClient.open(relay.websocket.url)
    expect(await client.subscribe(topicId, FROM_END)).toMatchObject({ startOffset: 3 })
    expect(await other.subscribe(topicId, 1)).toMatchObject({ startOffset: 1 })
    await client.produce(topicId, ['d'])
    await Promise.all([client.deliveredTo(4), other.deliveredTo(4)])
    expect(valuesOf(client)).toEqual(['d'])
    expect(valuesOf(other)).toEqual(['a', 'b', 'c', 'd'])
  })

  test('[SYN-4] nothing is sent beyond the credit, however much is written; a grant goes on from the log', async () => {
    const { client, topicId } = await relayWithTopic()
    await client.subscribe(topicId, FROM_START, { credit: 50_000 })
    for (let index = 0; index < 20; index++) await client.produce(topicId, largeBatch(20_000, `${index}`))
    await eventually(() => client.deliveries.reduce((sum, { records }) => sum + records.length, 0) > 40_000)
    await client.call(ping, { clientTimeMs: 0 })
    const sent = client.deliveries.reduce((sum, { records }) => sum + records.length, 0)
    expect(sent).toBeLessThan(50_000 + 64 * 1024)
    client.call(grant, { grants: [{ topicId, partition: 0, bytes: 10_000_000 }] }).catch(() => {})
    await client.deliveredTo(20)
    expect(valuesOf(client).map((value) => Number.parseInt(value, 10))).toEqual(
      Array.from({ length: 20 }, (_, index) => index),
    )
  })

  test('[SYN-5] after the answer to unsubscribe nothing more comes', async () => {
    const { client, topicId } = await relayWithTopic()
    await client.subscribe(topicId, FROM_START)
    await client.deliveredTo(0)
    await client.call(unsubscribe, { partitions: [{ topicId, partition: 0 }] })
    await client.produce(topicId, ['a'])
    await client.call(ping, { clientTimeMs: 0 })
    expect(valuesOf(client)).toEqual([])
  })

  test('[SYN-6] a position below the log start is refused with the log start', async () => {
    const { client, topicId } = await relayWithTopic()
    await client.produce(topicId, ['a', 'b', 'c'])
    await client.call(deleteRecords, {
      topics: [{ name: 't', partitions: [{ partitionIndex: 0, offset: 2 }] }],
      timeoutMs: 1000,
    })
    expect(await client.subscribe(topicId, 1)).toMatchObject({ errorCode: ErrorCode.OFFSET_OUT_OF_RANGE, logStart: 2 })
  })

  test('[SYN-7] a position past the end says from where to truncate', async () => {
    const { client, topicId } = await relayWithTopic()
    await client.produce(topicId, ['a', 'b', 'c'])
    expect(await client.subscribe(topicId, 9, { leaderEpoch: 0 })).toMatchObject({
      errorCode: ErrorCode.FENCED_LEADER_EPOCH,
      truncateTo: 3,
    })
  })

  test('[SYN-8] a log start that moves past a waiting subscriber ends its subscription, and says where the log begins', async () => {
    const { client, topicId } = await relayWithTopic()
    for (let index = 0; index < 5; index++) await client.produce(topicId, largeBatch(30_000, `${index}`))
    await client.subscribe(topicId, FROM_START, { credit: 1 })
    await client.call(deleteRecords, {
      topics: [{ name: 't', partitions: [{ partitionIndex: 0, offset: 5 }] }],
      timeoutMs: 1000,
    })
    await eventually(() => client.ended.length === 1)
    expect(client.ended[0]).toMatchObject({
      topicId,
      partition: 0,
      errorCode: ErrorCode.OFFSET_OUT_OF_RANGE,
      logStart: 5,
    })
  })

  test('[SYN-40] a log that loses its end tells those who have had some of it from where to cut', async () => {
    const { relay, client, topicId } = await relayWithTopic()
    const behind = await RelayClient.open(relay.websocket.url)
    for (const value of ['a', 'b', 'c', 'd']) await client.produce(topicId, [value])
    await client.subscribe(topicId, FROM_START)
    await behind.subscribe(topicId, FROM_START, { credit: 1 })
    await client.deliveredTo(4)
    await behind.deliveredTo(0)
    await relay.engine.topicById(topicId)!.partitions[0]!.truncateTo(2)
    await eventually(() => client.ended.length === 1)
    expect(client.ended[0]).toMatchObject({ errorCode: ErrorCode.FENCED_LEADER_EPOCH, truncateTo: 2 })
    expect(await client.subscribe(topicId, 2, { leaderEpoch: 0 })).toMatchObject({ errorCode: 0, startOffset: 2 })
    await client.produce(topicId, ['e'])
    await client.deliveredTo(3)
    expect(valuesOf(client)).toEqual(['a', 'b', 'c', 'd', 'e'])
  })

  test('[SYN-9] a deleted topic ends its subscriptions; the one made anew has another id', async () => {
    const { client, topicId } = await relayWithTopic()
    await client.subscribe(topicId, FROM_START)
    await client.call(deleteTopics, { topics: [{ name: 't' }], timeoutMs: 1000 })
    await eventually(() => client.ended.length === 1)
    expect(client.ended[0]).toMatchObject({ topicId, errorCode: ErrorCode.UNKNOWN_TOPIC_ID })
    const newId = await client.createTopic('t')
    expect(newId).not.toBe(topicId)
    expect(await client.subscribe(topicId, 0)).toMatchObject({ errorCode: ErrorCode.UNKNOWN_TOPIC_ID })
  })

  test('[SYN-10] everybody at the tail gets the same bytes', async () => {
    const { relay, client, topicId } = await relayWithTopic()
    const others = await Promise.all(Array.from({ length: 20 }, () => RelayClient.open(relay.websocket.url)))
    for (const other of others) await other.subscribe(topicId, FROM_END)
    for (let index = 0; index < 30; index++) await client.produce(topicId, [`${index}`])
    for (const other of others) {
      await other.deliveredTo(30)
      expect(valuesOf(other)).toEqual(Array.from({ length: 30 }, (_, index) => `${index}`))
    }
  })

  test('[SYN-26] a frame that reached the end once does not say so to who comes later', async () => {
    const { relay, client, topicId } = await relayWithTopic()
    const later = await RelayClient.open(relay.websocket.url)
    await client.produce(topicId, largeBatch(50_000, 'a'))
    await client.subscribe(topicId, FROM_START)
    expect((await client.deliveredTo(1))[0]).toMatchObject({ nextOffset: 1, highWatermark: 1 })
    await client.produce(topicId, largeBatch(50_000, 'b'))
    await later.subscribe(topicId, FROM_START)
    expect((await later.deliveredTo(2))[0]).toMatchObject({ nextOffset: 1, highWatermark: 2 })
  })

  test('[SYN-11] a subscriber that never grants does not hold up the others', async () => {
    const { relay, client, topicId } = await relayWithTopic()
    const silent = await RelayClient.open(relay.websocket.url)
    await silent.subscribe(topicId, FROM_START, { credit: 0 })
    await client.subscribe(topicId, FROM_START)
    for (let index = 0; index < 50; index++) await client.produce(topicId, [`${index}`])
    await client.deliveredTo(50)
    expect(silent.deliveries.flatMap(({ records }) => recordsIn(records))).toEqual([])
  })
})

describe('connections', () => {
  test('[SYN-12] a newer connection of the same replica replaces the older', async () => {
    const { relay } = await relayWithTopic()
    const older = await RelayClient.open(relay.websocket.url)
    await older.sayHello({ replicaId: 'BAAAAAAAAAAAAAAAAAAAAQ', generation: 1 })
    const newer = await RelayClient.open(relay.websocket.url)
    await newer.sayHello({ replicaId: 'BAAAAAAAAAAAAAAAAAAAAQ', generation: 2 })
    expect(await older.waitForClose()).toMatchObject({ code: 4409 })
    const late = await RelayClient.open(relay.websocket.url)
    late.sayHello({ replicaId: 'BAAAAAAAAAAAAAAAAAAAAQ', generation: 1 }).catch(() => {})
    expect(await late.waitForClose()).toMatchObject({ code: 4409 })
    expect(newer.closed).toBeUndefined()
  })

  test('[SYN-13] a quiet connection hears a heartbeat; one that does not answer pings is given up', async () => {
    const relay = await startRelay({ config: { heartbeatMs: 200 } })
    const client = await RelayClient.open(relay.websocket.url)
    await client.sayHello()
    await eventually(() => client.heartbeats >= 2)
    const dead = await RelayClient.open(relay.websocket.url, { autoPong: false })
    await dead.sayHello({ replicaId: 'CAAAAAAAAAAAAAAAAAAAAQ' })
    expect(await dead.waitForClose()).toMatchObject({ code: 4408 })
    expect(client.closed).toBeUndefined()
  })

  test('[SYN-14] a stopping relay says that it comes back', async () => {
    const { relay, client } = await relayWithTopic()
    await relay.close()
    expect(await client.waitForClose()).toMatchObject({ code: 1012 })
  })
})
