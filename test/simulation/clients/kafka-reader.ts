/** A consumer without a group: reads a topic from its beginning, again and again. */

import { type FetchOptions, type FetchPosition, fetchOnce, offsetAt } from './fetch-position.ts'
import { KafkaClient, type KafkaClientOptions } from './kafka-client.ts'
import { Disconnected } from './kafka-wire.ts'

export interface KafkaReaderOptions extends KafkaClientOptions {
  topic: string
  isolation: 0 | 1
}

export class KafkaReader extends KafkaClient {
  readonly #options: KafkaReaderOptions
  #positions: FetchPosition[] = []
  #isStopped = false
  #passes = 0

  constructor(options: KafkaReaderOptions) {
    super(options)
    this.#options = options
  }

  get topic(): string {
    return this.#options.topic
  }

  async run(): Promise<void> {
    while (!this.#isStopped) {
      try {
        if (this.#positions.length === 0 && !(await this.#begin())) await this.pause()
        else await this.#readOn()
      } catch (error) {
        if (!(error instanceof Disconnected)) throw error
        await this.pause()
      }
    }
  }

  stop(): void {
    this.#isStopped = true
  }

  /** Has read everything below these ends. */
  hasReached(ends: ReadonlyMap<number, number>): boolean {
    return [...ends].every(([partition, end]) => {
      const position = this.#positions.find((each) => each.partition === partition)
      return position !== undefined && position.offset >= end
    })
  }

  async #begin(): Promise<boolean> {
    const topic = await this.describe(this.#options.topic)
    if (!topic) return false
    const wire = await this.connect()
    const positions: FetchPosition[] = []
    for (let partition = 0; partition < topic.partitions; partition++) {
      const offset = await offsetAt(this, wire, topic.name, partition, -2)
      if (offset === undefined) return false
      positions.push({ topic, partition, offset, jump: 'start' })
    }
    this.#passes++
    this.#positions = positions
    return true
  }

  async #readOn(): Promise<void> {
    const { dice, name } = this.process
    const options: FetchOptions = {
      reader: `${name}/${this.#passes}`,
      isolation: this.#options.isolation,
      maxWaitMs: dice.pick([0, 100, 500, 2_000]),
      maxBytes: dice.pick([1, 1_000, 10_000, 1_000_000]),
    }
    const wire = await this.connect()
    if (!(await fetchOnce(this, wire, this.#positions, options))) this.#positions = []
    if (options.maxWaitMs === 0) await this.pause()
    // Who begins anew looks at old records again, with other eyes.
    if (dice.chance(0.01)) this.#positions = []
  }
}
