/**
 * Topic names, ids and partition counts as the relay last told them.
 *
 * Invariants: look-ups of one microtask go out as one Metadata request; a name maps to one id at a time, and what is
 * learnt of a new id removes the old one; at most TOPICS_MAX topics are remembered, the longest unused go first.
 */
import type { Clock } from '../protocol/lib/clock.ts'
import { NULL_UUID } from '../protocol/lib/uuid.ts'
import { metadata } from '../protocol/messages/metadata.ts'
import type { TopicInfo } from './core.ts'
import { OttlaError } from './errors.ts'
import { kafkaFailure } from './kafka-failure.ts'
import type { Session, TopicDirectory } from './session.ts'

const TOPICS_MAX = 4096
/** Older entries are asked for again when used, so that new partitions are seen (Kafka's metadata.max.age.ms). */
const AGE_MS_MAX = 5 * 60_000

interface Entry {
  info: TopicInfo
  learntAtMs: number
}

interface ToldTopic {
  errorCode: number
  name: string | null
  topicId: string
  partitions: readonly unknown[]
}

interface LookUp {
  name: string | null
  topicId: string
  resolve(info: TopicInfo): void
  reject(error: unknown): void
}

export class RelayTopicDirectory implements TopicDirectory {
  readonly #call: Session['call']
  readonly #clock: Clock
  readonly #byName = new Map<string, Entry>()
  readonly #nameOfId = new Map<string, string>()
  #asked: LookUp[] = []

  constructor(call: Session['call'], clock: Clock) {
    this.#call = call
    this.#clock = clock
  }

  known(name: string): TopicInfo | undefined {
    return this.#byName.get(name)?.info
  }

  async lookUp(name: string): Promise<TopicInfo> {
    const entry = this.#byName.get(name)
    if (entry && this.#clock.monotonic() - entry.learntAtMs < AGE_MS_MAX) return entry.info
    return this.#ask(name, NULL_UUID).catch((error) => this.#knownWhileOffline(entry, error))
  }

  async lookUpId(topicId: string): Promise<TopicInfo> {
    const name = this.#nameOfId.get(topicId)
    const entry = name === undefined ? undefined : this.#byName.get(name)
    return entry?.info ?? this.#ask(null, topicId)
  }

  async refresh(names?: readonly string[]): Promise<TopicInfo[]> {
    const topics = names?.map((name) => ({ name })) ?? null
    const answer = await this.#call(metadata, { topics, allowAutoTopicCreation: false })
    return answer.topics.filter((topic) => faultOf(topic) === 0).map((topic) => this.#learn(topic))
  }

  forget(nameOrId: string): void {
    const name = this.#nameOfId.get(nameOrId) ?? nameOrId
    const entry = this.#byName.get(name)
    if (!entry) return
    this.#byName.delete(name)
    this.#nameOfId.delete(entry.info.id)
  }

  #knownWhileOffline(entry: Entry | undefined, error: unknown): TopicInfo {
    if (entry && error instanceof OttlaError && error.code === 'DISCONNECTED') return entry.info
    throw error
  }

  #ask(name: string | null, topicId: string): Promise<TopicInfo> {
    return new Promise((resolve, reject) => {
      this.#asked.push({ name, topicId, resolve, reject })
      if (this.#asked.length === 1) queueMicrotask(() => this.#askAll())
    })
  }

  /** The relay refuses a request that mixes names and ids, so each kind goes by itself. */
  #askAll(): void {
    const asked = this.#asked
    this.#asked = []
    for (const group of [asked.filter(({ name }) => name !== null), asked.filter(({ name }) => name === null)]) {
      if (group.length > 0) void this.#askGroup(group)
    }
  }

  async #askGroup(group: LookUp[]): Promise<void> {
    try {
      const topics = group.map(({ name, topicId }) => ({ name, topicId }))
      const answer = await this.#call(metadata, { topics, allowAutoTopicCreation: true })
      for (const lookUp of group) {
        const { name, topicId } = lookUp
        const topic = answer.topics.find((found) => (name === null ? found.topicId === topicId : found.name === name))
        const fault = faultOf(topic)
        if (topic && !fault) lookUp.resolve(this.#learn(topic))
        else lookUp.reject(kafkaFailure(fault, `looking up topic ${name ?? topicId}`))
      }
    } catch (error) {
      for (const lookUp of group) lookUp.reject(error)
    }
  }

  #learn(topic: ToldTopic): TopicInfo {
    const info: TopicInfo = { name: topic.name ?? '', id: topic.topicId, partitionCount: topic.partitions.length }
    this.forget(info.name)
    this.#byName.set(info.name, { info, learntAtMs: this.#clock.monotonic() })
    this.#nameOfId.set(info.id, info.name)
    if (this.#byName.size > TOPICS_MAX) this.forget(this.#byName.keys().next().value ?? '')
    return info
  }
}

/**
 * Kafka's error code; 0 for a topic that can be used. UNKNOWN_TOPIC_OR_PARTITION (3) for one that was left out, and for one
 * without partitions LEADER_NOT_AVAILABLE (5): it is asked for again.
 */
const faultOf = (topic: ToldTopic | undefined): number =>
  topic ? topic.errorCode || (topic.partitions.length > 0 ? 0 : 5) : 3
