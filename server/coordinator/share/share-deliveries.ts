/**
 * Records handed out to members of share groups, and what they say became of them.
 *
 * State is changed and its record appended in one turn; whoever acknowledges hears of it when that is on disk. A timer for
 * each partition takes back what was held too long.
 */
import { KafkaError } from '../../../protocol/errors.ts'
import type { Clock } from '../../../protocol/lib/clock.ts'
import type { ShareStart } from '../../config/share-start.ts'
import type { GroupRecord } from '../group-records.ts'
import type { GroupStore } from '../group-store.ts'
import type { HeldGroup } from '../held-group.ts'
import type { TopicPartition } from '../offsets.ts'
import { type Acknowledgement, checkAcknowledgements } from './acknowledgements.ts'
import { SharePartition, type Span } from './share-partition.ts'
import type { HeldShare } from './share-partitions.ts'
import { type SharedLog, startOffset } from './share-start.ts'
import type { Acquired, ShareLimits, Wish } from './taking.ts'

/** In all groups together. */
export const SHARE_PARTITIONS_MAX = 200_000

/** What a share group goes by when it hands out records. */
export interface ShareConfig extends ShareLimits {
  /** share.record.lock.duration.ms */
  readonly lockMs: number
  /** share.auto.offset.reset */
  readonly start: ShareStart
  /** share.isolation.level */
  readonly isCommitted: boolean
  /** share.renew.acknowledge.enable */
  readonly mayRenew: boolean
}

export interface ShareDeliveriesOptions {
  store: GroupStore
  clock: Clock
  logOf: (at: TopicPartition) => SharedLog | undefined
  configOf: (groupId: string) => ShareConfig
}

export class ShareDeliveries {
  readonly #options: ShareDeliveriesOptions

  constructor(options: ShareDeliveriesOptions) {
    this.#options = options
  }

  /** Throws KafkaError: GROUP_ID_NOT_FOUND when there is no such share group. */
  configOf(groupId: string): ShareConfig {
    this.#group(groupId)
    return this.#options.configOf(groupId)
  }

  /** Another number after state was dropped: what was handed out before is out of hand. */
  get epoch(): number {
    return this.#options.store.epoch
  }

  /** Resolves when it is on disk from where the group reads these partitions. Rejects with KafkaError. */
  async begin(groupId: string, partitions: readonly TopicPartition[]): Promise<void> {
    const { store, logOf, configOf, clock } = this.#options
    const { shares } = this.#group(groupId)
    const unbegun = partitions.filter((at) => !shares.get(at))
    if (unbegun.length === 0) return
    if (store.shareCount + unbegun.length > SHARE_PARTITIONS_MAX)
      throw new KafkaError('POLICY_VIOLATION', `share groups read ${SHARE_PARTITIONS_MAX} partitions already`)
    const { start } = configOf(groupId)
    const starts = await Promise.all(
      unbegun.map(async (at) => {
        const log = logOf(at)
        return log && log.state === 'online' ? startOffset(start, log, clock.now()) : undefined
      }),
    )
    const { shares: now } = this.#group(groupId)
    const records = unbegun.flatMap((at, index): GroupRecord[] => {
      const offset = starts[index]
      // It is gone, or another request was faster, or its log cannot be read now.
      if (offset === undefined || now.get(at)) return []
      const partition = new SharePartition(offset)
      now.set(at, partition)
      return [{ kind: 'share-state', groupId, at, value: partition.snapshot() }]
    })
    await store.changeAhead(records)
  }

  /** Undefined when the group has not begun to read it. Throws KafkaError. */
  heldShare(groupId: string, at: TopicPartition): HeldShare | undefined {
    const held = this.#group(groupId).shares.get(at)
    const log = this.#options.logOf(at)
    if (held && log?.state === 'online')
      held.partition.fitTo({ startOffset: log.startOffset, endOffset: log.highWatermark })
    return held
  }

  /** Hands out what is available of a slice that was read. Throws KafkaError. */
  acquire(
    groupId: string,
    at: TopicPartition,
    spans: readonly Span[],
    wish: Omit<Wish, 'lockedUntil'>,
  ): readonly Acquired[] {
    const held = this.heldShare(groupId, at)
    if (!held) return []
    const config = this.#options.configOf(groupId)
    const acquired = held.partition.acquire(spans, { ...wish, lockedUntil: this.#lockedUntil(config) }, config)
    this.#arm(groupId, at, held)
    return acquired
  }

  /** Resolves when it is on disk. Rejects with KafkaError, and nothing was acknowledged then. */
  async acknowledge(
    groupId: string,
    at: TopicPartition,
    memberId: string,
    { batches, isRenewing }: { batches: readonly Acknowledgement[]; isRenewing: boolean },
  ): Promise<void> {
    const config = this.configOf(groupId)
    checkAcknowledgements(batches, isRenewing && config.mayRenew)
    const held = this.heldShare(groupId, at)
    if (!held) throw new KafkaError('INVALID_RECORD_STATE', 'the group has taken no records of this partition')
    const logStart = this.#options.logOf(at)?.startOffset ?? 0
    const { deliveriesMax } = config
    held.partition.acknowledge(memberId, batches, { logStart, deliveriesMax, lockedUntil: this.#lockedUntil(config) })
    await this.#settle(groupId, at, held)
  }

  /** Everything that the member has is free again, and counts as delivered. */
  release(groupId: string, memberId: string): void {
    const { store, configOf } = this.#options
    const { deliveriesMax } = configOf(groupId)
    for (const [at, held] of store.groups.get(groupId)?.shares.entries() ?? []) {
      if (held.partition.releaseAll(memberId, deliveriesMax)) this.#settleUnasked(groupId, at, held)
    }
  }

  /** It has not been dropped since. */
  isCurrent(held: HeldShare): boolean {
    return !held.isDropped
  }

  /** Timers and what a crash left between logs, after all records have been read. */
  resume(): void {
    const { store, logOf } = this.#options
    for (const { shares } of store.groups.values())
      for (const [at, { partition }] of shares.entries()) {
        const log = logOf(at)
        // What was acknowledged of a tail that is lost must not count for what is written in its place.
        if (log?.state === 'online') partition.fitTo({ startOffset: log.startOffset, endOffset: log.highWatermark })
      }
  }

  #settleUnasked(groupId: string, at: TopicPartition, held: HeldShare): void {
    // What cannot be written now is found necessary again when the state has been read anew.
    this.#settle(groupId, at, held).catch(() => {})
  }

  async #settle(groupId: string, at: TopicPartition, held: HeldShare): Promise<void> {
    const { store } = this.#options
    const value = held.partition.takeUpdate()
    const written = store.changeAhead(value ? [{ kind: 'share-update', groupId, at, value }] : [])
    this.#arm(groupId, at, held)
    if (value) held.released.emit()
    await written
  }

  /** Locks are only added and renewed with later ends, so a timer may fire early and is set again then. */
  #arm(groupId: string, at: TopicPartition, held: HeldShare): void {
    const { clock, configOf } = this.#options
    const deadline = held.partition.nextDeadline
    if (deadline === undefined) {
      held.timer?.cancel()
      held.timer = undefined
      return
    }
    if (held.timer && held.timerAt <= deadline) return
    held.timer?.cancel()
    held.timerAt = deadline
    held.timer = clock.setTimer(Math.max(0, deadline - clock.monotonic()), () => {
      held.timer = undefined
      held.partition.expire(clock.monotonic(), configOf(groupId).deliveriesMax)
      this.#settleUnasked(groupId, at, held)
    })
  }

  #lockedUntil({ lockMs }: ShareConfig): number {
    return this.#options.clock.monotonic() + lockMs
  }

  #group(groupId: string): HeldGroup {
    const { store } = this.#options
    store.checkReady()
    const group = store.groups.get(groupId)
    if (group?.machine.type !== 'share')
      throw new KafkaError('GROUP_ID_NOT_FOUND', `there is no share group ${groupId}`)
    return group
  }
}
