/**
 * A producer as good Kafka clients are: idempotent, five batches in flight for each partition, everything unanswered sent
 * again in order. Or one of the simple kind, without sequences, that takes what it gets.
 */
import { ErrorCode, errorName, isRetriableCode } from '../../../protocol/errors.ts'
import { produce } from '../../../protocol/messages/produce.ts'
import { initProducerId } from '../../../protocol/messages/producers.ts'
import { stampProducer } from '../../../protocol/record-batch.ts'
import { encodeBatch } from '../../../protocol/records.ts'
import type { Send } from '../../checker/history.ts'
import type { Dice } from '../world/dice.ts'
import { KafkaClient, type KafkaClientOptions, type TopicView } from './kafka-client.ts'
import { Disconnected, type KafkaWire } from './kafka-wire.ts'
import { keyFor, recordOf, tombstoneOf, tombstonesAmong } from './values.ts'

const IN_FLIGHT_MAX = 5
/** How often a topic that is not there is asked for again before a batch is given up. */
const MISSING_TOPIC_TRIES = 5
const VERSION_WITH_IDS = 13

export interface KafkaProducerOptions extends KafkaClientOptions {
  topic: string
  isIdempotent: boolean
  acks: 0 | 1 | -1
}

interface Batch {
  send: Send
  bytes: Uint8Array<ArrayBuffer>
  count: number
  isStamped: boolean
  /** Some attempt was not answered. */
  isDoubtful: boolean
  /** Some attempt found no such topic. What was sent right behind it may have met the next one of that name. */
  hasMissedTopic: boolean
  tries: number
}

interface Lane {
  partition: number
  batches: Batch[]
  producerId: number
  nextSequence: number
  draining: Promise<void> | undefined
}

export class KafkaProducer extends KafkaClient {
  readonly #options: KafkaProducerOptions
  readonly #lanes: Lane[] = []
  #view: TopicView | undefined
  #made = 0
  readonly #deletions: Dice
  /** Sends that are not in a lane: looking for the topic, or without a second attempt. */
  #begun = 0

  constructor(options: KafkaProducerOptions) {
    super(options)
    this.#options = options
    this.#deletions = this.world.dice.fork(`deletions of ${options.name}`)
  }

  get waiting(): number {
    return this.#lanes.reduce((sum, { batches }) => sum + batches.length, this.#begun)
  }

  /** Sends one batch to some partition. Does nothing while the topic is not known. */
  async send(): Promise<void> {
    this.#begun++
    await this.#send()
    this.#begun--
  }

  async #send(): Promise<void> {
    const { topic, acks, isIdempotent, name } = this.#options
    this.#view ??= await this.describe(topic)
    if (!this.#view) return
    const { dice, clock } = this.process
    const partition = dice.below(this.#view.partitions)
    const count = dice.chance(0.7) ? 1 : dice.whole(2, 8)
    const values = Array.from({ length: count }, () => `${name}.${this.#made++}`)
    const keys = values.map(() => keyFor(topic, dice))
    const tombstones = tombstonesAmong(topic, values, this.#deletions)
    const records = values.map((value, index) => {
      const sizeBytes = dice.skewed(1, 2_000)
      const [key, now] = [keys[index]!, clock.now()]
      return tombstones.includes(value) ? tombstoneOf(value, now, key) : recordOf(value, sizeBytes, now, key)
    })
    const send = this.recorder.open<Send>({
      ...{ op: 'send', process: name, producer: `${name}/${partition}`, topic, partition, values, acks },
      ...(this.#view.topicId && { topicId: this.#view.topicId }),
      outcome: 'unknown',
      keys: keys.map((key) => key ?? ''),
      tombstones,
      ...(!isIdempotent && { unordered: true }),
    })
    const batch = {
      send,
      bytes: encodeBatch(records),
      count,
      isStamped: false,
      isDoubtful: false,
      hasMissedTopic: false,
      tries: 0,
    }
    if (isIdempotent) this.#enqueue(partition, batch)
    else await this.#sendOnce(partition, batch)
  }

  #lane(partition: number): Lane {
    let lane = this.#lanes.find((each) => each.partition === partition)
    if (!lane) {
      lane = { partition, batches: [], producerId: -1, nextSequence: 0, draining: undefined }
      this.#lanes.push(lane)
    }
    return lane
  }

  #enqueue(partition: number, batch: Batch): void {
    const lane = this.#lane(partition)
    lane.batches.push(batch)
    lane.draining ??= this.#drain(lane).finally(() => {
      lane.draining = undefined
    })
  }

  async #sendOnce(partition: number, batch: Batch): Promise<void> {
    try {
      const wire = await this.connect()
      if (this.#options.acks === 0) {
        wire.tell(produce, this.#request(wire, partition, batch))
        return this.recorder.close(batch.send)
      }
      this.#settle(batch, await this.#produce(wire, partition, batch))
    } catch (error) {
      if (!(error instanceof Disconnected)) throw error
      this.recorder.close(batch.send)
    }
  }

  async #drain(lane: Lane): Promise<void> {
    while (lane.batches.length > 0) {
      try {
        const wire = await this.connect()
        if (lane.producerId < 0 && !(await this.#begin(wire, lane))) continue
        await this.#round(wire, lane)
      } catch (error) {
        if (!(error instanceof Disconnected)) throw error
        await this.pause()
      }
    }
  }

  async #begin(wire: KafkaWire, lane: Lane): Promise<boolean> {
    const { errorCode, producerId } = await wire.call(initProducerId, {
      transactionalId: null,
      transactionTimeoutMs: 0,
    })
    if (errorCode !== 0) {
      await this.pause()
      return false
    }
    lane.producerId = producerId
    lane.nextSequence = 0
    for (const batch of lane.batches) batch.isStamped = false
    return true
  }

  /** Everything that may be in flight, in order; then the answers, in order. */
  async #round(wire: KafkaWire, lane: Lane): Promise<void> {
    const sent = lane.batches.slice(0, IN_FLIGHT_MAX)
    for (const batch of sent) this.#stamp(lane, batch)
    const answers = await Promise.allSettled(sent.map((batch) => this.#produce(wire, lane.partition, batch)))
    for (const [index, answer] of answers.entries()) {
      const batch = sent[index]!
      if (answer.status === 'rejected') {
        batch.isDoubtful = true
        if (!(answer.reason instanceof Disconnected)) throw answer.reason
        continue
      }
      if (!(await this.#answered(lane, batch, answer.value))) break
    }
    for (const batch of sent) if (batch.tries > 1) this.world.probes.reached('producer sent a batch again')
  }

  #stamp(lane: Lane, batch: Batch): void {
    batch.tries++
    if (batch.isStamped) return
    batch.isStamped = true
    stampProducer(batch.bytes, { producerId: lane.producerId, producerEpoch: 0, baseSequence: lane.nextSequence })
    lane.nextSequence += batch.count
  }

  /** False: what follows is not looked at, and goes out again in the next round. */
  async #answered(lane: Lane, batch: Batch, answer: Answer): Promise<boolean> {
    const { errorCode } = answer
    const isFirst = lane.batches[0] === batch
    if (errorCode === ErrorCode.NONE || errorCode === ErrorCode.DUPLICATE_SEQUENCE_NUMBER) {
      if (!isFirst)
        this.world.fail(`${batch.send.producer}: ${batch.send.values[0]} was taken before what came before it`)
      lane.batches.splice(lane.batches.indexOf(batch), 1)
      this.#settle(batch, answer)
      return true
    }
    this.world.trace.add(
      this.process.name,
      `${batch.send.values[0]} got ${errorName(errorCode)} ${answer.errorMessage}`,
    )
    const isOutOfOrder = errorCode === ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    if (isOutOfOrder && isFirst && !batch.hasMissedTopic) {
      this.world.fail(`${batch.send.producer}: a legal attempt for ${batch.send.values[0]} was out of order`)
    }
    if (isRetriableCode(errorCode) || (isOutOfOrder && !batch.hasMissedTopic)) {
      const isGone = errorCode === ErrorCode.UNKNOWN_TOPIC_OR_PARTITION || errorCode === ErrorCode.UNKNOWN_TOPIC_ID
      batch.hasMissedTopic ||= isGone
      if (!isGone || batch.tries < MISSING_TOPIC_TRIES) {
        await this.pause()
        return false
      }
      this.#view = undefined
    }
    // What follows has other sequences from now on; of what was sent before, nobody knows.
    for (const { send, isStamped } of lane.batches)
      if (isStamped) Object.assign(send, { mayRepeat: true, unordered: true })
    lane.batches.splice(lane.batches.indexOf(batch), 1)
    lane.producerId = -1
    this.#settle(batch, answer)
    return false
  }

  #settle({ send, isDoubtful }: Batch, { errorCode, baseOffset, name, topicId }: Answer): void {
    if (errorCode === ErrorCode.NONE || errorCode === ErrorCode.DUPLICATE_SEQUENCE_NUMBER) {
      const isPlaced = errorCode === ErrorCode.NONE && baseOffset >= 0
      const places = send.values.map((_, index) => ({
        partition: send.partition!,
        offset: isPlaced ? baseOffset + index : -1,
      }))
      // An answer by name does not say which topic of that name took it.
      const topicIdKnown = name === '' ? topicId : undefined
      return this.recorder.close(send, { outcome: 'ok', places, topicId: topicIdKnown })
    }
    // What the relay could not finish may be found finished after a restart.
    const isOpen = isDoubtful || isRetriableCode(errorCode)
    this.recorder.close(send, { outcome: isOpen ? 'unknown' : 'failed', topicId: undefined })
  }

  #request(wire: KafkaWire, partition: number, { bytes, send }: Batch) {
    const { topic, acks } = this.#options
    const usesId = wire.versionOf(produce) >= VERSION_WITH_IDS
    return {
      transactionalId: null,
      acks,
      timeoutMs: 5_000,
      topicData: [
        {
          ...(usesId ? { topicId: send.topicId ?? 'A'.repeat(22) } : { name: topic }),
          partitionData: [{ index: partition, records: bytes }],
        },
      ],
    }
  }

  async #produce(wire: KafkaWire, partition: number, batch: Batch): Promise<Answer> {
    const { responses } = await wire.call(produce, this.#request(wire, partition, batch))
    const [response] = responses
    return { ...response!.partitionResponses[0]!, name: response!.name, topicId: response!.topicId }
  }
}

interface Answer {
  errorCode: number
  baseOffset: number
  errorMessage: string | null
  name: string
  topicId: string
}
