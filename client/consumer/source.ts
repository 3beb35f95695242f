/**
 * Where a reader's batches come from: live from the relay, or from the replica. The reader knows only this.
 *
 * A feed holds what has come for one partition until it is taken; what it holds is bounded, and releasing a frame is
 * what lets more come.
 */
import type { AbortedTransaction } from '../../protocol/messages/offset-protocol.ts'
import type { TopicInfo } from '../core.ts'
import type { Gap } from '../record.ts'

/** As in the offset protocol: where the log ends, where it starts. */
export const END = -1
export const START = -2

export type KeyMatcher = (key: Uint8Array | null) => boolean

export interface Frame {
  partition: number
  /** Whole batches; the first may begin below `fromOffset`. */
  batches: Uint8Array
  /** Records below are not the reader's. */
  fromOffset: number
  nextOffset: number
  /** Their records are left out; empty for a reader of all records. */
  aborted: readonly AbortedTransaction[]
  /** Absent: every record is wanted. Batches come whole, with records beside those that were asked for. */
  matches?: KeyMatcher | undefined
  /** What is missing in front of this frame. */
  gap: Gap | undefined
  /** The application is done with it. */
  release(): void
}

export interface FeedEvents {
  /** Where it begins, as soon as it is known what START or END stand for. */
  onStart(partition: number, offset: number): unknown
  /** Something can be taken, or `isUpToDate` changed. */
  onReady(): void
  /** As soon as it is known; the next frame carries it too. */
  onGap(gap: Gap): void
  /** The feed is over. */
  onFailed(error: unknown): void
}

/** What happens when the log no longer has the offset that is wanted next. */
export type OnMissingOffset = 'earliest' | 'latest' | 'fail'

/** 1: only committed records, and nothing that is not decided yet. */
export type Isolation = 0 | 1

export interface FeedOptions {
  /** An offset, START or END. */
  from: number
  /** Of the record before `from`, when known: tells the relay from a log that was truncated. Default -1. */
  leaderEpoch?: number
  /** False: `from` was worked out, and when the log has moved on meanwhile, its start is as good and no gap. */
  isExact: boolean
  onMissingOffset: OnMissingOffset
  isolation: Isolation
  bufferBytesMax: number
}

export interface Feed {
  readonly partition: number
  /** Everything there is has been taken, as far as the source can know now. */
  readonly isUpToDate: boolean
  take(): Frame | undefined
  seek(offset: number): void
  close(): void
}

export interface Source {
  readonly topic: TopicInfo
  readonly isolation: Isolation
  /**
   * Where a partition's log starts and, at this source's isolation, ends. `newest`: as the relay knows it, if it can be
   * asked; else what can be read at once will do.
   */
  bounds(partition: number, newest: boolean): Promise<{ start: number; end: number }>
  /** The first offset whose record is at least that young; the end when there is none. */
  offsetForTimestamp(partition: number, timestampMs: number): Promise<number>
  feed(partition: number, options: FeedOptions, events: FeedEvents): Feed
  close(): void
}
