/**
 * Writes a segment anew without its damage: what is good is copied, offsets that are lost become empty batches, as those
 * that compaction leaves (batch-forms.ts). So every offset still names what it named, and every reader of Kafka's format
 * goes over the hole.
 *
 * The new file stands beside the damaged one under the name of its next generation, and is read back before it gets it.
 */
import { viewOf, writeBaseOffset } from '../../../protocol/record-batch.ts'
import { type Files, type OpenFile, readFully, StorageError, writeFully } from '../../storage/files.ts'
import { gapBatch } from '../compaction/batch-forms.ts'
import { type SegmentFile, segmentNameOf, unfinishedName } from '../log-names.ts'
import { scanSegment } from '../segment-scan.ts'
import type { SegmentPart } from './segment-survey.ts'

const COPY_BYTES = 4 * 1024 * 1024
const GAP_OFFSETS_MAX = 2_147_483_647

export interface MendedSegment {
  dir: string
  /** Name of the damaged file; undefined when there is none. */
  source: string | undefined
  target: SegmentFile & { compacted: { endOffset: number } }
  parts: readonly SegmentPart[]
  /** The leader epoch in which an offset was written. */
  epochAt: (offset: number) => number
}

/** Returns when the file is whole, on disk, and has its name. */
export async function writeMended(files: Files, mended: MendedSegment): Promise<void> {
  const { dir, source, target } = mended
  const path = `${dir}/${segmentNameOf(target)}`
  const temporary = unfinishedName(path)
  for (const stale of [temporary, path]) if (await files.stat(stale)) await files.remove(stale)
  const from = source === undefined ? undefined : await files.open(`${dir}/${source}`, 'read')
  const to = await files.open(temporary, 'create')
  try {
    const sizeBytes = await new Mending(from, to, temporary).write(mended)
    await to.sync()
    const range = { fromPosition: 0, fromOffset: target.baseOffset, toPosition: sizeBytes }
    const { stop, endOffset } = await scanSegment(to, range, () => {})
    if (stop || endOffset !== target.compacted.endOffset) {
      throw new StorageError('EIO', 'mend', temporary, `what was written does not read back (offset ${endOffset})`)
    }
  } finally {
    await to.close()
    await from?.close()
  }
  await files.rename(temporary, path)
  await files.syncDir(dir)
}

class Mending {
  readonly #from: OpenFile | undefined
  readonly #to: OpenFile
  readonly #path: string
  #position = 0

  constructor(from: OpenFile | undefined, to: OpenFile, path: string) {
    this.#from = from
    this.#to = to
    this.#path = path
  }

  async write({ parts, epochAt }: MendedSegment): Promise<number> {
    for (const part of parts) {
      if (part.kind === 'kept') await this.#copy(part.position, part.end)
      else if (part.kind === 'moved') await this.#move(part)
      else await this.#fill(part.fromOffset, part.toOffset, epochAt)
    }
    return this.#position
  }

  async #copy(from: number, end: number): Promise<void> {
    for (let at = from; at < end; at += COPY_BYTES)
      await this.#append(await this.#read(at, Math.min(COPY_BYTES, end - at)))
  }

  async #move({ position, end, baseOffset }: Extract<SegmentPart, { kind: 'moved' }>): Promise<void> {
    const batch = await this.#read(position, end - position)
    writeBaseOffset(viewOf(batch), 0, baseOffset)
    await this.#append(batch)
  }

  async #fill(fromOffset: number, toOffset: number, epochAt: MendedSegment['epochAt']): Promise<void> {
    for (let at = fromOffset; at < toOffset; at += GAP_OFFSETS_MAX) {
      await this.#append(gapBatch(at, Math.min(toOffset, at + GAP_OFFSETS_MAX), epochAt(at)))
    }
  }

  async #read(position: number, sizeBytes: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(sizeBytes)
    const read = await readFully(this.#from!, bytes, position)
    if (read < sizeBytes) throw new StorageError('EIO', 'read', this.#path, `${read} of ${sizeBytes} bytes`)
    return bytes
  }

  async #append(bytes: Uint8Array): Promise<void> {
    await writeFully(this.#to, [bytes], this.#position, this.#path)
    this.#position += bytes.length
  }
}
