import 'fake-indexeddb/auto'
import { afterEach, expect, test } from 'vitest'
import { databaseName } from '../../client/replica/idb-format.ts'
import { IdbStore } from '../../client/replica/idb-store.ts'
import { HandClock } from '../../protocol/lib/clock.ts'
import { LocalReads } from '../../worker/local-reads.ts'

const TOPIC_ID = 'B'.repeat(22)
const open: Array<{ close(): unknown }> = []

afterEach(async () => {
  for (const each of open.splice(0)) await each.close()
})

function readsOf(replica: string): LocalReads {
  const reads = new LocalReads(replica, new HandClock())
  open.push(reads)
  return reads
}

async function fill(replica: string): Promise<IdbStore> {
  const store = new IdbStore({ replica })
  open.push(store)
  await store.claim({ token: 'w1', newReplicaId: 'R'.repeat(22) })
  await store.putTopics([
    { topicId: TOPIC_ID, name: 'flights', partitionCount: 2, policy: {} },
    { topicId: 'C'.repeat(22), name: 'only-known', partitionCount: 1, policy: null },
  ])
  const position = {
    topicId: TOPIC_ID,
    partition: 1,
    start: 0,
    nextOffset: 10,
    leaderEpoch: 0,
    logStart: 0,
    generation: 3,
    sizeBytes: 4,
    mergedUpTo: 0,
  }
  const chunk = { baseOffset: 0, nextOffset: 10, maxTimestamp: 0, bytes: Uint8Array.of(1, 2, 3, 4) }
  await store.commitDelivery([{ position, chunks: [chunk] }])
  return store
}

test('[WRK-18] a page finds topic, ranges and chunks of a replica without any worker', async () => {
  await fill('cold')
  const reads = readsOf('cold')
  expect(await reads.topic('flights')).toEqual({ name: 'flights', id: TOPIC_ID, partitionCount: 2 })
  expect(await reads.ranges('flights')).toMatchObject([
    { topic: 'flights', partition: 1, start: 0, end: 10, generation: 3, upToDate: false },
  ])
  expect(await reads.read(TOPIC_ID, 1, 7, 1_000)).toEqual([
    { baseOffset: 0, nextOffset: 10, batches: Uint8Array.of(1, 2, 3, 4) },
  ])
})

test('[WRK-18] a topic that is only known is no replica', async () => {
  await fill('known')
  expect(await readsOf('known').ranges('only-known')).toBeUndefined()
})

test('[WRK-18] looking for a replica does not make one, and finds it once it is there', async () => {
  const reads = readsOf('later')
  expect(await reads.topic('flights')).toBeUndefined()
  expect((await indexedDB.databases()).map(({ name }) => name)).not.toContain(databaseName('later'))
  await fill('later')
  expect(await reads.topic('flights')).toBeDefined()
})

test('[WRK-18] a page that freezes or closes holds no database open', async () => {
  const store = await fill('released')
  const reads = readsOf('released')
  await reads.topic('flights')
  reads.close()
  expect(await reads.topic('flights')).toBeUndefined()
  reads.reopen()
  expect(await reads.topic('flights')).toBeDefined()
  await store.close()
})
