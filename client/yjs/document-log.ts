/**
 * A document's way between a Y.Doc and the log: what to apply, and how far that goes.
 *
 * Updates may be applied twice and in any order; what must not be is that one is left out. So each time a connection begins the
 * relay is asked for all behind the last known offset, and what it answers is a barrier: once the reader is there, everything
 * has been seen.
 */
import * as Y from 'yjs'
import { partitionForKey } from '../../protocol/lib/partitioner.ts'
import { BATCH_HEADER_BYTES, batchesIn, codecOf } from '../../protocol/record-batch.ts'
import { decodeRecords } from '../../protocol/records.ts'
import type { Reader } from '../consumer/reader.ts'
import type { TopicStatus } from '../core.ts'
import type { KeptDocument } from '../documents/kept-documents.ts'
import type { Ottla } from '../ottla.ts'
import type { TopicRecord } from '../record.ts'
import type { Topic } from '../topic.ts'

export const ORIGIN_HEADER = 'origin'

const utf8 = new TextEncoder()
const text = new TextDecoder()

export interface DocumentLogParts {
  ottla: Ottla
  topic: Topic<string, Uint8Array>
  documentId: string
  doc: Y.Doc
  /** Names what this writer wrote, which the document has already. */
  session: string
  /** The origin of what is applied. */
  origin: object
}

export class DocumentLog {
  readonly #parts: DocumentLogParts
  #reader: Reader<string, Uint8Array> | undefined
  #barrier = -1
  /** -1 while that is not known. */
  partition = -1
  /** Everything from where reading began up to here has been applied; -1 before it has. */
  position = -1
  /** It began with all there was: the relay's answer, or what was kept. A replica may lack what the log has lost. */
  isWhole = false

  constructor(parts: DocumentLogParts) {
    this.#parts = parts
  }

  get topicStatus(): TopicStatus | undefined {
    const { ottla, topic } = this.#parts
    return ottla.status.topics.find(({ name }) => name === topic.name)
  }

  get isReading(): boolean {
    return this.#reader !== undefined
  }

  /** All that the replica holds has been applied. */
  get hasWhatIsHere(): boolean {
    const end = this.topicStatus?.replica.find(({ partition }) => partition === this.partition)?.end ?? 0
    return this.isReading && Math.max(0, this.position) >= end
  }

  /** The relay was asked, and nothing has come since that puts its answer in doubt. */
  get isAsked(): boolean {
    return this.#barrier >= 0
  }

  /** All that was there when it was last asked for has been applied. */
  get isAtBarrier(): boolean {
    return this.isAsked && this.position >= this.#barrier
  }

  /** The relay is to be asked again. */
  doubt(): void {
    this.#barrier = -1
  }

  /** Applies what the relay has behind the position, and gives it back. */
  async ask(): Promise<Uint8Array[]> {
    const { ottla, topic, documentId } = this.#parts
    const all: Uint8Array[] = []
    for (let fromOffset = this.isWhole ? this.position : -1, isWhole = false; !isWhole; ) {
      const answer = await ottla.openDocument({ topic: topic.name, documentId, fromOffset })
      const updates = answer.snapshot ? [answer.snapshot, ...answer.updates] : answer.updates
      this.apply(updates)
      all.push(...updates)
      this.partition = answer.partition
      fromOffset = answer.nextOffset
      isWhole = answer.isWhole === 1
      // The reader comes there by itself; without one this is where it is to begin.
      if (isWhole) this.#barrier = answer.nextOffset
    }
    this.isWhole = true
    if (!this.#reader) this.position = this.#barrier
    return all
  }

  /** Applies what stands for everything below its offset: the log is read from there. */
  beginAt({ partition, nextOffset, update }: KeptDocument): void {
    this.apply([update])
    this.partition = partition
    this.position = nextOffset
    this.isWhole = true
  }

  /** Applies what is written from the position on, or from the start of the replica; resolves when reading has ended. */
  async read(signal: AbortSignal, onProgress: () => void): Promise<void> {
    const { topic, documentId } = this.#parts
    if (this.partition < 0) {
      const { partitionCount } = await topic.info()
      this.partition = partitionForKey(utf8.encode(documentId), partitionCount)
    }
    const partition = this.partition
    const from = this.position < 0 ? 'beginning' : { offset: this.position }
    const reader = topic.read({ from, partitions: [partition], signal })
    this.#reader = reader
    onProgress()
    const told = () => {
      this.position = Math.max(this.position, reader.positions().get(partition) ?? -1)
      onProgress()
    }
    const unlisten = reader.onUpToDate(told)
    // What retention took is in the relay's snapshot, which stands for all below.
    reader.onGap(() => {
      this.isWhole = false
      this.doubt()
    })
    try {
      for await (const records of reader.batches()) {
        this.apply(records.flatMap((record) => this.#updateIn(record)))
        this.position = records.at(-1)!.offset + 1
        onProgress()
      }
    } finally {
      unlisten()
      this.#reader = undefined
    }
  }

  /** Applies writes of this device that no relay has yet, also of pages that are gone, and gives them back. */
  async pending(): Promise<Uint8Array[]> {
    const { ottla, topic, documentId } = this.#parts
    const waiting = await ottla.outbox.list(topic.name)
    const entries = await ottla.outbox.export(waiting.map(({ id }) => id))
    const updates = entries
      .filter((entry) => entry.topic === topic.name)
      .flatMap(({ batch }) =>
        [...batchesIn(batch)].flatMap(({ at, end, header }) => {
          if (codecOf(header) !== 0) return []
          const records = [...decodeRecords(header, batch.subarray(at + BATCH_HEADER_BYTES, end))]
          return records.flatMap(({ key, value }) => (key && value && text.decode(key) === documentId ? [value] : []))
        }),
      )
    this.apply(updates)
    return updates
  }

  /** The next `read` begins anew: the topic may be another one. */
  forget(): void {
    this.position = -1
    this.isWhole = false
    this.doubt()
    this.partition = -1
  }

  apply(updates: readonly Uint8Array[]): void {
    if (updates.length === 0) return
    const { doc, origin } = this.#parts
    const applyAll = () => {
      for (const update of updates) {
        try {
          Y.applyUpdate(doc, update, origin)
        } catch {
          // A record that is no update: others write to the topic too.
        }
      }
    }
    Y.transact(doc, applyAll, origin, false)
  }

  #updateIn({ key, value, headers }: TopicRecord<string, Uint8Array>): Uint8Array[] {
    const { documentId, session } = this.#parts
    if (key !== documentId || !value) return []
    const origin = headers.find((header) => header.key === ORIGIN_HEADER)?.value
    return origin && text.decode(origin) === session ? [] : [value]
  }
}
