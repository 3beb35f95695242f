/**
 * What became of records in groups: told by members, kept beside their commits, and told on to whoever watches.
 *
 * Invariant: nothing is told before it is on disk, so `Progress` is made of the very records that have got there.
 */
import { Emitter } from '../../protocol/lib/events.ts'
import { FAILED_PER_PARTITION_MAX, type FailedRange } from './failed-records.ts'
import type { GroupRecord } from './group-records.ts'
import type { GroupStore } from './group-store.ts'
import type { HeldGroup } from './held-group.ts'
import type { TopicPartition } from './offsets.ts'

export interface GroupPartition extends TopicPartition {
  groupId: string
}

/** Records from `knownFrom` up to `committed` were handled, but for the failed ones. -1: nothing is committed. */
export interface GroupProgress {
  committed: number
  knownFrom: number
  failed: readonly FailedRange[]
}

/** What is new: `failed` has ranges that were not told before; -1 is no news. */
export type ProgressNews = GroupPartition & GroupProgress

export type ReportedPartition = TopicPartition & { failed: readonly FailedRange[] }

export class Receipts {
  readonly onProgress = new Emitter<ProgressNews>()
  /** The state was read again: what was told before may have been less than all. */
  readonly onReloaded = new Emitter<void>()
  readonly #store: GroupStore

  constructor(store: GroupStore) {
    this.#store = store
  }

  /** On disk. Throws KafkaError while the coordinator is not ready. */
  async progress({ groupId, ...at }: GroupPartition): Promise<GroupProgress> {
    this.#store.checkReady()
    const group = this.#store.groups.get(groupId)
    const progress = progressOf(group, at)
    await this.#store.settled()
    return progress
  }

  /** Resolves when it is on disk. The member's right to say so was checked. */
  async report(groupId: string, partitions: readonly ReportedPartition[]): Promise<void> {
    const group = this.#store.groups.get(groupId)
    const records = group ? partitions.flatMap((reported) => reportRecords(groupId, group, reported)) : []
    await this.#store.change(records)
  }

  /** These records are on disk. */
  stored(records: readonly GroupRecord[]): void {
    if (!this.onProgress.isUsed) return
    for (const record of records) {
      const { groupId } = record
      if (record.kind === 'offset' && record.value) {
        const { offset, knownFrom } = record.value
        this.onProgress.emit({ groupId, ...record.at, committed: offset, knownFrom, failed: [] })
      } else if (record.kind === 'failed') {
        // What is committed in memory may be ahead of the disk.
        this.onProgress.emit({ groupId, ...record.at, committed: -1, knownFrom: -1, failed: [record.range] })
      }
    }
  }
}

function progressOf(group: HeldGroup | undefined, at: TopicPartition): GroupProgress {
  const committed = group?.offsets.get(at)
  if (!group || !committed) return { committed: -1, knownFrom: -1, failed: [] }
  return { committed: committed.offset, knownFrom: committed.knownFrom, failed: group.failed.of(at) }
}

/** Where nothing is committed nothing will be known of these offsets either. */
function reportRecords(groupId: string, group: HeldGroup, { failed, ...at }: ReportedPartition): GroupRecord[] {
  const committed = group.offsets.get(at)
  if (!committed) return []
  const news = failed.filter(({ to }) => to > committed.knownFrom)
  const records: GroupRecord[] = news.map((range) => ({ kind: 'failed', groupId, at, range }))
  const kept = [...group.failed.of(at).filter(({ from }) => !news.some((range) => range.from === from)), ...news]
  if (kept.length > FAILED_PER_PARTITION_MAX) {
    const dropped = kept.sort((a, b) => a.from - b.from).slice(0, kept.length - FAILED_PER_PARTITION_MAX)
    const knownFrom = Math.max(...dropped.map(({ to }) => to))
    records.push({ kind: 'offset', groupId, at, value: { ...committed, knownFrom } })
  }
  return records
}
