/** Many seeds over several threads, and what they came to. */
import { Worker } from 'node:worker_threads'
import type { SeedReport, SeedTask } from './seed-worker.ts'
import { Probes } from './world/probes.ts'

export interface CampaignOptions {
  seeds: readonly number[]
  /** These run twice, and must come out the same. */
  twice: readonly number[]
  workers: number
  budgetMs: number
}

export interface CampaignResult {
  failures: SeedReport[]
  probes: ReadonlyMap<string, number>
  summary: string
  /** All seeds have run. */
  isWhole: boolean
}

const PROGRESS_EVERY = 500
/** Little of what a world makes lives long. In a larger young heap it is dead before it is looked at. */
const YOUNG_HEAP_MB = 192

export class Campaign {
  readonly #options: CampaignOptions
  readonly #probes = new Probes()
  readonly #failures: SeedReport[] = []
  readonly #startedAt = performance.now()
  #next = 0
  #done = 0
  #virtualMs = 0
  #events = 0
  #operations = 0

  constructor(options: CampaignOptions) {
    this.#options = options
  }

  async run(print: (line: string) => void): Promise<CampaignResult> {
    const workers = Array.from({ length: this.#options.workers }, () => this.#work(print))
    await Promise.all(workers)
    const isWhole = this.#done === this.#options.seeds.length
    this.#failures.sort((a, b) => a.seed - b.seed)
    return { failures: this.#failures, probes: this.#probes.counts, summary: this.#summary(), isWhole }
  }

  #work(print: (line: string) => void): Promise<void> {
    const worker = new Worker(new URL(import.meta.url), { resourceLimits: { maxYoungGenerationSizeMb: YOUNG_HEAP_MB } })
    return new Promise((resolve, reject) => {
      worker.on('error', reject)
      const go = () => {
        const task = this.#take()
        if (task) return worker.postMessage(task)
        resolve()
        void worker.terminate()
      }
      worker.on('message', (report: SeedReport) => {
        this.#note(report, print)
        go()
      })
      go()
    })
  }

  #take(): SeedTask | undefined {
    const { seeds, twice, budgetMs } = this.#options
    if (performance.now() - this.#startedAt > budgetMs) return undefined
    const seed = seeds[this.#next++]
    return seed === undefined ? undefined : { seed, isTwice: twice.includes(seed) }
  }

  #note(report: SeedReport, print: (line: string) => void): void {
    this.#done++
    this.#virtualMs += report.virtualMs
    this.#events += report.events
    this.#operations += report.operations
    this.#probes.addAll(report.probes)
    if (report.faults.length > 0) {
      this.#failures.push(report)
      print(`seed ${report.seed} failed: ${report.faults[0]}`)
    }
    if (this.#done % PROGRESS_EVERY === 0) print(this.#summary())
  }

  #summary(): string {
    const seconds = (performance.now() - this.#startedAt) / 1_000
    const { length } = this.#options.seeds
    const times = this.#virtualMs / 1_000 / seconds
    return (
      `${this.#done} of ${length} seeds in ${seconds.toFixed(1)} s, ${this.#failures.length} failed: ` +
      `${this.#operations} operations, ${this.#events} events, ${(this.#virtualMs / 3_600_000).toFixed(1)} virtual hours, ` +
      `${times.toFixed(0)} times as fast as real time`
    )
  }
}
