/**
 * Records of one topic between `send` and the outbox: what is sent in one turn becomes one entry.
 *
 *     send -> group (this turn, or lingerMs) -> queue -> [compress] -> core.enqueue -> stored -> committed
 *
 * Invariants: entries reach the core in the order in which their first records were sent; records of one group keep
 * theirs. At most ENQUEUES_MAX calls to the core are open, and what comes meanwhile gathers into larger entries. Bytes
 * that are not stored yet are bounded: beyond `bufferBytesMax` a send is refused, or held back up to twice as much.
 */
import { gzip } from '../../protocol/compression.ts'
import type { Clock, Timer } from '../../protocol/lib/clock.ts'
import { partitionForKey } from '../../protocol/lib/partitioner.ts'
import type { Random } from '../../protocol/lib/random.ts'
import { randomBelow } from '../../protocol/lib/random.ts'
import { randomUuid } from '../../protocol/lib/uuid.ts'
import { BATCH_HEADER_BYTES } from '../../protocol/record-batch.ts'
import { compressBatch, encodeBatch, type RecordInput, recordSizeBound } from '../../protocol/records.ts'
import { abortError } from '../abort-error.ts'
import type { Core, StoredDurability } from '../core.ts'
import { asOttlaError, OttlaError } from '../errors.ts'
import { settleReceipts } from './outcome.ts'
import { OpenReceipt } from './receipt.ts'
import type { Settlements } from './settlements.ts'

export interface SendBufferOptions {
  /** Wait so long for more records to share an entry. Default 0: those of the same turn. */
  lingerMs?: number
  /** Records up to so many bytes share an entry. Default 192 KiB; a larger record gets one of its own. */
  batchBytesMax?: number
  /** Default 'none'. gzip takes 0.2-0.9 ms a batch and pays on slow links. */
  compression?: 'none' | 'gzip'
  /** Bytes sent and not stored yet. Default 32 MiB. */
  bufferBytesMax?: number
  /**
   * What a send beyond `bufferBytesMax` does. 'wait' (default): it is taken and its `stored` waits, up to twice the
   * bound; `whenRoom()` tells a loop when to go on. 'refuse': it throws BUFFER_FULL.
   */
  onFull?: 'wait' | 'refuse'
}

export interface SendBufferParts {
  topic: string
  core: Core
  settlements: Settlements
  clock: Clock
  random: Random
}

export interface OutgoingRecord extends RecordInput {
  /** null: by key, or sticky. */
  partition: number | null
}

interface Outgoing {
  record: OutgoingRecord
  receipt: OpenReceipt
  sizeBytes: number
  signal: AbortSignal | undefined
}

interface Entry {
  id: string
  partition: number | null
  outgoing: Outgoing[]
  sizeBytes: number
  isClosed: boolean
}

const ENQUEUES_MAX = 8

export class SendBuffer {
  readonly #parts: SendBufferParts
  readonly #options: Required<SendBufferOptions>
  #queue: Entry[] = []
  #unstoredBytes = 0
  #openEnqueues = 0
  #isPumping = false
  #isPlanned = false
  #linger: Timer | undefined
  #roomWaiters: Array<() => void> = []
  #idleWaiters: Array<() => void> = []
  /** Of records that are neither stored nor have failed. */
  readonly #unstored = new Set<OpenReceipt>()
  #isClosed = false

  constructor(parts: SendBufferParts, options: SendBufferOptions) {
    this.#parts = parts
    this.#options = {
      lingerMs: options.lingerMs ?? 0,
      batchBytesMax: options.batchBytesMax ?? 192 * 1024,
      compression: options.compression ?? 'none',
      bufferBytesMax: options.bufferBytesMax ?? 32 * 1024 * 1024,
      onFull: options.onFull ?? 'wait',
    }
  }

  get topic(): string {
    return this.#parts.topic
  }

  /** All or none. Throws BUFFER_FULL, CLOSED or ABORTED; records that were taken report by their receipts. */
  add(records: readonly OutgoingRecord[], signal?: AbortSignal): OpenReceipt[] {
    const { topic } = this.#parts
    if (this.#isClosed) throw new OttlaError('CLOSED', { message: `topic ${topic} is closed` })
    if (signal?.aborted) throw abortError(`sending to ${topic}`, signal)
    const sizes = records.map(recordSizeBound)
    this.#checkRoom(sizes.reduce((sum, sizeBytes) => sum + sizeBytes, 0))
    const receipts = records.map((record, index) => this.#addOne(record, sizes[index]!, signal))
    if (records.length > 0) this.#plan()
    return receipts
  }

  #addOne(record: OutgoingRecord, sizeBytes: number, signal: AbortSignal | undefined): OpenReceipt {
    const receipt = new OpenReceipt()
    const entry = this.#entryFor(record.partition, sizeBytes)
    receipt.id = entry.id
    this.#unstored.add(receipt)
    entry.outgoing.push({ record, receipt, sizeBytes, signal })
    entry.sizeBytes += sizeBytes
    this.#unstoredBytes += sizeBytes
    return receipt
  }

  /** Resolves when less than `bufferBytesMax` waits. */
  whenRoom(): Promise<void> {
    if (this.#unstoredBytes < this.#options.bufferBytesMax) return Promise.resolve()
    return new Promise((resolve) => this.#roomWaiters.push(resolve))
  }

  /** Resolves when nothing waits any more, stored or failed. Cuts a linger short. */
  async flush(): Promise<void> {
    this.#linger?.cancel()
    this.#linger = undefined
    if (this.#unstoredBytes === 0) return
    void this.#pump()
    await new Promise<void>((resolve) => this.#idleWaiters.push(resolve))
  }

  /** Resolves when what was sent until now is stored or has failed. Cuts a linger short. */
  async storedSoFar(): Promise<void> {
    for (const entry of this.#queue) entry.isClosed = true
    this.#linger?.cancel()
    this.#linger = undefined
    void this.#pump()
    await Promise.allSettled([...this.#unstored].map(({ stored }) => stored))
  }

  async close(): Promise<void> {
    await this.flush()
    this.#isClosed = true
  }

  #checkRoom(sizeBytes: number): void {
    const { bufferBytesMax, onFull } = this.#options
    const limitBytes = onFull === 'wait' ? bufferBytesMax * 2 : bufferBytesMax
    // A record that alone exceeds the bound is taken when nothing else waits.
    if (this.#unstoredBytes === 0 || this.#unstoredBytes + sizeBytes <= limitBytes) return
    throw new OttlaError('BUFFER_FULL', {
      message: `${this.#unstoredBytes} bytes for ${this.#parts.topic} are not stored yet; the limit is ${limitBytes}`,
    })
  }

  #entryFor(partition: number | null, sizeBytes: number): Entry {
    const { batchBytesMax } = this.#options
    const open = this.#queue.findLast((entry) => entry.partition === partition)
    if (open && !open.isClosed && open.sizeBytes + sizeBytes <= batchBytesMax) return open
    if (open) open.isClosed = true
    const id = randomUuid(this.#parts.random)
    const entry: Entry = { id, partition, outgoing: [], sizeBytes: BATCH_HEADER_BYTES, isClosed: false }
    this.#queue.push(entry)
    return entry
  }

  #plan(): void {
    if (this.#options.lingerMs > 0) {
      if (this.#queue[0]!.isClosed) return void this.#pump()
      this.#linger ??= this.#parts.clock.setTimer(this.#options.lingerMs, () => {
        this.#linger = undefined
        void this.#pump()
      })
    } else if (!this.#isPlanned) {
      this.#isPlanned = true
      queueMicrotask(() => {
        this.#isPlanned = false
        void this.#pump()
      })
    }
  }

  /** One at a time, so that compression, which takes a while, cannot change the order. */
  async #pump(): Promise<void> {
    if (this.#isPumping) return
    this.#isPumping = true
    while (this.#openEnqueues < ENQUEUES_MAX) {
      const entry = this.#queue.shift()
      if (!entry) break
      this.#dropAborted(entry)
      if (entry.outgoing.length > 0) await this.#hand(entry).catch((thrown) => this.#fail(entry, thrown))
    }
    this.#isPumping = false
  }

  #dropAborted(entry: Entry): void {
    const isAborted = ({ signal }: Outgoing) => signal?.aborted === true
    if (!entry.outgoing.some(isAborted)) return
    for (const outgoing of entry.outgoing.filter(isAborted)) {
      outgoing.receipt.rejectBoth(abortError(`sending to ${this.#parts.topic}`, outgoing.signal!))
      this.#leave(outgoing)
    }
    entry.outgoing = entry.outgoing.filter((outgoing) => !isAborted(outgoing))
  }

  /** Encoding failed, which only a record beyond all sizes can bring about. */
  #fail(entry: Entry, thrown: unknown): void {
    const error = asOttlaError(thrown, 'INVALID_VALUE')
    for (const outgoing of entry.outgoing) {
      outgoing.receipt.rejectBoth(error)
      this.#leave(outgoing)
    }
  }

  async #hand(entry: Entry): Promise<void> {
    if (this.#options.compression === 'none') {
      return this.#enqueue(entry.id, entry.partition, entry.outgoing, encodeBatch(entry.outgoing.map(recordOf)))
    }
    // The outbox cannot look into a compressed batch, so the partition is chosen here.
    const groups = await this.#groupByPartition(entry)
    let id: string | undefined = entry.id
    for (const [partition, outgoing] of groups) {
      const own = id ?? randomUuid(this.#parts.random)
      id = undefined
      for (const { receipt } of outgoing) receipt.id = own
      const batch = encodeBatch(outgoing.map(recordOf))
      this.#enqueue(own, partition, outgoing, partition === null ? batch : await smaller(batch))
    }
  }

  async #groupByPartition(entry: Entry): Promise<Map<number | null, Outgoing[]>> {
    if (entry.partition !== null) return new Map([[entry.partition, entry.outgoing]])
    const { core, topic, random } = this.#parts
    // Offline and never heard of: the entry goes uncompressed, and the outbox partitions it when it knows how.
    const info = await core.topic(topic).catch(() => undefined)
    if (!info) return new Map([[null, entry.outgoing]])
    const sticky = randomBelow(random, info.partitionCount)
    const groups = new Map<number, Outgoing[]>()
    for (const outgoing of entry.outgoing) {
      const { key } = outgoing.record
      const partition = key ? partitionForKey(key, info.partitionCount) : sticky
      const group = groups.get(partition)
      if (group) group.push(outgoing)
      else groups.set(partition, [outgoing])
    }
    return groups
  }

  #enqueue(id: string, partition: number | null, outgoing: Outgoing[], batch: Uint8Array): void {
    const { core, topic, settlements } = this.#parts
    const receipts = outgoing.map(({ receipt }) => receipt)
    settlements.expect(id, (settled) => settleReceipts(receipts, settled))
    this.#openEnqueues++
    const onStored = ({ durability }: { durability: StoredDurability }) => {
      for (const receipt of receipts) receipt.resolveStored(durability)
    }
    const onFailed = (thrown: unknown) => {
      settlements.forget(id)
      const error = asOttlaError(thrown, 'STORAGE_FAILED')
      for (const receipt of receipts) receipt.rejectBoth(error)
    }
    const onDone = () => {
      this.#openEnqueues--
      for (const each of outgoing) this.#leave(each)
      if (this.#queue.length > 0 && !this.#linger) void this.#pump()
    }
    void core.enqueue({ id, topic, partition, batch }).then(onStored, onFailed).then(onDone)
  }

  #leave({ receipt, sizeBytes }: Outgoing): void {
    this.#unstored.delete(receipt)
    this.#unstoredBytes -= sizeBytes
    if (this.#unstoredBytes < this.#options.bufferBytesMax) wakeAll(this.#roomWaiters.splice(0))
    if (this.#unstoredBytes === 0) wakeAll(this.#idleWaiters.splice(0))
  }
}

const recordOf = ({ record }: Outgoing) => record

function wakeAll(waiters: Array<() => void>): void {
  for (const wake of waiters) wake()
}

async function smaller(batch: Uint8Array): Promise<Uint8Array> {
  const compressed = await compressBatch(batch, 1, (block) => gzip.compress!(block))
  return compressed.length < batch.length ? compressed : batch
}
