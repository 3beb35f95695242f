/**
 * Records of one topic between `send` and the outbox: what is sent in one turn becomes one entry.
 *
 *     send -> group (this turn, or lingerMs) -> queue -> enqueue-entry.ts -> stored -> committed
 *
 * Invariants: entries reach the core in the order in which their first records were sent; records of one group keep
 * theirs. At most ENQUEUES_MAX calls to the core are open, and what comes meanwhile gathers into larger entries. Bytes
 * that are not stored yet are bounded: beyond `bufferBytesMax` a send is refused, or held back up to twice as much.
 */
import type { Clock, Timer } from '../../protocol/lib/clock.ts'
import type { Random } from '../../protocol/lib/random.ts'
import { randomUuid } from '../../protocol/lib/uuid.ts'
import { BATCH_HEADER_BYTES } from '../../protocol/record-batch.ts'
import { type RecordInput, recordSizeBound } from '../../protocol/records.ts'
import { abortError } from '../abort-error.ts'
import type { Core } from '../core.ts'
import { asOttlaError, OttlaError } from '../errors.ts'
import { loadApart } from '../load-apart.ts'
import type { enqueueEntry } from './enqueue-entry.ts'
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

/** Of all topics of a client. */
export interface Sending {
  /** Those with something that is not stored yet: who holds on to no topic leaves none behind. */
  busy: Set<SendBuffer>
  isClosed: boolean
}

export interface SendBufferParts {
  sending: Sending
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

export interface Outgoing {
  record: OutgoingRecord
  receipt: OpenReceipt
  sizeBytes: number
  signal: AbortSignal | undefined
}

export interface Entry {
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
  /** Of records that are neither stored nor have failed. */
  readonly #unstored = new Set<OpenReceipt>()
  #enqueueEntry: typeof enqueueEntry | undefined

  constructor(parts: SendBufferParts, options: SendBufferOptions) {
    this.#parts = parts
    this.#options = {
      lingerMs: options.lingerMs ?? 0,
      batchBytesMax: options.batchBytesMax ?? 192 * 1024,
      compression: options.compression ?? 'none',
      bufferBytesMax: options.bufferBytesMax ?? 32 * 1024 * 1024,
      onFull: options.onFull ?? 'wait',
    }
    // Now, as the page may be offline by its first `send`, or closed in the turn after it. What fails is tried again then.
    loadSending(parts.sending).then(
      (enqueueEntry) => {
        this.#enqueueEntry = enqueueEntry
      },
      () => {},
    )
  }

  get topic(): string {
    return this.#parts.topic
  }

  /** All or none. Throws BUFFER_FULL, CLOSED or ABORTED; records that were taken report by their receipts. */
  add(records: readonly OutgoingRecord[], signal?: AbortSignal): OpenReceipt[] {
    const { topic, sending } = this.#parts
    if (sending.isClosed) throw new OttlaError('CLOSED', { message: 'this client was closed' })
    if (signal?.aborted) throw abortError(`sending to ${topic}`, signal)
    const sizes = records.map(recordSizeBound)
    this.#checkRoom(sizes.reduce((sum, sizeBytes) => sum + sizeBytes, 0))
    const receipts = records.map((record, index) => this.#addOne(record, sizes[index]!, signal))
    if (records.length > 0) {
      sending.busy.add(this)
      this.#plan()
    }
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
  async whenRoom(): Promise<void> {
    if (this.#unstoredBytes < this.#options.bufferBytesMax) return
    await new Promise<void>((resolve) => this.#roomWaiters.push(resolve))
  }

  /** Resolves when nothing waits any more, stored or failed. Cuts a linger short. */
  async flush(): Promise<void> {
    while (this.#unstored.size > 0) await this.storedSoFar()
  }

  /** Resolves when what was sent until now is stored or has failed. Cuts a linger short. */
  async storedSoFar(): Promise<void> {
    for (const entry of this.#queue) entry.isClosed = true
    this.#linger?.cancel()
    this.#linger = undefined
    void this.#pump()
    await Promise.allSettled([...this.#unstored].map(({ stored }) => stored))
  }

  #checkRoom(sizeBytes: number): void {
    const { bufferBytesMax, onFull } = this.#options
    const limitBytes = onFull === 'wait' ? bufferBytesMax * 2 : bufferBytesMax
    // A record that alone exceeds the bound is taken when nothing else waits.
    if (this.#unstoredBytes === 0 || this.#unstoredBytes + sizeBytes <= limitBytes) return
    throw new OttlaError('BUFFER_FULL', {
      message: `${this.#unstoredBytes} bytes for ${this.#parts.topic} are unstored, the limit is ${limitBytes}`,
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
    try {
      this.#enqueueEntry ??= await loadSending(this.#parts.sending)
      while (this.#openEnqueues < ENQUEUES_MAX) {
        const entry = this.#queue.shift()
        if (!entry) break
        this.#dropAborted(entry)
        if (entry.outgoing.length > 0) await this.#hand(entry, this.#enqueueEntry)
      }
    } catch (thrown) {
      for (const entry of this.#queue.splice(0)) this.#fail(entry.outgoing, asOttlaError(thrown, 'DISCONNECTED'))
    }
    this.#isPumping = false
  }

  async #hand(entry: Entry, enqueue: typeof enqueueEntry): Promise<void> {
    const began = () => {
      this.#openEnqueues++
    }
    const ended = (outgoing: readonly Outgoing[]) => {
      this.#openEnqueues--
      for (const each of outgoing) this.#leave(each)
      if (this.#queue.length > 0 && !this.#linger) void this.#pump()
    }
    try {
      await enqueue(this.#parts, entry, { compression: this.#options.compression, began, ended })
    } catch (thrown) {
      // Only a record beyond all sizes can bring this about.
      this.#fail(entry.outgoing, asOttlaError(thrown, 'INVALID_VALUE'))
    }
  }

  #dropAborted(entry: Entry): void {
    entry.outgoing = entry.outgoing.filter((outgoing) => {
      const { signal } = outgoing
      if (!signal?.aborted) return true
      this.#fail([outgoing], abortError(`sending to ${this.#parts.topic}`, signal))
      return false
    })
  }

  #fail(outgoing: readonly Outgoing[], error: OttlaError): void {
    for (const each of outgoing) {
      each.receipt.rejectBoth(error)
      this.#leave(each)
    }
  }

  #leave({ receipt, sizeBytes }: Outgoing): void {
    this.#unstored.delete(receipt)
    this.#unstoredBytes -= sizeBytes
    if (this.#unstoredBytes < this.#options.bufferBytesMax) for (const wake of this.#roomWaiters.splice(0)) wake()
    if (this.#unstoredBytes === 0) this.#parts.sending.busy.delete(this)
  }
}

const loadSending = (sending: Sending) =>
  loadApart('sending', async () => (await import('./enqueue-entry.ts')).enqueuerFor(sending))
