/** The stock provider of y-websocket, unmodified, against the relay's door. */
import { expect, onTestFinished, test } from 'vitest'
import { WebSocket } from 'ws'
import { Awareness, encodeAwarenessUpdate } from 'y-protocols/awareness'
import { Doc, encodeStateAsUpdate } from 'yjs'
import { connect } from '../../../client/index.ts'
import { systemClock } from '../../../protocol/lib/clock.ts'
import { systemRandom } from '../../../protocol/lib/random.ts'
import { openDocument } from '../../../protocol/messages/documents.ts'
import { encodeBatch } from '../../../protocol/records.ts'
import type { Authorizer } from '../../../server/authorizer.ts'
import { relayConfigDefaults } from '../../../server/config.ts'
import * as message from '../../../server/documents/door/messages.ts'
import { Room } from '../../../server/documents/door/room.ts'
import { silentLogger } from '../../../server/logger.ts'
import { createRelay } from '../../../server/relay.ts'
import { openRelayCore } from '../../../server/relay-core.ts'
import { MemoryFiles } from '../../../server/storage/memory-files.ts'
import { stockEditor, textOf } from '../../support/editors.ts'
import { eventually } from '../../support/eventually.ts'
import { fastClock } from '../../support/fast-clock.ts'
import { FaultyFiles } from '../../support/faulty-files.ts'
import { startRelay } from '../../support/relay.ts'
import { RelayClient } from '../../support/relay-client.ts'
import { RawWebSocket, upgradeRequest } from '../support/raw-web-socket.ts'

const config = { autoCreateTopics: true }

test('[DOC-1] two stock providers edit one document, and see each other', async () => {
  const relay = await startRelay({ config })
  const [a, b] = [stockEditor(relay.websocket.url, 'notes/one two'), stockEditor(relay.websocket.url, 'notes/one two')]
  const other = stockEditor(relay.websocket.url, 'another')
  a.doc.getText('t').insert(0, 'hello')
  await eventually(() => textOf(b.doc) === 'hello', { what: 'b has it' })
  b.doc.getText('t').insert(5, ' world')
  await eventually(() => textOf(a.doc) === 'hello world', { what: 'a has it' })
  a.provider.awareness.setLocalStateField('name', 'Ada')
  const nameAt = () => b.provider.awareness.getStates().get(a.doc.clientID)?.name
  await eventually(() => nameAt() === 'Ada', { what: 'b sees Ada' })
  a.provider.disconnect()
  await eventually(() => nameAt() === undefined, { what: 'Ada is gone' })
  expect(textOf(other.doc)).toBe('')
})

test('[DOC-2] what was shown to others is in the log: a relay that starts again has it', async () => {
  const files = new MemoryFiles()
  const start = (httpPort: number) => createRelay({ files, config: { ...config, dataDir: 'data', httpPort } })
  let relay = await start(0)
  onTestFinished(() => relay.close())
  const port = Number(new URL(relay.http.url).port)
  const [a, b] = [stockEditor(relay.websocket.url, 'd'), stockEditor(relay.websocket.url, 'd')]
  a.doc.getText('t').insert(0, 'one')
  await eventually(() => textOf(b.doc) === 'one', { what: 'b has it' })
  await relay.close()
  a.doc.getText('t').insert(3, ' two')
  b.doc.getText('t').insert(0, 'zero ')
  relay = await start(port)
  await eventually(() => textOf(a.doc) === 'zero one two' && textOf(b.doc) === 'zero one two', {
    what: 'both have both',
  })
  const late = stockEditor(relay.websocket.url, 'd')
  await eventually(() => textOf(late.doc) === 'zero one two', { what: 'a third has it' })
  const { highWatermark } = relay.engine.topicByName('yjs')!.partitions[0]!
  // Who comes back with nothing new writes nothing, whatever was deleted.
  late.doc.getText('t').delete(0, 5)
  await eventually(() => textOf(a.doc) === 'one two', { what: 'it is deleted' })
  const after = relay.engine.topicByName('yjs')!.partitions[0]!.highWatermark
  expect(after).toBe(highWatermark + 1)
  a.provider.disconnect()
  a.provider.connect()
  await eventually(() => a.provider.synced, { what: 'a is back' })
  expect(relay.engine.topicByName('yjs')!.partitions[0]!.highWatermark).toBe(after)
})

function closeOf(socket: WebSocket): Promise<number> {
  socket.on('error', () => {})
  return new Promise((resolve) => socket.on('close', resolve))
}

async function rawEditor(url: string): Promise<{ socket: WebSocket; closed: Promise<number> }> {
  const socket = new WebSocket(url)
  const closed = closeOf(socket)
  await new Promise((resolve) => socket.once('open', resolve))
  onTestFinished(() => socket.terminate())
  return { socket, closed }
}

test('[DOC-3] hostile messages close their own connection, and change nothing', async () => {
  const relay = await startRelay({ config })
  const url = `${relay.websocket.url}/yjs/d`
  const honest = stockEditor(relay.websocket.url, 'd')
  honest.doc.getText('t').insert(0, 'kept')
  await eventually(() => honest.provider.synced, { what: 'synced' })
  const update = encodeStateAsUpdate(honest.doc)
  const torn = message.update(update.subarray(0, update.length - 3))
  const garbage = [
    new Uint8Array([0]),
    new Uint8Array([0, 9, 1, 1]),
    new Uint8Array([0, 2, 200, 1, 1]),
    message.update(new Uint8Array([255, 255, 255, 255, 255, 255, 255, 255, 255, 255])),
    message.stateVector(new Uint8Array([5])),
    message.awareness(new Uint8Array([1, 1, 1, 3, 33, 33, 33])),
    torn,
  ]
  for (const bytes of garbage) {
    const { socket, closed } = await rawEditor(url)
    socket.send(bytes)
    expect(await closed, String(bytes)).toBe(4400)
  }
  const text = await rawEditor(url)
  text.socket.send('text')
  expect(await text.closed).toBe(4400)
  expect(textOf(honest.doc)).toBe('kept')
  expect(honest.provider.wsconnected).toBe(true)
  const late = stockEditor(relay.websocket.url, 'd')
  await eventually(() => textOf(late.doc) === 'kept', { what: 'a second has it' })
})

test('[DOC-4] reading and writing are asked for, origins checked, and topics not made where they may not be', async () => {
  const denied = new Set(['write'])
  const authorizer: Authorizer = { allows: (_, operation) => !denied.has(operation) }
  const relay = await startRelay({ config, authorizer })
  const [a, b] = [stockEditor(relay.websocket.url, 'd'), stockEditor(relay.websocket.url, 'd')]
  await eventually(() => a.provider.synced && b.provider.synced, { what: 'both are there' })
  a.doc.getText('t').insert(0, 'not allowed')
  denied.clear()
  b.doc.getText('t').insert(0, 'allowed')
  await eventually(() => textOf(a.doc).includes('allowed'), { what: 'a hears b' })
  expect(textOf(b.doc)).toBe('allowed')
  denied.add('read')
  expect(await closeOf(new WebSocket(`${relay.websocket.url}/yjs/d`))).toBe(4403)
  const foreign = new WebSocket(`${relay.websocket.url}/yjs/d`, { origin: 'https://evil.example' })
  expect(await closeOf(foreign)).toBe(1006)
  const closed = await startRelay()
  expect(await closeOf(new WebSocket(`${closed.websocket.url}/yjs/d`))).toBe(4404)
  expect(await closeOf(new WebSocket(`${closed.websocket.url}/yjs/${'x'.repeat(501)}`))).toBe(4404)
  const locked = await startRelay({ config: { ...config, saslEnabledMechanisms: ['PLAIN'] } })
  expect(await closeOf(new WebSocket(`${locked.websocket.url}/yjs/d?access_token=x`))).toBe(4401)
})

test('[DOC-5] a document is in memory while somebody has it open, and as it was when it is opened again', async () => {
  const relay = await startRelay({ config })
  const editor = stockEditor(relay.websocket.url, 'd')
  editor.doc.getText('t').insert(0, 'x')
  await eventually(() => relay.engine.topicByName('yjs')?.partitions[0]?.highWatermark === 1, { what: 'it is written' })
  editor.provider.disconnect()
  for (let count = 0; count < 5; count++) {
    const again = stockEditor(relay.websocket.url, 'd')
    await eventually(() => textOf(again.doc) === 'x', { what: 'it is there' })
    again.provider.disconnect()
  }
})

test('[DOC-5] an open document that is edited for days counts for as much as it holds, not for all that was written', async () => {
  const [files, clock] = [new MemoryFiles(), systemClock]
  const core = await openRelayCore({
    ...{
      config: { ...relayConfigDefaults, dataDir: 'data' },
      files,
      clock,
      random: systemRandom,
      logger: silentLogger,
    },
    advertised: { http: () => ({ host: '127.0.0.1', port: 1 }), kafka: () => ({ host: '127.0.0.1', port: 1 }) },
  })
  onTestFinished(() => core.close())
  const { services } = core
  const topic = await services.engine.createTopic({ name: 'yjs', partitionCount: 1, configs: {} })
  const { documents } = await services.documents.partitionOf(topic, 'd', () => true)
  const log = topic.partitions[0]!
  const room = await Room.open({ services, topicId: topic.id, documentId: 'd', log, documents, onEnded: () => {} })
  onTestFinished(() => room.close())
  const doc = new Doc()
  const updates: Uint8Array[] = []
  doc.on('update', (update: Uint8Array) => updates.push(update))
  for (let count = 0; count < 40; count++) doc.getMap('m').set('k', `${count} ${'x'.repeat(500_000)}`)
  const key = new TextEncoder().encode('d')
  for (const value of updates) await log.append(encodeBatch([{ key, value, timestamp: 1 }])).durable
  await documents.catchUp()
  expect(room.sizeBytes).toBeLessThan(10_000_000)
  expect(room.sizeBytes).toBeGreaterThan(400_000)
})

test('[DOC-20] who takes a large document slowly is not cut off because others edit it', async () => {
  const relay = await startRelay({ config, files: new MemoryFiles() })
  const topic = await relay.engine.createTopic({ name: 'yjs', partitionCount: 1, configs: {} })
  const [large, updates] = [new Doc(), [] as Uint8Array[]]
  large.on('update', (update: Uint8Array) => updates.push(update))
  for (let count = 0; count < 34; count++) large.getMap('m').set(`${count}`, 'x'.repeat(900_000))
  const key = new TextEncoder().encode('d')
  for (const value of updates) await topic.partitions[0]!.append(encodeBatch([{ key, value, timestamp: 1 }])).durable
  const { socket } = await rawEditor(`${relay.websocket.url}/yjs/d`)
  let closedWith = 0
  socket.on('close', (code) => {
    closedWith = code
  })
  socket.pause()
  socket.send(message.stateVector(new Uint8Array([0])))
  const other = stockEditor(relay.websocket.url, 'd')
  await eventually(() => other.provider.synced, { what: 'the relay has come to it', withinMs: 10_000 })
  other.doc.getText('t').insert(0, 'meanwhile')
  await eventually(() => topic.partitions[0]!.highWatermark === 35, { what: 'it is written' })
  const sizes: number[] = []
  socket.on('message', (data: Buffer) => sizes.push(data.length))
  socket.resume()
  await eventually(() => sizes.some((size) => size > 30_000_000) || closedWith !== 0, {
    what: 'it is read',
    withinMs: 10_000,
  })
  expect(closedWith).toBe(0)
})

test('[DOC-4] who may only read a topic makes nothing beside it', async () => {
  const denied = new Set(['write'])
  const authorizer: Authorizer = { allows: (_, operation) => !denied.has(operation) }
  const relay = await startRelay({ authorizer })
  const client = await RelayClient.open(relay.websocket.url)
  await client.createTopic('orders')
  const ask = { topic: 'orders', documentId: 'd', fromOffset: -1 }
  expect((await client.call(openDocument, ask)).errorCode).toBe(29)
  expect(relay.engine.topicByName('orders.snapshots')).toBeUndefined()
  denied.clear()
  expect(await client.call(openDocument, ask)).toMatchObject({ errorCode: 0, snapshot: null, updates: [], isWhole: 1 })
})

/** Of the records of documents, not of what a relay writes down of itself. */
const RECORDS = /\.log$/

function gate(): { until: Promise<void>; open(): void } {
  let open = () => {}
  const until = new Promise<void>((resolve) => {
    open = resolve
  })
  return { until, open }
}

/** What an editor would send that types this. */
function typed(text: string): Uint8Array {
  const doc = new Doc()
  doc.getText('t').insert(0, text)
  return message.update(encodeStateAsUpdate(doc))
}

test('[DOC-16] what an editor sent before it left is written, however slow the disk is', async () => {
  const files = new FaultyFiles(new MemoryFiles())
  const relay = await startRelay({ files, config })
  const { socket, closed } = await rawEditor(`${relay.websocket.url}/yjs/d`)
  socket.send(typed('zeroth'))
  await eventually(() => relay.engine.topicByName('yjs')?.partitions[0]?.highWatermark === 1, { what: 'it is open' })
  const { until, open } = gate()
  const slow = files.fail({ call: 'sync', path: RECORDS, times: Number.POSITIVE_INFINITY, until })
  socket.send(typed('first'))
  await eventually(() => slow.count > 0, { what: 'the first is on its way to the disk' })
  socket.send(typed('second'))
  socket.close()
  await closed
  const left = stockEditor(relay.websocket.url, 'other')
  await eventually(() => left.provider.wsconnected, { what: 'the relay has heard that' })
  open()
  await eventually(() => relay.engine.topicByName('yjs')!.partitions[0]!.highWatermark === 3, {
    what: 'all are written',
  })
  const late = stockEditor(relay.websocket.url, 'd')
  await eventually(() => textOf(late.doc).includes('second'), { what: 'all is there' })
})

test('[DOC-16] so is what it sent before the document was open', async () => {
  const files = new FaultyFiles(new MemoryFiles())
  const relay = await startRelay({ files, config })
  const { until, open } = gate()
  const slow = files.fail({ call: 'makeDir', path: /./, times: Number.POSITIVE_INFINITY, until })
  const { socket, closed } = await rawEditor(`${relay.websocket.url}/yjs/d`)
  await eventually(() => slow.count > 0, { what: 'the topic is being made' })
  for (let count = 0; count < 100; count++) socket.send(typed(`${count};`))
  socket.close()
  open()
  await closed
  const late = stockEditor(relay.websocket.url, 'd')
  await eventually(() => textOf(late.doc).split(';').length === 101, { what: 'all is there' })
})

test('[DOC-18] with its topic an open document ends, also where an editor does not answer; who comes then has the new one', async () => {
  const relay = await startRelay({ config })
  const half = await RawWebSocket.dial(relay.websocket.url)
  half.sendRaw(Buffer.from(upgradeRequest({}, '/yjs/d')))
  await eventually(() => half.messages.length > 0, { what: 'it has the document open' })
  half.send(typed('old'))
  await eventually(() => relay.engine.topicByName('yjs')?.partitions[0]?.highWatermark === 1, { what: 'it is written' })
  await relay.engine.deleteTopic(relay.engine.topicByName('yjs')!.id)
  const next = stockEditor(relay.websocket.url, 'd')
  next.doc.getText('t').insert(0, 'new')
  await eventually(() => relay.engine.topicByName('yjs')?.partitions[0]?.highWatermark === 1, { what: 'it is written' })
  expect(textOf(next.doc)).toBe('new')
  half.reset()
})

test('[DOC-18] when the topic of the snapshots is deleted, editors of an open document go on', async () => {
  const relay = await startRelay({ config })
  const [a, b] = [stockEditor(relay.websocket.url, 'd'), stockEditor(relay.websocket.url, 'd')]
  a.doc.getText('t').insert(0, 'one')
  await eventually(() => textOf(b.doc) === 'one', { what: 'b has it' })
  await relay.engine.deleteTopic(relay.engine.topicByName('yjs.snapshots')!.id)
  a.doc.getText('t').insert(3, ' two')
  await eventually(() => textOf(b.doc) === 'one two', { what: 'b has that too' })
})

test('[ACL-5] an editor is sent away when it may not read any more', async () => {
  const relay = await startRelay({ config: { ...config, accessControl: 'lists', allowEveryoneIfNoAclFound: true } })
  const { closed } = await rawEditor(`${relay.websocket.url}/yjs/d`)
  const ottla = await connect(relay.websocket.url)
  onTestFinished(() => ottla.close())
  const line = { operation: 'read', resourceType: 'topic', resourceName: 'yjs' } as const
  await ottla.admin.createAcls([{ ...line, principal: 'User:ANONYMOUS', permission: 'deny' }])
  expect(await closed).toBe(4403)
})

test('[SYN-57] an editor that does not answer the end of a conversation is ended without', async () => {
  const relay = await startRelay({ clock: fastClock(10), config })
  const raw = await RawWebSocket.dial(relay.websocket.url)
  raw.socket.removeAllListeners('data')
  const heard: Buffer[] = []
  raw.socket.on('data', (chunk: Buffer) => heard.push(chunk))
  raw.sendRaw(Buffer.from(upgradeRequest({}, '/yjs/d')))
  await eventually(() => heard.length > 0, { what: 'the connection is open' })
  raw.send(Buffer.from('messages are binary'), { opcode: 1 })
  await eventually(() => Buffer.concat(heard).includes('messages are binary'), { what: 'its end is told' })
  expect(raw.isGone).toBe(false)
  await eventually(() => raw.isGone, { withinMs: 2_000, what: 'it is ended' })
})

test('[DOC-12] an editor that repeats what others say, as the stock provider does, may say something itself', async () => {
  const relay = await startRelay({ config })
  const watcher = stockEditor(relay.websocket.url, 'd')
  const [talker, listener] = [new Awareness(new Doc()), new Awareness(new Doc())]
  onTestFinished(() => {
    talker.destroy()
    listener.destroy()
  })
  const [first, second] = [
    await rawEditor(`${relay.websocket.url}/yjs/d`),
    await rawEditor(`${relay.websocket.url}/yjs/d`),
  ]
  const say = (socket: WebSocket, awareness: Awareness) =>
    socket.send(message.awareness(encodeAwarenessUpdate(awareness, [awareness.clientID])))
  const nameOf = ({ clientID }: Awareness) => watcher.provider.awareness.getStates().get(clientID)?.name
  talker.setLocalStateField('name', 'Ada')
  say(first.socket, talker)
  await eventually(() => nameOf(talker) === 'Ada', { what: 'Ada is seen' })
  for (let count = 0; count < 1_000; count++) say(second.socket, talker)
  listener.setLocalStateField('name', 'Bob')
  say(second.socket, listener)
  await eventually(() => nameOf(listener) === 'Bob', { what: 'Bob is seen' })
})
