/**
 * Reading committed records, by request and by delivery, against the account of whoever wrote them. The aborted
 * transactions are left out here as Kafka's clients do it (from the first offset until the next abort marker) and as the
 * offset protocol says it (from the first offset to the last).
 */
import { expect, test } from 'vitest'
import { ErrorCode } from '../../protocol/errors.ts'
import { seededRandom } from '../../protocol/lib/random.ts'
import { fetch } from '../../protocol/messages/fetch.ts'
import type { Deliver } from '../../protocol/messages/offset-protocol.ts'
import { FROM_END, FROM_START, grant, ping } from '../../protocol/messages/offset-protocol.ts'
import { listOffsets } from '../../protocol/messages/offsets.ts'
import { batchesIn, isControl, isTransactional } from '../../protocol/record-batch.ts'
import { ABORTED_MAX } from '../../server/log/committed-reads.ts'
import type { PartitionLog } from '../../server/log/partition-log.ts'
import { batchOf } from '../support/batches.ts'
import { committedOf } from '../support/committed-records.ts'
import { eventually } from '../support/eventually.ts'
import { recordsIn } from '../support/read-values.ts'
import { startRelay } from '../support/relay.ts'
import { RelayClient } from '../support/relay-client.ts'
import type { Placed } from '../support/transactions.ts'
import { InterleavedTransactions } from '../support/transactions.ts'

async function relayWithLog() {
  const relay = await startRelay()
  const client = await RelayClient.open(relay.websocket.url)
  await client.sayHello()
  const topicId = await client.createTopic('t', { configs: { 'segment.bytes': '1048576' } })
  const log = relay.engine.topicById(topicId)!.partitions[0]!
  return { relay, client, topicId, log }
}

const inTransaction = (value: string, producer: { id: number; epoch?: number; sequence: number }) =>
  batchOf([value], { producer: { ...producer, isTransactional: true } })

const end = (log: PartitionLog, producerId: number, outcome: 'commit' | 'abort', producerEpoch = 0) =>
  log.appendMarker({ producerId, producerEpoch, coordinatorEpoch: 0, outcome }).durable

interface FetchOptions {
  isCommitted?: boolean
  maxBytes?: number
  minBytes?: number
  maxWaitMs?: number
  version?: number
}

async function fetchFrom(client: RelayClient, topicId: string, fetchOffset: number, options: FetchOptions = {}) {
  const { isCommitted = true, maxBytes = 1_000_000, minBytes = 0, maxWaitMs = 0, version = fetch.maxVersion } = options
  const partitions = [{ partition: 0, fetchOffset, partitionMaxBytes: maxBytes }]
  const body = {
    ...{ maxWaitMs, minBytes, maxBytes, isolationLevel: isCommitted ? 1 : 0, sessionId: 0, forgottenTopicsData: [] },
    ...{ topics: [{ topic: 't', topicId, partitions }], rackId: '' },
  }
  const { responses } = await client.call(fetch, body, version)
  return responses[0]!.partitions[0]!
}

/** As the offset protocol says it. */
function committedIn({ records, aborted }: Deliver): Placed[] {
  return [...batchesIn(records)].flatMap(({ at, end, header }) => {
    const isAborted = aborted.some(
      ({ producerId, firstOffset, lastOffset }) =>
        producerId === header.producerId && firstOffset <= header.baseOffset && header.baseOffset <= lastOffset,
    )
    return isControl(header) || (isTransactional(header) && isAborted) ? [] : recordsIn(records.subarray(at, end))
  })
}

const deliveredIn = ({ records }: Deliver): Placed[] =>
  [...batchesIn(records)].flatMap(({ at, end, header }) =>
    isControl(header) ? [] : recordsIn(records.subarray(at, end)),
  )

/** Reads from `from` on in slices of random size until there is nothing more. */
async function fetchAll(client: RelayClient, topicId: string, random: () => number, from = 0): Promise<Placed[]> {
  const placed: Placed[] = []
  for (let at = from; ; ) {
    const answer = await fetchFrom(client, topicId, at, { maxBytes: 100 + Math.floor(random() * 3000) })
    expect(answer.errorCode).toBe(0)
    const { placed: more, nextOffset } = committedOf(answer)
    if (nextOffset < 0) return placed
    placed.push(...more.filter(({ offset }) => offset >= at))
    at = nextOffset
  }
}

test('[FET-20] committed records by Fetch, with transactions interleaved at random, are those of the account', async () => {
  const { client, topicId, log } = await relayWithLog()
  const random = seededRandom(20)
  const account = new InterleavedTransactions(log, random)
  for (let round = 0; round < 25; round++) {
    for (let step = 0; step < 40; step++) await account.step()
    await account.written()
    expect(await fetchAll(client, topicId, random.next)).toEqual(account.committed())
    const from = Math.floor(random.next() * log.endOffset)
    expect(await fetchAll(client, topicId, random.next, from)).toEqual(account.committed(from))
  }
  expect(account.aborted).toBeGreaterThan(30)
}, 60_000)

test('[FET-21] isolation level 1 ends at the last stable offset and names the aborted transactions, in every version', async () => {
  const { client, topicId, log } = await relayWithLog()
  await log.append(inTransaction('aborted', { id: 7, sequence: 0 })).durable
  await end(log, 7, 'abort')
  await log.append(batchOf(['plain'])).durable
  await log.append(inTransaction('open', { id: 8, sequence: 0 })).durable
  await log.append(batchOf(['later'])).durable
  for (let version = fetch.minVersion; version <= fetch.maxVersion; version++) {
    const committed = await fetchFrom(client, topicId, 0, { version })
    expect(committed).toMatchObject({ highWatermark: 5, lastStableOffset: 3 })
    expect(committed.abortedTransactions).toEqual([{ producerId: 7, firstOffset: 0 }])
    expect(committedOf(committed)).toEqual({ placed: [{ offset: 2, value: 'plain' }], nextOffset: 3 })
    const all = await fetchFrom(client, topicId, 0, { version, isCommitted: false })
    expect(all).toMatchObject({ highWatermark: 5, lastStableOffset: 3, abortedTransactions: null })
    expect([...batchesIn(all.records!)]).toHaveLength(5)
  }
  for (const offset of [3, 4, 5]) {
    expect(await fetchFrom(client, topicId, offset)).toMatchObject({ errorCode: 0, records: new Uint8Array(0) })
  }
  expect(await fetchFrom(client, topicId, 6)).toMatchObject({ errorCode: ErrorCode.OFFSET_OUT_OF_RANGE })
})

test('[FET-22] a fetch that waits for committed records counts only those, and is woken when a transaction ends', async () => {
  const { client, topicId, log } = await relayWithLog()
  const waiting = fetchFrom(client, topicId, 0, { minBytes: 1, maxWaitMs: 60_000 })
  const other = await RelayClient.open(client.socket.url)
  await log.append(inTransaction('x'.repeat(500), { id: 7, sequence: 0 })).durable
  await log.append(batchOf(['later'])).durable
  const uncommitted = await fetchFrom(other, topicId, 0, { minBytes: 500, maxWaitMs: 60_000, isCommitted: false })
  expect(uncommitted.records!.length).toBeGreaterThan(500)
  await end(log, 7, 'commit')
  const { placed } = committedOf(await waiting)
  expect(placed.map(({ offset }) => offset)).toEqual([0, 1])
})

test('[FET-23] ListOffsets with isolation level 1 knows nothing from the last stable offset on', async () => {
  const { client, log } = await relayWithLog()
  const find = async (timestamp: number, isolationLevel: number, version = listOffsets.maxVersion) => {
    const partitions = [{ partitionIndex: 0, currentLeaderEpoch: -1, timestamp }]
    const { topics } = await client.call(listOffsets, { isolationLevel, topics: [{ name: 't', partitions }] }, version)
    return topics[0]!.partitions[0]!.offset
  }
  const at = (value: string, timestamp: number, sequence: number) =>
    batchOf([value], { timestamp, producer: { id: 7, sequence, isTransactional: true } })
  await log.append(batchOf(['plain'], { timestamp: 1_000 })).durable
  await log.append(at('open', 2_000, 0)).durable
  expect([await find(-1, 0), await find(-1, 1), await find(-1, 1, 2)]).toEqual([2, 1, 1])
  expect([await find(1_500, 0), await find(1_500, 1), await find(-3, 0), await find(-3, 1)]).toEqual([1, -1, 1, -1])
  expect([await find(500, 1), await find(-2, 1)]).toEqual([0, 0])
  await end(log, 7, 'commit')
  expect([await find(-1, 1), await find(1_500, 1)]).toEqual([3, 1])
})

test('[FET-24] 10,000 aborted transactions come in answers of bounded size, whoever began when', async () => {
  const { client, topicId, log } = await relayWithLog()
  const count = 10_000
  for (let id = 0; id < count; id++) log.append(inTransaction(`first ${id}`, { id, sequence: 0 }))
  for (let id = 0; id < count; id++) log.append(inTransaction(`second ${id}`, { id, sequence: 1 }))
  for (let id = count - 1; id > 0; id--) void end(log, id, 'abort')
  await end(log, 0, 'commit')
  const placed: Placed[] = []
  let most = 0
  let answers = 0
  for (let at = 0; at < log.highWatermark; answers++) {
    const answer = await fetchFrom(client, topicId, at, { maxBytes: 8_000_000 })
    most = Math.max(most, answer.abortedTransactions!.length)
    const { placed: more, nextOffset } = committedOf(answer)
    expect(nextOffset).toBeGreaterThan(at)
    placed.push(...more)
    at = nextOffset
  }
  expect(placed).toEqual([
    { offset: 0, value: 'first 0' },
    { offset: count, value: 'second 0' },
  ])
  expect(most).toBe(ABORTED_MAX)
  expect(answers).toBeLessThan((2 * count) / ABORTED_MAX + 3)
}, 60_000)

test('[SYN-30] subscribers to all and to committed records each get theirs, however transactions interleave', async () => {
  const { relay, client, topicId, log } = await relayWithLog()
  const random = seededRandom(30)
  const account = new InterleavedTransactions(log, random)
  const subscribers = await Promise.all(
    Array.from({ length: 12 }, () => RelayClient.open(relay.websocket.url).then((peer) => ({ peer, from: 0 }))),
  )
  const isCommitted = (index: number) => index % 3 !== 0
  for (let round = 0; round < 12; round++) {
    const joining = subscribers[round]!
    const asked = round % 2 === 0 ? FROM_START : FROM_END
    const options = { isCommitted: isCommitted(round), credit: 2_000 }
    joining.from = (await joining.peer.subscribe(topicId, asked, options)).startOffset
    for (let step = 0; step < 60; step++) {
      await account.step()
      const granting = subscribers[Math.floor(random.next() * (round + 1))]!
      granting.peer.call(grant, { grants: [{ topicId, partition: 0, bytes: 700 }] }).catch(() => {})
    }
    await account.written()
    for (const [index, { peer }] of subscribers.slice(0, round + 1).entries()) {
      if (!isCommitted(index)) continue
      for (const { nextOffset, lastStableOffset } of peer.deliveries)
        expect(nextOffset).toBeLessThanOrEqual(lastStableOffset)
    }
  }
  for (const [index, { peer, from }] of subscribers.entries()) {
    peer.call(grant, { grants: [{ topicId, partition: 0, bytes: 10_000_000 }] }).catch(() => {})
    const delivered = await peer.deliveredTo(isCommitted(index) ? log.lastStableOffset : log.highWatermark)
    const placed = delivered.flatMap(isCommitted(index) ? committedIn : deliveredIn)
    expect(placed.filter(({ offset }) => offset >= from)).toEqual(
      isCommitted(index) ? account.committed(from) : account.all(from),
    )
  }
  expect(log.lastStableOffset).toBeLessThan(log.highWatermark)
  await client.call(ping, { clientTimeMs: 0 })
}, 60_000)

test('[SYN-31] who subscribed to committed records has everything at the last stable offset, and is woken when it moves', async () => {
  const { client, topicId, log } = await relayWithLog()
  await log.append(batchOf(['plain'])).durable
  await log.append(inTransaction('open', { id: 7, sequence: 0 })).durable
  const started = await client.subscribe(topicId, FROM_END, { isCommitted: true })
  expect(started).toMatchObject({ startOffset: 1, lastStableOffset: 1, highWatermark: 2 })
  const [mark] = await client.deliveredTo(1)
  expect(mark).toMatchObject({ nextOffset: 1, lastStableOffset: 1, highWatermark: 2, records: new Uint8Array(0) })
  await log.append(batchOf(['later'])).durable
  await client.call(ping, { clientTimeMs: 0 })
  expect(client.deliveries).toHaveLength(1)
  await end(log, 7, 'commit')
  await client.deliveredTo(4)
  expect(client.deliveries.flatMap(committedIn).map(({ value }) => value)).toEqual(['open', 'later'])
})

test('[SYN-33] a position that is not decided yet waits, and goes on from there', async () => {
  const { client, topicId, log } = await relayWithLog()
  await log.append(inTransaction('open', { id: 7, sequence: 0 })).durable
  await log.append(batchOf(['later'])).durable
  await client.subscribe(topicId, 1, { isCommitted: true })
  await client.deliveredTo(1)
  expect(client.deliveries).toHaveLength(1)
  await end(log, 7, 'abort')
  await client.deliveredTo(3)
  expect(client.deliveries.flatMap(committedIn).map(({ value }) => value)).toEqual(['later'])
})

test('[SYN-34] a log that loses the end of a transaction takes back what it called committed', async () => {
  const { relay, client, topicId, log } = await relayWithLog()
  const all = await RelayClient.open(relay.websocket.url)
  await log.append(inTransaction('a', { id: 7, sequence: 0 })).durable
  await log.append(batchOf(['plain'])).durable
  await end(log, 7, 'commit')
  await client.subscribe(topicId, FROM_START, { isCommitted: true })
  await all.subscribe(topicId, FROM_START)
  await Promise.all([client.deliveredTo(3), all.deliveredTo(3)])
  await log.truncateTo(2)
  await eventually(() => client.ended.length === 1 && all.ended.length === 1)
  expect(client.ended[0]).toMatchObject({ errorCode: ErrorCode.FENCED_LEADER_EPOCH, truncateTo: 0 })
  expect(all.ended[0]).toMatchObject({ errorCode: ErrorCode.FENCED_LEADER_EPOCH, truncateTo: 2 })
  const again = await client.subscribe(topicId, 2, { leaderEpoch: 0, isCommitted: true })
  expect(again).toMatchObject({ errorCode: ErrorCode.FENCED_LEADER_EPOCH, truncateTo: 0 })
})
