/**
 * Compacted topics refuse records without a key (INVALID_RECORD 87): nothing could ever take their place. It is the one
 * case in which the relay looks into a batch before it stores it.
 *
 * A compressed batch is inflated for that, within a cap, a few at a time over all connections. Later requests of the same
 * connection wait for it, so that what was sent in order is stored in order.
 */

import { MalformedError } from '../../protocol/bytes/reader.ts'
import { readWriteCodecs } from '../../protocol/codecs/read-write.ts'
import { inflatedBytesMax } from '../../protocol/compression.ts'
import { KafkaError } from '../../protocol/errors.ts'
import {
  BATCH_HEADER_BYTES,
  type BatchHeader,
  codecOf,
  findBatchFault,
  readBatchHeader,
  viewOf,
} from '../../protocol/record-batch.ts'
import { RecordCursor } from '../log/compaction/record-cursor.ts'

const INFLATED_BYTES_MAX = 16 * 1024 * 1024
/** Most codecs inflate in one go on the thread that everybody's requests run on: few at once, and others in between. */
const AT_ONCE = 2

type Verdict = KafkaError | undefined

export class CompactedKeys {
  readonly #codecs = readWriteCodecs()
  /** Of connections that have something to wait for. */
  readonly #lastOf = new WeakMap<object, Promise<unknown>>()
  readonly #waiting: Array<() => void> = []
  readonly #nextTurn: (run: () => void) => void
  #running = 0

  constructor(nextTurn: (run: () => void) => void = setImmediate) {
    this.#nextTurn = nextTurn
  }

  /**
   * What is wrong with each of the batches, by the batch. undefined when that is known at once, and no earlier request of
   * the connection waits: then `verdictNow` says it.
   */
  inspect(connection: object, batches: readonly Uint8Array[]): Promise<ReadonlyMap<Uint8Array, Verdict>> | undefined {
    const compressed = batches.filter((batch) => isCompressed(batch))
    const earlier = this.#lastOf.get(connection)
    if (compressed.length === 0 && !earlier) return undefined
    const inspected = this.#inspectAll(compressed)
    const verdicts = Promise.all([inspected, earlier]).then(([found]) => found)
    this.#lastOf.set(connection, verdicts)
    const forget = () => {
      if (this.#lastOf.get(connection) === verdicts) this.#lastOf.delete(connection)
    }
    verdicts.then(forget, forget)
    return verdicts
  }

  /** Of a batch that is not compressed. */
  verdictNow(batch: Uint8Array): Verdict {
    // What is wrong with its frame is for the log to say.
    if (findBatchFault(batch, viewOf(batch), 0) || isCompressed(batch)) return undefined
    return verdictOn(readBatchHeader(viewOf(batch)), batch.subarray(BATCH_HEADER_BYTES))
  }

  async #inspectAll(batches: readonly Uint8Array[]): Promise<Map<Uint8Array, Verdict>> {
    const verdicts = new Map<Uint8Array, Verdict>()
    for (const batch of batches) verdicts.set(batch, await this.#inspectOne(batch))
    return verdicts
  }

  async #inspectOne(batch: Uint8Array): Promise<Verdict> {
    if (findBatchFault(batch, viewOf(batch), 0)) return undefined
    if (this.#running === AT_ONCE) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    else this.#running++
    try {
      await new Promise<void>(this.#nextTurn)
      const header = readBatchHeader(viewOf(batch))
      const codec = await this.#codecs.find(codecOf(header))
      const block = batch.subarray(BATCH_HEADER_BYTES)
      const bytesMax = Math.min(INFLATED_BYTES_MAX, inflatedBytesMax(block.length))
      return verdictOn(header, await codec.decompress(block, bytesMax))
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause)
      return new KafkaError('INVALID_RECORD', `the topic is compacted, and this batch can't be looked into: ${why}`)
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#running--
    }
  }
}

const isCompressed = (batch: Uint8Array): boolean =>
  batch.length >= BATCH_HEADER_BYTES && codecOf(readBatchHeader(viewOf(batch))) !== 0

function verdictOn(header: BatchHeader, block: Uint8Array): Verdict {
  try {
    const cursor = new RecordCursor(header, block)
    let index = 0
    for (let record = cursor.next(); record; record = cursor.next(), index++) {
      if (record.key) continue
      return new KafkaError('INVALID_RECORD', `the topic is compacted: record ${index} of the batch needs a key`)
    }
    return undefined
  } catch (error) {
    if (error instanceof MalformedError) return new KafkaError('INVALID_RECORD', error.message)
    throw error
  }
}
