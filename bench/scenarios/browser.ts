/** Chromium: filling a replica, opening it cold, what it costs in memory, and the price of one durable write. */
import { closeRelayAndLab, fillRelay, ottlaLoneWrite, ottlaMemory, ottlaOpen, ottlaSync } from '../browser/ottla.ts'
import {
  dexie,
  loneWriteContender,
  memoryContender,
  openContender,
  pouchdb,
  rawCatchUpRows,
  rawTailRows,
  syncContender,
  waSqlite,
} from '../browser/peers.ts'
import type { Aim, Scenario, Trial } from '../harness/scenario.ts'

const prepare = (trial: Trial) => fillRelay(trial, 1_000_000)

const inChromium =
  'Fresh Chromium and profile each run, 1 s to settle. Raw IndexedDB and the peers take binary WebSocket frames from a local server with 8 MiB of credit, in a dedicated worker; Ottla takes its Deliver frames from a relay that reads them from disk, in a SharedWorker or in the page, from `connect` on.'

const atLeastTimes = (to: string, atLeast: number): Aim => ({
  text: `records/s at least ${atLeast} times ${to}`,
  metric: 'recordsPerS',
  of: 'Ottla',
  to,
  atLeast,
})

const sync: Scenario = {
  name: 'browser-sync',
  title: 'Relay into IndexedDB: 1,000,000 records of 100 B',
  method: `${inChromium} Dexie gets 100,000 records and PouchDB 20,000, which flatters both. Done is the last transaction's \`complete\`.`,
  columns: [
    { metric: 'recordsPerS', title: 'records/s', digits: 0 },
    { metric: 'ms', title: 'ms', digits: 0 },
    { metric: 'rowKb', title: 'kB a row', digits: 1 },
    { metric: 'longestTaskMs', title: 'longest main-thread task ms', digits: 1 },
    { metric: 'cpuSeconds', title: 'browser CPU-s', digits: 2 },
  ],
  contenders: [
    ottlaSync('worker'),
    ottlaSync('page'),
    ...[rawCatchUpRows, rawTailRows, waSqlite, dexie, pouchdb].map(syncContender),
  ],
  prepare,
  finish: closeRelayAndLab,
  aims: [
    atLeastTimes(rawCatchUpRows.name, 0.8),
    atLeastTimes(waSqlite.name, 2),
    atLeastTimes(dexie.name, 50),
    atLeastTimes(pouchdb.name, 250),
    { text: 'longest main-thread task under 50 ms', metric: 'longestTaskMs', of: 'Ottla', unit: 'ms', below: 50 },
  ],
}

const memory: Scenario = {
  name: 'browser-memory',
  title: 'Added memory while a replica fills',
  method: `${inChromium} Peak proportional set size of the browser's process tree, sampled every 150 ms, beyond the idle page.`,
  columns: [{ metric: 'addedMib', title: 'added MiB', digits: 0 }],
  contenders: [ottlaMemory('worker'), ...[rawCatchUpRows, waSqlite].map(memoryContender)],
  prepare,
  finish: closeRelayAndLab,
  aims: [{ text: 'added memory under 80 MB (76 MiB)', metric: 'addedMib', of: 'Ottla', unit: 'MiB', below: 76.3 }],
}

const open: Scenario = {
  name: 'browser-open',
  title: 'Cold open of a replica of 1,000,000 records to its first record',
  method: `The browser is closed after the sync and started again on its profile; time runs from the task's start in the page's script.`,
  columns: [
    { metric: 'firstRecordMs', title: 'first record ms', digits: 1 },
    { metric: 'openedMs', title: 'database open ms', digits: 1 },
  ],
  contenders: [ottlaOpen('worker'), ottlaOpen('page'), ...[rawCatchUpRows, waSqlite].map(openContender)],
  prepare,
  finish: closeRelayAndLab,
  aims: [{ text: 'under 10 ms', metric: 'firstRecordMs', of: 'Ottla', unit: 'ms', below: 10 }],
}

const loneWrite: Scenario = {
  name: 'browser-write',
  title: 'A lone write until it is stored on the device',
  method:
    '300 writes of a 100 B record, each 15 ms after the last was committed at the relay (raw: complete), so that nothing else is under way. Raw: one strict transaction with one row of 170 B.',
  columns: [
    { metric: 'storedP50Ms', title: 'stored p50 ms', digits: 3 },
    { metric: 'storedP99Ms', title: 'p99 ms', digits: 2 },
  ],
  contenders: [ottlaLoneWrite('worker'), ottlaLoneWrite('page'), loneWriteContender('raw strict transaction')],
  prepare,
  finish: closeRelayAndLab,
  aims: [
    {
      text: 'p50 within 1.5 times a raw strict transaction',
      metric: 'storedP50Ms',
      of: 'Ottla',
      to: 'raw strict transaction',
      atMost: 1.5,
    },
  ],
}

export const browserScenarios: Scenario[] = [sync, memory, open, loneWrite]
