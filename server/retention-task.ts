/** Lets every log drop what its topic no longer keeps, one after another, every so often. */
import type { Clock, Timer } from '../protocol/lib/clock.ts'
import type { Engine, Topic } from './engine.ts'
import type { Logger } from './logger.ts'

export interface RetentionTaskOptions {
  engine: Engine
  everyMs: number
  clock: Clock
  logger: Logger
  /** How much of what lies below `offset` may go now: somebody may still need it in another form. */
  deletableUpTo: (topic: Topic, partition: number, offset: number) => number
}

export class RetentionTask {
  readonly #options: RetentionTaskOptions
  #timer: Timer | undefined
  #isStopped = false

  constructor(options: RetentionTaskOptions) {
    this.#options = options
    this.#schedule()
  }

  stop(): void {
    this.#isStopped = true
    this.#timer?.cancel()
  }

  #schedule(): void {
    if (this.#isStopped) return
    const { clock, everyMs } = this.#options
    this.#timer = clock.setTimer(everyMs, () => void this.#run().finally(() => this.#schedule()))
  }

  async #run(): Promise<void> {
    const { engine, logger, deletableUpTo } = this.#options
    for (const topic of [...engine.topics()]) {
      for (const [partition, log] of topic.partitions.entries()) {
        if (this.#isStopped) return
        try {
          await log.enforceRetention((offset) => deletableUpTo(topic, partition, offset))
        } catch (error) {
          // The log has taken itself offline and said why; the others go on.
          logger.error('retention failed', { topic: topic.name, partition, error: String(error) })
        }
      }
    }
  }
}
