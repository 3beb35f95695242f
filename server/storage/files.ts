/**
 * Files: the only way in which the relay touches a disk. Everything under the log goes through these calls, so the
 * same code runs on a real disk, in memory, on a disk that fails on purpose, and in a simulation that cuts the power.
 *
 * What an implementation promises:
 *  - Writes are positional; a write may be short, and says so. `writeFully` loops.
 *  - Content is durable after `sync`. A name (created, renamed, removed) is durable after `syncDir` of its folder.
 *  - After a failed write or sync the file's cached pages may lie (the kernel marks them clean), so nobody may retry on it.
 *  - Every failure is a StorageError with the system's code; nothing else is thrown.
 */

/** `create`: a new file, fails when it is there. `edit`: an existing file, to read and write. `read`: only to read. */
export type OpenMode = 'create' | 'edit' | 'read'

export interface OpenFile {
  /** Reads into the whole of `into` from `position`. Returns the bytes read, which is less only at the end. */
  read(into: Uint8Array, position: number): Promise<number>
  /** Writes the pieces one after another from `position`. Returns the bytes written, which may be less than asked. */
  writev(pieces: readonly Uint8Array[], position: number): Promise<number>
  /** Content, and the size that is needed to find it, reach the disk (fdatasync). */
  sync(): Promise<void>
  truncate(sizeBytes: number): Promise<void>
  size(): Promise<number>
  /** Idempotent. */
  close(): Promise<void>
}

export interface FileStat {
  sizeBytes: number
  isFolder: boolean
  /** Other accounts of this machine may read it; left out where nobody can tell. */
  isOpenToOthers?: boolean
}

export interface Files {
  open(path: string, mode: OpenMode): Promise<OpenFile>
  /** Names in a folder, sorted. ENOENT when there is no such folder. */
  list(dir: string): Promise<string[]>
  /** undefined when there is no such file. */
  stat(path: string): Promise<FileStat | undefined>
  /** A file or an empty folder. */
  remove(path: string): Promise<void>
  /** Atomic; replaces `to`. */
  rename(from: string, to: string): Promise<void>
  /** A second name for a file, on the same file system. EEXIST when `to` is there. */
  link(from: string, to: string): Promise<void>
  /** With its parents. Their entries are durable when this returns. Not an error when it exists. */
  makeDir(dir: string): Promise<void>
  syncDir(dir: string): Promise<void>
  /** Bytes that may still be written below `dir`. */
  freeBytes(dir: string): Promise<number>
  /** Of the whole disk below `dir`, full or free; left out where nobody can tell. */
  totalBytes?(dir: string): Promise<number>
  /** Takes a folder for this process. LOCKED when somebody else has it; gone with the process that held it. */
  lock(dir: string): Promise<() => Promise<void>>
}

/** A call on the disk failed. `code` is the system's (ENOSPC, EIO, EMFILE, ENOENT, ...), or LOCKED. */
export class StorageError extends Error {
  override readonly name = 'StorageError'
  readonly code: string
  readonly operation: string
  readonly path: string

  constructor(code: string, operation: string, path: string, detail = '', cause?: unknown) {
    super(`${operation} ${path}: ${code}${detail && ` (${detail})`}`, { cause })
    this.code = code
    this.operation = operation
    this.path = path
  }
}

/** No room: the disk, the quota, or the largest file that the file system can hold. */
export const isNoSpace = (error: unknown): boolean =>
  error instanceof StorageError && (error.code === 'ENOSPC' || error.code === 'EDQUOT' || error.code === 'EFBIG')

export const isMissing = (error: unknown): boolean => error instanceof StorageError && error.code === 'ENOENT'

/** Writes all of `pieces`, however short the single writes are. EIO when a write makes no progress at all. */
export async function writeFully(
  file: OpenFile,
  pieces: readonly Uint8Array[],
  position: number,
  path = 'file',
): Promise<void> {
  let left = pieces
  let at = position
  let wanted = 0
  for (const piece of pieces) wanted += piece.length
  while (wanted > 0) {
    const written = await file.writev(left, at)
    if (written <= 0) throw new StorageError('EIO', 'writev', path, `0 of ${wanted} bytes written at ${at}`)
    wanted -= written
    at += written
    if (wanted > 0) left = dropFront(left, written)
  }
}

function dropFront(pieces: readonly Uint8Array[], count: number): Uint8Array[] {
  let index = 0
  let rest = count
  while (rest >= pieces[index]!.length) rest -= pieces[index++]!.length
  return [pieces[index]!.subarray(rest), ...pieces.slice(index + 1)]
}

/** Reads `into.length` bytes, or as many as there are up to the file's end. */
export async function readFully(file: OpenFile, into: Uint8Array, position: number): Promise<number> {
  let at = 0
  while (at < into.length) {
    const count = await file.read(at === 0 ? into : into.subarray(at), position + at)
    if (count === 0) break
    at += count
  }
  return at
}

/** The whole of a small file, or undefined when there is none. For manifests and indexes, not for logs. */
export async function readWholeFile(files: Files, path: string): Promise<Uint8Array | undefined> {
  let file: OpenFile
  try {
    file = await files.open(path, 'read')
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
  try {
    const bytes = new Uint8Array(await file.size())
    return bytes.subarray(0, await readFully(file, bytes, 0))
  } finally {
    await file.close()
  }
}

/**
 * Replaces a small file so that after a crash it is the old or the new one, whole: written beside it, synced, renamed,
 * folder synced. ext4 and XFS both bring back the old file when the last step is left out.
 */
export async function replaceFile(files: Files, dir: string, name: string, content: Uint8Array): Promise<void> {
  const temporary = `${dir}/${name}.tmp`
  if (await files.stat(temporary)) await files.remove(temporary)
  const file = await files.open(temporary, 'create')
  try {
    await writeFully(file, [content], 0, temporary)
    await file.sync()
  } finally {
    await file.close()
  }
  await files.rename(temporary, `${dir}/${name}`)
  await files.syncDir(dir)
}
