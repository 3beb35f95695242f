/** Chromium: opening a document with a long history beside y-indexeddb, and a table beside Dexie. */
import { documentContender, tableContender } from '../browser/documents.ts'
import { closeLab } from '../browser/peers.ts'
import type { Scenario } from '../harness/scenario.ts'

const OTTLA = 'Ottla'
const DEXIE = 'Dexie'

const openDocument: Scenario = {
  name: 'documents-open',
  title: 'Opening a Yjs document with 100,000 updates',
  method:
    'The same seeded history of one text for all, one update an edit. The browser is closed when it is written, and started again on its profile; time runs from the start of the task in the page until the document has everything. Ottla opens from a relay on the same machine, which has written its snapshots as it does after each 500 updates; once in a browser that has nothing, once with the whole topic in its replica. y-indexeddb has merged what it stored, as it does a second after an edit.',
  columns: [
    { metric: 'openMs', title: 'open ms', digits: 0 },
    { metric: 'chars', title: 'characters', digits: 0 },
    { metric: 'longestTaskMs', title: 'longest main-thread task ms', digits: 0 },
  ],
  contenders: [
    documentContender(OTTLA, { isPeer: false, hasReplica: false }),
    documentContender(`${OTTLA}, with a replica`, { isPeer: false, hasReplica: true }),
    documentContender('y-indexeddb', { isPeer: true, hasReplica: false }),
  ],
  finish: closeLab,
  aims: [{ text: 'under 1 s', metric: 'openMs', of: OTTLA, unit: 'ms', below: 1_000 }],
}

const table: Scenario = {
  name: 'documents-table',
  title: 'Rows on the device: 20,000 of 100 B, one index',
  method:
    'Dexie works on IndexedDB in the page. Ottla asks its SharedWorker, which keeps the rows with what waits in the outbox over them. A get of a random key; a range of 100 rows by an index of a number; and the time from a put until a query that lives has it, in Ottla as pending. 300 times each, one after another. RxDB is left out: it brings 24 packages, WebRTC and GraphQL among them.',
  columns: [
    { metric: 'getP50Ms', title: 'get p50 ms', digits: 2 },
    { metric: 'rangeP50Ms', title: 'range p50 ms', digits: 2 },
    { metric: 'liveP50Ms', title: 'put to live query p50 ms', digits: 2 },
    { metric: 'filledMs', title: 'filled ms', digits: 0 },
  ],
  contenders: [tableContender(OTTLA, false), tableContender(DEXIE, true)],
  finish: closeLab,
  aims: [],
}

export const documentScenarios: Scenario[] = [openDocument, table]
