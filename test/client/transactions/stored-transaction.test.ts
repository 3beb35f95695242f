/** `ottla.transaction` through outbox and real relay, over real WebSockets. */
import 'fake-indexeddb/auto'
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { type ConnectOptions, connect, json, type Ottla, string } from '../../../client/index.ts'
import type { RelayConfig } from '../../../server/config.ts'
import { createRelay, type Relay } from '../../../server/relay.ts'
import { MemoryFiles } from '../../../server/storage/memory-files.ts'
import { eventually } from '../../support/eventually.ts'

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

async function startRelay(config: Partial<RelayConfig> = {}): Promise<void> {
  relay = await createRelay({ files, config: { dataDir: 'data', httpPort: port, ...config } })
  port = Number(new URL(relay.http.url).port)
}

async function client(options: ConnectOptions = {}): Promise<Ottla> {
  const ottla = await connect(relay.websocket.url, { backoff: { delayMsFirst: 20, delayMsMax: 100 }, ...options })
  onTestFinished(() => ottla.close())
  return ottla
}

const newReplica = () => `transactions-${replicas++}`
const live = (ottla: Ottla) => eventually(() => ottla.status.connection.phase === 'live', { what: 'live' })

async function valuesOf(ottla: Ottla, topic: string): Promise<Array<string | null>> {
  const values: Array<string | null> = []
  for await (const { value } of ottla
    .topic(topic, { value: string, replica: false })
    .read({ from: 'beginning', follow: false })) {
    values.push(value)
  }
  return values
}

describe('a transaction through the outbox', () => {
  test('[TXN-70] its records are in the log together, where its receipt says, in the order of sending', async () => {
    const ottla = await client()
    await ottla.admin.createTopics([{ name: 'debits', partitions: 2 }, { name: 'credits' }])
    const debits = ottla.topic('debits', { value: json<number>() })
    const { committed, durability } = await ottla.transaction(async (tx) => {
      tx.send(debits, { key: 'ada', value: -5, partition: 1 })
      await null
      tx.send('credits', { key: 'bob', value: '5' })
      tx.send(debits, { key: 'eve', value: -6, partition: 1 })
    })
    expect(durability).toBe('memory')
    expect(await committed).toEqual([
      { partition: 1, offset: 0, durability: 'fsync' },
      { partition: 0, offset: 0, durability: 'fsync' },
      { partition: 1, offset: 1, durability: 'fsync' },
    ])
    expect(await valuesOf(ottla, 'debits')).toEqual(['-5', '-6'])
    expect(await valuesOf(ottla, 'credits')).toEqual(['5'])
    expect(ottla.status.outbox.pendingEntries).toBe(0)
  })

  test('[TXN-71] made offline it is one entry, and goes out once, also from the next client of the replica', async () => {
    const replica = newReplica()
    const online = await client({ replica })
    await live(online)
    await online.admin.createTopics([{ name: 'a', partitions: 3 }, { name: 'b' }])
    await relay.close()
    const { durability, id } = await online.transaction((tx) => {
      for (let count = 0; count < 30; count++) tx.send('a', { key: `k${count}`, value: `a${count}` })
      tx.send('b', { value: 'b' })
    })
    expect(durability).toBe('device')
    const [entry, ...others] = await online.outbox.list()
    expect(others).toEqual([])
    expect(entry).toMatchObject({ id, state: 'pending', recordCount: 31, transaction: { topics: ['a', 'b'] } })
    expect(await online.outbox.list('b')).toHaveLength(1)
    await online.close()

    await startRelay()
    const next = await client({ replica })
    await eventually(() => next.status.outbox.pendingEntries === 0 && next.status.state === 'live', { what: 'drained' })
    expect((await valuesOf(next, 'a')).sort()).toEqual(Array.from({ length: 30 }, (_, index) => `a${index}`).sort())
    expect(await valuesOf(next, 'b')).toEqual(['b'])
  })

  test('[TXN-72] what the callback throws is thrown, and nothing is stored', async () => {
    const ottla = await client()
    const failing = ottla.transaction((tx) => {
      tx.send('a', { value: 'x' })
      throw new Error('changed my mind')
    })
    await expect(failing).rejects.toThrow('changed my mind')
    expect(await ottla.outbox.list()).toEqual([])
    await expect(
      ottla.transaction((tx) => tx.send('a', { value: new Uint8Array(9 * 1024 * 1024) })),
    ).rejects.toMatchObject({ code: 'TOO_LARGE' })
    let late: (() => void) | undefined
    await ottla.transaction((tx) => {
      late = () => tx.send('a', { value: 'late' })
    })
    expect(late).toThrow(expect.objectContaining({ code: 'INVALID_STATE' }))
  })

  test('[TXN-73] order against other writes is kept in each partition, before and after', async () => {
    const ottla = await client()
    await ottla.admin.createTopics([{ name: 't', partitions: 2 }])
    const topic = ottla.topic('t', { value: string })
    const expected: string[][] = [[], []]
    for (let round = 0; round < 20; round++) {
      for (const partition of [0, 1]) {
        topic.send({ value: `plain ${round}`, partition })
        expected[partition]!.push(`plain ${round}`)
      }
      await ottla.transaction((tx) => {
        for (const partition of [0, 1]) tx.send(topic, { value: `together ${round}`, partition })
      })
      for (const partition of [0, 1]) expected[partition]!.push(`together ${round}`)
    }
    await eventually(() => ottla.status.outbox.pendingEntries === 0, { what: 'drained' })
    for (const partition of [0, 1]) {
      const values: Array<string | null> = []
      const reader = topic.read({ from: 'beginning', follow: false, partitions: [partition] })
      for await (const { value } of reader) values.push(value)
      expect(values).toEqual(expected[partition])
    }
  })

  test('[TXN-74] refused whole with the reason: a topic that is gone, a record too large, expired; others go on', async () => {
    const ottla = await client({ replica: newReplica() })
    await live(ottla)
    await ottla.admin.createTopics([{ name: 'a' }, { name: 'small', configs: { 'max.message.bytes': '500' } }])
    const tooLarge = await ottla.transaction((tx) => {
      tx.send('a', { value: 'first' })
      tx.send('small', { value: 'x'.repeat(1_000) })
    })
    await expect(tooLarge.committed).rejects.toMatchObject({ code: 'REJECTED', cause: { code: 'TOO_LARGE' } })
    const gone = await ottla.transaction((tx) => {
      tx.send('a', { value: 'second' })
      tx.send('nowhere', { value: 'x' })
    })
    const behind = ottla.topic('a', { value: string }).send({ value: 'third' })
    await expect(gone.committed).rejects.toMatchObject({ code: 'REJECTED', cause: { code: 'UNKNOWN_TOPIC' } })
    await behind.committed
    expect(await valuesOf(ottla, 'a')).toEqual(['third'])
    expect((await ottla.outbox.list()).map(({ id, state }) => [id, state])).toEqual([
      [tooLarge.id, 'parked'],
      [gone.id, 'parked'],
    ])

    await ottla.admin.createTopics([{ name: 'nowhere' }])
    await ottla.outbox.retry(gone.id)
    await eventually(() => ottla.status.outbox.pendingEntries === 0, { what: 'sent' })
    expect(await valuesOf(ottla, 'a')).toEqual(['third', 'second'])
    expect(await valuesOf(ottla, 'nowhere')).toEqual(['x'])
    await ottla.outbox.discard(tooLarge.id)
    expect(await ottla.outbox.list()).toEqual([])

    await relay.close()
    const expired = await ottla.transaction((tx) => tx.send('a', { value: 'late' }), { expiresAfterMs: 1 })
    await startRelay()
    await expect(expired.committed).rejects.toMatchObject({ code: 'REJECTED', cause: { code: 'EXPIRED' } })
  })

  test('[TXN-69] a topic that was made anew since it was last written to gets the transaction, at the next attempt', async () => {
    const ottla = await client({ replica: newReplica() })
    const other = await client()
    await other.admin.createTopics([{ name: 'a' }, { name: 'fleeting' }])
    await ottla.topic('fleeting', { value: string }).send({ value: 'gone with it' }).committed
    await other.admin.deleteTopics(['fleeting'])
    await other.admin.createTopics([{ name: 'fleeting' }])
    const { committed } = await ottla.transaction((tx) => {
      tx.send('a', { value: 'both' })
      tx.send('fleeting', { value: 'both' })
    })
    await committed
    expect(await valuesOf(other, 'a')).toEqual(['both'])
    expect(await valuesOf(other, 'fleeting')).toEqual(['both'])
  })
})
