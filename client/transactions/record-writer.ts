/**
 * The records of one open transaction on their way to the relay.
 *
 *   add -> queue -> partition chosen, batches formed -> one request at a time, again and again until it is answered -> place
 *
 * Invariants: records of a partition keep the order in which they were added; a request whose answer was lost is sent again
 * as it was, and the log knows its sequences; after the first failure nothing more is sent, and all that waits fails with it.
 */
import { type Clock, sleep } from '../../protocol/lib/clock.ts'
import { partitionForKey } from '../../protocol/lib/partitioner.ts'
import { type Random, randomBelow } from '../../protocol/lib/random.ts'
import { sequenceAfter, stampProducer } from '../../protocol/record-batch.ts'
import { encodeBatch, recordSizeBound } from '../../protocol/records.ts'
import { Backoff } from '../backoff.ts'
import type { TopicInfo } from '../core.ts'
import { asOttlaError, OttlaError } from '../errors.ts'
import { isTransient } from '../kafka-failure.ts'
import { type OutgoingBatch, sendProduce } from '../outbox/relay-calls.ts'
import type { OutgoingRecord } from '../producer/send-buffer.ts'
import { relayError } from '../relay-errors.ts'
import type { Session } from '../session.ts'
import { untilLive } from '../when-live.ts'
import { type ProducerStamp, TransactionRefusal } from './calls.ts'
import { CONCURRENT_TRANSACTIONS } from './reactions.ts'

/** Where a record will be, if the transaction commits. */
export interface Place {
  partition: number
  offset: number
}

export interface RecordWriterOptions {
  session: Session
  clock: Clock
  random: Random
  transactionalId: string
  stamp: ProducerStamp
  /** The transaction's time is up, or the client is closed. */
  over: AbortSignal
  /** Bytes that may wait to be written. */
  bufferBytesMax: number
}

interface Waiting {
  topic: string
  record: OutgoingRecord
  sizeBytes: number
  resolve(place: Place): void
  reject(error: unknown): void
}

interface Formed extends OutgoingBatch {
  records: Uint8Array
  waiting: readonly Waiting[]
}

const BATCH_BYTES_MAX = 256 * 1024
const REQUEST_BYTES_MAX = 1024 * 1024
const REQUEST_SLACK_BYTES = 16 * 1024
const RETRY = { delayMsFirst: 20, delayMsMax: 1_000 }

export class RecordWriter {
  readonly #options: RecordWriterOptions
  readonly #backoff: Backoff
  readonly #sequences = new Map<string, number>()
  readonly #sticky = new Map<string, number>()
  #queue: Waiting[] = []
  #bytes = 0
  #running: Promise<void> | undefined
  #failure: unknown
  /** Something of it may be in a log. */
  hasBegun = false

  constructor(options: RecordWriterOptions) {
    this.#options = options
    this.#backoff = new Backoff(options.clock, options.random, RETRY)
  }

  /** What ended it. A TransactionRefusal, or an OttlaError. */
  get failure(): unknown {
    return this.#failure
  }

  add(topic: string, record: OutgoingRecord): Promise<Place> {
    const sizeBytes = recordSizeBound(record)
    const { bufferBytesMax } = this.#options
    if (this.#bytes > 0 && this.#bytes + sizeBytes > bufferBytesMax) {
      const message = `${this.#bytes} bytes of the transaction are not written yet; the limit is ${bufferBytesMax}`
      throw new OttlaError('BUFFER_FULL', { message, hint: 'await send, or flush, before sending more' })
    }
    this.#bytes += sizeBytes
    const placed = new Promise<Place>((resolve, reject) => {
      this.#queue.push({ topic, record, sizeBytes, resolve, reject })
    })
    placed.catch(() => {})
    this.#running ??= this.#run()
    return placed
  }

  /** Resolves when all that was added is written. Rejects with what ended the writer. */
  async flush(): Promise<void> {
    while (this.#running) await this.#running
    if (this.#failure !== undefined) throw this.#failure
  }

  /** Whatever is not answered yet is given up. */
  fail(error: unknown): void {
    this.#failure ??= error
    for (const { reject } of this.#queue.splice(0)) reject(this.#failure)
  }

  async #run(): Promise<void> {
    // One turn later, so that what is sent in the same turn shares a request.
    await Promise.resolve()
    while (this.#queue.length > 0) {
      const taken = this.#queue.splice(0)
      try {
        if (this.#failure !== undefined) throw this.#failure
        for (const request of this.#requests(await this.#formed(taken))) await this.#write(request)
      } catch (thrown) {
        this.fail(thrown instanceof TransactionRefusal ? thrown : asOttlaError(thrown, 'PROTOCOL'))
        for (const { reject } of taken) reject(this.#failure)
      }
      for (const { sizeBytes } of taken) this.#bytes -= sizeBytes
    }
    this.#running = undefined
  }

  async #formed(taken: readonly Waiting[]): Promise<Formed[]> {
    const topics = new Map<string, TopicInfo>()
    for (const { topic } of taken) if (!topics.has(topic)) topics.set(topic, await this.#lookUp(topic))
    const open = new Map<string, { info: TopicInfo; partition: number; waiting: Waiting[]; sizeBytes: number }>()
    const groups: Array<{ info: TopicInfo; partition: number; waiting: Waiting[]; sizeBytes: number }> = []
    for (const each of taken) {
      const info = topics.get(each.topic)!
      const partition = this.#partitionOf(info, each.record)
      const key = `${info.id}/${partition}`
      let group = open.get(key)
      if (!group || group.sizeBytes + each.sizeBytes > BATCH_BYTES_MAX) {
        group = { info, partition, waiting: [], sizeBytes: 0 }
        open.set(key, group)
        groups.push(group)
      }
      group.waiting.push(each)
      group.sizeBytes += each.sizeBytes
    }
    return groups.map(({ info, partition, waiting }) => this.#batch(info, partition, waiting))
  }

  #batch({ name, id }: TopicInfo, partition: number, waiting: readonly Waiting[]): Formed {
    const key = `${id}/${partition}`
    const baseSequence = this.#sequences.get(key) ?? 0
    this.#sequences.set(key, sequenceAfter(baseSequence, waiting.length))
    const records = encodeBatch(waiting.map(({ record }) => record))
    stampProducer(records, { ...this.#options.stamp, baseSequence, isTransactional: true })
    return { topic: name, topicId: id, partition, records, waiting }
  }

  async #lookUp(topic: string): Promise<TopicInfo> {
    const { session, over } = this.#options
    for (;;) {
      await untilLive(session, over)
      try {
        return await session.metadata.lookUp(topic)
      } catch (failure) {
        if (!isUnanswered(failure)) throw failure
        await this.#waitABit()
      }
    }
  }

  #partitionOf({ id, name, partitionCount }: TopicInfo, { key, partition }: OutgoingRecord): number {
    if (partition !== null) {
      if (partition < partitionCount) return partition
      const message = `${name} has ${partitionCount} partitions; there is no partition ${partition}`
      throw new OttlaError('UNKNOWN_PARTITION', { message })
    }
    if (key !== null) return partitionForKey(key, partitionCount)
    const sticky = this.#sticky.get(id) ?? randomBelow(this.#options.random, partitionCount)
    this.#sticky.set(id, sticky)
    return sticky
  }

  /** Each with one batch of a partition at most. */
  *#requests(formed: readonly Formed[]): Generator<Formed[], void, undefined> {
    const bytesMax = (this.#options.session.limits?.requestBytesMax ?? REQUEST_BYTES_MAX) - REQUEST_SLACK_BYTES
    let request: Formed[] = []
    let sizeBytes = 0
    for (const batch of formed) {
      const { topic, topicId, partition, records } = batch
      if (records.length > bytesMax) {
        const message = `a record of ${records.length} bytes to ${topic}-${partition} exceeds the ${bytesMax} bytes the relay takes in one request`
        throw relayError('TOO_LARGE', { message })
      }
      const isFull = sizeBytes + records.length > bytesMax
      if (isFull || request.some((each) => each.topicId === topicId && each.partition === partition)) {
        yield request
        request = []
        sizeBytes = 0
      }
      request.push(batch)
      sizeBytes += records.length
    }
    if (request.length > 0) yield request
  }

  async #write(request: readonly Formed[]): Promise<void> {
    const { session, transactionalId, over } = this.#options
    for (let left = request; left.length > 0; ) {
      await untilLive(session, over)
      if (this.#failure !== undefined) throw this.#failure
      this.hasBegun = true
      try {
        const answers = await sendProduce(session, left, transactionalId)
        left = left.filter((batch, index) => !this.#isWritten(batch, answers[index]))
        if (left.length === 0) this.#backoff.reset()
        else await this.#waitABit()
      } catch (failure) {
        if (!isUnanswered(failure)) throw failure
        await this.#waitABit()
      }
    }
  }

  /** False: it has to be sent again. */
  #isWritten({ topic, partition, waiting }: Formed, answer: Awaited<ReturnType<typeof sendProduce>>[number]): boolean {
    const what = `a write to ${topic}-${partition} in a transaction`
    if (!answer) throw new OttlaError('PROTOCOL', { message: `${what} was left out of the relay's answer` })
    const { errorCode, errorText, baseOffset } = answer
    if (isTransient(errorCode) || errorCode === CONCURRENT_TRANSACTIONS) return false
    if (errorCode !== 0) throw new TransactionRefusal(what, errorCode, errorText)
    for (const [index, { resolve }] of waiting.entries()) resolve({ partition, offset: baseOffset + index })
    return true
  }

  #waitABit(): Promise<void> {
    const { clock, over } = this.#options
    return sleep(clock, this.#backoff.nextDelayMs(), over).catch(() => {})
  }
}

/** Nobody knows whether it was carried out: it is asked again. */
export function isUnanswered(failure: unknown): boolean {
  return failure instanceof OttlaError && (failure.code === 'DISCONNECTED' || failure.code === 'TIMEOUT')
}
