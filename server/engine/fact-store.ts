/** Small facts that belong to the cluster rather than to a topic, by key: records of the metadata log. */
import type { Facts } from '../engine.ts'
import type { MetadataChange, MetadataLog } from './metadata-log.ts'

const PREFIX = 'fact/'
export type FactKey = `fact/${string}`

type FactChange = Extract<MetadataChange, { key: FactKey }>

export const isFact = (change: MetadataChange): change is FactChange => change.key.startsWith(PREFIX)

export class FactStore implements Facts {
  readonly #metadata: MetadataLog
  readonly #facts = new Map<string, unknown>()

  constructor(metadata: MetadataLog) {
    this.#metadata = metadata
  }

  /** From the log, at the start. */
  replay({ key, value }: FactChange): void {
    this.#hold(key.slice(PREFIX.length), value)
  }

  get(key: string): unknown {
    return this.#facts.get(key)
  }

  *entries(prefix: string): Iterable<[key: string, value: unknown]> {
    for (const entry of this.#facts) if (entry[0].startsWith(prefix)) yield entry
  }

  async put(key: string, value: unknown): Promise<void> {
    await this.#metadata.append({ key: `${PREFIX}${key}`, value })
    this.#hold(key, value)
  }

  #hold(key: string, value: unknown): void {
    if (value === null) this.#facts.delete(key)
    else this.#facts.set(key, value)
  }
}
