/**
 * `ottla backup`: copies a backup point file by file.
 *
 * The folder holds `.backup.json` until it is complete, and its metadata comes last: what was interrupted is neither
 * served nor restored by mistake, and the same command finds how far it had come by the sizes of the files.
 */

import { existsSync } from 'node:fs'
import { type FileHandle, mkdir, open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join, normalize } from 'node:path'
import type { Ottla } from '../client/index.ts'
import { EXIT_OK, type Invocation, switchFlag, UsageError } from './command.ts'
import { CopyProgress, sizeText } from './copy-progress.ts'
import { withRelay } from './relay-connection.ts'
import { verifiedFolder } from './verified-folder.ts'

export const UNFINISHED_FILE = '.backup.json'

type Backup = Awaited<ReturnType<Ottla['admin']['openBackup']>>

export function backup(invocation: Invocation): Promise<number> {
  return withRelay(invocation, async (ottla) => {
    const folder = invocation.positionals[0]!
    const known = await prepare(folder, switchFlag(invocation, 'restart'))
    const point = await ottla.admin.openBackup(known, { signal: invocation.signal })
    await writeFile(join(folder, UNFINISHED_FILE), JSON.stringify({ id: point.id }))
    await copy(ottla, point, folder, invocation)
    invocation.output.endProgress()
    const { topics, records } = await verifiedFolder(folder)
    await ottla.admin.closeBackup(point.id)
    await rm(join(folder, UNFINISHED_FILE))
    const { totalBytes, createdAtMs } = point
    const facts = { folder, topics, records, bytes: totalBytes, createdAt: new Date(createdAtMs).toISOString() }
    if (invocation.json) await invocation.output.json(facts)
    else
      await invocation.output.line(
        `${folder}: ${topics} topics, ${records} records, ${sizeText(totalBytes)}, as of ${facts.createdAt}. Every batch is sound.`,
      )
    return EXIT_OK
  })
}

/** The id of a backup that was begun here. */
async function prepare(folder: string, restarts: boolean): Promise<string | undefined> {
  const unfinished = join(folder, UNFINISHED_FILE)
  if (restarts && existsSync(unfinished)) await rm(folder, { recursive: true })
  await mkdir(folder, { recursive: true, mode: 0o700 })
  if (existsSync(unfinished)) return (JSON.parse(await readFile(unfinished, 'utf8')) as { id: string }).id
  if ((await readdir(folder)).length > 0)
    throw new UsageError(`${folder} is not empty, and holds no backup to go on with`)
  return undefined
}

async function copy({ admin }: Ottla, point: Backup, folder: string, { output, signal }: Invocation): Promise<void> {
  const files = point.files.map((file, index) => ({ ...file, index }))
  const ordered = [...files.filter(({ path }) => !isMetadata(path)), ...files.filter(({ path }) => isMetadata(path))]
  let progress: CopyProgress | undefined
  for (const { path, sizeBytes, index } of ordered) {
    const target = placeIn(folder, path)
    await mkdir(dirname(target), { recursive: true, mode: 0o700 })
    const doneBytes = await sizeOf(target)
    progress ??= new CopyProgress(output, point.totalBytes, await copiedBytes(folder, point))
    if (doneBytes > sizeBytes) throw new Error(`${target} is larger than in the backup: begin anew with --restart`)
    if (doneBytes === sizeBytes && existsSync(target)) continue
    await appendTo(target, async (file) => {
      for (let position = doneBytes; position < sizeBytes; ) {
        const piece = await admin.readBackup({ id: point.id, file: index, position }, { signal })
        await file.writeFile(piece)
        position += piece.length
        progress!.add(piece.length)
      }
    })
  }
}

const isMetadata = (path: string) => path.startsWith('metadata/')

/** The relay names the files; it must not name any outside. */
function placeIn(folder: string, path: string): string {
  const below = normalize(path)
  if (below.startsWith('..') || below.startsWith('/')) throw new Error(`the relay names a file outside: ${path}`)
  return join(folder, below)
}

async function sizeOf(path: string): Promise<number> {
  return (await stat(path).catch(() => undefined))?.size ?? 0
}

async function copiedBytes(folder: string, { files }: Backup): Promise<number> {
  let total = 0
  for (const { path } of files) total += await sizeOf(placeIn(folder, path))
  return total
}

/** On disk when this returns. */
async function appendTo(path: string, write: (file: FileHandle) => Promise<void>): Promise<void> {
  const file = await open(path, 'a', 0o600)
  try {
    await write(file)
    await file.sync()
  } finally {
    await file.close()
  }
}
