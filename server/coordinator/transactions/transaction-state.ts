/**
 * The state of one transactional id, and what its requests lead to.
 *
 *     ┌──init──> Empty ──add──> Ongoing ──end, or time is up, or init──> PrepareCommit | PrepareAbort
 *     │                            ^                                              │
 *     │                            └────add──── CompleteCommit | CompleteAbort <──┘ all markers are written
 *     └──────────────────────init──────────────────────┘
 *
 * Any state but Ongoing and the two of preparation leads to Dead when the id is forgotten.
 *
 * Invariants
 *  - Only the current identity (producer id and epoch) may act. A request of any other is refused and changes nothing,
 *    whatever it asks for and however late it comes.
 *  - The identity changes with each initialisation, with each abort that the producer did not ask for, and, for clients
 *    of transaction version 2 (KIP-890), with each end. No identity is ever given out twice.
 *  - What a Prepare state has decided is never decided otherwise.
 */
import type { TransactionOutcome } from '../../../protocol/transaction-marker.ts'
import type { ProducerIdentity } from '../transactional-offsets.ts'
import type { PartitionSet } from './partition-set.ts'

export const TRANSACTION_PHASES = [
  'Empty',
  'Ongoing',
  'PrepareCommit',
  'PrepareAbort',
  'CompleteCommit',
  'CompleteAbort',
  'Dead',
] as const
export type TransactionPhase = (typeof TRANSACTION_PHASES)[number]

/** The last epoch that a producer is given. The one after it is for the marker that ends its last transaction. */
export const PRODUCER_EPOCH_MAX = 32_766

export interface TransactionState {
  readonly transactionalId: string
  /** Who may act. */
  identity: ProducerIdentity
  /**
   * Who acted before, if the last change of identity was at its own request, and until the new one acts: a request of it
   * may be that same one again, its answer having been lost.
   */
  previous: ProducerIdentity | null
  timeoutMs: number
  phase: TransactionPhase
  /** Of the present transaction, or those that have no marker yet. */
  readonly partitions: PartitionSet
  /** Groups for which offsets were handed in. */
  readonly groups: Set<string>
  /** In whose name markers are written; null unless one of the Prepare states. */
  marker: ProducerIdentity | null
  /** Wall clock, -1 before the first transaction. */
  startedAtMs: number
  /** Wall clock: when it was last used. */
  changedAtMs: number
  /** Monotonic; undefined unless Ongoing. */
  deadline: number | undefined
}

export const isSame = (a: ProducerIdentity | null, b: ProducerIdentity): boolean =>
  a !== null && a.producerId === b.producerId && a.producerEpoch === b.producerEpoch

export const isPrepared = ({ phase }: { phase: TransactionPhase }): boolean =>
  phase === 'PrepareCommit' || phase === 'PrepareAbort'

/** What was decided last; undefined when nothing was since the last initialisation. */
export function outcomeOf({ phase }: { phase: TransactionPhase }): TransactionOutcome | undefined {
  if (phase === 'PrepareCommit' || phase === 'CompleteCommit') return 'commit'
  if (phase === 'PrepareAbort' || phase === 'CompleteAbort') return 'abort'
  return undefined
}
