/** Documents in a log: what opening one reads, and that snapshots lose nothing. */
import { expect, onTestFinished, test } from 'vitest'
import { applyUpdate, Doc } from 'yjs'
import { systemClock } from '../../../protocol/lib/clock.ts'
import { BATCH_HEADER_BYTES, sealBatch, viewOf } from '../../../protocol/record-batch.ts'
import { encodeBatch, type RecordInput } from '../../../protocol/records.ts'
import { DocumentPartition } from '../../../server/documents/document-partition.ts'
import { snapshotRecord } from '../../../server/documents/snapshot-record.ts'
import { silentLogger } from '../../../server/logger.ts'
import { createRelay, type Relay } from '../../../server/relay.ts'
import { MemoryFiles } from '../../../server/storage/memory-files.ts'
import { textOf } from '../../support/editors.ts'
import { eventually } from '../../support/eventually.ts'

const utf8 = new TextEncoder()

async function stage(configs: Record<string, string> = {}) {
  const relay = await createRelay({ files: new MemoryFiles(), config: { dataDir: 'data', httpPort: 0 } })
  onTestFinished(() => relay.close())
  const topic = await relay.engine.createTopic({ name: 'd', partitionCount: 1, configs })
  const companion = await relay.engine.createTopic({
    ...{ name: 'd.snapshots', partitionCount: 1, configs: { 'cleanup.policy': 'compact' } },
  })
  const [log, snapshots] = [topic.partitions[0]!, companion.partitions[0]!]
  const open = (snapshotEveryUpdates = 500, read = log) => {
    const parts = {
      topicId: topic.id,
      log: read,
      snapshots,
      clock: systemClock,
      logger: silentLogger,
      snapshotEveryUpdates,
    }
    const documents = new DocumentPartition(parts)
    onTestFinished(() => documents.close())
    return documents
  }
  return { relay, topic, log, snapshots, open }
}

function writer(key: string) {
  const doc = new Doc()
  const made: RecordInput[] = []
  doc.on('update', (value: Uint8Array) => made.push({ key: utf8.encode(key), value, timestamp: 1 }))
  const type = (text: string) => doc.getText('t').insert(doc.getText('t').length, text)
  return { doc, type, take: () => made.splice(0) }
}

type Log = NonNullable<ReturnType<Relay['engine']['topicByName']>>['partitions'][number]

async function append(log: Log, records: readonly RecordInput[]): Promise<void> {
  for (let at = 0; at < records.length; at += 1000) await log.append(encodeBatch(records.slice(at, at + 1000))).durable
}

async function opened(documents: DocumentPartition, key: string): Promise<{ doc: Doc; recordsRead: number }> {
  const doc = new Doc()
  let recordsRead = 0
  for (let from = -1, isWhole = false; !isWhole; ) {
    const part = await documents.open(key, from)
    doc.transact(() => {
      for (const update of part.snapshot ? [part.snapshot, ...part.updates] : part.updates) applyUpdate(doc, update)
    })
    from = part.nextOffset
    isWhole = part.isWhole
    recordsRead += part.recordsRead
  }
  return { doc, recordsRead }
}

test('[DOC-6] of a document of 20,000 updates among others fewer than 500 records are read, its snapshot and what came behind it', async () => {
  const { log, snapshots, open } = await stage()
  const [long, other] = [writer('long'), writer('other')]
  for (let count = 0; count < 20_000; count++) {
    long.type('x')
    if (count % 100 === 0) other.type('y')
  }
  const [updates, others] = [long.take(), other.take()]
  await append(
    log,
    updates.flatMap((record, index) => (index % 100 === 0 ? [record, others[index / 100]!] : [record])),
  )
  const documents = open()
  expect(textOf((await opened(documents, 'long')).doc)).toHaveLength(20_000)
  await eventually(() => snapshots.highWatermark >= 1, { withinMs: 20_000, what: 'a snapshot' })
  // As after a start: what is found is found in the logs alone.
  const again = await opened(open(), 'long')
  expect(textOf(again.doc)).toHaveLength(20_000)
  expect(again.recordsRead).toBeLessThan(500)
  const few = await opened(open(), 'other')
  expect(textOf(few.doc)).toHaveLength(200)
  expect(few.recordsRead).toBeLessThan(500)
})

test('[DOC-7] snapshots under way, of two writers, older ones, foreign ones: nothing is lost', async () => {
  const { log, snapshots, open, topic } = await stage()
  const { doc, type, take } = writer('d')
  const [one, two] = [open(10), open(7)]
  const following: number[] = []
  one.follow('d', { update: (_, offset) => following.push(offset), ended() {} })
  for (let round = 0; round < 30; round++) {
    for (let count = 0; count < 9; count++) type(`${round} `)
    const appended = append(log, take())
    await Promise.all([appended, opened(one, 'd'), opened(two, 'd')])
    expect(textOf((await opened(round % 2 ? one : two, 'd')).doc)).toBe(textOf(doc))
  }
  await eventually(() => snapshots.highWatermark > 4, { what: 'snapshots' })
  // One that covers little comes last, one of another topic says nothing, and one is no snapshot at all.
  const old = { covers: 5, topicId: topic.id, timestamp: 1 }
  await append(snapshots, [
    snapshotRecord(utf8.encode('d'), { ...old, update: await prefix(log, 5), covers: 5 }),
    snapshotRecord(utf8.encode('d'), { ...old, update: new Uint8Array([0, 0]), topicId: 'x'.repeat(22), covers: 1e6 }),
    { key: utf8.encode('d'), value: new Uint8Array([0, 0]), timestamp: 1 },
  ])
  type('more')
  await append(log, take())
  for (const documents of [one, two, open(1e9)]) expect(textOf((await opened(documents, 'd')).doc)).toBe(textOf(doc))
  expect(following.slice(0, 270)).toEqual(Array.from({ length: 270 }, (_, index) => index))
})

test.each([
  ['which is not what its codec makes', (batch: Uint8Array) => withCodec(batch, 1)],
  ['whose codec does not exist', (batch: Uint8Array) => withCodec(batch, 7)],
  ['whose records do not add up', (batch: Uint8Array) => batch.fill(0xff, BATCH_HEADER_BYTES)],
])('[DOC-23] a batch %s is left out, of updates and of snapshots, and the others are told', async (_what, spoil) => {
  const { log, snapshots, open } = await stage()
  const { doc, type, take } = writer('d')
  const foreign = () => {
    const batch = encodeBatch([{ key: utf8.encode('d'), value: utf8.encode('x'), timestamp: 1 }])
    spoil(batch)
    sealBatch(batch)
    return batch
  }
  const following = open()
  const told: number[] = []
  following.follow('d', { update: (_, offset) => told.push(offset), ended() {} })
  for (const word of ['one', 'two']) {
    type(word)
    await append(log, take())
    for (const each of [log, snapshots]) await each.append(foreign()).durable
  }
  for (const documents of [following, open()]) expect(textOf((await opened(documents, 'd')).doc)).toBe(textOf(doc))
  expect(told).toEqual([0, 2])
})

function withCodec(batch: Uint8Array, codec: number): void {
  const attributesAt = 21
  viewOf(batch).setInt16(attributesAt, codec)
}

/** The log, of which one read of committed records is late: answered with what was there when it began, or begun late. */
function lateRead(log: Log, number: number, isBegunLate = false) {
  let goOn = () => {}
  const held = new Promise<void>((resolve) => {
    goOn = resolve
  })
  const state = { reads: 0 }
  const readCommitted: Log['readCommitted'] = async (...asked) => {
    const isLate = ++state.reads === number
    if (isLate && isBegunLate) await held
    const read = await log.readCommitted(...asked)
    if (isLate) await held
    return read
  }
  const late = new Proxy(log, {
    get: (target, name) => {
      if (name === 'readCommitted') return readCommitted
      const value: unknown = Reflect.get(target, name)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
  return { log: late, state, goOn }
}

test('[DOC-17] what is written while the log is being read is told too, though nothing is written after it', async () => {
  const { log, open } = await stage()
  const { type, take } = writer('d')
  const late = lateRead(log, 1)
  const documents = open(500, late.log)
  const told: number[] = []
  documents.follow('d', { update: (_, offset) => told.push(offset), ended() {} })
  type('first')
  await append(log, take())
  await eventually(() => late.state.reads === 1, { what: 'the first is being read' })
  type('second')
  await append(log, take())
  late.goOn()
  await eventually(() => told.length === 2, { what: 'both are told' })
  expect(told).toEqual([0, 1])
})

test('[DOC-7] a snapshot that covers more, and came while one was made, loses nothing', async () => {
  const { topic, log, snapshots, open } = await stage()
  const { doc, type, take } = writer('d')
  for (let count = 0; count < 31; count++) type(`${count} `)
  const updates = take()
  await append(log, updates.slice(0, 20))
  const late = lateRead(log, 2)
  const documents = open(10, late.log)
  await documents.catchUp()
  await eventually(() => late.state.reads === 2, { what: 'a snapshot is being made' })
  await append(log, updates.slice(20, 30))
  const foreign = { update: await prefix(log, 30), covers: 30, topicId: topic.id, timestamp: 1 }
  await append(snapshots, [snapshotRecord(utf8.encode('d'), foreign)])
  await append(log, updates.slice(30))
  await documents.catchUp()
  late.goOn()
  await eventually(() => snapshots.highWatermark >= 2, { what: 'both are written' })
  expect(textOf((await opened(documents, 'd')).doc)).toBe(textOf(doc))
  expect(textOf((await opened(open(1e9), 'd')).doc)).toBe(textOf(doc))
})

test('[DOC-7] a snapshot that covers more than there is, as of a log that was cut, hides nothing that comes', async () => {
  const { topic, log, snapshots, open } = await stage()
  const { doc, type, take } = writer('d')
  for (let count = 0; count < 5; count++) type(`${count} `)
  await append(log, take())
  const longer = { update: await prefix(log, 5), covers: 8, topicId: topic.id, timestamp: 1 }
  await append(snapshots, [snapshotRecord(utf8.encode('d'), longer)])
  const documents = open()
  expect(textOf((await opened(documents, 'd')).doc)).toBe(textOf(doc))
  await eventually(() => snapshots.highWatermark === 2, { what: 'it is written again' })
  for (let count = 0; count < 5; count++) type(`${count} `)
  await append(log, take())
  for (const by of [documents, open()]) expect(textOf((await opened(by, 'd')).doc)).toBe(textOf(doc))
})

const SMALL = { 'segment.bytes': '1024', 'retention.bytes': '1024' }

test('[DOC-24] retention takes no update that is in no snapshot, and has those written that it waits for', async () => {
  const { log, snapshots, open } = await stage(SMALL)
  const [one, two] = [writer('one'), writer('two')]
  one.type('a few words, once ')
  await append(log, one.take())
  for (let count = 0; count < 40; count++) {
    two.type(`${count} `)
    await append(log, two.take())
  }
  const documents = open(1e9)
  const retain = (by = documents) => log.enforceRetention((offset) => by.deletableUpTo(offset))
  await retain()
  expect(log.startOffset).toBe(0)
  await eventually(() => snapshots.highWatermark === 2, { what: 'a snapshot of each' })
  await eventually(async () => (await retain()) > 0 && log.startOffset > 0, { what: 'they are deleted' })
  one.type('and more')
  await append(log, one.take())
  for (const by of [documents, open(1e9)]) {
    expect(textOf((await opened(by, 'one')).doc)).toBe(textOf(one.doc))
    expect(textOf((await opened(by, 'two')).doc)).toBe(textOf(two.doc))
  }
})

test('[DOC-24] a document that is being opened while retention takes what was to be read is whole', async () => {
  const { log, open } = await stage(SMALL)
  const { doc, type, take } = writer('d')
  for (let count = 0; count < 40; count++) {
    type(`${count} `)
    await append(log, take())
  }
  const late = lateRead(log, 2, true)
  const documents = open(1e9, late.log)
  await documents.catchUp()
  const opening = opened(documents, 'd')
  await eventually(() => late.state.reads === 2, { what: 'it is being opened' })
  await eventually(
    async () => (await log.enforceRetention((offset) => documents.deletableUpTo(offset))) > 0 && log.startOffset > 0,
  )
  late.goOn()
  expect(textOf((await opening).doc)).toBe(textOf(doc))
})

test('[DOC-24] a foreign snapshot that covers less than the log has lost takes nothing', async () => {
  const { topic, log, snapshots, open } = await stage(SMALL)
  const { doc, type, take } = writer('d')
  for (let count = 0; count < 40; count++) {
    type(`${count} `)
    await append(log, take())
  }
  const foreign = { update: await prefix(log, 2), covers: 2, topicId: topic.id, timestamp: 1 }
  const documents = open(1e9)
  await eventually(
    async () => (await log.enforceRetention((offset) => documents.deletableUpTo(offset))) > 0 && log.startOffset > 2,
  )
  await append(snapshots, [snapshotRecord(utf8.encode('d'), foreign)])
  type('and more')
  await append(log, take())
  await documents.catchUp()
  await eventually(() => snapshots.highWatermark === 3, { what: 'the better one is written again' })
  for (const by of [documents, open(1e9)]) expect(textOf((await opened(by, 'd')).doc)).toBe(textOf(doc))
})

async function prefix(log: Log, covers: number): Promise<Uint8Array> {
  const { mergedUpdates } = await import('../../../server/documents/merged-updates.ts')
  const { readRecords } = await import('../../../server/documents/read-records.ts')
  const { records } = await readRecords(log, 0, 1e6)
  return mergedUpdates(records.filter(({ offset }) => offset < covers).map(({ value }) => value!))
}
