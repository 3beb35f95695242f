/** The peer with schemas: RxDB on its Dexie storage, in the page. */
import { createRxDatabase } from 'rxdb/plugins/core'
import { getRxStorageDexie } from 'rxdb/plugins/storage-dexie'
import type { TableTask } from './contract.ts'
import { type Indexed, type Row, rowsOf, type TableContestant } from './table-contest.ts'

const schema = {
  version: 0,
  primaryKey: 'id',
  type: 'object',
  properties: {
    id: { type: 'string', maxLength: 20 },
    place: { type: 'integer', minimum: 0, maximum: 1_000_000, multipleOf: 1 },
    mark: { type: 'integer', minimum: 0, maximum: 1_000_000, multipleOf: 1 },
    text: { type: 'string' },
  },
  required: ['id', 'place', 'mark', 'text'],
  indexes: ['place', 'mark'],
}

export async function open({ rows }: TableTask): Promise<TableContestant> {
  const database = await createRxDatabase({ name: 'bench', storage: getRxStorageDexie(), multiInstance: false })
  const { rows: collection } = await database.addCollections<Row>({ rows: { schema } })
  if (!collection) throw new Error('RxDB made no collection')
  for (const piece of rowsOf(rows)) {
    const { error } = await collection.bulkInsert(piece)
    if (error.length > 0) throw new Error(`RxDB refused ${error.length} documents`)
  }
  const between = (by: Indexed, from: number, to: number) => ({ selector: { [by]: { $gte: from, $lt: to } } })
  return {
    get: (id) => collection.findOne(id).exec(),
    range: (by, from, to) => collection.find(between(by, from, to)).exec(),
    count: (by, from, to) => collection.count(between(by, from, to)).exec(),
    putAndHear: (row) =>
      new Promise((resolve, reject) => {
        const living = collection.findOne(row.id).$.subscribe((seen) => {
          if (seen?.text !== row.text) return
          // The first may come before `subscribe` has returned.
          queueMicrotask(() => living.unsubscribe())
          resolve()
        })
        void collection.upsert(row).catch(reject)
      }),
    close: () => database.close(),
  }
}
