/** Who opens a long document, and who holds rows: pages against a relay of their own, and the peers that need none. */
import { join } from 'node:path'
import { Doc } from 'yjs'
import { connect } from '../../client/node.ts'
import type { Contender, Trial } from '../harness/scenario.ts'
import { type Server, startRelay } from '../harness/servers.ts'
import type { Engine } from './engines.ts'
import { closeLab, withBrowser } from './lab.ts'
import type { DocumentTask, TableTask } from './pages/contract.ts'
import { pause } from './pages/pause.ts'
import { scribble } from './pages/scribble.ts'

const RUN_MS_MAX = 240_000
const UPDATES = 100_000
const ROWS = 20_000
const TIMES = 200
const TOPIC = 'documents'
const DOCUMENT = 'long'
const PIECE_UPDATES = 1_000
const SNAPSHOT_AFTER_UPDATES = 500
const SNAPSHOT_MS_MAX = 60_000
/** The pages come from the page host, not from the relay. */
const ANY_ORIGIN = ['--allow-origins', '*']

let relay: Server | undefined
let relayDir = ''

const addressOf = ({ port }: Server) => `ws://127.0.0.1:${port}`
const updatesOf = ({ quick }: Trial) => (quick ? UPDATES / 10 : UPDATES)

/** A relay with one document, as after a life of editing: it has written its snapshots on the way. */
export async function fillDocument(trial: Trial): Promise<void> {
  relayDir = join(trial.directory, 'relay')
  relay = await startRelay(relayDir, ANY_ORIGIN)
  const ottla = await connect(addressOf(relay))
  try {
    await ottla.admin.createTopics([{ name: TOPIC, configs: { 'retention.ms': '-1' } }], { ifNotExists: true })
    const doc = new Doc()
    const updates: Uint8Array[] = []
    doc.on('update', (update: Uint8Array) => updates.push(update))
    await scribble(doc, updatesOf(trial))
    const topic = ottla.topic(TOPIC)
    for (let at = 0; at < updates.length; at += PIECE_UPDATES) {
      const piece = updates.slice(at, at + PIECE_UPDATES).map((value) => ({ key: DOCUMENT, value }))
      await topic.sendAll(piece).at(-1)!.committed
    }
    const deadlineMs = performance.now() + SNAPSHOT_MS_MAX
    for (let behind = updates.length; behind >= SNAPSHOT_AFTER_UPDATES; await pause(100)) {
      if (performance.now() > deadlineMs) throw new Error(`the relay's snapshot is ${behind} updates behind`)
      const answer = await ottla.openDocument({ topic: TOPIC, documentId: DOCUMENT, fromOffset: -1 })
      behind = answer.snapshot && answer.isWhole === 1 ? answer.updates.length : updates.length
    }
  } finally {
    await ottla.close()
  }
}

export async function closeDocument(): Promise<void> {
  const stopping = relay
  relay = undefined
  await stopping?.stop()
  await closeLab()
}

export function documentContender(
  engine: Engine,
  name: string,
  { isPeer = false, hasReplica = false, isOffline = false }: Partial<DocumentTask>,
): Contender {
  const run = async (trial: Trial) => {
    if (!relay) throw new Error('the document was not written')
    const kind = { isPeer, hasReplica, isOffline }
    const task = { ...kind, url: addressOf(relay), topic: TOPIC, documentId: DOCUMENT, updates: updatesOf(trial) }
    const profile = join(trial.directory, 'profile')
    const inPage = (name: DocumentTask['task']) =>
      withBrowser(engine, profile, 'document-page', (_, host) => host.run({ ...task, task: name }, RUN_MS_MAX))
    // What its device is to have: nothing, for who opens it for the first time.
    if (isPeer || hasReplica) await inPage('fill')
    if (!isOffline) return inPage('open')
    await relay.stop()
    try {
      return await inPage('open')
    } finally {
      relay = await startRelay(relayDir, ANY_ORIGIN)
    }
  }
  return { name, run }
}

export function tableContender(engine: Engine, name: string, who: TableTask['who']): Contender {
  const run = async (trial: Trial) => {
    const relay = await startRelay(join(trial.directory, 'relay'), ANY_ORIGIN)
    try {
      const rows = trial.quick ? ROWS / 10 : ROWS
      const task: TableTask = { who, url: addressOf(relay), rows, times: TIMES }
      const profile = join(trial.directory, 'profile')
      return await withBrowser(engine, profile, 'table-page', (_, host) => host.run(task, RUN_MS_MAX))
    } finally {
      await relay.stop()
    }
  }
  return { name, run }
}
