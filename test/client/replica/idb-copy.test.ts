/** A change of layout, seen from both sides: what was stored is there, and the tab with the old layout is only fenced. */
import 'fake-indexeddb/auto'
import { deleteDB, openDB } from 'idb'
import { expect, test } from 'vitest'
import type { OlderFormat } from '../../../client/replica/idb-copy.ts'
import { createStores, databaseName, type ReplicaSchema } from '../../../client/replica/idb-format.ts'
import { IdbStore } from '../../../client/replica/idb-store.ts'
import { position, row } from '../../contract/replica-store.ts'

const OLD = 0
let replicas = 0

/** The old layout had another name for the partition count, and chunks that are not worth converting. */
const older: OlderFormat = {
  format: OLD,
  convert(store, value) {
    if (store === 'chunks' || store === 'positions') return undefined
    if (store !== 'topics') return value
    const { count, ...topic } = value as { count: number }
    return { ...topic, partitionCount: count }
  },
}

async function oldDatabase(replica: string) {
  const database = await openDB<ReplicaSchema>(databaseName(replica, OLD), 1, { upgrade: (db) => createStores(db) })
  await database.put('meta', 'old-replica', 'replicaId')
  await database.put('meta', 4, 'claimNumber')
  await database.put('positions', 'old-writer', 'owner')
  await database.put('producers', 'old-writer', 'owner')
  await database.put('topics', { topicId: 'id', name: 'flights', count: 3, policy: null } as never, 'id')
  await database.put('positions', position(9), ['id', 0])
  for (let key = 1; key <= 150; key++) await database.put('outbox', row(key), key)
  return database
}

const claim = (token: string) => ({ token, newReplicaId: 'new-replica' })
const names = async () => (await indexedDB.databases()).map(({ name }) => name)

test('a new layout takes over what the old one holds, converted, and the old database goes', async () => {
  const replica = `copy-${replicas++}`
  const before = await oldDatabase(replica)
  before.close()
  const store = new IdbStore({ replica, olderFormats: [older] })
  const contents = await store.claim(claim('new-writer'))
  expect(contents).toMatchObject({ replicaId: 'old-replica', isNew: false, claimNumber: 5, positions: [] })
  expect(contents.topics).toEqual([{ topicId: 'id', name: 'flights', partitionCount: 3, policy: null }])
  expect(await store.readOutbox(-1, 200)).toHaveLength(150)
  await expect.poll(names).not.toContain(databaseName(replica, OLD))
  await store.changeOutbox({ deleteRows: [1] })
  expect((await store.claim(claim('later'))).claimNumber).toBe(6)
  expect(await store.readOutbox(-1, 200)).toHaveLength(149)
  await store.close()
})

test('[REP-7] a tab that holds the old database open blocks nothing and is fenced', async () => {
  const replica = `copy-${replicas++}`
  const held = await oldDatabase(replica)
  const store = new IdbStore({ replica, olderFormats: [older] })
  await store.claim(claim('new-writer'))
  expect(await store.readOutbox(-1, 200)).toHaveLength(150)
  expect(await held.get('producers', 'owner')).toBe('new-writer')
  expect(await held.get('meta', 'movedTo')).toBe(1)
  held.close()
  await store.close()
  await deleteDB(databaseName(replica))
})

test('a copy that was interrupted is begun again', async () => {
  const replica = `copy-${replicas++}`
  ;(await oldDatabase(replica)).close()
  const failing: OlderFormat = {
    format: OLD,
    convert(store, value) {
      if (store === 'sealed') return value
      if (store === 'outbox' && (value as { key: number }).key === 100) throw new Error('the process died')
      return older.convert(store, value)
    },
  }
  const first = new IdbStore({ replica, olderFormats: [failing] })
  await expect(first.claim(claim('first'))).rejects.toThrow()
  await first.close()
  const second = new IdbStore({ replica, olderFormats: [older] })
  expect(await second.claim(claim('second'))).toMatchObject({ replicaId: 'old-replica' })
  expect(await second.readOutbox(-1, 200)).toHaveLength(150)
  await second.close()
})
