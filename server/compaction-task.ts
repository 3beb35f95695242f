/**
 * Compacts the logs of compacted topics: looks every so often, takes the one with the largest share of new bytes first, one
 * at a time, until none is due. So one map of keys is all the memory that it takes.
 *
 * A log whose compaction fails is said and left for a while; it does not keep the others waiting. One that nothing can be
 * done about now, though it is due (an open transaction lies in front), is left until the next look.
 */
import { readWriteCodecs } from '../protocol/codecs/read-write.ts'
import { type Clock, sleep } from '../protocol/lib/clock.ts'
import type { Random } from '../protocol/lib/random.ts'
import type { RelayConfig } from './config.ts'
import type { Engine, Topic } from './engine.ts'
import type { CompactionNeed } from './log/compaction/log-compaction.ts'
import { CompactionStopped } from './log/compaction/log-compaction.ts'
import { type CommitActivity, SlicedPace } from './log/compaction/pace.ts'
import { isCompacted } from './log/log-config.ts'
import type { PartitionLog } from './log/partition-log.ts'
import type { Logger } from './logger.ts'
import type { DiskSpace } from './storage/disk-space.ts'

/** After a failure the log is left alone for so long. */
const RETRY_MS = 60_000

export interface CompactionTaskOptions {
  engine: Engine
  config: RelayConfig
  clock: Clock
  random: Random
  logger: Logger
  commits: CommitActivity
  space: DiskSpace
  /** Its records do not replace each other, whatever it is configured to be. */
  isSpared: (topic: Topic) => boolean
}

/** What is told of compaction from outside. */
export interface CompactionStatus {
  running: { topic: string; partition: number } | null
  passes: number
  recordsRemoved: number
  bytesFreed: number
  /** Logs that could not be compacted, or not all of them, the last time. */
  troubled: Array<{ topic: string; partition: number; reason: string }>
}

interface Candidate {
  log: PartitionLog
  topic: string
  partition: number
  need: CompactionNeed
}

export class CompactionTask {
  readonly #options: CompactionTaskOptions
  readonly #codecs = readWriteCodecs()
  readonly #stopping = new AbortController()
  readonly #troubled = new Map<PartitionLog, { topic: string; partition: number; reason: string; untilMs: number }>()
  readonly #loop: Promise<void>
  #running: CompactionStatus['running'] = null
  #totals = { passes: 0, recordsRemoved: 0, bytesFreed: 0 }

  constructor(options: CompactionTaskOptions) {
    this.#options = options
    this.#loop = this.#run().catch((error) => {
      if (!this.#stopping.signal.aborted) options.logger.error('compaction ended', { error: String(error) })
    })
  }

  get status(): CompactionStatus {
    const troubled = [...this.#troubled.values()].map(({ topic, partition, reason }) => ({ topic, partition, reason }))
    return { running: this.#running, ...this.#totals, troubled }
  }

  /** Resolves when nothing runs any more. */
  async stop(): Promise<void> {
    this.#stopping.abort(new CompactionStopped('the relay stops'))
    await this.#loop
  }

  async #run(): Promise<void> {
    const { clock, config } = this.#options
    const { signal } = this.#stopping
    while (!signal.aborted) {
      await sleep(clock, config.compactionCheckMs, signal)
      const stuck = new Set<PartitionLog>()
      for (let next = await this.#mostDue(stuck); next && !signal.aborted; next = await this.#mostDue(stuck)) {
        if (!(await this.#compact(next))) stuck.add(next.log)
      }
    }
  }

  async #mostDue(stuck: ReadonlySet<PartitionLog>): Promise<Candidate | undefined> {
    const { engine, clock, space, isSpared } = this.#options
    // It writes before it frees.
    if (space.level === 'critical') return undefined
    let best: Candidate | undefined
    for (const { log, topic, partition } of compactedLogs(engine, isSpared)) {
      if (stuck.has(log) || (this.#troubled.get(log)?.untilMs ?? 0) > clock.monotonic()) continue
      const need = await log.compactionNeed().catch(() => undefined)
      if (!need || (best && best.need.dirtyRatio >= need.dirtyRatio)) continue
      best = { log, topic, partition, need }
    }
    return best
  }

  /** Returns whether anything was done. */
  async #compact({ log, topic, partition, need }: Candidate): Promise<boolean> {
    const { clock, config, random, logger, commits } = this.#options
    const { signal } = this.#stopping
    const pace = new SlicedPace({ clock, commits, bytesPerSecondMax: () => config.compactionBytesPerSecond, signal })
    const startedMs = clock.monotonic()
    this.#running = { topic, partition }
    try {
      const tools = { pace, codecs: this.#codecs, random, mapBytesMax: config.compactionMapBytes }
      const { skipped, ...report } = await log.compact(tools)
      if (report.passes === 0) return false
      this.#totals.passes += report.passes
      this.#totals.recordsRemoved += report.recordsRemoved
      this.#totals.bytesFreed += Math.max(0, report.bytesBefore - report.bytesAfter)
      this.#troubled.delete(log)
      if (skipped[0]) this.#troubled.set(log, { topic, partition, reason: skipped[0], untilMs: 0 })
      const tookMs = Math.round(clock.monotonic() - startedMs)
      logger.info('compacted', { topic, partition, reason: need.reason, ...report, skipped: skipped.length, tookMs })
      return true
    } catch (error) {
      if (error instanceof CompactionStopped) return false
      const reason = error instanceof Error ? error.message : String(error)
      this.#troubled.set(log, { topic, partition, reason, untilMs: clock.monotonic() + RETRY_MS })
      logger.warn('compaction failed, tried again later', { topic, partition, reason })
      return false
    } finally {
      this.#running = null
    }
  }
}

function* compactedLogs(
  engine: Engine,
  isSpared: CompactionTaskOptions['isSpared'],
): Generator<Omit<Candidate, 'need'>> {
  for (const { name, log } of engine.internalLogs?.() ?? []) yield { log, topic: name, partition: 0 }
  for (const topic of engine.topics()) {
    if (!isCompacted(topic.config.cleanupPolicy) || isSpared(topic)) continue
    for (const [partition, log] of topic.partitions.entries()) yield { log, topic: topic.name, partition }
  }
}
