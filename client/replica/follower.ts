/**
 * Keeps one partition: carries out what sync-state.ts decides, on a subscription and a writer.
 *
 * Invariants: every event goes through `step`; jobs compute from the position that holds when they run.
 */
import { IsolationLevel } from '../../protocol/messages/offset-protocol.ts'
import type { ReplicaPolicy, ReplicaRange } from '../core.ts'
import { covers, filterOf, wireFilter } from '../key-filter.ts'
import type {
  DeliveredFrame,
  Session,
  Subscription,
  SubscriptionEnd,
  SubscriptionPosition,
  SubscriptionStarted,
} from '../session.ts'
import type { ChunkWriter, WrittenPartition } from './chunk-writer.ts'
import { Credit } from './credit.ts'
import { NO_END, planCut } from './cut.ts'
import { checkFrame } from './frame-check.ts'
import { findUntold } from './left-out.ts'
import type { ChunkRow, ReplicaStore, StoredPosition } from './store.ts'
import type { StoreError } from './store-error.ts'
import { initialSync, isUpToDate, type SyncEffect, type SyncEvent, type SyncState, step } from './sync-state.ts'
import { Tidying } from './tidying.ts'
import { firstInTransaction } from './undecided.ts'

export interface FollowerContext {
  readonly session: Session
  readonly store: ReplicaStore
  readonly writer: ChunkWriter
  nowMs(): number
  /** This partition's share of all the bytes that may be on their way. */
  windowBytes(follower: Follower): number
  tell(follower: Follower, cutAt?: number): void
  /** The relay does not know the topic's id any more. */
  topicGone(follower: Follower): void
  refused(follower: Follower, errorCode: number): void
  damaged(follower: Follower, fault: string): void
}

export interface FollowerOptions {
  topic: string
  topicId: string
  partition: number
  policy: ReplicaPolicy
  /** What the store holds; null when nothing is. */
  position: StoredPosition | null
  /** For a partition that holds nothing. */
  generation: number
}

interface Reset {
  offset: number
  logStart: number
  isOtherLog: boolean
  /** Told to readers, when they are to go on elsewhere. */
  cutAt?: number
}

export class Follower implements WrittenPartition {
  readonly topic: string
  readonly topicId: string
  readonly partition: number
  readonly #context: FollowerContext
  #state: SyncState
  #subscription: Subscription | undefined
  readonly #credit = new Credit()
  readonly #tidying: Tidying
  #isClosed = false
  /** The relay has said something to the subscription since there was a connection. */
  #isAnswered = false

  constructor(options: FollowerOptions, context: FollowerContext) {
    const { topic, topicId, partition, policy, position, generation } = options
    this.topic = topic
    this.topicId = topicId
    this.partition = partition
    this.#context = context
    const empty = { ...emptyPosition(topicId, partition), generation, ...keptBy(policy) }
    this.#state = initialSync(position, empty, policy)
    const { store, writer, nowMs } = context
    this.#tidying = new Tidying({
      ...{ store, writer, nowMs },
      position: () => this.position,
      policy: () => this.policy,
      isClosed: () => this.#isClosed,
      tidied: (tidied) => this.#apply({ type: 'tidied', position: tidied }),
    })
    if (!this.position.knowsAborted) this.#change(() => this.#dropUndecided())
    this.#adoptFilter()
  }

  get position(): StoredPosition {
    return this.#state.position
  }

  get policy(): ReplicaPolicy {
    return this.#state.policy
  }

  get phase(): SyncState['phase'] {
    return this.#state.phase
  }

  get range(): ReplicaRange {
    const { topic, topicId, partition } = this
    const { start, nextOffset, generation, filter } = this.#state.position
    const { relayEnd } = this.#state
    return {
      topic,
      topicId,
      partition,
      start,
      end: nextOffset,
      relayEnd,
      upToDate: isUpToDate(this.#state),
      generation,
      ...(filter !== undefined && { filter }),
    }
  }

  /** Subscribes, unless somebody else has the partition on this session: then `isFollowing` stays false. */
  follow(): void {
    const { session } = this.#context
    const { topicId, partition } = this
    if (this.#subscription || this.#isClosed || session.isSubscribed(topicId, partition)) return
    this.#subscription = session.subscribe({
      topicId,
      partition,
      isolation: IsolationLevel.readCommitted,
      position: () => this.#wanted(),
      credit: () => this.#openWindow(),
      onStarted: (started) => this.#started(started),
      onDeliver: (frame) => this.#delivered(frame),
      onEnded: (end) => this.#ended(end),
    })
    this.#adoptFilter()
  }

  /** Gives the subscription up; `follow` goes on from the position. */
  pause(): void {
    this.#subscription?.close()
    this.#subscription = undefined
    this.#isAnswered = false
    this.#apply({ type: 'disconnected' })
  }

  /** Whether it may still have to catch up on this connection: what is less urgent waits for it. */
  get isLagging(): boolean {
    const { phase, position, relayEnd } = this.#state
    if (phase === 'following') return position.nextOffset < relayEnd
    return phase === 'changing' || (phase === 'waiting' && this.isFollowing && !this.#isAnswered)
  }

  /** What may be on its way has changed without a delivery. */
  reviewWindow(): void {
    if (this.#state.phase === 'following') this.#grant(0)
  }

  get isFollowing(): boolean {
    return this.#subscription !== undefined
  }

  setPolicy(policy: ReplicaPolicy): void {
    if (this.policy.onlyForTable && !policy.onlyForTable) this.#tidying.takenIn(Number.POSITIVE_INFINITY)
    this.#state = { ...this.#state, policy }
    this.#adoptFilter()
    this.upkeep()
  }

  connectionChanged(isLive: boolean): void {
    this.#isAnswered = false
    this.#apply({ type: isLive ? 'connected' : 'disconnected' })
    this.#adoptFilter()
  }

  /**
   * What is held was asked for by another filter than the policy's. If it has all that is wanted now, only what comes is
   * chosen anew; else all is fetched again, and not before it can be: offline, or paused, what there is stays.
   */
  #adoptFilter(): void {
    const { position, from } = this.#state
    const wanted = filterOf(this.policy)
    if (position.filter === wanted) return
    if (from !== null) {
      this.#state = { ...this.#state, position: { ...withoutFilter(position), ...keptBy(this.policy) } }
      this.#subscription?.restart()
    } else if (covers(position.filter, wanted)) this.#change(() => this.#chooseAnew())
    else if (this.isFollowing && this.#context.session.state.phase === 'live') {
      this.#change(async () => {
        const { start: offset, logStart, filter } = this.position
        if (!covers(filter, filterOf(this.policy))) await this.#reset({ offset, logStart, isOtherLog: false })
      })
    }
  }

  async #chooseAnew(): Promise<void> {
    const position = { ...withoutFilter(this.position), ...keptBy(this.policy) }
    if (position.filter === this.position.filter || !covers(this.position.filter, position.filter)) return
    await this.#context.store.replaceChunks({ position, fromOffset: NO_END, toOffset: NO_END, chunks: [] })
    this.#context.writer.forget(this)
    this.#apply({ type: 'changed', position })
  }

  restart(): void {
    if (this.#state.phase === 'gone') this.#state = { ...this.#state, phase: 'waiting' }
    this.#subscription?.restart()
  }

  close(): void {
    this.#isClosed = true
    this.#subscription?.close()
    this.#context.writer.forget(this)
  }

  stored(position: StoredPosition, creditBytes: number, rows: readonly ChunkRow[]): void {
    this.#tidying.wrote(rows)
    this.#apply({ type: 'stored', position, sizeBytes: creditBytes })
    this.upkeep()
  }

  storeFailed(_failure: StoreError): void {
    this.#apply({ type: 'store-failed' })
  }

  /** Begins a merge or a trim when one is due. `checkAge`: also look at the age of what is oldest. */
  upkeep(checkAge = false): void {
    this.#tidying.look(checkAge)
  }

  /** Drops what the policy no longer keeps, and `dropBytes` beyond it. Only from within the writer. Resolves with the bytes freed. */
  dropOldest(dropBytes: number): Promise<number> {
    return this.#tidying.dropOldest(dropBytes)
  }

  takenIn(offset: number): void {
    this.#tidying.takenIn(offset)
    this.upkeep()
  }

  /**
   * Drops what is held and fetches the log from its start, under another generation. It is the same log: readers go on
   * where they are.
   */
  beginAgain(): void {
    this.#change(() => this.#reset({ offset: 0, logStart: 0, isOtherLog: true, cutAt: NO_END }))
  }

  /** Rows from `offset` on cannot be read: they go, and are fetched again. What lies below stays readable. */
  dropDamaged(offset: number): void {
    this.#change(() => this.#dropFrom(offset))
  }

  #wanted(): SubscriptionPosition {
    const { from, nextOffset, leaderEpoch } = this.#state
    const text = this.position.filter
    const filter = text === undefined ? undefined : { text, ...wireFilter(text) }
    if (from !== null) return { offset: from === 'start' ? -2 : -1, leaderEpoch: -1, filter }
    return { offset: nextOffset, leaderEpoch, filter }
  }

  #openWindow(): number {
    return this.#credit.open(this.#context.windowBytes(this), this.#context.writer.waitingBytes(this))
  }

  #answered(): void {
    if (this.#isAnswered) return
    this.#isAnswered = true
    this.#context.tell(this)
  }

  #started({ startOffset, logStart, lastStableOffset: relayEnd }: SubscriptionStarted): void {
    this.#apply({ type: 'started', startOffset, logStart, relayEnd, takenIn: this.#tidying.takenInUpTo })
    this.#answered()
  }

  #delivered(frame: DeliveredFrame): void {
    if (this.#state.phase !== 'following') return
    const { records, nextOffset, logStart, lastStableOffset: relayEnd } = frame
    const checked = checkFrame(frame, this.#state.nextOffset)
    const isChosen = this.position.filter !== undefined
    const fault = checked.fault ?? (isChosen ? findUntold(frame, this.#state.nextOffset) : null)
    if (fault !== null) {
      this.#context.damaged(this, fault)
      return this.#apply({ type: 'damaged' })
    }
    const leaderEpoch = frame.lastEpoch ?? checked.leaderEpoch
    const event: SyncEvent = {
      type: 'delivered',
      nextOffset,
      leaderEpoch,
      logStart,
      relayEnd,
      sizeBytes: records.length,
    }
    this.#apply(event, { chunks: checked.chunks, creditBytes: records.length, logStart })
  }

  #ended({ errorCode, logStart, truncateTo, retryInMs }: SubscriptionEnd): void {
    this.#apply({ type: 'ended', errorCode, logStart, truncateTo, retryInMs })
    this.#answered()
  }

  #apply(event: SyncEvent, frame?: { chunks: readonly ChunkRow[]; creditBytes: number; logStart: number }): void {
    if (this.#isClosed) return
    const { state, effects } = step(this.#state, event)
    this.#state = state
    for (const effect of effects) this.#run(effect, frame)
  }

  #run(effect: SyncEffect, frame?: { chunks: readonly ChunkRow[]; creditBytes: number; logStart: number }): void {
    const { writer } = this.#context
    switch (effect.type) {
      case 'restart':
        return this.#subscription?.restart()
      case 'grant':
        return this.#grant(effect.sizeBytes)
      case 'store': {
        const { nextOffset, leaderEpoch } = this.#state
        return writer.enqueue(this, { ...frame!, nextOffset, leaderEpoch })
      }
      case 'forget-queued':
        return writer.forget(this)
      case 'cut':
        return this.#change(() => this.#cut(effect.offset))
      case 'reset':
        return this.#change(() => this.#reset(effect))
      case 'look-up-topic':
        return this.#context.topicGone(this)
      case 'tell':
        return this.#context.tell(this)
      case 'refused':
        return this.#context.refused(this, effect.errorCode)
    }
  }

  #grant(sizeBytes: number): void {
    const grant = this.#credit.giveBack(sizeBytes, this.#context.windowBytes(this))
    if (grant > 0) this.#subscription?.grant(grant)
  }

  #change(work: () => Promise<void>): void {
    this.#context.writer.run(async () => {
      if (this.#isClosed) return
      try {
        await work()
      } catch (failure) {
        this.#apply({ type: 'store-failed' })
        throw failure
      }
    })
  }

  async #cut(offset: number): Promise<void> {
    const { position } = this
    if (offset >= position.nextOffset) {
      // All that is held is the log's, says the relay. Asking with the same epoch would get the same answer for ever.
      return this.#apply({ type: 'changed', position: { ...position, leaderEpoch: -1 } })
    }
    const plan = await planCut(this.#context.store, position, offset)
    await this.#context.store.replaceChunks(plan)
    this.#context.tell(this, plan.position.nextOffset)
    this.#apply({ type: 'changed', position: plan.position })
  }

  async #dropFrom(offset: number): Promise<void> {
    const { start, nextOffset, sizeBytes, mergedUpTo, generation } = this.position
    const at = Math.max(offset, start)
    if (at >= nextOffset) return this.#apply({ type: 'changed', position: this.position })
    const position = {
      ...this.position,
      nextOffset: at,
      // The last batch that is left is not looked at: the relay tells by what it sends whether it is still the log's.
      leaderEpoch: -1,
      generation: generation + 1,
      // Rows that cannot be read cannot be measured.
      sizeBytes: Math.floor((sizeBytes * (at - start)) / (nextOffset - start)),
      mergedUpTo: Math.min(mergedUpTo, at),
    }
    await this.#context.store.replaceChunks({ position, fromOffset: at, toOffset: NO_END, chunks: [] })
    this.#context.writer.forget(this)
    this.#context.tell(this, at)
    this.#apply({ type: 'changed', position })
  }

  /** Once, for what an older version has stored. */
  async #dropUndecided(): Promise<void> {
    const { store, writer } = this.#context
    const position: StoredPosition = { ...this.position, knowsAborted: true }
    const offset = await firstInTransaction(store, position)
    if (offset === undefined) {
      await store.replaceChunks({ position, fromOffset: NO_END, toOffset: NO_END, chunks: [] })
      return this.#apply({ type: 'tidied', position })
    }
    const plan = await planCut(store, position, offset)
    await store.replaceChunks(plan)
    writer.forget(this)
    this.#context.tell(this, plan.position.nextOffset)
    this.#apply({ type: 'changed', position: plan.position })
  }

  async #reset({ offset, logStart, isOtherLog, cutAt }: Reset): Promise<void> {
    const { position } = this
    const empty = emptyPosition(this.topicId, this.partition)
    const generation = position.generation + (isOtherLog ? 1 : 0)
    const at = { start: offset, nextOffset: offset, mergedUpTo: offset, logStart }
    const fresh = { ...empty, ...at, generation, ...keptBy(this.policy) }
    await this.#context.store.replaceChunks({ position: fresh, fromOffset: 0, toOffset: NO_END, chunks: [] })
    this.#context.writer.forget(this)
    if (cutAt !== undefined) this.#context.tell(this, cutAt)
    this.#apply({ type: 'changed', position: fresh })
  }
}

function keptBy(policy: ReplicaPolicy): { filter?: string } {
  const filter = filterOf(policy)
  return filter === undefined ? {} : { filter }
}

function withoutFilter({ filter: _, ...position }: StoredPosition): StoredPosition {
  return position
}

export function emptyPosition(topicId: string, partition: number): StoredPosition {
  return {
    topicId,
    partition,
    start: 0,
    nextOffset: 0,
    leaderEpoch: -1,
    logStart: 0,
    generation: 0,
    sizeBytes: 0,
    mergedUpTo: 0,
    knowsAborted: true,
  }
}
