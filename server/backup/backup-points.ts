/**
 * Backup points: the data folder as it was in one instant, kept beside the log for as long as it takes to copy it.
 *
 *   DATA/backups/ID/point.json    what belongs to it; written last, so a folder without it is one that was never finished
 *   DATA/backups/ID/data/...      a second name for each segment, and copies of the small files
 *
 * In one turn every log says which files it consists of and how far each is durable. No log is ahead of another in that
 * turn in a way that a crash could not have left: committed offsets, decided transactions and records belong together.
 * Segments are only ever appended to or replaced whole, so a second name and a length are enough, whatever happens to the
 * log afterwards. A point takes no room until the log drops what the point still holds; it is removed when it is closed,
 * or a day after it was made.
 */

import { KafkaError } from '../../protocol/errors.ts'
import type { Clock, Timer } from '../../protocol/lib/clock.ts'
import type { Random } from '../../protocol/lib/random.ts'
import { randomUuid } from '../../protocol/lib/uuid.ts'
import { FORMAT_FILE } from '../engine/data-format.ts'
import { removeFolder } from '../engine/topic-folders.ts'
import type { HeldLog } from '../log/held-files.ts'
import { MANIFEST_NAME } from '../log/log-names.ts'
import { encodeManifest } from '../log/manifest.ts'
import type { Logger } from '../logger.ts'
import { type Files, isMissing, readFully, readWholeFile, replaceFile, StorageError } from '../storage/files.ts'

const POINTS_MAX = 4
const KEPT_MS = 24 * 3_600_000
const TIDY_MS = 3_600_000
const POINT_FILE = 'point.json'
const ID = /^[A-Za-z0-9_-]{22}$/

export interface BackupFile {
  /** Below the data folder. */
  path: string
  sizeBytes: number
}

export interface BackupPoint {
  id: string
  createdAtMs: number
  files: BackupFile[]
}

export interface BackupPointsOptions {
  files: Files
  dataDir: string
  clock: Clock
  random: Random
  logger: Logger
  /** Every log of the relay, in this turn. */
  hold: () => HeldLog[]
}

export class BackupPoints {
  readonly #options: BackupPointsOptions
  readonly #dir: string
  /** Read once, and kept while it is used. */
  readonly #known = new Map<string, BackupPoint>()
  /** How often one was closed. */
  #closed = 0
  #timer: Timer | undefined
  #making: Promise<unknown> = Promise.resolve()

  constructor(options: BackupPointsOptions) {
    this.#options = options
    this.#dir = `${options.dataDir}/backups`
  }

  /** Removes what is outdated now and then. */
  start(): void {
    const { clock, logger } = this.#options
    this.#inTurn(() => this.removeOutdated()).catch((error) =>
      logger.warn('old backup points stay for now', { error: String(error) }),
    )
    this.#timer = clock.setTimer(TIDY_MS, () => this.start())
  }

  stop(): void {
    this.#timer?.cancel()
  }

  /**
   * Rejects with KafkaError POLICY_VIOLATION when there are too many, KAFKA_STORAGE_ERROR while a log is damaged, or
   * StorageError.
   */
  make(): Promise<BackupPoint> {
    return this.#inTurn(() => this.#make())
  }

  /** One after another: a point that is being made looks like one that was never finished. */
  #inTurn<T>(task: () => Promise<T>): Promise<T> {
    const done = this.#making.then(task)
    this.#making = done.catch(() => {})
    return done
  }

  async #make(): Promise<BackupPoint> {
    await this.removeOutdated()
    const { files, clock, random, logger } = this.#options
    if ((await this.#ids()).length >= POINTS_MAX)
      throw new KafkaError('POLICY_VIOLATION', `there are ${POINTS_MAX} backup points already; finish or close one`)
    const id = randomUuid(random)
    await files.makeDir(this.#dataOf(id))
    const logs = this.#options.hold()
    const createdAtMs = clock.now()
    const point: BackupPoint = { id, createdAtMs, files: [] }
    try {
      for (const log of logs) checkWhole(log)
      for (const log of logs) point.files.push(...(await this.#keep(id, log)))
      point.files.push(await this.#copySmall(id, '', FORMAT_FILE))
    } finally {
      for (const log of logs) log.release()
    }
    await replaceFile(files, `${this.#dir}/${id}`, POINT_FILE, new TextEncoder().encode(JSON.stringify(point)))
    this.#known.set(id, point)
    logger.info('backup point made', { id, logs: logs.length, files: point.files.length })
    return point
  }

  async #keep(id: string, { path, files: held, manifest }: HeldLog): Promise<BackupFile[]> {
    const { files, dataDir } = this.#options
    const folder = `${this.#dataOf(id)}/${path}`
    await files.makeDir(folder)
    const kept: BackupFile[] = []
    for (const { name, sizeBytes } of held) {
      if (sizeBytes === undefined) {
        kept.push(await this.#copySmall(id, path, name))
        continue
      }
      await files.link(`${dataDir}/${path}/${name}`, `${folder}/${name}`)
      kept.push({ path: `${path}/${name}`, sizeBytes })
    }
    const content = encodeManifest(manifest)
    await replaceFile(files, folder, MANIFEST_NAME, content)
    return [...kept, { path: `${path}/${MANIFEST_NAME}`, sizeBytes: content.length }]
  }

  async #copySmall(id: string, path: string, name: string): Promise<BackupFile> {
    const { files, dataDir } = this.#options
    const below = path === '' ? name : `${path}/${name}`
    const content = await readWholeFile(files, `${dataDir}/${below}`)
    if (!content) throw new KafkaError('KAFKA_STORAGE_ERROR', `${below} is gone`)
    const folder = path === '' ? this.#dataOf(id) : `${this.#dataOf(id)}/${path}`
    await replaceFile(files, folder, name, content)
    return { path: below, sizeBytes: content.length }
  }

  /** Rejects with KafkaError RESOURCE_NOT_FOUND: never made, closed, or too old. */
  async find(id: string): Promise<BackupPoint> {
    const known = this.#known.get(id)
    if (known) return known
    const closed = this.#closed
    const stored = ID.test(id)
      ? await readWholeFile(this.#options.files, `${this.#dir}/${id}/${POINT_FILE}`)
      : undefined
    if (!stored)
      throw new KafkaError('RESOURCE_NOT_FOUND', `there is no backup point ${id.slice(0, 40)}: begin a new backup`)
    // It may have been this one, and gone.
    if (this.#closed !== closed) return this.find(id)
    const point = JSON.parse(new TextDecoder().decode(stored)) as BackupPoint
    this.#known.set(id, point)
    return point
  }

  /** At most `bytesMax` of one of its files; fewer only at its end. */
  async read(id: string, fileIndex: number, position: number, bytesMax: number): Promise<Uint8Array> {
    const point = await this.find(id)
    const wanted = point.files[fileIndex]
    if (!wanted || position < 0 || position > wanted.sizeBytes)
      throw new KafkaError('INVALID_REQUEST', `backup point ${id} has no byte ${position} of a file ${fileIndex}`)
    const bytes = new Uint8Array(Math.min(Math.max(0, bytesMax), wanted.sizeBytes - position))
    const file = await this.#options.files.open(`${this.#dataOf(id)}/${wanted.path}`, 'read')
    try {
      const count = await readFully(file, bytes, position)
      if (count < bytes.length)
        throw new KafkaError('KAFKA_STORAGE_ERROR', `${wanted.path} was cut short since: begin a new backup`)
    } finally {
      await file.close()
    }
    return bytes
  }

  /** Idempotent. */
  async close(id: string): Promise<void> {
    this.#known.delete(id)
    if (ID.test(id)) await removeFolder(this.#options.files, `${this.#dir}/${id}`)
    // Who looked for it meanwhile has made it known again.
    this.#known.delete(id)
    this.#closed++
  }

  /** Those that nobody came back for, and those that a crash left unfinished. */
  async removeOutdated(): Promise<void> {
    const { clock, logger } = this.#options
    for (const id of await this.#ids()) {
      let point: BackupPoint | undefined
      try {
        point = await this.find(id)
      } catch (error) {
        // It may be whole: the disk, or the number of open files, stands in the way for now.
        if (error instanceof StorageError) continue
      }
      const ageMs = point ? clock.now() - point.createdAtMs : Number.POSITIVE_INFINITY
      if (ageMs < KEPT_MS) continue
      logger.info('backup point removed', { id, reason: point ? 'nobody finished it' : 'it was not finished' })
      await this.close(id)
    }
  }

  async #ids(): Promise<string[]> {
    try {
      return await this.#options.files.list(this.#dir)
    } catch (error) {
      if (isMissing(error)) return []
      throw error
    }
  }

  #dataOf(id: string): string {
    return `${this.#dir}/${id}/data`
  }
}

/** A copy of what is left would pass for sound. After a write that failed all that was acknowledged is there. */
function checkWhole({ path, fault }: HeldLog): void {
  if (!fault || fault.kind === 'write') return
  throw new KafkaError('KAFKA_STORAGE_ERROR', `${path} is damaged, a copy would lack records: ${fault.message}`)
}
