/** Makes the entries of indexes that rows were not kept in before, a page of rows at a time, between everything else. */
import { foldIndexing, type Indexes, type StoredRow } from './fold.ts'
import type { StoredRows } from './stored-rows.ts'

/** Entries are kept from now on; those of the rows that are there are made. */
export async function buildIndexes(rows: StoredRows): Promise<void> {
  const { table, indexes: wanted, turns, store } = rows
  const isComplete = (name: string) => table.indexes[name] === wanted[name]
  const names = new Set([...Object.keys(table.indexes), ...Object.keys(wanted)])
  const outdated = [...names].filter((name) => !isComplete(name))
  if (outdated.length === 0) return
  await turns.take(async () => {
    const kept = Object.fromEntries(Object.entries(table.indexes).filter(([name]) => isComplete(name)))
    await rows.putTable({ ...table, indexes: kept })
    for (const name of outdated) await store.dropIndex(table.topicId, name)
  })
  const missing = Object.fromEntries(Object.entries(wanted).filter(([name]) => !isComplete(name)))
  if (Object.keys(missing).length > 0) for await (const page of rows.all()) await indexPage(rows, page, missing)
  if (!rows.isClosed) await turns.take(() => rows.putTable({ ...rows.table, indexes: wanted }))
}

async function indexPage(rows: StoredRows, page: readonly StoredRow[], missing: Indexes): Promise<void> {
  for (const partition of new Set(page.map((row) => row.partition))) {
    const keys = page.filter((row) => row.partition === partition).map(({ key }) => key)
    await rows.turns.take(async () => {
      const position = rows.position(partition)
      if (!position) return
      await rows.change(keys, position, (found) =>
        foldIndexing(
          found.filter((row) => row !== undefined),
          position,
          missing,
        ),
      )
    })
  }
}
