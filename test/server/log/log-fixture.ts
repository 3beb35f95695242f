/** Opens logs for tests, in memory or on disk, with settings that make a few records interesting. */
import { HandClock } from '../../../protocol/lib/clock.ts'
import { DEFAULT_LOG_CONFIG } from '../../../server/log/log-config.ts'
import { openPartitionLog } from '../../../server/log/open-log.ts'
import type { LogConfig, PartitionLog, PartitionLogOptions } from '../../../server/log/partition-log.ts'
import type { Finding } from '../../../server/log/verify.ts'
import { verifyLog } from '../../../server/log/verify.ts'
import type { Files } from '../../../server/storage/files.ts'
import { readWholeFile } from '../../../server/storage/files.ts'
import { MemoryFiles } from '../../../server/storage/memory-files.ts'
import { batchOf, valuesIn } from '../../support/batches.ts'

export const DIR = '/data/topic-0'

export interface LogFixture extends Partial<Omit<PartitionLogOptions, 'config'>> {
  config?: Partial<LogConfig>
}

export function openLog(fixture: LogFixture = {}): Promise<PartitionLog> {
  const { config, ...options } = fixture
  return openPartitionLog({
    files: new MemoryFiles(),
    dir: DIR,
    clock: new HandClock(),
    ...options,
    config: () => ({ ...DEFAULT_LOG_CONFIG, ...config }),
  })
}

/** Appends one record per value, each a batch and a commit of its own. */
export async function appendEach(log: PartitionLog, values: readonly string[]): Promise<void> {
  for (const value of values) await log.append(batchOf([value])).durable
}

/** Everything that can be read from `from` on, as `offset:value`. */
export async function valuesFrom(log: PartitionLog, from = log.startOffset, maxBytes = 300): Promise<string[]> {
  const values: string[] = []
  for (let at = from; at < log.highWatermark; ) {
    const read = await log.read(at, maxBytes)
    values.push(...valuesIn(read.bytes))
    at = read.nextOffset
  }
  return values.filter((value) => Number.parseInt(value, 10) >= from)
}

/** Changes bytes of a file behind the log's back. */
export async function damage(
  files: Files,
  name: string,
  change: (bytes: Uint8Array) => Uint8Array,
  dir = DIR,
): Promise<void> {
  const path = `${dir}/${name}`
  const bytes = change((await readWholeFile(files, path))!)
  await files.remove(path)
  const file = await files.open(path, 'create')
  await file.writev([bytes], 0)
  await file.close()
}

export function flipBit(bytes: Uint8Array, at: number, bit = 0): Uint8Array {
  const flipped = bytes.slice()
  flipped[at] = flipped[at]! ^ (1 << bit)
  return flipped
}

/** The disk as a killed process leaves it, once what goes on beside the commits is done. */
export async function killed(files: MemoryFiles, clock: HandClock): Promise<MemoryFiles> {
  clock.advance(100)
  await new Promise((resolve) => setImmediate(resolve))
  await new Promise((resolve) => setImmediate(resolve))
  return files.powerCut('kept', { next: () => 0, bytes: (count) => new Uint8Array(count) })
}

export async function findings(files: Files): Promise<Finding[]> {
  const found: Finding[] = []
  for await (const finding of verifyLog(files, DIR)) found.push(finding)
  return found
}
