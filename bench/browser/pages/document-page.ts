/** A document with a long history, opened in a browser that knows nothing of it but what is on its disk. */
import { IndexeddbPersistence } from 'y-indexeddb'
import { Doc } from 'yjs'
import { OttlaProvider } from '../../../client/yjs/index.ts'
import { connect, type Ottla } from '../../../worker/index.ts'
import type { DocumentTask, PageMetrics } from './contract.ts'
import { live } from './live.ts'
import { pause } from './pause.ts'
import { scribble } from './scribble.ts'
import { servePage } from './serve-page.ts'
import { upToDate } from './up-to-date.ts'

/** y-indexeddb merges what it has stored when there are 500, so a document has fewer than that beside its merged state. */
const PEER_LOOSE_UPDATES = 400
const LOOKS_EVERY_MS = 500

const open = ({ url, hasReplica }: DocumentTask) =>
  connect(url, hasReplica ? { replica: 'bench', worker: 'shared', workerUrl: '/ottla/worker.js' } : {})

const synced = (provider: OttlaProvider) =>
  new Promise<void>((resolve) => {
    if (provider.synced) resolve()
    else provider.on('sync', (isSynced) => isSynced && resolve())
  })

/** The whole topic on the device, and the document, as after it has been open there for a while. */
async function fillOttla(task: DocumentTask): Promise<PageMetrics> {
  const ottla = await open(task)
  await live(ottla)
  await ottla.topic(task.topic).replicate()
  const records = await upToDate(ottla, task.topic)
  if (task.isOffline) await keepDocument(ottla, task)
  await ottla.close()
  return { records }
}

async function keepDocument(ottla: Ottla, { topic, documentId, updates }: DocumentTask): Promise<void> {
  const provider = new OttlaProvider(ottla, documentId, new Doc(), { topic })
  const kept = () => ottla.keptDocument({ topic, documentId })
  while ((await kept())?.nextOffset !== updates) await pause(LOOKS_EVERY_MS)
  await provider.destroy()
}

async function openOttla(task: DocumentTask): Promise<PageMetrics> {
  const startedMs = performance.now()
  const ottla = await open(task)
  const doc = new Doc()
  const provider = new OttlaProvider(ottla, task.documentId, doc, { topic: task.topic })
  await (task.isOffline ? provider.whenLoaded : synced(provider))
  const metrics = { openMs: performance.now() - startedMs, chars: doc.getText('t').length }
  await provider.destroy()
  await ottla.close()
  return metrics
}

/** As it leaves a document that it has merged: what it had before it was there it stores as one. */
async function fillPeer({ documentId, updates }: DocumentTask): Promise<PageMetrics> {
  const doc = new Doc()
  let peer: IndexeddbPersistence | undefined
  await scribble(doc, updates, async (edits) => {
    if (edits !== updates - PEER_LOOSE_UPDATES) return
    peer = new IndexeddbPersistence(documentId, doc)
    await peer.whenSynced
  })
  while ((await storedChars(documentId)) !== doc.getText('t').length) await pause(LOOKS_EVERY_MS)
  await peer?.destroy()
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
  const metrics = { openMs: performance.now() - startedMs, chars: doc.getText('t').length }
  await peer.destroy()
  return metrics
}

void servePage((task: DocumentTask) => {
  if (task.task === 'fill') return task.isPeer ? fillPeer(task) : fillOttla(task)
  return task.isPeer ? openPeer(task) : openOttla(task)
})
