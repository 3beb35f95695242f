/**
 * The page of the real client: the same tasks as the peers', through the public API. `place` says where connection and
 * replica live: in a SharedWorker, as pages normally have it, or in the page itself.
 */
import { connect as connectInPage } from '../../../client/index.ts'
import { connect as connectThroughWorker } from '../../../worker/index.ts'
import type { OttlaTask, PageMetrics } from './contract.ts'
import { live } from './live.ts'
import { LONE_WRITE_GAP_MS, pause } from './pause.ts'
import { percentile } from './percentile.ts'
import { servePage } from './serve-page.ts'

const REPLICA = 'bench'

type Ottla = Awaited<ReturnType<typeof connectInPage>>

function connect({ place, url }: OttlaTask): Promise<Ottla> {
  if (place === 'page') return connectInPage(url, { replica: REPLICA })
  return connectThroughWorker(url, { replica: REPLICA, worker: 'shared', workerUrl: '/ottla-worker.js' })
}

/** Resolves with the records held when the replica says that it has everything. */
function upToDate(ottla: Ottla, topic: string): Promise<number> {
  return new Promise((resolve) => {
    const look = () => {
      const ranges = ottla.status.topics.find((each) => each.name === topic)?.replica ?? []
      const [range] = ranges
      if (range?.upToDate && range.end > range.start) resolve(range.end - range.start)
    }
    ottla.onStatus(look)
    look()
  })
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

async function open(task: OttlaTask): Promise<PageMetrics> {
  const startedMs = performance.now()
  const ottla = await connect(task)
  const connectedMs = performance.now() - startedMs
  for await (const record of ottla.topic(task.topic).read({ from: 'beginning' })) {
    if (record.value?.length !== 100) throw new Error(`a record of ${record.value?.length} bytes`)
    break
  }
  const firstRecordMs = performance.now() - startedMs
  await ottla.close()
  return { openedMs: connectedMs, firstRecordMs }
}

async function loneWrites(task: OttlaTask): Promise<PageMetrics> {
  const ottla = await connect(task)
  await live(ottla)
  const topic = ottla.topic(task.topic)
  const times: number[] = []
  for (let n = 0; n < task.count; n++) {
    const value = crypto.getRandomValues(new Uint8Array(100))
    const startedMs = performance.now()
    const receipt = topic.send({ value })
    await receipt.stored
    times.push(performance.now() - startedMs)
    await receipt.committed
    await pause(LONE_WRITE_GAP_MS)
  }
  await ottla.close()
  return { storedP50Ms: percentile(times, 0.5), storedP99Ms: percentile(times, 0.99) }
}

void servePage((task: OttlaTask) => ({ sync, open, 'lone-writes': loneWrites })[task.task](task))
