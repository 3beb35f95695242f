/** A page's own reads, beside a store that another context writes. */
import 'fake-indexeddb/auto'
import { afterEach, expect, test } from 'vitest'
import { string } from '../../../client/serde.ts'
import { foldRecords } from '../../../client/table/fold.ts'
import { tablesDatabaseName } from '../../../client/table/idb-format.ts'
import { IdbTableStore } from '../../../client/table/idb-store.ts'
import { PageTables } from '../../../client/table/page-tables.ts'
import type { TableDefinition, TableNews, TablePage, TableRead } from '../../../client/table/seam.ts'

const TOPIC_ID = 'T'.repeat(22)
const DEFINITION: TableDefinition = { topic: 't', indexes: { byPlace: 'place' }, policy: {}, tombstonesKeptMs: 1_000 }
const ALL: TableRead = { index: null, from: null, to: null, after: null, isReverse: false, countMax: 10 }
const BY_PLACE: TableRead = { ...ALL, index: 'byPlace' }
const BARE: TableNews = {
  ...{ topic: 't', changes: [], isReset: false, bareTopicId: TOPIC_ID },
  state: { isReady: true, isUpToDate: true, error: null },
}

const open: Array<{ close(): unknown }> = []
afterEach(async () => {
  for (const each of open.splice(0)) await each.close()
})

async function fill(replica: string, places: Record<string, number>, indexPath = 'place'): Promise<IdbTableStore> {
  const store = new IdbTableStore(replica)
  open.push(store)
  await store.putTable({ topicId: TOPIC_ID, topic: 't', indexes: { byPlace: indexPath } })
  const records = Object.entries(places).map(([key, place], offset) => ({
    ...{ offset, timestamp: 1, headers: [] },
    key: string.encode(key),
    value: string.encode(JSON.stringify({ place })),
  }))
  const position = {
    ...{ topicId: TOPIC_ID, partition: 0, nextOffset: records.length, generation: 0, build: 1 },
    ...{ isComplete: true, logStart: 0, upToDateAtMs: 0 },
  }
  const keys = records.map(({ key }) => key)
  await store.change(TOPIC_ID, keys, null, (rows) => foldRecords(records, rows, position, { byPlace: indexPath }))
  return store
}

/** `bare`: what the host says with each answer. It has no rows, so that one sees who answered. */
function pageOf(replica: string, bare: string | null = TOPIC_ID) {
  const host = { bare, asked: 0, isQuiet: true, during: () => {} }
  const page = new PageTables({ replica, isQuiet: () => host.isQuiet })
  open.push(page)
  const ask = async (): Promise<TablePage> => {
    host.asked++
    host.during()
    return { rows: [], next: null, bareTopicId: host.bare }
  }
  const read = async (what: TableRead = ALL, definition = DEFINITION) =>
    (await page.read(definition, what, ask)).rows.map(({ key }) => string.decode(key))
  return { host, page, read }
}

test('[TAB-19] a page reads rows, an index and counts by itself once the host has said that nothing waits over them', async () => {
  await fill('own', { a: 3, b: 1, c: 2 })
  const { host, page, read } = pageOf('own')
  expect(await read()).toEqual([])
  expect(await read()).toEqual(['a', 'b', 'c'])
  expect(await read(BY_PLACE)).toEqual(['b', 'c', 'a'])
  expect(await read({ ...BY_PLACE, isReverse: true, countMax: 2 })).toEqual(['a', 'c'])
  expect(await page.count(DEFINITION, ALL, async () => -1)).toBe(3)
  expect(host.asked).toBe(1)
})

test('[TAB-19] pages follow each other, each row once', async () => {
  await fill('pages', { a: 1, b: 1, c: 1, d: 2, e: 2 })
  const { page, read } = pageOf('pages')
  await read()
  const seen: string[] = []
  for (let after: TablePage['next'] = null; ; ) {
    const { rows, next } = await page.read(DEFINITION, { ...BY_PLACE, after, countMax: 2 }, async () => {
      throw new Error('the host was asked')
    })
    seen.push(...rows.map(({ key }) => string.decode(key)))
    if (!next) break
    after = next
  }
  expect(seen).toEqual(['a', 'b', 'c', 'd', 'e'])
})

test('[TAB-5] many rows of an index come in its order, whether they lie near each other or not', async () => {
  const keys = Array.from({ length: 400 }, (_, index) => `k${String(index).padStart(3, '0')}`)
  const inOrder = Object.fromEntries(keys.map((key, index) => [key, index]))
  const scattered = Object.fromEntries(keys.map((key, index) => [key, (index * 37) % keys.length]))
  // Of each pair of neighbours one is behind all: every second row of the stretch is a stranger.
  const halves = Object.fromEntries(keys.map((key, index) => [key, index % 2 ? index + keys.length : index]))
  for (const [name, places] of Object.entries({ inOrder, scattered, halves })) {
    const store = await fill(name, places)
    const byPlace = [...keys].sort((a, b) => places[a]! - places[b]!)
    for (const countMax of [1, 7, 8, 40, 200, 400]) {
      const page = await store.page({ topicId: TOPIC_ID, ...BY_PLACE, countMax })
      expect(page.map(({ row }) => string.decode(row.key))).toEqual(byPlace.slice(0, countMax))
    }
  }
})

test('[TAB-19] where a write waits the host is asked: one of the page, one that it hears of, one that an answer tells of', async () => {
  await fill('waits', { a: 1 })
  const { host, page, read } = pageOf('waits')
  await read()
  host.isQuiet = false
  page.wrote()
  expect(await read()).toEqual([])
  expect(await read()).toEqual([])
  host.isQuiet = true
  page.wrote()
  expect(await read()).toEqual(['a'])
  page.heard({ ...BARE, bareTopicId: null })
  host.bare = null
  expect(await read()).toEqual([])
  expect(await read()).toEqual([])
  // Late news of better times are no reason to go on.
  page.heard(BARE)
  expect(await read()).toEqual([])
})

test('[TAB-19] an answer that was overtaken by a write does not count', async () => {
  await fill('overtaken', { a: 1 })
  const { host, page, read } = pageOf('overtaken')
  host.during = () => page.wrote()
  await read()
  host.during = () => page.heard({ ...BARE, bareTopicId: null })
  expect(await read()).toEqual([])
  host.during = () => {}
  expect(await read()).toEqual([])
  expect(await read()).toEqual(['a'])
})

test('[TAB-19] without a host, after a topic was made anew, and of an index that is being made the host is asked', async () => {
  await fill('doubts', { a: 1 }, 'elsewhere')
  const { page, read } = pageOf('doubts')
  await read()
  expect(await read(BY_PLACE)).toEqual([])
  expect(await read()).toEqual(['a'])
  page.heard({ ...BARE, bareTopicId: 'N'.repeat(22) })
  expect(await read()).toEqual([])
  expect(await read()).toEqual(['a'])
  page.close()
  expect(await read()).toEqual([])
})

test('[TAB-19] a page makes no database, and is in nobody’s way who deletes it', async () => {
  const name = tablesDatabaseName('deleted')
  const { read } = pageOf('deleted')
  await read()
  expect(await read()).toEqual([])
  expect((await indexedDB.databases()).map((each) => each.name)).not.toContain(name)
  const store = await fill('deleted', { a: 1 })
  expect(await read()).toEqual(['a'])
  await store.close()
  await new Promise<void>((resolve, reject) => {
    const deletion = indexedDB.deleteDatabase(name)
    deletion.onsuccess = () => resolve()
    deletion.onblocked = deletion.onerror = () => reject(new Error('the page holds the database'))
  })
  expect(await read()).toEqual([])
})
