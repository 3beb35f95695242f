/** What becomes of a transaction whose end was not heard: one scene for each thing that the relay may still know. */
import { beforeEach, expect, test } from 'vitest'
import type { Settled } from '../../../client/core.ts'
import { Outbox } from '../../../client/outbox/outbox.ts'
import { MemoryDatabase, MemoryStore } from '../../../client/replica/memory-store.ts'
import { StoreError } from '../../../client/replica/store-error.ts'
import { ErrorCode } from '../../../protocol/errors.ts'
import { HandClock } from '../../../protocol/lib/clock.ts'
import { seededRandom } from '../../../protocol/lib/random.ts'
import { encodeBatch } from '../../../protocol/records.ts'
import { ModelSession, RelayModel } from './relay-model.ts'

let relay: RelayModel
let clock: HandClock
let database: MemoryDatabase
let session: ModelSession
let settled: Settled[]
let ids = 0
/** The device has no room for anything new. */
let isFull: boolean

beforeEach(() => {
  isFull = false
  relay = new RelayModel()
  clock = new HandClock()
  database = new MemoryDatabase()
  relay.createTopic('a', 2)
  relay.createTopic('b', 1)
})

async function open(): Promise<Outbox> {
  const store = new MemoryStore(database)
  const change = store.changeOutbox.bind(store)
  store.changeOutbox = async (changed) => {
    if (isFull) throw new StoreError('quota', 'the quota is used up')
    return change(changed)
  }
  const contents = await store.claim({ token: `token-${ids++}`, newReplicaId: 'replica' })
  session = new ModelSession(relay)
  const outbox = new Outbox({ session, store, contents, clock, random: seededRandom(1) })
  settled = []
  outbox.onSettled((all) => settled.push(...all))
  await outbox.open()
  return outbox
}

function batch(value: string) {
  const encoder = new TextEncoder()
  return encodeBatch([{ key: null, value: encoder.encode(value), timestamp: 1 }])
}

async function store(outbox: Outbox, value: string): Promise<string> {
  const id = `transaction-${ids++}`
  const writes = [
    { topic: 'a', partition: 0, batch: batch(`${value}-a0`) },
    { topic: 'a', partition: 1, batch: batch(`${value}-a1`) },
    { topic: 'b', partition: 0, batch: batch(`${value}-b`) },
  ]
  await outbox.enqueueTransaction({ id, writes, expiresAtMs: null })
  return id
}

async function turn(count = 60): Promise<void> {
  for (let index = 0; index < count; index++) {
    session.deliverRequest()
    session.deliverReply()
    await clock.advanceAsync(20)
  }
}

/** Up to the commit of the records, which reaches the relay or not; its answer does not come back. */
async function untilCommitAsked(arrives: boolean): Promise<void> {
  session.connect()
  const wanted = relay.coordinator.commits + (hasMarks() ? 1 : 2)
  for (let step = 0; step < 200; step++) {
    await clock.advanceAsync(20)
    const isCommit = session.nextRequest === 'EndTxn' && relay.coordinator.commits === wanted - 1
    if (isCommit) {
      if (arrives) session.deliverRequest()
      session.cut()
      session.dropStrays()
      return
    }
    session.deliverRequest()
    session.deliverReply()
  }
  throw new Error('no commit was asked for')
}

const hasMarks = () => relay.coordinator.commits > 0
const inLog = (name: string) =>
  relay.values(name).map((values) => values.filter((value) => !/^(open|aborted) /.test(value)))

test.each([true, false])(
  '[TXN-76] the answer to the commit was lost (it had arrived: %s), and the client died: it is there once',
  async (arrives) => {
    const first = await open()
    const id = await store(first, 'x')
    await untilCommitAsked(arrives)
    await first.close()
    const next = await open()
    session.connect()
    await turn()
    expect(next.depth().pendingEntries).toBe(0)
    expect(inLog('a')).toEqual([['x-a0'], ['x-a1']])
    expect(inLog('b')).toEqual([['x-b']])
    expect(settled).toMatchObject([{ id, outcome: 'committed', offsets: arrives ? [-1, -1, -1] : [1, 1, 1] }])
  },
)

test('[TXN-76] with the client alive, the receipt still tells the offsets', async () => {
  const outbox = await open()
  const id = await store(outbox, 'x')
  await untilCommitAsked(true)
  session.connect()
  await turn()
  expect(settled).toMatchObject([{ id, outcome: 'committed', offsets: [0, 0, 0] }])
})

test('[TXN-76] committed by the attempt of another client, it is told without the places of the own one', async () => {
  const first = await open()
  const id = await store(first, 'x')
  await untilCommitAsked(false)
  const formerSession = session
  await open()
  session.connect()
  await turn()
  expect(settled).toMatchObject([{ id, outcome: 'committed', offsets: [1, 1, 1] }])
  session.cut()
  settled = []
  session = formerSession
  session.connect()
  await turn()
  expect(settled).toMatchObject([{ id, outcome: 'committed', offsets: [-1, -1, -1] }])
})

test('[TXN-76] a full device that cannot note how an attempt ended: nothing of it is committed by what stands behind', async () => {
  relay.createTopic('c', 1)
  const outbox = await open()
  await store(outbox, 'x')
  await outbox.enqueueTransaction({
    ...{ id: 'behind', expiresAtMs: null },
    writes: [{ topic: 'c', partition: 0, batch: batch('behind') }],
  })
  session.connect()
  for (let step = 0; step < 200 && session.nextRequest !== 'Produce'; step++) {
    await clock.advanceAsync(20)
    if (session.nextRequest === 'Produce') break
    session.deliverRequest()
    session.deliverReply()
  }
  expect(session.nextRequest).toBe('Produce')
  isFull = true
  session.cut()
  session.dropStrays()
  session.connect()
  await turn(300)
  isFull = false
  await turn(600)
  expect(outbox.depth().pendingEntries).toBe(0)
  expect([inLog('a'), inLog('b'), inLog('c')]).toEqual([[['x-a0'], ['x-a1']], [['x-b']], [['behind']]])
})

test('[TXN-77] a relay that has forgotten the mark leaves it unknown, whole; what stands behind goes on, a retry sends it', async () => {
  const first = await open()
  const id = await store(first, 'x')
  await untilCommitAsked(false)
  await first.close()
  relay.coordinator.forgetOffsets()
  const next = await open()
  const behind = await store(next, 'y')
  session.connect()
  await turn(100)
  expect(inLog('a')).toEqual([['y-a0'], ['y-a1']])
  expect(settled.map(({ id: each, outcome }) => [each, outcome])).toEqual([
    [id, 'unknown'],
    [behind, 'committed'],
  ])
  expect(next.list()).toMatchObject([{ id, state: 'unknown', recordCount: 3, error: { code: 'OUTCOME_UNKNOWN' } }])
  await next.retry(id)
  await turn(100)
  expect(inLog('b')).toEqual([['y-b', 'x-b']])
})

test('[TXN-77] the topics were made anew meanwhile: unknown', async () => {
  const first = await open()
  await store(first, 'x')
  await untilCommitAsked(true)
  await first.close()
  for (const [name, partitions] of [
    ['a', 2],
    ['b', 1],
  ] as const)
    relay.recreateTopic(name, partitions)
  const next = await open()
  session.connect()
  await turn(100)
  expect(next.list()).toMatchObject([{ state: 'unknown' }])
  expect(inLog('a')).toEqual([[], []])
})

test('[TXN-77] one of the topics went, the other still has its mark: nothing is applied twice, nothing is lost', async () => {
  const first = await open()
  const id = await store(first, 'x')
  await untilCommitAsked(true)
  await first.close()
  relay.recreateTopic('b', 1)
  await open()
  session.connect()
  await turn(100)
  expect(settled).toMatchObject([{ id, outcome: 'committed' }])
  expect(inLog('a')).toEqual([['x-a0'], ['x-a1']])
})

test('[TXN-77] the transactional id was forgotten, the mark was not: it is there once', async () => {
  const first = await open()
  await store(first, 'x')
  await untilCommitAsked(true)
  await first.close()
  relay.coordinator.forgetIds()
  const next = await open()
  await store(next, 'y')
  session.connect()
  await turn(100)
  expect(inLog('b')).toEqual([['x-b', 'y-b']])
})

test('[TXN-74] a refusal of one record sets all aside at once, and nothing of it is to be seen', async () => {
  const outbox = await open()
  relay.refusal = (topic) => (topic === 'b' ? ErrorCode.TOPIC_AUTHORIZATION_FAILED : 0)
  const id = await store(outbox, 'x')
  const seen: string[] = []
  outbox.onChanged(() =>
    seen.push(
      outbox
        .list()
        .map(({ state, recordCount }) => `${state} ${recordCount}`)
        .join(),
    ),
  )
  session.connect()
  await turn()
  expect(new Set(seen)).toEqual(new Set(['parked 3']))
  expect(settled).toMatchObject([{ id, outcome: 'parked', error: { code: 'NOT_AUTHORIZED' } }])
  expect(inLog('a')).toEqual([[], []])
  await outbox.discard(id)
  expect(outbox.list()).toEqual([])
})
