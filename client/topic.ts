/**
 * A topic with types: values in, receipts out; positions in, records out. Cheap to make; does no I/O by itself.
 */
import type { CodecRegistry } from '../protocol/compression.ts'
import type { Clock } from '../protocol/lib/clock.ts'
import { Reader, type ReaderParts, type ReadOptions } from './consumer/reader.ts'
import type { Sources } from './consumer/sources.ts'
import type { ReplicaPolicy, TopicInfo } from './core.ts'
import { OttlaError } from './errors.ts'
import { encodeMessage } from './producer/encode-message.ts'
import type { ProcessedReceipt, Receipt } from './producer/receipt.ts'
import type { SendBuffer, SendBufferOptions } from './producer/send-buffer.ts'
import type { OutgoingMessage } from './record.ts'
import type { Serde } from './serde.ts'

export interface TopicOptions<K, V> extends SendBufferOptions {
  /** Default: `string`. */
  key?: Serde<K>
  /** Default: `bytes`. */
  value?: Serde<V>
  /**
   * What the replica keeps of the topic, from the first `read` on. Default: everything; where the client has no
   * replica, nothing. false: read live from the relay, keep nothing.
   */
  replica?: ReplicaPolicy | boolean
}

export interface SendOptions {
  /**
   * Takes records back that have not been handed to the outbox yet (within the same turn, during a linger, or while the
   * buffer is full): both promises reject ABORTED. Later it has no effect; a stored write is sent.
   */
  signal?: AbortSignal
}

export interface ReplicateOptions extends Pick<ReplicaPolicy, 'priority'> {
  /** Ends waiting for the relay. */
  signal?: AbortSignal
}

export interface ReceiptOptions extends SendOptions {
  /** The group, or groups, that are to handle the record. */
  receipt: string | readonly string[]
  /** How long they may take, from when the record is in the log. Default: for ever. */
  deadlineMs?: number
}

export interface TopicParts<K, V> {
  name: string
  key: Serde<K>
  value: Serde<V>
  buffer: SendBuffer
  clock: Clock
  sources: Sources
  codecs: CodecRegistry
  policy: ReplicaPolicy | null
  lookUp(name: string): Promise<TopicInfo>
  withProcessed(receipt: Receipt, options: ReceiptOptions): ProcessedReceipt
  replicate(policy: ReplicaPolicy, signal: AbortSignal): Promise<unknown>
}

export class Topic<K = string, V = Uint8Array> {
  readonly name: string
  readonly key: Serde<K>
  readonly value: Serde<V>
  readonly #parts: TopicParts<K, V>

  constructor(parts: TopicParts<K, V>) {
    this.name = parts.name
    this.key = parts.key
    this.value = parts.value
    this.#parts = parts
  }

  /** Id and partition count; from the replica when offline. Rejects UNKNOWN_TOPIC, DISCONNECTED. */
  info(): Promise<TopicInfo> {
    return this.#parts.lookUp(this.name)
  }

  /**
   * Sends one record. Returns at once, works offline. Throws INVALID_VALUE when the value cannot be encoded,
   * INVALID_ARGUMENT, BUFFER_FULL (see `onFull`), CLOSED, or ABORTED when the signal was aborted before.
   */
  send(message: OutgoingMessage<K, V>, options: ReceiptOptions): ProcessedReceipt
  send(message: OutgoingMessage<K, V>, options?: SendOptions): Receipt
  send(message: OutgoingMessage<K, V>, options: SendOptions & Partial<ReceiptOptions> = {}): Receipt {
    const receipt = this.sendAll([message], options)[0]!
    return options.receipt ? this.#parts.withProcessed(receipt, options as ReceiptOptions) : receipt
  }

  /** Sends records in their order: all, or none when one cannot be encoded or the buffer is full. One receipt for each. */
  sendAll(messages: readonly OutgoingMessage<K, V>[], options: SendOptions = {}): Receipt[] {
    const records = messages.map((message) => encodeMessage(this, message, this.#parts.clock))
    return this.#parts.buffer.add(records, options.signal)
  }

  /** Resolves when `send` has room again; for loops that produce faster than the device stores. */
  whenRoom(): Promise<void> {
    return this.#parts.buffer.whenRoom()
  }

  /** Resolves when all that was sent is stored or has failed. */
  flush(): Promise<void> {
    return this.#parts.buffer.flush()
  }

  /** Reads records. Begins when iterated (or when `each` or `batches` is called); see ReadOptions for all defaults. */
  read(options: ReadOptions = {}): Reader<K, V> {
    const { name, key, value, sources, policy, codecs } = this.#parts
    const open: ReaderParts<K, V>['open'] = (partitions, isolation, signal) =>
      sources.open(name, { policy, partitions, isolation }, signal)
    return new Reader<K, V>({ topic: name, key, value, codecs, open }, options)
  }

  /**
   * Keeps a replica from now on, without reading. Waits for the relay when this device has never heard of the topic. Throws
   * UNSUPPORTED when the topic has `replica: false`, UNKNOWN_TOPIC, ABORTED, CLOSED, STORAGE_FAILED.
   */
  async replicate({ signal = new AbortController().signal, ...urgency }: ReplicateOptions = {}): Promise<void> {
    const { policy } = this.#parts
    if (!policy) {
      throw new OttlaError('UNSUPPORTED', {
        message: `${this.name} has no replica: connect with one, and leave it to the topic`,
      })
    }
    await this.#parts.replicate({ ...policy, ...urgency }, signal)
  }
}
