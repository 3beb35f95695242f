/**
 * Puts rounds on disk, and with them everything that a segment's life needs: the first write after opening, rolls,
 * checkpoints, the manifest.
 *
 * Order, so that a crash between any two steps leaves something that recovery understands:
 *  - first write: clean marker removed, then the manifest (it carries the new leader epoch), then data
 *  - roll: producer snapshot, index, new file, its name, manifest, then data in the new file
 *  - checkpoint: snapshot, index, manifest; beside the commits, which don't wait for it
 */
import type { Files, OpenFile } from '../storage/files.ts'
import { replaceFile, writeFully } from '../storage/files.ts'
import type { Round, RoundBoundary } from './commit-loop.ts'
import { indexName, snapshotName } from './log-names.ts'
import type { LogState } from './log-state.ts'
import { removeCleanMarker, writeCleanMarker, writeManifest } from './manifest.ts'
import type { OpenFileLimit } from './open-file-limit.ts'
import { encodeProducerSnapshot } from './producer-snapshot.ts'
import { SyncPointWriter } from './sync-point.ts'

/** A sync failed: the kernel may have dropped what it could not write, so nothing may be tried again on that file. */
export class SyncFailure extends Error {
  override readonly name = 'SyncFailure'
}

export interface LogWriterOptions {
  files: Files
  dir: string
  state: LogState
  limit: OpenFileLimit
  syncCounter: number
  warn: (message: string) => void
}

export class LogWriter {
  readonly #files: Files
  readonly #dir: string
  readonly #state: LogState
  readonly #limit: OpenFileLimit
  readonly #warn: (message: string) => void
  #syncPoint: SyncPointWriter
  /** Whether the first write after opening was prepared. */
  isPrepared = false
  #manifestQueue: Promise<void> = Promise.resolve()
  #checkpointing: Promise<void> = Promise.resolve()

  constructor(options: LogWriterOptions) {
    this.#files = options.files
    this.#dir = options.dir
    this.#state = options.state
    this.#limit = options.limit
    this.#warn = options.warn
    this.#syncPoint = new SyncPointWriter(options.files, options.dir, options.syncCounter)
  }

  async write(round: Round): Promise<void> {
    if (!this.isPrepared) await this.prepare()
    if (round.boundary) await this.#syncWritten()
    if (round.boundary?.kind === 'flush') round.isSynced = true
    if (round.boundary?.kind === 'roll') await this.#roll(round.boundary)
    if (round.boundary?.kind === 'checkpoint') this.#checkpoint(round.baseOffset, round.boundary)
    if (round.sizeBytes === 0) return
    const segment = this.#state.active!
    if (!this.#state.isSynced) round.unmark()
    await segment.use(async (file) => {
      await writeFully(file, round.pieces, segment.sizeBytes, segment.path)
      if (round.isSynced) await syncOrFail(file)
    })
  }

  /** What was written without a sync gets one. */
  async #syncWritten(): Promise<void> {
    const { active, isSynced } = this.#state
    if (isSynced || !active) return
    await active.use(syncOrFail)
    this.#state.noteSynced()
  }

  async prepare(): Promise<void> {
    await removeCleanMarker(this.#files, this.#dir)
    await this.saveManifest()
    this.isPrepared = true
  }

  /** The manifest becomes what the state is when its turn comes. */
  saveManifest(): Promise<void> {
    const saved = this.#manifestQueue.then(() => writeManifest(this.#files, this.#dir, this.#state.manifest()))
    this.#manifestQueue = saved.catch(() => {})
    return saved
  }

  /** Decides a truncation; whoever recovers the log carries it out. */
  async saveTruncation(truncateTo: number): Promise<void> {
    await this.#checkpointing
    await this.#manifestQueue
    await removeCleanMarker(this.#files, this.#dir)
    await writeManifest(this.#files, this.#dir, { ...this.#state.manifest(), checkpoint: null, truncateTo })
  }

  noteSyncPoint(): void {
    const { active, isSynced } = this.#state
    if (active && isSynced) this.#syncPoint.note(active.baseOffset, active.sizeBytes, active.endOffset)
  }

  async #roll(boundary: Extract<RoundBoundary, { kind: 'roll' }>): Promise<void> {
    await this.#checkpointing
    const previous = this.#state.active
    if (previous) {
      await this.#saveSnapshot(previous.endOffset, boundary.snapshot)
      await this.#saveCache(indexName(previous.baseOffset), previous.index?.encode(previous.bounds))
    }
    await boundary.segment.create()
    try {
      await this.#files.syncDir(this.#dir)
    } catch (error) {
      await boundary.segment.retire()
      throw error
    }
    if (previous) {
      previous.isSealed = true
      this.#limit.touch(previous)
    }
    this.#state.segments.push(boundary.segment)
    this.#state.noteSynced()
    await this.saveManifest()
    await this.#pruneSnapshots()
  }

  #checkpoint(endOffset: number, boundary: Extract<RoundBoundary, { kind: 'checkpoint' }>): void {
    const segment = this.#state.active!
    const save = async () => {
      await this.#saveSnapshot(endOffset, boundary.snapshot)
      await this.#saveCache(indexName(segment.baseOffset), boundary.index)
      this.#state.checkpoint = { baseOffset: segment.baseOffset, position: boundary.position, endOffset }
      await this.saveManifest()
      await this.#pruneSnapshots()
    }
    // Without it the next recovery scans more; nothing else depends on it.
    this.#checkpointing = this.#checkpointing.then(save).catch((error) => {
      this.#warn(`no checkpoint at offset ${endOffset} of ${this.#dir}: ${error}`)
    })
  }

  async #saveSnapshot(endOffset: number, snapshot: Uint8Array): Promise<void> {
    await replaceFile(this.#files, this.#dir, snapshotName(endOffset), snapshot)
    if (!this.#state.snapshots.includes(endOffset)) this.#state.snapshots.push(endOffset)
  }

  /** Not synced: it carries a checksum and can be made anew. */
  async #saveCache(name: string, bytes: Uint8Array | undefined): Promise<void> {
    if (!bytes) return
    const path = `${this.#dir}/${name}`
    if (await this.#files.stat(path)) await this.#files.remove(path)
    const file = await this.#files.open(path, 'create')
    try {
      await writeFully(file, [bytes], 0, path)
    } finally {
      await file.close()
    }
  }

  /** Keeps those at a segment's beginning, which a truncation may need, and the two newest. */
  async #pruneSnapshots(): Promise<void> {
    if (this.#state.holds > 0) return
    const newest = this.#state.snapshots.slice(-2)
    const bases = new Set(this.#state.segments.map((segment) => segment.baseOffset))
    const doomed = this.#state.snapshots.filter((offset) => !newest.includes(offset) && !bases.has(offset))
    // First of all: a backup that begins meanwhile must not ask for them.
    this.#state.snapshots = this.#state.snapshots.filter((offset) => !doomed.includes(offset))
    for (const offset of doomed) await this.#files.remove(`${this.#dir}/${snapshotName(offset)}`)
  }

  /**
   * Cuts what a failed round may have left behind the last acknowledged one. After a failed sync nothing is known of what
   * was written since the last good one, though the kernel may still show it.
   */
  async cutUnfinished(hasSyncFailed = false): Promise<void> {
    const { active, synced } = this.#state
    const end = hasSyncFailed ? synced.position : active?.sizeBytes
    if (active && end !== undefined) await active.use((file) => file.truncate(end))
  }

  /** Everything that makes the next start quick, and last of all the word that it was orderly. */
  async closeCleanly(): Promise<void> {
    const { active, endOffset, producers } = this.#state
    await this.#checkpointing
    await this.#syncWritten()
    await this.#saveSnapshot(endOffset, encodeProducerSnapshot(producers, endOffset))
    if (active?.index) await this.#saveCache(indexName(active.baseOffset), active.index.encode(active.bounds))
    if (active) this.#state.checkpoint = { baseOffset: active.baseOffset, position: active.sizeBytes, endOffset }
    await this.saveManifest()
    await this.#pruneSnapshots()
    await writeCleanMarker(this.#files, this.#dir, {
      active: active?.baseOffset ?? null,
      sizeBytes: active?.sizeBytes ?? 0,
      endOffset,
    })
  }

  /** Waits for what runs beside the commits and closes its files. */
  async release(): Promise<void> {
    await this.#checkpointing
    await this.#manifestQueue
    await this.#syncPoint.close()
  }

  /** After `release`: begins again on a log that was recovered anew. */
  restart(syncCounter: number): void {
    this.#syncPoint = new SyncPointWriter(this.#files, this.#dir, syncCounter)
    this.isPrepared = false
  }
}

async function syncOrFail(file: OpenFile): Promise<void> {
  try {
    await file.sync()
  } catch (error) {
    throw new SyncFailure(String(error), { cause: error })
  }
}
