/**
 * The committed offsets of one group, by topic id: a topic that is deleted and made again under the same name begins
 * without commits.
 *
 * An offset is forgotten `offsets.retention.minutes` after the later of its commit and the end of the group's last
 * member; in a group that has members, only those of topics that nobody reads any more are.
 */
export interface CommittedOffset {
  offset: number
  /** From here up to `offset` members have come without a jump: known-range.ts. */
  knownFrom: number
  /** Of the last record read; -1 unknown. */
  leaderEpoch: number
  metadata: string
  committedAtMs: number
  /** Asked for by OffsetCommit 2-4; null: the relay's retention. */
  expiresAtMs: number | null
}

export interface TopicPartition {
  topicId: string
  partition: number
}

export type NewOffset = TopicPartition & Omit<CommittedOffset, 'committedAtMs' | 'knownFrom'>

/** What the expiry needs to know of the group. */
export interface GroupView {
  /** Its offsets may be those of readers that assign partitions themselves. */
  everHadMembers: boolean
  isEmpty: boolean
  phaseSinceMs: number
  /** Ids of the topics that members read; null when all must be taken for read. */
  readTopicIds: ReadonlySet<string> | null
}

export class GroupOffsets {
  readonly #topics = new Map<string, Map<number, CommittedOffset>>()

  get isEmpty(): boolean {
    return this.#topics.size === 0
  }

  get count(): number {
    let count = 0
    for (const partitions of this.#topics.values()) count += partitions.size
    return count
  }

  get({ topicId, partition }: TopicPartition): CommittedOffset | undefined {
    return this.#topics.get(topicId)?.get(partition)
  }

  set({ topicId, partition }: TopicPartition, committed: CommittedOffset): void {
    let partitions = this.#topics.get(topicId)
    if (!partitions) {
      partitions = new Map()
      this.#topics.set(topicId, partitions)
    }
    partitions.set(partition, committed)
  }

  remove({ topicId, partition }: TopicPartition): void {
    const partitions = this.#topics.get(topicId)
    if (partitions?.delete(partition) && partitions.size === 0) this.#topics.delete(topicId)
  }

  partitionsOf(topicId: string): TopicPartition[] {
    return [...(this.#topics.get(topicId)?.keys() ?? [])].map((partition) => ({ topicId, partition }))
  }

  *entries(): Generator<[TopicPartition, CommittedOffset]> {
    for (const [topicId, partitions] of this.#topics) {
      for (const [partition, committed] of partitions) yield [{ topicId, partition }, committed]
    }
  }

  /** Those whose time is over, or whose topic is. */
  expired(group: GroupView, retentionMs: number, nowMs: number, isTopic: (id: string) => boolean): TopicPartition[] {
    const expired: TopicPartition[] = []
    for (const [at, committed] of this.entries()) {
      if (!isTopic(at.topicId) || isPastItsTime(group, at, committed, retentionMs, nowMs)) expired.push(at)
    }
    return expired
  }
}

function isPastItsTime(
  group: GroupView,
  at: TopicPartition,
  committed: CommittedOffset,
  retentionMs: number,
  nowMs: number,
): boolean {
  const keptSinceMs = keptSince(group, at, committed)
  return keptSinceMs !== null && nowMs >= (committed.expiresAtMs ?? keptSinceMs + retentionMs)
}

/** From when on retention counts; null while the offset is in use. */
function keptSince(group: GroupView, { topicId }: TopicPartition, { committedAtMs }: CommittedOffset): number | null {
  if (!group.everHadMembers) return committedAtMs
  if (group.isEmpty) return Math.max(group.phaseSinceMs, committedAtMs)
  const { readTopicIds } = group
  return readTopicIds !== null && !readTopicIds.has(topicId) ? committedAtMs : null
}
