/** Peers that read late, never, or go in the middle: the log is their buffer, not the relay's memory. */
import { describe, expect, test } from 'vitest'
import { encodeRequest } from '../../protocol/api.ts'
import { Reader } from '../../protocol/bytes/reader.ts'
import { ErrorCode } from '../../protocol/errors.ts'
import { randomBelow, seededRandom } from '../../protocol/lib/random.ts'
import { fetch } from '../../protocol/messages/fetch.ts'
import {
  deliver,
  FROM_END,
  FROM_START,
  grant,
  ping,
  readPushStart,
  subscribe,
  unsubscribe,
} from '../../protocol/messages/offset-protocol.ts'
import { produce } from '../../protocol/messages/produce.ts'
import { deleteTopics } from '../../protocol/messages/topics.ts'
import { batchesIn, nextOffsetOf } from '../../protocol/record-batch.ts'
import { eventually } from '../support/eventually.ts'
import { fastClock } from '../support/fast-clock.ts'
import { recordsIn } from '../support/read-values.ts'
import { startRelay } from '../support/relay.ts'
import { batchOf, RelayClient } from '../support/relay-client.ts'
import { suiteSeed } from '../support/suite-seed.ts'
import { startChildRelay } from './support/child-relay.ts'
import { RawWebSocket, upgradeRequest } from './support/raw-web-socket.ts'

const OPCODE_TEXT = 1
const MIB = 1024 * 1024

const valuesOf = (client: RelayClient) =>
  client.deliveries.flatMap(({ records }) => recordsIn(records)).map(({ value }) => value)

/** Every offset once, in order, whatever the batches' fronts. */
function expectNoGap(client: RelayClient, from: number, to: number): void {
  let position = from
  for (const { records, nextOffset } of client.deliveries) {
    for (const { offset } of recordsIn(records)) {
      if (offset < position) continue
      expect(offset).toBe(position)
      position++
    }
    expect(nextOffset).toBe(position)
  }
  expect(position).toBe(to)
}

const pingRequest = encodeRequest(ping, 0, { correlationId: 9, clientId: null }, { clientTimeMs: 0 })
const subscribeFrame = (topicId: string, offset: number, credit: number) =>
  encodeRequest(
    subscribe,
    0,
    { correlationId: 1, clientId: null },
    { partitions: [{ topicId, partition: 0, offset, credit }] },
  )

describe('subscribers that do not read', () => {
  test('[SYN-15] 50 of them cost bounded memory while 200 MB go to others; then they read on without a gap', async () => {
    const relay = await startChildRelay({ config: { httpPort: 0, dataDir: '/data' }, inMemory: true })
    const writer = await RelayClient.open(relay.websocket)
    const topicId = await writer.createTopic('t', { configs: { 'segment.bytes': `${16 * MIB}` } })
    const silent = await Promise.all(Array.from({ length: 50 }, () => RawWebSocket.open(relay.websocket)))
    for (const raw of silent) {
      raw.send(subscribeFrame(topicId, 0, 64 * MIB))
      raw.send(subscribeFrame(topicId, 0, 64 * MIB))
    }
    await eventually(() => silent.every(({ messages }) => messages.length >= 2))
    for (const raw of silent) raw.socket.pause()
    const readers = await Promise.all(Array.from({ length: 12 }, () => RelayClient.open(relay.websocket)))
    let deliveredBytes = 0
    for (const reader of readers) {
      await reader.subscribe(topicId, FROM_START, { credit: 64 * MIB })
      reader.socket.on('message', (data: Buffer) => {
        deliveredBytes += data.length
      })
    }
    const before = await relay.report()
    const value = 'x'.repeat(60_000)
    const count = 300
    for (let index = 0; index < count; index += 10)
      await Promise.all(Array.from({ length: 10 }, () => writer.produce(topicId, [value])))
    await Promise.all(readers.map((reader) => reader.deliveredTo(count, 20_000)))
    const after = await relay.report()
    expect(deliveredBytes).toBeGreaterThan(200 * MIB)
    // The disk is in memory here, so what was written is taken off, and the newest batches that every log keeps.
    const storedBytes = count * 60_100
    const heldBytes = after.bufferBytes - before.bufferBytes - 2 * storedBytes
    expect(heldBytes).toBeLessThan(64 * MIB + 50 * 2 * MIB)
    expect(after.heapBytes - before.heapBytes).toBeLessThan(32 * MIB)
    for (const reader of readers) expectNoGap(reader, 0, count)

    const positions = silent.map((raw) => watchPosition(raw))
    for (const raw of silent) raw.socket.resume()
    await eventually(() => positions.every(({ next }) => next === count), { withinMs: 30_000, everyMs: 50 })
    expect(positions.filter(({ hasGap }) => hasGap)).toEqual([])
    const { uncaught, errors } = await relay.report()
    expect({ uncaught, errors }).toEqual({ uncaught: [], errors: [] })
  }, 60_000)

  test('[SYN-16] 200 subscribers that never grant are never sent anything, and a grant wakes just the one', async () => {
    const relay = await startRelay()
    const client = await RelayClient.open(relay.websocket.url)
    const topicId = await client.createTopic('t')
    await client.produce(topicId, ['a'])
    const raws = await Promise.all(Array.from({ length: 200 }, () => RawWebSocket.open(relay.websocket.url)))
    for (const raw of raws) raw.send(subscribeFrame(topicId, 0, 0))
    await eventually(() => raws.every(({ messages }) => messages.length === 1))
    for (let index = 0; index < 20; index++) await client.produce(topicId, ['b'.repeat(1000)])
    const grants = { grants: [{ topicId, partition: 0, bytes: 100_000 }] }
    raws[7]!.send(encodeRequest(grant, 0, { correlationId: 2, clientId: null }, grants))
    await eventually(() => raws[7]!.messages.length > 1)
    expect(raws.filter(({ messages }) => messages.length > 1)).toHaveLength(1)
    for (const raw of raws) raw.reset()
  })
})

describe('subscribers on a bad line', () => {
  const config = { maxRequestBytes: 32 * MIB }

  async function congested(relayUrl: string) {
    const writer = await RelayClient.open(relayUrl)
    const topicId = await writer.createTopic('t', { configs: { 'max.message.bytes': `${20 * MIB}` } })
    for (let index = 0; index < 3; index++) await writer.produce(topicId, ['x'.repeat(16 * MIB)])
    const raw = await RawWebSocket.open(relayUrl)
    raw.send(subscribeFrame(topicId, 0, 64 * MIB))
    await eventually(() => raw.messages.length > 0)
    raw.socket.pause()
    raw.socket.removeAllListeners('data')
    return raw
  }

  test('[SYN-24] one that reads a little at a time is served on, however long a message takes it', async () => {
    const relay = await startRelay({ clock: fastClock(10), config })
    const raw = await congested(relay.websocket.url)
    let readBytes = 0
    raw.socket.on('data', (chunk: Buffer) => {
      readBytes += chunk.length
      raw.socket.pause()
    })
    const startedAt = performance.now()
    // 80 s by the relay's clock, most of them within one message; 30 s without progress would end it.
    while (performance.now() - startedAt < 8000) {
      raw.socket.resume()
      await new Promise((resolve) => setTimeout(resolve, 25))
      expect(raw.isGone).toBe(false)
    }
    expect(readBytes).toBeGreaterThan(8 * MIB)
    expect(readBytes).toBeLessThan(48 * MIB)
    raw.reset()
  })

  test('[SYN-25] one that takes nothing for 30 s is told to come back, though it goes on sending', async () => {
    const relay = await startRelay({ clock: fastClock(10), config })
    const raw = await congested(relay.websocket.url)
    const sending = setInterval(() => raw.send(pingRequest), 20)
    raw.socket.on('error', () => clearInterval(sending))
    const closed = new Promise<void>((resolve) => raw.socket.once('close', () => resolve()))
    await closed
    clearInterval(sending)
  })

  test('[SYN-57] one that does not answer the end of a conversation is ended without', async () => {
    const relay = await startRelay({ clock: fastClock(10), config })
    const raw = await RawWebSocket.dial(relay.websocket.url)
    raw.socket.removeAllListeners('data')
    const heard: Buffer[] = []
    raw.socket.on('data', (chunk: Buffer) => heard.push(chunk))
    raw.sendRaw(Buffer.from(upgradeRequest()))
    await eventually(() => heard.length > 0, { what: 'the connection is open' })
    raw.send(Buffer.from('requests are binary'), { opcode: OPCODE_TEXT })
    await eventually(() => Buffer.concat(heard).includes('requests are binary messages'), { what: 'its end is told' })
    expect(raw.isGone).toBe(false)
    await raw.waitForEnd()
  })
})

describe('clients that do not read their answers', () => {
  test('[RPC-22] a producer that never reads its acks stops itself; the others go on, memory stays bounded', async () => {
    const relay = await startChildRelay({ config: { httpPort: 0, dataDir: '/data' }, inMemory: true })
    const healthy = await RelayClient.open(relay.websocket)
    const topicId = await healthy.createTopic('t')
    // Answers that are far larger than their questions fill the socket soonest.
    const wide = await healthy.createTopic('wide', { partitions: 2000 })
    void wide
    const before = await relay.report()
    const raws = await Promise.all(Array.from({ length: 10 }, () => RawWebSocket.open(relay.websocket)))
    const body = {
      acks: -1,
      timeoutMs: 0,
      topicData: [{ topicId, partitionData: [{ index: 0, records: batchOf('x') }] }],
    }
    const write = encodeRequest(produce, 13, { correlationId: 3, clientId: null }, body)
    const metadataOfAll = Buffer.from('0003000500000001ffffffffffff00', 'hex')
    for (const raw of raws) {
      raw.socket.pause()
      for (let index = 0; index < 2000; index++) {
        raw.send(write)
        raw.send(metadataOfAll)
      }
    }
    for (let index = 0; index < 30; index++)
      expect(await healthy.produce(topicId, ['y'])).toMatchObject({ errorCode: 0 })
    const after = await relay.report()
    expect(after.heapBytes + after.bufferBytes - before.heapBytes - before.bufferBytes).toBeLessThan(64 * MIB)
    expect({ uncaught: after.uncaught, errors: after.errors }).toEqual({ uncaught: [], errors: [] })
    for (const raw of raws) raw.reset()
    expect(await healthy.produce(topicId, ['y'])).toMatchObject({ errorCode: 0 })
  }, 30_000)

  test('[FET-11] pipelined fetches of the whole log hold one answer in memory for each connection', async () => {
    const relay = await startChildRelay({ config: { httpPort: 0, dataDir: '/data' }, inMemory: true })
    const healthy = await RelayClient.open(relay.websocket)
    const topicId = await healthy.createTopic('t')
    for (let index = 0; index < 20; index++) await healthy.produce(topicId, ['x'.repeat(1_000_000)])
    const before = await relay.report()
    const raws = await Promise.all(Array.from({ length: 4 }, () => RawWebSocket.open(relay.websocket)))
    const partitions = [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 100_000_000 }]
    const body = { maxWaitMs: 0, minBytes: 1, topics: [{ topicId, partitions }] }
    const read = encodeRequest(fetch, 18, { correlationId: 4, clientId: null }, body)
    for (const raw of raws) {
      raw.socket.pause()
      for (let index = 0; index < 60; index++) raw.send(read)
    }
    expect(await healthy.call(ping, { clientTimeMs: 1 })).toMatchObject({ clientTimeMs: 1 })
    await eventually(async () => (await relay.report()).bufferBytes - before.bufferBytes > 8 * MIB, { everyMs: 100 })
    await new Promise((resolve) => setTimeout(resolve, 500))
    const after = await relay.report()
    expect(after.bufferBytes - before.bufferBytes).toBeLessThan(4 * 2 * 10 * MIB)
    for (const raw of raws) raw.reset()
  }, 30_000)
})

describe('pipelined subscriptions', () => {
  test('[SYN-17] a grant that overtakes the answer to its subscription brings nothing before that, and doubles nothing', async () => {
    const relay = await startRelay()
    const client = await RelayClient.open(relay.websocket.url)
    const topicId = await client.createTopic('t')
    for (let index = 0; index < 30; index++) await client.produce(topicId, ['x'.repeat(20_000)])
    const raw = await RelayClient.open(relay.websocket.url)
    // A fetch that waits holds up the answers behind it.
    const partitions = [{ partition: 0, fetchOffset: 30, partitionMaxBytes: 1000 }]
    const waiting = raw.call(fetch, { maxWaitMs: 150, minBytes: 1, topics: [{ topicId, partitions }] })
    const started = raw.subscribe(topicId, 0, { credit: 1 })
    for (let index = 0; index < 20; index++)
      raw.call(grant, { grants: [{ topicId, partition: 0, bytes: 200_000 }] }).catch(() => {})
    await Promise.all([waiting, started])
    expect(raw.deliveriesBeforeResponse).toBe(0)
    await raw.deliveredTo(30)
    expectNoGap(raw, 0, 30)
  })

  test('[SYN-18] a subscription that waits for its answer while its topic goes is ended, not forgotten', async () => {
    const relay = await startRelay()
    const client = await RelayClient.open(relay.websocket.url)
    const topicId = await client.createTopic('t')
    const gone = client.call(deleteTopics, { topics: [{ name: 't' }], timeoutMs: 0 })
    const started = client.subscribe(topicId, FROM_END)
    await gone
    expect(await started).toMatchObject({ errorCode: 0 })
    await eventually(() => client.ended.length === 1)
    expect(client.ended[0]).toMatchObject({ topicId, errorCode: ErrorCode.UNKNOWN_TOPIC_ID })
  })

  test('[SYN-19] subscribing, granting and leaving at random: whoever stays gets every record once, in order', async () => {
    const seed = suiteSeed()
    console.log(`subscription churn: seed ${seed}`)
    const random = seededRandom(seed)
    const relay = await startRelay()
    const writer = await RelayClient.open(relay.websocket.url)
    const topicId = await writer.createTopic('t', { configs: { 'segment.bytes': '100000' } })
    let isWriting = true
    let written = 0
    const writing = (async () => {
      while (isWriting) {
        await writer.produce(
          topicId,
          Array.from({ length: 1 + randomBelow(random, 5) }, () => 'x'.repeat(randomBelow(random, 3000))),
        )
        written++
      }
    })()
    const stayers = await Promise.all(Array.from({ length: 5 }, () => RelayClient.open(relay.websocket.url)))
    await Promise.all(stayers.map((stayer) => stayer.subscribe(topicId, 0, { credit: 64 * MIB })))
    const churners = await Promise.all(Array.from({ length: 10 }, () => RelayClient.open(relay.websocket.url)))
    await Promise.all(
      churners.map(async (churner) => {
        for (let step = 0; step < 60; step++) {
          const choice = randomBelow(random, 5)
          const offset = choice === 0 ? FROM_END : choice === 1 ? FROM_START : randomBelow(random, written + 1)
          if (choice < 3) await churner.subscribe(topicId, offset, { credit: randomBelow(random, 20_000) })
          else if (choice === 3)
            churner.call(grant, { grants: [{ topicId, partition: 0, bytes: 10_000 }] }).catch(() => {})
          else await churner.call(unsubscribe, { partitions: [{ topicId, partition: 0 }] })
        }
      }),
    )
    isWriting = false
    await writing
    const { highWatermark } = relay.engine.topicByName('t')!.partitions[0]!
    for (const stayer of stayers) {
      await stayer.deliveredTo(highWatermark)
      expectNoGap(stayer, 0, highWatermark)
    }
    for (const churner of churners) {
      const before = churner.deliveries.length
      await churner.subscribe(topicId, 0, { credit: 64 * MIB })
      churner.deliveries.splice(0, before)
      await churner.deliveredTo(highWatermark, 20_000)
      expect(churner.closed).toBeUndefined()
    }
  }, 40_000)
})

describe('ends in the middle', () => {
  async function caughtUpHalfway(partitions = 1) {
    const relay = await startRelay()
    const writer = await RelayClient.open(relay.websocket.url)
    const topicId = await writer.createTopic('t', { partitions })
    for (let index = 0; index < 40; index++) await writer.produce(topicId, [`${index}`.padEnd(200_000, '.')])
    return { relay, writer, topicId }
  }

  test('[SYN-20] a topic that is deleted during catch-up and writing ends both, with its code', async () => {
    const { relay, writer, topicId } = await caughtUpHalfway()
    const readers = await Promise.all(Array.from({ length: 10 }, () => RelayClient.open(relay.websocket.url)))
    await Promise.all(readers.map((reader) => reader.subscribe(topicId, 0, { credit: 64 * MIB })))
    const writes = Array.from({ length: 50 }, () => writer.produce(topicId, ['x'.repeat(1000)]))
    const other = await RelayClient.open(relay.websocket.url)
    await other.call(deleteTopics, { topics: [{ name: 't' }], timeoutMs: 0 })
    for (const reader of readers) {
      await eventually(() => reader.ended.length === 1)
      expect(reader.ended[0]).toMatchObject({ topicId, errorCode: ErrorCode.UNKNOWN_TOPIC_ID })
    }
    const outcomes = new Set((await Promise.all(writes)).map(({ errorCode }) => errorCode))
    for (const code of outcomes) expect([0, ErrorCode.UNKNOWN_TOPIC_ID]).toContain(code)
    expect(await writer.produce(topicId, ['x'])).toMatchObject({ errorCode: ErrorCode.UNKNOWN_TOPIC_ID })
    expect(await writer.createTopic('t')).not.toBe(topicId)
  })

  test('[SYN-21] a connection that is replaced during catch-up gets nothing more; the new one gets all', async () => {
    const { relay, topicId } = await caughtUpHalfway()
    const older = await RelayClient.open(relay.websocket.url)
    await older.sayHello({ generation: 1 })
    const started = older.subscribe(topicId, 0, { credit: 64 * MIB })
    const newer = await RelayClient.open(relay.websocket.url)
    await started
    await newer.sayHello({ generation: 2 })
    await newer.subscribe(topicId, 0, { credit: 64 * MIB })
    expect(await older.waitForClose()).toMatchObject({ code: 4409 })
    await newer.deliveredTo(40)
    expect(valuesOf(newer).map((value) => Number.parseInt(value, 10))).toEqual(Array.from({ length: 40 }, (_, i) => i))
  })

  test('[SYN-22] connections that break off during catch-up leave no subscription behind', async () => {
    const { relay, writer, topicId } = await caughtUpHalfway()
    for (let round = 0; round < 30; round++) {
      const raw = await RawWebSocket.open(relay.websocket.url)
      raw.send(subscribeFrame(topicId, 0, 64 * MIB))
      if (round % 2) await eventually(() => raw.messages.length > 0, { everyMs: 1 })
      raw.reset()
    }
    const last = await RelayClient.open(relay.websocket.url)
    await last.subscribe(topicId, 0, { credit: 64 * MIB })
    await last.deliveredTo(40)
    expect(await writer.produce(topicId, ['40'])).toMatchObject({ errorCode: 0 })
    await last.deliveredTo(41)
    expectNoGap(last, 0, 41)
  })
})

interface Position {
  next: number
  hasGap: boolean
}

/** Follows the deliveries on a raw connection, those that came already too. */
function watchPosition(raw: RawWebSocket): Position {
  const position: Position = { next: 0, hasGap: false }
  const look = (message: Buffer) => {
    const reader = new Reader(message)
    if (reader.int32() !== -1) return
    const { key, version } = readPushStart(reader)
    if (key !== deliver.key) return
    const { records, nextOffset } = deliver.body.read(reader, version)
    for (const { header } of batchesIn(records)) {
      if (header.baseOffset > position.next) position.hasGap = true
      position.next = nextOffsetOf(header)
    }
    position.next = nextOffset
  }
  raw.messages.forEach(look)
  raw.onMessage = look
  return position
}
