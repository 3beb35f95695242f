/**
 * Brings transactions of the outbox to the relay, one at a time, and finds out what became of one whose end was not heard.
 *
 *   take the id -> [open the marks] -> write the records, note the attempt -> commit the marks with them -> end
 *
 * The outbox has a transactional id and a group of its own. A transaction commits, together with its records, a mark for
 * each of its topics: metadata beside an offset of that group, `done:` and the transaction's id. The offset is where its
 * first record of the topic is, so it tells which attempt it was. Before the mark there must have been another one, which
 * the attempt names; where none is known, an empty transaction puts one.
 *
 * Invariants:
 *  - the attempt is on the device, strictly, before the end is asked for;
 *  - whoever asks about an attempt has taken the id first: nobody else can end it any more, and what the marks say is final;
 *  - the mark of a topic is the transaction's own, so it was committed, or the one from before, so it was not. Neither can
 *    be only where offsets of the group have expired or been deleted, or the topic has: then nobody knows;
 *  - marks are written in transactions alone, so nothing that was sent by a former holder of the id can come late.
 */

import { sleep } from '../../protocol/lib/clock.ts'
import { randomUuid } from '../../protocol/lib/uuid.ts'
import type { Mark } from '../replica/store-outbox.ts'
import {
  claimOfNobody,
  commitOffsetsInTransaction,
  endTransaction,
  fetchMarks,
  type OffsetToCommit,
  type ProducerStamp,
  TransactionRefusal,
  takeTransactionalId,
} from '../transactions/calls.ts'
import { CONCURRENT_TRANSACTIONS, INVALID_TRANSACTION_TIMEOUT } from '../transactions/reactions.ts'
import type { DrainContext } from './context.ts'
import type { Lane } from './lane.ts'
import type { Landing, LedgerRow } from './ledger.ts'
import { writeAll } from './transaction-write.ts'

const TIMEOUT_MS = 60_000
const TIMEOUT_MS_MIN = 1_000
/** Kafka's `transaction.max.timeout.ms` by default. */
const TIMEOUT_MS_MAX = 900_000
/** A mark that was put longer ago is put again: one that expires before its transaction has ended says nothing. */
const MARK_AGE_MS_MAX = 3_600_000
/** How long an earlier transaction may take to end while we wait for the id. */
const ENDING_MS_MAX = 5_000

export interface StoredTransaction {
  id: string
  /** In the order of their keys. */
  rows: readonly LedgerRow[]
}

/** 'committed-elsewhere': by another attempt than the last one here. */
export type End = 'committed' | 'committed-elsewhere' | 'aborted' | 'unknown'

type Landings = ReadonlyMap<LedgerRow, Landing>

export interface TransactionSenderOptions {
  context: DrainContext
  /** Names the transactional id and the group. */
  replicaId: string
}

export class TransactionSender {
  readonly #context: DrainContext
  readonly #name: string
  readonly #marks = new Map<string, { value: string; atMs: number }>()
  #stamp: ProducerStamp | undefined
  #timeoutMs = TIMEOUT_MS

  constructor({ context, replicaId }: TransactionSenderOptions) {
    this.#context = context
    this.#name = `ottla-outbox-${replicaId}`
  }

  /** The next transaction has to take the id anew: what we know of it may be wrong. */
  forgetIdentity(): void {
    this.#stamp = undefined
    this.#marks.clear()
  }

  /** What timed out gets more time. */
  allowMoreTime(): void {
    this.#timeoutMs = Math.min(TIMEOUT_MS_MAX, this.#timeoutMs * 2)
  }

  /**
   * All but the commit; `note` stores the attempt. Rejects with a TransactionRefusal, or with what ended the connection:
   * then nothing of it has happened, and nothing will.
   */
  async write(
    { id, rows }: StoredTransaction,
    lanes: ReadonlyMap<Lane, readonly LedgerRow[]>,
    note: (marks: readonly Mark[]) => Promise<void>,
  ): Promise<Map<LedgerRow, Landing>> {
    const topics = topicsOf(rows)
    const stamp = await this.#readyStamp(topics)
    const noted = note(topics.map((topic) => ({ topic, before: this.#marks.get(topic)!.value })))
    noted.catch(() => {})
    const landings = await writeAll({ transactionalId: this.#name, stamp, lanes }, this.#context).finally(() => noted)
    const marks = topics.map((topic) => ({ topic, offset: placeIn(topic, landings), metadata: doneMark(id) }))
    await this.#putMarks(stamp, marks)
    return landings
  }

  /** When it rejects, only `resolve` can tell what has happened. */
  async commit({ id, rows }: StoredTransaction): Promise<void> {
    await this.#end(true)
    for (const topic of topicsOf(rows)) this.#know(topic, doneMark(id))
  }

  /** Lets readers go on at once; whoever takes the id next would do the same. */
  async abort(): Promise<void> {
    await this.#end(false).catch(() => this.forgetIdentity())
  }

  /** What became of a transaction whose end was not heard. `landings` are those of its last attempt here. */
  async resolve({ id }: StoredTransaction, marks: readonly Mark[], landings: Landings | undefined): Promise<End> {
    this.forgetIdentity()
    await this.#takeId()
    const topics = marks.map(({ topic }) => topic)
    const found = await fetchMarks(this.#context.session, this.#name, topics)
    for (const [topic, { metadata }] of found) this.#know(topic, metadata)
    const done = topics.find((topic) => found.get(topic)?.metadata === doneMark(id))
    if (done !== undefined) {
      const isThisAttempt = landings && placeIn(done, landings) === found.get(done)!.offset
      return isThisAttempt ? 'committed' : 'committed-elsewhere'
    }
    return marks.some(({ topic, before }) => found.get(topic)?.metadata === before) ? 'aborted' : 'unknown'
  }

  /** An identity under which all topics have a mark. */
  async #readyStamp(topics: readonly string[]): Promise<ProducerStamp> {
    const stamp = this.#stamp ?? (await this.#takeId())
    const oldestMs = this.#context.clock.monotonic() - MARK_AGE_MS_MAX
    const without = topics.filter((topic) => !((this.#marks.get(topic)?.atMs ?? Number.NEGATIVE_INFINITY) >= oldestMs))
    if (without.length === 0) return stamp
    const value = `open:${randomUuid(this.#context.random)}`
    const marks = without.map((topic) => ({ topic, offset: 0, metadata: value }))
    await this.#putMarks(stamp, marks)
    await this.#end(true)
    for (const topic of without) this.#know(topic, value)
    return this.#stamp!
  }

  async #takeId(): Promise<ProducerStamp> {
    const { session, clock } = this.#context
    const untilMs = clock.monotonic() + ENDING_MS_MAX
    for (let waitMs = 20; ; waitMs = Math.min(500, waitMs * 2)) {
      try {
        this.#stamp = await takeTransactionalId(session, this.#name, this.#timeoutMs)
        return this.#stamp
      } catch (failure) {
        const kafkaCode = failure instanceof TransactionRefusal ? failure.kafkaCode : 0
        const isTooLong = kafkaCode === INVALID_TRANSACTION_TIMEOUT && this.#timeoutMs > TIMEOUT_MS_MIN
        if (isTooLong) this.#timeoutMs = Math.max(TIMEOUT_MS_MIN, Math.floor(this.#timeoutMs / 2))
        else if (kafkaCode !== CONCURRENT_TRANSACTIONS || clock.monotonic() > untilMs) throw failure
        else await sleep(clock, waitMs)
      }
    }
  }

  #putMarks(stamp: ProducerStamp, marks: ReadonlyArray<Omit<OffsetToCommit, 'partition'>>): Promise<void> {
    const offsets = marks.map((mark) => ({ ...mark, partition: 0 }))
    return commitOffsetsInTransaction(this.#context.session, this.#name, stamp, claimOfNobody(this.#name), offsets)
  }

  async #end(committed: boolean): Promise<void> {
    if (this.#stamp) this.#stamp = await endTransaction(this.#context.session, this.#name, this.#stamp, committed)
  }

  #know(topic: string, value: string): void {
    this.#marks.set(topic, { value, atMs: this.#context.clock.monotonic() })
  }
}

const topicsOf = (rows: readonly LedgerRow[]): string[] => [...new Set(rows.map(({ topic }) => topic))]
/** Of the topic's first record; 0 where the relay did not tell. */
function placeIn(topic: string, landings: Landings): number {
  const first = [...landings].find(([row]) => row.topic === topic)
  return Math.max(0, first?.[1].baseOffset ?? 0)
}

const doneMark = (id: string): string => `done:${id}`
