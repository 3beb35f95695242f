/** What becomes of a topic of documents under retention and compaction, over restarts, with nobody there. */
import { expect, onTestFinished, test } from 'vitest'
import { applyUpdate, Doc } from 'yjs'
import { systemClock } from '../../../protocol/lib/clock.ts'
import { systemRandom } from '../../../protocol/lib/random.ts'
import { encodeBatch } from '../../../protocol/records.ts'
import { relayConfigDefaults } from '../../../server/config.ts'
import { silentLogger } from '../../../server/logger.ts'
import { openRelayCore, type RelayCore } from '../../../server/relay-core.ts'
import { MemoryFiles } from '../../../server/storage/memory-files.ts'
import { textOf } from '../../support/editors.ts'
import { eventually } from '../../support/eventually.ts'

const utf8 = new TextEncoder()
const SMALL = { 'segment.bytes': '1024', 'retention.bytes': '1024' }

async function start(files: MemoryFiles, config: { retentionCheckMs?: number; compactionCheckMs?: number } = {}) {
  const relay = await openRelayCore({
    ...{ files, clock: systemClock, random: systemRandom, logger: silentLogger },
    config: { ...relayConfigDefaults, dataDir: 'data', ...config },
    advertised: { http: () => ({ host: 'localhost', port: 1 }), kafka: () => undefined },
  })
  onTestFinished(() => relay.close())
  return relay
}

const engineOf = ({ services }: RelayCore) => services.engine
const topicOf = (relay: RelayCore, name = 'd') => engineOf(relay).topicByName(name)
const logOf = (relay: RelayCore, name = 'd') => topicOf(relay, name)!.partitions[0]!

async function documentsOf(relay: RelayCore) {
  const { documents } = await relay.services.documents.partitionOf(topicOf(relay)!, 'd', () => true)
  return documents
}

async function textIn(relay: RelayCore, key = 'd'): Promise<string> {
  const { snapshot, updates } = await (await documentsOf(relay)).open(key)
  const doc = new Doc()
  for (const update of snapshot ? [snapshot, ...updates] : updates) applyUpdate(doc, update)
  return textOf(doc)
}

/** Edits a document so often. Returns its text. */
async function write(relay: RelayCore, key = 'd', count = 60): Promise<string> {
  const doc = new Doc()
  const made: Uint8Array[] = []
  doc.on('update', (update: Uint8Array) => made.push(update))
  for (let at = 0; at < count; at++) doc.getText('t').insert(0, `${at} `)
  for (const value of made)
    await logOf(relay).append(encodeBatch([{ key: utf8.encode(key), value, timestamp: 1 }])).durable
  return textOf(doc)
}

test('[DOC-24] a document whose updates retention took is whole, though nobody opened it since the relay started', async () => {
  const files = new MemoryFiles()
  const first = await start(files)
  await engineOf(first).createTopic({ name: 'd', partitionCount: 1, configs: SMALL })
  await documentsOf(first)
  const text = await write(first)
  await first.close()
  const second = await start(files, { retentionCheckMs: 10 })
  await eventually(() => logOf(second).startOffset > 0, { what: 'retention took some' })
  expect(await textIn(second)).toBe(text)
  // Without the topic of the snapshots too: another is made before more goes.
  await engineOf(second).deleteTopic(topicOf(second, 'd.snapshots')!.id)
  const kept = logOf(second).startOffset
  const other = await write(second, 'other')
  await eventually(() => logOf(second).startOffset > kept, { what: 'retention took more' })
  expect(await textIn(second, 'other')).toBe(other)
  await engineOf(second).deleteTopic(topicOf(second)!.id)
  await eventually(() => [...engineOf(second).facts.entries('documents/')].length === 0, { what: 'it is forgotten' })
})

test('[DOC-24] compaction takes no update of a document, and documents are not opened where it may have', async () => {
  const files = new MemoryFiles()
  const relay = await start(files, { compactionCheckMs: 10 })
  const compacted = { 'cleanup.policy': 'compact', 'min.cleanable.dirty.ratio': '0', 'segment.bytes': '1024' }
  const before = await engineOf(relay).createTopic({ name: 'compacted', partitionCount: 1, configs: compacted })
  await expect(relay.services.documents.partitionOf(before, 'd', () => true)).rejects.toThrow(
    'compacted is compacted, which would take updates of documents away',
  )
  const topic = await engineOf(relay).createTopic({ name: 'd', partitionCount: 1, configs: {} })
  await documentsOf(relay)
  await engineOf(relay).alterTopic(topic.id, () => compacted)
  const text = await write(relay)
  for (let at = 0; at < 60; at++) {
    const record = { key: utf8.encode('k'), value: utf8.encode(`${at}`.repeat(20)), timestamp: 1 }
    await before.partitions[0]!.append(encodeBatch([record])).durable
  }
  await eventually(() => relay.services.compaction.status.recordsRemoved > 30, { what: 'the other one is compacted' })
  expect(await textIn(relay)).toBe(text)
  expect((await (await documentsOf(relay)).open('d')).recordsRead).toBe(60)
})
