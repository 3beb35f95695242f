/** The small live tail: its hand-written frames against the schemas, its behaviour against the double and the relay. */
import { describe, expect, test } from 'vitest'
import { type TailOptions, tail } from '../../client/live.ts'
import { string } from '../../client/serde.ts'
import {
  apiVersionsRequest,
  grantRequest,
  helloRequest,
  metadataRequest,
  pingRequest,
  subscribeRequest,
} from '../../client/tail/tail-wire.ts'
import { webSocketTransport } from '../../client/transport/websocket.ts'
import { findWebSocket } from '../../client/transport/ws-package.ts'
import { encodeRequest } from '../../protocol/api.ts'
import { gzip } from '../../protocol/compression.ts'
import { HandClock } from '../../protocol/lib/clock.ts'
import { seededRandom } from '../../protocol/lib/random.ts'
import { NULL_UUID, uuidFromBytes } from '../../protocol/lib/uuid.ts'
import { metadata } from '../../protocol/messages/metadata.ts'
import { deliver, encodePush, grant, hello, ping, subscribe } from '../../protocol/messages/offset-protocol.ts'
import { apiVersions } from '../../protocol/messages/versions.ts'
import { compressBatch, encodeBatch } from '../../protocol/records.ts'
import { createRelay } from '../../server/relay.ts'
import { MemoryFiles } from '../../server/storage/memory-files.ts'
import { eventually } from '../support/eventually.ts'
import { RelayDouble, record } from './relay-double.ts'

describe('hand-written frames are the schemas’ own', () => {
  const idBytes = Uint8Array.from({ length: 16 }, (_, index) => index * 7 + 1)
  const id = uuidFromBytes(idBytes)
  const header = (correlationId: number) => ({ correlationId, clientId: null })

  test.each([3, 200])('for a topic name of %i characters', (length) => {
    const name = 'n'.repeat(length)
    expect(metadataRequest(name)).toEqual(
      encodeRequest(metadata, 12, header(3), {
        topics: [{ topicId: NULL_UUID, name }],
        allowAutoTopicCreation: false,
        includeTopicAuthorizedOperations: false,
      }),
    )
  })

  test.each([1, 300])('for %i partitions', (count) => {
    const wanted = Array.from({ length: count }, (_, partition) => ({
      partition,
      offset: partition === 0 ? -1 : 2 ** 40 + partition,
      leaderEpoch: -1,
      credit: 1_048_576,
    }))
    const partitions = wanted.map((each) => ({ topicId: id, ...each }))
    expect(subscribeRequest(idBytes, wanted)).toEqual(
      encodeRequest(subscribe, 0, header(4), { isolationLevel: 1, partitions }),
    )
  })

  test('for the others', () => {
    expect(apiVersionsRequest()).toEqual(
      encodeRequest(apiVersions, 3, header(1), {
        clientSoftwareName: 'ottla-js',
        clientSoftwareVersion: '0.1.0',
      }),
    )
    const generation = 1_763_842_000_123
    expect(helloRequest(idBytes, generation, 10_000)).toEqual(
      encodeRequest(hello, 0, header(2), { replicaId: id, generation, heartbeatMs: 10_000 }),
    )
    expect(grantRequest(idBytes, 3, 70_000)).toEqual(
      encodeRequest(grant, 0, header(0), { grants: [{ topicId: id, partition: 3, bytes: 70_000 }] }),
    )
    expect(pingRequest(generation)).toEqual(encodeRequest(ping, 0, header(5), { clientTimeMs: generation }))
  })
})

function setUp(options: TailOptions<string, string> = {}) {
  const relay = new RelayDouble()
  const clock = new HandClock()
  let wake = () => {}
  const states: string[] = []
  const wakeUps = {
    listen(fn: () => void) {
      wake = fn
      return () => {}
    },
  }
  const start = (topic = 't') => {
    const reading = tail<string, string>('ws://relay', topic, {
      value: string,
      onState: (state) => states.push(state),
      environment: { clock, random: seededRandom(4), transport: relay, wakeUps },
      ...options,
    })
    const values: (string | null)[] = []
    const gaps: unknown[] = []
    const done = (async () => {
      for await (const { value, gap } of reading) {
        values.push(value)
        if (gap) gaps.push(gap)
      }
    })()
    done.catch(() => {})
    return { reading, values, gaps, done }
  }
  return { relay, clock, states, start, wake: () => wake() }
}

const turns = async () => {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
}

describe('a tail', () => {
  test('gives what comes, goes on after a reconnect where it was', async () => {
    const { relay, clock, states, start } = setUp()
    relay.createTopic('t', 2)
    relay.append('t', [record('before')])
    const { values, reading, done } = start()
    await turns()
    relay.append('t', [record('a')], 0)
    relay.append('t', [record('b')], 1)
    await turns()
    relay.last.closeByRelay(1006)
    relay.append('t', [record('c')], 0)
    await clock.advanceAsync(500)
    await turns()
    expect(values).toEqual(['a', 'b', 'c'])
    expect(states).toEqual(['connecting', 'live', 'offline', 'connecting', 'live'])
    reading.close()
    await done
    expect(states.at(-1)).toBe('closed')
  })

  test.each<[TailOptions<string, string>['from'], string[]]>([
    ['beginning', ['0', '1', '2', '3', '4', 'new']],
    [{ offset: 3 }, ['3', '4', 'new']],
    [{ last: 2 }, ['3', '4', 'new']],
    [{ last: 100 }, ['0', '1', '2', '3', '4', 'new']],
    ['end', ['new']],
  ])('from %j', async (from, expected) => {
    const { relay, start } = setUp({ from })
    relay.createTopic('t')
    relay.append('t', [record('0'), record('1')])
    for (const value of ['2', '3', '4']) relay.append('t', [record(value)])
    const { values } = start()
    await turns()
    relay.append('t', [record('new')])
    await turns()
    expect(values).toEqual(expected)
  })

  test('the last N over partitions are the newest, oldest first', async () => {
    const { relay, start } = setUp({ from: { last: 3 } })
    relay.createTopic('t', 3)
    relay.append('t', [record('1', null, 1), record('40', null, 40)], 0)
    relay.append('t', [record('20', null, 20), record('30', null, 30)], 2)
    const { values } = start()
    await turns()
    expect(values).toEqual(['20', '30', '40'])
  })

  test('holds the relay back while the application is busy', async () => {
    const { relay } = setUp()
    relay.createTopic('t')
    for (let index = 0; index < 40; index++) relay.append('t', [record(`${index}`.padEnd(1_000, '.'))])
    const batchBytes = relay.log('t').batches[0]!.length
    const reading = tail('ws://relay', 't', {
      from: 'beginning',
      bufferBytesMax: batchBytes * 4,
      environment: { clock: new HandClock(), random: seededRandom(1), transport: relay },
    })
    const iterator = reading[Symbol.asyncIterator]()
    await iterator.next()
    await turns()
    const subscription = [...relay.last.subscriptions.values()][0]!
    expect(subscription.next).toBe(4)
    for (let index = 0; index < 10; index++) await iterator.next()
    await turns()
    expect(subscription.next).toBe(14)
    for (let index = 0; index < 29; index++) await iterator.next()
    await iterator.return?.(undefined)
  })

  test('says what is missing', async () => {
    const { relay, clock, start } = setUp({ from: { offset: 0 } })
    relay.createTopic('t')
    for (let index = 0; index < 5; index++) relay.append('t', [record(`${index}`)])
    relay.deleteBefore('t', 2)
    const { values, gaps } = start()
    await turns()
    expect([values, gaps]).toEqual([['2', '3', '4'], [{ partition: 0, from: 0, to: 2, reason: 'deleted' }]])
    relay.last.closeByRelay(1006)
    relay.truncate('t', 3)
    relay.append('t', [record('3b')])
    await clock.advanceAsync(500)
    await turns()
    expect(values).toEqual(['2', '3', '4', '3b'])
    expect(gaps[1]).toEqual({ partition: 0, from: 5, to: 3, reason: 'truncated' })
  })

  test('inflates gzip, refuses other codecs', async () => {
    const { relay, start } = setUp({ from: 'beginning' })
    relay.createTopic('t')
    const plain = encodeBatch([record('a'.repeat(300)), record('b')])
    relay.appendBatch('t', await compressBatch(plain, 1, (block) => gzip.compress!(block)))
    const { values, done } = start()
    await eventually(() => values.length === 2)
    expect(values[1]).toBe('b')
    relay.appendBatch('t', await compressBatch(plain, 4, async (block) => block))
    await expect(done).rejects.toMatchObject({ code: 'NO_CODEC' })
  })

  test.each([
    [4409, 'REPLACED'],
    [4401, 'NEEDS_AUTH'],
    [1008, 'REFUSED'],
  ])('closed with %i it ends with %s', async (closeCode, code) => {
    const { relay, start } = setUp()
    relay.createTopic('t')
    const { done } = start()
    await turns()
    relay.last.closeByRelay(closeCode)
    await expect(done).rejects.toMatchObject({ code })
  })

  test('an unknown topic, one made anew, and an abort end it', async () => {
    const { relay, clock, start } = setUp()
    await expect(start('nope').done).rejects.toMatchObject({ code: 'UNKNOWN_TOPIC' })
    relay.createTopic('t')
    const { done } = start()
    await turns()
    relay.createTopic('t')
    relay.last.closeByRelay(1006)
    await clock.advanceAsync(500)
    await expect(done).rejects.toMatchObject({ code: 'TOPIC_RECREATED' })
    const abort = new AbortController()
    const aborted = setUp({ signal: abort.signal })
    aborted.relay.createTopic('t')
    const reading = aborted.start()
    await turns()
    abort.abort()
    await expect(reading.done).rejects.toMatchObject({ code: 'ABORTED' })
  })

  test('asks a silent relay before it gives up on it; a wake-up asks at once', async () => {
    const { relay, clock, states, start, wake } = setUp()
    relay.createTopic('t')
    start()
    await clock.advanceAsync(0)
    await clock.advanceAsync(200_000)
    // The double answers every Ping.
    expect(relay.connections.length).toBe(1)
    relay.intercept = ({ name }) => name === 'Ping'
    wake()
    await clock.advanceAsync(3_999)
    expect(states.at(-1)).toBe('live')
    await clock.advanceAsync(1)
    expect(states).toContain('offline')
    expect(relay.connections[0]!.closedByClient).toMatchObject([{ code: 4408 }])
  })

  test('[SES-9] a delivery cut off at any byte closes with 4400 and nothing else', async () => {
    const { relay, clock, start, wake } = setUp()
    const topicId = relay.createTopic('t')
    const { values, done } = start()
    const frame = encodePush(deliver, {
      topicId,
      partition: 0,
      leaderEpoch: 0,
      logStart: 0,
      highWatermark: 1,
      lastStableOffset: 1,
      nextOffset: 1,
      aborted: [],
      records: encodeBatch([record('x')]),
    })
    let settled = false
    done
      .finally(() => {
        settled = true
      })
      .catch(() => {})
    for (let length = 0; length < frame.length; length++) {
      await clock.advanceAsync(0)
      const connection = relay.last
      connection.sendRaw(frame.slice(0, length))
      expect(connection.closedByClient).toMatchObject([{ code: 4400 }])
      wake()
    }
    await clock.advanceAsync(0)
    relay.append('t', [record('good')])
    await turns()
    expect(values).toEqual(['good'])
    expect(settled).toBe(false)
  })
})

test('against the real relay', async () => {
  const relay = await createRelay({ files: new MemoryFiles(), config: { dataDir: 'data', httpPort: 0 } })
  const { url } = relay.websocket
  const transport = webSocketTransport(await findWebSocket())
  const { connect } = await import('../../client/index.ts')
  const writer = await connect(url, { transport })
  await writer.admin.createTopics([{ name: 't', partitions: 2 }])
  const topic = writer.topic('t', { value: string })
  await Promise.all(topic.sendAll([{ value: 'a' }, { value: 'b', partition: 1 }]).map(({ committed }) => committed))
  const reading = tail<string, string>(url, 't', { value: string, from: { last: 5 }, environment: { transport } })
  const values: (string | null)[] = []
  const done = (async () => {
    for await (const { value } of reading) values.push(value)
  })()
  await eventually(() => values.length === 2)
  await topic.send({ value: 'c' }).committed
  await eventually(() => values.length === 3)
  expect([...values].sort()).toEqual(['a', 'b', 'c'])
  reading.close()
  await done
  await writer.close()
  await relay.close()
})
