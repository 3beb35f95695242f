/** Subscriptions to some keys: what they are sent, what they are told was left out, and what that costs the others. */
import { describe, expect, test } from 'vitest'
import { lz4 } from '../../../protocol/codecs/lz4.ts'
import { compressLz4 } from '../../../protocol/codecs/lz4-writer.ts'
import { ErrorCode } from '../../../protocol/errors.ts'
import { seededRandom } from '../../../protocol/lib/random.ts'
import { FROM_START, grant, subscribe } from '../../../protocol/messages/offset-protocol.ts'
import { deleteRecords } from '../../../protocol/messages/offsets.ts'
import { BATCH_HEADER_BYTES, batchesIn, codecOf, stampProducer } from '../../../protocol/record-batch.ts'
import { compressBatch, decodeRecords, encodeBatch } from '../../../protocol/records.ts'
import { eventually } from '../../support/eventually.ts'
import { startRelay } from '../../support/relay.ts'
import { RelayClient } from '../../support/relay-client.ts'

const utf8 = new TextEncoder()
const text = new TextDecoder()

const keyed = (...pairs: Array<[key: string | null, value: string | null]>) =>
  encodeBatch(
    pairs.map(([key, value]) => ({
      key: key === null ? null : utf8.encode(key),
      value: value === null ? null : utf8.encode(value),
      timestamp: 1_700_000_000_000,
    })),
  )

async function relayWithTopic(configs?: Record<string, string>) {
  const relay = await startRelay()
  const writer = await RelayClient.open(relay.websocket.url)
  await writer.sayHello()
  const topicId = await writer.createTopic('t', configs ? { configs } : {})
  const reader = await RelayClient.open(relay.websocket.url)
  return { relay, writer, reader, topicId }
}

interface Seen {
  offset: number
  key: string | null
  value: string | null
}

async function recordsOf(client: RelayClient): Promise<Seen[]> {
  const seen: Seen[] = []
  for (const { records } of client.deliveries) {
    for (const { at, end, header } of batchesIn(records)) {
      const block = records.subarray(at + BATCH_HEADER_BYTES, end)
      const plain = codecOf(header) === 3 ? await lz4.decompress(block, 1e7) : block
      for (const { offset, key, value } of decodeRecords(header, plain)) {
        seen.push({ offset, key: key && text.decode(key), value: value && text.decode(value) })
      }
    }
  }
  return seen
}

/** Every offset from `from` on is delivered or said to be left out, once, up to where the last message ends. */
function expectCovered(client: RelayClient, from: number): void {
  let at = from
  for (const { records, skipped = [], nextOffset } of client.deliveries) {
    const parts = [
      ...skipped,
      ...[...batchesIn(records)].map(({ header }) => ({
        from: header.baseOffset,
        to: header.baseOffset + header.lastOffsetDelta + 1,
      })),
    ].sort((a, b) => a.from - b.from)
    for (const part of parts) {
      expect(part.from).toBeLessThanOrEqual(at)
      expect(part.to).toBeGreaterThan(at)
      at = part.to
    }
    expect(at).toBe(nextOffset)
  }
}

describe('subscriptions to keys', () => {
  test('[SYN-50] keys and prefixes choose batches; what is left out is said, and with it every offset accounted for', async () => {
    const { writer, reader, topicId } = await relayWithTopic()
    const batches = [keyed(['a', '0']), keyed(['b', '1'], ['c', '2']), keyed(['user-7/x', '3']), keyed([null, '4'])]
    for (const batch of batches) await writer.produce(topicId, batch)
    await reader.subscribe(topicId, FROM_START, { keys: ['a'], prefixes: ['user-7/'] })
    await reader.deliveredTo(5)
    for (const batch of [keyed(['user-8/x', '5']), keyed(['d', '6'], ['a', '7']), keyed(['a', null])])
      await writer.produce(topicId, batch)
    await reader.deliveredTo(9)
    expect((await recordsOf(reader)).map(({ offset }) => offset)).toEqual([0, 3, 6, 7, 8])
    expectCovered(reader, 0)
    expect(reader.deliveries.at(-1)).toMatchObject({ nextOffset: 9, highWatermark: 9 })
  })

  test('[SYN-50] a random log, read from anywhere with any filter, compressed or not: all that matches, and nothing unsaid', async () => {
    const { relay, writer, topicId } = await relayWithTopic()
    const random = seededRandom(20_501)
    const below = (count: number) => Math.floor(random.next() * count)
    const all: Array<{ offset: number; key: string }> = []
    for (let index = 0; index < 60; index++) {
      const pairs = Array.from({ length: 1 + below(6) }, (): [string, string] => [
        `k${below(40)}`,
        'v'.repeat(below(2000)),
      ])
      for (const [key] of pairs) all.push({ offset: all.length, key })
      const batch = keyed(...pairs)
      const sent = below(2) === 0 ? batch : await compressBatch(batch, 3, async (block) => compressLz4(block))
      await writer.produce(topicId, sent)
    }
    for (let round = 0; round < 12; round++) {
      const reader = await RelayClient.open(relay.websocket.url)
      const keys = Array.from({ length: 1 + below(3) }, () => `k${below(40)}`)
      const prefixes = below(2) === 0 ? [`k${below(4)}`] : []
      const from = below(all.length)
      await reader.subscribe(topicId, from, { keys, prefixes, isCommitted: below(2) === 0, credit: 3_000 })
      const granting = setInterval(() => {
        reader.call(grant, { grants: [{ topicId, partition: 0, bytes: 5_000 }] }).catch(() => {})
      }, 1)
      await reader.deliveredTo(all.length)
      clearInterval(granting)
      const isWanted = (key: string) => keys.includes(key) || prefixes.some((prefix) => key.startsWith(prefix))
      const got = new Set((await recordsOf(reader)).map(({ offset }) => offset))
      for (const { offset, key } of all) if (offset >= from && isWanted(key)) expect(got).toContain(offset)
      expectCovered(reader, from)
      reader.socket.terminate()
    }
  })

  test('[SYN-51] what nobody can look into goes to everybody', async () => {
    const { writer, reader, topicId } = await relayWithTopic()
    const large = keyed(['other', 'x'.repeat(9 * 1024 * 1024)])
    const bomb = await compressBatch(large, 3, async (block) => compressLz4(block))
    const torn = keyed(['other', 'y'])
    torn[BATCH_HEADER_BYTES] = 0x7e
    const lying = await compressBatch(torn, 3, async () => new Uint8Array([1, 2, 3, 4]))
    await writer.produce(topicId, bomb)
    await writer.produce(topicId, lying)
    await writer.produce(topicId, keyed(['other', 'z']))
    await reader.subscribe(topicId, FROM_START, { keys: ['mine'] })
    await reader.deliveredTo(3)
    const sent = reader.deliveries.flatMap(({ records }) =>
      [...batchesIn(records)].map(({ header }) => header.baseOffset),
    )
    expect(sent).toEqual([0, 1])
    expectCovered(reader, 0)
  })

  test('[SYN-52] committed readers of some keys stop where a transaction is open, and are told of the aborted ones they got', async () => {
    const { relay, reader, topicId } = await relayWithTopic()
    const log = relay.engine.topicById(topicId)!.partitions[0]!
    const write = (id: number, sequence: number, key: string, value: string) => {
      const batch = keyed([key, value])
      stampProducer(batch, { producerId: id, producerEpoch: 0, baseSequence: sequence, isTransactional: true })
      return log.append(batch).durable
    }
    const end = (producerId: number, outcome: 'commit' | 'abort') =>
      log.appendMarker({ producerId, producerEpoch: 0, coordinatorEpoch: 0, outcome }).durable
    await log.append(keyed(['mine', 'before'])).durable
    await write(7, 0, 'mine', 'aborted')
    await reader.subscribe(topicId, FROM_START, { keys: ['mine'], isCommitted: true })
    await reader.deliveredTo(1)
    expect((await recordsOf(reader)).map(({ value }) => value)).toEqual(['before'])
    await end(7, 'abort')
    await write(8, 0, 'mine', 'committed')
    await write(8, 1, 'other', 'committed')
    await write(9, 0, 'other', 'aborted')
    await end(8, 'commit')
    await end(9, 'abort')
    await eventually(() => (reader.deliveries.at(-1)?.nextOffset ?? 0) === 8)
    expectCovered(reader, 0)
    expect((await recordsOf(reader)).map(({ value }) => value)).toEqual(['before', 'aborted', 'committed'])
    const named = reader.deliveries.flatMap((delivery) => delivery.aborted)
    expect(named).toMatchObject([{ firstOffset: 1, lastOffset: 2 }])
  })

  test('[SYN-53] a filter that is too large is refused, and so is one more than a connection may have', async () => {
    const { writer, reader, topicId } = await relayWithTopic()
    const tooMany = Array.from({ length: 1_001 }, (_, index) => `${index}`)
    expect(await reader.subscribe(topicId, 0, { keys: tooMany })).toMatchObject({
      errorCode: ErrorCode.INVALID_REQUEST,
    })
    const tooLong = ['x'.repeat(65_537)]
    expect(await reader.subscribe(topicId, 0, { keys: tooLong })).toMatchObject({
      errorCode: ErrorCode.INVALID_REQUEST,
    })
    const prefixes = tooMany.slice(0, 33)
    expect(await reader.subscribe(topicId, 0, { prefixes })).toMatchObject({ errorCode: ErrorCode.INVALID_REQUEST })
    const other = await writer.createTopic('many', { partitions: 20 })
    const filter = ['y'.repeat(60_000)]
    const outcomes: number[] = []
    for (let partition = 0; partition < 20; partition++) {
      outcomes.push((await reader.subscribe(other, 0, { partition, keys: filter })).errorCode)
    }
    expect(outcomes.slice(0, 17)).toEqual(Array(17).fill(0))
    expect(outcomes.slice(17)).toEqual(Array(3).fill(ErrorCode.POLICY_VIOLATION))
  })

  test('[SYN-54] who waits for one key in a busy log hears of the others once a second at most, and of its own at once', async () => {
    const { writer, reader, topicId } = await relayWithTopic()
    await reader.subscribe(topicId, FROM_START, { keys: ['mine'] })
    await reader.deliveredTo(0)
    for (let index = 0; index < 100; index++) await writer.produce(topicId, keyed(['other', `${index}`]))
    expect(reader.deliveries.length).toBeLessThan(8)
    await writer.produce(topicId, keyed(['mine', 'at last']))
    await reader.deliveredTo(101)
    expect((await recordsOf(reader)).map(({ value }) => value)).toEqual(['at last'])
    await writer.produce(topicId, keyed(['other', 'behind']))
    await reader.deliveredTo(102)
    expectCovered(reader, 0)
  })

  test('[SYN-55] a log start that moves past a reader of some keys ends its subscription, as any', async () => {
    const { writer, reader, topicId } = await relayWithTopic()
    for (let index = 0; index < 5; index++) await writer.produce(topicId, keyed(['mine', 'x'.repeat(30_000)]))
    await reader.subscribe(topicId, FROM_START, { keys: ['mine'], credit: 1 })
    await writer.call(deleteRecords, {
      topics: [{ name: 't', partitions: [{ partitionIndex: 0, offset: 5 }] }],
      timeoutMs: 1000,
    })
    await eventually(() => reader.ended.length === 1)
    expect(reader.ended[0]).toMatchObject({ errorCode: ErrorCode.OFFSET_OUT_OF_RANGE, logStart: 5 })
  })

  test('[SYN-56] version 0 knows no keys and is served as before', async () => {
    const { writer, reader, topicId } = await relayWithTopic()
    await writer.produce(topicId, keyed(['a', '0']))
    const partitions = [{ topicId, partition: 0, offset: FROM_START, leaderEpoch: -1, credit: 1_000_000 }]
    await reader.call(subscribe, { isolationLevel: 0, partitions }, 0)
    await reader.deliveredTo(1)
    expect(reader.deliveries.every(({ skipped }) => skipped === undefined)).toBe(true)
  })
})
