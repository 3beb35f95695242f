/** Puts rows into indexes that they were not kept in before, a page of rows at a time, between everything else. */
import { foldIndexing, type StoredRow } from './fold.ts'
import type { StoredRows } from './stored-rows.ts'

/**
 * Rows are written with their entries in all indexes from now on; those that are there are written once more. What they have
 * in an index that is no longer wanted stays until then, and nobody reads it.
 */
export async function buildIndexes(rows: StoredRows): Promise<void> {
  const { table, indexes: wanted, turns } = rows
  const isComplete = (name: string) => table.indexes[name] === wanted[name]
  const names = new Set([...Object.keys(table.indexes), ...Object.keys(wanted)])
  if ([...names].every(isComplete)) return
  const kept = Object.fromEntries(Object.entries(table.indexes).filter(([name]) => isComplete(name)))
  await turns.take(() => rows.putTable({ ...table, indexes: kept }))
  const isMissing = !Object.keys(wanted).every(isComplete)
  if (isMissing) for await (const page of rows.all()) await indexPage(rows, page)
  if (!rows.isClosed) await turns.take(() => rows.putTable({ ...rows.table, indexes: wanted }))
}

async function indexPage(rows: StoredRows, page: readonly StoredRow[]): Promise<void> {
  for (const partition of new Set(page.map((row) => row.partition))) {
    const keys = page.filter((row) => row.partition === partition).map(({ key }) => key)
    await rows.turns.take(async () => {
      const position = rows.position(partition)
      if (!position) return
      await rows.change(keys, position, (found) =>
        foldIndexing(
          found.filter((row) => row !== undefined),
          position,
          rows.indexes,
        ),
      )
    })
  }
}
