/**
 * Producer state at recovery: what a snapshot says, and the batches behind it.
 *
 * A scan that meets the end of a transaction must know where that began. So the state is taken up where the scan begins, not
 * at the newest snapshot; what only that one still knows, of batches that retention dropped, is added at the end.
 */
import type { BatchHeader } from '../../protocol/record-batch.ts'
import { isControl } from '../../protocol/record-batch.ts'
import { readMarker } from '../../protocol/transaction-marker.ts'
import type { Files } from '../storage/files.ts'
import { readWholeFile } from '../storage/files.ts'
import { snapshotName } from './log-names.ts'
import { decodeProducerSnapshot } from './producer-snapshot.ts'
import type { EndedTransaction } from './producer-state.ts'
import { ProducerTable } from './producer-state.ts'

export interface ProducerReplayOptions {
  files: Files
  dir: string
  /** Offsets at which a snapshot exists, ascending. */
  snapshots: readonly number[]
  /** Default 0, where only transactions are asked for. */
  nowMs?: number
  onDamaged?: (name: string) => void
}

interface Loaded {
  table: ProducerTable
  offset: number
}

export class ProducerReplay {
  readonly #options: ProducerReplayOptions
  readonly #damaged = new Set<number>()
  #newest: Loaded | undefined
  table = new ProducerTable()
  /** The table holds everything below this offset; infinite while nothing is loaded. */
  from = Number.POSITIVE_INFINITY

  constructor(options: ProducerReplayOptions) {
    this.#options = options
  }

  async loadNewest(): Promise<void> {
    this.#newest = await this.#newestUpTo(Number.POSITIVE_INFINITY)
    this.#take(this.#newest)
  }

  /** Whether there is a readable snapshot of exactly this offset. It becomes the state. */
  async loadAt(offset: number): Promise<boolean> {
    if (this.from !== offset) {
      const table = await this.#read(offset)
      if (!table) return false
      this.#take({ table, offset })
    }
    return true
  }

  /** The newest readable snapshot that is not beyond `offset`. An empty table is right where nothing came before. */
  async loadUpTo(offset: number): Promise<void> {
    if (this.from > offset) this.#take(await this.#newestUpTo(offset))
  }

  #take({ table, offset }: Loaded): void {
    this.table = table
    this.from = offset
  }

  async #newestUpTo(limit: number): Promise<Loaded> {
    for (const offset of this.#options.snapshots.filter((each) => each <= limit).reverse()) {
      const table = await this.#read(offset)
      if (table) return { table, offset }
    }
    return { table: new ProducerTable(), offset: 0 }
  }

  async #read(offset: number): Promise<ProducerTable | undefined> {
    const { files, dir, snapshots, onDamaged } = this.#options
    if (!snapshots.includes(offset) || this.#damaged.has(offset)) return undefined
    const bytes = await readWholeFile(files, `${dir}/${snapshotName(offset)}`)
    const table = bytes && decodeProducerSnapshot(bytes, offset)
    if (!table) {
      this.#damaged.add(offset)
      onDamaged?.(snapshotName(offset))
    }
    return table
  }

  /** Returns the transaction that the batch at `at` aborted, if it did. */
  replay(header: BatchHeader, bytes: Uint8Array, at: number): EndedTransaction | undefined {
    if (header.producerId < 0 || header.baseOffset < this.from) return undefined
    // The wall clock of now, not the record's time: a replay of old data must not make its producer look expired.
    const { nowMs = 0 } = this.#options
    if (!isControl(header)) {
      this.table.record(header, nowMs)
      return undefined
    }
    const marker = readMarker(bytes, at, header)
    const ended = marker && this.table.end(marker, header.baseOffset, nowMs)
    return marker?.outcome === 'abort' ? ended : undefined
  }

  /** All that was replayed is durable, and the log ends at `endOffset`. */
  finish(endOffset: number): ProducerTable {
    this.table.transactions.settle(Number.POSITIVE_INFINITY)
    const { table } = this
    if (this.#newest && this.#newest.table !== table && this.#newest.offset <= endOffset) {
      table.restore([...this.#newest.table.entries()].filter(({ producerId }) => !table.has(producerId)))
    }
    return table
  }
}
