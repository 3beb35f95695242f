/**
 * The metadata of a damaged folder: what its log still says, and what the folders say of the rest. A topic's folder bears
 * its name and id, and holds a folder for each partition; only its configuration is known to the metadata alone.
 */

import { uuidToBytes } from '../../protocol/lib/uuid.ts'
import { BATCH_HEADER_BYTES } from '../../protocol/record-batch.ts'
import { decodeRecords } from '../../protocol/records.ts'
import { dump } from '../log/dump.ts'
import { segmentFiles } from '../log/log-names.ts'
import { type Files, isMissing } from '../storage/files.ts'
import { isFact } from './fact-store.ts'
import type { MetadataChange, TopicRecord } from './metadata-log.ts'
import { topicIdOfFolder, topicNameOfFolder } from './topic-folders.ts'
import { checkTopicName } from './topic-names.ts'

export interface KnownMetadata {
  topics: Map<string, TopicRecord>
  deletedIds: Set<string>
  clusterId: string | undefined
  producerIdsBelow: number
}

/** Ids beyond those that were seen in logs: some may have been given out and never used. */
const PRODUCER_IDS_SKIPPED = 1_000_000

const text = new TextDecoder()

/** From every batch of the metadata log that can be read. */
export async function readMetadata(files: Files, dir: string): Promise<KnownMetadata> {
  const known: KnownMetadata = { topics: new Map(), deletedIds: new Set(), clusterId: undefined, producerIdsBelow: 0 }
  const names = (await files.stat(dir))?.isFolder ? await files.list(dir) : []
  if (segmentFiles(names).length === 0) return known
  for await (const found of dump(files, dir)) {
    if (found.kind !== 'batch') continue
    const block = (await found.bytes()).subarray(BATCH_HEADER_BYTES)
    for (const { key, value } of decodeRecords(found.header, block)) {
      const change = { key: text.decode(key ?? new Uint8Array(0)), value: value && JSON.parse(text.decode(value)) }
      learn(known, change as MetadataChange)
    }
  }
  return known
}

function learn(known: KnownMetadata, change: MetadataChange): void {
  // Users and the like stay where they are; nothing else tells of them.
  if (isFact(change)) return
  if (change.key === 'cluster') known.clusterId = change.value.clusterId
  else if (change.key === 'producer-ids') known.producerIdsBelow = change.value.reservedBelow
  else if (isTopicChange(change)) {
    const id = change.key.slice('topic/'.length)
    if (change.value) known.topics.set(id, change.value)
    else known.topics.delete(id)
    if (change.value === null) known.deletedIds.add(id)
  }
}

const isTopicChange = (change: MetadataChange): change is Extract<MetadataChange, { value: TopicRecord | null }> =>
  change.key.startsWith('topic/')

export interface MetadataRestoration {
  change: MetadataChange
  message: string
}

/** The cluster's id, and producer ids that nobody may have used. */
export function restoreIds(known: KnownMetadata, producerIdMax: number, newId: string): MetadataRestoration[] {
  const reservedBelow = Math.max(known.producerIdsBelow, producerIdMax + 1) + PRODUCER_IDS_SKIPPED
  const ids: MetadataRestoration = {
    change: { key: 'producer-ids', value: { reservedBelow } },
    message: `producer ids go on at ${reservedBelow}, beyond all that may be in use`,
  }
  if (known.clusterId !== undefined) return [ids]
  return [{ change: { key: 'cluster', value: { clusterId: newId } }, message: 'the cluster gets a new id' }, ids]
}

/** A topic as its folder tells it, with partitions that the metadata does not know. */
export function restoreTopic(
  folder: string,
  partitionCount: number,
  record: TopicRecord | undefined,
): MetadataRestoration {
  const [id, name] = [topicIdOfFolder(folder), topicNameOfFolder(folder)]
  const message = record
    ? `topic ${name} has ${partitionCount} partitions, as its folder says, not ${record.partitionCount}`
    : `topic ${name} is known again, with the ${partitionCount} partitions in its folder; its configuration is lost, ` +
      'the defaults hold (if it was deleted shortly before, delete it again)'
  return { change: { key: `topic/${id}`, value: { name, partitionCount, configs: record?.configs ?? {} } }, message }
}

export async function partitionCountIn(files: Files, folder: string): Promise<number> {
  const partitions = (await files.list(folder)).filter((each) => /^\d+$/.test(each))
  return Math.max(-1, ...partitions.map(Number)) + 1
}

export function isTopicFolder(folder: string): boolean {
  try {
    checkTopicName(topicNameOfFolder(folder))
    uuidToBytes(topicIdOfFolder(folder))
    return true
  } catch {
    return false
  }
}

export async function topicFolders(files: Files, dataDir: string): Promise<string[]> {
  try {
    return await files.list(`${dataDir}/topics`)
  } catch (error) {
    if (isMissing(error)) return []
    throw error
  }
}
