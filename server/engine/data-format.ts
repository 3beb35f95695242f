/**
 * The format of a data folder, in its file `format`: `{"format":2}`. A build opens every format up to its own and writes its
 * own; a folder of a newer one is refused rather than misread.
 *
 *   1  until 0.1.0; has no such file
 *   2  transactions and compaction: control batches, gaps in offsets, their traces in snapshots and manifests; facts in
 *      the metadata log (users)
 *
 * Caches (indexes, snapshots) have versions of their own, and are made anew when they are of another.
 */
import { type Files, readWholeFile, replaceFile, StorageError } from '../storage/files.ts'

export const DATA_FORMAT = 2
const FORMAT_BEFORE_THE_FILE = 1
export const FORMAT_FILE = 'format'

/**
 * Before anything else is read. Whoever has the folder's lock calls it.
 *
 * @throws StorageError NEWER_FORMAT, or NOT_DATA when the file says nothing that makes sense.
 */
export async function claimFormat(files: Files, dataDir: string): Promise<void> {
  if ((await readFormat(files, dataDir)) === DATA_FORMAT) return
  const content = new TextEncoder().encode(`${JSON.stringify({ format: DATA_FORMAT })}\n`)
  await replaceFile(files, dataDir, FORMAT_FILE, content)
}

/** Of an empty folder too: it may become anything. Throws as `claimFormat` does. */
export async function readFormat(files: Files, dataDir: string): Promise<number> {
  const bytes = await readWholeFile(files, `${dataDir}/${FORMAT_FILE}`)
  if (!bytes) return FORMAT_BEFORE_THE_FILE
  const format = formatIn(bytes)
  const path = `${dataDir}/${FORMAT_FILE}`
  if (format === undefined)
    throw new StorageError('NOT_DATA', 'open', path, 'it does not tell the format of this folder')
  if (format <= DATA_FORMAT) return format
  const detail = `this folder was written by a newer Ottla (format ${format}); this one reads up to format ${DATA_FORMAT}`
  throw new StorageError('NEWER_FORMAT', 'open', path, detail)
}

function formatIn(bytes: Uint8Array): number | undefined {
  try {
    const { format } = JSON.parse(new TextDecoder().decode(bytes)) as { format?: unknown }
    return typeof format === 'number' && Number.isInteger(format) && format > 0 ? format : undefined
  } catch {
    return undefined
  }
}
