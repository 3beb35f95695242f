/** Where share groups stand in their partitions: looked up, set anew, forgotten. */
import { ErrorCode, KafkaError } from '../../../protocol/errors.ts'
import type { GroupRecord } from '../group-records.ts'
import type { GroupStore } from '../group-store.ts'
import { type HeldGroup, isNothing, noShare } from '../held-group.ts'
import type { TopicPartition } from '../offsets.ts'
import { SHARE_PARTITIONS_MAX, type ShareDeliveries } from './share-deliveries.ts'
import { SharePartition } from './share-partition.ts'
import type { SharedLog } from './share-start.ts'

export interface ShareProgress {
  /** Everything below is settled; -1: the group has not begun to read the partition. */
  startOffset: number
  leaderEpoch: number
  /** Records that are not settled; -1: unknown. */
  lag: number
}

export interface ShareOffsetsOptions {
  store: GroupStore
  deliveries: ShareDeliveries
  logOf: (at: TopicPartition) => SharedLog | undefined
}

const NOT_BEGUN: ShareProgress = { startOffset: -1, leaderEpoch: 0, lag: -1 }

export class ShareOffsets {
  readonly #options: ShareOffsetsOptions

  constructor(options: ShareOffsetsOptions) {
    this.#options = options
  }

  /** What is on disk. Rejects with KafkaError GROUP_ID_NOT_FOUND. */
  async describe(
    groupId: string,
    asked: readonly TopicPartition[] | 'all',
  ): Promise<Array<TopicPartition & ShareProgress>> {
    const { shares } = this.#existing(groupId)
    const found = (asked === 'all' ? [...shares.entries()].map(([at]) => at) : asked).map((at) => ({
      ...at,
      ...this.#progress(groupId, at),
    }))
    await this.#options.store.settled()
    return found
  }

  #progress(groupId: string, at: TopicPartition): ShareProgress {
    const { deliveries, logOf } = this.#options
    const partition = deliveries.heldShare(groupId, at)?.partition
    if (!partition) return NOT_BEGUN
    const log = logOf(at)
    const lag = log?.state === 'online' ? log.highWatermark - partition.start - partition.settledCount : -1
    return { startOffset: partition.start, leaderEpoch: log?.leaderEpoch ?? 0, lag }
  }

  /**
   * From here on the group reads these; what became of their records before is forgotten. Rejects with KafkaError
   * GROUP_ID_NOT_FOUND, NON_EMPTY_GROUP.
   */
  async alter(groupId: string, offsets: ReadonlyArray<TopicPartition & { startOffset: number }>): Promise<void> {
    const { store } = this.#options
    const { shares } = this.#empty(groupId)
    const added = offsets.filter((at) => !shares.get(at)).length
    if (store.shareCount + added > SHARE_PARTITIONS_MAX)
      throw new KafkaError('POLICY_VIOLATION', `share groups read ${SHARE_PARTITIONS_MAX} partitions already`)
    const records = offsets.map(({ startOffset, topicId, partition }): GroupRecord => {
      const at = { topicId, partition }
      const share = new SharePartition(startOffset)
      shares.set(at, share)
      return { kind: 'share-state', groupId, at, value: share.snapshot() }
    })
    await this.#options.store.changeAhead(records)
  }

  /**
   * The group begins anew where it comes to read these topics. An error code for each: whether it has read it. Rejects with
   * KafkaError GROUP_ID_NOT_FOUND, NON_EMPTY_GROUP.
   */
  async forget(groupId: string, topicIds: readonly string[]): Promise<number[]> {
    const { shares } = this.#empty(groupId)
    const doomed = topicIds.map((topicId) => shares.partitionsOf(topicId))
    await this.#options.store.changeAhead(doomed.flat().map((at) => noShare(groupId, at)))
    return doomed.map((partitions) => (partitions.length > 0 ? ErrorCode.NONE : ErrorCode.UNKNOWN_TOPIC_OR_PARTITION))
  }

  #empty(groupId: string): HeldGroup {
    const group = this.#existing(groupId)
    if (!group.machine.isEmpty) throw new KafkaError('NON_EMPTY_GROUP', `${groupId} has members`)
    return group
  }

  #existing(groupId: string): HeldGroup {
    const { store } = this.#options
    store.checkReady()
    const group = store.groups.get(groupId)
    if (!group || isNothing(group) || group.machine.type !== 'share')
      throw new KafkaError('GROUP_ID_NOT_FOUND', `there is no share group ${groupId}`)
    return group
  }
}
