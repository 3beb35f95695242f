/** Lets every log drop what its topic no longer keeps, one after another, every so often. */
import type { Clock, Timer } from '../protocol/lib/clock.ts'
import type { Engine } from './engine.ts'
import type { Logger } from './logger.ts'

export class RetentionTask {
  readonly #engine: Engine
  readonly #everyMs: number
  readonly #clock: Clock
  readonly #logger: Logger
  #timer: Timer | undefined
  #isStopped = false

  constructor(engine: Engine, everyMs: number, clock: Clock, logger: Logger) {
    this.#engine = engine
    this.#everyMs = everyMs
    this.#clock = clock
    this.#logger = logger
    this.#schedule()
  }

  stop(): void {
    this.#isStopped = true
    this.#timer?.cancel()
  }

  #schedule(): void {
    if (this.#isStopped) return
    this.#timer = this.#clock.setTimer(this.#everyMs, () => void this.#run().finally(() => this.#schedule()))
  }

  async #run(): Promise<void> {
    for (const topic of [...this.#engine.topics()]) {
      for (const [partition, log] of topic.partitions.entries()) {
        if (this.#isStopped) return
        try {
          await log.enforceRetention()
        } catch (error) {
          // The log has taken itself offline and said why; the others go on.
          this.#logger.error('retention failed', { topic: topic.name, partition, error: String(error) })
        }
      }
    }
  }
}
