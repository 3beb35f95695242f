/**
 * Checks the data folder of a relay that does not run: every log, and that topics and folders agree. Changes nothing.
 *
 * The folder is locked meanwhile, so a relay cannot start halfway through, and a running one is left in peace.
 */

import { BATCH_HEADER_BYTES, batchesIn } from '../../protocol/record-batch.ts'
import { decodeRecords } from '../../protocol/records.ts'
import { MANIFEST_NAME, segmentFiles, segmentNameOf } from '../log/log-names.ts'
import { chainWithoutManifest } from '../log/segment-chain.ts'
import { scanSegment } from '../log/segment-scan.ts'
import { type Finding, type VerifiedLog, verifyLog } from '../log/verify.ts'
import { type Files, isMissing, readFully, StorageError } from '../storage/files.ts'
import { readFormat } from './data-format.ts'
import type { TopicRecord } from './metadata-log.ts'
import { folderOfTopic, topicIdOfFolder } from './topic-folders.ts'

/** `log` is the folder that it was found in, relative to the data folder: `topics/flights.<id>/0`. */
export interface DataDirFinding extends Finding {
  log: string
}

export interface VerifiedDataDir {
  topics: number
  logs: number
  segments: number
  batches: number
  records: number
  bytes: number
}

/**
 * Yields findings as it meets them; returns what it read.
 *
 * @throws StorageError LOCKED while a relay runs on the folder, NOT_DATA when it holds no relay's data, NEWER_FORMAT.
 */
export async function* verifyDataDir(files: Files, dataDir: string): AsyncGenerator<DataDirFinding, VerifiedDataDir> {
  const total: VerifiedDataDir = { topics: 0, logs: 0, segments: 0, batches: 0, records: 0, bytes: 0 }
  if (!(await files.stat(`${dataDir}/metadata`))?.isFolder) {
    throw new StorageError('NOT_DATA', 'verify', dataDir, 'no data of a relay: it has no folder metadata')
  }
  const unlock = await files.lock(dataDir)
  try {
    await readFormat(files, dataDir)
    yield* verifyOne(files, dataDir, 'metadata', total)
    const topics = await readTopics(files, `${dataDir}/metadata`)
    total.topics = topics.size
    for (const [id, topic] of topics) yield* verifyTopic(files, dataDir, id, topic, total)
    for (const coordinator of ['groups', 'transactions']) {
      if ((await files.stat(`${dataDir}/${coordinator}`))?.isFolder)
        yield* verifyOne(files, dataDir, coordinator, total)
    }
    yield* verifyFolders(files, dataDir, topics)
    return total
  } finally {
    await unlock()
  }
}

async function* verifyTopic(
  files: Files,
  dataDir: string,
  id: string,
  { name, partitionCount }: TopicRecord,
  total: VerifiedDataDir,
): AsyncGenerator<DataDirFinding> {
  for (let partition = 0; partition < partitionCount; partition++) {
    const log = `topics/${folderOfTopic({ name, id })}/${partition}`
    const message = await whatIsMissing(files, `${dataDir}/${log}`, partition)
    if (message) yield { log, severity: 'error', file: log, message }
    else yield* verifyOne(files, dataDir, log, total)
  }
}

/** A log leaves its mark before its topic exists: a folder without one has lost all that was in it. */
async function whatIsMissing(files: Files, dir: string, partition: number): Promise<string | undefined> {
  if (!(await files.stat(dir))?.isFolder) return `the folder of partition ${partition} is missing`
  const names = await files.list(dir)
  if (names.includes(MANIFEST_NAME) || segmentFiles(names).length > 0) return undefined
  return `the folder of partition ${partition} is empty: the log that was here is gone`
}

async function* verifyOne(
  files: Files,
  dataDir: string,
  log: string,
  total: VerifiedDataDir,
): AsyncGenerator<DataDirFinding> {
  const findings = verifyLog(files, `${dataDir}/${log}`)
  let verified: VerifiedLog
  for (;;) {
    const step = await findings.next()
    if (step.done) {
      verified = step.value
      break
    }
    yield { log, ...step.value }
  }
  total.logs++
  for (const key of ['segments', 'batches', 'records', 'bytes'] as const) total[key] += verified[key]
}

async function* verifyFolders(
  files: Files,
  dataDir: string,
  topics: ReadonlyMap<string, TopicRecord>,
): AsyncGenerator<DataDirFinding> {
  const folders = await files.list(`${dataDir}/topics`).catch((error: unknown) => {
    if (isMissing(error)) return []
    throw error
  })
  for (const folder of folders) {
    if (topics.has(topicIdOfFolder(folder))) continue
    const message = 'belongs to no topic; a deletion that the next start finishes, or left over'
    yield { log: `topics/${folder}`, severity: 'warning', file: `topics/${folder}`, message }
  }
}

/** The topics as far as the metadata log is sound; damage in it has been reported by then. */
async function readTopics(files: Files, dir: string): Promise<Map<string, TopicRecord>> {
  const topics = new Map<string, TopicRecord>()
  const text = new TextDecoder()
  for (const segment of chainWithoutManifest(await files.list(dir))) {
    const bytes = await readSoundPart(files, `${dir}/${segmentNameOf(segment)}`, segment.baseOffset)
    for (const { at, end, header } of batchesIn(bytes)) {
      for (const { key, value } of decodeRecords(header, bytes.subarray(at + BATCH_HEADER_BYTES, end))) {
        const [kind, id] = text.decode(key ?? new Uint8Array(0)).split('/')
        if (kind !== 'topic' || id === undefined) continue
        if (value) topics.set(id, JSON.parse(text.decode(value)) as TopicRecord)
        else topics.delete(id)
      }
    }
  }
  return topics
}

async function readSoundPart(files: Files, path: string, fromOffset: number): Promise<Uint8Array> {
  const file = await files.open(path, 'read')
  try {
    const range = { fromPosition: 0, fromOffset, toPosition: await file.size() }
    const { position } = await scanSegment(file, range, () => {})
    const bytes = new Uint8Array(position)
    await readFully(file, bytes, 0)
    return bytes
  } finally {
    await file.close()
  }
}
