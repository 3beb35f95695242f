/** A document with a long history: filled once, and opened in a browser that knows nothing of it but what is on its disk. */
import { IndexeddbPersistence } from 'y-indexeddb'
import { Doc } from 'yjs'
import { OttlaProvider } from '../../../client/yjs/index.ts'
import { connect } from '../../../worker/index.ts'
import type { DocumentTask, PageMetrics } from './contract.ts'
import { pause } from './pause.ts'
import { scribble } from './scribble.ts'
import { servePage } from './serve-page.ts'

const TOPIC = 'documents'
const PIECE_UPDATES = 1_000
/** y-indexeddb writes behind the edits, and merges what it has written a second later. */
const PEER_LOOKS_EVERY_MS = 2_000

const open = ({ url, hasReplica }: DocumentTask) =>
  connect(url, hasReplica ? { replica: 'bench', worker: 'shared', workerUrl: '/ottla-worker.js' } : {})

const synced = (provider: OttlaProvider) =>
  new Promise<void>((resolve) => {
    if (provider.synced) resolve()
    else provider.on('sync', (isSynced) => isSynced && resolve())
  })

async function fillOttla(task: DocumentTask): Promise<PageMetrics> {
  const ottla = await connect(task.url)
  await ottla.admin.createTopics([{ name: TOPIC, configs: { 'retention.ms': '-1' } }], { ifNotExists: true })
  const doc = new Doc()
  const updates: Uint8Array[] = []
  doc.on('update', (update: Uint8Array) => updates.push(update))
  await scribble(doc, task.updates)
  const topic = ottla.topic(TOPIC)
  for (let at = 0; at < updates.length; at += PIECE_UPDATES) {
    const piece = updates.slice(at, at + PIECE_UPDATES).map((value) => ({ key: task.documentId, value }))
    await topic.sendAll(piece).at(-1)!.committed
  }
  // As after a life of editing: the relay has written its snapshots on the way.
  for (let behind = updates.length; behind >= 500; await pause(100)) {
    const answer = await ottla.openDocument({ topic: TOPIC, documentId: task.documentId, fromOffset: -1 })
    behind = answer.snapshot && answer.isWhole === 1 ? answer.updates.length : updates.length
  }
  await ottla.close()
  if (task.hasReplica) await openOttla(task)
  return { updates: updates.length }
}

async function openOttla(task: DocumentTask): Promise<PageMetrics> {
  const startedMs = performance.now()
  const ottla = await open(task)
  const doc = new Doc()
  const provider = new OttlaProvider(ottla, task.documentId, doc, { topic: TOPIC })
  await synced(provider)
  const openMs = performance.now() - startedMs
  const metrics = { openMs, chars: doc.getText('t').length }
  await provider.destroy()
  await ottla.close()
  return metrics
}

async function fillPeer({ documentId, updates }: DocumentTask): Promise<PageMetrics> {
  const doc = new Doc()
  const peer = new IndexeddbPersistence(documentId, doc)
  await peer.whenSynced
  await scribble(doc, updates)
  do await pause(PEER_LOOKS_EVERY_MS)
  while ((await storedChars(documentId)) !== doc.getText('t').length)
  await peer.destroy()
  return { updates }
}

async function storedChars(documentId: string): Promise<number> {
  const doc = new Doc()
  const peer = new IndexeddbPersistence(documentId, doc)
  await peer.whenSynced
  await peer.destroy()
  return doc.getText('t').length
}

async function openPeer({ documentId }: DocumentTask): Promise<PageMetrics> {
  const startedMs = performance.now()
  const doc = new Doc()
  const peer = new IndexeddbPersistence(documentId, doc)
  await peer.whenSynced
  const openMs = performance.now() - startedMs
  const metrics = { openMs, chars: doc.getText('t').length }
  await peer.destroy()
  return metrics
}

void servePage((task: DocumentTask) => {
  if (task.task === 'fill') return task.isPeer ? fillPeer(task) : fillOttla(task)
  return task.isPeer ? openPeer(task) : openOttla(task)
})
