import 'fake-indexeddb/auto'
import { deleteDB, openDB } from 'idb'
import { expect, test } from 'vitest'
import { databaseName } from '../../../client/replica/idb-format.ts'
import { openReplicaReader } from '../../../client/replica/idb-reader.ts'
import { IdbStore } from '../../../client/replica/idb-store.ts'
import { chunk, describeReplicaStore, position, row } from '../../contract/replica-store.ts'

let databases = 0

describeReplicaStore('IndexedDB store (fake-indexeddb)', async () => {
  const replica = `test-${databases++}`
  return {
    open: () => new IdbStore({ replica }),
    clear: () => deleteDB(databaseName(replica)),
    dispose: () => deleteDB(databaseName(replica)),
  }
})

const claim = { token: 't', newReplicaId: 'r' }

test('a delete by somebody else is never held up by an open store or reader', async () => {
  const replica = `test-${databases++}`
  const store = new IdbStore({ replica })
  await store.claim(claim)
  const reader = await openReplicaReader(replica)
  let wasBlocked = false
  await deleteDB(databaseName(replica), { blocked: () => (wasBlocked = true) })
  expect(wasBlocked).toBe(false)
  expect(reader?.isOpen).toBe(false)
  await store.close()
})

test('a connection that dies under a unit is opened again and the unit repeated', async () => {
  const replica = `test-${databases++}`
  const store = new IdbStore({ replica })
  await store.claim(claim)
  const transaction = IDBDatabase.prototype.transaction
  let failuresLeft = 2
  IDBDatabase.prototype.transaction = function (...args) {
    if (failuresLeft-- > 0)
      throw new DOMException('Connection to Indexed Database server lost. Refresh', 'UnknownError')
    return transaction.apply(this, args)
  }
  try {
    await store.changeOutbox({ putRows: [row(1)] })
  } finally {
    IDBDatabase.prototype.transaction = transaction
  }
  expect(failuresLeft).toBeLessThanOrEqual(0)
  expect(await store.readOutbox(-1, 9)).toHaveLength(1)
  await store.close()
})

test('the reader opens only what exists, and reads without claiming', async () => {
  const replica = `test-${databases++}`
  expect(await openReplicaReader(replica)).toBeUndefined()
  const names = (await indexedDB.databases()).map(({ name }) => name)
  expect(names).not.toContain(databaseName(replica))

  const store = new IdbStore({ replica })
  await store.claim(claim)
  const topic = { topicId: position(0).topicId, name: 'flights', partitionCount: 1, policy: {} }
  await store.putTopics([topic])
  await store.commitDelivery([{ position: position(20), chunks: [chunk(0, 10), chunk(10, 20)] }])

  const reader = await openReplicaReader(replica)
  expect(await reader?.overview()).toEqual({ topics: [topic], positions: [position(20)] })
  const [first] = await reader!.read({ topicId: topic.topicId, partition: 0, offset: 3, bytesMax: 1 })
  expect(first).toMatchObject({ baseOffset: 0, nextOffset: 10 })
  await store.changeOutbox({ putRows: [row(1)] })
  reader?.close()
  await store.close()
})

test('a replica that a newer format has moved refuses to be claimed', async () => {
  const replica = `test-${databases++}`
  const store = new IdbStore({ replica })
  await store.claim(claim)
  const database = await openDB(databaseName(replica))
  await database.put('meta', 2, 'movedTo')
  database.close()
  await expect(store.claim(claim)).rejects.toMatchObject({ kind: 'moved' })
  await store.close()
})
