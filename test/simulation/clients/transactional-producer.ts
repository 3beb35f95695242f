/**
 * A producer of transactions, of either version (KIP-98, KIP-890): some batches to some partitions, perhaps an offset, then
 * the decision. What is not answered is sent again; what cannot go on is aborted and begun anew under a higher epoch.
 */
import { ErrorCode, errorName, isRetriableCode } from '../../../protocol/errors.ts'
import { offsetFetch } from '../../../protocol/messages/group-offsets.ts'
import { produce } from '../../../protocol/messages/produce.ts'
import { initProducerId } from '../../../protocol/messages/producers.ts'
import {
  addOffsetsToTxn,
  addPartitionsToTxn,
  endTxn,
  txnOffsetCommit,
} from '../../../protocol/messages/transactions.ts'
import { stampProducer } from '../../../protocol/record-batch.ts'
import { encodeBatch } from '../../../protocol/records.ts'
import type { Commit, Committed, Send, Transaction } from '../../checker/history.ts'
import type { Dice } from '../world/dice.ts'
import { KafkaClient, type KafkaClientOptions, type TopicView } from './kafka-client.ts'
import type { KafkaWire } from './kafka-wire.ts'
import { keyFor, recordOf, tombstoneOf, tombstonesAmong } from './values.ts'

export const TRANSACTION_TIMEOUT_MS = 8_000
const TRIES_MAX = 40

export interface TransactionalProducerOptions extends KafkaClientOptions {
  transactionalId: string
  topics: readonly string[]
  /** Transactions raise its offset of partition 0 of the first topic. */
  group: string
}

/** Another one has the transactional id, or the coordinator gave up on this one. */
class Fenced extends Error {}

/** The transaction can only be aborted. */
class Abortable extends Error {}

export class TransactionalProducer extends KafkaClient {
  readonly #options: TransactionalProducerOptions
  readonly #usesV2: boolean
  readonly #sequences = new Map<string, number>()
  readonly #added = new Set<string>()
  #views: TopicView[] = []
  #producerId = -1
  #producerEpoch = -1
  #made = 0
  readonly #deletions: Dice
  #offset = -1
  /** Another instance has been started in its place: once fenced it does not come back. */
  isReplaced = false
  #isStopping = false
  isDone = false

  constructor(options: TransactionalProducerOptions) {
    super(options)
    this.#options = options
    this.#deletions = this.world.dice.fork(`deletions of ${options.name}`)
    this.#usesV2 = this.process.dice.chance(0.6)
  }

  async run(): Promise<void> {
    while (!this.#mayEnd) {
      try {
        await this.#begin()
        while (!this.#mayEnd) {
          await this.#transaction()
          await this.process.sleep(this.process.dice.skewed(20, 3_000))
        }
      } catch (error) {
        if (!(error instanceof Fenced) && !(error instanceof Abortable)) throw error
        this.world.probes.reached(error instanceof Fenced ? 'transactional producer fenced' : 'transaction given up')
        await this.pause()
      }
    }
    this.isDone = true
  }

  /** Ends when the transaction that is open has ended. */
  stop(): void {
    this.#isStopping = true
  }

  get #mayEnd(): boolean {
    return this.#isStopping || this.isReplaced
  }

  async #begin(): Promise<void> {
    const { transactionalId } = this.#options
    const isKnown = this.#producerId >= 0 && this.process.dice.chance(0.5)
    await this.#patiently(async (wire) => {
      const body = { transactionalId, transactionTimeoutMs: TRANSACTION_TIMEOUT_MS }
      const own = isKnown ? { producerId: this.#producerId, producerEpoch: this.#producerEpoch } : {}
      const version = this.#usesV2 ? initProducerId.maxVersion : wire.versionOf(initProducerId)
      const answer = await wire.call(initProducerId, { ...body, ...own }, { version })
      if (answer.errorCode === ErrorCode.NONE) this.#become(answer.producerId, answer.producerEpoch)
      return answer.errorCode
    }).catch((error: unknown) => {
      // Fenced by itself, long ago: the next attempt asks as a newcomer.
      this.#producerId = -1
      throw error
    })
    this.#offset = await this.#fetchOffset()
    this.#views = []
    for (const topic of this.#options.topics) {
      const view = await this.describe(topic)
      if (view) this.#views.push(view)
    }
    if (this.#views.length === 0) throw new Abortable('no topics')
  }

  #become(producerId: number, producerEpoch: number): void {
    this.#producerId = producerId
    this.#producerEpoch = producerEpoch
    this.#sequences.clear()
    this.#added.clear()
  }

  async #transaction(): Promise<void> {
    const { dice, name } = this.process
    const { transactionalId } = this.#options
    const transaction = this.recorder.open<Transaction>({
      ...{ op: 'transaction', process: name, producer: transactionalId, transaction: `${name}/t${this.#made}` },
      outcome: 'unknown',
    })
    try {
      for (let left = dice.whole(1, 4); left > 0; left--) await this.#send(transaction.transaction)
      if (dice.chance(0.5)) await this.#commitOffset(transaction.transaction)
      if (dice.chance(0.05)) await this.process.sleep(dice.skewed(100, 2 * TRANSACTION_TIMEOUT_MS))
    } catch (error) {
      if (error instanceof Abortable) await this.#end(transaction, false)
      // Nobody asked for a commit.
      else if (error instanceof Fenced) this.recorder.close(transaction, { outcome: 'aborted' })
      throw error
    }
    await this.#end(transaction, dice.chance(0.8))
  }

  async #send(transaction: string): Promise<void> {
    const { dice, clock, name } = this.process
    const { topic, topicId, partition } = this.#somewhere()
    const values = Array.from({ length: dice.chance(0.6) ? 1 : dice.whole(2, 5) }, () => `${name}.${this.#made++}`)
    const keys = values.map(() => keyFor(topic, dice))
    const tombstones = tombstonesAmong(topic, values, this.#deletions)
    const send = this.recorder.open<Send>({
      ...{ op: 'send', process: name, producer: `${name}/${topic}-${partition}`, topic, partition, values, acks: -1 },
      ...{ outcome: 'unknown', transaction, keys: keys.map((key) => key ?? ''), tombstones },
      ...(topicId && { topicId }),
    })
    const place = `${topic}-${partition}`
    const baseSequence = this.#sequences.get(place) ?? 0
    const records = encodeBatch(
      values.map((value, index) => {
        const sizeBytes = dice.skewed(1, 1_000)
        const [key, now] = [keys[index]!, clock.now()]
        return tombstones.includes(value) ? tombstoneOf(value, now, key) : recordOf(value, sizeBytes, now, key)
      }),
    )
    const { producerId, producerEpoch } = this.#identity
    stampProducer(records, { producerId, producerEpoch, baseSequence, isTransactional: true })
    await this.#add(topic, partition)
    let baseOffset = -1
    await this.#patiently(async (wire) => {
      const answer = await this.#produce(wire, { topic, topicId, partition, records })
      const { errorCode } = answer
      if (errorCode === ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER) {
        this.world.fail(`${send.producer}: a legal attempt for ${values[0]} was out of order`)
      }
      baseOffset = answer.baseOffset
      return errorCode === ErrorCode.DUPLICATE_SEQUENCE_NUMBER ? ErrorCode.NONE : errorCode
    })
    this.#sequences.set(place, baseSequence + values.length)
    const places = values.map((_, index) => ({ partition, offset: baseOffset < 0 ? -1 : baseOffset + index }))
    // An answer by name does not say which topic of that name took it.
    this.recorder.close(send, { outcome: 'ok', places, topicId: this.#usesV2 ? topicId : undefined })
  }

  #somewhere(): { topic: string; topicId: string | undefined; partition: number } {
    const { dice } = this.process
    const { name, topicId, partitions } = dice.pick(this.#views)
    return { topic: name, topicId, partition: dice.below(partitions) }
  }

  get #identity() {
    const { transactionalId } = this.#options
    return { transactionalId, producerId: this.#producerId, producerEpoch: this.#producerEpoch }
  }

  async #add(topic: string, partition: number): Promise<void> {
    const place = `${topic}-${partition}`
    if (this.#usesV2 || this.#added.has(place)) return
    await this.#patiently(async (wire) => {
      const version = Math.min(3, wire.versionOf(addPartitionsToTxn))
      const topics = [{ name: topic, partitions: [partition] }]
      const body = { ...this.#identity, topics, transactions: [] }
      const { resultsByTopic } = await wire.call(addPartitionsToTxn, body, { version })
      return resultsByTopic![0]!.resultsByPartition[0]!.partitionErrorCode
    })
    this.#added.add(place)
  }

  async #produce(
    wire: KafkaWire,
    at: { topic: string; topicId: string | undefined; partition: number; records: Uint8Array },
  ) {
    const { topic, topicId, partition, records } = at
    const usesId = this.#usesV2 && topicId !== undefined
    const version = usesId ? 13 : this.#usesV2 ? 12 : Math.min(11, wire.versionOf(produce))
    const { responses } = await wire.call(
      produce,
      {
        ...{ transactionalId: this.#options.transactionalId, acks: -1, timeoutMs: 5_000 },
        topicData: [{ ...(usesId ? { topicId } : { name: topic }), partitionData: [{ index: partition, records }] }],
      },
      { version },
    )
    return responses[0]!.partitionResponses[0]!
  }

  async #commitOffset(transaction: string): Promise<void> {
    const { group } = this.#options
    const { name: topic } = this.#views[0]!
    const offset = this.#offset + 1
    if (!this.#usesV2) {
      await this.#patiently(async (wire) => {
        const body = { ...this.#identity, groupId: group }
        return (await wire.call(addOffsetsToTxn, body)).errorCode
      })
    }
    const commit = this.recorder.open<Commit>({
      ...{ op: 'commit', process: this.process.name, group, topic, partition: 0, offset, outcome: 'unknown' },
      transaction,
    })
    await this.#patiently(async (wire) => {
      const partitions = [{ partitionIndex: 0, committedOffset: offset, committedMetadata: '' }]
      const body = { ...this.#identity, groupId: group, memberId: '', groupInstanceId: null }
      const version = this.#usesV2 ? 5 : Math.min(4, wire.versionOf(txnOffsetCommit))
      const { topics } = await wire.call(
        txnOffsetCommit,
        { ...body, topics: [{ name: topic, partitions }] },
        { version },
      )
      return topics[0]!.partitions[0]!.errorCode
    })
    this.recorder.close(commit, { outcome: 'ok' })
    this.#offset = offset
  }

  /** What the group has, as far as every transaction is decided. */
  async #fetchOffset(): Promise<number> {
    const { group, topics } = this.#options
    const topic = topics[0]!
    const at = this.recorder.now
    let offset = -1
    await this.#patiently(async (wire) => {
      const body = { groupId: group, topics: [{ name: topic, partitionIndexes: [0] }], groups: [], requireStable: true }
      const answer = await wire.call(offsetFetch, body, { version: 7 })
      if (answer.errorCode !== ErrorCode.NONE) return answer.errorCode
      const found = answer.topics[0]!.partitions[0]!
      offset = found.committedOffset
      return found.errorCode
    })
    const { name: process } = this.process
    this.recorder.note<Committed>({ op: 'committed', process, group, topic, partition: 0, offset }, at)
    return offset
  }

  async #end(transaction: Transaction, committed: boolean): Promise<void> {
    let tries = 0
    try {
      await this.#patiently(async (wire) => {
        tries++
        const version = this.#usesV2 ? 5 : Math.min(4, wire.versionOf(endTxn))
        const answer = await wire.call(endTxn, { ...this.#identity, committed }, { version })
        if (answer.errorCode === ErrorCode.NONE && this.#usesV2) this.#become(answer.producerId, answer.producerEpoch)
        return answer.errorCode
      })
      this.#added.clear()
      this.world.probes.reached(committed ? 'transaction committed' : 'transaction aborted')
      this.recorder.close(transaction, { outcome: committed ? 'committed' : 'aborted' })
    } catch (error) {
      if (!(error instanceof Fenced) && !(error instanceof Abortable)) throw error
      this.recorder.close(transaction, { outcome: committed && tries > 1 ? 'unknown' : 'aborted' })
      throw error
    }
  }

  /** Until it is answered with success, or with what no other attempt would change. */
  async #patiently(call: (wire: KafkaWire) => Promise<number>): Promise<void> {
    for (let tries = 0; ; tries++) {
      const errorCode = await this.patiently(call)
      if (errorCode === ErrorCode.NONE) return
      const { name } = this.process
      this.world.trace.add(name, `got ${errorName(errorCode)}`)
      if (errorCode === ErrorCode.INVALID_PRODUCER_EPOCH || errorCode === ErrorCode.PRODUCER_FENCED) throw new Fenced()
      const mayPass = isRetriableCode(errorCode) || errorCode === ErrorCode.CONCURRENT_TRANSACTIONS
      if (!mayPass || tries >= TRIES_MAX) throw new Abortable(errorName(errorCode))
      await this.pause()
    }
  }
}
