/** Ottla's provider for Yjs, beside the stock one, over a real relay. */
import 'fake-indexeddb/auto'
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from 'vitest'
import { Doc, encodeStateAsUpdate } from 'yjs'
import { bytes, connect, string } from '../../../client/index.ts'
import { OttlaProvider } from '../../../client/yjs/index.ts'
import { HandClock } from '../../../protocol/lib/clock.ts'
import { partitionForKey } from '../../../protocol/lib/partitioner.ts'
import { seededRandom } from '../../../protocol/lib/random.ts'
import { BATCH_HEADER_BYTES, sealBatch } from '../../../protocol/record-batch.ts'
import { encodeBatch } from '../../../protocol/records.ts'
import { createRelay, type Relay } from '../../../server/relay.ts'
import { MemoryFiles } from '../../../server/storage/memory-files.ts'
import { ottlaEditor, stockEditor, textOf } from '../../support/editors.ts'
import { eventually } from '../../support/eventually.ts'
import { meterIdb } from '../../support/idb-meter.ts'
import { startTcpProxy } from '../../support/tcp-proxy.ts'

let relay: Relay
let files: MemoryFiles
const CONFIG = { dataDir: 'data', autoCreateTopics: true }
const start = (httpPort = 0) => createRelay({ files, config: { ...CONFIG, httpPort } })
const portOf = () => Number(new URL(relay.http.url).port)

beforeEach(async () => {
  files = new MemoryFiles()
  relay = await start()
})

afterEach(() => relay.close())

test('[DOC-8] two stock providers and two of ours converge under random edits, with reconnects and restarts', async () => {
  const url = relay.websocket.url
  const stock = [stockEditor(url, 'd'), stockEditor(url, 'd')]
  const ours = [await ottlaEditor(url, 'd'), await ottlaEditor(url, 'd')]
  const editors = [...stock, ...ours]
  const random = seededRandom(7)
  const below = (bound: number) => Math.floor(random.next() * bound)
  const port = portOf()
  for (let round = 0; round < 120; round++) {
    const text = editors[below(4)]!.doc.getText('t')
    if (text.length > 10 && below(4) === 0) text.delete(below(text.length - 5), 1 + below(5))
    else text.insert(below(text.length + 1), `${round} `)
    if (round % 17 === 5) stock[0]!.provider.disconnect()
    if (round % 17 === 12) stock[0]!.provider.connect()
    if (round === 60) {
      await relay.close()
      relay = await start(port)
    }
    if (round % 3 === 0) await new Promise((resolve) => setTimeout(resolve, 2))
  }
  stock[0]!.provider.connect()
  const texts = () => new Set(editors.map(({ doc }) => textOf(doc)))
  await eventually(() => texts().size === 1 && ours.every(({ provider }) => provider.synced && provider.saved), {
    ...{ withinMs: 15_000, what: 'all have the same' },
  })
  const late = await ottlaEditor(url, 'd')
  await eventually(() => late.provider.synced, { what: 'a late one is there' })
  expect(textOf(late.doc)).toBe(textOf(stock[0]!.doc))
  expect(textOf(late.doc).length).toBeGreaterThan(100)
})

test('[DOC-9] edited offline, opened again offline, and there for everybody on return', async () => {
  const url = relay.websocket.url
  const other = stockEditor(url, 'd')
  other.doc.getText('t').insert(0, 'start')
  const name = `notes-${Date.now()}`
  const first = await ottlaEditor(url, 'd', { replica: name })
  await eventually(() => textOf(first.doc) === 'start', { what: 'it is there' })
  const held = () => first.ottla.status.topics.find(({ name: topic }) => topic === 'yjs')?.replica[0]
  await eventually(() => held()?.end === 1 && first.provider.synced, { what: 'the replica has it' })
  const port = portOf()
  await relay.close()
  first.doc.getText('t').insert(5, ' offline')
  expect(first.provider.saved).toBe(false)
  await first.close()
  const second = await ottlaEditor(url, 'd', { replica: name })
  await second.provider.whenLoaded
  await eventually(() => textOf(second.doc) === 'start offline', { what: 'it opens with what waits in the outbox' })
  expect(second.provider.synced).toBe(false)
  other.doc.getText('t').insert(0, 'meanwhile ')
  second.doc.getText('t').insert(second.doc.getText('t').length, ' twice')
  relay = await start(port)
  const expected = 'meanwhile start offline twice'
  await eventually(() => textOf(second.doc) === expected && textOf(other.doc) === expected, {
    ...{ withinMs: 10_000, what: 'both have everything' },
  })
  await eventually(() => second.provider.saved && second.provider.synced, { what: 'saved and synced' })
})

test('[DOC-27] where no relay can be had a document opens at once, without any time passing', async () => {
  const url = relay.websocket.url
  const replica = `at-once-${Date.now()}`
  const first = await ottlaEditor(url, 'd', { replica })
  await eventually(() => first.provider.synced, { what: 'synced' })
  first.doc.getText('t').insert(0, 'text')
  const held = () => first.ottla.status.topics.find(({ name }) => name === 'yjs')?.replica[0]
  await eventually(() => held()?.end === 1, { what: 'the replica has it' })
  await first.close()
  const port = portOf()
  await relay.close()
  const second = await ottlaEditor(url, 'd', { replica, provider: { clock: new HandClock() } })
  await second.provider.whenLoaded
  expect(textOf(second.doc)).toBe('text')
  relay = await start(port)
})

test('[DOC-23] a batch that cannot be read is passed over by editors with and without a replica, and told to them', async () => {
  const url = relay.websocket.url
  const editors = [await ottlaEditor(url, 'd'), await ottlaEditor(url, 'd', { replica: `poison-${Date.now()}` })]
  const errors: string[] = []
  for (const { provider } of editors) provider.on('error', ({ code }) => errors.push(code))
  const [one, two] = editors.map(({ doc }) => doc.getText('t'))
  one!.insert(0, 'before ')
  await eventually(() => two!.toString() === 'before ', { what: 'both have the first' })
  const poison = encodeBatch([{ key: null, value: null, timestamp: 1 }]).fill(0xff, BATCH_HEADER_BYTES)
  sealBatch(poison)
  const log = relay.engine.topicByName('yjs')!.partitions[partitionForKey(Buffer.from('d'), 1)]!
  await log.append(poison).durable
  two!.insert(7, 'after')
  await eventually(() => one!.toString() === 'before after', { withinMs: 10_000, what: 'the one without a replica' })
  one!.insert(0, 'once more ')
  await eventually(() => two!.toString() === 'once more before after', {
    withinMs: 10_000,
    what: 'the one with a replica',
  })
  await eventually(() => editors.every(({ provider }) => provider.synced), { withinMs: 10_000, what: 'synced' })
  expect(new Set(errors)).toEqual(new Set(['CORRUPT']))
})

test('[DOC-13] a document with a long history opens offline by what is kept of it, not by its history', async () => {
  const url = relay.websocket.url
  const replica = `long-${Date.now()}`
  const writer = await connect(url)
  onTestFinished(() => writer.close())
  await writer.admin.createTopics([{ name: 'yjs' }], { ifNotExists: true })
  const source = new Doc()
  const updates: Uint8Array[] = []
  source.on('update', (update: Uint8Array) => updates.push(update))
  source.getText('t').insert(0, 'written once')
  for (let count = 1; count < 3_000; count++) source.getMap('m').set('k', `${count} ${'x'.repeat(600)}`)
  const topic = writer.topic('yjs', { key: string, value: bytes })
  const write = (some: Uint8Array[]) =>
    Promise.all(topic.sendAll(some.map((value) => ({ key: 'd', value }))).map(({ committed }) => committed))
  await write(updates)

  const first = await ottlaEditor(url, 'd', { replica })
  const kept = () => first.ottla.keptDocument({ topic: 'yjs', documentId: 'd' })
  await eventually(async () => (await kept())?.nextOffset === 3_000, { what: 'it is kept', withinMs: 10_000 })
  source.getText('t').insert(0, 'and one more ')
  await write(updates.slice(3_000))
  await eventually(() => textOf(first.doc) === textOf(source), { what: 'it is there too' })
  const held = () => first.ottla.status.topics.find(({ name }) => name === 'yjs')?.replica[0]?.end
  await eventually(() => held() === 3_001, { what: 'the replica has it' })
  await first.close()
  await relay.close()

  const meter = meterIdb()
  onTestFinished(() => meter.stop())
  const second = await ottlaEditor(url, 'd', { replica })
  await second.provider.whenLoaded
  expect(textOf(second.doc)).toBe(textOf(source))
  // The row of the last updates is read whole.
  const historyBytes = updates.reduce((sum, update) => sum + update.length, 0)
  expect(meter.look().total).toBeLessThan(historyBytes / 2)
  relay = await start()
}, 60_000)

test('[DOC-25] a document whose updates retention took meanwhile opens offline as it was kept, and is whole on return', async () => {
  await relay.close()
  relay = await createRelay({ files, config: { ...CONFIG, httpPort: 0, retentionCheckMs: 100 } })
  const port = portOf()
  const url = relay.websocket.url
  const replica = `retained-${Date.now()}`
  const writer = await connect(url)
  onTestFinished(() => writer.close())
  const configs = { 'segment.bytes': '4096' }
  await writer.admin.createTopics([{ name: 'yjs', configs }])
  const source = new Doc()
  const updates: Uint8Array[] = []
  source.on('update', (update: Uint8Array) => updates.push(update))
  const topic = writer.topic('yjs', { key: string, value: bytes })
  const type = async (count: number) => {
    for (; count > 0; count--) source.getText('t').insert(0, `${count} `)
    const records = updates.splice(0).map((value) => ({ key: 'd', value }))
    await Promise.all(topic.sendAll(records).map(({ committed }) => committed))
  }
  await type(600)
  const first = await ottlaEditor(url, 'd', { replica })
  const kept = () => first.ottla.keptDocument({ topic: 'yjs', documentId: 'd' })
  await eventually(async () => (await kept())?.nextOffset === 600, { what: 'it is kept', withinMs: 10_000 })
  const asKept = textOf(first.doc)
  await first.close()

  await type(200)
  await type(100)
  const { id, partitions } = relay.engine.topicByName('yjs')!
  await relay.engine.alterTopic(id, () => ({ 'retention.bytes': '1024' }))
  const log = partitions[0]!
  await eventually(() => log.startOffset > 600, { what: 'retention took some', withinMs: 10_000 })
  const other = await connect(url, { replica })
  const reading = other.topic('yjs', { key: string, value: bytes, replica: true }).read()
  const held = () => other.status.topics.find(({ name }) => name === 'yjs')?.replica[0]
  const done = reading.each(() => {}).catch(() => {})
  await eventually(() => (held()?.start ?? 0) > 600 && held()?.end === 900, { what: 'the replica has what is left' })
  await other.close()
  await done
  await relay.close()

  const second = await ottlaEditor(url, 'd', { replica })
  await second.provider.whenLoaded
  expect(textOf(second.doc)).toBe(asKept)
  relay = await start(port)
  await eventually(() => second.provider.synced, { what: 'synced', withinMs: 10_000 })
  expect(textOf(second.doc)).toBe(textOf(source))
}, 60_000)

test('[DOC-25] an editor without a replica that was cut off while retention took updates is whole on return', async () => {
  await relay.close()
  relay = await createRelay({ files, config: { ...CONFIG, httpPort: 0, retentionCheckMs: 100 } })
  const proxy = await startTcpProxy({ port: portOf() })
  onTestFinished(() => proxy.close())
  const configs = { 'segment.bytes': '1024', 'retention.bytes': '1024' }
  const { partitions } = await relay.engine.createTopic({ name: 'yjs', partitionCount: 1, configs })
  const away = await ottlaEditor(`ws://127.0.0.1:${proxy.port}`, 'd')
  const here = stockEditor(relay.websocket.url, 'd')
  here.doc.getText('t').insert(0, 'begin ')
  await eventually(() => textOf(away.doc) === 'begin ' && away.provider.synced, { what: 'both have it' })
  proxy.setMode('reset')
  await eventually(() => !away.provider.synced, { what: 'one is cut off' })
  const { startOffset } = partitions[0]!
  for (let count = 0; partitions[0]!.startOffset < startOffset + 20; count++) {
    here.doc.getText('t').insert(0, `${count} `)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  proxy.setMode('pass')
  await eventually(() => away.provider.synced, { what: 'it is back', withinMs: 10_000 })
  await eventually(() => textOf(away.doc) === textOf(here.doc), { what: 'and has everything' })
})

test('[DOC-14] what is kept is given up when the log it stands for is another, and never has what may yet be refused', async () => {
  const url = relay.websocket.url
  const replica = `kept-${Date.now()}`
  const { ottla, doc, provider } = await ottlaEditor(url, 'd', { replica })
  await eventually(() => provider.synced, { what: 'synced' })
  doc.getText('t').insert(0, 'text')
  await eventually(() => provider.saved, { what: 'saved' })
  const range = () => ottla.status.topics.find(({ name }) => name === 'yjs')!.replica[0]!
  await eventually(() => range().end === 1, { what: 'held' })
  const ask = { topic: 'yjs', documentId: 'd' }
  const keep = (nextOffset: number) =>
    ottla.keptDocument({ ...ask, keep: { partition: 0, nextOffset, update: encodeStateAsUpdate(doc) } })
  expect(await keep(2)).toBeNull()
  expect(await keep(1)).toMatchObject({ nextOffset: 1 })
  expect(await ottla.keptDocument(ask)).toMatchObject({ partition: 0, nextOffset: 1 })

  const port = portOf()
  await relay.close()
  doc.getText('t').insert(0, 'not sent ')
  await eventually(() => ottla.status.outbox.pendingEntries === 1, { what: 'it waits' })
  expect(await keep(1)).toBeNull()

  // A relay that has lost its log: the one of the same name that it makes is another.
  files = new MemoryFiles()
  relay = await start(port)
  await eventually(() => provider.saved && provider.synced, { what: 'written anew', withinMs: 10_000 })
  expect(await ottla.keptDocument(ask)).toBeNull()
})

test('[DOC-15] windows of one browser hear of an edit without a relay, once it is stored', async () => {
  const replica = `windows-${Date.now()}`
  const { ottla, doc, provider } = await ottlaEditor(relay.websocket.url, 'd', { replica })
  await eventually(() => provider.synced, { what: 'synced' })
  await relay.close()
  const other = new Doc()
  const otherProvider = new OttlaProvider(ottla, 'd', other, { awareness: false })
  const elsewhere = new Doc()
  const stranger = new OttlaProvider(ottla, 'e', elsewhere, { awareness: false })
  doc.getText('t').insert(0, 'typed offline')
  await eventually(() => textOf(other) === 'typed offline', { what: 'the other window has it' })
  expect(ottla.status.outbox.pendingEntries).toBe(1)
  other.getText('t').insert(0, 'and back: ')
  await eventually(() => textOf(doc) === 'and back: typed offline', { what: 'and the first has its' })
  expect(ottla.status.outbox.pendingEntries).toBe(2)
  expect(textOf(elsewhere)).toBe('')
  // What is typed last is told, too.
  other.getText('t').insert(0, 'bye, ')
  await otherProvider.destroy()
  await eventually(() => textOf(doc).startsWith('bye, '), { what: 'the last words' })
  await stranger.destroy()
  relay = await start()
})

test('[DOC-22] what the page before this one said last is in the document, though it was stored after this one had opened it', async () => {
  const replica = `last-words-${Date.now()}`
  const { ottla, doc, provider } = await ottlaEditor(relay.websocket.url, 'd', { replica })
  await eventually(() => provider.synced, { what: 'synced' })
  await relay.close()
  const before = new Doc()
  before.getText('t').insert(0, 'last words')
  await ottla.topic('yjs').send({ key: 'd', value: encodeStateAsUpdate(before) }).stored
  await eventually(() => textOf(doc) === 'last words', { what: 'the document has them' })
  relay = await start()
})

test('[DOC-19] what is refused is told, and never told as saved', async () => {
  const admin = await connect(relay.websocket.url)
  onTestFinished(() => admin.close())
  await admin.admin.createTopics([{ name: 'yjs', configs: { 'max.message.bytes': '2000' } }])
  const { doc, provider } = await ottlaEditor(relay.websocket.url, 'd')
  const happened: unknown[] = []
  provider.on('error', ({ code }) => happened.push(code))
  provider.on('saved', (isSaved) => happened.push(isSaved))
  doc.getText('t').insert(0, 'small')
  await eventually(() => happened.length === 2, { what: 'saved' })
  const random = seededRandom(1)
  // More than compression could help.
  doc.getText('t').insert(0, Array.from({ length: 1_000 }, () => random.next()).join())
  await eventually(() => happened.includes('REJECTED'), { what: 'refused' })
  doc.getText('t').insert(0, 'small')
  await eventually(() => relay.engine.topicByName('yjs')!.partitions[0]!.highWatermark === 2, { what: 'the next' })
  await provider.destroy()
  expect(happened).toEqual([false, true, false, 'REJECTED'])
  expect(provider.saved).toBe(false)
})

test('[DOC-10] one record for what is typed in a moment, and what others wrote is not written again', async () => {
  const [a, b] = [
    await ottlaEditor(relay.websocket.url, 'd', { provider: { batchMs: 30 } }),
    await ottlaEditor(relay.websocket.url, 'd'),
  ]
  await eventually(() => a.provider.synced && b.provider.synced, { what: 'both are there' })
  for (const letter of 'keystrokes') a.doc.getText('t').insert(a.doc.getText('t').length, letter)
  await eventually(() => textOf(b.doc) === 'keystrokes' && a.provider.saved, { what: 'b has it' })
  const log = relay.engine.topicByName('yjs')!.partitions[0]!
  expect(log.highWatermark).toBe(1)
  const records = await a.ottla.topic('yjs', { value: string }).read({ from: 'beginning', follow: false })
  const keys: Array<string | null> = []
  for await (const { key } of records) keys.push(key)
  expect(keys).toEqual(['d'])
})

test('[DOC-11] what was in the document before it had a provider is written, once', async () => {
  const url = relay.websocket.url
  const a = await ottlaEditor(url, 'd')
  await eventually(() => a.provider.synced, { what: 'a is there' })
  a.doc.getText('t').insert(0, 'log ')
  await eventually(() => a.provider.saved, { what: 'saved' })
  const doc = new Doc()
  doc.getText('t').insert(0, 'before ')
  const provider = new OttlaProvider(a.ottla, 'd', doc, { awareness: false })
  await eventually(() => provider.synced && provider.saved && textOf(doc) === textOf(a.doc), { what: 'both have both' })
  expect(textOf(doc)).toHaveLength('before log '.length)
  await provider.destroy()
  const { highWatermark } = relay.engine.topicByName('yjs')!.partitions[0]!
  const again = new OttlaProvider(a.ottla, 'd', doc, { awareness: false })
  await eventually(() => again.synced && again.saved, { what: 'synced' })
  expect(relay.engine.topicByName('yjs')!.partitions[0]!.highWatermark).toBe(highWatermark)
  await again.destroy()
})

test('[DOC-12] after the relay has been away all see each other again, though nobody says anything new', async () => {
  const url = relay.websocket.url
  const stock = stockEditor(url, 'd')
  const [ada, bob] = [await ottlaEditor(url, 'd'), await ottlaEditor(url, 'd')]
  const all = [stock.provider.awareness, ada.provider.awareness!, bob.provider.awareness!]
  ;['Stock', 'Ada', 'Bob'].forEach((name, index) => {
    all[index]!.setLocalStateField('name', name)
  })
  const namesAt = (awareness: (typeof all)[number]) =>
    [...awareness.getStates().values()].flatMap(({ name }) => name ?? []).sort()
  const seesAll = () => all.every((awareness) => namesAt(awareness).join() === 'Ada,Bob,Stock')
  await eventually(seesAll, { what: 'everybody sees everybody' })
  const port = portOf()
  await relay.close()
  await eventually(() => all.every((awareness) => namesAt(awareness).length === 1), { what: 'nobody is seen' })
  relay = await start(port)
  await eventually(seesAll, { what: 'everybody sees everybody again' })
})

test('[DOC-9] a connection that comes just when a document begins to be read from the replica is not missed', async () => {
  const url = relay.websocket.url
  const replica = `soon-${Date.now()}`
  const first = await ottlaEditor(url, 'd', { replica })
  first.doc.getText('t').insert(0, 'one')
  const held = () => first.ottla.status.topics.find(({ name }) => name === 'yjs')?.replica[0]
  await eventually(() => held()?.end === 1 && first.provider.synced, { what: 'the replica has it' })
  const port = portOf()
  await first.close()
  await relay.close()

  const ottla = await connect(url, { replica, lazy: true, backoff: { delayMsFirst: 20, delayMsMax: 100 } })
  onTestFinished(() => ottla.close())
  let goOn = () => {}
  const asked = new Promise<void>((resolve) => {
    goOn = resolve
  })
  let isAsked = false
  const topicOf = ottla.topic.bind(ottla)
  vi.spyOn(ottla, 'topic').mockImplementation(((name: string, options: object) => {
    const topic = topicOf(name, options)
    const info = topic.info.bind(topic)
    // A worker that takes its time.
    topic.info = async () => {
      isAsked = true
      const known = await info()
      await asked
      return known
    }
    return topic
  }) as typeof ottla.topic)
  const doc = new Doc()
  doc.getText('t').insert(0, 'before ')
  const provider = new OttlaProvider(ottla, 'd', doc, { batchMs: 5 })
  onTestFinished(() => provider.destroy())
  await eventually(() => isAsked, { what: 'it is about to read' })
  relay = await start(port)
  await eventually(() => provider.status === 'connected', { what: 'connected' })
  goOn()
  await eventually(() => provider.synced && provider.saved, { what: 'synced, and what was there before written' })
  expect(textOf(doc)).toContain('one')
  expect(relay.engine.topicByName('yjs')!.partitions[0]!.highWatermark).toBe(2)
})

test('[DOC-12] both kinds of editors see each other, and who has gone', async () => {
  const url = relay.websocket.url
  const stock = stockEditor(url, 'd')
  const [ada, bob] = [await ottlaEditor(url, 'd'), await ottlaEditor(url, 'd')]
  await eventually(() => stock.provider.synced && ada.provider.synced && bob.provider.synced, { what: 'all are there' })
  stock.provider.awareness.setLocalStateField('name', 'Stock')
  ada.provider.awareness!.setLocalStateField('name', 'Ada')
  bob.provider.awareness!.setLocalStateField('name', 'Bob')
  const namesAt = (awareness: { getStates(): Map<number, { name?: string }> }) =>
    [...awareness.getStates().values()].flatMap(({ name }) => name ?? []).sort()
  const all = () => [stock.provider.awareness, ada.provider.awareness!, bob.provider.awareness!].map(namesAt)
  await eventually(() => all().every((names) => names.join() === 'Ada,Bob,Stock'), { what: 'everybody sees everybody' })
  await bob.close()
  await eventually(
    () =>
      all()
        .slice(0, 2)
        .every((names) => names.join() === 'Ada,Stock'),
    { what: 'Bob is gone' },
  )
  stock.provider.disconnect()
  await eventually(() => namesAt(ada.provider.awareness!).join() === 'Ada', { what: 'the stock editor is gone' })
  expect(relay.engine.topicByName('yjs')!.partitions[0]!.highWatermark).toBe(0)
})
