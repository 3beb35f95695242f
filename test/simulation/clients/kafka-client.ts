/** What all Kafka clients of a world have: a machine, a process that can die, a connection that is made again. */
import { isRetriableCode } from '../../../protocol/errors.ts'
import { metadata } from '../../../protocol/messages/metadata.ts'
import type { Host } from '../world/network.ts'
import type { Process } from '../world/process.ts'
import type { World } from '../world/world.ts'
import { Disconnected, KafkaWire } from './kafka-wire.ts'
import type { Recorder } from './recorder.ts'

export interface KafkaClientOptions {
  world: World
  recorder: Recorder
  name: string
  host: Host
  relay: Host
  /** 0 speaks the oldest versions, 1 the newest. Default: chance. */
  age?: number
}

export interface TopicView {
  name: string
  topicId: string | undefined
  partitions: number
}

const NO_ID = 'A'.repeat(22)

export class KafkaClient {
  readonly world: World
  readonly recorder: Recorder
  readonly process: Process
  readonly age: number
  readonly host: Host
  readonly #relay: Host
  #wire: KafkaWire | undefined
  #opening: Promise<KafkaWire> | undefined

  constructor({ world, recorder, name, host, relay, age }: KafkaClientOptions) {
    this.world = world
    this.recorder = recorder
    this.process = world.process(name, host)
    this.age = age ?? this.process.dice.pick([0, 1, this.process.dice.next()])
    this.host = host
    this.#relay = relay
  }

  /** The connection, made when there is none. Rejects Disconnected. */
  connect(): Promise<KafkaWire> {
    if (this.#wire && !this.#wire.isOver) return Promise.resolve(this.#wire)
    this.#opening ??= this.another()
      .then((wire) => {
        this.#wire = wire
        return wire
      })
      .finally(() => {
        this.#opening = undefined
      })
    return this.#opening
  }

  /** A connection beside the others. */
  another(): Promise<KafkaWire> {
    const { world, process, age } = this
    return KafkaWire.open({ world, process, from: this.host, to: this.#relay, age })
  }

  disconnect(): void {
    this.#wire?.abort('given up')
  }

  /** undefined when there is no such topic. Waits for a relay to answer. */
  async describe(topic: string): Promise<TopicView | undefined> {
    for (;;) {
      const found = await this.patiently(async (wire) => {
        const { topics } = await wire.call(metadata, { topics: [{ name: topic }], allowAutoTopicCreation: false })
        return topics[0]!
      })
      if (found.errorCode === 0) {
        const topicId = found.topicId === NO_ID ? undefined : found.topicId
        return { name: topic, topicId, partitions: found.partitions.length }
      }
      if (!isRetriableCode(found.errorCode) || found.errorCode === 3) return undefined
      await this.pause()
    }
  }

  /** Tries until the call is answered. */
  async patiently<T>(call: (wire: KafkaWire) => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await call(await this.connect())
      } catch (error) {
        if (!(error instanceof Disconnected)) throw error
        await this.pause()
      }
    }
  }

  pause(): Promise<void> {
    return this.process.sleep(this.process.dice.skewed(20, 1_000))
  }

  kill(): void {
    this.process.kill()
  }
}
