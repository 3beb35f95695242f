/**
 * Producers in transactions over a network that delays, doubles and reorders their requests, between connections and into
 * later transactions, and loses answers. A producer asks again until it has an answer, and never knows which copy it is of.
 *
 * Version 2 of transactions only (KIP-890): in version 1 a request that comes in a later transaction cannot be told from
 * one of that transaction.
 */
import type { Api } from '../../../protocol/api.ts'
import { ErrorCode, errorName, isRetriableCode } from '../../../protocol/errors.ts'
import { type Random, randomBelow } from '../../../protocol/lib/random.ts'
import { produce } from '../../../protocol/messages/produce.ts'
import { initProducerId } from '../../../protocol/messages/producers.ts'
import { endTxn, txnOffsetCommit } from '../../../protocol/messages/transactions.ts'
import type { ProducerIdentity } from '../../../server/coordinator/transactional-offsets.ts'
import { batchOf } from '../../support/batches.ts'
import { Stage, settle } from './stage.ts'

export const TIMEOUT_MS = 10_000
const ATTEMPTS_MAX = 300

/** A request that is still on its way. Nobody waits for its answer any more. */
type Copy = () => Promise<unknown>

export interface ScheduleCounts {
  requests: number
  late: number
  doubled: number
  unanswered: number
}

/** Everything that a producer wrote, and what it knows of how it ended. */
export interface Written {
  values: Array<{ partition: number; value: string }>
  offset: number | undefined
  outcome: 'committed' | 'aborted' | 'unknown'
}

export class Network {
  readonly stage: Stage
  readonly counts: ScheduleCounts = { requests: 0, late: 0, doubled: 0, unanswered: 0 }
  readonly #random: Random
  #late: Copy[] = []

  constructor(stage: Stage, random: Random) {
    this.stage = stage
    this.#random = random
  }

  /** The answer to one copy; undefined when it is lost, or the request itself is late. */
  async send<Res, ReqIn>(api: Api<unknown, Res, ReqIn, never>, version: number, body: ReqIn): Promise<Res | undefined> {
    const bytes = Stage.encode(api as Api<unknown, unknown, ReqIn, never>, version, body)
    const deliver = () => this.stage.deliver(api as Api<unknown, Res, never, never>, version, bytes)
    this.counts.requests++
    const dice = this.#random.next()
    if (dice < 0.12) {
      this.#late.push(deliver)
      return undefined
    }
    if (dice < 0.3) this.#late.push(deliver)
    const answer = this.#watch(deliver())
    if (dice > 0.85) {
      this.counts.doubled++
      void this.#watch(deliver())
    }
    if (dice > 0.75 && dice < 0.85) {
      this.counts.unanswered++
      return undefined
    }
    return this.stageAnswer(answer)
  }

  /** Lets some of what is late arrive, in any order. */
  async deliverLate(share: number): Promise<void> {
    const kept: Copy[] = []
    for (const copy of this.#late) {
      if (this.#random.next() >= share) kept.push(copy)
      else {
        this.counts.late++
        void this.#watch(copy())
        if (this.#random.next() < 0.5) await settle(1)
      }
    }
    this.#late = kept
  }

  async pass(ms: number): Promise<void> {
    await this.stage.clock.advanceAsync(ms)
  }

  #watch<T>(answer: Promise<T>): Promise<T> {
    answer.catch(() => {})
    return answer
  }

  /** Moves time on while the answer does not come. */
  async stageAnswer<T>(answer: Promise<T>): Promise<T> {
    let isThere = false
    const watched = answer.finally(() => {
      isThere = true
    })
    watched.catch(() => {})
    for (let round = 0; !isThere && round < 1000; round++) {
      await settle(1)
      if (!isThere && round > 5) await this.pass(10)
    }
    return watched
  }
}

export interface ScheduledTopic {
  name: string
  id: string
}

/** One transaction after another, each request until it is answered. */
export class ScheduledProducer {
  readonly transactions: Written[] = []
  readonly #network: Network
  readonly #random: Random
  readonly #topic: ScheduledTopic
  readonly #id: string
  #identity: ProducerIdentity = { producerId: -1, producerEpoch: -1 }
  #sequences = [0, 0]

  constructor(id: string, network: Network, topic: ScheduledTopic, random: Random) {
    this.#id = id
    this.#network = network
    this.#topic = topic
    this.#random = random
  }

  get group(): string {
    return `group of ${this.#id}`
  }

  /** A new instance: what the one before had begun is aborted, unless it was decided. */
  async begin(): Promise<void> {
    const body = { transactionalId: this.#id, transactionTimeoutMs: TIMEOUT_MS }
    for (let attempt = 0; ; attempt++) {
      // Not by the network: a second instance that is late may fence the first, and rightly so.
      const answering = this.#network.stage.call(initProducerId, body)
      const { errorCode, producerId, producerEpoch } = await this.#network.stageAnswer(answering)
      if (errorCode === ErrorCode.NONE) {
        this.#take({ producerId, producerEpoch })
        return
      }
      if (!isRetriableCode(errorCode) || attempt > ATTEMPTS_MAX) throw new Error(`init: ${errorName(errorCode)}`)
      await this.#network.pass(20)
    }
  }

  #take(identity: ProducerIdentity): void {
    this.#identity = identity
    this.#sequences = [0, 0]
  }

  /** `diesAfter`: so many requests, as a process that is gone; the transaction is left as it is. */
  async transaction(outcome: 'commit' | 'abort', diesAfter = Number.POSITIVE_INFINITY): Promise<void> {
    const number = this.transactions.length
    const written: Written = { values: [], offset: undefined, outcome: 'aborted' }
    this.transactions.push(written)
    const writes = 1 + randomBelow(this.#random, 3)
    for (let index = 0; index < writes; index++) {
      if (index >= diesAfter) return
      const partition = randomBelow(this.#random, 2)
      const value = `${this.#id}/${number}/${index}`
      written.values.push({ partition, value })
      await this.#write(partition, value)
    }
    if (this.#random.next() < 0.3) {
      if (writes >= diesAfter) return
      written.offset = number
      await this.#commitOffset(number)
    }
    if (writes + 1 >= diesAfter) return
    if (outcome === 'commit') written.outcome = 'unknown'
    await this.#end(outcome)
    written.outcome = outcome === 'commit' ? 'committed' : 'aborted'
  }

  async #write(partition: number, value: string): Promise<void> {
    const { producerId: id, producerEpoch: epoch } = this.#identity
    const producer = { id, epoch, sequence: this.#sequences[partition]!, isTransactional: true }
    const { name, id: topicId } = this.#topic
    const topicData = [
      { name, topicId, partitionData: [{ index: partition, records: batchOf([value], { producer }) }] },
    ]
    const body = { transactionalId: this.#id, acks: -1, timeoutMs: 1000, topicData }
    await this.#until(value, async () => {
      const answer = await this.#network.send(produce, 13, body)
      return answer && answer.responses[0]!.partitionResponses[0]!
    })
    this.#sequences[partition]!++
  }

  async #commitOffset(offset: number): Promise<void> {
    const partitions = [{ partitionIndex: 0, committedOffset: offset, committedMetadata: null }]
    const topics = [{ name: this.#topic.name, partitions }]
    const body = { transactionalId: this.#id, groupId: this.group, ...this.#identity, memberId: '', topics }
    await this.#until(`offset ${offset}`, async () => {
      const answer = await this.#network.send(txnOffsetCommit, 5, body)
      return answer && answer.topics[0]!.partitions[0]!
    })
  }

  async #end(outcome: 'commit' | 'abort'): Promise<void> {
    const body = { transactionalId: this.#id, ...this.#identity, committed: outcome === 'commit' }
    const { producerId, producerEpoch } = await this.#until(`${outcome} ${this.transactions.length - 1}`, () =>
      this.#network.send(endTxn, 5, body),
    )
    this.#take({ producerId, producerEpoch })
  }

  /** Asks until there is an answer that is no error. */
  async #until<R extends { errorCode: number }>(what: string, ask: () => Promise<R | undefined>): Promise<R> {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      if (this.#random.next() < 0.3) await this.#network.deliverLate(0.3)
      const answer = await ask()
      if (answer?.errorCode === ErrorCode.NONE) return answer
      if (answer && !isRetriableCode(answer.errorCode)) {
        throw new Error(`${this.#id}, ${what}, attempt ${attempt}: ${errorName(answer.errorCode)}`)
      }
      if (answer) await this.#network.pass(20)
    }
    throw new Error(`${this.#id}, ${what}: no answer in ${ATTEMPTS_MAX} attempts`)
  }
}
