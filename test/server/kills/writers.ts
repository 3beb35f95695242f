/** Those who write: with sequences, in transactions, by key, and groups that commit. All of it goes into the journal. */
import { ErrorCode, isRetriableCode } from '../../../protocol/errors.ts'
import { type Random, randomBelow } from '../../../protocol/lib/random.ts'
import { offsetCommit } from '../../../protocol/messages/group-offsets.ts'
import { produce } from '../../../protocol/messages/produce.ts'
import { initProducerId } from '../../../protocol/messages/producers.ts'
import { stampProducer } from '../../../protocol/record-batch.ts'
import { encodeBatch } from '../../../protocol/records.ts'
import type { Commit, Send, Transaction } from '../../checker/history.ts'
import { batchOf, type RelayClient } from '../../support/relay-client.ts'
import { TransactionalClient } from '../transactions/transactional-client.ts'
import { Actor } from './actor.ts'
import type { Journal } from './journal.ts'

export interface TopicAt {
  name: string
  topicId: string
  partitions: number
}

export interface WriterOptions {
  journal: Journal
  random: Random
  topic: TopicAt
  url: () => string
}

const IN_FLIGHT_MAX = 5
const encoder = new TextEncoder()

interface Unacked {
  bytes: Uint8Array
  send: Send
}

/** Five batches in flight to each partition; what was not answered goes again, as it was, until it is. */
export class IdempotentWriter extends Actor {
  readonly #options: WriterOptions
  readonly #unacked: Unacked[][]
  readonly #sequences: number[]
  #producerId = -1
  resent = 0

  constructor(name: string, options: WriterOptions) {
    super(name, options.url)
    this.#options = options
    this.#unacked = Array.from({ length: options.topic.partitions }, () => [])
    this.#sequences = this.#unacked.map(() => 0)
  }

  protected override get hasWork(): boolean {
    return this.#unacked.some((each) => each.length > 0)
  }

  protected async work(client: RelayClient): Promise<void> {
    if (this.#producerId < 0) {
      this.#producerId = (await client.call(initProducerId, { transactionTimeoutMs: 0 })).producerId
    }
    await Promise.all(this.#unacked.map((_, partition) => this.#workOn(client, partition)))
  }

  async #workOn(client: RelayClient, partition: number): Promise<void> {
    const unacked = this.#unacked[partition]!
    while (!this.isStopping || unacked.length > 0) {
      this.resent += unacked.length
      while (!this.isStopping && unacked.length < IN_FLIGHT_MAX) unacked.push(this.#newBatch(partition))
      const sent = [...unacked]
      const answers = await Promise.all(
        sent.map(({ bytes }) => produceTo(client, this.#options.topic, partition, bytes)),
      )
      for (const [index, answer] of answers.entries()) this.#settle(partition, sent[index]!, answer)
    }
  }

  #newBatch(partition: number): Unacked {
    const { random, journal, topic } = this.#options
    const baseSequence = this.#sequences[partition]!
    const values = Array.from({ length: 1 + randomBelow(random, 12) }, (_, index) => {
      const padding = 'x'.repeat(randomBelow(random, 150))
      return `${this.name}/${partition}/${baseSequence + index}/${padding}`
    })
    this.#sequences[partition] = baseSequence + values.length
    const bytes = batchOf(...values)
    stampProducer(bytes, { producerId: this.#producerId, producerEpoch: 0, baseSequence })
    const { name, topicId } = topic
    const send = journal.open<Send>({
      ...{ op: 'send', process: this.name, producer: `${this.name}/${partition}`, topic: name, topicId, partition },
      ...{ values, acks: -1, outcome: 'unknown' },
    })
    return { bytes, send }
  }

  #settle(partition: number, batch: Unacked, answer: { errorCode: number; baseOffset: number }): void {
    const unacked = this.#unacked[partition]!
    const { errorCode, baseOffset } = answer
    const isKnown = errorCode === ErrorCode.NONE
    if ((isKnown || errorCode === ErrorCode.DUPLICATE_SEQUENCE_NUMBER) && unacked[0] === batch) {
      unacked.shift()
      const places = batch.send.values.map((_, index) => ({ partition, offset: isKnown ? baseOffset + index : -1 }))
      this.#options.journal.close(batch.send, { outcome: 'ok', places })
    } else if (!isRetriableCode(errorCode)) {
      this.complaints.push(`${this.name}: ${batch.send.values[0]} got ${errorCode}`)
    }
  }
}

async function produceTo(client: RelayClient, { topicId }: TopicAt, index: number, records: Uint8Array) {
  const topicData = [{ topicId, partitionData: [{ index, records }] }]
  const { responses } = await client.call(produce, { acks: -1, timeoutMs: 1000, topicData })
  return responses[0]!.partitionResponses[0]!
}

/** Transactions over all partitions, a third of them aborted. After a crash it begins anew, which ends what was open. */
export class TransactionalWriter extends Actor {
  readonly #options: WriterOptions
  #count = 0

  constructor(name: string, options: WriterOptions) {
    super(name, options.url)
    this.#options = options
  }

  protected async work(client: RelayClient): Promise<void> {
    const producer = new TransactionalClient(client, this.name)
    while ((await producer.init()) !== ErrorCode.NONE) await new Promise((resolve) => setTimeout(resolve, 5))
    while (!this.isStopping) await this.#transaction(producer)
  }

  /** Until it has been decided nobody may see it; a crash before the decision was asked for aborts it. */
  async #transaction(producer: TransactionalClient): Promise<void> {
    const { journal, random, topic } = this.#options
    const transaction = `${this.name}/${this.#count++}`
    const noted = journal.open<Transaction>({
      ...{ op: 'transaction', process: this.name, producer: this.name, transaction, outcome: 'aborted' },
    })
    const outcome = random.next() < 0.67 ? 'commit' : 'abort'
    for (let batch = 0; batch < 1 + randomBelow(random, 4); batch++) {
      await this.#write(producer, transaction, batch, randomBelow(random, topic.partitions))
    }
    if (outcome === 'commit') noted.outcome = 'unknown'
    for (let errorCode = -1; errorCode !== ErrorCode.NONE; ) {
      errorCode = await producer.end(outcome)
      if (errorCode !== ErrorCode.NONE && !isRetriableCode(errorCode)) return this.#complain(transaction, errorCode)
    }
    journal.close(noted, { outcome: outcome === 'commit' ? 'committed' : 'aborted' })
  }

  async #write(producer: TransactionalClient, transaction: string, batch: number, partition: number): Promise<void> {
    const { journal, random, topic } = this.#options
    const values = Array.from({ length: 1 + randomBelow(random, 3) }, (_, index) => `${transaction}/${batch}/${index}`)
    const { name, topicId } = topic
    const send = journal.open<Send>({
      ...{ op: 'send', process: this.name, producer: `${this.name}/${partition}`, topic: name, topicId, partition },
      ...{ values, acks: -1, outcome: 'unknown', transaction },
    })
    for (let errorCode = -1; errorCode !== ErrorCode.NONE; ) {
      errorCode = await producer.write({ name, topicId, partition }, values)
      if (errorCode !== ErrorCode.NONE && !isRetriableCode(errorCode)) this.#complain(transaction, errorCode)
    }
    journal.close(send, { outcome: 'ok' })
  }

  #complain(transaction: string, errorCode: number): never {
    this.complaints.push(`${this.name}: ${transaction} got ${errorCode}`)
    throw new Error(`error ${errorCode}`)
  }
}

/** Keys that are written over and over, each time with a larger number, to a topic that is compacted. */
export class KeyedWriter extends Actor {
  readonly #options: WriterOptions
  #serial = 0
  /** By key: the largest number that was acknowledged. */
  readonly acked = new Map<string, number>()

  constructor(name: string, options: WriterOptions) {
    super(name, options.url)
    this.#options = options
  }

  protected async work(client: RelayClient): Promise<void> {
    const { random, topic } = this.#options
    while (!this.isStopping) {
      const entries = Array.from({ length: 8 }, () => [`k${randomBelow(random, 12)}`, this.#serial++] as const)
      const timestamp = Date.now() - 1000
      const records = entries.map(([key, serial]) => ({
        ...{ key: encoder.encode(key), value: encoder.encode(`${serial}`.padEnd(100, '.')), timestamp },
      }))
      const { errorCode } = await produceTo(client, topic, 0, encodeBatch(records))
      if (errorCode === ErrorCode.NONE) for (const [key, serial] of entries) this.acked.set(key, serial)
      else if (!isRetriableCode(errorCode)) this.complaints.push(`${this.name}: ${errorCode}`)
    }
  }
}

/** A group whose committed offset only grows. */
export class Committer extends Actor {
  readonly #options: Omit<WriterOptions, 'random'>
  #offset = 0

  constructor(name: string, options: Omit<WriterOptions, 'random'>) {
    super(name, options.url)
    this.#options = options
  }

  protected async work(client: RelayClient): Promise<void> {
    const { journal, topic } = this.#options
    const { name, topicId } = topic
    while (!this.isStopping) {
      const offset = this.#offset++
      const commit = journal.open<Commit>({
        ...{ op: 'commit', process: this.name, group: this.name, topic: name, topicId, partition: 0, offset },
        ...{ outcome: 'unknown' },
      })
      const partitions = [{ partitionIndex: 0, committedOffset: offset }]
      const body = {
        groupId: this.name,
        memberId: '',
        generationIdOrMemberEpoch: -1,
        topics: [{ topicId, partitions }],
      }
      const { topics } = await client.call(offsetCommit, body)
      const { errorCode } = topics[0]!.partitions[0]!
      journal.close(commit, { outcome: errorCode === ErrorCode.NONE ? 'ok' : 'unknown' })
    }
  }
}
