/**
 * Carries out what a survey found, so that a crash at any point leaves either the damaged log or the repaired one:
 *
 *  - a mended segment is complete and under its name before the manifest names it
 *  - what the manifest no longer names is in the quarantine before it goes
 *  - last the log is opened and closed as a relay would: that cuts a torn tail and makes all caches anew
 */
import type { Clock } from '../../../protocol/lib/clock.ts'
import type { Files } from '../../storage/files.ts'
import { readWholeFile, writeFully } from '../../storage/files.ts'
import type { Quarantine } from '../../storage/quarantine.ts'
import type { AbortedTransactions } from '../aborted-transactions.ts'
import { DEFAULT_LOG_CONFIG } from '../log-config.ts'
import { indexNameOf, MANIFEST_NAME, type SegmentFile, segmentNameOf, snapshotOffsets } from '../log-names.ts'
import { type Manifest, readManifest, type SealedSegment, writeManifest } from '../manifest.ts'
import { openPartitionLog } from '../open-log.ts'
import { ProducerReplay } from '../producer-replay.ts'
import { scanSegment } from '../segment-scan.ts'
import { SparseIndex } from '../sparse-index.ts'
import type { LogSurvey, SurveyedSegment } from './log-survey.ts'
import { writeMended } from './mended-segment.ts'

export interface RepairTools {
  files: Files
  clock: Clock
  quarantine: Quarantine
}

/** @throws an Error when the log is still damaged afterwards. */
export async function repairLog(tools: RepairTools, survey: LogSurvey): Promise<void> {
  if (survey.steps.length === 0) return
  await new Repair(tools, survey).run()
}

class Repair {
  readonly #tools: RepairTools
  readonly #survey: LogSurvey

  constructor(tools: RepairTools, survey: LogSurvey) {
    this.#tools = tools
    this.#survey = survey
  }

  async run(): Promise<void> {
    const { files, quarantine } = this.#tools
    const { dir, segments, tail, leftOver, toTake } = this.#survey
    // First of all: a mended segment may get the name of one that an earlier repair did not finish.
    for (const name of leftOver) await quarantine.take(`${dir}/${name}`)
    const damaged = segments.filter(({ isMended }) => isMended)
    if (damaged.length > 0) {
      await this.#mend(damaged)
      for (const segment of damaged) {
        if (segment.source === undefined) continue
        await quarantine.take(`${dir}/${segment.source}`)
        await quarantine.take(`${dir}/${indexNameOf(segment)}`)
      }
    }
    // A manifest that was made anew meanwhile stays; the damaged one was kept before it was replaced.
    for (const name of toTake)
      if (damaged.length === 0 || name !== MANIFEST_NAME) await quarantine.take(`${dir}/${name}`)
    if (tail) await quarantine.copyPart(`${dir}/${tail.file}`, tail.position, tail.end)
    await this.#settle()
    await this.#makeIndexes(files)
  }

  async #mend(damaged: readonly SurveyedSegment[]): Promise<void> {
    const { files, quarantine } = this.#tools
    const { dir, segments } = this.#survey
    const epochAt = (offset: number) => epochOf(this.#survey.epochs.entries, offset)
    const targets = new Map<SurveyedSegment, Required<SegmentFile>>()
    for (const segment of damaged) {
      const { baseOffset, endOffset, source, parts } = segment
      const generation = 1 + (segment.compacted?.generation ?? 0)
      const target = { baseOffset, compacted: { endOffset, generation } }
      await writeMended(files, { dir, source, target, parts, epochAt })
      targets.set(segment, target as Required<SegmentFile>)
    }
    const last = segments.at(-1)!
    const isOpen = !last.isMended && !last.sealed && !last.compacted
    const complete = isOpen ? segments.slice(0, -1) : segments
    const sealed = await this.#describe(complete, targets)
    if (await files.stat(`${dir}/${MANIFEST_NAME}`)) await quarantine.keep(`${dir}/${MANIFEST_NAME}`)
    await writeManifest(files, dir, this.#manifestOf(sealed, isOpen ? last.baseOffset : null))
  }

  #manifestOf(sealed: SealedSegment[], active: number | null): Manifest {
    const { manifest, startOffset, epochs } = this.#survey
    const isSameActive = active !== null && manifest?.active === active
    return {
      version: 1,
      ...{ startOffset, epochs: epochs.entries, sealed, active },
      ...(isSameActive && manifest.activeSinceMs !== undefined ? { activeSinceMs: manifest.activeSinceMs } : {}),
      checkpoint: isSameActive ? manifest.checkpoint : null,
      truncateTo: null,
      ...(manifest?.compactedTo ? { compactedTo: manifest.compactedTo } : {}),
      ...(manifest?.skippedFrom === undefined ? {} : { skippedFrom: manifest.skippedFrom }),
    }
  }

  /** Complete segments as the manifest names them; those that are new get their index. */
  async #describe(
    segments: readonly SurveyedSegment[],
    targets: ReadonlyMap<SurveyedSegment, SegmentFile>,
  ): Promise<SealedSegment[]> {
    const { files } = this.#tools
    const { dir } = this.#survey
    const producers = new ProducerReplay({ files, dir, snapshots: snapshotOffsets(await files.list(dir)) })
    await producers.loadUpTo(segments[0]?.baseOffset ?? 0)
    const described: SealedSegment[] = []
    for (const segment of segments) {
      const file = targets.get(segment) ?? { baseOffset: segment.baseOffset, compacted: segment.compacted }
      await producers.loadAt(segment.baseOffset)
      const read = await this.#read(file, producers, await this.#abortedInIndex(segment))
      const entry = segment.isMended || !segment.sealed ? sealedEntry(file, read, segment.sealed) : segment.sealed
      described.push(entry)
      if (segment.isMended || !segment.sealed) await this.#saveIndex(file, read)
    }
    return described
  }

  /** What the index still knows is better than what can be told from batches when the end of a transaction is lost. */
  async #abortedInIndex(segment: SurveyedSegment): Promise<AbortedTransactions | undefined> {
    if (!segment.sealed) return undefined
    const bytes = await readWholeFile(this.#tools.files, `${this.#survey.dir}/${indexNameOf(segment)}`)
    return bytes && SparseIndex.decode(bytes, segment.sealed)?.aborted
  }

  async #read(
    file: SegmentFile,
    producers: ProducerReplay,
    known: AbortedTransactions | undefined,
  ): Promise<ReadSegment> {
    const index = new SparseIndex()
    const aborted = [...(known?.entries() ?? [])]
    const open = await this.#tools.files.open(`${this.#survey.dir}/${segmentNameOf(file)}`, 'read')
    try {
      const range = { fromPosition: 0, fromOffset: file.baseOffset, toPosition: await open.size() }
      const { endOffset, position } = await scanSegment(open, range, (header, at, bytes, inBytes) => {
        index.add(header.baseOffset, at, header.maxTimestamp)
        const ended = producers.replay(header, bytes, inBytes)
        if (ended && !known) aborted.push(ended)
      })
      for (const each of aborted) index.aborted.add(each)
      return { index, endOffset, sizeBytes: position }
    } finally {
      await open.close()
    }
  }

  async #saveIndex(file: SegmentFile, { index, endOffset, sizeBytes }: ReadSegment): Promise<void> {
    const { files } = this.#tools
    const path = `${this.#survey.dir}/${indexNameOf(file)}`
    if (await files.stat(path)) await files.remove(path)
    const open = await files.open(path, 'create')
    try {
      await writeFully(open, [index.encode({ baseOffset: file.baseOffset, endOffset, sizeBytes })], 0, path)
      await open.sync()
    } finally {
      await open.close()
    }
  }

  /** As a relay would start on it and stop. */
  async #settle(): Promise<void> {
    const { files, clock } = this.#tools
    const { dir } = this.#survey
    const log = await openPartitionLog({ files, dir, clock, config: () => DEFAULT_LOG_CONFIG })
    try {
      if (log.fault) throw new Error(`${dir} is still damaged: ${log.fault.message}`)
      await log.establish()
    } finally {
      await log.close()
    }
  }

  async #makeIndexes(files: Files): Promise<void> {
    const { dir } = this.#survey
    const found = await readManifest(files, dir)
    if (!this.#survey.indexesMissing || found.state !== 'read') return
    const names = await files.list(dir)
    const producers = new ProducerReplay({ files, dir, snapshots: snapshotOffsets(names) })
    await producers.loadUpTo(found.manifest.sealed[0]?.baseOffset ?? 0)
    for (const sealed of found.manifest.sealed) {
      await producers.loadAt(sealed.baseOffset)
      const bytes = await readWholeFile(files, `${dir}/${indexNameOf(sealed)}`)
      const isThere = bytes && SparseIndex.decode(bytes, sealed)
      const read = await this.#read(sealed, producers, isThere?.aborted)
      if (!isThere) await this.#saveIndex(sealed, read)
    }
  }
}

interface ReadSegment {
  index: SparseIndex
  endOffset: number
  sizeBytes: number
}

function sealedEntry(
  { baseOffset, compacted }: SegmentFile,
  { index, endOffset, sizeBytes }: ReadSegment,
  before: SealedSegment | undefined,
): SealedSegment {
  const { maxTimestamp, aborted } = index
  return {
    ...{ baseOffset, endOffset, sizeBytes, maxTimestamp },
    ...(aborted.from === Number.POSITIVE_INFINITY ? {} : { abortedFrom: aborted.from }),
    ...(compacted ? { compacted } : {}),
    ...(before?.horizonMs === undefined ? {} : { horizonMs: before.horizonMs }),
    ...(before?.writtenMs === undefined ? {} : { writtenMs: before.writtenMs }),
  }
}

function epochOf(entries: ReadonlyArray<[epoch: number, startOffset: number]>, offset: number): number {
  return (entries.findLast(([, start]) => start <= offset) ?? entries[0] ?? [0])[0]
}
