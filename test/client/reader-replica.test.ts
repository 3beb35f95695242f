import { describe, expect, test } from 'vitest'
import { Reader, type ReadOptions } from '../../client/consumer/reader.ts'
import { openReplicaSource } from '../../client/consumer/replica-source.ts'
import { OttlaError } from '../../client/errors.ts'
import { string } from '../../client/serde.ts'
import { CodecRegistry } from '../../protocol/compression.ts'
import { CoreDouble, emptyRange } from './core-double.ts'
import { record } from './relay-double.ts'

function setUp(stored: string[] = []) {
  const core = new CoreDouble()
  core.topics.set('t', { name: 't', id: 'topic-id-t', partitionCount: 1 })
  core.ranges = [emptyRange()]
  stored.forEach((value, index) => {
    core.store([record(value, null, 1_000 + index)], { upToDate: false, relayEnd: -1 })
  })
  const codecs = new CodecRegistry()
  const read = (options: ReadOptions = {}) =>
    new Reader<string, string>(
      {
        topic: 't',
        key: string,
        value: string,
        codecs,
        open: (_partitions, isolation, signal) =>
          openReplicaSource(core, 't', { policy: {}, isolation }, codecs, signal),
      },
      options,
    )
  return { core, read }
}

const turns = async () => {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
}

function collect(reader: Reader<string, string>) {
  const values: (string | null)[] = []
  const done = reader.each(({ value }) => {
    values.push(value)
  })
  done.catch(() => {})
  return { values, done }
}

describe('offline', () => {
  test.each<[ReadOptions['from'], string[]]>([
    ['beginning', ['0', '1', '2', '3', '4']],
    [{ last: 2 }, ['3', '4']],
    [{ offset: 3 }, ['3', '4']],
    [{ timestamp: 1_002 }, ['2', '3', '4']],
    [{ timestamp: 9_000 }, []],
    ['end', []],
  ])('from %j gives what is held, at once, and a reader that does not follow ends', async (from, expected) => {
    const { read } = setUp(['0', '1', '2', '3', '4'])
    const { values, done } = collect(read({ from, follow: false }))
    await done
    expect(values).toEqual(expected)
  })

  test('a replica that holds nothing waits for what comes', async () => {
    const { core, read } = setUp()
    const { values } = collect(read({ from: 'beginning' }))
    await turns()
    core.store([record('first')])
    await turns()
    expect(values).toEqual(['first'])
  })

  test('a topic never heard of is waited for until the relay is there', async () => {
    const { core, read } = setUp()
    let isReachable = false
    core.replicate = async () => {
      if (!isReachable) throw new OttlaError('DISCONNECTED', { message: 'offline' })
      return core.ranges
    }
    const { values } = collect(read({ from: 'beginning' }))
    await turns()
    isReachable = true
    core.setConnection({ phase: 'live', sinceMs: 0 })
    await turns()
    core.store([record('a')])
    await turns()
    expect(values).toEqual(['a'])
  })
})

describe('with the relay', () => {
  test('the end is the log’s, not that of a replica that is behind', async () => {
    const { core, read } = setUp(['0', '1'])
    core.setConnection({ phase: 'live', sinceMs: 0 })
    const reader = read({ from: 'end' })
    const { values } = collect(reader)
    await turns()
    expect([...reader.positions()]).toEqual([])
    core.move({ relayEnd: 4 })
    await turns()
    expect([...reader.positions()], '[RDR-10]').toEqual([[0, 4]])
    core.store([record('2')], { relayEnd: 4, upToDate: false })
    core.store([record('3')])
    core.store([record('4')])
    await turns()
    expect(values).toEqual(['4'])
  })

  test('a reader that does not follow waits for the replica to be up to date', async () => {
    const { core, read } = setUp(['0'])
    core.setConnection({ phase: 'live', sinceMs: 0 })
    const { values, done } = collect(read({ from: 'beginning', follow: false }))
    await turns()
    core.store([record('1')], { relayEnd: 3, upToDate: false })
    await turns()
    core.store([record('2')])
    await done
    expect(values).toEqual(['0', '1', '2'])
  })

  test('[RDR-7] from a time that the replica has not come to yet: what comes before it is not given', async () => {
    // The code for it is loaded with the first.
    await collect(setUp().read({ from: { timestamp: 0 }, follow: false })).done
    const { core, read } = setUp(['0', '1'])
    core.setConnection({ phase: 'live', sinceMs: 0 })
    const { values } = collect(read({ from: { timestamp: 1_004 } }))
    await turns()
    core.move({ relayEnd: 6 })
    for (let index = 2; index < 6; index++) {
      core.store([record(`${index}`, null, 1_000 + index)], { relayEnd: 6, upToDate: index === 5 })
      await turns()
    }
    core.store([record('older than the one before', null, 1_001)])
    await turns()
    expect(values).toEqual(['4', '5', 'older than the one before'])
  })

  test('[RDR-8] a first read that finds nothing, as all is about to be fetched again, is not the last one', async () => {
    const { core, read } = setUp(['0'])
    core.setConnection({ phase: 'live', sinceMs: 0 })
    const held = core.readReplica.bind(core)
    core.readReplica = async () => []
    const { values } = collect(read({ from: 'beginning' }))
    await turns()
    core.move({ end: 0, relayEnd: 1 })
    await turns()
    core.readReplica = held
    core.move({ end: 1, upToDate: true })
    await turns()
    expect(values).toEqual(['0'])
  })

  test('following: each advance is read once, and the replica is not asked in vain', async () => {
    const { core, read } = setUp()
    core.setConnection({ phase: 'live', sinceMs: 0 })
    const { values } = collect(read({ from: 'beginning' }))
    await turns()
    for (let index = 0; index < 20; index++) {
      core.store([record(`${index}`)])
      await turns()
    }
    expect(values).toEqual(Array.from({ length: 20 }, (_, index) => `${index}`))
    expect(core.reads).toBeLessThanOrEqual(20)
  })
})

describe('the client ends', () => {
  const over = { phase: 'closed', error: null } as const
  const refusing = (core: CoreDouble) => {
    core.readReplica = async () => {
      throw new OttlaError('CLOSED', { message: 'this client is closed' })
    }
  }

  test('[RDR-9] a reader that waits for more ends with it, wherever it stands', async () => {
    const { core, read } = setUp(['0', '1'])
    const empty = setUp()
    const all = [collect(read({ from: 'beginning' })), collect(read()), collect(empty.read({ from: 'beginning' }))]
    await turns()
    for (const each of [core, empty.core]) {
      refusing(each)
      each.setConnection(over)
    }
    for (const { done } of all) await expect(done).rejects.toMatchObject({ code: 'CLOSED' })
    expect(all.map(({ values }) => values)).toEqual([['0', '1'], [], []])
  })

  test('[RDR-9] where only the relay has refused it, what is held can still be read', async () => {
    const { core, read } = setUp(['0'])
    const { values, done } = collect(read({ from: 'beginning' }))
    let hasEnded = false
    done.catch(() => (hasEnded = true))
    await turns()
    core.setConnection({ phase: 'closed', error: new OttlaError('UNSUPPORTED', { message: 'too old' }).toInfo() })
    core.store([record('1')])
    await turns()
    expect(values).toEqual(['0', '1'])
    expect(hasEnded).toBe(false)
  })
})

describe('seeking', () => {
  test('[RDR-6] a seek reads the one place, waits for no other read, and goes on from there', async () => {
    const { core, read } = setUp(Array.from({ length: 40 }, (_, index) => `${index}`))
    const readReplica = core.readReplica.bind(core)
    const reads: Array<{ offset: number; bytesMax: number }> = []
    let answerStalled = () => {}
    core.readReplica = async (topicId: string, partition: number, offset: number, bytesMax = 0) => {
      reads.push({ offset, bytesMax })
      if (offset === 10) await new Promise<void>((resolve) => (answerStalled = resolve))
      return readReplica(topicId, partition, offset)
    }
    const reader = read({ from: 'beginning' })
    const iterator = reader[Symbol.asyncIterator]()
    expect((await iterator.next()).value?.value).toBe('0')
    await turns()
    for (const offset of [30, 5, 20]) {
      reader.seek(0, offset)
      expect((await iterator.next()).value?.value).toBe(`${offset}`)
      await turns()
    }
    expect(reads).toEqual([0, 30, 5, 20].map((offset) => ({ offset, bytesMax: 1 })))
    reader.seek(0, 10)
    await turns()
    reader.seek(0, 25)
    for (let offset = 25; offset < 40; offset++) expect((await iterator.next()).value?.value).toBe(`${offset}`)
    answerStalled()
    await turns()
    reader.seek(0, 3)
    expect((await iterator.next()).value?.value).toBe('3')
    await reader.close()
  })

  test('[RDR-6] however often it is sought, two reads are under way at most', async () => {
    const { core, read } = setUp(Array.from({ length: 40 }, (_, index) => `${index}`))
    const readReplica = core.readReplica.bind(core)
    let underWay = 0
    let most = 0
    core.readReplica = async (topicId: string, partition: number, offset: number) => {
      most = Math.max(most, ++underWay)
      await turns()
      underWay--
      return readReplica(topicId, partition, offset)
    }
    const reader = read({ from: 'beginning' })
    const iterator = reader[Symbol.asyncIterator]()
    await iterator.next()
    for (let offset = 39; offset >= 7; offset--) reader.seek(0, offset)
    expect((await iterator.next()).value?.value).toBe('7')
    expect(most).toBe(2)
    await reader.close()
  })
})

describe('what the replica no longer has', () => {
  test('retention ahead of the reader is a gap', async () => {
    const { core, read } = setUp(['0', '1', '2', '3'])
    const reader = read({ from: { offset: 0 } })
    const iterator = reader[Symbol.asyncIterator]()
    const gaps: unknown[] = []
    reader.onGap((gap) => gaps.push(gap))
    core.chunks = core.chunks.slice(2)
    core.move({ start: 2 })
    expect((await iterator.next()).value).toMatchObject({ value: '2', gap: { from: 0, to: 2, reason: 'deleted' } })
    expect(gaps.length).toBe(1)
  })

  test('a cut log takes the reader back and says so', async () => {
    const { core, read } = setUp(['0', '1', '2', '3'])
    const reader = read({ from: 'beginning' })
    const gaps: unknown[] = []
    reader.onGap((gap) => gaps.push(gap))
    const { values } = collect(reader)
    await turns()
    core.chunks = core.chunks.slice(0, 2)
    core.move({ end: 2, generation: 2, cutAt: 2 })
    core.store([record('2b')])
    await turns()
    expect(values).toEqual(['0', '1', '2', '3', '2b'])
    expect(gaps).toEqual([{ partition: 0, from: 4, to: 2, reason: 'truncated' }])
  })

  test('a topic made anew ends reading', async () => {
    const { core, read } = setUp(['0'])
    const { done } = collect(read({ from: 'beginning' }))
    await turns()
    core.move({ topicId: 'another-id', start: 0, end: 0, generation: 2 })
    await expect(done).rejects.toMatchObject({ code: 'TOPIC_RECREATED' })
  })
})
