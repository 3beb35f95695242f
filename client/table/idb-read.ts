/** Reading rows of tables out of an open database; shared by the worker's store and by pages. */
import { answerTo } from '../replica/idb-request.ts'
import type { StoredRow } from './fold.ts'
import { BEHIND_BYTES, type StoreOf } from './idb-format.ts'
import { compareBytes, type KeyInterval, textOf } from './key-order.ts'
import type { PageQuery, PageRow } from './store.ts'

/** For fewer, a request each is as good. */
const NEIGHBOURS_MIN = 8
/** Rows of the stretch that were not asked for: more cost more than they save. */
const STRANGERS_MAX = 32

export type CountQuery = Pick<PageQuery, 'topicId' | 'index' | 'from' | 'to'>

export async function pageIn(storeOf: StoreOf, query: PageQuery): Promise<PageRow[]> {
  const range = rangeOf(query)
  if (!range) return []
  const { topicId, index, countMax, isReverse } = query
  if (index === null) {
    const rows = await pageOf<StoredRow>(storeOf('rows'), range, countMax, isReverse, 'value')
    return rows.map((row) => ({ at: row.key, row }))
  }
  const entries = await pageOf<IDBValidKey[]>(storeOf('entries'), range, countMax, isReverse, 'key')
  const places = entries.map(([, , at, key]) => ({ at: bytesOf(at), key: bytesOf(key) }))
  const keys = places.map(({ key }) => key)
  const rows = (await neighboursIn(storeOf('rows'), topicId, keys)) ?? (await rowsIn(storeOf('rows'), topicId, keys))
  return places.flatMap(({ at }, place) => (rows[place] ? [{ at, row: rows[place] }] : []))
}

export async function countIn(storeOf: StoreOf, query: CountQuery): Promise<number> {
  const range = rangeOf({ ...query, after: null, isReverse: false })
  return range ? answerTo(storeOf(query.index === null ? 'rows' : 'entries').count(range)) : 0
}

export function rowsIn(
  store: IDBObjectStore,
  topicId: string,
  keys: readonly Uint8Array[],
): Promise<Array<StoredRow | undefined>> {
  return Promise.all(keys.map((key) => answerTo<StoredRow | undefined>(store.get([topicId, key] as never))))
}

/** Many rows that lie near each other, as those of a time often do, in one request; undefined: they do not. */
async function neighboursIn(
  store: IDBObjectStore,
  topicId: string,
  keys: readonly Uint8Array[],
): Promise<Array<StoredRow | undefined> | undefined> {
  if (keys.length < NEIGHBOURS_MIN) return undefined
  const sorted = [...keys].sort(compareBytes)
  const [lower, upper] = [sorted[0]!, sorted.at(-1)!]
  const range = IDBKeyRange.bound([topicId, lower as never], [topicId, upper as never])
  const found = await answerTo<StoredRow[]>(store.getAll(range, keys.length + STRANGERS_MAX))
  const byKey = new Map(found.map((row) => [textOf(row.key), row]))
  const isWhole = found.length < keys.length + STRANGERS_MAX || byKey.has(textOf(upper))
  return isWhole ? keys.map((key) => byKey.get(textOf(key))) : undefined
}

/** null: nothing can lie in it. */
function rangeOf({ topicId, index, from, to, after, isReverse }: Omit<PageQuery, 'countMax'>): IDBKeyRange | null {
  const base: IDBValidKey[] = index === null ? [topicId] : [topicId, index]
  const at = (edge: KeyInterval['from']) => (edge === null ? undefined : [...base, edge as never])
  const behind =
    after && (index === null ? [...base, after.key as never] : [...base, after.at as never, after.key as never])
  let [lower, lowerOpen]: [IDBValidKey, boolean] = [at(from) ?? base, false]
  let [upper, upperOpen]: [IDBValidKey, boolean] = [at(to) ?? [...base, BEHIND_BYTES], true]
  if (behind && isReverse) [upper, upperOpen] = [behind, true]
  if (behind && !isReverse) [lower, lowerOpen] = [behind, true]
  const compared = indexedDB.cmp(lower, upper)
  if (compared > 0 || (compared === 0 && (lowerOpen || upperOpen))) return null
  return IDBKeyRange.bound(lower, upper, lowerOpen, upperOpen)
}

/** Forward in one request, backward by a cursor: `getAll` knows one direction only in most engines. */
function pageOf<T>(
  store: IDBObjectStore,
  range: IDBKeyRange,
  countMax: number,
  isReverse: boolean,
  wanted: 'key' | 'value',
): Promise<T[]> {
  if (!isReverse) {
    return answerTo(
      (wanted === 'key' ? store.getAllKeys(range, countMax) : store.getAll(range, countMax)) as IDBRequest<T[]>,
    )
  }
  return new Promise((resolve, reject) => {
    const found: T[] = []
    const request = (
      wanted === 'key' ? store.openKeyCursor(range, 'prev') : store.openCursor(range, 'prev')
    ) as IDBRequest
    request.onerror = () => reject(request.error)
    request.onsuccess = () => {
      const cursor = request.result as IDBCursorWithValue | null
      if (!cursor) return resolve(found)
      found.push((wanted === 'key' ? cursor.primaryKey : cursor.value) as T)
      if (found.length === countMax) return resolve(found)
      cursor.continue()
    }
  })
}

const bytesOf = (key: IDBValidKey | undefined): Uint8Array => new Uint8Array(key as ArrayBuffer)
