/** The feeds of one reader, taken from in turn so that no partition starves another. */
import type { Feed, FeedEvents, FeedOptions, Frame, Source } from './source.ts'
import type { PartitionStart } from './start-position.ts'

interface Member {
  feed: Feed
  isFinished: boolean
}

export class FeedSet {
  readonly #members = new Map<number, Member>()
  readonly #order: Member[]
  #turn = 0

  constructor(
    source: Source,
    starts: readonly PartitionStart[],
    options: Omit<FeedOptions, 'from' | 'isExact'>,
    events: FeedEvents,
  ) {
    for (const { partition, from, isExact } of starts) {
      const feed = source.feed(partition, { ...options, from, isExact }, events)
      this.#members.set(partition, { feed, isFinished: false })
    }
    this.#order = [...this.#members.values()]
  }

  get partitions(): number[] {
    return [...this.#members.keys()]
  }

  get isUpToDate(): boolean {
    return this.#order.every(({ feed, isFinished }) => isFinished || feed.isUpToDate)
  }

  get areFinished(): boolean {
    return this.#order.every(({ isFinished }) => isFinished)
  }

  take(paused: ReadonlySet<number>): Frame | undefined {
    for (let step = 0; step < this.#order.length; step++) {
      const { feed, isFinished } = this.#order[(this.#turn + step) % this.#order.length]!
      const frame = isFinished || paused.has(feed.partition) ? undefined : feed.take()
      if (!frame) continue
      this.#turn = (this.#turn + step + 1) % this.#order.length
      return frame
    }
    return undefined
  }

  seek(partition: number, offset: number): void {
    const member = this.#members.get(partition)
    if (!member) return
    member.isFinished = false
    member.feed.seek(offset)
  }

  /** For a reader that does not follow: a partition that has been read to its end gives nothing more. */
  finishUpToDate(unfinished: ReadonlyMap<number, unknown>): void {
    for (const member of this.#order) {
      if (member.feed.isUpToDate && !unfinished.has(member.feed.partition)) member.isFinished = true
    }
  }
}
