/**
 * The limit: frames into IndexedDB with nothing else done to them. One row a frame, queued frames in one relaxed
 * transaction, two transactions in flight, credit back on `complete`.
 */
import type { SyncRequest } from './contract.ts'
import { readFrames } from './frames.ts'
import { LONE_WRITE_GAP_MS, pause } from './pause.ts'
import { percentile } from './percentile.ts'
import { serveWorker } from './serve-worker.ts'

const TRANSACTIONS_MAX = 2
const TRANSACTION_BYTES_MAX = 2 * 2 ** 20

function openDatabase(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open('raw', 1)
    request.onupgradeneeded = () => request.result.createObjectStore('rows')
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
}

async function sync({ url, records }: SyncRequest) {
  const database = await openDatabase()
  const queue: ArrayBuffer[] = []
  let inFlight = 0
  let rows = 0
  let stored = 0
  let transactions = 0
  let finished: (() => void) | undefined
  let failed: (reason: unknown) => void = () => {}
  const startedMs = performance.now()

  function pump(): void {
    while (inFlight < TRANSACTIONS_MAX && queue.length > 0) {
      const transaction = database.transaction('rows', 'readwrite', { durability: 'relaxed' })
      const store = transaction.objectStore('rows')
      let bytes = 0
      while (queue.length > 0 && bytes < TRANSACTION_BYTES_MAX) {
        const frame = queue.shift()!
        store.put(new Uint8Array(frame), rows++)
        bytes += frame.byteLength
      }
      transaction.oncomplete = () => {
        inFlight--
        stored += bytes
        stream.stored(bytes)
        pump()
        if (inFlight === 0 && queue.length === 0) finished?.()
      }
      transaction.onabort = () => failed(transaction.error)
      transaction.commit()
      inFlight++
      transactions++
    }
  }

  const stream = readFrames(url, (frame) => {
    queue.push(frame)
    pump()
  })
  await stream.done
  await new Promise<void>((resolve, reject) => {
    finished = resolve
    failed = reject
    if (inFlight === 0 && queue.length === 0) resolve()
  })
  const ms = performance.now() - startedMs
  database.close()
  return { ms, recordsPerS: (records / ms) * 1_000, rows, transactions, rowKb: stored / rows / 1_000 }
}

/** Opens the database that is there and reads the row in its middle. */
async function open() {
  const startedMs = performance.now()
  const database = await openDatabase()
  const openedMs = performance.now() - startedMs
  const rows = await new Promise<number>((resolve, reject) => {
    const request = database.transaction('rows').objectStore('rows').get(IDBKeyRange.lowerBound(0))
    request.onsuccess = () => resolve(request.result === undefined ? 0 : 1)
    request.onerror = () => reject(request.error)
  })
  if (rows === 0) throw new Error('the database of an earlier run is empty')
  return { openedMs, firstRecordMs: performance.now() - startedMs }
}

/** One record in each strict transaction, the next when the last is complete. */
async function loneWrites(count: number) {
  const database = await openDatabase()
  const times: number[] = []
  for (let n = 0; n < count; n++) {
    const row = crypto.getRandomValues(new Uint8Array(170))
    const startedMs = performance.now()
    await new Promise<void>((resolve, reject) => {
      const transaction = database.transaction('rows', 'readwrite', { durability: 'strict' })
      transaction.objectStore('rows').put(row, n)
      transaction.oncomplete = () => resolve()
      transaction.onabort = () => reject(transaction.error)
      transaction.commit()
    })
    times.push(performance.now() - startedMs)
    await pause(LONE_WRITE_GAP_MS)
  }
  return { storedP50Ms: percentile(times, 0.5), storedP99Ms: percentile(times, 0.99) }
}

serveWorker(async (asked) => {
  if (asked.task === 'sync') return sync(asked.request)
  if (asked.task === 'open') return open()
  return loneWrites(asked.count)
})
