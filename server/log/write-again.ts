/**
 * What a killed process has written may be in the kernel's hands alone. A sync is not enough to make it durable: where one
 * failed while the process died, nobody was told, and the kernel takes those pages for clean ever after, so that the next
 * sync has nothing to do and succeeds. Written once more they are dirty, whatever became of them before.
 */
import { isNoSpace, type OpenFile, readFully, writeFully } from '../storage/files.ts'

const CHUNK_BYTES = 1024 * 1024

/** The bytes from `from` to before `to`, which are there, are on disk when it resolves. Rejects with what the disk throws. */
export async function writeAgain(file: OpenFile, path: string, from: number, to: number): Promise<void> {
  try {
    await copyOntoItself(file, path, from, to)
  } catch (failure) {
    // Some file systems take new room for what is written over. A full one must still be opened and read.
    if (!isNoSpace(failure)) throw failure
  }
  await file.sync()
}

async function copyOntoItself(file: OpenFile, path: string, from: number, to: number): Promise<void> {
  const chunk = new Uint8Array(Math.max(0, Math.min(CHUNK_BYTES, to - from)))
  for (let position = from; position < to; ) {
    const part = chunk.subarray(0, to - position)
    const count = await readFully(file, part, position)
    await writeFully(file, [part.subarray(0, count)], position, path)
    // Shorter than it was a moment ago: what is read next finds that out.
    if (count < part.length) return
    position += count
  }
}
