/** In each engine: opening a document with a long history beside y-indexeddb, and a table beside Dexie and RxDB. */
import { closeDocument, documentContender, fillDocument, tableContender } from '../browser/documents.ts'
import { ENGINES, type Engine } from '../browser/engines.ts'
import { closeLab } from '../browser/lab.ts'
import { HAS_RXDB } from '../browser/page-host.ts'
import type { Aim, Scenario } from '../harness/scenario.ts'

const OTTLA = 'Ottla'
const OFFLINE = 'Ottla, offline'
const DEXIE = 'Dexie'
const PEER = 'y-indexeddb'

const openDocument = (engine: Engine): Scenario => ({
  name: `documents-open-${engine.name}`,
  engine: engine.name,
  title: `Opening a Yjs document with 100,000 updates, ${engine.title}`,
  method:
    'The same seeded history of one text for all, one update an edit. A browser is started on what its device has; time runs from the start of the task in the page until the document has everything. Ottla opens from a relay on the same machine, which has written its snapshots as it does after each 500 updates; once in a browser that has nothing, once with the whole topic in its replica; and without a relay, in a browser that has had it open before. y-indexeddb has what it leaves when it merges, as it does after each 500 updates: one state, and 400 updates.',
  columns: [
    { metric: 'openMs', title: 'open ms', digits: 0 },
    { metric: 'chars', title: 'characters', digits: 0 },
    { metric: 'longestTaskMs', title: 'longest main-thread task ms', digits: 0 },
  ],
  contenders: [
    documentContender(engine, OTTLA, {}),
    documentContender(engine, `${OTTLA}, with a replica`, { hasReplica: true }),
    documentContender(engine, OFFLINE, { hasReplica: true, isOffline: true }),
    documentContender(engine, PEER, { isPeer: true }),
  ],
  prepare: fillDocument,
  finish: closeDocument,
  aims: [
    { text: 'under 1 s', metric: 'openMs', of: OTTLA, unit: 'ms', below: 1_000 },
    { text: 'offline under 1 s', metric: 'openMs', of: OFFLINE, unit: 'ms', below: 1_000 },
  ],
})

const LEVEL: ReadonlyArray<[string, string]> = [
  ['getP50Ms', 'a get takes no longer than in Dexie'],
  ['rangeP50Ms', 'a range takes no longer than in Dexie'],
  ['scatteredP50Ms', 'a range of scattered rows takes no longer than in Dexie'],
  ['liveP50Ms', 'a put is heard no later than in Dexie'],
]

const table = (engine: Engine): Scenario => ({
  name: `documents-table-${engine.name}`,
  engine: engine.name,
  title: `Rows on the device, ${engine.title}: 20,000 of 100 B, two indexes`,
  method:
    'Dexie and RxDB (on its Dexie storage) work on IndexedDB in the page, and keep nothing elsewhere. In Ottla a SharedWorker takes rows from the log, and keeps what waits in the outbox over them. A get of a random key; a range of 100 rows by an index that has the order of the keys, as times do, and by one that has none; the count of such a range; and the time from a put until a query that lives has it, in Ottla as pending, stored in a strict transaction, each 15 ms after the last. 200 times each, one after another.',
  columns: [
    { metric: 'getP50Ms', title: 'get p50 ms', digits: 2 },
    { metric: 'getP99Ms', title: 'p99 ms', digits: 2 },
    { metric: 'rangeP50Ms', title: 'range p50 ms', digits: 2 },
    { metric: 'scatteredP50Ms', title: 'scattered range p50 ms', digits: 2 },
    { metric: 'countP50Ms', title: 'count p50 ms', digits: 2 },
    { metric: 'liveP50Ms', title: 'put to live query p50 ms', digits: 2 },
    { metric: 'liveP99Ms', title: 'p99 ms', digits: 2 },
    { metric: 'filledMs', title: 'filled ms', digits: 0 },
  ],
  contenders: [
    tableContender(engine, OTTLA, 'ottla'),
    tableContender(engine, DEXIE, 'dexie'),
    ...(HAS_RXDB ? [tableContender(engine, 'RxDB', 'rxdb')] : []),
  ],
  finish: closeLab,
  aims: LEVEL.map(([metric, text]): Aim => ({ text, metric, of: OTTLA, to: DEXIE, atMost: 1 })),
})

export const documentScenarios: Scenario[] = [openDocument, table].flatMap((scenario) => ENGINES.map(scenario))
