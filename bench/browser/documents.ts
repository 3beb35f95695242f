/** Who opens a long document, and who holds rows: pages against a relay of their own, and the peers that need none. */
import { join } from 'node:path'
import type { Contender, Trial } from '../harness/scenario.ts'
import { type Server, startRelay } from '../harness/servers.ts'
import type { DocumentTask, TableTask } from './pages/contract.ts'
import { withBrowser } from './peers.ts'

const RUN_MS_MAX = 240_000
const UPDATES = 100_000
const ROWS = 20_000
const TIMES = 300

/** The pages come from the page host, not from the relay. */
async function withRelay<T>(trial: Trial, work: (relay: Server) => Promise<T>): Promise<T> {
  const relay = await startRelay(join(trial.directory, 'relay'), ['--allow-origins', '*'])
  try {
    return await work(relay)
  } finally {
    await relay.stop()
  }
}

const addressOf = ({ port }: Server) => `ws://127.0.0.1:${port}`

export function documentContender(name: string, kind: Pick<DocumentTask, 'isPeer' | 'hasReplica'>): Contender {
  const run = (trial: Trial) =>
    withRelay(trial, async (relay) => {
      const updates = trial.quick ? UPDATES / 10 : UPDATES
      const task = { ...kind, url: addressOf(relay), documentId: 'long', updates }
      await withBrowser(trial, 'document-page', (_, host) => host.run({ ...task, task: 'fill' }, RUN_MS_MAX))
      return withBrowser(trial, 'document-page', (_, host) => host.run({ ...task, task: 'open' }, RUN_MS_MAX))
    })
  return { name, run }
}

export function tableContender(name: string, isPeer: boolean): Contender {
  const run = (trial: Trial) =>
    withRelay(trial, (relay) => {
      const rows = trial.quick ? ROWS / 10 : ROWS
      const task: TableTask = { isPeer, url: addressOf(relay), rows, times: TIMES }
      return withBrowser(trial, 'table-page', (_, host) => host.run(task, RUN_MS_MAX))
    })
  return { name, run }
}
