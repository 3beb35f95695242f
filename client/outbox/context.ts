/** What the parts of a draining outbox share. */
import type { Clock } from '../../protocol/lib/clock.ts'
import type { Random } from '../../protocol/lib/random.ts'
import type { Settled } from '../core.ts'
import type { ErrorInfo } from '../errors.ts'
import type { ReplicaStore } from '../replica/store.ts'
import type { OutboxChange, OutboxRow } from '../replica/store-outbox.ts'
import type { Session } from '../session.ts'
import type { CommitQueue } from './commit-queue.ts'
import { asParked, type LedgerRow, type OutboxLedger } from './ledger.ts'

export interface DrainContext {
  readonly session: Session
  readonly store: ReplicaStore
  readonly ledger: OutboxLedger
  readonly commits: CommitQueue
  readonly clock: Clock
  readonly random: Random
  /** A producer that the relay does not know may have been forgotten after so long. */
  producerExpiryMs(): number
  /** See OutboxOptions. */
  readonly missingTopicGraceMs: number
  /** Changes with each connection: what was begun on an older one is not continued on a newer. */
  connectionNumber(): number
  /** Looks for work soon. */
  wake(): void
  settled(settled: Settled[]): void
  /** Sets the whole transaction aside to which the row belongs. Rejects while it is under way. */
  refuseTransaction(row: LedgerRow, error: ErrorInfo): Promise<void>
  /** A store unit failed: some kinds end the outbox, the others are shown. */
  storeFailed(failure: unknown): void
}

const RETRY_DELAY_MS_MIN = 100
const RETRY_DELAY_MS_MAX = 10_000

/** Notes a failure of a lane or a topic; it waits longer each time, with jitter. */
export function backOff(target: { failures: number; retryAt: number }, context: DrainContext): void {
  const ceiling = Math.min(RETRY_DELAY_MS_MAX, RETRY_DELAY_MS_MIN * 2 ** Math.min(target.failures, 10))
  target.failures++
  target.retryAt = context.clock.monotonic() + ceiling * (0.5 + context.random.next() / 2)
}

export interface Verdict {
  rows: readonly LedgerRow[]
  phase: 'parked' | 'unknown'
  error: ErrorInfo
}

/** Sets rows aside together with whatever else must change in the same step, then tells the writers. */
export async function setAside(
  context: DrainContext,
  verdicts: readonly Verdict[],
  change: OutboxChange = {},
): Promise<void> {
  const putRows: OutboxRow[] = []
  for (const { rows, phase, error } of verdicts) {
    const stored = await context.store.readOutboxRows(rows.map(({ key }) => key))
    for (const row of stored) if (row) putRows.push({ ...row, state: phase, error })
  }
  await context.commits.commit({ ...change, putRows: [...(change.putRows ?? []), ...putRows] })
  for (const { rows, phase, error } of verdicts) for (const row of rows) asParked(row, phase, error)
  tellEnded(
    context,
    verdicts.flatMap(({ rows }) => rows.map(({ id }) => id)),
  )
}

export function tellEnded(context: DrainContext, ids: readonly string[]): void {
  const settled: Settled[] = []
  for (const id of new Set(ids)) {
    const settlement = context.ledger.settlementOf(id)
    if (settlement) settled.push(settlement)
  }
  if (settled.length > 0) context.settled(settled)
}
