/** `ottla restore`: a data folder out of a backup. The metadata comes last, and all at once: half a folder is never served. */

import { existsSync } from 'node:fs'
import { constants, copyFile, mkdir, open, readdir, rename, stat } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { isMetadata, UNFINISHED_FILE, UNFINISHED_METADATA } from './backup.ts'
import { EXIT_OK, type Invocation, UsageError } from './command.ts'
import { CopyProgress, sizeText } from './copy-progress.ts'
import { verifiedFolder } from './verified-folder.ts'

export async function restore({ positionals, output, json, signal }: Invocation): Promise<number> {
  const [from, to] = positionals as [string, string]
  if (!existsSync(from)) throw new UsageError(`${from}: no such folder`)
  if (existsSync(join(from, UNFINISHED_FILE)))
    throw new UsageError(`${from} is a backup that was interrupted; 'ottla backup ${from}' goes on with it`)
  if (existsSync(to) && (await readdir(to)).length > 0) throw new UsageError(`${to} is not empty`)
  const { topics, records } = await verifiedFolder(from)
  const files = await filesIn(from)
  const progress = new CopyProgress(
    output,
    files.reduce((total, { sizeBytes }) => total + sizeBytes, 0),
  )
  for (const { path, sizeBytes } of files) {
    signal.throwIfAborted()
    const target = isMetadata(path) ? path.replace(/^metadata/, UNFINISHED_METADATA) : path
    await copyDurably(join(from, path), join(to, target))
    progress.add(sizeBytes)
  }
  await rename(join(to, UNFINISHED_METADATA), join(to, 'metadata'))
  output.endProgress()
  const bytes = files.reduce((total, { sizeBytes }) => total + sizeBytes, 0)
  if (json) await output.json({ folder: to, topics, records, bytes })
  else
    await output.line(
      `${to}: ${topics} topics, ${records} records, ${sizeText(bytes)}. 'ottla serve --data ${to}' serves it.`,
    )
  return EXIT_OK
}

async function filesIn(folder: string): Promise<Array<{ path: string; sizeBytes: number }>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = await Promise.all(
    entries
      .filter((entry) => entry.isFile())
      .map(async (entry) => {
        const path = join(entry.parentPath, entry.name)
        return { path: relative(folder, path), sizeBytes: (await stat(path)).size }
      }),
  )
  return [...files.filter(({ path }) => !isMetadata(path)), ...files.filter(({ path }) => isMetadata(path))]
}

/** Shares blocks where the file system can. */
async function copyDurably(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true, mode: 0o700 })
  await copyFile(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE)
  const file = await open(to, 'r+')
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}
