/** What a person sees of an outbox: limits, taking back, parking, retrying, exporting; one scene each. */
import { beforeEach, expect, test } from 'vitest'
import type { Settled } from '../../../client/core.ts'
import { Outbox, type OutboxOptions } from '../../../client/outbox/outbox.ts'
import { MemoryDatabase, MemoryStore } from '../../../client/replica/memory-store.ts'
import { StoreError } from '../../../client/replica/store-error.ts'
import { gzip } from '../../../protocol/compression.ts'
import { ErrorCode } from '../../../protocol/errors.ts'
import { HandClock } from '../../../protocol/lib/clock.ts'
import { seededRandom } from '../../../protocol/lib/random.ts'
import { compressBatch, encodeBatch } from '../../../protocol/records.ts'
import { ModelSession, RelayModel } from './relay-model.ts'
import { Disk, StepStore } from './store-model.ts'

let relay: RelayModel
let clock: HandClock
let database: MemoryDatabase
let session: ModelSession
let settled: Settled[]
let ids = 0

beforeEach(() => {
  relay = new RelayModel()
  clock = new HandClock()
  database = new MemoryDatabase()
  relay.createTopic('flights', 2)
})

async function open(options: Partial<OutboxOptions> = {}): Promise<Outbox> {
  const store = options.store ?? new MemoryStore(database)
  const contents = await store.claim({ token: `token-${ids++}`, newReplicaId: 'replica' })
  session = new ModelSession(relay)
  const outbox = new Outbox({ session, store, contents, clock, random: seededRandom(1), ...options })
  settled = []
  outbox.onSettled((all) => settled.push(...all))
  await outbox.open()
  return outbox
}

function write(values: string[], partition: number | null = 0, topic = 'flights') {
  const encoder = new TextEncoder()
  const records = values.map((value) => ({ key: encoder.encode(value), value: encoder.encode(value), timestamp: 1 }))
  return { id: `id-${ids++}`, topic, partition, batch: encodeBatch(records) }
}

async function turn(count = 30): Promise<void> {
  for (let index = 0; index < count; index++) {
    session.deliverRequest()
    session.deliverReply()
    await clock.advanceAsync(20)
  }
}

async function drain(): Promise<void> {
  session.connect()
  await turn(60)
}

test('a write beyond the limits is refused with what the outbox holds and may hold', async () => {
  const outbox = await open({ sizeBytesMax: 200, recordsMax: 3 })
  await outbox.enqueue(write(['a']))
  await expect(outbox.enqueue(write(['x'.repeat(300)]))).rejects.toMatchObject({ code: 'OUTBOX_FULL' })
  await outbox.enqueue(write(['b']))
  await expect(outbox.enqueue(write(['c', 'd']))).rejects.toThrow(/200|3/)
  await drain()
  await expect(outbox.enqueue(write(['e']))).resolves.toEqual({ durability: 'memory' })
})

test('a batch that is damaged or compressed without a partition is not taken', async () => {
  const outbox = await open()
  const damaged = write(['a'])
  damaged.batch[damaged.batch.length - 1]! ^= 1
  await expect(outbox.enqueue(damaged)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  const compressed = write(['a'], null)
  compressed.batch = await compressBatch(compressed.batch, 1, (block) => gzip.compress!(block))
  await expect(outbox.enqueue(compressed)).rejects.toThrow(/names no partition/)
  await outbox.enqueue({ ...compressed, partition: 1 })
})

test('a write that is being divided among partitions is exported whole', async () => {
  const disk = new Disk()
  const steps = new StepStore(disk)
  const outbox = await open({ store: steps.store })
  const values = Array.from({ length: 20 }, (_, n) => `v${n}`)
  const stored = outbox.enqueue(write(values, null))
  await clock.advanceAsync(1)
  for (let step = 0; step < 2; step++) await steps.step()
  await stored
  session.connect()
  for (let count = 0; count < 30 && steps.unitsWaiting === 0; count++) await turn(1)
  // The store has the parts; the outbox has not heard of that.
  await steps.step()
  const exporting = outbox.export()
  await clock.advanceAsync(1)
  await steps.step()
  const parts = await exporting
  expect(parts.map(({ partition }) => partition).sort()).toEqual([0, 1])
  expect(parts.reduce((sum, { recordCount }) => sum + recordCount, 0)).toBe(20)
})

test('[OUT-7] a repeated enqueue of an id is answered, before and after it was committed, over a restart', async () => {
  const first = await open()
  const once = write(['a'])
  await Promise.all([first.enqueue({ ...once }), first.enqueue({ ...once })])
  await drain()
  await first.enqueue({ ...once })
  await turn()
  expect(settled.filter(({ id }) => id === once.id)).toHaveLength(2)
  await first.close()
  const second = await open()
  await second.enqueue({ ...once })
  await drain()
  expect(relay.values('flights')).toEqual([['a'], []])
  expect(second.outcomes([once.id])).toMatchObject([{ outcome: 'committed', offsets: [0], partitions: [0] }])
})

test('every write is told of, even when one batch carries more of them than are remembered', async () => {
  const outbox = await open()
  const writes = Array.from({ length: 3000 }, (_, n) => write([`v${n}`]))
  await Promise.all(writes.map((each) => outbox.enqueue(each)))
  await drain()
  expect(settled.map(({ id }) => id)).toEqual(writes.map(({ id }) => id))
  expect(settled.at(-1)).toMatchObject({ outcome: 'committed', partitions: [0], offsets: [2999] })
})

test('a write that is not sealed can be taken back, one on its way cannot', async () => {
  const outbox = await open()
  const back = write(['a'])
  await outbox.enqueue(back)
  expect(await outbox.withdraw(back.id)).toBe(true)
  expect(await outbox.withdraw(back.id)).toBe(false)
  const gone = write(['b'])
  await outbox.enqueue(gone)
  session.connect()
  await clock.advanceAsync(10)
  session.deliverRequest()
  session.deliverReply()
  await clock.advanceAsync(10)
  expect(await outbox.withdraw(gone.id)).toBe(false)
  await expect(outbox.discard(gone.id)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  await drain()
  expect(relay.values('flights')[0]).toEqual(['b'])
})

test('[OUT-5] the record at fault is found in a joint batch and parked alone; the others arrive in order', async () => {
  const outbox = await open()
  relay.refusal = (_topic, _partition, values) => (values.includes('bad') ? ErrorCode.INVALID_RECORD : 0)
  const bad = write(['bad'])
  for (const value of ['a', 'b', 'c']) await outbox.enqueue(write([value]))
  await outbox.enqueue(bad)
  for (const value of ['d', 'e', 'f']) await outbox.enqueue(write([value]))
  await drain()
  expect(relay.values('flights')[0]).toEqual(['a', 'b', 'c', 'd', 'e', 'f'])
  expect(outbox.list()).toMatchObject([{ id: bad.id, state: 'parked', error: { code: 'REJECTED', kafkaCode: 87 } }])
  expect(outbox.depth()).toMatchObject({ pendingEntries: 0, parkedEntries: 1 })
  const [exported] = await outbox.export()
  expect(exported).toMatchObject({ id: bad.id, state: 'parked', partition: 0, batch: bad.batch })
  await outbox.discard(bad.id)
  expect(settled.at(-1)).toMatchObject({ id: bad.id, outcome: 'discarded' })
  expect(outbox.list()).toEqual([])
})

test('[OUT-9] a topic without rights holds up nobody, and a retry sends once the right is there', async () => {
  const outbox = await open()
  relay.createTopic('secrets', 1)
  relay.refusal = (topic) => (topic === 'secrets' ? ErrorCode.TOPIC_AUTHORIZATION_FAILED : 0)
  const secret = write(['s'], 0, 'secrets')
  await outbox.enqueue(secret)
  await outbox.enqueue(write(['a']))
  await drain()
  expect(relay.values('flights')[0]).toEqual(['a'])
  expect(settled.find(({ id }) => id === secret.id)).toMatchObject({
    outcome: 'parked',
    error: { code: 'NOT_AUTHORIZED' },
  })
  relay.refusal = () => 0
  await outbox.retry(secret.id)
  await drain()
  expect(relay.values('secrets')[0]).toEqual(['s'])
  expect(settled.at(-1)).toMatchObject({ id: secret.id, outcome: 'committed' })
})

test('a write whose keys go to several partitions is committed as a whole, with each record’s place', async () => {
  const outbox = await open()
  const mixed = write(['a', 'b', 'c', 'd', 'e', 'f'], null)
  await outbox.enqueue(mixed)
  await drain()
  const logs = relay.values('flights')
  expect(logs.every((log) => log.length > 0)).toBe(true)
  const outcome = settled.find(({ id }) => id === mixed.id)
  if (outcome?.outcome !== 'committed') throw new Error('not committed')
  const found = outcome.offsets.map((offset, index) => logs[outcome.partitions[index]!]![offset])
  expect(found).toEqual(['a', 'b', 'c', 'd', 'e', 'f'])
  expect(settled.filter(({ id }) => id === mixed.id)).toHaveLength(1)
})

test('a partition that does not exist parks the write and names how many there are', async () => {
  const outbox = await open()
  await outbox.enqueue(write(['a'], 9))
  await drain()
  expect(settled).toMatchObject([{ outcome: 'parked', error: { code: 'UNKNOWN_PARTITION' } }])
  expect(outbox.list()[0]!.error!.message).toContain('2 partitions')
})

test('[OUT-13] writes that went to partitions which the relay named wrongly go to those that there are', async () => {
  const { partitions } = relay.createTopic('flights', 8)
  const outbox = await open()
  const values = ['a', 'b', 'c', 'd', 'e', 'f']
  for (const value of values) await outbox.enqueue(write([value], null))
  session.connect()
  await clock.advanceAsync(20)
  partitions.length = 1
  await drain()
  expect(relay.values('flights')).toEqual([values])
  expect(outbox.list()).toEqual([])
})

test('[OUT-13] a relay that leaves a partition out of its answer holds up that partition alone', async () => {
  const first = await open()
  await first.enqueue(write(['a'], 0))
  await first.enqueue(write(['b'], 1))
  session.connect()
  for (let index = 0; index < 5 && session.nextRequest !== 'Produce'; index++) {
    session.deliverRequest()
    session.deliverReply()
    await clock.advanceAsync(20)
  }
  session.cut()
  await first.close()
  relay.leavesOut = (partition) => partition === 1
  await open()
  session.connect()
  await turn(4)
  expect(relay.values('flights')).toEqual([['a'], []])
  relay.leavesOut = () => false
  for (let index = 0; index < 20; index++) await turn()
  expect(relay.values('flights')).toEqual([['a'], ['b']])
})

test('a lost answer of a producer that the relay forgot long ago is an unknown outcome, and sent only when asked for', async () => {
  const first = await open({ producerExpiryMs: 1_000 })
  const open1 = write(['a'])
  await first.enqueue(open1)
  session.connect()
  for (let step = 0; step < 3; step++) {
    await clock.advanceAsync(5)
    session.deliverRequest()
    if (step < 1) session.deliverReply()
  }
  session.cut()
  await first.close()
  expect(relay.values('flights')[0]).toEqual(['a'])
  relay.topics.get('flights')!.partitions[0]!.producers.clear()
  await clock.advanceAsync(2_000)
  const second = await open({ producerExpiryMs: 1_000 })
  await drain()
  expect(settled).toMatchObject([{ id: open1.id, outcome: 'unknown', error: { code: 'OUTCOME_UNKNOWN' } }])
  expect(relay.values('flights')[0]).toEqual(['a'])
  await second.enqueue(write(['b']))
  await drain()
  expect(relay.values('flights')[0]).toEqual(['a', 'b'])
  await second.retry(open1.id)
  await drain()
  expect(relay.values('flights')[0]).toEqual(['a', 'b', 'a'])
})

test('a producer that may not ask what has landed still sends, in order', async () => {
  relay.canDescribe = false
  const outbox = await open()
  for (const value of ['a', 'b', 'c']) await outbox.enqueue(write([value]))
  await drain()
  session.cut()
  for (const value of ['d', 'e']) await outbox.enqueue(write([value]))
  await drain()
  expect(relay.values('flights')[0]).toEqual(['a', 'b', 'c', 'd', 'e'])
})

test('[OUT-8] a full quota makes room once, then refuses; nothing is said to be stored', async () => {
  const memory = new MemoryStore(database)
  let isFull = true
  const store = new Proxy(memory, {
    get(target, name) {
      const member = Reflect.get(target, name)
      if (name !== 'changeOutbox') return typeof member === 'function' ? member.bind(target) : member
      return async (change: Parameters<MemoryStore['changeOutbox']>[0]) => {
        if (isFull && change.putRows) throw new StoreError('quota', 'full')
        return target.changeOutbox(change)
      }
    },
  })
  let asked = 0
  const failures: string[] = []
  const outbox = await open({
    store,
    makeRoom: async () => {
      asked++
      isFull = asked < 2
      return true
    },
    onStoreFailure: ({ kind }) => failures.push(kind),
  })
  await expect(outbox.enqueue(write(['a']))).rejects.toMatchObject({ code: 'QUOTA_EXCEEDED' })
  expect(failures).toEqual(['quota'])
  await outbox.enqueue(write(['b']))
  expect(asked).toBe(2)
  await drain()
  expect(relay.values('flights')[0]).toEqual(['b'])
})

test('many writes at once share few store units and few batches', async () => {
  const memory = new MemoryStore(database)
  let units = 0
  const store = new Proxy(memory, {
    get(target, name) {
      if (name === 'changeOutbox') units++
      const member = Reflect.get(target, name)
      return typeof member === 'function' ? member.bind(target) : member
    },
  })
  const outbox = await open({ store })
  await Promise.all(Array.from({ length: 1_000 }, (_, index) => outbox.enqueue(write([`value-${index}`]))))
  expect(units).toBeLessThan(5)
  await drain()
  expect(relay.values('flights')[0]).toHaveLength(1_000)
  expect(relay.appends).toBeLessThan(5)
})

test('[OUT-10] a topic that was deleted and made anew: what was on its way is of unknown outcome, the rest goes to the new one', async () => {
  const outbox = await open()
  const onItsWay = write(['a'])
  await outbox.enqueue(onItsWay)
  session.connect()
  for (let step = 0; step < 3; step++) {
    await clock.advanceAsync(5)
    session.deliverRequest()
    if (step < 1) session.deliverReply()
  }
  session.cut()
  const waiting = write(['b'])
  await outbox.enqueue(waiting)
  relay.createTopic('flights', 2)
  session.metadata.forget('flights')
  await drain()
  expect(settled).toMatchObject([
    { id: onItsWay.id, outcome: 'unknown' },
    { id: waiting.id, outcome: 'committed' },
  ])
  expect(relay.values('flights')[0]).toEqual(['b'])
})
