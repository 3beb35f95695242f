/** A group by its name. Cheap to make; does no I/O by itself. */
import { bytes, type Serde, string } from '../serde.ts'
import { type GroupClient, GroupConsumer } from './consumer.ts'
import type { DeadLetters } from './dead-letters.ts'
import type { GroupOptions, GroupReadOptions, KeyIn, ReadableTopic, TopicPattern, ValueIn } from './options.ts'

export class Group {
  readonly id: string
  readonly #options: GroupOptions
  readonly #client: GroupClient

  constructor(id: string, options: GroupOptions, client: GroupClient) {
    this.id = id
    this.#options = options
    this.#client = client
  }

  /** What this group could not do with records of `topic`; `name` where that is not the default. */
  async deadLetters(topic: string, name = `${topic}.${this.id}.dlq`): Promise<DeadLetters> {
    const parts = await import('./on-demand.ts')
    return new parts.DeadLetters(this.#client.topic(name), this.#client)
  }

  /**
   * A new member, which reads its share of one topic, or of all that match a pattern. Default serdes: `string` keys, `bytes`
   * values.
   */
  read<K = string, V = Uint8Array>(
    topic: string | TopicPattern,
    options?: GroupReadOptions & { key?: Serde<K>; value?: Serde<V> },
  ): GroupConsumer<K, V>
  /** A new member, which reads its share of these topics, as they are typed. */
  read<T extends ReadableTopic<unknown, unknown>>(
    topics: T | readonly T[],
    options?: GroupReadOptions,
  ): GroupConsumer<KeyIn<T>, ValueIn<T>>
  read(
    given: string | TopicPattern | ReadableTopic<unknown, unknown> | ReadonlyArray<ReadableTopic<unknown, unknown>>,
    options: GroupReadOptions & { key?: Serde<unknown>; value?: Serde<unknown> } = {},
  ): GroupConsumer<unknown, unknown> {
    const { key = string, value = bytes } = options
    const setup = { groupId: this.id, group: this.#options, options, client: this.#client }
    const serdes = { key: key as Serde<unknown>, value: value as Serde<unknown> }
    if (typeof given === 'string') return new GroupConsumer({ ...setup, topics: [{ name: given, ...serdes }] })
    if ('pattern' in given) return new GroupConsumer({ ...setup, topics: [], matching: { ...given, ...serdes } })
    return new GroupConsumer({ ...setup, topics: [given].flat() })
  }
}
