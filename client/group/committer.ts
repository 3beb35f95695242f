/**
 * Commits what was processed, for as long as this member may.
 *
 * The first commit goes out at once, so that whoever waits for it learns soon; under load there is one every `everyMs`,
 * for all partitions together. What the group refuses because it is between two generations is sent again in the next.
 *
 * Invariants: one request is under way at a time; a commit is made under the claim by which the partition is held now.
 */
import type { Clock } from '../../protocol/lib/clock.ts'
import { sleep } from '../../protocol/lib/clock.ts'
import type { Random } from '../../protocol/lib/random.ts'
import { Backoff } from '../backoff.ts'
import { asOttlaError, type OttlaError } from '../errors.ts'
import { kafkaFailure } from '../kafka-failure.ts'
import type { Session } from '../session.ts'
import { untilLive } from '../when-live.ts'
import type { AssignedPartition } from './assigned-partition.ts'
import { type Committed, commitOffsets, type IdentifiedPartition } from './committed-offsets.ts'
import { GroupCode, isAboutClaim, isTemporary } from './group-refusal.ts'
import type { MemberClaim, Membership } from './membership.ts'
import { keyOf } from './topic-partition.ts'

export interface CommitterOptions {
  session: Session
  groupId: string
  clock: Clock
  random: Random
  everyMs: number
  membership: Membership
  partitions(): Iterable<AssignedPartition>
  /** Told to whoever looks at the group. */
  metadata(partition: AssignedPartition): string
  /** Commits are refused for good. */
  onFailed(error: OttlaError): void
}

const RETRY = { delayMsFirst: 100, delayMsMax: 5_000 }
/** The topic was deleted, or made anew: what was read of it is nobody's any more. */
const UNKNOWN_TOPIC = 3
const UNKNOWN_TOPIC_ID = 100

const isDirty = (partition: AssignedPartition) =>
  !partition.isOver && partition.commitTo >= 0 && partition.commitTo !== partition.committedTo

export class Committer {
  readonly #options: CommitterOptions
  readonly #backoff: Backoff
  readonly #over = new AbortController()
  #running: Promise<void> | undefined
  /** Grows when there may be something to do. */
  #touches = 0
  #wake: () => void = () => {}
  #hurry: () => void = () => {}
  readonly #waiting: Array<() => void> = []
  /** Somebody waits: no pause between commits. */
  #flushes = 0
  #lastAtMs = Number.NEGATIVE_INFINITY

  constructor(options: CommitterOptions) {
    this.#options = options
    this.#backoff = new Backoff(options.clock, options.random, RETRY)
  }

  /** Something was processed, or the membership has changed. */
  touch(): void {
    this.#touches++
    this.#wake()
    if (!this.#over.signal.aborted) this.#running ??= this.#run()
  }

  /** Resolves when everything of them that is to be committed is, or is no longer this member's to commit. */
  async flush(partitions: readonly AssignedPartition[]): Promise<void> {
    this.#flushes++
    this.#hurry()
    this.touch()
    try {
      while (partitions.some(isDirty) && !this.#over.signal.aborted) await this.#changed()
    } finally {
      this.#flushes--
    }
  }

  /** What is to be committed of it now. */
  offsetOf(partition: AssignedPartition): IdentifiedPartition & Committed {
    const { topic, topicId, partition: number, commitTo: offset, commitEpoch: leaderEpoch } = partition
    return { topic, topicId, partition: number, offset, leaderEpoch, metadata: this.#options.metadata(partition) }
  }

  stop(): void {
    this.#over.abort()
    this.#wake()
    this.#hurry()
    this.#tellChanged()
  }

  async #run(): Promise<void> {
    const { signal } = this.#over
    while (!signal.aborted) {
      const touches = this.#touches
      const dirty = [...this.#options.partitions()].filter(isDirty)
      const { claim, state } = this.#options.membership
      if (dirty.length === 0 || !claim || state !== 'member') {
        this.#tellChanged()
        await this.#touchedSince(touches)
        continue
      }
      await this.#pace()
      await this.#commit(dirty.filter(isDirty), claim)
        .catch((error: unknown) => this.#failed(error))
        .catch((error: unknown) => this.#gone(error))
      this.#tellChanged()
    }
  }

  /** The wait that lets several records share a commit; a flush cuts it short. */
  async #pace(): Promise<void> {
    const { clock, everyMs } = this.#options
    const waitMs = this.#lastAtMs + everyMs - clock.monotonic()
    if (waitMs > 0 && this.#flushes === 0) {
      await new Promise<void>((resolve) => {
        const timer = clock.setTimer(waitMs, resolve)
        this.#hurry = () => {
          timer.cancel()
          resolve()
        }
      })
    }
    this.#lastAtMs = clock.monotonic()
  }

  async #commit(dirty: readonly AssignedPartition[], claim: MemberClaim): Promise<void> {
    if (dirty.length === 0) return
    const { session, groupId } = this.#options
    const offsets = dirty.map((partition) => this.offsetOf(partition))
    const codes = await commitOffsets(session, groupId, claim, offsets)
    let refusal = 0
    for (const [index, partition] of dirty.entries()) {
      const errorCode = codes.get(keyOf(partition)) ?? 0
      if (errorCode === 0) partition.committed(offsets[index]!.offset)
      else if (errorCode === UNKNOWN_TOPIC || errorCode === UNKNOWN_TOPIC_ID) partition.cannotCommit()
      else refusal = errorCode
    }
    if (refusal === 0) this.#backoff.reset()
    else await this.#refused(claim, refusal)
  }

  async #refused(claim: MemberClaim, errorCode: number): Promise<void> {
    const { membership, groupId } = this.#options
    if (isAboutClaim(errorCode)) membership.refused(claim, errorCode)
    else if (errorCode !== GroupCode.REBALANCE_IN_PROGRESS && !isTemporary(errorCode)) {
      return this.#options.onFailed(kafkaFailure(errorCode, `committing offsets of group ${groupId}`))
    }
    await this.#waitABit()
  }

  async #failed(thrown: unknown): Promise<void> {
    const error = asOttlaError(thrown, 'PROTOCOL')
    if (!error.retriable) return this.#options.onFailed(error)
    await this.#waitABit()
    await untilLive(this.#options.session, this.#over.signal)
  }

  /** There will be no connection any more. */
  #gone(error: unknown): void {
    if (!this.#over.signal.aborted) this.#options.onFailed(asOttlaError(error, 'CLOSED'))
    this.stop()
  }

  #waitABit(): Promise<void> {
    return sleep(this.#options.clock, this.#backoff.nextDelayMs(), this.#over.signal).catch(() => {})
  }

  #touchedSince(touches: number): Promise<void> {
    if (touches !== this.#touches || this.#over.signal.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }

  #changed(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  #tellChanged(): void {
    for (const tell of this.#waiting.splice(0)) tell()
  }
}
