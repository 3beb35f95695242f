/** Ottla's provider for Yjs, beside the stock one, over a real relay. */
import 'fake-indexeddb/auto'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Doc } from 'yjs'
import { string } from '../../../client/index.ts'
import { OttlaProvider } from '../../../client/yjs/index.ts'
import { seededRandom } from '../../../protocol/lib/random.ts'
import { createRelay, type Relay } from '../../../server/relay.ts'
import { MemoryFiles } from '../../../server/storage/memory-files.ts'
import { ottlaEditor, stockEditor, textOf } from '../../support/editors.ts'
import { eventually } from '../../support/eventually.ts'

let relay: Relay
let files: MemoryFiles
const start = (httpPort = 0) => createRelay({ files, config: { dataDir: 'data', httpPort, autoCreateTopics: true } })
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
