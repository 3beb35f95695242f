/** Which replicas are fetched first, and when none is. */
import 'fake-indexeddb/auto'
import { expect, onTestFinished, test } from 'vitest'
import { connect, string } from '../../../client/index.ts'
import { pauseWhenMetered, watchMetered } from '../../../client/metered.ts'
import { MemoryStore } from '../../../client/replica/memory-store.ts'
import { Replica } from '../../../client/replica/replica.ts'
import { HandClock } from '../../../protocol/lib/clock.ts'
import { randomBelow, seededRandom } from '../../../protocol/lib/random.ts'
import { createRelay } from '../../../server/relay.ts'
import { MemoryFiles } from '../../../server/storage/memory-files.ts'
import { eventually } from '../../support/eventually.ts'
import { LogSession, LogsModel } from './log-model.ts'

const settle = async () => {
  for (let turn = 0; turn < 30; turn++) await Promise.resolve()
}

test('[REP-40] what has the higher priority comes first, also when it falls behind again; the rest follows', async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = seededRandom(seed)
    const logs = new LogsModel()
    const session = new LogSession(logs)
    const store = new MemoryStore()
    const contents = await store.claim({ token: 'a', newReplicaId: 'b' })
    const replica = new Replica({ session, store, contents, clock: new HandClock(), onTrouble: () => {} })
    const priorities = { archive: 0, orders: 5, open: 9 }
    for (const [name, priority] of Object.entries(priorities)) {
      const topic = logs.create(name, 1)
      for (let index = 0; index < 40; index++) topic.partitions[0]!.append([`${index}`], 0)
      await replica.replicate(topic, { priority })
    }
    session.connect()
    await settle()
    const endOf = (name: string) => replica.ranges(name)[0]!.end
    for (let step = 0; step < 400; step++) {
      await session.step(randomBelow(random, 3))
      await settle()
      if (endOf('open') < 40) expect([endOf('orders'), endOf('archive')]).toEqual([0, 0])
      else if (endOf('orders') < 40) expect(endOf('archive')).toBe(0)
    }
    expect([endOf('archive'), endOf('orders'), endOf('open')]).toEqual([40, 40, 40])
    await replica.replicate(logs.topics.get('archive')!, { priority: 20 })
    for (const name of ['archive', 'open'])
      for (let index = 0; index < 40; index++) logs.topics.get(name)!.partitions[0]!.append(['x'], 0)
    for (let step = 0; step < 200; step++) {
      await session.step(randomBelow(random, 3))
      await settle()
    }
    expect([endOf('archive'), endOf('open')]).toEqual([80, 80])
    await replica.close()
  }
})

test('[REP-40] what waits for something more urgent is fetched once it is as urgent itself, or the other is not kept any more', async () => {
  const logs = new LogsModel()
  const session = new LogSession(logs)
  const store = new MemoryStore()
  const contents = await store.claim({ token: 'a', newReplicaId: 'b' })
  const replica = new Replica({ session, store, contents, clock: new HandClock(), onTrouble: () => {} })
  onTestFinished(() => replica.close())
  for (const [name, priority] of Object.entries({ open: 9, orders: 5, archive: 0 })) {
    const topic = logs.create(name, 1)
    for (let index = 0; index < 40; index++) topic.partitions[0]!.append([`${index}`], 0)
    await replica.replicate(topic, { priority })
  }
  session.connect()
  await settle()
  const steps = async (count: number) => {
    for (let step = 0; step < count; step++) {
      await session.step(step)
      await settle()
    }
  }
  const endOf = (name: string) => replica.ranges(name)[0]!.end
  await steps(6)
  expect(endOf('open')).toBeLessThan(40)
  await replica.replicate(logs.topics.get('orders')!, { priority: 9 })
  await steps(200)
  expect([endOf('open'), endOf('orders'), endOf('archive')]).toEqual([40, 40, 40])

  session.cut()
  for (const { partitions } of logs.topics.values())
    for (let index = 0; index < 40; index++) partitions[0]!.append(['x'], 0)
  session.connect()
  await steps(6)
  expect(endOf('archive')).toBe(40)
  await replica.stopReplicating('open')
  await replica.stopReplicating('orders')
  await steps(200)
  expect(endOf('archive')).toBe(80)
})

test('[REP-41] paused, nothing is fetched and the status says why; writes go out, and what is held is read', async () => {
  const relay = await createRelay({ files: new MemoryFiles(), config: { dataDir: 'data', httpPort: 0 } })
  const ottla = await connect(relay.websocket.url, { replica: 'paused' })
  onTestFinished(async () => {
    await ottla.close()
    await relay.close()
  })
  await eventually(() => ottla.status.connection.phase === 'live')
  await ottla.admin.createTopics([{ name: 'letters', partitions: 1 }])
  const letters = ottla.topic('letters', { value: string })
  await letters.send({ value: 'before' }).committed
  const seen: string[] = []
  const reading = letters.read({ from: 'beginning' }).each(({ value }) => void seen.push(value!))
  reading.catch(() => {})
  await eventually(() => seen.length === 1)
  await ottla.pauseReplicas()
  expect(ottla.status).toMatchObject({ replicasPaused: 'asked', state: 'live' })
  await letters.send({ value: 'meanwhile' }).committed
  expect(ottla.status.topics[0]!.replica).toMatchObject([{ end: 1, upToDate: false }])
  expect(seen).toEqual(['before'])
  await ottla.pauseReplicas(false)
  expect(ottla.status.replicasPaused).toBeNull()
  await eventually(() => seen.length === 2)
  expect(seen).toEqual(['before', 'meanwhile'])
})

test('[REP-43] writes held back are stored, in their order, and go out when they may; who leaves may send all the same', async () => {
  const relay = await createRelay({ files: new MemoryFiles(), config: { dataDir: 'data', httpPort: 0 } })
  onTestFinished(() => relay.close())
  const open = async () => {
    const ottla = await connect(relay.websocket.url, { replica: 'held-back' })
    onTestFinished(() => ottla.close())
    await eventually(() => ottla.status.connection.phase === 'live')
    return ottla
  }
  const ottla = await open()
  await ottla.admin.createTopics([{ name: 'drafts', partitions: 1 }])
  const drafts = ottla.topic('drafts', { value: string })
  await drafts.send({ value: 'before' }).committed
  await ottla.pauseWrites()
  expect(ottla.status).toMatchObject({ writesPaused: 'asked', replicasPaused: null, state: 'live' })
  const log = relay.engine.topicByName('drafts')!.partitions[0]!
  const held = drafts.send({ value: 'one' })
  expect(await held.stored).toBe('device')
  const transfer = await ottla.transaction(async (tx) => void tx.send(drafts, { value: 'two' }))
  const late = drafts.send({ value: 'three' })
  await late.stored
  // The relay answers what is asked after a look that would have sent them.
  for (let asked = 0; asked < 3; asked++) await ottla.admin.listTopics()
  expect(log.highWatermark).toBe(1)
  expect(ottla.status.outbox.pendingEntries).toBe(3)
  await ottla.pauseWrites(false)
  await Promise.all([held.committed, transfer.committed, late.committed])
  const values: string[] = []
  for await (const { value } of drafts.read({ from: 'beginning', follow: false })) values.push(value!)
  expect(values).toEqual(['before', 'one', 'two', 'three'])

  await ottla.pauseWrites()
  await drafts.send({ value: 'four' }).stored
  await expect(ottla.logout()).rejects.toMatchObject({ code: 'UNSENT_WRITES' })
  expect(ottla.status.writesPaused).toBe('asked')
  await ottla.logout({ pending: 'send' })
  expect(log.highWatermark).toBeGreaterThan(4)
})

test('[REP-44] what costs by the byte holds back what the application names', async () => {
  const connection = Object.assign(new EventTarget(), { saveData: true })
  const scope = { navigator: { connection } }
  const told: string[] = []
  const core = { pause: async (pause: string, isPaused: boolean) => void told.push(`${pause} ${isPaused}`) }
  pauseWhenMetered(core, {}, scope)()
  expect(told).toEqual(['replicas-metered true', 'replicas-metered false'])
  const stop = pauseWhenMetered(core, { writes: true }, scope)
  connection.saveData = false
  connection.dispatchEvent(new Event('change'))
  stop()
  expect(told.slice(2, 6)).toEqual([
    ...['replicas-metered true', 'writes-metered true'],
    ...['replicas-metered false', 'writes-metered false'],
  ])
})

test('[REP-42] a connection that costs by the byte is known where the browser tells, and followed when it changes', () => {
  const connection = Object.assign(new EventTarget(), { saveData: false, type: 'wifi' })
  const told: boolean[] = []
  const stop = watchMetered((isMetered) => told.push(isMetered), { navigator: { connection } })
  for (const change of [{ type: 'cellular' }, { type: 'wifi' }, { saveData: true }]) {
    Object.assign(connection, change)
    connection.dispatchEvent(new Event('change'))
  }
  stop()
  connection.dispatchEvent(new Event('change'))
  expect(told).toEqual([false, true, false, true])
  watchMetered((isMetered) => told.push(isMetered), {})
  expect(told.at(-1)).toBe(false)
})
