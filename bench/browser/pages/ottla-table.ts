/** The real thing: rows in the log, on the device, and what waits in the outbox over them. */
import { connect, json, string } from '../../../worker/index.ts'
import type { TableTask } from './contract.ts'
import { live } from './live.ts'
import { pause } from './pause.ts'
import { type Row, rowsOf, type TableContestant } from './table-contest.ts'

const TOPIC = 'rows'

export async function open({ url, rows }: TableTask): Promise<TableContestant> {
  const ottla = await connect(url, { replica: 'bench', worker: 'shared', workerUrl: '/ottla/worker.js' })
  await live(ottla)
  const configs = { 'cleanup.policy': 'compact' }
  await ottla.admin.createTopics([{ name: TOPIC, configs }], { ifNotExists: true })
  const topic = ottla.topic<string, Row>(TOPIC, { key: string, value: json<Row>() })
  for (const piece of rowsOf(rows)) {
    await topic.sendAll(piece.map((value) => ({ key: value.id, value }))).at(-1)!.committed
  }
  const table = await ottla.table<string, Row>(TOPIC, { indexes: { place: 'place', mark: 'mark' } })
  while ((await table.count()) < rows || !table.state.isUpToDate) await pause(50)
  let heard = (_row: Row) => {}
  table.subscribe({ prefix: 'row-' }, ({ changes }) => {
    for (const { after } of changes) if (after) heard(after.value)
  })
  return {
    get: (id) => table.get(id),
    range: (index, from, to) => table.range({ index, from, to }),
    count: (index, from, to) => table.count({ index, from, to }),
    putAndHear: (row) =>
      new Promise((resolve) => {
        heard = ({ text }) => text === row.text && resolve()
        table.put(row.id, row)
      }),
    close: () => ottla.close(),
  }
}
