/** What each operation on a replica takes into memory at once, counted where it meets IndexedDB (fake-indexeddb). */
import 'fake-indexeddb/auto'
import { openDB } from 'idb'
import { expect, onTestFinished, test } from 'vitest'
import { bytes, connect, string } from '../../../client/index.ts'
import { databaseName } from '../../../client/replica/idb-format.ts'
import { eventually } from '../../support/eventually.ts'
import { meterIdb } from '../../support/idb-meter.ts'
import { startRelay } from '../../support/relay.ts'

const MIB = 1024 * 1024
const RECORDS = 800
const RECORD_BYTES = 32 * 1024
/** A unit of deliveries has 2 MiB, a slice 1 MiB; the rest is room for what lies around the records. */
const AT_ONCE_BYTES = 2.5 * MIB
const NOWHERE = 'ws://127.0.0.1:9'

test('[REP-17] no operation takes more than a slice of a replica into memory, however large that is', async () => {
  const meter = meterIdb()
  onTestFinished(() => meter.stop())
  const relay = await startRelay()
  const replica = `large-${Date.now()}`
  const [writer, first] = [
    await connect(relay.websocket.url),
    await connect(relay.websocket.url, { replica, backoff: { delayMsFirst: 20 } }),
  ]
  await writer.admin.createTopics([{ name: 'photos' }])
  await eventually(() => first.status.state === 'live', { what: 'live' })
  await first.topic('photos').replicate()

  // Rows small enough that the tail is merged on the way.
  const photos = writer.topic('photos', { key: string, value: bytes })
  for (let at = 0; at < RECORDS; at += 20) {
    const some = Array.from({ length: 20 }, (_, index) => ({
      key: `${at + index}`,
      value: new Uint8Array(RECORD_BYTES),
    }))
    await Promise.all(photos.sendAll(some).map(({ committed }) => committed))
  }
  await writer.close()
  const held = (ottla = first) => ottla.status.topics.find(({ name }) => name === 'photos')?.replica[0]
  await eventually(() => held()?.end === RECORDS && held()!.upToDate, { what: 'all is held', withinMs: 20_000 })
  const rowsHeld = async () => {
    const database = await openDB(databaseName(replica))
    const count = await database.count('chunks')
    database.close()
    return count
  }
  await eventually(async () => (await rowsHeld()) < 200, { what: 'rows are merged', withinMs: 20_000 })
  await first.close()
  expect(meter.look().largest).toBeLessThan(AT_ONCE_BYTES)

  const open = async (url = NOWHERE) => {
    const ottla = await connect(url, { replica, backoff: { delayMsFirst: 20 } })
    await eventually(() => held(ottla)?.end === RECORDS, { what: 'it is open' })
    return ottla
  }
  meter.look()
  const second = await open()
  expect(meter.look().total).toBeLessThan(64 * 1024)

  let read = 0
  for await (const records of second.topic('photos').read({ from: 'beginning', follow: false }).batches())
    read += records.length
  expect(read).toBe(RECORDS)
  expect(meter.look().largest).toBeLessThan(AT_ONCE_BYTES)
  await second.close()

  const third = await open(relay.websocket.url)
  const table = await third.table('photos', { value: bytes })
  await eventually(async () => (await table.count()) === RECORDS, { what: 'the table is made', withinMs: 20_000 })
  expect(meter.look().largest).toBeLessThan(AT_ONCE_BYTES)
  await third.close()

  const fourth = await open(relay.websocket.url)
  await fourth.table('photos', { value: bytes, indexes: { by: 'name' } })
  let [largest, total] = [0, 0]
  const goneThrough = () => {
    const all = meter.look()
    largest = Math.max(largest, all.largest)
    total += all.total
    return total > RECORDS * RECORD_BYTES
  }
  await eventually(goneThrough, { what: 'an index is made', withinMs: 20_000 })
  expect(largest).toBeLessThan(AT_ONCE_BYTES)

  await fourth.topic('photos', { replica: { sizeBytesMax: 4 * MIB } }).replicate()
  await eventually(() => held(fourth)!.start > RECORDS - 150, { what: 'it is trimmed', withinMs: 20_000 })
  await eventually(() => meter.look().total === 0, { what: 'nothing more is done', everyMs: 200 })
  await fourth.logout()
  expect(meter.look().total).toBeLessThan(64 * 1024)
  expect(await rowsHeld()).toBe(0)
}, 90_000)
