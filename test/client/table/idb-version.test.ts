/** A database of another version than this code's: an older one is upgraded in place, a newer one is left alone. */
import 'fake-indexeddb/auto'
import { afterEach, expect, test } from 'vitest'
import { IdbConnection } from '../../../client/replica/idb-connection.ts'
import { string } from '../../../client/serde.ts'
import { foldRecords } from '../../../client/table/fold.ts'
import { TABLES_VERSION, tablesDatabaseName } from '../../../client/table/idb-format.ts'
import { IdbTableStore } from '../../../client/table/idb-store.ts'
import { buildIndexes } from '../../../client/table/index-building.ts'
import { PageTables } from '../../../client/table/page-tables.ts'
import type { TablePage } from '../../../client/table/seam.ts'
import type { PageQuery } from '../../../client/table/store.ts'
import { StoredRows } from '../../../client/table/stored-rows.ts'
import { HandClock } from '../../../protocol/lib/clock.ts'
import { putBackToVersion1 } from '../../support/tables-version-1.ts'

const TOPIC_ID = 'T'.repeat(22)
const INDEXES = { byPlace: 'place' }
const ALL: PageQuery = {
  ...{ topicId: TOPIC_ID, index: null, from: null, to: null, after: null },
  ...{ isReverse: false, countMax: 1_000 },
}
const BY_PLACE: PageQuery = { ...ALL, index: 'byPlace' }
const POSITION = {
  ...{ topicId: TOPIC_ID, partition: 0, nextOffset: 40, generation: 0, build: 1 },
  ...{ isComplete: true, logStart: 0, upToDateAtMs: 0 },
}

const open: Array<{ close(): unknown }> = []
afterEach(async () => {
  for (const each of open.splice(0)) await each.close()
})

function storeOf(replica: string): IdbTableStore {
  const store = new IdbTableStore(replica)
  open.push(store)
  return store
}

async function fill(replica: string): Promise<void> {
  const store = new IdbTableStore(replica)
  await store.putTable({ topicId: TOPIC_ID, topic: 't', indexes: INDEXES })
  const records = Array.from({ length: 40 }, (_, offset) => ({
    ...{ offset, timestamp: 1, headers: [] },
    key: string.encode(`k${String(offset).padStart(2, '0')}`),
    value: string.encode(JSON.stringify({ place: [40 - offset, 100 + offset] })),
  }))
  const keys = records.map(({ key }) => key)
  await store.change(TOPIC_ID, keys, null, (rows) => foldRecords(records, rows, POSITION, INDEXES))
  await store.close()
}

const keysOf = async (store: IdbTableStore, query: PageQuery) =>
  (await store.page(query)).map(({ row }) => string.decode(row.key))

function openRaw(name: string, version?: number): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open(name, version)
    opening.onsuccess = () => resolve(opening.result)
    opening.onerror = () => reject(opening.error)
  })
}

test('[TAB-24] a database of version 1 keeps its rows and positions, and has its indexes made anew', async () => {
  await fill('upgraded')
  await putBackToVersion1(tablesDatabaseName('upgraded'))
  const store = storeOf('upgraded')
  const rows = new StoredRows(store, 't', INDEXES)
  await rows.load(TOPIC_ID)
  expect(rows.table.indexes).toEqual({})
  expect(rows.positions()).toEqual([POSITION])
  const byKey = Array.from({ length: 40 }, (_, index) => `k${String(index).padStart(2, '0')}`)
  expect(await keysOf(store, ALL)).toEqual(byKey)
  await buildIndexes(rows)
  expect(rows.table.indexes).toEqual(INDEXES)
  expect(await keysOf(store, BY_PLACE)).toEqual([...byKey].reverse().concat(byKey))
  expect(await store.count(BY_PLACE)).toBe(80)
  await store.close()
  const database = await openRaw(tablesDatabaseName('upgraded'))
  expect([...database.objectStoreNames]).toEqual(['positions', 'rows', 'tables'])
  database.close()
})

test('[TAB-24] who has the old database open and hears of the upgrade does not stand in its way', async () => {
  await fill('held')
  const name = tablesDatabaseName('held')
  await putBackToVersion1(name)
  const old = await openRaw(name)
  old.onversionchange = () => old.close()
  const page = new PageTables({ replica: 'held', isQuiet: () => true })
  open.push(page)
  const definition = { topic: 't', indexes: INDEXES, policy: {}, tombstonesKeptMs: 1_000 }
  let asked = 0
  const read = () =>
    page.read(definition, BY_PLACE, async (): Promise<TablePage> => {
      asked++
      return { rows: [], next: null, bareTopicId: TOPIC_ID }
    })
  await read()
  // The page is told that it may read, and finds a database that it does not know: it neither reads nor upgrades it.
  await read()
  expect(asked).toBe(2)
  expect(old.version).toBe(1)
  const rows = new StoredRows(storeOf('held'), 't', INDEXES)
  await rows.load(TOPIC_ID)
  await buildIndexes(rows)
  expect((await read()).rows).toHaveLength(80)
  expect(asked).toBe(2)
})

test('[TAB-24] an upgrade takes as long as there are rows, and is not taken for somebody who holds the database', async () => {
  const clock = new HandClock()
  const slowly = (database: IDBDatabase) => {
    database.createObjectStore('rows')
    clock.advance(60_000)
  }
  const connection = new IdbConnection('ottla-tables/slow/1', clock, slowly, undefined, TABLES_VERSION)
  open.push(connection)
  expect(await connection.run('opening', async ({ version }) => version)).toBe(TABLES_VERSION)
})

test('[TAB-25] a client that finds a newer database says that the page is to be loaded again, and leaves it as it is', async () => {
  await fill('newer')
  const name = tablesDatabaseName('newer')
  const store = storeOf('newer')
  expect(await keysOf(store, ALL)).toHaveLength(40)
  // Whoever upgrades does not wait for the store that is open, which finds it out with its next call.
  const newer = await openRaw(name, TABLES_VERSION + 1)
  open.push(newer)
  const failure = await store.page(ALL).catch((thrown: unknown) => thrown)
  expect(failure).toMatchObject({ kind: 'moved' })
  expect((failure as { toOttlaError(): Error }).toOttlaError()).toMatchObject({
    ...{ code: 'REPLACED', storage: 'moved', retriable: false },
    hint: expect.stringContaining('load this page again'),
  })
  const still = await openRaw(name)
  open.push(still)
  expect(still.version).toBe(TABLES_VERSION + 1)
})
