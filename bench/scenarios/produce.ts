/** Produce to fsynced acknowledgement, held to what the disk itself does with the same pieces. */
import { join } from 'node:path'
import { load } from '../harness/load-client.ts'
import type { Contender, Scenario, Trial } from '../harness/scenario.ts'
import { startRelay, withServer } from '../harness/servers.ts'

const PIECE_BYTES = 65_536
/** A batch of one 100 B record without key and headers: 61 of header, 108 of record. */
const SINGLE_BATCH_BYTES = 169

const duration = (trial: Trial) => ({
  'warm-ms': trial.quick ? 300 : 1_000,
  'duration-ms': trial.quick ? 700 : 3_000,
})

function disk(name: string, options: Record<string, number>): Contender {
  const run = (trial: Trial) => load('disk', { file: join(trial.directory, 'pieces'), ...options, ...duration(trial) })
  return { name, run }
}

function relay(options: Record<string, number>): Contender {
  const run = (trial: Trial) =>
    withServer(startRelay(trial.directory), (server) =>
      load('produce', { port: server.port, 'server-pid': server.pid, ...options, ...duration(trial) }),
    )
  return { name: 'Ottla', run }
}

export const produceThroughput: Scenario = {
  name: 'produce-throughput',
  title: 'Produce to fsynced ack: 100 B records in 64 KiB batches',
  method:
    '4 WebSocket connections, each with up to 5 batches in flight, one partition. The disk: append 64 KiB, fdatasync, again, by a C program on the same file system; preallocated: blocks written beforehand.',
  columns: [
    { metric: 'mbPerS', title: 'MB/s', digits: 0 },
    { metric: 'ackedPerS', title: 'records/s', digits: 0 },
    { metric: 'p50Ms', title: 'p50 ms', digits: 3 },
    { metric: 'p99Ms', title: 'p99 ms', digits: 3 },
    { metric: 'serverCores', title: 'server cores', digits: 2 },
    { metric: 'clientCores', title: 'client cores', digits: 2 },
    { metric: 'othersCores', title: "others' cores", digits: 2 },
  ],
  contenders: [
    relay({ producers: 4, 'in-flight': 5, 'batch-bytes': PIECE_BYTES, size: 100 }),
    disk('disk, growing file', { 'batch-bytes': PIECE_BYTES }),
    disk('disk, preallocated', { 'batch-bytes': PIECE_BYTES, preallocate: 1 }),
  ],
  aims: [
    {
      text: 'at least 0.8 of the disk (growing file)',
      metric: 'mbPerS',
      of: 'Ottla',
      to: 'disk, growing file',
      atLeast: 0.8,
    },
    {
      text: 'at least 0.8 of the disk (preallocated)',
      metric: 'mbPerS',
      of: 'Ottla',
      to: 'disk, preallocated',
      atLeast: 0.8,
    },
  ],
}

export const produceLatency: Scenario = {
  name: 'produce-latency',
  title: 'Produce to fsynced ack at 1,000 records/s: one 100 B record a request',
  method:
    'Open loop: latency runs from the instant a record was due to its acknowledgement. The disk: append and fdatasync of the same 169 bytes at the same instants.',
  columns: [
    { metric: 'p50Ms', title: 'p50 ms', digits: 3 },
    { metric: 'p99Ms', title: 'p99 ms', digits: 3 },
    { metric: 'maxMs', title: 'max ms', digits: 2 },
    { metric: 'serverCores', title: 'server cores', digits: 2 },
    { metric: 'othersCores', title: "others' cores", digits: 2 },
  ],
  contenders: [
    relay({ rate: 1_000, size: 100, 'in-flight': 64 }),
    disk('disk, growing file', { rate: 1_000, 'batch-bytes': SINGLE_BATCH_BYTES }),
    disk('disk, preallocated', { rate: 1_000, 'batch-bytes': SINGLE_BATCH_BYTES, preallocate: 1 }),
  ],
  aims: [
    {
      text: "p99 within 2 ms of the disk's own (preallocated)",
      metric: 'p99Ms',
      of: 'Ottla',
      to: 'disk, preallocated',
      as: 'difference',
      unit: 'ms',
      atMost: 2,
    },
  ],
}
