/**
 * `ottla backup`: copies a backup point file by file.
 *
 * The folder holds `.backup.json` until it is complete, and its metadata comes last, all at once: what was interrupted is
 * neither served nor restored by mistake, and the same command finds how far it had come by the sizes of the files.
 */

import { existsSync } from 'node:fs'
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join, normalize, sep } from 'node:path'
import type { Ottla } from '../client/index.ts'
import { EXIT_OK, type Invocation, switchFlag, UsageError } from './command.ts'
import { CopyProgress, sizeText } from './copy-progress.ts'
import { withRelay } from './relay-connection.ts'
import { verifiedFolder } from './verified-folder.ts'

export const UNFINISHED_FILE = '.backup.json'
/** Where the metadata is until all of it is there. */
export const UNFINISHED_METADATA = 'metadata.unfinished'

type Backup = Awaited<ReturnType<Ottla['admin']['openBackup']>>

export function backup(invocation: Invocation): Promise<number> {
  return withRelay(invocation, async (ottla) => {
    const folder = invocation.positionals[0]!
    const { known, forgotten } = await prepare(folder, switchFlag(invocation, 'restart'))
    // There are never more than a few of them, and each keeps what the relay has deleted since.
    if (forgotten !== undefined) await ottla.admin.closeBackup(forgotten)
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

/** The id of a backup that was begun here, to go on with or to forget. */
async function prepare(folder: string, restarts: boolean): Promise<{ known?: string; forgotten?: string }> {
  const unfinished = join(folder, UNFINISHED_FILE)
  const begun = existsSync(unfinished) ? idIn(await readFile(unfinished, 'utf8')) : undefined
  if (restarts && begun !== undefined) await rm(folder, { recursive: true })
  await mkdir(folder, { recursive: true, mode: 0o700 })
  if (begun === undefined && (await readdir(folder)).length > 0)
    throw new UsageError(`${folder} is not empty, and holds no backup to go on with`)
  if (restarts) return begun ? { forgotten: begun } : {}
  if (begun === '') throw new UsageError(`${unfinished} does not tell which backup was begun: use --restart`)
  return begun === undefined ? {} : { known: begun }
}

/** Empty when the disk was full as it was written. */
function idIn(text: string): string {
  try {
    return String((JSON.parse(text) as { id: unknown }).id)
  } catch {
    return ''
  }
}

async function copy({ admin }: Ottla, point: Backup, folder: string, { output, signal }: Invocation): Promise<void> {
  const files = point.files.map((file, index) => ({ ...file, index }))
  const ordered = [...files.filter(({ path }) => !isMetadata(path)), ...files.filter(({ path }) => isMetadata(path))]
  const placeOf = placeFor(folder)
  let progress: CopyProgress | undefined
  for (const { path, sizeBytes, index } of ordered) {
    const target = placeOf(path)
    await mkdir(dirname(target), { recursive: true, mode: 0o700 })
    const doneBytes = await sizeOf(target)
    progress ??= new CopyProgress(output, point.totalBytes, await copiedBytes(placeOf, point))
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
  const unfinished = join(folder, UNFINISHED_METADATA)
  if (existsSync(unfinished)) await rename(unfinished, join(folder, 'metadata'))
}

export const isMetadata = (path: string): boolean => path.startsWith('metadata/') || path.startsWith(`metadata${sep}`)

/** Of each file; an earlier run may have been interrupted when all were in their places. */
function placeFor(folder: string): (path: string) => string {
  const isPlaced = existsSync(join(folder, 'metadata'))
  return (path) =>
    placeIn(folder, isMetadata(path) && !isPlaced ? path.replace(/^metadata/, UNFINISHED_METADATA) : path)
}

/** The relay names the files; it must not name any outside. */
function placeIn(folder: string, path: string): string {
  const below = normalize(path)
  if (below.startsWith('..') || below.startsWith('/')) throw new Error(`the relay names a file outside: ${path}`)
  return join(folder, below)
}

async function sizeOf(path: string): Promise<number> {
  return (await stat(path).catch(() => undefined))?.size ?? 0
}

async function copiedBytes(placeOf: (path: string) => string, { files }: Backup): Promise<number> {
  let total = 0
  for (const { path } of files) total += await sizeOf(placeOf(path))
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
