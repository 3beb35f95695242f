/** Session, admin and live readers against the real relay, over both of its doors. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Admin, openAdmin } from '../../client/admin/admin.ts'
import { Lanes } from '../../client/consumer/lanes.ts'
import { openLiveSource } from '../../client/consumer/live-source.ts'
import { Reader, type ReadOptions } from '../../client/consumer/reader.ts'
import { openSession } from '../../client/live-session.ts'
import { type ApiName, RELAY_APIS } from '../../client/relay-apis.ts'
import { string } from '../../client/serde.ts'
import type { Session } from '../../client/session.ts'
import { tcpTransport } from '../../client/transport/tcp.ts'
import type { Transport } from '../../client/transport/transport.ts'
import { webSocketTransport } from '../../client/transport/websocket.ts'
import { findWebSocket } from '../../client/transport/ws-package.ts'
import type { AnyApi } from '../../protocol/api.ts'
import { CodecRegistry } from '../../protocol/compression.ts'
import { systemClock } from '../../protocol/lib/clock.ts'
import { systemRandom } from '../../protocol/lib/random.ts'
import { randomUuid } from '../../protocol/lib/uuid.ts'
import { ping } from '../../protocol/messages/offset-protocol.ts'
import { produce } from '../../protocol/messages/produce.ts'
import { BATCH_HEADER_BYTES, sealBatch } from '../../protocol/record-batch.ts'
import { encodeBatch } from '../../protocol/records.ts'
import { createRelay, type Relay } from '../../server/relay.ts'
import { MemoryFiles } from '../../server/storage/memory-files.ts'
import { eventually } from '../support/eventually.ts'
import { record } from './relay-double.ts'

const DOORS = {
  WebSocket: {
    transport: async () => webSocketTransport(await findWebSocket()),
    urlOf: ({ websocket }: Relay) => websocket.url,
  },
  TCP: {
    transport: async () => tcpTransport(),
    urlOf: ({ kafka }: Relay) => `kafka://${kafka!.address}`,
  },
}

describe.each(['WebSocket', 'TCP'] as const)('over %s', (door) => {
  let relay: Relay
  let url: string
  let sessions: Session[] = []
  let transport: Transport

  beforeEach(async () => {
    relay = await createRelay({ files: new MemoryFiles(), config: { dataDir: 'data', httpPort: 0, kafkaPort: 0 } })
    transport = await DOORS[door].transport()
    url = DOORS[door].urlOf(relay)
  })

  afterEach(async () => {
    await Promise.all(sessions.map((session) => session.close()))
    sessions = []
    await relay.close()
  })

  let generation = 0
  function open(replicaId = randomUuid(systemRandom), heartbeatMs?: number): Session {
    const session = openSession({
      url,
      transport,
      clock: systemClock,
      random: systemRandom,
      identity: { replicaId, nextGeneration: () => ++generation },
      backoff: { delayMsFirst: 50 },
      heartbeatMs,
    })
    sessions.push(session)
    return session
  }

  const live = (session: Session) => eventually(() => session.state.phase === 'live', { what: 'live' })

  function read(session: Session, topic: string, options: ReadOptions) {
    const lanes = new Lanes(session, () => open())
    return new Reader<string, string>(
      {
        topic,
        key: string,
        value: string,
        codecs: new CodecRegistry(),
        open: (partitions, isolation, signal) => openLiveSource(lanes, topic, { partitions, isolation }, signal),
      },
      options,
    )
  }

  test('handshake, admin, produce, and reading what was written', async () => {
    const session = open()
    await live(session)
    expect(session.limits!.requestBytesMax).toBeGreaterThan(100_000)
    expect(Math.abs(session.clockOffsetMs!)).toBeLessThan(5_000)
    await session.call(ping, { clientTimeMs: 1 })
    const admin = adminOver(session)
    const [created] = await admin.createTopics([{ name: 't', partitions: 2 }])
    expect(created).toMatchObject({ name: 't', isNew: true, partitionCount: 2 })
    await expect(admin.createTopics([{ name: 't' }])).rejects.toMatchObject({ code: 'TOPIC_EXISTS' })
    expect(await admin.createTopics([{ name: 't' }], { ifNotExists: true })).toEqual([{ name: 't', isNew: false }])
    expect(await admin.listTopics()).toEqual(['t'])
    await append(session, 't', 0, ['a', 'b'])
    await append(session, 't', 1, ['c'])
    const values: unknown[] = []
    await read(session, 't', { from: 'beginning', follow: false }).each(({ value, partition, offset }) => {
      values.push([partition, offset, value])
    })
    expect(values.sort()).toEqual([
      [0, 0, 'a'],
      [0, 1, 'b'],
      [1, 0, 'c'],
    ])
    expect(await admin.listOffsets([{ topic: 't', partition: 0, spec: 'latest' }])).toMatchObject([{ offset: 2 }])
    expect(await admin.deleteRecords([{ topic: 't', partition: 0, beforeOffset: 1 }])).toMatchObject([{ logStart: 1 }])
    await admin.alterConfigs([{ resource: { topic: 't' }, name: 'retention.ms', value: '60000' }])
    const [config] = await admin.describeConfigs([{ topic: 't' }], { names: ['retention.ms'] })
    expect(config!.entries[0]).toMatchObject({ name: 'retention.ms', value: '60000', source: 'topic' })
    await admin.createPartitions({ t: 3 })
    expect((await admin.describeTopics(['t']))[0]!.partitions.length).toBe(3)
    expect((await admin.describeCluster()).brokers.length).toBe(1)
    await admin.deleteTopics(['t'])
    await expect(admin.describeTopics(['t'])).rejects.toMatchObject({ code: 'UNKNOWN_TOPIC' })
  })

  test('[RDR-12] what stood before a batch that cannot be read is given, also where both came at once', async () => {
    const topic = await relay.engine.createTopic({ name: 't', partitionCount: 1, configs: {} })
    const poison = encodeBatch([record('x')]).fill(0xff, BATCH_HEADER_BYTES)
    sealBatch(poison)
    for (const batch of [encodeBatch([record('a')]), encodeBatch([record('b')]), poison])
      await topic.partitions[0]!.append(batch).durable
    const values: unknown[] = []
    const done = read(open(), 't', { from: 'beginning' }).each(({ value }) => values.push(value))
    await expect(done).rejects.toMatchObject({ code: 'CORRUPT', hint: 'read behind offset 2' })
    expect(values).toEqual(['a', 'b'])
  })

  test('a live tail with little credit gets everything, in order', async () => {
    const [reader, writer] = [open(), open()]
    await live(writer)
    await adminOver(writer).createTopics([{ name: 't', partitions: 1 }])
    for (let batch = 0; batch < 50; batch++) {
      await append(
        writer,
        't',
        0,
        Array.from({ length: 20 }, (_, index) => `${batch * 20 + index}`),
      )
    }
    const values: number[] = []
    const tail = read(reader, 't', { from: 'beginning', bufferBytesMax: 4_096 })
    const done = tail.each(({ value }) => {
      values.push(Number(value))
    })
    await tail.upToDate
    for (let batch = 50; batch < 60; batch++) {
      await append(
        writer,
        't',
        0,
        Array.from({ length: 20 }, (_, index) => `${batch * 20 + index}`),
      )
    }
    await eventually(() => values.length === 1_200)
    expect(values).toEqual(Array.from({ length: 1_200 }, (_, index) => index))
    await tail.close()
    await done
  })

  test('starting positions, seeking, and the last N over partitions', async () => {
    const session = open()
    await live(session)
    await adminOver(session).createTopics([{ name: 't', partitions: 2 }])
    for (let index = 0; index < 10; index++) await append(session, 't', index % 2, [`${index}`])
    const all = async (options: ReadOptions) => {
      const values: string[] = []
      await read(session, 't', { follow: false, ...options }).each(({ value }) => {
        values.push(value!)
      })
      return values.sort()
    }
    expect(await all({ from: { last: 3 }, partitions: [0] })).toEqual(['4', '6', '8'])
    expect((await all({ from: { last: 4 } })).length).toBe(4)
    expect(await all({ from: { offset: 4 } })).toEqual(['8', '9'])
    expect(await all({ from: { timestamp: Date.now() + 60_000 } })).toEqual([])
    expect(await all({ from: 'end' })).toEqual([])
  })

  test('a topic deleted under a reader ends reading; deleted records are a gap', async () => {
    const session = open()
    await live(session)
    const admin = adminOver(session)
    await admin.createTopics([{ name: 't', partitions: 1 }])
    for (let index = 0; index < 5; index++) await append(session, 't', 0, [`${index}`])
    await admin.deleteRecords([{ topic: 't', partition: 0, beforeOffset: 3 }])
    const reader = read(session, 't', { from: { offset: 0 } })
    const gaps: unknown[] = []
    reader.onGap((gap) => gaps.push(gap))
    const values: unknown[] = []
    const done = reader.each(({ value }) => {
      values.push(value)
    })
    await reader.upToDate
    expect(values).toEqual(['3', '4'])
    expect(gaps).toEqual([{ partition: 0, from: 0, to: 3, reason: 'deleted' }])
    const ended = expect(done).rejects.toMatchObject({ code: 'TOPIC_RECREATED' })
    await admin.deleteTopics(['t'])
    await ended
  })

  test('a newer connection of the same replica replaces the older, which does not come back', async () => {
    const replicaId = randomUuid(systemRandom)
    const older = open(replicaId)
    await live(older)
    const newer = open(replicaId)
    await live(newer)
    await eventually(() => older.state.phase === 'closed')
    expect(older.state).toMatchObject({ phase: 'closed', error: { code: 'REPLACED' } })
    expect(newer.state.phase).toBe('live')
  })

  test('a relay that stops is waited for', async () => {
    const session = open()
    await live(session)
    const ports = { httpPort: portIn(relay.websocket.url), kafkaPort: portIn(`kafka://${relay.kafka!.address}`) }
    await relay.close()
    await eventually(() => session.state.phase === 'offline' || session.state.phase === 'connecting')
    relay = await createRelay({ files: new MemoryFiles(), config: { dataDir: 'data', ...ports } })
    await live(session)
  })

  test('a quiet connection is kept: heartbeats of the relay are heard, and nothing is given up', async () => {
    const session = open(undefined, 1_000)
    await live(session)
    const phases: string[] = []
    session.onState(({ phase }) => phases.push(phase))
    await new Promise((resolve) => setTimeout(resolve, 3_500))
    expect({ phases, now: session.state.phase }).toEqual({ phases: [], now: 'live' })
  })
})

const portIn = (address: string) => Number(new URL(address).port)

function adminOver(session: Session): Admin {
  const request = (name: ApiName, body: unknown) =>
    session.call<unknown, never>(RELAY_APIS[name] as AnyApi, body as never)
  return openAdmin({ request }, systemClock)
}

async function append(session: Session, topic: string, partition: number, values: string[]): Promise<number> {
  const info = await session.metadata.lookUp(topic)
  const records = encodeBatch(values.map((value) => record(value, null, Date.now())))
  const partitionData = [{ index: partition, records }]
  const answer = await session.call(produce, {
    acks: -1,
    timeoutMs: 5_000,
    topicData: [{ name: topic, topicId: info.id, partitionData }],
  })
  const result = answer.responses[0]!.partitionResponses[0]!
  expect(result.errorCode).toBe(0)
  return result.baseOffset
}
