/** Writing and reading over the WebSocket door through Kafka's own APIs, in their lowest and highest versions. */
import { describe, expect, test } from 'vitest'
import { ErrorCode } from '../../protocol/errors.ts'
import { fetch } from '../../protocol/messages/fetch.ts'
import { ping } from '../../protocol/messages/offset-protocol.ts'
import { deleteRecords, listOffsets, offsetForLeaderEpoch } from '../../protocol/messages/offsets.ts'
import { produce } from '../../protocol/messages/produce.ts'
import { describeProducers, initProducerId } from '../../protocol/messages/producers.ts'
import { deleteTopics } from '../../protocol/messages/topics.ts'
import { stampProducer } from '../../protocol/record-batch.ts'
import { encodeBatch } from '../../protocol/records.ts'
import { nodeFiles } from '../../server/storage/node-files.ts'
import { FaultyFiles } from '../support/faulty-files.ts'
import { recordsIn } from '../support/read-values.ts'
import { startRelay, temporaryFolder } from '../support/relay.ts'
import { batchOf, RelayClient } from '../support/relay-client.ts'
import { validRequests } from './support/valid-requests.ts'

const UNKNOWN_ID = 'AAAAAAAAAAAAAAAAAAAAQQ'

async function relayWithTopic(
  options: { configs?: Record<string, string>; partitions?: number; relay?: Parameters<typeof startRelay>[0] } = {},
) {
  const relay = await startRelay(options.relay)
  const client = await RelayClient.open(relay.websocket.url)
  const topicId = await client.createTopic('t', options)
  return { relay, client, topicId, url: relay.websocket.url }
}

type PartitionData = { index: number; records: Uint8Array | null }

async function write(
  client: RelayClient,
  topicId: string,
  partitionData: PartitionData[],
  options: { acks?: number; version?: number; transactionalId?: string } = {},
) {
  const { acks = -1, version = 13, transactionalId = null } = options
  const body = { transactionalId, acks, timeoutMs: 1000, topicData: [{ name: 't', topicId, partitionData }] }
  const { responses } = await client.call(produce, body, version)
  return responses[0]!.partitionResponses
}

interface Wanted {
  partition?: number
  fetchOffset?: number
  partitionMaxBytes?: number
  currentLeaderEpoch?: number
}

async function read(
  client: RelayClient,
  topicId: string,
  wanted: readonly Wanted[],
  options: { maxWaitMs?: number; minBytes?: number; maxBytes?: number; version?: number; sessionId?: number } = {},
) {
  const { version = 18, ...rest } = options
  const partitions = wanted.map((each) => ({ partition: 0, fetchOffset: 0, partitionMaxBytes: 1_000_000, ...each }))
  const body = { maxWaitMs: 0, minBytes: 1, ...rest, topics: [{ topic: 't', topicId, partitions }] }
  const answer = await client.call(fetch, body, version)
  return { ...answer, partitions: answer.responses.flatMap((topic) => topic.partitions) }
}

const valuesIn = (records: Uint8Array | null) => recordsIn(records ?? new Uint8Array()).map(({ value }) => value)

const idempotent = (producerId: number, baseSequence: number, ...values: string[]) => {
  const batch = batchOf(...values)
  stampProducer(batch, { producerId, producerEpoch: 0, baseSequence })
  return batch
}

describe('every API', () => {
  test('[RPC-11] is answered in its lowest and its highest version, and the answer reads in that version', async () => {
    const { client, topicId } = await relayWithTopic()
    for (const { api, body } of validRequests({ name: 't', topicId })) {
      if (api.name === 'Grant') continue
      for (let version = api.minVersion; version <= api.maxVersion; version++) {
        await expect(client.call(api as never, body, version), `${api.name} ${version}`).resolves.toBeDefined()
      }
    }
    expect(client.closed).toBeUndefined()
  })

  test('[RPC-12] answers come in the order of the requests, however long each takes', async () => {
    const { client, topicId } = await relayWithTopic()
    const order: string[] = []
    const partitions = [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1000 }]
    const fetchBody = { maxWaitMs: 150, minBytes: 1000, topics: [{ topicId, partitions }] }
    const produceBody = {
      acks: -1,
      timeoutMs: 0,
      topicData: [{ topicId, partitionData: [{ index: 0, records: batchOf('x') }] }],
    }
    const asked = [
      client.call(fetch, fetchBody).then(() => order.push('fetch')),
      client.call(produce, produceBody).then(() => order.push('produce')),
      client.call(ping, { clientTimeMs: 1 }).then(() => order.push('ping')),
      client.call(initProducerId, { transactionTimeoutMs: 0 }).then(() => order.push('init')),
      client.call(ping, { clientTimeMs: 2 }).then(() => order.push('ping')),
    ]
    await Promise.all(asked)
    expect(order).toEqual(['fetch', 'produce', 'ping', 'init', 'ping'])
  })
})

describe('Produce', () => {
  test('[PRD-1] stores and answers with the offset, by name and by id, in every version', async () => {
    const { client, topicId } = await relayWithTopic()
    for (let version = 3; version <= 13; version++) {
      const [answer] = await write(client, topicId, [{ index: 0, records: batchOf('a', 'b') }], { version })
      expect(answer, `version ${version}`).toMatchObject({ errorCode: 0, baseOffset: (version - 3) * 2 })
    }
  })

  test('[PRD-2] acks 1 and all are answered when stored; acks 0 is not answered, and stored as well', async () => {
    const { client, topicId } = await relayWithTopic()
    expect(await write(client, topicId, [{ index: 0, records: batchOf('a') }], { acks: 1 })).toMatchObject([
      { errorCode: 0, baseOffset: 0 },
    ])
    write(client, topicId, [{ index: 0, records: batchOf('b') }], { acks: 0 }).catch(() => {})
    expect(await write(client, topicId, [{ index: 0, records: batchOf('c') }])).toMatchObject([{ baseOffset: 2 }])
    const { partitions } = await read(client, topicId, [{}])
    expect(valuesIn(partitions[0]!.records)).toEqual(['a', 'b', 'c'])
    expect(await write(client, topicId, [{ index: 0, records: batchOf('d') }], { acks: 2 })).toMatchObject([
      { errorCode: ErrorCode.INVALID_REQUIRED_ACKS },
    ])
  })

  test('[PRD-3] a write without acks that fails closes the connection and says why: there is no other answer', async () => {
    const { url, topicId } = await relayWithTopic({ configs: { 'max.message.bytes': '200' } })
    const tooLarge = await RelayClient.open(url)
    write(tooLarge, topicId, [{ index: 0, records: batchOf('x'.repeat(300)) }], { acks: 0 }).catch(() => {})
    expect((await tooLarge.waitForClose()).reason).toMatch(/MESSAGE_TOO_LARGE.*max\.message\.bytes is 200/)
    const unknown = await RelayClient.open(url)
    write(unknown, UNKNOWN_ID, [{ index: 0, records: batchOf('x') }], { acks: 0 }).catch(() => {})
    expect((await unknown.waitForClose()).reason).toMatch(/UNKNOWN_TOPIC_ID/)
  })

  test('[PRD-4] what cannot be stored is refused with its code, and the other partitions of the request are stored', async () => {
    const { client, topicId } = await relayWithTopic({ partitions: 3, configs: { 'max.message.bytes': '500' } })
    const wrongCrc = batchOf('damaged')
    wrongCrc[wrongCrc.length - 2]! ^= 1
    const oldFormat = batchOf('old')
    oldFormat[16] = 1
    const twoBatches = new Uint8Array([...batchOf('one'), ...batchOf('two')])
    const tooMany = batchOf('a')
    new DataView(tooMany.buffer).setInt32(57, 5)
    const bad: Array<[Uint8Array | null, number]> = [
      [wrongCrc, ErrorCode.CORRUPT_MESSAGE],
      [oldFormat, ErrorCode.INVALID_RECORD],
      [twoBatches, ErrorCode.INVALID_RECORD],
      [tooMany, ErrorCode.CORRUPT_MESSAGE],
      [batchOf('x'.repeat(600)), ErrorCode.MESSAGE_TOO_LARGE],
      [batchOf('cut').subarray(0, 70), ErrorCode.CORRUPT_MESSAGE],
      [new Uint8Array(0), ErrorCode.CORRUPT_MESSAGE],
      [null, ErrorCode.INVALID_RECORD],
      [batchAt(Date.now() + 7_200_000), ErrorCode.INVALID_TIMESTAMP],
    ]
    for (const [index, [records, errorCode]] of bad.entries()) {
      const answers = await write(client, topicId, [
        { index: 0, records: batchOf(`${index}`) },
        { index: 1, records },
        { index: 2, records: batchOf(`${index}`) },
        { index: 3, records: batchOf('no such partition') },
        { index: -1, records: batchOf('no such partition') },
      ])
      expect(answers.map((answer) => answer.errorCode)).toEqual([0, errorCode, 0, 3, 3])
      expect(answers[1]!.errorMessage).not.toBe('')
    }
    const { partitions } = await read(client, topicId, [{ partition: 0 }, { partition: 1 }, { partition: 2 }])
    expect(partitions.map(({ highWatermark }) => highWatermark)).toEqual([bad.length, 0, bad.length])
    expect(await write(client, UNKNOWN_ID, [{ index: 0, records: batchOf('x') }])).toMatchObject([
      { errorCode: ErrorCode.UNKNOWN_TOPIC_ID },
    ])
  })

  test('[PRD-5] a batch in a transaction that nobody has begun is refused, others of the request are stored', async () => {
    const { client, topicId } = await relayWithTopic({ partitions: 2 })
    const inTransaction = batchOf('x')
    stampProducer(inTransaction, { producerId: 5, producerEpoch: 0, baseSequence: 0, isTransactional: true })
    const partitions = [
      { index: 0, records: inTransaction },
      { index: 1, records: batchOf('free') },
    ]
    expect(await write(client, topicId, partitions, { transactionalId: 'tx' })).toMatchObject([
      { errorCode: ErrorCode.INVALID_PRODUCER_ID_MAPPING },
      { errorCode: 0 },
    ])
    expect(await write(client, topicId, partitions.slice(0, 1))).toMatchObject([
      { errorCode: ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED },
    ])
  })

  test('[PRD-6] a batch that comes again is answered with its first offset; older ones and gaps have codes of their own', async () => {
    const { client, topicId } = await relayWithTopic()
    const { producerId } = await client.call(initProducerId, { transactionTimeoutMs: 0 })
    const send = async (sequence: number, ...values: string[]) =>
      (await write(client, topicId, [{ index: 0, records: idempotent(producerId, sequence, ...values) }]))[0]!
    for (let sequence = 0; sequence < 14; sequence += 2)
      expect(await send(sequence, 'a', 'b')).toMatchObject({ errorCode: 0, baseOffset: sequence })
    for (let sequence = 4; sequence < 14; sequence += 2)
      expect(await send(sequence, 'a', 'b')).toMatchObject({ errorCode: 0, baseOffset: sequence })
    expect(await send(0, 'a', 'b')).toMatchObject({ errorCode: ErrorCode.DUPLICATE_SEQUENCE_NUMBER })
    expect(await send(16, 'gap')).toMatchObject({ errorCode: ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER })
    expect(await send(14, 'next')).toMatchObject({ errorCode: 0, baseOffset: 14 })
    const { topics } = await client.call(describeProducers, { topics: [{ name: 't', partitionIndexes: [0, 9] }] })
    expect(topics[0]!.partitions).toMatchObject([
      { errorCode: 0, activeProducers: [{ producerId, producerEpoch: 0, lastSequence: 14 }] },
      { errorCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, activeProducers: [] },
    ])
  })

  test('[PRD-7] with LogAppendTime records have the time of their arrival, and the answer says it', async () => {
    const { client, topicId } = await relayWithTopic({ configs: { 'message.timestamp.type': 'LogAppendTime' } })
    const [answer] = await write(client, topicId, [{ index: 0, records: batchAt(12) }])
    expect(Math.abs(answer!.logAppendTimeMs - Date.now())).toBeLessThan(60_000)
    const { topics } = await client.call(listOffsets, {
      topics: [{ name: 't', partitions: [{ partitionIndex: 0, timestamp: -3 }] }],
    })
    expect(topics[0]!.partitions[0]).toMatchObject({ offset: 0, timestamp: answer!.logAppendTimeMs })
  })

  test('[SEC-1] a principal that may not do a thing is refused with the code for it, and nothing happens', async () => {
    const mayNot = new Set<string>()
    const authorizer = { allows: (_principal: unknown, operation: string) => !mayNot.has(operation) }
    const { client, topicId } = await relayWithTopic({ relay: { authorizer } })
    for (const operation of ['read', 'write', 'create', 'delete', 'alter', 'describe']) mayNot.add(operation)
    const denied = ErrorCode.TOPIC_AUTHORIZATION_FAILED
    expect(await write(client, topicId, [{ index: 0, records: batchOf('x') }])).toMatchObject([{ errorCode: denied }])
    expect((await read(client, topicId, [{}])).partitions).toMatchObject([{ errorCode: denied, highWatermark: -1 }])
    expect(await client.subscribe(topicId, 0)).toMatchObject({ errorCode: denied, highWatermark: -1 })
    await expect(client.createTopic('u')).rejects.toThrow('not allowed')
    const deleted = await client.call(deleteTopics, { topics: [{ topicId }], timeoutMs: 0 })
    expect(deleted.responses).toMatchObject([{ errorCode: denied }])
    mayNot.clear()
    expect((await read(client, topicId, [{}])).partitions).toMatchObject([{ errorCode: 0, highWatermark: 0 }])
  })
})

describe('InitProducerId', () => {
  test('[PRD-8] ids are unique among clients and over restarts', async () => {
    const { relay, client, url } = await relayWithTopic()
    const ids = new Set<number>()
    const take = async (from: RelayClient, count: number) => {
      const answers = await Promise.all(
        Array.from({ length: count }, () => from.call(initProducerId, { transactionTimeoutMs: 0 })),
      )
      for (const { producerId, producerEpoch, errorCode } of answers) {
        expect({ producerEpoch, errorCode }).toEqual({ producerEpoch: 0, errorCode: 0 })
        ids.add(producerId)
      }
    }
    await Promise.all([take(client, 700), take(await RelayClient.open(url), 700)])
    await relay.close()
    const again = await startRelay({ config: { dataDir: relay.dataDir } })
    await take(await RelayClient.open(again.websocket.url), 100)
    expect(ids.size).toBe(1500)
  })
})

describe('Fetch', () => {
  test('[FET-1] gives whole batches from the one that holds the offset, in every version', async () => {
    const { client, topicId } = await relayWithTopic()
    await client.produce(topicId, ['a', 'b', 'c'])
    await client.produce(topicId, ['d'])
    for (let version = 4; version <= 18; version++) {
      const { partitions } = await read(client, topicId, [{ fetchOffset: 1 }], { version })
      expect(partitions, `version ${version}`).toMatchObject([{ errorCode: 0, highWatermark: 4 }])
      expect(valuesIn(partitions[0]!.records)).toEqual(['a', 'b', 'c', 'd'])
    }
  })

  test('[FET-2] waits for new records up to its time, and answers as soon as they come', async () => {
    const { relay, client, topicId } = await relayWithTopic()
    const startedAt = performance.now()
    expect((await read(client, topicId, [{}], { maxWaitMs: 120 })).partitions[0]!.records).toHaveLength(0)
    expect(performance.now() - startedAt).toBeGreaterThan(100)
    const waiting = read(client, topicId, [{}], { maxWaitMs: 60_000 })
    const writer = await RelayClient.open(relay.websocket.url)
    await writer.produce(topicId, ['a'])
    expect(valuesIn((await waiting).partitions[0]!.records)).toEqual(['a'])
    const forMore = read(client, topicId, [{}], { maxWaitMs: 60_000, minBytes: 400 })
    for (let index = 0; index < 10; index++) await writer.produce(topicId, ['b'.repeat(40)])
    expect((await forMore).partitions[0]!.records!.length).toBeGreaterThanOrEqual(400)
  })

  test('[FET-3] limits hold, except that the first batch comes however large it is', async () => {
    const { client, topicId } = await relayWithTopic({ partitions: 3 })
    for (const partition of [0, 1, 2])
      for (let index = 0; index < 5; index++) await client.produce(topicId, ['x'.repeat(10_000)], partition)
    const all = [{ partition: 0 }, { partition: 1 }, { partition: 2 }]
    const sizes = async (wanted: Wanted[], maxBytes?: number) =>
      (await read(client, topicId, wanted, { maxBytes })).partitions.map(({ records }) => recordsIn(records!).length)
    expect(await sizes(all)).toEqual([5, 5, 5])
    expect(await sizes(all, 1)).toEqual([1, 0, 0])
    expect(await sizes(all, 25_000)).toEqual([2, 0, 0])
    expect(await sizes(all.map((each) => ({ ...each, partitionMaxBytes: 25_000 })))).toEqual([2, 2, 2])
    expect(await sizes([{ partition: 0, fetchOffset: 5 }, { partition: 1 }], 1)).toEqual([0, 1])
    expect(await sizes([{ partition: 0, partitionMaxBytes: -1 }], -1)).toEqual([1])
  })

  test('[FET-12] a fetch does not wait for more than its limits let through', async () => {
    const { client, topicId } = await relayWithTopic({ partitions: 2 })
    for (let index = 0; index < 24; index++)
      await Promise.all([0, 1].map((partition) => client.produce(topicId, ['x'.repeat(400_000)], partition)))
    const counts = async (wanted: Wanted[], limits: { minBytes: number; maxBytes: number }) => {
      const { partitions } = await read(client, topicId, wanted, { maxWaitMs: 60_000, ...limits })
      return partitions.map(({ records }) => recordsIn(records!).length)
    }
    // More than the relay gives at once.
    const whole = { partitionMaxBytes: 50_000_000 }
    expect(await counts([whole], { minBytes: 15_000_000, maxBytes: 50_000_000 })).toEqual([20])
    // More than was asked for at most.
    expect(await counts([whole], { minBytes: 5_000_000, maxBytes: 1_000_000 })).toEqual([2])
    // Two batches, and a third that would have to be cut.
    expect(await counts([{ partitionMaxBytes: 1_000_000 }], { minBytes: 1_000_000, maxBytes: 50_000_000 })).toEqual([2])
    const both = [{ partition: 0 }, { partition: 1 }]
    expect(await counts(both, { minBytes: 2_000_000, maxBytes: 50_000_000 })).toEqual([2, 2])
    const ends = [{ fetchOffset: 22 }, { partition: 1, fetchOffset: 23 }]
    expect(await counts(ends, { minBytes: 1_200_000, maxBytes: 50_000_000 })).toEqual([2, 1])
  }, 20_000)

  test('[FET-13] what does not fit into an answer is neither read on nor kept; who is named twice is answered once', async () => {
    const partitionCount = 24
    const config = { dataDir: await temporaryFolder() }
    const first = await relayWithTopic({ partitions: partitionCount, relay: { config } })
    const batch = ['x'.repeat(900_000)]
    for (let partition = 0; partition < partitionCount; partition++)
      await first.client.produce(first.topicId, batch, partition)
    await first.relay.close()
    // What it has written itself a relay has in memory.
    const files = new FaultyFiles(nodeFiles)
    const relay = await startRelay({ config, files })
    const client = await RelayClient.open(relay.websocket.url)
    let reads = 0
    files.onCall = (call) => {
      if (call === 'read') reads++
    }
    const all = Array.from({ length: partitionCount }, (_, partition) => ({ partition }))
    const { partitions } = await read(client, first.topicId, [...all, ...all], { maxBytes: 50_000_000 })
    expect(partitions.map(({ partitionIndex }) => partitionIndex)).toEqual(all.map(({ partition }) => partition))
    expect(partitions.filter(({ records }) => records!.length > 0)).toHaveLength(9)
    expect(reads).toBeLessThan(partitionCount)
  }, 20_000)

  test('[FET-4] what cannot be read has its code and is answered at once; the rest is read', async () => {
    const { client, topicId } = await relayWithTopic({ partitions: 6 })
    await client.produce(topicId, ['a'])
    const { partitions } = await read(
      client,
      topicId,
      [
        { fetchOffset: 0 },
        { partition: 1, fetchOffset: 2 },
        { partition: 2, fetchOffset: -1 },
        { partition: 7 },
        { partition: 3, currentLeaderEpoch: 99 },
        { partition: 4, fetchOffset: 2 ** 60 },
      ],
      { maxWaitMs: 60_000, minBytes: 1_000_000 },
    )
    expect(partitions.map(({ errorCode }) => errorCode)).toEqual([
      ErrorCode.NONE,
      ErrorCode.OFFSET_OUT_OF_RANGE,
      ErrorCode.OFFSET_OUT_OF_RANGE,
      ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
      ErrorCode.UNKNOWN_LEADER_EPOCH,
      ErrorCode.OFFSET_OUT_OF_RANGE,
    ])
    expect(valuesIn(partitions[0]!.records)).toEqual(['a'])
    expect((await read(client, UNKNOWN_ID, [{}])).partitions).toMatchObject([{ errorCode: ErrorCode.UNKNOWN_TOPIC_ID }])
    expect((await read(client, topicId, [])).partitions).toEqual([])
  })

  test('[FET-5] sessions are declined: the answer has session 0', async () => {
    const { client, topicId } = await relayWithTopic()
    await client.produce(topicId, ['a'])
    expect(await read(client, topicId, [{}], { sessionId: 0 })).toMatchObject({ sessionId: 0, errorCode: 0 })
  })

  test('[FET-6] a topic that goes while a fetch waits for it ends the wait', async () => {
    const { relay, client, topicId } = await relayWithTopic()
    await client.produce(topicId, ['a'])
    const waiting = read(client, topicId, [{ fetchOffset: 1 }], { maxWaitMs: 60_000 })
    const other = await RelayClient.open(relay.websocket.url)
    await other.call(deleteTopics, { topics: [{ name: 't' }], timeoutMs: 0 })
    expect((await waiting).partitions).toMatchObject([{ errorCode: ErrorCode.UNKNOWN_TOPIC_ID }])
    const old = read(client, topicId, [{}], { version: 12 })
    expect((await old).partitions).toMatchObject([{ errorCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION }])
  })

  test('[FET-7] topics that come and go under readers and writers disturb no connection', async () => {
    const { client, url } = await relayWithTopic()
    const [reader, writer] = [await RelayClient.open(url), await RelayClient.open(url)]
    const codes = new Set<number>()
    for (let round = 0; round < 15; round++) {
      const id = await client.createTopic('u', { configs: { 'segment.bytes': '4096' } })
      const writes = Array.from({ length: 30 }, () => writer.produce(id, ['x'.repeat(1000)]))
      await writes[10]
      const reads = Array.from({ length: 30 }, (_, index) =>
        read(reader, id, [{ fetchOffset: index % 10, partitionMaxBytes: 1 }]),
      )
      const looks = Array.from({ length: 10 }, () =>
        client.call(listOffsets, {
          topics: [{ name: 'u', partitions: [{ partitionIndex: 0, timestamp: 1_700_000_000_000 }] }],
        }),
      )
      const gone = client.call(deleteTopics, { topics: [{ name: 'u' }], timeoutMs: 0 })
      for (const { errorCode } of await Promise.all(writes)) codes.add(errorCode)
      for (const { partitions } of await Promise.all(reads))
        for (const { errorCode } of partitions) codes.add(errorCode)
      for (const { topics } of await Promise.all(looks)) codes.add(topics[0]!.partitions[0]!.errorCode)
      expect((await gone).responses).toMatchObject([{ errorCode: 0 }])
    }
    expect([client.closed, reader.closed, writer.closed]).toEqual([undefined, undefined, undefined])
    const legal: number[] = [
      0,
      ErrorCode.UNKNOWN_TOPIC_ID,
      ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
      ErrorCode.OFFSET_OUT_OF_RANGE,
    ]
    expect([...codes].filter((code) => !legal.includes(code))).toEqual([])
  })
})

describe('offsets', () => {
  const list = async (client: RelayClient, timestamp: number, version = 11) => {
    const { topics } = await client.call(
      listOffsets,
      { topics: [{ name: 't', partitions: [{ partitionIndex: 0, timestamp }] }] },
      version,
    )
    return topics[0]!.partitions[0]!
  }

  test('[FET-8] ListOffsets finds the ends, times, and the newest record', async () => {
    const { client, topicId } = await relayWithTopic()
    expect(await list(client, -1)).toMatchObject({ errorCode: 0, offset: 0 })
    expect(await list(client, -3)).toMatchObject({ errorCode: 0, offset: -1 })
    expect(await list(client, 5)).toMatchObject({ errorCode: 0, offset: -1, timestamp: -1 })
    for (const timestamp of [1000, 3000, 2000, 5000, 4000])
      await write(client, topicId, [{ index: 0, records: batchAt(timestamp) }])
    for (const version of [1, 6, 7, 11]) {
      expect(await list(client, -1, version)).toMatchObject({ errorCode: 0, offset: 5 })
      expect(await list(client, -2, version)).toMatchObject({ errorCode: 0, offset: 0 })
      expect(await list(client, 1500, version)).toMatchObject({ offset: 1, timestamp: 3000 })
    }
    expect(await list(client, 0)).toMatchObject({ offset: 0, timestamp: 1000 })
    expect(await list(client, 3001)).toMatchObject({ offset: 3, timestamp: 5000 })
    expect(await list(client, 5001)).toMatchObject({ errorCode: 0, offset: -1, timestamp: -1 })
    expect(await list(client, -3)).toMatchObject({ offset: 3, timestamp: 5000 })
    expect(await list(client, -99)).toMatchObject({ offset: -1 })
    const { topics } = await client.call(listOffsets, {
      topics: [
        { name: 'absent', partitions: [{ partitionIndex: 0, timestamp: -1 }] },
        { name: 't', partitions: [{ partitionIndex: 5, timestamp: -1 }] },
      ],
    })
    expect(topics.map(({ partitions }) => partitions[0]!.errorCode)).toEqual([3, 3])
  })

  test('[FET-9] DeleteRecords moves the start and never back; what lies below it is out of range', async () => {
    const { relay, client, topicId } = await relayWithTopic()
    for (let index = 0; index < 10; index++) await client.produce(topicId, [`${index}`])
    const cut = async (offset: number, version = 2) =>
      (
        await client.call(
          deleteRecords,
          { topics: [{ name: 't', partitions: [{ partitionIndex: 0, offset }] }], timeoutMs: 1000 },
          version,
        )
      ).topics[0]!.partitions[0]!
    expect(await cut(4, 0)).toMatchObject({ errorCode: 0, lowWatermark: 4 })
    expect(await cut(2)).toMatchObject({ errorCode: 0, lowWatermark: 4 })
    expect(await cut(11)).toMatchObject({ errorCode: ErrorCode.OFFSET_OUT_OF_RANGE, lowWatermark: -1 })
    expect(await cut(-2)).toMatchObject({ errorCode: ErrorCode.OFFSET_OUT_OF_RANGE })
    expect((await read(client, topicId, [{ fetchOffset: 3 }])).partitions).toMatchObject([
      { errorCode: ErrorCode.OFFSET_OUT_OF_RANGE, logStartOffset: -1 },
    ])
    await relay.close()
    const again = await startRelay({ config: { dataDir: relay.dataDir } })
    const later = await RelayClient.open(again.websocket.url)
    expect(await list(later, -2)).toMatchObject({ offset: 4 })
    const all = await later.call(deleteRecords, {
      topics: [{ name: 't', partitions: [{ partitionIndex: 0, offset: -1 }] }],
      timeoutMs: 1000,
    })
    expect(all.topics[0]!.partitions[0]).toMatchObject({ errorCode: 0, lowWatermark: 10 })
    expect(await later.produce(topicId, ['next'])).toMatchObject({ baseOffset: 10 })
  })

  test('[FET-10] OffsetForLeaderEpoch says where each epoch ended', async () => {
    const { relay, client, topicId } = await relayWithTopic()
    await client.produce(topicId, ['a'])
    await client.produce(topicId, ['b'])
    const end = async (from: RelayClient, leaderEpoch: number, version = 4, currentLeaderEpoch = -1) =>
      (
        await from.call(
          offsetForLeaderEpoch,
          { topics: [{ topic: 't', partitions: [{ partition: 0, leaderEpoch, currentLeaderEpoch }] }] },
          version,
        )
      ).topics[0]!.partitions[0]!
    for (const version of [2, 3, 4])
      expect(await end(client, 0, version)).toMatchObject({ errorCode: 0, leaderEpoch: 0, endOffset: 2 })
    expect(await end(client, 7)).toMatchObject({ errorCode: 0, endOffset: -1 })
    expect(await end(client, 0, 4, 9)).toMatchObject({ errorCode: ErrorCode.UNKNOWN_LEADER_EPOCH })
    const log = relay.engine.topicByName('t')!.partitions[0]!
    await log.truncateTo(1)
    expect(log.leaderEpoch).toBeGreaterThan(0)
    expect(await end(client, 0)).toMatchObject({ errorCode: 0, leaderEpoch: 0, endOffset: 1 })
    const { leaderEpoch } = log
    expect(await end(client, leaderEpoch)).toMatchObject({ errorCode: 0, leaderEpoch, endOffset: 1 })
    expect(await end(client, 0, 4, 0)).toMatchObject({ errorCode: ErrorCode.FENCED_LEADER_EPOCH })
  })
})

function batchAt(timestamp: number): Uint8Array<ArrayBuffer> {
  return encodeBatch([{ key: null, value: new Uint8Array([1]), timestamp }])
}
