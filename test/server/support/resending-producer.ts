/**
 * An idempotent producer that survives its relay: five batches in flight for each partition, each sent again, in order,
 * until it is acknowledged. Remembers what it sent and what was acknowledged where; the test compares.
 */
import { ErrorCode, isRetriableCode } from '../../../protocol/errors.ts'
import { type Random, randomBelow } from '../../../protocol/lib/random.ts'
import { produce } from '../../../protocol/messages/produce.ts'
import { initProducerId } from '../../../protocol/messages/producers.ts'
import { stampProducer } from '../../../protocol/record-batch.ts'
import { batchOf, RelayClient } from '../../support/relay-client.ts'

const IN_FLIGHT_MAX = 5

interface SentBatch {
  bytes: Uint8Array
  baseSequence: number
  recordCount: number
}

export interface AckedBatch extends SentBatch {
  /** -1: known to be stored, place forgotten. */
  baseOffset: number
}

class Lane {
  readonly partition: number
  /** By sequence. */
  readonly values: string[] = []
  readonly acked: AckedBatch[] = []
  unacked: SentBatch[] = []

  constructor(partition: number) {
    this.partition = partition
  }
}

export class ResendingProducer {
  readonly name: string
  readonly lanes: Lane[]
  producerId = -1
  resentCount = 0
  /** Answers that no legal sending should get. */
  readonly complaints: string[] = []
  readonly #topicId: string
  readonly #url: () => string
  readonly #random: Random
  #client: RelayClient | undefined
  #isStopping = false

  constructor(name: string, topicId: string, options: { partitions: number; url: () => string; random: Random }) {
    this.name = name
    this.#topicId = topicId
    this.#url = options.url
    this.#random = options.random
    this.lanes = Array.from({ length: options.partitions }, (_, partition) => new Lane(partition))
  }

  /** Sends until `stop` is called, then until everything is acknowledged. */
  async run(): Promise<void> {
    while (!this.#isStopping || this.lanes.some(({ unacked }) => unacked.length > 0)) {
      try {
        const client = await RelayClient.open(this.#url())
        this.#client = client
        if (this.producerId < 0)
          this.producerId = (await client.call(initProducerId, { transactionTimeoutMs: 0 })).producerId
        await Promise.all(this.lanes.map((lane) => this.#work(client, lane)))
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 10))
      }
      this.#client?.socket.terminate()
    }
  }

  stop(): void {
    this.#isStopping = true
  }

  /** As a phone that leaves the network. */
  disconnect(): void {
    this.#client?.socket.terminate()
  }

  /** One round: everything unacknowledged again, topped up with new batches, all answers awaited. */
  async #work(client: RelayClient, lane: Lane): Promise<void> {
    while (!this.#isStopping || lane.unacked.length > 0) {
      this.resentCount += lane.unacked.length
      while (!this.#isStopping && lane.unacked.length < IN_FLIGHT_MAX) lane.unacked.push(this.#newBatch(lane))
      const sent = [...lane.unacked]
      const answers = await Promise.all(sent.map((batch) => this.#send(client, lane, batch)))
      for (const [index, answer] of answers.entries()) this.#settle(lane, sent[index]!, answer)
    }
  }

  #newBatch(lane: Lane): SentBatch {
    const baseSequence = lane.values.length
    const recordCount = 1 + randomBelow(this.#random, 20)
    for (let index = 0; index < recordCount; index++) {
      const sequence = baseSequence + index
      lane.values.push(`${this.name}/${sequence}/${'x'.repeat(randomBelow(this.#random, 200))}`)
    }
    const bytes = batchOf(...lane.values.slice(baseSequence))
    stampProducer(bytes, { producerId: this.producerId, producerEpoch: 0, baseSequence })
    return { bytes, baseSequence, recordCount }
  }

  async #send(client: RelayClient, lane: Lane, batch: SentBatch) {
    const partitionData = [{ index: lane.partition, records: batch.bytes }]
    const body = { acks: -1, timeoutMs: 1000, topicData: [{ topicId: this.#topicId, partitionData }] }
    const { responses } = await client.call(produce, body)
    return responses[0]!.partitionResponses[0]!
  }

  #settle(
    lane: Lane,
    batch: SentBatch,
    answer: { errorCode: number; baseOffset: number; errorMessage: string | null },
  ) {
    const { errorCode, baseOffset } = answer
    const isStored = errorCode === ErrorCode.NONE || errorCode === ErrorCode.DUPLICATE_SEQUENCE_NUMBER
    if (isStored && lane.unacked[0] === batch) {
      lane.unacked.shift()
      lane.acked.push({ ...batch, baseOffset: errorCode === ErrorCode.NONE ? baseOffset : -1 })
    } else if (!isRetriableCode(errorCode)) {
      this.complaints.push(`${this.name}: sequence ${batch.baseSequence} got ${errorCode} ${answer.errorMessage}`)
    }
  }
}
