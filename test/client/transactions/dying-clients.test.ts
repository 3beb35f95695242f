/** Clients that die at each step of a transaction, and those that find their outbox; a real relay, real WebSockets. */
import 'fake-indexeddb/auto'
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { type ConnectOptions, connect, type Ottla, string } from '../../../client/index.ts'
import { systemClock } from '../../../protocol/lib/clock.ts'
import { offsetFetch } from '../../../protocol/messages/group-offsets.ts'
import { produce } from '../../../protocol/messages/produce.ts'
import { initProducerId } from '../../../protocol/messages/producers.ts'
import { endTxn, txnOffsetCommit } from '../../../protocol/messages/transactions.ts'
import { createRelay, type Relay } from '../../../server/relay.ts'
import { MemoryFiles } from '../../../server/storage/memory-files.ts'
import { type DyingTransport, dyingTransport } from '../../support/dying-transport.ts'
import { eventually } from '../../support/eventually.ts'

const KEYS = new Set([initProducerId, txnOffsetCommit, endTxn, produce, offsetFetch].map(({ key }) => key))
/** What the first transaction of an outbox asks for: the id, marks of its topics, their end, records, marks, the end. */
const STEPS = [initProducerId, txnOffsetCommit, endTxn, produce, txnOffsetCommit, endTxn].map(({ name }) => name)

let relay: Relay
let shiftMs = 0
let replicas = 0

beforeEach(async () => {
  shiftMs = 0
  relay = await createRelay({
    files: new MemoryFiles(),
    // A week passes when a test says so.
    clock: {
      ...systemClock,
      now: () => systemClock.now() + shiftMs,
      monotonic: () => systemClock.monotonic() + shiftMs,
    },
    config: {
      ...{ dataDir: 'data', httpPort: 0, offsetsRetentionMinutes: 60, offsetsRetentionCheckIntervalMs: 50 },
      transactionalIdExpirationMs: 7_200_000,
      transactionRemoveExpiredTransactionCleanupIntervalMs: 50,
    },
  })
})

afterEach(async () => {
  await relay.close()
})

async function client(options: ConnectOptions = {}): Promise<Ottla> {
  const ottla = await connect(relay.websocket.url, { backoff: { delayMsFirst: 10, delayMsMax: 50 }, ...options })
  onTestFinished(() => ottla.close())
  return ottla
}

async function valuesOf(ottla: Ottla, topic: string): Promise<Array<string | null>> {
  const values: Array<string | null> = []
  const reader = ottla.topic(topic, { value: string, replica: false }).read({ from: 'beginning', follow: false })
  for await (const { value } of reader) values.push(value)
  return values
}

/** Stores a transaction and a write behind it with a client that dies on the way. */
async function dieSending(replica: string, transport: DyingTransport): Promise<Ottla> {
  const dying = await client({ replica, transport })
  await dying.transaction((tx) => {
    for (const partition of [0, 1, 2]) tx.send('a', { value: `together ${partition}`, partition })
    tx.send('b', { value: 'together' })
  })
  await dying.topic('a', { value: string }).send({ value: 'behind', partition: 0 }).stored
  await transport.died
  return dying
}

const newReplica = () => `dying-${replicas++}`
const drained = (ottla: Ottla) =>
  eventually(() => ottla.status.outbox.pendingEntries === 0 && ottla.status.connection.phase === 'live', {
    what: 'all sent',
  })

describe('a client that dies in the middle of a transaction', () => {
  for (const [index, name] of STEPS.entries()) {
    for (const when of ['before', 'answered'] as const) {
      test(`[TXN-76] at request ${index + 1}, ${name} (${when}): the next one brings it to its end, once`, async () => {
        const admin = await client()
        await admin.admin.createTopics([{ name: 'a', partitions: 3 }, { name: 'b' }])
        const seen: Array<string | null> = []
        const reader = admin.topic('b', { value: string }).read({ from: 'beginning' })
        const watching = reader.each(({ value }) => void seen.push(value))
        const replica = newReplica()
        const dead = await dieSending(replica, dyingTransport({ keys: KEYS, count: index + 1, when }))
        const next = await client({ replica })
        await drained(next)
        expect((await valuesOf(admin, 'a')).sort()).toEqual(['behind', 'together 0', 'together 1', 'together 2'])
        const first = admin.topic('a', { value: string }).read({ from: 'beginning', follow: false, partitions: [0] })
        const inOrder: Array<string | null> = []
        for await (const { value } of first) inOrder.push(value)
        expect(inOrder).toEqual(['together 0', 'behind'])
        expect(await valuesOf(admin, 'b')).toEqual(['together'])
        await eventually(() => seen.length > 0, { what: 'the reader has it' })
        expect(seen).toEqual(['together'])
        expect(await next.outbox.list()).toEqual([])
        await dead.close()
        await reader.close()
        await watching
      })
    }
  }

  test('[TXN-77] a day later the offsets of its group have expired: unknown, told, and sent again when asked', async () => {
    const admin = await client()
    await admin.admin.createTopics([{ name: 'a', partitions: 3 }, { name: 'b' }])
    const replica = newReplica()
    const dead = await dieSending(replica, dyingTransport({ keys: KEYS, count: STEPS.length, when: 'answered' }))
    await eventually(async () => (await admin.admin.listConsumerGroups()).length === 1, { what: 'the group is there' })
    shiftMs += 86_400_000
    await eventually(async () => (await admin.admin.listConsumerGroups()).length === 0, {
      what: 'the group has expired',
    })
    const next = await client({ replica })
    await eventually(() => next.status.outbox.parkedEntries === 1, { what: 'set aside' })
    await drained(next)
    const [entry] = await next.outbox.list()
    expect(entry).toMatchObject({ state: 'unknown', recordCount: 4, error: { code: 'OUTCOME_UNKNOWN' } })
    expect(await valuesOf(admin, 'b')).toEqual(['together'])
    expect(await valuesOf(admin, 'a')).toContain('behind')
    await next.outbox.discard(entry!.id)
    expect(await next.outbox.list()).toEqual([])
    await dead.close()
  })

  test('[TXN-77] a day offline before it was ever sent, its transactional id forgotten: it is sent', async () => {
    const replica = newReplica()
    const first = await client({ replica })
    await eventually(() => first.status.connection.phase === 'live')
    await first.admin.createTopics([{ name: 'a', partitions: 3 }, { name: 'b' }])
    await first.transaction((tx) => tx.send('b', { value: 'one' })).then(({ committed }) => committed)
    await first.close()
    const transport = dyingTransport({ keys: KEYS, count: 1, when: 'before' })
    const offline = await dieSending(replica, transport)
    shiftMs += 86_400_000
    const admin = await client()
    await eventually(async () => (await admin.admin.listTransactions()).length === 0, { what: 'the id is forgotten' })
    const next = await client({ replica })
    await drained(next)
    expect(await valuesOf(admin, 'b')).toEqual(['one', 'together'])
    await offline.close()
  })
})
