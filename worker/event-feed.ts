/**
 * News for one tab, coalesced.
 *
 * Invariants: at most one note is under way (a tab acks each), so a frozen tab holds one message and no more; what
 * waits is bounded: the newest status, the newest range of each partition, at most `settledMax` outcomes, 1 MiB of changes
 * of tables. When those overflow the oldest go and the tab is told that it must ask. A feed that was idle sends some notes at once, as one
 * write makes several; a busy one sends every few ms.
 */
import type { Advanced, Settled, Status } from '../client/core.ts'
import type { TableNews } from '../client/table/seam.ts'
import type { Clock, Timer } from '../protocol/lib/clock.ts'
import type { EventsNote } from './contract.ts'
import { WaitingNews } from './waiting-news.ts'

export interface EventFeedOptions {
  clock: Clock
  post(note: EventsNote): void
  /** Time between two notes in the long run; default 5 ms, about a third of a frame. */
  intervalMs?: number
  /** Notes that may go one after the other once the feed was idle; default 8: two writes make so many. */
  burst?: number
  /** Default 4,096. */
  settledMax?: number
}

export class EventFeed {
  readonly #clock: Clock
  readonly #post: (note: EventsNote) => void
  readonly #intervalMs: number
  readonly #burst: number
  readonly #settledMax: number
  #status: Status | undefined
  #advanced = new Map<string, Advanced>()
  /** Of each partition as the tab was last told it. */
  readonly #toldGenerations = new Map<string, number>()
  #settled: Settled[] = []
  #settledMissed = false
  readonly #tables = new WaitingNews()
  #sequence = 0
  #isUnderWay = false
  /** When each note of the past would have gone if all had kept the interval. */
  #paidUntil = Number.NEGATIVE_INFINITY
  #timer: Timer | undefined
  #isClosed = false

  constructor(options: EventFeedOptions) {
    this.#clock = options.clock
    this.#post = options.post
    this.#intervalMs = options.intervalMs ?? 5
    this.#burst = options.burst ?? 8
    this.#settledMax = options.settledMax ?? 4_096
  }

  /** What the tab knows already. */
  seed(ranges: readonly Advanced[]): void {
    for (const range of ranges) this.#toldGenerations.set(keyOf(range), range.generation)
  }

  offerStatus(status: Status): void {
    this.#status = status
    this.#schedule()
  }

  offerAdvanced(advanced: readonly Advanced[]): void {
    for (const range of advanced) {
      const key = keyOf(range)
      const waiting = this.#advanced.get(key)
      this.#advanced.set(key, waiting ? joinRanges(waiting, range, this.#toldGenerations.get(key)) : range)
    }
    this.#schedule()
  }

  offerSettled(settled: readonly Settled[]): void {
    for (const outcome of settled) this.#settled.push(outcome)
    if (this.#settled.length > this.#settledMax) {
      this.#settled.splice(0, this.#settled.length - this.#settledMax)
      this.#settledMissed = true
    }
    this.#schedule()
  }

  offerTables(news: TableNews): void {
    this.#tables.offer(news)
    this.#schedule()
  }

  acknowledge(sequence: number): void {
    if (sequence !== this.#sequence) return
    this.#isUnderWay = false
    if (this.#hasNews) this.#schedule()
  }

  close(): void {
    this.#isClosed = true
    this.#timer?.cancel()
  }

  get #hasNews(): boolean {
    const hasSettled = this.#settled.length > 0 || this.#settledMissed
    return this.#status !== undefined || this.#advanced.size > 0 || hasSettled || !this.#tables.isEmpty
  }

  #schedule(): void {
    if (this.#isUnderWay || this.#timer || this.#isClosed) return
    const credit = (this.#burst - 1) * this.#intervalMs
    const waitMs = Math.max(0, this.#paidUntil - credit - this.#clock.monotonic())
    this.#timer = this.#clock.setTimer(waitMs, () => this.#send())
  }

  #send(): void {
    this.#timer = undefined
    this.#paidUntil = Math.max(this.#paidUntil, this.#clock.monotonic()) + this.#intervalMs
    this.#isUnderWay = true
    const note: EventsNote = { ottla: 'events', sequence: ++this.#sequence }
    if (this.#status) note.status = this.#status
    if (this.#advanced.size > 0) note.advanced = [...this.#advanced.values()]
    this.seed(note.advanced ?? [])
    if (this.#settled.length > 0) note.settled = this.#settled
    if (this.#settledMissed) note.settledMissed = true
    if (!this.#tables.isEmpty) note.tables = this.#tables.take()
    this.#status = undefined
    this.#advanced = new Map()
    this.#settled = []
    this.#settledMissed = false
    this.#post(note)
  }
}

const keyOf = (range: Advanced) => `${range.topicId}/${range.partition}`

/**
 * The newer range stands for both, but what it says of the cut must cover the cut of the one that is never told: the
 * lower of two, and none (nothing is as it was) if either said none.
 */
export function joinRanges(waiting: Advanced, newer: Advanced, toldGeneration: number | undefined): Advanced {
  const waitingIsCut = waiting.generation !== (toldGeneration ?? waiting.generation) || waiting.cutAt !== undefined
  if (!waitingIsCut) return newer
  const { cutAt: newerCut, ...rest } = newer
  const isSameCut = newer.generation === waiting.generation
  if (waiting.cutAt === undefined || (newerCut === undefined && !isSameCut)) return rest
  return { ...rest, cutAt: Math.min(waiting.cutAt, newerCut ?? waiting.cutAt) }
}
