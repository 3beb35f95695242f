/** Tables over a compacted topic: replica, outbox and real relay, over real WebSockets. */
import 'fake-indexeddb/auto'
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import {
  type ConnectOptions,
  connect,
  json,
  type Ottla,
  orderedNumber,
  type Table,
  type TableEvent,
  type TableOptions,
} from '../../../client/index.ts'
import { createRelay, type Relay } from '../../../server/relay.ts'
import { MemoryFiles } from '../../../server/storage/memory-files.ts'
import { eventually } from '../../support/eventually.ts'

interface Order {
  customer: string
  cups?: number
  tags?: string[]
}

let relay: Relay
let files: MemoryFiles
let port = 0
let replicas = 0

beforeEach(async () => {
  files = new MemoryFiles()
  port = 0
  await startRelay()
})

afterEach(async () => {
  await relay.close()
})

async function startRelay(): Promise<void> {
  relay = await createRelay({ files, config: { dataDir: 'data', httpPort: port } })
  port = Number(new URL(relay.http.url).port)
}

async function client(options: ConnectOptions = {}): Promise<Ottla> {
  const ottla = await connect(relay.websocket.url, { backoff: { delayMsFirst: 20, delayMsMax: 100 }, ...options })
  onTestFinished(() => ottla.close())
  return ottla
}

async function withOrders(options: ConnectOptions = { replica: newReplica() }, partitions = 1): Promise<Ottla> {
  const ottla = await client(options)
  await live(ottla)
  await ottla.admin.createTopics([{ name: 'orders', partitions, configs: { 'cleanup.policy': 'compact' } }])
  return ottla
}

const newReplica = () => `tables-${replicas++}`
const live = (ottla: Ottla) => eventually(() => ottla.status.connection.phase === 'live', { what: 'live' })
const offline = (ottla: Ottla) => eventually(() => ottla.status.connection.phase !== 'live', { what: 'offline' })
const orders = (ottla: Ottla, options: TableOptions<string, Order> = {}) => ottla.table('orders', options)
const keysOf = <K>(entries: ReadonlyArray<{ key: K }>): K[] => entries.map(({ key }) => key)
const upToDate = (table: Table<string, Order>) => eventually(() => table.state.isUpToDate, { what: 'up to date' })

function eventsOf<K, V>(table: Table<K, V>): Array<TableEvent<K, V>> {
  const events: Array<TableEvent<K, V>> = []
  onTestFinished(table.subscribe({}, (event) => void (event.changes.length > 0 && events.push(event))))
  return events
}

describe.each(['IndexedDB', 'memory'])('a table (%s)', (where) => {
  const options = () => (where === 'memory' ? {} : { replica: newReplica() })

  test('[TAB-1] holds the newest value of each key, in the order of the keys; a tombstone takes a key out', async () => {
    const ottla = await withOrders(options(), 3)
    const topic = ottla.topic('orders', { value: json<Order>() })
    for (const [index, key] of ['b', 'a', 'é', 'c', 'aa', 'b'].entries()) {
      topic.send({ key, value: { customer: 'ada', cups: index } })
    }
    await topic.send({ key: 'c', value: null }).committed
    const table = await orders(ottla)
    await table.whenReady()
    expect(keysOf(await table.range())).toEqual(['a', 'aa', 'b', 'é'])
    expect(keysOf(await table.range({}, { reverse: true }))).toEqual(['é', 'b', 'aa', 'a'])
    expect(keysOf(await table.range({ from: 'aa', to: 'é' }))).toEqual(['aa', 'b'])
    expect(keysOf(await table.range({ from: 'aa' }, { limit: 1 }))).toEqual(['aa'])
    expect(keysOf(await table.prefix('a'))).toEqual(['a', 'aa'])
    expect(await table.get('b')).toMatchObject({ value: { cups: 5 }, state: 'committed' })
    expect(await table.get('c')).toBeUndefined()
    expect([await table.count(), await table.count({ prefix: 'a' })]).toEqual([4, 2])
  })

  test('[TAB-2] a write shows as pending once it is stored, and as committed once the log has it', async () => {
    const ottla = await withOrders(options())
    const table = await orders(ottla)
    await upToDate(table)
    await relay.close()
    const events = eventsOf(table)
    const { stored, committed } = table.put('a', { customer: 'ada' })
    await stored
    expect(await table.get('a')).toMatchObject({ value: { customer: 'ada' }, state: 'pending', offset: undefined })
    expect(await table.count()).toBe(1)
    await startRelay()
    await committed
    await eventually(async () => (await table.get('a'))?.state === 'committed')
    expect(events.map(({ changes }) => changes.map(({ before, after }) => [before?.state, after?.state]))).toEqual([
      [[undefined, 'pending']],
      [['pending', 'committed']],
    ])
    const removal = table.delete('a')
    await removal.stored
    expect(await table.get('a')).toBeUndefined()
    await removal.committed
    await eventually(() => table.state.isUpToDate)
    expect(await table.range()).toEqual([])
  })

  test('[TAB-3] a refused write goes back to what was, and says why', async () => {
    const ottla = await withOrders(options())
    const table = await orders(ottla)
    await table.put('a', { customer: 'ada' }).committed
    await eventually(async () => (await table.get('a'))?.state === 'committed')
    await ottla.admin.alterConfigs([{ resource: { topic: 'orders' }, name: 'max.message.bytes', value: '300' }])
    const events = eventsOf(table)
    const { id, committed } = table.put('a', { customer: 'x'.repeat(2_000) })
    await expect(committed).rejects.toMatchObject({ code: 'REJECTED', cause: { code: 'TOO_LARGE' } })
    await eventually(async () => (await table.get('a'))?.state === 'committed')
    expect(await table.get('a')).toMatchObject({ value: { customer: 'ada' } })
    const [change] = events.at(-1)!.changes
    expect(change).toMatchObject({ before: { state: 'pending' }, after: { state: 'committed' }, rolledBack: { id } })
    expect(change!.rolledBack!.error.code).toBe('TOO_LARGE')
  })

  test('[TAB-4] rows of a transaction appear together as pending, and together from the log', async () => {
    const ottla = await withOrders(options())
    const table = await orders(ottla)
    await upToDate(table)
    await relay.close()
    await offline(ottla)
    const events = eventsOf(table)
    const transaction = await ottla.transaction((tx) => {
      tx.send(table, { key: 'a', value: { customer: 'ada' } })
      tx.send('orders', { key: 'b', value: '{"customer":"bob"}' })
    })
    expect((await table.range()).map(({ key, state }) => [key, state])).toEqual([
      ['a', 'pending'],
      ['b', 'pending'],
    ])
    await ottla.outbox.discard(transaction.id)
    await eventually(async () => (await table.count()) === 0)
    await startRelay()
    await ottla.transaction((tx) => {
      for (const key of ['c', 'd']) tx.send(table, { key, value: { customer: key } })
    })
    await eventually(async () => (await table.get('d'))?.state === 'committed')
    expect(events.map(({ changes }) => keysOf(changes).join())).toEqual(['a,b', 'a,b', 'c,d', 'c,d'])
  })

  test('[TAB-5] indexes order rows by what is at a path, pending rows included, each element of an array', async () => {
    const ottla = await withOrders(options())
    const table = await orders(ottla, { indexes: { byCups: 'cups', byTag: 'tags' } })
    await upToDate(table)
    for (const [key, cups, ...tags] of [
      ['a', 10, 'hot'],
      ['b', 9, 'hot', 'new'],
      ['c', -1],
    ] as const) {
      table.put(key, { customer: 'ada', cups, tags: [...tags] })
    }
    await table.put('d', { customer: 'ada' }).committed
    await eventually(async () => (await table.get('d'))?.state === 'committed')
    expect(keysOf(await table.range({ index: 'byCups' }))).toEqual(['c', 'b', 'a'])
    expect(keysOf(await table.range({ index: 'byCups', from: 9 }, { reverse: true }))).toEqual(['a', 'b'])
    expect(keysOf(await table.range({ index: 'byTag', equals: 'hot' }))).toEqual(['a', 'b'])
    await relay.close()
    await table.put('c', { customer: 'ada', cups: 9.5, tags: ['hot'] }).stored
    expect(keysOf(await table.range({ index: 'byCups' }))).toEqual(['b', 'c', 'a'])
    expect(keysOf(await table.range({ index: 'byTag', prefix: 'h' }))).toEqual(['a', 'b', 'c'])
    expect(await table.count({ index: 'byTag', equals: 'hot' })).toBe(3)
    await expect(table.range({ index: 'byCity' })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })

  test('[TAB-6] a page at a time: thousands of rows, both ways, each once', async () => {
    const ottla = await withOrders(options())
    const topic = ottla.topic('orders', { key: orderedNumber, value: json<number>() })
    const numbers = Array.from({ length: 2_000 }, (_, index) => (index - 1_000) * 1.5)
    topic.sendAll(numbers.map((key) => ({ key, value: key })))
    await topic.flush()
    const table = await ottla.table<number, number>('orders', { key: orderedNumber })
    await eventually(() => table.state.isUpToDate, { withinMs: 15_000 })
    const seen: number[] = []
    for await (const { key } of table.entries()) seen.push(key)
    expect(seen).toEqual(numbers)
    expect(keysOf(await table.range({ from: -1.5 }, { limit: 3 }))).toEqual([-1.5, 0, 1.5])
    expect(keysOf(await table.range({ to: 0 }, { limit: 2, reverse: true }))).toEqual([-1.5, -3])
    expect(await table.count({ from: 0 })).toBe(1_000)
  })

  test('[TAB-7] update takes what is there, one after another; undefined deletes', async () => {
    const ottla = await withOrders(options())
    const table = await orders(ottla)
    const more = () => table.update('a', (order) => ({ customer: 'ada', cups: (order?.cups ?? 0) + 1 }))
    await Promise.all([more(), more(), more()])
    expect((await table.get('a'))?.value.cups).toBe(3)
    await table.update('a', () => undefined)
    expect(await table.get('a')).toBeUndefined()
    expect(await table.update('a', () => undefined)).toBeUndefined()
  })

  test('[TAB-8] where two write the same key, a merge function brings both together; else the later one wins', async () => {
    const one = await withOrders(options())
    const two = await client(where === 'memory' ? {} : { replica: newReplica() })
    const merge = (base: Order | undefined, local: Order | undefined, remote: Order | undefined): Order => ({
      customer: remote?.customer ?? local?.customer ?? '',
      cups: (local?.cups ?? 0) + (remote?.cups ?? 0) - (base?.cups ?? 0),
    })
    const [mine, theirs] = [await orders(one, { merge }), await orders(two, { merge })]
    await mine.put('a', { customer: 'ada', cups: 1 }).committed
    for (const table of [mine, theirs]) await eventually(async () => (await table.get('a'))?.value.cups === 1)
    await relay.close()
    await mine.put('a', { customer: 'ada', cups: 11 }).stored
    await theirs.put('a', { customer: 'eve', cups: 101 }).stored
    await startRelay()
    for (const table of [mine, theirs]) {
      await eventually(async () => {
        const entry = await table.get('a')
        return entry?.state === 'committed' && entry.value.cups === 111
      })
    }
  })
})
