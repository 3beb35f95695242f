/** One document: a Yjs text, kept in the log by Ottla's provider, with who is there. */
import { connect, type Ottla } from 'ottla'
import { askForBackgroundSync } from 'ottla/offline'
import { OttlaProvider } from 'ottla/yjs'
import { Doc } from 'yjs'
import { REPLICA, relayUrl } from './address.ts'

/** As the stock y-websocket provider finds it at /yjs/NAME. */
const TOPIC = 'yjs'
const AGAIN_MS = 2_000

export interface OpenDocument {
  ottla: Ottla
  doc: Doc
  provider: OttlaProvider
}

export async function openDocument(name: string): Promise<OpenDocument> {
  const ottla = await connect(relayUrl(), { replica: REPLICA, workerUrl: 'worker.js' })
  askForBackgroundSync(ottla)
  void makeTopic(ottla)
  const doc = new Doc()
  const provider = new OttlaProvider(ottla, name, doc, { topic: TOPIC })
  return { ottla, doc, provider }
}

/** Kept for ever, where a relay would delete old records after a week. */
async function makeTopic(ottla: Ottla): Promise<void> {
  const isKnown = await ottla
    .topic(TOPIC)
    .info()
    .then(
      () => true,
      () => false,
    )
  const topic = { name: TOPIC, configs: { 'retention.ms': '-1' } }
  for (let isThere = isKnown; !isThere; ) {
    isThere = await ottla.admin.createTopics([topic], { ifNotExists: true }).then(
      () => true,
      () => false,
    )
    // Offline, most likely: the status says so.
    if (!isThere) await new Promise((resolve) => setTimeout(resolve, AGAIN_MS))
  }
}
