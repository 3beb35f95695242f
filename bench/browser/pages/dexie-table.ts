/** The peer: Dexie, on IndexedDB in the page. */
import { Dexie, liveQuery, type Table } from 'dexie'
import type { TableTask } from './contract.ts'
import { type Indexed, type Row, rowsOf, type TableContestant } from './table-contest.ts'

export async function open({ rows }: TableTask): Promise<TableContestant> {
  const database = new Dexie('bench') as Dexie & { rows: Table<Row, string> }
  database.version(1).stores({ rows: 'id, place, mark' })
  for (const piece of rowsOf(rows)) await database.rows.bulkPut(piece)
  const between = (by: Indexed, from: number, to: number) => database.rows.where(by).between(from, to)
  return {
    get: (id) => database.rows.get(id),
    range: (by, from, to) => between(by, from, to).toArray(),
    count: (by, from, to) => between(by, from, to).count(),
    putAndHear: (row) =>
      new Promise((resolve, reject) => {
        // Of one row: Dexie runs the query anew for each change in its range.
        const living = liveQuery(() => database.rows.get(row.id)).subscribe({
          next: (seen) => {
            if (seen?.text !== row.text) return
            living.unsubscribe()
            resolve()
          },
          error: reject,
        })
        void database.rows.put(row).catch(reject)
      }),
    close: async () => database.close(),
  }
}
