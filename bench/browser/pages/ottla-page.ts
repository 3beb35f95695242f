/**
 * The page of the real client: the same tasks as the peers', through the public API. `place` says where connection and
 * replica live: in a SharedWorker, as pages normally have it, or in the page itself.
 */
import { connect as connectInPage, type Ottla } from '../../../client/index.ts'
import { seededRandom } from '../../../protocol/lib/random.ts'
import { BURST_WRITES, BURSTS, LONE_WRITES, type OttlaTask, type PageMetrics, RECORD_BYTES, SEEKS } from './contract.ts'
import { live } from './live.ts'
import { LONE_WRITE_GAP_MS, pause } from './pause.ts'
import { servePage } from './serve-page.ts'
import { timesOf } from './timing.ts'
import { upToDate } from './up-to-date.ts'
import { usedFigures } from './used-figures.ts'

const REPLICA = 'bench'
const WRITES_TOPIC = 'writes'

/** As it is served to pages. */
const shipped = (): Promise<typeof import('../../../worker/index.ts')> =>
  import(/* @vite-ignore */ `${location.origin}/ottla/client.js`)

async function connect({ place, url, isEncrypted }: OttlaTask): Promise<Ottla> {
  const options = { replica: REPLICA, ...(isEncrypted && { encryption: 'device' as const }) }
  if (place === 'page') return connectInPage(url, options)
  const { connect: connectThroughWorker } = await shipped()
  return connectThroughWorker(url, { ...options, worker: 'shared' })
}

/** Counts the rows that the client wrote, behind its back. */
async function countRows(): Promise<number> {
  const found = (await indexedDB.databases()).find(({ name }) => name?.startsWith(`ottla/${REPLICA}/`))
  if (!found?.name) throw new Error('the client made no database')
  const database = await new Promise<IDBDatabase>((resolve, reject) => {
    const request = indexedDB.open(found.name!)
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
  const rows = await new Promise<number>((resolve, reject) => {
    const request = database.transaction('chunks').objectStore('chunks').count()
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
  database.close()
  return rows
}

async function sync(task: OttlaTask): Promise<PageMetrics> {
  const startedMs = performance.now()
  const ottla = await connect(task)
  await live(ottla)
  await ottla.topic(task.topic).replicate()
  const records = await upToDate(ottla, task.topic)
  const ms = performance.now() - startedMs
  const rows = await countRows()
  await ottla.close()
  return { ms, records, recordsPerS: (records / ms) * 1_000, rows, rowKb: (records * 109) / rows / 1_000 }
}

/** Cold to the first record, before anything else is asked. */
async function firstRecord(ottla: Ottla, task: OttlaTask): Promise<void> {
  for await (const { value } of ottla.topic(task.topic).read({ from: 'beginning' })) {
    if (value?.length !== RECORD_BYTES) throw new Error(`a record of ${value?.length} bytes`)
    return
  }
}

async function seekTimes(ottla: Ottla, task: OttlaTask, records: number): Promise<number[]> {
  const random = seededRandom(7)
  const reader = ottla.topic(task.topic).read({ from: 'beginning' })
  const iterator = reader[Symbol.asyncIterator]()
  await iterator.next()
  const times = await timesOf(SEEKS, async () => {
    const offset = Math.floor(random.next() * records)
    reader.seek(0, offset)
    const { value } = await iterator.next()
    if (value?.offset !== offset) throw new Error(`offset ${value?.offset} came instead of ${offset}`)
  })
  await reader.close()
  return times
}

/** All of them as records, each with its value in hand. */
async function replayPerS(ottla: Ottla, task: OttlaTask, records: number): Promise<number> {
  const startedMs = performance.now()
  let read = 0
  for await (const batch of ottla.topic(task.topic).read({ from: 'beginning' }).batches()) {
    for (const { value } of batch) read += value?.length === RECORD_BYTES ? 1 : 0
    if (read === records) break
  }
  return (records / (performance.now() - startedMs)) * 1_000
}

async function loneWrites(ottla: Ottla): Promise<number[]> {
  const topic = ottla.topic(WRITES_TOPIC)
  const times: number[] = []
  for (let n = 0; n < LONE_WRITES; n++) {
    const value = crypto.getRandomValues(new Uint8Array(RECORD_BYTES))
    const startedMs = performance.now()
    const receipt = topic.send({ value })
    await receipt.stored
    times.push(performance.now() - startedMs)
    await receipt.committed
    await pause(LONE_WRITE_GAP_MS)
  }
  return times
}

/** Each a call of its own, none waiting for another. */
async function bursts(ottla: Ottla): Promise<number[]> {
  const topic = ottla.topic(WRITES_TOPIC)
  const values = Array.from({ length: BURST_WRITES }, () => crypto.getRandomValues(new Uint8Array(RECORD_BYTES)))
  const times: number[] = []
  for (let n = 0; n < BURSTS; n++) {
    const startedMs = performance.now()
    const receipts = values.map((value) => topic.send({ value }))
    await Promise.all(receipts.map(({ stored }) => stored))
    times.push(performance.now() - startedMs)
    await Promise.all(receipts.map(({ committed }) => committed))
    await pause(LONE_WRITE_GAP_MS)
  }
  return times
}

async function use(task: OttlaTask): Promise<PageMetrics> {
  const startedMs = performance.now()
  const ottla = await connect(task)
  await firstRecord(ottla, task)
  const firstRecordMs = performance.now() - startedMs
  await live(ottla)
  const records = await upToDate(ottla, task.topic)
  const seeks = await seekTimes(ottla, task, records)
  const replayRecordsPerS = await replayPerS(ottla, task, records)
  await ottla.admin.createTopics([{ name: WRITES_TOPIC }], { ifNotExists: true })
  const lone = await loneWrites(ottla)
  const burst = await bursts(ottla)
  await ottla.close()
  return usedFigures({ firstRecordMs, seeks, replayRecordsPerS, lone, burst })
}

// Loaded before a task comes, as a page's own script is.
await shipped()
void servePage((task: OttlaTask) => ({ sync, use })[task.task](task))
