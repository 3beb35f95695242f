import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, test } from 'vitest'
import type { Lanes } from '../../client/consumer/lanes.ts'
import { Ottla } from '../../client/ottla.ts'
import { json, schema, string } from '../../client/serde.ts'
import type { TopicOptions } from '../../client/topic.ts'
import { CodecRegistry, gzip } from '../../protocol/compression.ts'
import { HandClock } from '../../protocol/lib/clock.ts'
import { partitionForKey } from '../../protocol/lib/partitioner.ts'
import { seededRandom } from '../../protocol/lib/random.ts'
import { BATCH_HEADER_BYTES, codecOf, readBatchHeader, viewOf } from '../../protocol/record-batch.ts'
import { decodeRecords } from '../../protocol/records.ts'
import { CoreDouble } from './core-double.ts'

function setUp<V = string>(options: TopicOptions<string, V> = {}) {
  const core = new CoreDouble()
  const clock = new HandClock()
  const ottla = new Ottla({
    core,
    clock,
    random: seededRandom(5),
    codecs: new CodecRegistry(),
    hasReplica: true,
    openLanes: async (): Promise<Lanes> => {
      throw new Error('no live reading here')
    },
  })
  const topic = ottla.topic<string, V>('t', { value: string as never, ...options })
  return { core, clock, ottla, topic }
}

async function recordsIn(batch: Uint8Array) {
  const header = readBatchHeader(viewOf(batch))
  const block = batch.subarray(BATCH_HEADER_BYTES)
  const inflated = codecOf(header) === 1 ? await gzip.decompress(block, 1e9) : block
  return [...decodeRecords(header, inflated)].map(({ key, value, timestamp, headers }) => ({
    key: key && string.decode(key),
    value: value && string.decode(value),
    timestamp,
    headers: headers.map((header_) => [header_.key, header_.value && string.decode(header_.value)]),
  }))
}

const turn = () => new Promise((resolve) => setImmediate(resolve))
const commit = (core: CoreDouble, index: number, partitions: number[], offsets: number[]) =>
  core.settled.emit([{ id: core.enqueued[index]!.id, outcome: 'committed', partitions, offsets }])

describe('sending', () => {
  test('[SND-1] what is sent in one turn becomes one entry; receipts learn both moments', async () => {
    const { core, clock, topic } = setUp()
    const a = topic.send({ key: 'k', value: 'a', headers: { h: 'x' } })
    const b = topic.send({ value: 'b', timestamp: 5 })
    expect(a.id).toBe(b.id)
    expect(await a.stored).toBe('device')
    expect(core.enqueued.length).toBe(1)
    expect(core.enqueued[0]).toMatchObject({ topic: 't', partition: null, id: a.id })
    expect(await recordsIn(core.enqueued[0]!.batch)).toEqual([
      { key: 'k', value: 'a', timestamp: clock.now(), headers: [['h', 'x']] },
      { key: null, value: 'b', timestamp: 5, headers: [] },
    ])
    commit(core, 0, [3, 1], [70, 12])
    expect(await a.committed).toEqual({ partition: 3, offset: 70, durability: 'fsync' })
    expect(await b.committed).toEqual({ partition: 1, offset: 12, durability: 'fsync' })
  })

  test('records for a partition by number go apart; larger groups are split', async () => {
    const { core, topic } = setUp({ batchBytesMax: 1_000 })
    topic.send({ value: 'x', partition: 2 })
    const receipts = topic.sendAll(Array.from({ length: 10 }, (_, index) => ({ value: `${index}`.padEnd(200, '.') })))
    await receipts.at(-1)!.stored
    expect(core.enqueued[0]!.partition).toBe(2)
    const parts = await Promise.all(core.enqueued.slice(1).map(({ batch }) => recordsIn(batch)))
    expect(parts.length).toBeGreaterThan(2)
    expect(parts.flat().map(({ value }) => value?.[0])).toEqual([...'0123456789'])
  })

  test('a linger gathers over turns; flush cuts it short', async () => {
    const { core, clock, topic } = setUp({ lingerMs: 20 })
    topic.send({ value: 'a' })
    await turn()
    topic.send({ value: 'b' })
    await clock.advanceAsync(19)
    expect(core.enqueued.length).toBe(0)
    await clock.advanceAsync(1)
    expect(core.enqueued.length).toBe(1)
    topic.send({ value: 'c' })
    await topic.flush()
    expect(core.enqueued.length).toBe(2)
  })

  test('while the device is busy, what comes gathers into larger entries', async () => {
    const { core, topic } = setUp()
    const finish: Array<() => void> = []
    core.storing = () => new Promise((resolve) => finish.push(() => resolve('device')))
    for (let index = 0; index < 30; index++) {
      topic.send({ value: `${index}` })
      await turn()
    }
    expect(core.enqueued.length).toBe(8)
    finish.shift()!()
    await turn()
    expect(core.enqueued.length).toBe(9)
    expect((await recordsIn(core.enqueued[8]!.batch)).length).toBe(22)
  })

  test('refused, unknown and discarded entries reject `committed` alone', async () => {
    const { core, topic } = setUp()
    const receipts = []
    for (const outcome of ['parked', 'unknown', 'discarded'] as const) {
      const receipt = topic.send({ value: outcome })
      await receipt.stored
      const error = { code: 'TOO_LARGE', message: 'too large', hint: '', retriable: false, kafkaCode: 10 } as const
      core.settled.emit([{ id: receipt.id, outcome, error }])
      receipts.push(receipt)
    }
    const codes = await Promise.all(
      receipts.map(({ committed }) => committed.catch(({ code, kafkaCode }) => [code, kafkaCode])),
    )
    expect(codes).toEqual([
      ['REJECTED', 10],
      ['OUTCOME_UNKNOWN', 10],
      ['DISCARDED', 10],
    ])
  })

  test('[OUT-1] an entry that cannot be stored rejects both', async () => {
    const { core, topic } = setUp()
    core.storing = () => Promise.reject(new Error('disk gone'))
    const receipt = topic.send({ value: 'a' })
    await expect(receipt.stored).rejects.toMatchObject({ code: 'STORAGE_FAILED' })
    await expect(receipt.committed).rejects.toMatchObject({ code: 'STORAGE_FAILED' })
  })
})

describe('AbortSignal', () => {
  test('takes back what was not handed over, and nothing else of the same turn', async () => {
    const { core, topic } = setUp()
    const abort = new AbortController()
    const kept = topic.send({ value: 'kept' })
    const dropped = topic.send({ value: 'dropped' }, { signal: abort.signal })
    abort.abort()
    await expect(dropped.stored).rejects.toMatchObject({ code: 'ABORTED' })
    await expect(dropped.committed).rejects.toMatchObject({ code: 'ABORTED' })
    await kept.stored
    expect((await recordsIn(core.enqueued[0]!.batch)).map(({ value }) => value)).toEqual(['kept'])
    expect(() => topic.send({ value: 'late' }, { signal: abort.signal })).toThrow(
      expect.objectContaining({ code: 'ABORTED' }),
    )
  })

  test('has no effect once stored', async () => {
    const { core, topic } = setUp()
    const abort = new AbortController()
    const receipt = topic.send({ value: 'a' }, { signal: abort.signal })
    await receipt.stored
    abort.abort()
    commit(core, 0, [0], [9])
    expect(await receipt.committed).toEqual({ partition: 0, offset: 9, durability: 'fsync' })
  })
})

describe('a full buffer', () => {
  const kilobyte = 'x'.repeat(1_000)

  test("'refuse' throws at the bound", async () => {
    const { core, topic } = setUp({ bufferBytesMax: 10_000, onFull: 'refuse' })
    core.storing = () => new Promise(() => {})
    let taken = 0
    expect(() => {
      for (;;) {
        topic.send({ value: kilobyte })
        taken++
      }
    }).toThrow(expect.objectContaining({ code: 'BUFFER_FULL' }))
    expect(taken).toBe(9)
  })

  test("'wait' takes twice as much, and whenRoom tells when to go on", async () => {
    const { core, topic } = setUp({ bufferBytesMax: 10_000 })
    let release = () => {}
    core.storing = () =>
      new Promise((resolve) => {
        release = () => resolve('memory')
      })
    await topic.whenRoom()
    let taken = 0
    expect(() => {
      for (;;) {
        topic.send({ value: kilobyte })
        taken++
      }
    }).toThrow(expect.objectContaining({ code: 'BUFFER_FULL' }))
    expect(taken).toBe(19)
    let hasRoom = false
    const room = topic.whenRoom().then(() => {
      hasRoom = true
    })
    await turn()
    expect(hasRoom).toBe(false)
    release()
    await room
    topic.send({ value: kilobyte })
  })

  test('sendAll takes all or none', () => {
    const { topic } = setUp({ bufferBytesMax: 5_000, onFull: 'refuse' })
    topic.send({ value: kilobyte })
    expect(() => topic.sendAll(Array.from({ length: 5 }, () => ({ value: kilobyte })))).toThrow(
      expect.objectContaining({ code: 'BUFFER_FULL' }),
    )
    topic.send({ value: kilobyte })
  })
})

describe('compression', () => {
  test('gzip: an entry for each partition, chosen by murmur2 as everywhere', async () => {
    const { core, topic } = setUp({ compression: 'gzip' })
    const value = 'abc'.repeat(200)
    const partitionOf = (key: string) => partitionForKey(string.encode(key), 4)
    const other = ['b', 'c', 'd', 'e', 'f', 'g'].find((key) => partitionOf(key) !== partitionOf('a'))!
    const receipts = topic.sendAll([
      { key: 'a', value },
      { key: other, value },
      { key: 'a', value },
    ])
    await Promise.all(receipts.map(({ stored }) => stored))
    expect(receipts[0]!.id).toBe(receipts[2]!.id)
    expect(receipts[0]!.id).not.toBe(receipts[1]!.id)
    for (const { batch, partition } of core.enqueued) {
      expect(partition).not.toBeNull()
      expect(codecOf(readBatchHeader(viewOf(batch)))).toBe(1)
      expect((await recordsIn(batch))[0]!.value).toBe(value)
    }
    expect(core.enqueued.map(({ partition }) => partition)).toEqual([partitionOf('a'), partitionOf(other)])
    const index = core.enqueued.findIndex(({ id }) => id === receipts[0]!.id)
    commit(core, index, [1, 1], [4, 5])
    expect(await receipts[2]!.committed).toEqual({ partition: 1, offset: 5, durability: 'fsync' })
  })

  test('a topic that was never heard of goes uncompressed, for the outbox to partition', async () => {
    const { core, topic } = setUp({ compression: 'gzip' })
    core.topics.clear()
    await topic.send({ key: 'a', value: 'abc'.repeat(200) }).stored
    expect(core.enqueued[0]!.partition).toBeNull()
    expect(codecOf(readBatchHeader(viewOf(core.enqueued[0]!.batch)))).toBe(0)
  })
})

describe('values', () => {
  test('[SND-2] that cannot be encoded throw INVALID_VALUE at once, and none of a sendAll is sent', async () => {
    const { core, topic } = setUp<unknown>({ value: json() })
    expect(() => topic.sendAll([{ value: 1 }, { value: () => {} }])).toThrow(
      expect.objectContaining({ code: 'INVALID_VALUE' }),
    )
    await turn()
    expect(core.enqueued).toEqual([])
  })

  test('null is a tombstone and never meets the serde', async () => {
    const { core, topic } = setUp<unknown>({ value: json() })
    await topic.send({ key: 'k', value: null }).stored
    expect((await recordsIn(core.enqueued[0]!.batch))[0]).toMatchObject({ key: 'k', value: null })
  })

  test('[SND-3] a Standard Schema checks both ways and names the path', () => {
    const positive = {
      '~standard': {
        version: 1 as const,
        vendor: 'test',
        validate: (value: unknown) =>
          typeof value === 'object' && value !== null && (value as { n: number }).n > 0
            ? { value: value as { n: number } }
            : { issues: [{ message: 'must be positive', path: ['n'] }] },
      },
    }
    const serde = schema<{ n: number }, { n: number }>(positive)
    expect(serde.decode(serde.encode({ n: 1 }))).toEqual({ n: 1 })
    expect(() => serde.encode({ n: -1 })).toThrow('n: must be positive')
    expect(() => serde.decode(string.encode('{"n":0}'))).toThrow('n: must be positive')
    const { topic } = setUp<{ n: number }>({ value: serde })
    expect(() => topic.send({ value: { n: 0 } })).toThrow(
      expect.objectContaining({ code: 'INVALID_VALUE', message: 'value for t: n: must be positive' }),
    )
  })

  test('a negative partition or a broken timestamp is INVALID_ARGUMENT', () => {
    const { topic } = setUp()
    expect(() => topic.send({ value: 'a', partition: -1 })).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    )
    expect(() => topic.send({ value: 'a', timestamp: 0.5 })).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    )
  })
})

test('close stores what was sent, then refuses more', async () => {
  const { core, ottla, topic } = setUp()
  const receipt = topic.send({ value: 'a' })
  await ottla.close()
  expect(await receipt.stored).toBe('device')
  expect(core.enqueued.length).toBe(1)
  expect(() => topic.send({ value: 'b' })).toThrow(expect.objectContaining({ code: 'CLOSED' }))
})

test('[SND-4] close: what the relay has not answered for yet rejects, as nobody will tell any more', async () => {
  const { core, ottla, topic } = setUp()
  const [answered, open] = topic.sendAll([
    { value: 'a', partition: 0 },
    { value: 'b', partition: 1 },
  ])
  await Promise.all([answered!.stored, open!.stored])
  commit(core, 0, [0], [9])
  await ottla.close()
  expect(await answered!.committed).toMatchObject({ offset: 9 })
  await expect(open!.committed).rejects.toMatchObject({ code: 'CLOSED' })
})

test('[SND-4] close: while what was sent is being stored, other topics take nothing that would be let go', async () => {
  const { core, ottla, topic } = setUp()
  const other = ottla.topic('t', { value: string })
  let stored = () => {}
  core.storing = () => new Promise((resolve) => (stored = () => resolve('device')))
  const receipt = topic.send({ value: 'a' })
  const closing = ottla.close()
  await turn()
  expect(() => other.send({ value: 'b' })).toThrow(expect.objectContaining({ code: 'CLOSED' }))
  stored()
  await closing
  expect(await receipt.stored).toBe('device')
})

test('[SND-5] topics that nobody holds on to are gone, and what was sent by them is not', async () => {
  setFlagsFromString('--expose_gc')
  const collectGarbage = runInNewContext('gc') as () => void
  const { core, ottla } = setUp()
  const heapBytes = () => {
    collectGarbage()
    return process.memoryUsage().heapUsed
  }
  await ottla.topic('t', { value: string }).send({ value: 'first' }).stored
  commit(core, 0, [0], [0])
  const before = heapBytes()
  for (let index = 0; index < 20_000; index++) ottla.topic('t', { value: string })
  await turn()
  expect(heapBytes() - before).toBeLessThan(4 * 1024 * 1024)
  ottla.topic('t', { value: string }).send({ value: 'last' })
  await ottla.close()
  expect(core.enqueued.length).toBe(2)
})
