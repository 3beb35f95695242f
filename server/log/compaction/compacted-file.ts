/**
 * Writes the segment that takes the place of some others, beside them: its batches, what is gone between them as gaps, and
 * its index. It gets its name when it is complete and on disk; until then it is a left-over that the next start removes.
 *
 * Synced a few MiB at a time: one sync of a whole segment would hold up those of commits.
 */

import type { AbortedTransaction } from '../../../protocol/messages/offset-protocol.ts'
import { type BatchHeader, nextOffsetOf, readBatchHeader, viewOf } from '../../../protocol/record-batch.ts'
import type { Files, OpenFile } from '../../storage/files.ts'
import { writeFully } from '../../storage/files.ts'
import { unfinishedName } from '../log-names.ts'
import type { OpenFileLimit } from '../open-file-limit.ts'
import { Segment } from '../segment.ts'
import { SparseIndex } from '../sparse-index.ts'
import { gapBatch } from './batch-forms.ts'
import type { Pace } from './pace.ts'

const WRITE_BYTES = 256 * 1024
const SYNC_BYTES = 4 * 1024 * 1024
const GAP_OFFSETS_MAX = 2_147_483_647

export interface CompactedFileOptions {
  files: Files
  dir: string
  limit: OpenFileLimit
  /** In order, without gaps. */
  replaced: readonly Segment[]
  pace: Pace
  /** Whether the horizon of a batch is one to come back for. */
  mayShrink: (header: BatchHeader) => boolean
}

export class CompactedFile {
  readonly #options: CompactedFileOptions
  readonly #segment: Segment
  readonly #temporary: string
  readonly #index = new SparseIndex()
  #file: OpenFile | undefined
  #position = 0
  #syncedPosition = 0
  #pieces: Uint8Array[] = []
  #pieceBytes = 0
  #gap: { baseOffset: number; endOffset: number; leaderEpoch: number } | undefined
  #horizonMs = Number.POSITIVE_INFINITY

  constructor(options: CompactedFileOptions) {
    const { files, dir, limit, replaced } = options
    this.#options = options
    const { endOffset } = replaced.at(-1)!
    const generation = 1 + Math.max(...replaced.map(({ compacted }) => compacted?.generation ?? 0))
    const { baseOffset } = replaced[0]!
    this.#segment = new Segment({ files, dir, limit, baseOffset, compacted: { endOffset, generation } })
    this.#temporary = unfinishedName(this.#segment.path)
  }

  async begin(): Promise<void> {
    const { files } = this.#options
    if (await files.stat(this.#temporary)) await files.remove(this.#temporary)
    this.#file = await files.open(this.#temporary, 'create')
  }

  /** A batch, whose bytes are kept until they are written. */
  async add(batch: Uint8Array): Promise<void> {
    await this.#closeGap()
    await this.#write(batch)
  }

  /** All of this batch is gone. */
  async drop(header: BatchHeader): Promise<void> {
    const [baseOffset, endOffset] = [header.baseOffset, nextOffsetOf(header)]
    const gap = this.#gap
    // Where an epoch began is known from the batches when the manifest is lost.
    if (gap && gap.leaderEpoch === header.leaderEpoch && endOffset - gap.baseOffset <= GAP_OFFSETS_MAX) {
      gap.endOffset = endOffset
      return
    }
    await this.#closeGap()
    this.#gap = { baseOffset, endOffset, leaderEpoch: header.leaderEpoch }
  }

  /** The marker that was added last ended this. */
  noteAborted(aborted: AbortedTransaction): void {
    this.#index.aborted.add(aborted)
  }

  async #closeGap(): Promise<void> {
    const gap = this.#gap
    this.#gap = undefined
    if (gap) await this.#write(gapBatch(gap.baseOffset, gap.endOffset, gap.leaderEpoch))
  }

  async #write(batch: Uint8Array): Promise<void> {
    const header = readBatchHeader(viewOf(batch))
    if (this.#options.mayShrink(header)) this.#horizonMs = Math.min(this.#horizonMs, header.baseTimestamp)
    this.#index.add(header.baseOffset, this.#position + this.#pieceBytes, header.maxTimestamp)
    this.#pieces.push(batch)
    this.#pieceBytes += batch.length
    if (this.#pieceBytes >= WRITE_BYTES) await this.#flush()
  }

  async #flush(): Promise<void> {
    const [pieces, sizeBytes] = [this.#pieces, this.#pieceBytes]
    this.#pieces = []
    this.#pieceBytes = 0
    if (sizeBytes === 0) return
    await writeFully(this.#file!, pieces, this.#position, this.#temporary)
    this.#position += sizeBytes
    this.#options.pace.spend(sizeBytes)
    if (this.#position - this.#syncedPosition < SYNC_BYTES) return
    await this.#file!.sync()
    this.#syncedPosition = this.#position
  }

  /** On disk and under its name. Nobody knows of it yet. */
  async finish(): Promise<Segment> {
    const { files, dir } = this.#options
    await this.#closeGap()
    await this.#flush()
    await this.#file!.sync()
    await this.#close()
    const segment = this.#segment
    segment.index = this.#index
    const { baseOffset } = segment
    segment.seal({
      ...{ baseOffset, endOffset: segment.compacted!.endOffset, sizeBytes: this.#position },
      ...{ maxTimestamp: this.#index.maxTimestamp, abortedFrom: this.#index.aborted.from },
      horizonMs: this.#horizonMs === Number.POSITIVE_INFINITY ? undefined : this.#horizonMs,
      writtenMs: newestOf(this.#options.replaced.map(({ writtenMs }) => writtenMs)),
    })
    await this.#saveIndex()
    await files.rename(this.#temporary, segment.path)
    await files.syncDir(dir)
    return segment
  }

  /** Not synced: it carries a checksum and can be made anew. */
  async #saveIndex(): Promise<void> {
    const { files } = this.#options
    const { indexPath, bounds } = this.#segment
    if (await files.stat(indexPath)) await files.remove(indexPath)
    const file = await files.open(indexPath, 'create')
    try {
      await writeFully(file, [this.#index.encode(bounds)], 0, indexPath)
    } finally {
      await file.close()
    }
  }

  /** Removes what there is of it. */
  async abandon(): Promise<void> {
    const { files } = this.#options
    await this.#close().catch(() => {})
    for (const path of [this.#temporary, this.#segment.path, this.#segment.indexPath]) {
      if (await files.stat(path)) await files.remove(path)
    }
  }

  async #close(): Promise<void> {
    const file = this.#file
    this.#file = undefined
    await file?.close()
  }
}

function newestOf(times: ReadonlyArray<number | undefined>): number | undefined {
  const known = times.filter((time) => time !== undefined)
  return known.length > 0 ? Math.max(...known) : undefined
}
