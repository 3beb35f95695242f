/** Reading rows of tables out of an open database; shared by the worker's store and by pages. */
import { answerTo } from '../replica/idb-request.ts'
import type { StoredRow } from './fold.ts'
import { edgeOf, endOf, entryOf, placeIn, prefixOf } from './idb-entry.ts'
import { BEHIND_BYTES, ENTRIES, type KeptRow, type StoreOf } from './idb-format.ts'
import { compareBytes, compareCursors, isWithin, textOf } from './key-order.ts'
import type { TableCursor } from './seam.ts'
import type { PageQuery, PageRow } from './store.ts'

/** To look for fewer one by one is as good. */
const MANY = 8

export type CountQuery = Pick<PageQuery, 'topicId' | 'index' | 'from' | 'to'>
type Rows = IDBObjectStore | IDBIndex

export async function pageIn(storeOf: StoreOf, query: PageQuery): Promise<PageRow[]> {
  const range = rangeOf(query)
  if (!range) return []
  const { index, countMax, isReverse } = query
  const rows = rowsBy(storeOf, index)
  const found = await (isReverse ? backward(rows, range, countMax) : answerTo<KeptRow[]>(rows.getAll(range, countMax)))
  return index === null ? found.map((row) => ({ at: row.key, row })) : placed(found, index, query)
}

export async function countIn(storeOf: StoreOf, query: CountQuery): Promise<number> {
  const range = rangeOf({ ...query, after: null, isReverse: false })
  return range ? answerTo(rowsBy(storeOf, query.index).count(range)) : 0
}

export async function rowsIn(
  store: IDBObjectStore,
  topicId: string,
  keys: readonly Uint8Array[],
): Promise<Array<StoredRow | undefined>> {
  const there = keys.length < MANY ? undefined : await keysThere(store, topicId, keys)
  const isThere = (key: Uint8Array) => !there || there.has(textOf(key))
  return Promise.all(
    keys.map((key) => (isThere(key) ? answerTo<KeptRow | undefined>(store.get([topicId, key] as never)) : undefined)),
  )
}

/**
 * Which of many keys are there, from one request; undefined: there is too much among them to tell. New rows mostly have keys
 * behind all others, and to look for each takes a fifth of the time in which a table fills.
 */
async function keysThere(
  store: IDBObjectStore,
  topicId: string,
  keys: readonly Uint8Array[],
): Promise<Set<string> | undefined> {
  const sorted = [...keys].sort(compareBytes)
  const range = IDBKeyRange.bound([topicId, sorted[0] as never], [topicId, sorted.at(-1) as never])
  const found = await answerTo(store.getAllKeys(range, keys.length))
  if (found.length === keys.length) return undefined
  return new Set(found.map((key) => textOf(new Uint8Array((key as [string, ArrayBuffer])[1]))))
}

function rowsBy(storeOf: StoreOf, index: string | null): Rows {
  return index === null ? storeOf('rows') : storeOf('rows').index(ENTRIES)
}

/** What keys of an order look like. */
interface Order {
  start: IDBValidKey
  end: IDBValidKey
  edge(at: Uint8Array): IDBValidKey
  place(cursor: TableCursor): IDBValidKey
}

function orderOf({ topicId, index }: Pick<PageQuery, 'topicId' | 'index'>): Order {
  if (index === null) {
    const edge = (key: Uint8Array) => [topicId, key as never]
    return { start: [topicId], end: [topicId, BEHIND_BYTES], edge, place: ({ key }) => edge(key) }
  }
  const prefix = prefixOf(topicId, index)
  return {
    start: prefix,
    end: endOf(prefix),
    edge: (at) => edgeOf(prefix, at),
    place: (cursor) => entryOf(prefix, cursor),
  }
}

/** null: nothing can lie in it. */
function rangeOf({ from, to, after, isReverse, ...which }: Omit<PageQuery, 'countMax'>): IDBKeyRange | null {
  const order = orderOf(which)
  let [lower, lowerOpen] = [from ? order.edge(from) : order.start, false]
  let [upper, upperOpen] = [to ? order.edge(to) : order.end, true]
  if (after && isReverse) [upper, upperOpen] = [order.place(after), true]
  if (after && !isReverse) [lower, lowerOpen] = [order.place(after), true]
  const compared = indexedDB.cmp(lower, upper)
  if (compared > 0 || (compared === 0 && (lowerOpen || upperOpen))) return null
  return IDBKeyRange.bound(lower, upper, lowerOpen, upperOpen)
}

/** In one request where the engine can give a stretch from its end (Chromium from 141 on), else row by row. */
function backward(rows: Rows, range: IDBKeyRange, countMax: number): Promise<KeptRow[]> {
  if ('getAllRecords' in rows) return backwardAtOnce(rows as RecordsReader, range, countMax)
  return new Promise((resolve, reject) => {
    const found: KeptRow[] = []
    const request = rows.openCursor(range, 'prev')
    request.onerror = () => reject(request.error)
    request.onsuccess = () => {
      const cursor = request.result
      if (!cursor) return resolve(found)
      found.push(cursor.value)
      if (found.length === countMax) return resolve(found)
      cursor.continue()
    }
  })
}

interface RecordsReader {
  getAllRecords(options: { query: IDBKeyRange; count: number; direction: 'prev' }): IDBRequest<IDBCursorWithValue[]>
}

async function backwardAtOnce(rows: RecordsReader, query: IDBKeyRange, count: number): Promise<KeptRow[]> {
  const records = await answerTo(rows.getAllRecords({ query, count, direction: 'prev' }))
  return records.map(({ value }) => value)
}

/** A row comes once for each of its entries in the range: the n-th time for the n-th of them. */
function placed(rows: readonly KeptRow[], index: string, query: PageQuery): PageRow[] {
  const prefix = prefixOf(query.topicId, index)
  const times = new Map<string, number>()
  return rows.map((row) => {
    const places = placesOf(row, prefix, query)
    if (places.length === 1) return { at: places[0]!.at, row }
    const text = textOf(row.key)
    const time = times.get(text) ?? 0
    times.set(text, time + 1)
    return { at: places[time]!.at, row }
  })
}

/** What the query has of the row's entries, in its order. */
function placesOf({ key, entries = [] }: KeptRow, prefix: string, { from, to, after, isReverse }: PageQuery) {
  const order = (a: TableCursor, b: TableCursor) => (isReverse ? -1 : 1) * compareCursors(a, b)
  const places: TableCursor[] = []
  for (const entry of entries) {
    const at = placeIn(prefix, entry)
    if (at && isWithin(at, { from, to }) && (!after || order({ at, key }, after) > 0)) places.push({ at, key })
  }
  return places.sort(order)
}
