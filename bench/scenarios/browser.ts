/** In each engine: filling a replica and what that takes, a full one in use, and a sync that is larger than memory may be. */
import { ENGINES, type Engine } from '../browser/engines.ts'
import {
  closeRelayAndLab,
  encrypted,
  fillRelay,
  inPage,
  inWorker,
  ottlaMemory,
  ottlaSync,
  ottlaUse,
} from '../browser/ottla.ts'
import { HAS_RXDB } from '../browser/page-host.ts'
import {
  dexie,
  memoryContender,
  type Peer,
  pouchdb,
  rawCatchUpRows,
  rawTailRows,
  rxdb,
  syncContender,
  useContender,
  waSqlite,
} from '../browser/peers.ts'
import { ProfileShelf } from '../browser/profile-shelf.ts'
import type { Aim, Scenario } from '../harness/scenario.ts'

const RECORDS = 1_000_000
const OTTLA = inWorker.name

const method = ({ title }: Engine) =>
  `Fresh ${title} and profile each run, 1 s to settle. Raw IndexedDB and the peers take binary WebSocket frames from a local server with 8 MiB of credit, in a dedicated worker; Ottla takes its Deliver frames from a relay that reads them from disk, in a SharedWorker, from \`connect\` on.`

const atLeastTimes = (to: string, atLeast: number): Aim => ({
  text: `records/s at least ${atLeast} times ${to}`,
  metric: 'recordsPerS',
  of: OTTLA,
  to,
  atLeast,
})

function sync(engine: Engine): Scenario {
  const slow = [dexie, ...(HAS_RXDB ? [rxdb] : []), pouchdb]
  const sqlite = engine.hasOpfs ? [waSqlite] : []
  return {
    name: `browser-sync-${engine.name}`,
    engine: engine.name,
    title: `Relay into IndexedDB, ${engine.title}: 1,000,000 records of 100 B`,
    method: `${method(engine)} Dexie gets 50,000 records, RxDB and PouchDB 10,000, which flatters them. Done is the last transaction's \`complete\`. Bytes stored: the files of the page's origin once the browser has ended. The longest task is the longest time in which a timer of the page did not fire.`,
    columns: [
      { metric: 'recordsPerS', title: 'records/s', digits: 0 },
      { metric: 'ms', title: 'ms', digits: 0 },
      { metric: 'rowKb', title: 'kB a row', digits: 1 },
      { metric: 'storedBytes', title: 'bytes stored a record', digits: 0 },
      { metric: 'longestTaskMs', title: 'longest main-thread task ms', digits: 1 },
      { metric: 'cpuSeconds', title: 'browser CPU-s', digits: 2 },
    ],
    contenders: [
      ottlaSync(engine, inWorker, RECORDS),
      ottlaSync(engine, encrypted, RECORDS),
      ...[rawCatchUpRows, rawTailRows, ...sqlite, ...slow].map((peer) => syncContender(engine, peer)),
    ],
    prepare: (trial) => fillRelay(trial, RECORDS),
    finish: closeRelayAndLab,
    aims: [
      atLeastTimes(rawTailRows.name, engine.shareOfRaw),
      ...sqlite.map(({ name }) => atLeastTimes(name, 2)),
      atLeastTimes(dexie.name, 50),
      ...(HAS_RXDB ? [atLeastTimes(rxdb.name, 150)] : []),
      atLeastTimes(pouchdb.name, 250),
      { text: 'longest main-thread task under 50 ms', metric: 'longestTaskMs', of: OTTLA, unit: 'ms', below: 50 },
      { text: 'bytes stored at most 1.1 times the payload', metric: 'storedBytes', of: OTTLA, unit: 'B', atMost: 110 },
    ],
  }
}

function use(engine: Engine): Scenario {
  const shelf = new ProfileShelf()
  const peers: Peer[] = [rawTailRows, rawCatchUpRows, ...(engine.hasOpfs ? [waSqlite] : [])]
  // About the size of the rows of a replica.
  const raw = rawTailRows.name
  return {
    name: `browser-use-${engine.name}`,
    engine: engine.name,
    title: `A replica of 1,000,000 records in use, ${engine.title}`,
    method:
      "A browser is started on a full profile; the first record's time runs from the start of the task in the page's script. Then 300 random offsets are sought, one after another (raw: one `get` of the row that holds it; Ottla: `seek` of a reader, and the record); everything is read once (raw: rows by `getAll`, undecoded; Ottla: as records; wa-sqlite: 200,000); 100 records of 100 B are written, each 15 ms after the last was committed at the relay (raw: one strict transaction with a row of 170 B), until they are stored; and 1,000 at once, 8 times (raw: 1,000 rows in one strict transaction).",
    columns: [
      { metric: 'firstRecordMs', title: 'cold, first record ms', digits: 1 },
      { metric: 'seekP50Ms', title: 'seek p50 ms', digits: 2 },
      { metric: 'seekP99Ms', title: 'p99 ms', digits: 2 },
      { metric: 'replayRecordsPerS', title: 'replayed records/s', digits: 0 },
      { metric: 'storedP50Ms', title: 'lone write stored p50 ms', digits: 2 },
      { metric: 'storedP99Ms', title: 'p99 ms', digits: 2 },
      { metric: 'burstWritesPerS', title: 'writes/s, 1,000 at once', digits: 0 },
    ],
    contenders: [
      ...[inWorker, inPage, encrypted].map((kind) => ottlaUse(engine, kind, RECORDS, shelf)),
      ...peers.map((peer) => useContender(engine, peer, shelf)),
    ],
    async prepare(trial) {
      shelf.open(trial)
      await fillRelay(trial, RECORDS)
    },
    finish: closeRelayAndLab,
    aims: [
      { text: 'cold to the first record under 10 ms', metric: 'firstRecordMs', of: OTTLA, unit: 'ms', below: 10 },
      ...against(raw, 'cold to the first record at most twice raw', 'firstRecordMs', { atMost: 2 }),
      ...against(raw, 'seek p50 at most twice raw', 'seekP50Ms', { atMost: 2 }),
      { text: 'seek p99 at most 2 ms', metric: 'seekP99Ms', of: OTTLA, unit: 'ms', atMost: 2 },
      ...against(raw, 'replay at least half of a raw scan', 'replayRecordsPerS', { atLeast: 0.5 }),
      ...(engine.hasOpfs
        ? against(waSqlite.name, 'replay at least 5 times wa-sqlite', 'replayRecordsPerS', { atLeast: 5 })
        : []),
      ...against(raw, 'a lone write within 1.5 times a strict transaction', 'storedP50Ms', { atMost: 1.5 }),
      ...against(raw, '1,000 writes at once at 0.8 of raw', 'burstWritesPerS', { atLeast: 0.8 }),
    ],
  }
}

function against(to: string, text: string, metric: string, bound: Pick<Aim, 'atMost' | 'atLeast'>): Aim[] {
  return [{ text, metric, of: OTTLA, to, ...bound }]
}

function memory(engine: Engine): Scenario {
  const { records, title } = engine.longSync
  return {
    name: `browser-memory-${engine.name}`,
    engine: engine.name,
    title: `Added memory while a replica fills, ${engine.title}`,
    method: `${method(engine)} Peak proportional set size of all the browser's processes, sampled every 200 ms, beyond the idle page. Growth: the median of the second half of the time beyond that of the first.`,
    columns: [
      { metric: 'addedMib', title: 'added MiB', digits: 0 },
      { metric: 'grownMib', title: 'growth MiB', digits: 0 },
    ],
    contenders: [
      ottlaMemory(engine, `${OTTLA}, ${title}`, records),
      ottlaMemory(engine, `${OTTLA}, 100 MB`, RECORDS),
      memoryContender(engine, rawCatchUpRows),
    ],
    prepare: (trial) => fillRelay(trial, RECORDS, records),
    finish: closeRelayAndLab,
    aims: [
      {
        text: `${title} adds under 80 MB (76 MiB)`,
        metric: 'addedMib',
        of: `${OTTLA}, ${title}`,
        unit: 'MiB',
        below: 76.3,
      },
      { text: 'flat: under 16 MiB of growth', metric: 'grownMib', of: `${OTTLA}, ${title}`, unit: 'MiB', below: 16 },
    ],
  }
}

export const browserScenarios: Scenario[] = [sync, use, memory].flatMap((scenario) => ENGINES.map(scenario))
