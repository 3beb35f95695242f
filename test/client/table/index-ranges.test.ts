/** Ranges of an index over arrays, beside a list that is sorted by hand: in memory, in IndexedDB, and in engines of more words. */
import 'fake-indexeddb/auto'
import { expect, onTestFinished, test } from 'vitest'
import { string } from '../../../client/serde.ts'
import { foldRecords } from '../../../client/table/fold.ts'
import { IdbTableStore } from '../../../client/table/idb-store.ts'
import { indexKeyOf } from '../../../client/table/index-key.ts'
import { textOf } from '../../../client/table/key-order.ts'
import { MemoryTableStore } from '../../../client/table/memory-store.ts'
import type { TableCursor } from '../../../client/table/seam.ts'
import type { PageQuery, TablePosition, TableStore } from '../../../client/table/store.ts'
import { randomBelow, seededRandom } from '../../../protocol/lib/random.ts'

const TOPIC_ID = 'T'.repeat(22)
const INDEXES = { byTag: 'tags', byOther: 'other' }
const POSITION: TablePosition = {
  ...{ topicId: TOPIC_ID, partition: 0, nextOffset: 0, generation: 0, build: 1 },
  ...{ isComplete: true, logStart: 0, upToDateAtMs: 0 },
}
const random = seededRandom(11)

type Row = { tags: number[] | number; other: string }
const rowOf = (): Row => {
  const tags = Array.from({ length: randomBelow(random, 4) }, () => randomBelow(random, 6))
  return { tags: tags.length === 1 ? tags[0]! : tags, other: `o${randomBelow(random, 3)}` }
}

/** Rows as they are at the end: some were changed, some deleted. */
async function filled(store: TableStore): Promise<Map<string, Row>> {
  await store.putTable({ topicId: TOPIC_ID, topic: 't', indexes: INDEXES })
  const rows = new Map<string, Row>()
  let expected: TablePosition | null = null
  for (let step = 0; step < 6; step++) {
    const position: TablePosition = { ...POSITION, nextOffset: (step + 1) * 20 }
    const changes = new Map<string, Row | null>()
    for (let index = 0; index < 20; index++) {
      changes.set(`k${randomBelow(random, 40)}`, randomBelow(random, 5) === 0 ? null : rowOf())
    }
    const records = [...changes].map(([key, row], index) => ({
      ...{ offset: step * 20 + index, timestamp: 1, headers: [] },
      key: string.encode(key),
      value: row && string.encode(JSON.stringify(row)),
    }))
    const keys = records.map(({ key }) => key)
    await store.change(TOPIC_ID, keys, expected, (found) => foldRecords(records, found, position, INDEXES))
    for (const [key, row] of changes) row ? rows.set(key, row) : rows.delete(key)
    expected = position
  }
  return rows
}

/** `tag key`, as often as a row is in the index. */
function expectedOf(rows: Map<string, Row>, from: number, to: number): string[] {
  const places = [...rows].flatMap(([key, { tags }]) => [...new Set([tags].flat())].map((tag) => [tag, key] as const))
  return places
    .filter(([tag]) => tag >= from && tag < to)
    .sort(([a, keyA], [b, keyB]) => a - b || (keyA < keyB ? -1 : 1))
    .map(([tag, key]) => `${tag} ${key}`)
}

async function pagesOf(store: TableStore, query: Omit<PageQuery, 'after'>): Promise<string[]> {
  const tags = new Map([0, 1, 2, 3, 4, 5].map((tag) => [textOf(indexKeyOf(tag)), tag]))
  const seen: string[] = []
  for (let after: TableCursor | null = null; ; ) {
    const page = await store.page({ ...query, after })
    seen.push(...page.map(({ at, row }) => `${tags.get(textOf(at))} ${string.decode(row.key)}`))
    if (page.length < query.countMax) return seen
    const { at, row } = page.at(-1)!
    after = { at, key: row.key }
  }
}

/** As in engines that do not know it yet. */
function withoutGetAllRecords(): void {
  for (const { prototype } of [IDBIndex, IDBObjectStore] as unknown as Array<{ prototype: Record<string, unknown> }>) {
    const { getAllRecords } = prototype
    delete prototype.getAllRecords
    onTestFinished(() => {
      prototype.getAllRecords = getAllRecords
    })
  }
}

test.each([
  ['memory', () => new MemoryTableStore(), true],
  ['IndexedDB', () => new IdbTableStore('ranges'), true],
  ['IndexedDB without getAllRecords', () => new IdbTableStore('ranges-by-cursor'), false],
] as const)(
  '[TAB-5][TAB-6] a row comes once for each of its entries in a range, by pages of any size, both ways: %s',
  async (_where, makeStore, hasRecords) => {
    if (!hasRecords) withoutGetAllRecords()
    const store = makeStore()
    onTestFinished(() => store.close())
    const rows = await filled(store)
    for (const [from, to] of [
      [0, 6],
      [1, 4],
      [2, 3],
    ] as const) {
      const expected = expectedOf(rows, from, to)
      const bounds = { topicId: TOPIC_ID, index: 'byTag', from: indexKeyOf(from), to: indexKeyOf(to) }
      expect(expected.length).toBeGreaterThan(2)
      expect(await store.count(bounds)).toBe(expected.length)
      for (const countMax of [1, 2, 3, 7, 100]) {
        expect(await pagesOf(store, { ...bounds, countMax, isReverse: false })).toEqual(expected)
        expect(await pagesOf(store, { ...bounds, countMax, isReverse: true })).toEqual([...expected].reverse())
      }
    }
  },
)
