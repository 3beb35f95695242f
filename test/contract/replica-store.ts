/**
 * What every ReplicaStore does. Run by test/client/replica for memory and for fake-indexeddb, and in a real browser.
 *
 * `open` gives stores on the same database for as long as `clear` is not called.
 */
import { describe, expect, test } from 'vitest'
import type { ChunkRow, ReplicaStore, StoredPosition } from '../../client/replica/store.ts'
import type { OutboxRow, SealedBatch } from '../../client/replica/store-outbox.ts'

export interface StoreUnderTest {
  open(): ReplicaStore
  /** What a browser does to an origin that it evicts. */
  clear(): Promise<void>
  dispose(): Promise<void>
}

const TOPIC = 'topicAAAAAAAAAAAAAAAAA'

export const chunk = (baseOffset: number, nextOffset: number, sizeBytes = 10): ChunkRow => ({
  baseOffset,
  nextOffset,
  maxTimestamp: nextOffset * 1_000,
  bytes: new Uint8Array(sizeBytes).fill(baseOffset),
})

export const position = (nextOffset: number, more: Partial<StoredPosition> = {}): StoredPosition => ({
  topicId: TOPIC,
  partition: 0,
  start: 0,
  nextOffset,
  leaderEpoch: 1,
  logStart: 0,
  generation: 0,
  sizeBytes: 0,
  mergedUpTo: 0,
  ...more,
})

export const row = (key: number, more: Partial<OutboxRow> = {}): OutboxRow => ({
  key,
  id: `id-${key}`,
  topic: 'flights',
  partition: null,
  batch: new Uint8Array([key % 256]),
  recordCount: 1,
  storedAtMs: 5,
  state: 'waiting',
  error: null,
  part: null,
  ...more,
})

const sealed = (key: number, rowKeys: number[]): SealedBatch => ({
  key,
  topic: 'flights',
  topicId: TOPIC,
  partition: 0,
  rowKeys,
  recordCount: rowKeys.length,
  producerId: 7,
  producerEpoch: 0,
  baseSequence: 0,
  sealedAtMs: 5,
})

const claimOf = (token: string) => ({ token, newReplicaId: `replica-of-${token}` })

export function describeReplicaStore(name: string, make: () => Promise<StoreUnderTest>): void {
  const storeTest = (title: string, body: (under: StoreUnderTest, store: ReplicaStore) => Promise<void>) =>
    test(title, async () => {
      const under = await make()
      const store = under.open()
      try {
        await body(under, store)
      } finally {
        await store.close()
        await under.dispose()
      }
    })

  describe(name, () => {
    storeTest('a first claim makes a replica id, a second keeps it and counts on', async (under, store) => {
      const first = await store.claim(claimOf('a'))
      expect(first).toMatchObject({ replicaId: 'replica-of-a', isNew: true, claimNumber: 1, positions: [], sealed: [] })
      await store.close()
      const second = under.open()
      const contents = await second.claim(claimOf('b'))
      expect(contents).toMatchObject({ replicaId: 'replica-of-a', isNew: false, claimNumber: 2 })
      await second.close()
    })

    storeTest('data and position arrive together and are found by any offset inside', async (_, store) => {
      await store.claim(claimOf('a'))
      await store.commitDelivery([{ position: position(30), chunks: [chunk(0, 10), chunk(10, 20), chunk(25, 30)] }])
      const from = async (offset: number, bytesMax = 1) =>
        (await store.readChunks(TOPIC, 0, offset, bytesMax)).map((each) => [each.baseOffset, each.nextOffset])
      expect(await from(0)).toEqual([[0, 10]])
      expect(await from(9)).toEqual([[0, 10]])
      expect(await from(10)).toEqual([[10, 20]])
      expect(await from(22)).toEqual([[25, 30]])
      expect(await from(30)).toEqual([])
      expect(await from(0, 20)).toEqual([
        [0, 10],
        [10, 20],
      ])
      expect(await from(5, 1_000_000)).toHaveLength(3)
    })

    storeTest('partitions and topics are apart', async (_, store) => {
      await store.claim(claimOf('a'))
      await store.commitDelivery([
        { position: position(10), chunks: [chunk(0, 10)] },
        { position: position(7, { partition: 1 }), chunks: [chunk(5, 7)] },
        { position: position(4, { topicId: 'topicB' }), chunks: [chunk(1, 4)] },
      ])
      expect(await store.readChunks(TOPIC, 0, 10, 99)).toEqual([])
      expect((await store.readChunks(TOPIC, 1, 0, 99))[0]).toMatchObject({ baseOffset: 5, nextOffset: 7 })
      await store.dropTopic(TOPIC)
      expect(await store.readChunks(TOPIC, 1, 0, 99)).toEqual([])
      expect(await store.readChunks('topicB', 0, 0, 99)).toHaveLength(1)
      expect((await store.claim(claimOf('a'))).positions.map((each) => each.topicId)).toEqual(['topicB'])
    })

    storeTest('more rows than a page of reading are all found, in order', async (_, store) => {
      await store.claim(claimOf('a'))
      const chunks = Array.from({ length: 300 }, (_, index) => chunk(index, index + 1, 100))
      await store.commitDelivery([{ position: position(300), chunks }])
      const all = await store.readChunks(TOPIC, 0, 0, 1_000_000)
      expect(all.map((each) => each.baseOffset)).toEqual(chunks.map((each) => each.baseOffset))
      expect(await store.readChunks(TOPIC, 0, 0, 2_000)).toHaveLength(20)
    })

    storeTest('chunks are replaced with their position at once', async (_, store) => {
      await store.claim(claimOf('a'))
      await store.commitDelivery([
        { position: position(40), chunks: [chunk(0, 10), chunk(10, 20), chunk(20, 30), chunk(30, 40)] },
      ])
      const merged = position(40, { mergedUpTo: 30 })
      await store.replaceChunks({ position: merged, fromOffset: 10, toOffset: 30, chunks: [chunk(10, 30, 20)] })
      const bounds = (await store.readChunks(TOPIC, 0, 0, 1_000)).map((each) => [each.baseOffset, each.nextOffset])
      expect(bounds).toEqual([
        [0, 10],
        [10, 30],
        [30, 40],
      ])
      const cut = position(15, { generation: 1 })
      await store.replaceChunks({
        position: cut,
        fromOffset: 15,
        toOffset: Number.POSITIVE_INFINITY,
        chunks: [chunk(10, 15)],
      })
      expect((await store.claim(claimOf('a'))).positions).toEqual([cut])
      expect((await store.readChunks(TOPIC, 0, 0, 1_000)).map((each) => each.nextOffset)).toEqual([10, 15])
    })

    storeTest(
      'bytes are the store\u2019s own: a view brings no neighbours and later writes change nothing',
      async (_, store) => {
        await store.claim(claimOf('a'))
        const buffer = new Uint8Array(1_000).fill(1)
        const view = buffer.subarray(100, 110)
        await store.commitDelivery([{ position: position(1), chunks: [{ ...chunk(0, 1), bytes: view }] }])
        await store.changeOutbox({ putRows: [row(1, { batch: view })] })
        buffer.fill(2)
        const bytes = (await store.readChunks(TOPIC, 0, 0, 1))[0]!.bytes
        expect([...bytes]).toEqual(new Array(10).fill(1))
        expect(bytes.buffer.byteLength).toBe(10)
        const [found] = await store.readOutboxRows([1])
        expect([...found!.batch]).toEqual(new Array(10).fill(1))
      },
    )

    storeTest('topics are kept', async (_, store) => {
      await store.claim(claimOf('a'))
      const topic = { topicId: TOPIC, name: 'flights', partitionCount: 3, policy: { lastRecords: 5 } }
      await store.putTopics([topic])
      expect((await store.claim(claimOf('a'))).topics).toEqual([topic])
    })

    storeTest('an outbox change is one step: rows, sealed batches, identities, settled writes', async (_, store) => {
      await store.claim(claimOf('a'))
      const identity = { topicId: TOPIC, partition: 0, producerId: 7, producerEpoch: 0, nextSequence: 2 }
      await store.changeOutbox({ putRows: [row(10), row(20), row(30)] })
      await store.changeOutbox({ putSealed: [sealed(1, [10, 20])], putIdentities: [identity] })
      expect(await store.claim(claimOf('a'))).toMatchObject({ sealed: [sealed(1, [10, 20])], identities: [identity] })
      const write = { id: 'id-10', atMs: 9, recordCount: 1, partitions: [0], offsets: [4] }
      await store.changeOutbox({ deleteSealed: [1], deleteRows: [10, 20], putSettled: [write], durability: 'relaxed' })
      expect(await store.claim(claimOf('a'))).toMatchObject({ sealed: [], settled: [write] })
      expect((await store.readOutbox(-1, 10)).map((each) => each.key)).toEqual([30])
      await store.changeOutbox({ deleteSettled: ['id-10'], deleteIdentities: [{ topicId: TOPIC, partition: 0 }] })
      expect(await store.claim(claimOf('a'))).toMatchObject({ settled: [], identities: [] })
    })

    storeTest('a delete and a put of the same key leave what was put', async (_, store) => {
      await store.claim(claimOf('a'))
      await store.changeOutbox({ putRows: [row(10)] })
      await store.changeOutbox({ deleteRows: [10], putRows: [row(10, { state: 'parked' })] })
      expect((await store.readOutboxRows([10, 11])).map((each) => each?.state)).toEqual(['parked', undefined])
    })

    storeTest('outbox rows come in pages, in the order of their keys', async (_, store) => {
      await store.claim(claimOf('a'))
      await store.changeOutbox({ putRows: [row(30), row(10), row(20), row(40)] })
      expect((await store.readOutbox(-1, 2)).map((each) => each.key)).toEqual([10, 20])
      expect((await store.readOutbox(20, 2)).map((each) => each.key)).toEqual([30, 40])
      expect(await store.readOutbox(40, 2)).toEqual([])
    })

    storeTest('a writer that was taken over is fenced and changes nothing', async (under, store) => {
      await store.claim(claimOf('a'))
      const newer = under.open()
      await newer.claim(claimOf('b'))
      const fenced = { kind: 'fenced' }
      await expect(store.changeOutbox({ putRows: [row(1)] })).rejects.toMatchObject(fenced)
      await expect(store.commitDelivery([{ position: position(9), chunks: [chunk(0, 9)] }])).rejects.toMatchObject(
        fenced,
      )
      await expect(store.putTopics([])).rejects.toMatchObject(fenced)
      await expect(store.dropTopic(TOPIC)).rejects.toMatchObject(fenced)
      await expect(store.dropDocuments()).rejects.toMatchObject(fenced)
      await newer.changeOutbox({ putRows: [row(2)] })
      expect((await newer.readOutbox(-1, 10)).map((each) => each.key)).toEqual([2])
      expect(await newer.readChunks(TOPIC, 0, 0, 1)).toEqual([])
      await newer.close()
    })

    storeTest(
      'a cleared database is noticed at the next write, and the next claim is a new replica',
      async (under, store) => {
        await store.claim(claimOf('a'))
        await store.commitDelivery([{ position: position(9), chunks: [chunk(0, 9)] }])
        await under.clear()
        const evicted = { kind: 'evicted' }
        await expect(store.commitDelivery([{ position: position(12), chunks: [] }])).rejects.toMatchObject(evicted)
        await expect(store.changeOutbox({ putRows: [row(1)] })).rejects.toMatchObject(evicted)
        expect(await store.claim(claimOf('c'))).toMatchObject({ replicaId: 'replica-of-c', isNew: true, positions: [] })
      },
    )

    storeTest(
      '[LGO-5] after the end of a life nothing is there, and only who knows of no life may begin',
      async (_, store) => {
        await store.claim(claimOf('a'))
        await store.commitDelivery([{ position: position(9), chunks: [chunk(0, 9)] }])
        await store.changeOutbox({ putRows: [row(1)] })
        await store.end(true)
        const loggedOut = { kind: 'logged-out' }
        await expect(store.changeOutbox({ putRows: [row(2)] })).rejects.toMatchObject(loggedOut)
        await expect(store.end(false)).rejects.toMatchObject(loggedOut)
        await expect(store.claim({ ...claimOf('b'), life: 0 })).rejects.toMatchObject(loggedOut)
        const kept = await store.claim(claimOf('c'))
        expect(kept).toMatchObject({ replicaId: 'replica-of-a', life: 1, positions: [] })
        expect(await store.readOutbox(-1, 9)).toHaveLength(1)
        await store.end(false)
        expect(await store.claim(claimOf('d'))).toMatchObject({ replicaId: 'replica-of-d', isNew: true, life: 2 })
        expect(await store.readOutbox(-1, 9)).toEqual([])
      },
    )

    storeTest(
      'documents are kept by topic and name, the newest of each, and go with their topic and life',
      async (_, store) => {
        await store.claim(claimOf('a'))
        const document = (documentId: string, nextOffset: number, more = {}) => ({
          ...{
            topicId: TOPIC,
            documentId,
            partition: 2,
            generation: 1,
            nextOffset,
            update: new Uint8Array([nextOffset]),
          },
          ...more,
        })
        await store.putDocument(document('a', 1))
        await store.putDocument(document('a', 2))
        await store.putDocument(document('a/b', 3))
        await store.putDocument(document('a', 4, { topicId: 'topicBBBBBBBBBBBBBBBBB' }))
        expect(await store.readDocument(TOPIC, 'a')).toEqual(document('a', 2))
        expect(await store.readDocument(TOPIC, 'a/b')).toEqual(document('a/b', 3))
        expect(await store.readDocument(TOPIC, 'b')).toBeUndefined()
        await store.dropTopic(TOPIC)
        expect(await store.readDocument(TOPIC, 'a')).toBeUndefined()
        expect(await store.readDocument('topicBBBBBBBBBBBBBBBBB', 'a')).toMatchObject({ nextOffset: 4 })
        expect(await store.dropDocuments()).toBe(true)
        expect(await store.dropDocuments()).toBe(false)
        await store.putDocument(document('a', 5))
        await store.end(true)
        await store.claim(claimOf('b'))
        expect(await store.readDocument(TOPIC, 'a')).toBeUndefined()
      },
    )

    storeTest('documents do not grow without end: what was kept longest ago goes', async (_, store) => {
      await store.claim(claimOf('a'))
      const large = {
        topicId: TOPIC,
        partition: 0,
        generation: 0,
        nextOffset: 1,
        update: new Uint8Array(30 * 1024 * 1024),
      }
      for (const documentId of ['a', 'b', 'a', 'c']) await store.putDocument({ ...large, documentId })
      expect(await store.readDocument(TOPIC, 'b')).toBeUndefined()
      for (const documentId of ['a', 'c']) expect(await store.readDocument(TOPIC, documentId)).toBeDefined()
    })

    storeTest('after close nothing is written', async (_, store) => {
      await store.claim(claimOf('a'))
      await store.close()
      await store.close()
      await expect(store.changeOutbox({ putRows: [row(1)] })).rejects.toMatchObject({ kind: 'closed' })
    })
  })
}
