/**
 * The limit: frames into IndexedDB with nothing else done to them. One row a frame, queued frames in one relaxed
 * transaction, two transactions in flight, credit back on `complete`.
 */
import { seededRandom } from '../../../protocol/lib/random.ts'
import { BURST_WRITES, BURSTS, LONE_WRITES, SEEKS, type SyncRequest, WRITE_ROW_BYTES } from './contract.ts'
import { readFrames } from './frames.ts'
import { LONE_WRITE_GAP_MS, pause } from './pause.ts'
import { serveWorker } from './serve-worker.ts'
import { timesOf } from './timing.ts'
import { usedFigures } from './used-figures.ts'

const TRANSACTIONS_MAX = 2
const TRANSACTION_BYTES_MAX = 2 * 2 ** 20
/** Half a MiB of rows of 60 KiB, which Chromium gives faster than more at a time; 2 MiB of larger ones. */
const SCAN_ROWS = 8

function openDatabase(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open('raw', 1)
    request.onupgradeneeded = () => {
      request.result.createObjectStore('rows')
      request.result.createObjectStore('writes')
    }
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

const answerTo = <T>(request: IDBRequest<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })

const rowsOf = (database: IDBDatabase) => database.transaction('rows').objectStore('rows')

async function rowFrom(database: IDBDatabase, at: number): Promise<Uint8Array> {
  const row = await answerTo<Uint8Array | undefined>(rowsOf(database).get(IDBKeyRange.lowerBound(at)))
  if (!row) throw new Error('the database of an earlier run is empty')
  return row
}

/** Rows as they are. */
async function scanBytes(database: IDBDatabase): Promise<number> {
  let bytes = 0
  let next = 0
  for (;;) {
    const range = IDBKeyRange.lowerBound(next)
    const rows = await answerTo<Uint8Array[]>(rowsOf(database).getAll(range, SCAN_ROWS))
    for (const row of rows) bytes += row.length
    next += rows.length
    if (rows.length < SCAN_ROWS) return bytes
  }
}

/** In one strict transaction. */
function write(database: IDBDatabase, rows: readonly Uint8Array[], firstKey: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const transaction = database.transaction('writes', 'readwrite', { durability: 'strict' })
    const store = transaction.objectStore('writes')
    rows.forEach((row, index) => {
      store.put(row, firstKey + index)
    })
    transaction.oncomplete = () => resolve()
    transaction.onabort = () => reject(transaction.error)
    transaction.commit()
  })
}

const newRows = (count: number): Uint8Array[] =>
  Array.from({ length: count }, () => crypto.getRandomValues(new Uint8Array(WRITE_ROW_BYTES)))

async function loneWrites(database: IDBDatabase): Promise<number[]> {
  const times: number[] = []
  for (let n = 0; n < LONE_WRITES; n++) {
    const rows = newRows(1)
    times.push(...(await timesOf(1, () => write(database, rows, n))))
    await pause(LONE_WRITE_GAP_MS)
  }
  return times
}

async function bursts(database: IDBDatabase): Promise<number[]> {
  const rows = newRows(BURST_WRITES)
  const times: number[] = []
  for (let n = 1; n <= BURSTS; n++) {
    times.push(...(await timesOf(1, () => write(database, rows, n * BURST_WRITES))))
    await pause(LONE_WRITE_GAP_MS)
  }
  return times
}

/** `records`: how many the rows stand for. */
async function use(records: number) {
  const startedMs = performance.now()
  const database = await openDatabase()
  await rowFrom(database, 0)
  const firstRecordMs = performance.now() - startedMs
  const count = await answerTo(rowsOf(database).count())
  const random = seededRandom(7)
  const seeks = await timesOf(SEEKS, () => rowFrom(database, Math.floor(random.next() * count)))
  const scanStartedMs = performance.now()
  await scanBytes(database)
  const replayRecordsPerS = (records / (performance.now() - scanStartedMs)) * 1_000
  const lone = await loneWrites(database)
  const burst = await bursts(database)
  database.close()
  return usedFigures({ firstRecordMs, seeks, replayRecordsPerS, lone, burst })
}

serveWorker(async (asked) => (asked.task === 'sync' ? sync(asked.request) : use(asked.records)))
