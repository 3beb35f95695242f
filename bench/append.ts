/**
 * What group commit costs over the bare disk: 64 KiB batches into a PartitionLog, several producers each with a few in
 * flight, against the same pieces written and synced in a bare loop, one at a time, by synchronous calls (no event loop, no
 * thread pool: the most that the disk gives to one writer), in a file that grows and in one that was filled beforehand.
 *
 * Prints one line of JSON: medians of alternating runs, MB/s. Usage: node bench/append.mjs [runs] [batches] [in flight]
 */
import fs from 'node:fs'
import os from 'node:os'
import { performance } from 'node:perf_hooks'
import { systemClock } from '../protocol/lib/clock.ts'
import { encodeBatch } from '../protocol/records.ts'
import { DEFAULT_LOG_CONFIG } from '../server/log/log-config.ts'
import { openPartitionLog } from '../server/log/open-log.ts'
import { nodeFiles } from '../server/storage/node-files.ts'

const RUNS = Number(process.argv[2] ?? 5)
const BATCHES = Number(process.argv[3] ?? 4000)
const IN_FLIGHT = Number(process.argv[4] ?? 16)
const RECORD_BYTES = 100
const BATCH_BYTES = 64 * 1024

interface Run {
  megabytesPerSecond: number
  p50Us: number
  p99Us: number
}

function makeBatch(): Uint8Array {
  const value = new Uint8Array(RECORD_BYTES - 10).fill(120)
  const count = Math.floor((BATCH_BYTES - 61) / RECORD_BYTES)
  return encodeBatch(Array.from({ length: count }, () => ({ key: null, value, timestamp: Date.now() - 1000 })))
}

function summary(startedAt: number, latencies: number[], bytes: number): Run {
  const seconds = (performance.now() - startedAt) / 1000
  const sorted = latencies.sort((a, b) => a - b)
  const at = (share: number) => Math.round(sorted[Math.floor(sorted.length * share)]! * 1000)
  return { megabytesPerSecond: Math.round(bytes / seconds / 1e6), p50Us: at(0.5), p99Us: at(0.99) }
}

function bare(dir: string, batch: Uint8Array, isFilled: boolean): Run {
  const path = `${dir}/bare`
  const fd = fs.openSync(path, 'w')
  const total = BATCHES * batch.length
  const zeros = new Uint8Array(1 << 20)
  if (isFilled) for (let at = 0; at < total; at += zeros.length) fs.writeSync(fd, zeros, 0, zeros.length, at)
  fs.fsyncSync(fd)
  const latencies: number[] = []
  const startedAt = performance.now()
  for (let index = 0; index < BATCHES; index++) {
    const sentAt = performance.now()
    fs.writevSync(fd, [batch], index * batch.length)
    fs.fdatasyncSync(fd)
    latencies.push(performance.now() - sentAt)
  }
  const result = summary(startedAt, latencies, total)
  fs.closeSync(fd)
  fs.unlinkSync(path)
  return result
}

async function logged(dir: string, template: Uint8Array, inFlight: number): Promise<Run> {
  const config = () => DEFAULT_LOG_CONFIG
  const log = await openPartitionLog({ files: nodeFiles, dir: `${dir}/log`, config, clock: systemClock })
  const batches = Array.from({ length: BATCHES }, () => template.slice())
  let next = 0
  const latencies: number[] = []
  const startedAt = performance.now()
  const producer = async () => {
    for (let batch = batches[next++]; batch; batch = batches[next++]) {
      const sentAt = performance.now()
      await log.append(batch).durable
      latencies.push(performance.now() - sentAt)
    }
  }
  await Promise.all(Array.from({ length: inFlight }, producer))
  const result = summary(startedAt, latencies, BATCHES * template.length)
  await log.close()
  fs.rmSync(`${dir}/log`, { recursive: true })
  return result
}

function median(runs: Run[]): Run & { min: number; max: number } {
  const sorted = [...runs].sort((a, b) => a.megabytesPerSecond - b.megabytesPerSecond)
  const middle = sorted[Math.floor(sorted.length / 2)]!
  return { ...middle, min: sorted[0]!.megabytesPerSecond, max: sorted.at(-1)!.megabytesPerSecond }
}

const dir = fs.mkdtempSync(`${os.tmpdir()}/ottla-append-`)
const batch = makeBatch()
const results = {
  bareGrowing: [] as Run[],
  bareFilled: [] as Run[],
  log: [] as Run[],
  logFour: [] as Run[],
  logOne: [] as Run[],
}
for (let run = 0; run < RUNS; run++) {
  results.bareGrowing.push(bare(dir, batch, false))
  results.log.push(await logged(dir, batch, IN_FLIGHT))
  results.logFour.push(await logged(dir, batch, 4))
  results.logOne.push(await logged(dir, batch, 1))
  results.bareFilled.push(bare(dir, batch, true))
}
fs.rmSync(dir, { recursive: true })
const medians = Object.fromEntries(Object.entries(results).map(([name, runs]) => [name, median(runs)]))
const ratio = (a: keyof typeof results, b: keyof typeof results) =>
  Number((medians[a]!.megabytesPerSecond / medians[b]!.megabytesPerSecond).toFixed(2))
console.log(
  JSON.stringify({
    bench: 'append',
    runs: RUNS,
    batchBytes: batch.length,
    batches: BATCHES,
    inFlight: IN_FLIGHT,
    medians,
    ratios: {
      logToGrowing: ratio('log', 'bareGrowing'),
      logToFilled: ratio('log', 'bareFilled'),
      fourInFlightToGrowing: ratio('logFour', 'bareGrowing'),
      oneInFlightToGrowing: ratio('logOne', 'bareGrowing'),
    },
  }),
)
