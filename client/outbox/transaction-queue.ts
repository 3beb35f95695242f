/**
 * Whose turn it is among the outbox's transactions, and what follows from how it went.
 *
 *   waiting --all its rows stand first in their lanes--> under way --> committed: forgotten
 *      ^                                                  |  |  |
 *      +---- again, later: it was aborted ----------------+  |  +--> refused: set aside, whole
 *      +---- it was not committed <-- unresolved <-- its end was not heard
 *
 * Invariants: one transaction is under way at a time, since they share a transactional id; nothing begins while one is
 * unresolved; what a transaction was is forgotten on the device, strictly, before the next one changes its marks. Rows of
 * transactions lie in every lane in the order of their keys, so no two can wait for each other.
 */
import { isRetriableCode } from '../../protocol/errors.ts'
import { sleep } from '../../protocol/lib/clock.ts'
import { type ErrorInfo, OttlaError } from '../errors.ts'
import { relayError } from '../relay-errors.ts'
import type { Mark, OutboxRow, SettledWrite } from '../replica/store-outbox.ts'
import { TransactionRefusal } from '../transactions/calls.ts'
import { transactionError } from '../transactions/errors.ts'
import { isFenced, isNotAuthorized, reactionTo } from '../transactions/reactions.ts'
import { backOff, type DrainContext, setAside, tellEnded } from './context.ts'
import { outboxError } from './errors.ts'
import type { Lane } from './lane.ts'
import type { Landing, LedgerRow } from './ledger.ts'
import { verdictOn } from './settlement.ts'
import { type StoredTransaction, TransactionSender } from './transaction-sender.ts'

/** What is doubtful each time, and yet not refused, is given up after so many attempts. */
const ATTEMPTS_MAX = 20
const NOTE_RETRY_MS = 1_000

/** How its attempts went so far. */
interface Patience {
  failures: number
  retryAt: number
}

export interface TransactionQueueParts {
  context: DrainContext
  replicaId: string
  /** Takes rows out of wherever they wait. */
  remove(rows: readonly LedgerRow[]): void
  /** Makes the next look at the topic ask the relay again. */
  forgetTopic(name: string): void
}

export class TransactionQueue {
  readonly #context: DrainContext
  readonly #sender: TransactionSender
  readonly #remove: (rows: readonly LedgerRow[]) => void
  readonly #forgetTopic: (name: string) => void
  readonly #patience = new Map<string, Patience>()
  readonly #unresolved = new Set<string>()
  /** Where rows of an unresolved one are, should it have been committed. */
  #landings: { id: string; rows: ReadonlyMap<LedgerRow, Landing> } | undefined
  readonly #closed = new AbortController()
  #running: string | undefined

  constructor({ context, replicaId, remove, forgetTopic }: TransactionQueueParts) {
    this.#context = context
    this.#sender = new TransactionSender({ context, replicaId })
    this.#remove = remove
    this.#forgetTopic = forgetTopic
  }

  /** When to look again; infinity when nothing waits for time. */
  get retryAt(): number {
    const now = this.#context.clock.monotonic()
    return Math.min(...[...this.#patience.values()].map(({ retryAt }) => retryAt).filter((at) => at > now))
  }

  /** Whether it is under way, or nobody knows yet how it ended. */
  isUnderWay(id: string): boolean {
    return this.#running === id || this.#unresolved.has(id)
  }

  /** A stored row of a transaction, as an earlier holder of the store has left it. */
  restore(row: LedgerRow): void {
    if (row.transaction?.attempt) this.#unresolved.add(row.id)
  }

  connectionChanged(): void {
    for (const patience of this.#patience.values()) patience.retryAt = 0
  }

  close(): void {
    this.#closed.abort()
  }

  /** `lanes` are those whose topic is known to be there. */
  look(lanes: readonly Lane[]): void {
    if (this.#running !== undefined) return
    const [unresolved] = this.#unresolved
    if (unresolved !== undefined) {
      if (this.#mayTry(unresolved)) this.#run(unresolved, [], () => this.#resolve(unresolved))
      return
    }
    const next = this.#nextOf(lanes)
    if (next) this.#run(next.transaction.id, [...next.lanes.keys()], () => this.#bring(next.transaction, next.lanes))
  }

  /** Sets all of it aside. Rejects while any of it is under way. */
  async refuse({ id, key }: LedgerRow, error: ErrorInfo): Promise<void> {
    const rows = this.#context.ledger.rowsOf(id)
    if (this.isUnderWay(id) || rows.some((row) => row.isBusy && row.key !== key)) {
      throw new OttlaError('TIMEOUT', { message: `transaction ${id} is still under way` })
    }
    await this.#setAside(rows, 'parked', error)
  }

  #mayTry(id: string): boolean {
    return (this.#patience.get(id)?.retryAt ?? 0) <= this.#context.clock.monotonic()
  }

  #nextOf(lanes: readonly Lane[]) {
    const ready = new Map<string, Map<Lane, readonly LedgerRow[]>>()
    for (const lane of lanes) {
      const rows = lane.transactionRows
      const id = rows[0]?.id
      if (id === undefined || !this.#mayTry(id)) continue
      const own = ready.get(id) ?? new Map<Lane, readonly LedgerRow[]>()
      ready.set(id, own.set(lane, rows))
    }
    let first: { transaction: StoredTransaction; lanes: Map<Lane, readonly LedgerRow[]> } | undefined
    for (const [id, own] of ready) {
      const rows = this.#context.ledger.rowsOf(id).sort((a, b) => a.key - b.key)
      const standing = [...own.values()].reduce((sum, { length }) => sum + length, 0)
      if (standing < rows.length || rows.some(({ isBusy }) => isBusy)) continue
      if (!first || rows[0]!.key < first.transaction.rows[0]!.key) first = { transaction: { id, rows }, lanes: own }
    }
    return first
  }

  #run(id: string, lanes: readonly Lane[], act: () => Promise<void>): void {
    this.#running = id
    for (const lane of lanes) lane.isBusy = true
    act()
      .catch((failure: unknown) => {
        this.#waitABit(id)
        if (!(failure instanceof OttlaError || failure instanceof TransactionRefusal))
          this.#context.storeFailed(failure)
      })
      .finally(() => {
        for (const lane of lanes) lane.isBusy = false
        this.#running = undefined
        this.#context.wake()
      })
  }

  async #bring(transaction: StoredTransaction, lanes: ReadonlyMap<Lane, readonly LedgerRow[]>): Promise<void> {
    const { id, rows } = transaction
    const expiresAtMs = rows[0]!.transaction?.expiresAtMs ?? null
    if (expiresAtMs !== null && this.#context.clock.now() > expiresAtMs)
      return this.#setAside(rows, 'parked', expired(rows))
    let landings: ReadonlyMap<LedgerRow, Landing>
    try {
      landings = await this.#sender.write(transaction, lanes, (marks) => this.#noteAttempt(rows, marks))
    } catch (failure) {
      return this.#notWritten(transaction, failure)
    }
    // From here on it may be committed, whatever happens.
    this.#unresolved.add(id)
    this.#landings = { id, rows: landings }
    try {
      await this.#sender.commit(transaction)
    } catch (failure) {
      if (failure instanceof TransactionRefusal && isFenced(failure.kafkaCode)) this.#sender.allowMoreTime()
      throw failure
    }
    await this.#settle(transaction)
  }

  /** Its end was never asked for, so it has not happened. */
  async #notWritten({ id, rows }: StoredTransaction, failure: unknown): Promise<void> {
    if (rows.some(({ transaction }) => transaction?.attempt)) {
      // Until that is forgotten here, nobody else may change its marks, or end with its own what this one has begun.
      this.#unresolved.add(id)
      await this.#noteAttempt(rows, null)
      this.#unresolved.delete(id)
    }
    if (failure instanceof TransactionRefusal) {
      const reaction = reactionTo(failure.kafkaCode)
      if (isFenced(failure.kafkaCode)) this.#sender.allowMoreTime()
      if (reaction === 'fenced') this.#sender.forgetIdentity()
      else await this.#sender.abort()
      const attempts = (this.#patience.get(id)?.failures ?? 0) + 1
      const isHopeless = reaction === 'again' && !isRetriableCode(failure.kafkaCode) && attempts >= ATTEMPTS_MAX
      if (reaction === 'never' || isHopeless) return this.#setAside(rows, 'parked', refusal(failure))
      if (verdictOn(failure.kafkaCode) === 'retry-elsewhere') this.#forgetTopics(rows)
      return this.#waitABit(id)
    }
    const error = failure instanceof OttlaError ? failure : undefined
    if (error && !error.retriable && FINAL_CODES.has(error.code)) {
      await this.#sender.abort()
      return this.#setAside(rows, 'parked', error.toInfo())
    }
    // The connection is gone, or the store: the next one to take the id ends what was begun.
    this.#sender.forgetIdentity()
    throw failure
  }

  async #resolve(id: string): Promise<void> {
    const rows = this.#context.ledger.rowsOf(id).sort((a, b) => a.key - b.key)
    const marks = rows.find(({ transaction }) => transaction?.attempt)?.transaction?.attempt
    if (rows.length === 0 || !marks) {
      this.#unresolved.delete(id)
      return
    }
    const landings = this.#landings?.id === id ? this.#landings.rows : undefined
    const end = await this.#sender.resolve({ id, rows }, marks, landings)
    if (rows.some(({ isBusy }) => isBusy)) throw new OttlaError('TIMEOUT', { message: `${id} is being changed` })
    // A holder of the store that is about to be fenced, or one that has died: where its records are is not known here.
    if (end === 'committed-elsewhere') this.#landings = undefined
    if (end === 'committed' || end === 'committed-elsewhere') return this.#settle({ id, rows })
    if (end === 'unknown') await this.#setAside(rows, 'unknown', forgotten(rows))
    else await this.#noteAttempt(rows, null)
    this.#unresolved.delete(id)
  }

  /** With null: there was none, or it is over. */
  async #noteAttempt(rows: readonly LedgerRow[], attempt: readonly Mark[] | null): Promise<void> {
    const { store, commits } = this.#context
    const noted = attempt ? rows.slice(0, 1) : rows.filter(({ transaction }) => transaction?.attempt)
    const stored = await store.readOutboxRows(noted.map(({ key }) => key))
    const putRows: OutboxRow[] = []
    for (const row of stored)
      if (row?.transaction) putRows.push({ ...row, transaction: { ...row.transaction, attempt } })
    await commits.commit({ putRows })
    for (const row of noted) row.transaction = { ...row.transaction!, attempt }
  }

  async #settle({ id, rows }: StoredTransaction): Promise<void> {
    const { ledger, clock } = this.#context
    const landings = this.#landings?.id === id ? this.#landings.rows : undefined
    let settled: SettledWrite | undefined
    for (const row of rows) {
      const landing = landings?.get(row) ?? { partition: row.goesTo ?? -1, baseOffset: -1, isRelaxed: true }
      settled = ledger.noteCommitted(row, landing, clock.now())
    }
    this.#remove(rows)
    for (const row of rows) ledger.remove(row)
    this.#landings = undefined
    this.#patience.delete(id)
    tellEnded(this.#context, [id])
    await this.#forget(rows, settled)
    this.#unresolved.delete(id)
  }

  /** That it is in the log stays true whether or not we can note it; nothing else begins before we have. */
  async #forget(rows: readonly LedgerRow[], settled: SettledWrite | undefined): Promise<void> {
    const { commits, clock, storeFailed } = this.#context
    const change = { deleteRows: rows.map(({ key }) => key), putSettled: settled ? [settled] : [] }
    while (!this.#closed.signal.aborted) {
      try {
        return await commits.commit(change)
      } catch (failure) {
        storeFailed(failure)
        await sleep(clock, NOTE_RETRY_MS, this.#closed.signal).catch(() => {})
      }
    }
  }

  async #setAside(rows: readonly LedgerRow[], phase: 'parked' | 'unknown', error: ErrorInfo): Promise<void> {
    for (const row of rows) row.isBusy = true
    try {
      await setAside(this.#context, [{ rows, phase, error }])
    } finally {
      for (const row of rows) row.isBusy = false
    }
    this.#remove(rows)
    this.#patience.delete(rows[0]!.id)
  }

  #forgetTopics(rows: readonly LedgerRow[]): void {
    for (const topic of new Set(rows.map(({ topic }) => topic))) this.#forgetTopic(topic)
  }

  #waitABit(id: string): void {
    const patience = this.#patience.get(id) ?? { failures: 0, retryAt: 0 }
    this.#patience.set(id, patience)
    backOff(patience, this.#context)
  }
}

/** Errors of our own that no other attempt would change. */
const FINAL_CODES: ReadonlySet<string> = new Set(['TOO_LARGE', 'CORRUPT', 'UNSUPPORTED', 'INVALID_ARGUMENT'])

function refusal({ kafkaCode, message }: TransactionRefusal): ErrorInfo {
  const detail = { message: `the transaction was refused whole: ${message}`, kafkaCode }
  if (isNotAuthorized(kafkaCode)) return relayError('NOT_AUTHORIZED', detail).toInfo()
  return (TOO_LARGE.has(kafkaCode) ? relayError('TOO_LARGE', detail) : outboxError('REJECTED', detail)).toInfo()
}

const TOO_LARGE: ReadonlySet<number> = new Set([10, 18])

function expired(rows: readonly LedgerRow[]): ErrorInfo {
  const since = new Date(rows[0]!.transaction!.expiresAtMs!).toISOString()
  return transactionError('EXPIRED', { message: `transaction ${rows[0]!.id} was to be sent by ${since}` }).toInfo()
}

function forgotten(rows: readonly LedgerRow[]): ErrorInfo {
  const why = 'the relay has forgotten its mark, or its topics were deleted'
  const message = `whether transaction ${rows[0]!.id} is in the log cannot be told: ${why}`
  return outboxError('OUTCOME_UNKNOWN', { message }).toInfo()
}
