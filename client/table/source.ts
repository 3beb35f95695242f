/** What tables need from the core that they live in. */
import type { Clock } from '../../protocol/lib/clock.ts'
import type { ExportedEntry, ReplicaPolicy, ReplicaRange, StoredChunk } from '../core.ts'

export interface TableSource {
  readonly clock: Clock
  /** Follows the topic; under this policy if it has none yet. */
  follow(topic: string, policy: ReplicaPolicy): Promise<ReplicaRange[]>
  /** As they are now, one for each partition. */
  ranges(topic: string): ReplicaRange[]
  /** Where the relay's log of the partition begins, as last heard of. */
  logStart(topicId: string, partition: number): number
  readReplica(topicId: string, partition: number, offset: number, bytesMax: number): Promise<StoredChunk[]>
  /** What lies below may be dropped, as far as the table is concerned. */
  takenIn(topicId: string, partition: number, offset: number): void
  /** Fetches the partition from the start of its log again, under another generation. */
  beginAgain(topicId: string, partition: number): void
  isLive(): boolean
  /** Wall-clock ms at the relay, as far as that is known; it is while live. */
  relayNow(): number
  /** All that waits in the outbox. */
  waiting(): Promise<ExportedEntry[]>
}
