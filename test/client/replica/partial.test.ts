/** Replicas of some keys of a topic: client and real relay, over real WebSockets and fake-indexeddb. */
import 'fake-indexeddb/auto'
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { type ConnectOptions, connect, json, type Ottla, type ReplicaPolicy, string } from '../../../client/index.ts'
import { covers, filterOf, matcherOf } from '../../../client/key-filter.ts'
import { findUntold } from '../../../client/replica/left-out.ts'
import { viewOf, writeBaseOffset } from '../../../protocol/record-batch.ts'
import { encodeBatch } from '../../../protocol/records.ts'
import { createRelay, type Relay } from '../../../server/relay.ts'
import { MemoryFiles } from '../../../server/storage/memory-files.ts'
import { eventually } from '../../support/eventually.ts'

let relay: Relay
let files: MemoryFiles
let port = 0
let url = ''
let replicas = 0

beforeEach(async () => {
  files = new MemoryFiles()
  port = 0
  await startRelay()
})

afterEach(() => relay.close())

async function startRelay(): Promise<void> {
  relay = await createRelay({ files, config: { dataDir: 'data', httpPort: port } })
  port = Number(new URL(relay.http.url).port)
  url = relay.websocket.url
}

async function client(options: ConnectOptions = {}): Promise<Ottla> {
  const ottla = await connect(url, {
    backoff: { delayMsFirst: 20, delayMsMax: 100 },
    ...options,
  })
  onTestFinished(() => ottla.close())
  return ottla
}

const newReplica = () => `partial-${replicas++}`
const live = (ottla: Ottla) => eventually(() => ottla.status.connection.phase === 'live', { what: 'live' })
const offline = (ottla: Ottla) => eventually(() => ottla.status.connection.phase !== 'live', { what: 'offline' })
const heldOf = (ottla: Ottla) => ottla.status.topics.flatMap(({ replica }) => replica)
const isUpToDate = (ottla: Ottla, end: number) => () =>
  heldOf(ottla).some((range) => range.upToDate && range.end === end && range.start === 0)

/** 60 records, one in each batch: a0 b1 c2 a3 b4 c5 … */
async function withLetters(writer: Ottla, count = 60): Promise<void> {
  await writer.admin.createTopics([{ name: 'letters', partitions: 1 }])
  const topic = writer.topic('letters', { value: string })
  for (let index = 0; index < count; index++) {
    const key = 'abc'[index % 3]!
    await topic.send({ key, value: `${key}${index}` }).committed
  }
}

const letters = (ottla: Ottla, replica: ReplicaPolicy) => ottla.topic('letters', { value: string, replica })

async function valuesOf(ottla: Ottla, replica: ReplicaPolicy): Promise<string[]> {
  const values: string[] = []
  for await (const { value } of letters(ottla, replica).read({ from: 'beginning', follow: false })) values.push(value!)
  return values
}

const of = (key: string, count = 60) =>
  Array.from({ length: count }, (_, index) => index)
    .filter((index) => 'abc'[index % 3] === key)
    .map((index) => `${key}${index}`)

describe('a replica of some keys', () => {
  test('[REP-30] holds what was asked for, stands at the end of the log, and is there again offline', async () => {
    const writer = await client()
    await withLetters(writer)
    const replica = newReplica()
    const first = await client({ replica })
    await live(first)
    expect(await valuesOf(first, { keys: ['a'] })).toEqual(of('a'))
    await eventually(isUpToDate(first, 60))
    await writer.topic('letters').send({ key: 'b', value: null }).committed
    await eventually(isUpToDate(first, 61))
    await first.close()
    await relay.close()
    const second = await client({ replica })
    expect(await valuesOf(second, { keys: ['a'] })).toEqual(of('a'))
    expect(heldOf(second)).toMatchObject([{ start: 0, end: 61 }])
    await startRelay()
    await eventually(isUpToDate(second, 61))
  })

  test('[REP-31] a batch comes whole, and a reader is given its own records of it', async () => {
    const writer = await client()
    await writer.admin.createTopics([{ name: 'letters', partitions: 1 }])
    const receipts = writer
      .topic('letters', { value: string })
      .sendAll(['a', 'user-7/x', 'b', 'user-7/y', 'c'].map((key) => ({ key, value: key })))
    await Promise.all(receipts.map(({ committed }) => committed))
    const reader = await client({ replica: newReplica() })
    await live(reader)
    expect(await valuesOf(reader, { keys: ['c'], prefixes: ['user-7/'] })).toEqual(['user-7/x', 'user-7/y', 'c'])
  })

  test('[REP-32] who asks for more widens it: everybody gets theirs, nobody anything twice, and no gap is told', async () => {
    const writer = await client()
    await withLetters(writer)
    const ottla = await client({ replica: newReplica() })
    await live(ottla)
    const seen: string[] = []
    const gaps: unknown[] = []
    const following = letters(ottla, { keys: ['a'] }).read({ from: 'beginning' })
    following.onGap((gap) => gaps.push(gap))
    void following.each(({ value }) => void seen.push(value!))
    await following.upToDate
    expect(await valuesOf(ottla, { keys: ['b'] })).toEqual(of('b'))
    expect(await valuesOf(ottla, { keys: ['a'] })).toEqual(of('a'))
    await writer.topic('letters', { value: string }).send({ key: 'a', value: 'last' }).committed
    await eventually(() => seen.at(-1) === 'last')
    expect(seen).toEqual([...of('a'), 'last'])
    expect(gaps).toEqual([])
    expect(await valuesOf(ottla, {})).toHaveLength(61)
    await following.close()
  })

  test('[REP-33] widened offline it keeps what there is, and fetches the rest when there is a relay', async () => {
    const writer = await client()
    await withLetters(writer)
    const ottla = await client({ replica: newReplica() })
    await live(ottla)
    await valuesOf(ottla, { keys: ['a'] })
    await relay.close()
    await offline(ottla)
    await letters(ottla, { keys: ['b'] }).replicate()
    expect(await valuesOf(ottla, { keys: ['a'] })).toEqual(of('a'))
    const seen: string[] = []
    const waiting = letters(ottla, { keys: ['b'] }).read({ from: 'beginning' })
    void waiting.each(({ value }) => void seen.push(value!))
    await startRelay()
    await eventually(() => seen.length === 20)
    expect(seen).toEqual(of('b'))
    await waiting.close()
  })

  test('[REP-33] widened while replicas are paused it keeps what there is, and fetches the rest when it may', async () => {
    const writer = await client()
    await withLetters(writer)
    const ottla = await client({ replica: newReplica() })
    await live(ottla)
    expect(await valuesOf(ottla, { keys: ['a'] })).toEqual(of('a'))
    await ottla.pauseReplicas()
    await letters(ottla, { keys: ['b'] }).replicate()
    // Answered behind whatever that has begun in the database.
    await writer.topic('letters', { value: string }).send({ key: 'c', value: 'c' }).committed
    await ottla.topic('letters').send({ key: 'c', value: new Uint8Array(1) }).committed
    expect(heldOf(ottla)).toMatchObject([{ start: 0, end: 60 }])
    await ottla.pauseReplicas(false)
    await eventually(isUpToDate(ottla, 62))
    expect(await valuesOf(ottla, { keys: ['b'] })).toEqual(of('b'))
  })

  test('[REP-19] asked for before there is a relay, of a topic never heard of, it waits for one, or for the signal', async () => {
    const writer = await client()
    await withLetters(writer)
    await relay.close()
    const ottla = await client({ replica: newReplica() })
    const leaving = new AbortController()
    const given = letters(ottla, {}).replicate({ signal: leaving.signal })
    leaving.abort()
    await expect(given).rejects.toMatchObject({ code: 'ABORTED' })
    const kept = letters(ottla, {}).replicate()
    await startRelay()
    await kept
    await eventually(isUpToDate(ottla, 60))
  })

  test('[REP-34] keys that no relay takes are refused before anything is kept', async () => {
    const writer = await client()
    await withLetters(writer, 1)
    const ottla = await client({ replica: newReplica() })
    await live(ottla)
    const tooMany = Array.from({ length: 1_001 }, (_, index) => `${index}`)
    for (const replica of [
      { keys: [] },
      { keys: tooMany },
      { prefixes: tooMany.slice(100, 133) },
      { keys: ['x'.repeat(65_537)] },
    ]) {
      await expect(letters(ottla, replica).replicate()).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    }
    expect(heldOf(ottla)).toEqual([])
  })
})

test('[REP-35] an offset that is neither in a frame nor said to be left out is noticed', () => {
  const at = (baseOffset: number, count: number) => {
    const batch = encodeBatch(Array.from({ length: count }, () => ({ key: null, value: null, timestamp: 0 })))
    writeBaseOffset(viewOf(batch), 0, baseOffset)
    return batch
  }
  const both = new Uint8Array([...at(4, 2), ...at(9, 1)])
  const skipped = [
    { from: 2, to: 4 },
    { from: 6, to: 9 },
    { from: 10, to: 20 },
  ]
  expect(findUntold({ records: both, skipped, nextOffset: 20 }, 2)).toBeNull()
  expect(findUntold({ records: both, skipped, nextOffset: 20 }, 5)).toBeNull()
  expect(findUntold({ records: new Uint8Array(), skipped: [{ from: 2, to: 9 }], nextOffset: 9 }, 2)).toBeNull()
  expect(findUntold({ records: new Uint8Array(), skipped: [], nextOffset: 2 }, 2)).toBeNull()
  for (const missing of [0, 1, 2]) {
    const less = skipped.filter((_, index) => index !== missing)
    expect(findUntold({ records: both, skipped: less, nextOffset: 20 }, 2)).toMatch(/neither there/)
  }
  expect(findUntold({ records: both, skipped, nextOffset: 20 }, 1)).toMatch(/offsets 1 to 1/)
})

test('[REP-36] filters are the same whatever their order, and know which of them has all of another', () => {
  expect(filterOf({ keys: ['b', 'a', 'b'], prefixes: ['xy', 'x', 'xz'] })).toBe(
    filterOf({ keys: ['a', 'b', 'x1'], prefixes: ['x'] }),
  )
  const held = filterOf({ keys: ['a', 'b'], prefixes: ['user-'] })
  expect(covers(held, filterOf({ keys: ['a', 'user-7'] }))).toBe(true)
  expect(covers(held, filterOf({ prefixes: ['user-7/'] }))).toBe(true)
  expect(covers(held, filterOf({ prefixes: ['use'] }))).toBe(false)
  expect(covers(held, filterOf({ keys: ['c'] }))).toBe(false)
  expect(covers(held, undefined)).toBe(false)
  expect(covers(undefined, held)).toBe(true)
  const matches = matcherOf(filterOf({ keys: [new Uint8Array([0, 255])], prefixes: ['é'] })!)
  const utf8 = new TextEncoder()
  expect([new Uint8Array([0, 255]), utf8.encode('été'), utf8.encode('e'), null].map(matches)).toEqual([
    true,
    true,
    false,
    false,
  ])
})

test('[TAB-18] a table of some keys holds these; opened for more it has more, and a key that it does not keep is refused', async () => {
  const writer = await client()
  await writer.admin.createTopics([{ name: 'orders', partitions: 2, configs: { 'cleanup.policy': 'compact' } }])
  const topic = writer.topic('orders', { value: json() })
  const keys = ['ada/1', 'ada/2', 'bob/1', 'bob/2', 'eve/1']
  await Promise.all(topic.sendAll(keys.map((key) => ({ key, value: { key } }))).map(({ committed }) => committed))
  const ottla = await client({ replica: newReplica() })
  await live(ottla)
  const ada = await ottla.table('orders', { prefixes: ['ada/'] })
  await ada.whenReady()
  expect((await ada.range()).map(({ key }) => key)).toEqual(['ada/1', 'ada/2'])
  expect(() => ada.put('bob/3', {})).toThrow(/other keys/)
  await ada.put('ada/3', { key: 'ada/3' }).committed
  await topic.send({ key: 'ada/1', value: null }).committed
  await eventually(async () => (await ada.range()).map(({ key }) => key).join() === 'ada/2,ada/3')
  const eve = await ottla.table('orders', { keys: ['eve/1'] })
  await eve.whenReady()
  expect((await eve.get('eve/1'))?.value).toEqual({ key: 'eve/1' })
  expect((await eve.range()).map(({ key }) => key)).toEqual(['ada/2', 'ada/3', 'eve/1'])
})
