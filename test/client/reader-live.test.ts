import { describe, expect, test } from 'vitest'
import { Lanes } from '../../client/consumer/lanes.ts'
import { openLiveSource } from '../../client/consumer/live-source.ts'
import { Reader, type ReadOptions } from '../../client/consumer/reader.ts'
import { openSession } from '../../client/live-session.ts'
import { string } from '../../client/serde.ts'
import { CodecRegistry, gzip } from '../../protocol/compression.ts'
import { HandClock } from '../../protocol/lib/clock.ts'
import { seededRandom } from '../../protocol/lib/random.ts'
import { randomUuid } from '../../protocol/lib/uuid.ts'
import { BATCH_HEADER_BYTES, sealBatch, viewOf } from '../../protocol/record-batch.ts'
import { compressBatch, encodeBatch } from '../../protocol/records.ts'
import { RelayDouble, record } from './relay-double.ts'

function setUp() {
  const relay = new RelayDouble()
  const clock = new HandClock()
  const random = seededRandom(3)
  let generation = 0
  const open = () =>
    openSession({
      url: 'ws://relay',
      transport: relay,
      clock,
      random,
      identity: { replicaId: randomUuid(random), nextGeneration: () => ++generation },
    })
  const session = open()
  const lanes = new Lanes(session, open)
  const read = (options: ReadOptions = {}, topic = 't') =>
    new Reader<string, string>(
      {
        topic,
        key: string,
        value: string,
        codecs: new CodecRegistry(),
        open: (partitions, isolation, signal) => openLiveSource(lanes, topic, { partitions, isolation }, signal),
      },
      options,
    )
  return { relay, clock, session, lanes, read }
}

const turns = async () => {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
}

async function valuesOf(reader: Reader<string, string>): Promise<(string | null)[]> {
  const values: (string | null)[] = []
  for await (const { value } of reader) values.push(value)
  return values
}

/** Starts reading and keeps everything that comes. */
function collect(reader: Reader<string, string>) {
  const values: (string | null)[] = []
  const done = reader.each(({ value }) => {
    values.push(value)
  })
  done.catch(() => {})
  return { values, done }
}

describe('where reading begins', () => {
  const log = () => {
    const world = setUp()
    world.relay.createTopic('t')
    for (let index = 0; index < 10; index++) world.relay.append('t', [record(`${index}`, null, 1_000 + index)])
    return world
  }

  test.each<[ReadOptions['from'], string[]]>([
    ['beginning', ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9']],
    ['end', []],
    [{ offset: 7 }, ['7', '8', '9']],
    [{ offsets: { 0: 8 } }, ['8', '9']],
    [{ offsets: new Map([[0, 9]]) }, ['9']],
    [{ timestamp: 1_006 }, ['6', '7', '8', '9']],
    [{ timestamp: 5_000 }, []],
    [{ last: 3 }, ['7', '8', '9']],
    [{ last: 100 }, ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9']],
    [{ last: 0 }, []],
  ])('from %j', async (from, expected) => {
    const { read } = log()
    expect(await valuesOf(read({ from, follow: false }))).toEqual(expected)
  })

  test('[RDR-10] positions tell where reading goes on, also in partitions that have given nothing', async () => {
    const { relay, read } = log()
    relay.createTopic('several', 3)
    for (const partition of [0, 1]) relay.append('several', [record('a'), record('b')], partition)
    const reader = read({ from: 'end' }, 'several')
    expect([...reader.positions()]).toEqual([])
    const { values } = collect(reader)
    await turns()
    expect(Object.fromEntries(reader.positions())).toEqual({ 0: 2, 1: 2, 2: 0 })
    relay.append('several', [record('c')], 1)
    await turns()
    expect(values).toEqual(['c'])
    await reader.close()
    relay.append('several', [record('d')], 0)
    const next = collect(read({ from: { offsets: reader.positions() } }, 'several'))
    await turns()
    expect(next.values).toEqual(['d'])
    const exact = read({ from: { offset: 7 } })
    exact.each(() => {}).catch(() => {})
    await turns()
    expect([...exact.positions()]).toEqual([[0, 10]])
  })

  test('in the middle of a batch drops its front', async () => {
    const { relay, read } = setUp()
    relay.createTopic('t')
    relay.append('t', [record('a'), record('b'), record('c')])
    expect(await valuesOf(read({ from: { offset: 1 }, follow: false }))).toEqual(['b', 'c'])
  })

  test('[RDR-5] the last N over several partitions are the newest by timestamp', async () => {
    const { relay, read } = setUp()
    relay.createTopic('t', 3)
    // Partition 0 is old, 1 and 2 alternate; 2 has a record of the same time as 1.
    relay.append('t', [record('old-1', null, 1), record('old-2', null, 2)], 0)
    relay.append('t', [record('b10', null, 10), record('b30', null, 30)], 1)
    relay.append('t', [record('c20', null, 20), record('c30', null, 30)], 2)
    const last = async (count: number) => (await valuesOf(read({ from: { last: count }, follow: false }))).sort()
    expect(await last(1)).toEqual(['c30'])
    expect(await last(2)).toEqual(['b30', 'c30'])
    expect(await last(3)).toEqual(['b30', 'c20', 'c30'])
    expect(await last(5)).toEqual(['b10', 'b30', 'c20', 'c30', 'old-2'])
  })

  test('an offset that cannot be is INVALID_ARGUMENT, a partition that is not there UNKNOWN_PARTITION', async () => {
    const { read } = log()
    await expect(valuesOf(read({ from: { offset: -7 } }))).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    await expect(valuesOf(read({ partitions: [1] }))).rejects.toMatchObject({ code: 'UNKNOWN_PARTITION' })
    await expect(valuesOf(read({}, 'nope'))).rejects.toMatchObject({ code: 'UNKNOWN_TOPIC' })
  })
})

describe('following', () => {
  test('[RDR-3] goes on over a reconnect without losing or repeating a record', async () => {
    const { relay, clock, read } = setUp()
    relay.createTopic('t')
    relay.append('t', [record('0')])
    const { values } = collect(read({ from: 'beginning' }))
    await turns()
    relay.last.closeByRelay(1006)
    relay.append('t', [record('1')])
    await clock.advanceAsync(500)
    relay.append('t', [record('2')])
    await turns()
    expect(values).toEqual(['0', '1', '2'])
  })

  test('from the end: what is written while disconnected before the first record is not lost', async () => {
    const { relay, clock, read } = setUp()
    relay.createTopic('t')
    relay.append('t', [record('before')])
    const { values } = collect(read())
    await turns()
    relay.last.closeByRelay(1006)
    relay.append('t', [record('after')])
    await clock.advanceAsync(500)
    await turns()
    expect(values).toEqual(['after'])
  })

  test('upToDate resolves when the end is reached, and isUpToDate falls when the connection is lost', async () => {
    const { relay, read } = setUp()
    relay.createTopic('t', 2)
    relay.append('t', [record('0')], 1)
    const reader = read({ from: 'beginning' })
    const { values } = collect(reader)
    await reader.upToDate
    expect(values).toEqual(['0'])
    expect(reader.isUpToDate).toBe(true)
    await reader.close()
  })

  test('two readers of one partition take two connections', async () => {
    const { relay, read } = setUp()
    relay.createTopic('t')
    const first = collect(read({ from: 'beginning' }))
    const second = collect(read({ from: 'beginning' }))
    await turns()
    relay.append('t', [record('0')])
    await turns()
    expect(first.values).toEqual(['0'])
    expect(second.values).toEqual(['0'])
    expect(relay.connections.length).toBe(2)
  })

  test('[RDR-11] a reader that begins at the last records leaves room for others, whatever they took of it meanwhile', async () => {
    const { relay, read } = setUp()
    relay.createTopic('t', 2)
    relay.append('t', [record('0'), record('1')], 1)
    expect(await valuesOf(read({ from: { last: 1 }, follow: false }))).toEqual(['1'])
    let release: (() => void) | undefined
    relay.intercept = (request, connection) => {
      if (request.name !== 'Subscribe' || release) return false
      release = () => connection.reply(request)
      return true
    }
    const last = collect(read({ from: { last: 1 } }))
    await turns()
    const other = collect(read({ from: 'beginning', partitions: [0] }))
    await turns()
    release!()
    await turns()
    relay.append('t', [record('a')], 0)
    await turns()
    expect(other.values).toEqual(['a'])
    expect(last.values).toEqual(['1', 'a'])
  })

  test('closing ends an iteration that waits; an abort throws', async () => {
    const { relay, read } = setUp()
    relay.createTopic('t')
    const reader = read()
    const waiting = valuesOf(reader)
    await turns()
    await reader.close()
    expect(await waiting).toEqual([])
    const abort = new AbortController()
    const aborted = expect(valuesOf(read({ signal: abort.signal }))).rejects.toMatchObject({ code: 'ABORTED' })
    await turns()
    abort.abort()
    await aborted
    await turns()
    expect(relay.last.subscriptions.size).toBe(0)
  })

  test('an abort also ends a reader that waits for its first connection', async () => {
    const { relay, read } = setUp()
    relay.opensAtOnce = false
    relay.createTopic('t')
    const abort = new AbortController()
    const aborted = expect(valuesOf(read({ signal: abort.signal }))).rejects.toMatchObject({ code: 'ABORTED' })
    await turns()
    abort.abort()
    await aborted
  })
})

describe('back-pressure', () => {
  test('[RDR-1] the relay may send what was taken and no more', async () => {
    const { relay, read } = setUp()
    relay.createTopic('t')
    for (let index = 0; index < 50; index++) relay.append('t', [record(`${index}`.padEnd(1_000, '.'))])
    const batchBytes = relay.log('t').batches[0]!.length
    const iterator = read({ from: 'beginning', bufferBytesMax: batchBytes * 5 })[Symbol.asyncIterator]()
    await iterator.next()
    await turns()
    const subscription = [...relay.last.subscriptions.values()][0]!
    expect(subscription.next).toBe(5)
    for (let index = 0; index < 10; index++) await iterator.next()
    await turns()
    // 11 given, of which the last is still held.
    expect(subscription.next).toBe(15)
    const granted = relay.last.named('Grant').reduce((sum, { body }) => sum + body.grants[0].bytes, 0)
    expect(granted).toBe(10 * batchBytes)
    await iterator.return?.()
  })

  test('a paused partition gives nothing and grants nothing, the other goes on; resuming loses nothing', async () => {
    const { relay, read } = setUp()
    relay.createTopic('t', 2)
    const reader = read({ from: 'beginning' })
    const { values } = collect(reader)
    await turns()
    reader.pause([0])
    relay.append('t', [record('a0'), record('a1')], 0)
    relay.append('t', [record('b0')], 1)
    await turns()
    expect(values).toEqual(['b0'])
    reader.resume()
    await turns()
    expect(values).toEqual(['b0', 'a0', 'a1'])
    await reader.close()
  })

  test('pausing in the middle of a batch stops there', async () => {
    const { relay, read } = setUp()
    relay.createTopic('t')
    relay.append('t', [record('0'), record('1'), record('2')])
    const reader = read({ from: 'beginning' })
    const iterator = reader[Symbol.asyncIterator]()
    expect((await iterator.next()).value?.value).toBe('0')
    reader.pause()
    let isGiven = false
    const next = iterator.next().then((result) => {
      isGiven = true
      return result
    })
    await turns()
    expect(isGiven).toBe(false)
    reader.resume()
    expect((await next).value?.value).toBe('1')
  })

  test('seeking drops what had come and goes on there', async () => {
    const { relay, read } = setUp()
    relay.createTopic('t')
    for (let index = 0; index < 5; index++) relay.append('t', [record(`${index}`)])
    const reader = read({ from: 'beginning' })
    const iterator = reader[Symbol.asyncIterator]()
    const next = async () => (await iterator.next()).value?.value
    expect([await next(), await next()]).toEqual(['0', '1'])
    reader.seek(0, 0)
    expect([await next(), await next(), await next()]).toEqual(['0', '1', '2'])
    reader.seek(0, 4)
    expect(await next()).toBe('4')
    expect(reader.positions().get(0)).toBe(5)
  })
})

describe('what is missing is said', () => {
  test('[RDR-2] below the log start: a gap, told and marked on the next record', async () => {
    const { relay, read } = setUp()
    relay.createTopic('t')
    for (let index = 0; index < 5; index++) relay.append('t', [record(`${index}`)])
    relay.deleteBefore('t', 3)
    const reader = read({ from: { offset: 1 }, follow: false })
    const gaps: unknown[] = []
    reader.onGap((gap) => gaps.push(gap))
    const records = []
    for await (const each of reader) records.push(each)
    const gap = { partition: 0, from: 1, to: 3, reason: 'deleted' }
    expect(gaps).toEqual([gap])
    expect(records.map(({ value, gap: mark }) => [value, mark])).toEqual([
      ['3', gap],
      ['4', undefined],
    ])
  })

  test("with onMissingOffset 'fail' reading ends, with 'latest' it goes on at the end", async () => {
    const { relay, read } = setUp()
    relay.createTopic('t')
    for (let index = 0; index < 5; index++) relay.append('t', [record(`${index}`)])
    relay.deleteBefore('t', 3)
    const failing = read({ from: { offset: 1 }, onMissingOffset: 'fail' })
    await expect(valuesOf(failing)).rejects.toMatchObject({ code: 'OFFSET_OUT_OF_RANGE' })
    const latest = read({ from: { offset: 1 }, onMissingOffset: 'latest' })
    const gaps: unknown[] = []
    latest.onGap((gap) => gaps.push(gap))
    const { values } = collect(latest)
    await turns()
    relay.append('t', [record('new')])
    await turns()
    expect(values).toEqual(['new'])
    expect(gaps).toEqual([{ partition: 0, from: 1, to: 5, reason: 'deleted' }])
  })

  test.each(['earliest', 'latest', 'fail'] as const)(
    "[RDR-5] a start that was worked out is no gap where retention takes it meanwhile, with onMissingOffset '%s'",
    async (onMissingOffset) => {
      const { relay, read } = setUp()
      relay.createTopic('t')
      for (let index = 0; index < 5; index++) relay.append('t', [record(`${index}`)])
      relay.intercept = ({ name }) => {
        if (name === 'Subscribe') relay.deleteBefore('t', 4)
        return false
      }
      const reader = read({ from: { last: 3 }, onMissingOffset, follow: false })
      const gaps: unknown[] = []
      reader.onGap((gap) => gaps.push(gap))
      expect(await valuesOf(reader)).toEqual(['4'])
      expect(gaps).toEqual([])
    },
  )

  test('[RDR-4] a log that was truncated while away: the reader goes back and says so', async () => {
    const { relay, clock, read } = setUp()
    relay.createTopic('t')
    for (let index = 0; index < 4; index++) relay.append('t', [record(`${index}`)])
    const reader = read({ from: 'beginning' })
    const gaps: unknown[] = []
    reader.onGap((gap) => gaps.push(gap))
    const { values } = collect(reader)
    await turns()
    relay.last.closeByRelay(1006)
    relay.truncate('t', 2)
    relay.append('t', [record('2b')])
    await clock.advanceAsync(500)
    await turns()
    expect(gaps).toEqual([{ partition: 0, from: 4, to: 2, reason: 'truncated' }])
    relay.append('t', [record('3b')])
    await turns()
    expect(values).toEqual(['0', '1', '2', '3', '2b', '3b'])
  })

  test('a topic that was made anew ends reading with TOPIC_RECREATED', async () => {
    const { relay, clock, read } = setUp()
    relay.createTopic('t')
    const { done } = collect(read())
    await turns()
    relay.last.closeByRelay(1006)
    relay.createTopic('t')
    await clock.advanceAsync(500)
    await expect(done).rejects.toMatchObject({ code: 'TOPIC_RECREATED' })
  })
})

describe('batches', () => {
  test('compressed by gzip are inflated; an unknown codec is NO_CODEC', async () => {
    const { relay, read } = setUp()
    relay.createTopic('t')
    const plain = encodeBatch([record('a'.repeat(500)), record('b')])
    relay.appendBatch('t', await compressBatch(plain, 1, (block) => gzip.compress!(block)))
    expect((await valuesOf(read({ from: 'beginning', follow: false })))[1]).toBe('b')
    relay.appendBatch('t', await compressBatch(plain, 4, async (block) => block))
    await expect(valuesOf(read({ from: 'beginning', follow: false }))).rejects.toMatchObject({ code: 'NO_CODEC' })
  })

  test('with a wrong checksum are not given', async () => {
    const { relay, read } = setUp()
    relay.createTopic('t')
    relay.append('t', [record('fine')])
    relay.log('t').batches[0]![BATCH_HEADER_BYTES + 8]! ^= 1
    await expect(valuesOf(read({ from: 'beginning' }))).rejects.toMatchObject({ code: 'CORRUPT' })
  })

  test('[RDR-12] a batch that cannot be read ends reading, after what stood before it, and its error tells where to go on', async () => {
    const { relay, read } = setUp()
    relay.createTopic('t')
    relay.append('t', [record('before')])
    for (const codec of [0, 1]) {
      const batch = encodeBatch([record('a'), record('b')]).fill(0xff, BATCH_HEADER_BYTES)
      viewOf(batch).setInt16(21, codec)
      sealBatch(batch)
      relay.appendBatch('t', batch)
    }
    relay.append('t', [record('behind')])
    const { values, done } = collect(read({ from: 'beginning' }))
    await expect(done).rejects.toMatchObject({
      ...{ code: 'CORRUPT', retriable: false },
      ...{ message: 'the batch at offset 1 of partition 0 cannot be read', hint: 'read behind offset 2' },
    })
    expect(values).toEqual(['before'])
    await expect(valuesOf(read({ from: { offset: 3 } }))).rejects.toMatchObject({ hint: 'read behind offset 4' })
    expect(await valuesOf(read({ from: { offset: 5 }, follow: false }))).toEqual(['behind'])
  })

  test('come as arrays, never empty', async () => {
    const { relay, read } = setUp()
    relay.createTopic('t')
    relay.append('t', [record('0'), record('1')])
    relay.append('t', [record('2')])
    const sizes: number[] = []
    await read({ from: 'beginning', follow: false }).each(
      (records) => {
        sizes.push(records.length)
      },
      { batch: true },
    )
    expect(sizes).toEqual([2, 1])
  })

  test('a serde that refuses ends reading, unless somebody wants to hear of it', async () => {
    const { relay, lanes } = setUp()
    relay.createTopic('t')
    relay.append('t', [record('1'), record('x'), record('3')])
    const numbers = { encode: () => new Uint8Array(), decode: (view: Uint8Array) => parseNumber(string.decode(view)) }
    const read = (options: ReadOptions) =>
      new Reader<string, number>(
        {
          topic: 't',
          key: string,
          value: numbers,
          codecs: new CodecRegistry(),
          open: (partitions, isolation, signal) => openLiveSource(lanes, 't', { partitions, isolation }, signal),
        },
        { from: 'beginning', follow: false, ...options },
      )
    await expect(read({}).each(() => {})).rejects.toMatchObject({
      code: 'INVALID_VALUE',
      message: expect.stringContaining('record 1 of t-0'),
    })
    const values: unknown[] = []
    const skipped: number[] = []
    await read({ onUndecodable: ({ record: raw }) => skipped.push(raw.offset) }).each(({ value }) => {
      values.push(value)
    })
    expect([values, skipped]).toEqual([[1, 3], [1]])
  })
})

function parseNumber(text: string): number {
  const number = Number(text)
  if (Number.isNaN(number)) throw new RangeError(`${text} is no number`)
  return number
}
