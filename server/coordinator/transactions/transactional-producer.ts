/**
 * One transactional id as a state machine: requests at given instants in, decisions out. It has no clock and does no I/O;
 * `deadline` says when `expire` must be called at the latest.
 *
 * A decision that changed something must be on disk before anybody hears of it.
 */
import { ErrorCode } from '../../../protocol/errors.ts'
import type { TransactionOutcome } from '../../../protocol/transaction-marker.ts'
import type { Instant } from '../group-state.ts'
import type { TopicPartition } from '../offsets.ts'
import type { ProducerIdentity } from '../transactional-offsets.ts'
import { PartitionSet, type StoredPartitions } from './partition-set.ts'
import {
  isPrepared,
  isSame,
  outcomeOf,
  PRODUCER_EPOCH_MAX,
  type TransactionPhase,
  type TransactionState,
} from './transaction-state.ts'

/** Partitions and groups in one transaction. */
export const TRANSACTION_MEMBERS_MAX = 10_000

/** What lasts, as JSON. */
export interface TransactionSnapshot extends Pick<TransactionState, 'identity' | 'previous' | 'timeoutMs' | 'phase'> {
  partitions: StoredPartitions
  groups: string[]
  marker: ProducerIdentity | null
  startedAtMs: number
  changedAtMs: number
}

export interface InitRequest {
  timeoutMs: number
  /** Who asks, if it has an identity already. */
  expected: ProducerIdentity | null
  /** For when the epochs of the present one are used up; asked for by the outcome where it is missing. */
  freshProducerId: number | undefined
}

export interface EndRequest {
  identity: ProducerIdentity
  outcome: TransactionOutcome
  /** Transaction version 2: the producer goes on with another identity. */
  changesIdentity: boolean
  freshProducerId: number | undefined
}

interface Refused {
  kind: 'refused'
  errorCode: number
}

export type InitOutcome =
  | Refused
  | { kind: 'needs-producer-id' }
  /** The producer may begin. `isChanged` is false when the request had been carried out before. */
  | { kind: 'ready'; isChanged: boolean }
  /** The transaction that was open is being aborted: ask again. */
  | { kind: 'aborting' }

export type EndOutcome =
  | Refused
  | { kind: 'needs-producer-id' }
  | { kind: 'decided' }
  /** It had been decided like this before. */
  | { kind: 'repeated' }

export class TransactionalProducer {
  readonly #state: TransactionState

  constructor(transactionalId: string, producerId: number, timeoutMs: number, at: Instant) {
    this.#state = {
      ...{ transactionalId, timeoutMs, identity: { producerId, producerEpoch: 0 }, previous: null },
      ...{ phase: 'Empty', partitions: new PartitionSet(), groups: new Set(), marker: null },
      ...{ startedAtMs: -1, changedAtMs: at.wallMs, deadline: undefined },
    }
  }

  /** As it was when `snapshot` was taken; an open transaction has its whole time again. */
  static restore(transactionalId: string, snapshot: TransactionSnapshot, at: Instant): TransactionalProducer {
    const { identity, previous, timeoutMs, phase, marker, startedAtMs, changedAtMs } = snapshot
    const producer = new TransactionalProducer(transactionalId, identity.producerId, timeoutMs, at)
    Object.assign(producer.#state, {
      ...{ identity, previous, phase, marker, startedAtMs, changedAtMs },
      partitions: PartitionSet.of(snapshot.partitions),
      groups: new Set(snapshot.groups),
      deadline: phase === 'Ongoing' ? at.monotonicMs + timeoutMs : undefined,
    })
    return producer
  }

  get transactionalId(): string {
    return this.#state.transactionalId
  }

  get phase(): TransactionPhase {
    return this.#state.phase
  }

  get identity(): ProducerIdentity {
    return this.#state.identity
  }

  get timeoutMs(): number {
    return this.#state.timeoutMs
  }

  get startedAtMs(): number {
    return this.#state.startedAtMs
  }

  get changedAtMs(): number {
    return this.#state.changedAtMs
  }

  /** Monotonic; undefined when nothing will happen by itself. */
  get deadline(): number | undefined {
    return this.#state.deadline
  }

  get partitions(): Iterable<TopicPartition> {
    return this.#state.partitions
  }

  get groups(): Iterable<string> {
    return this.#state.groups
  }

  /** What has to be written now; undefined unless in one of the Prepare states. */
  get ending(): { identity: ProducerIdentity; outcome: TransactionOutcome } | undefined {
    const outcome = outcomeOf(this.#state)
    return this.#state.marker && outcome ? { identity: this.#state.marker, outcome } : undefined
  }

  /** Nothing of it is open or being ended. */
  get isAtRest(): boolean {
    return this.phase !== 'Ongoing' && !isPrepared(this.#state)
  }

  // --- requests ------------------------------------------------------------------------------------------------

  /** InitProducerId: whoever asked before is fenced, its open transaction aborted. */
  init({ timeoutMs, expected, freshProducerId }: InitRequest, at: Instant): InitOutcome {
    const state = this.#state
    const isCurrent = expected === null || isSame(state.identity, expected)
    const isRepeat = expected !== null && isSame(state.previous, expected)
    if (!isCurrent && !isRepeat) return refused(ErrorCode.PRODUCER_FENCED)
    if (isPrepared(state)) return refused(ErrorCode.CONCURRENT_TRANSACTIONS)
    if (state.phase === 'Ongoing') {
      this.#abort(expected, at)
      return { kind: 'aborting' }
    }
    const isExhausted = state.identity.producerEpoch >= (isRepeat ? PRODUCER_EPOCH_MAX + 1 : PRODUCER_EPOCH_MAX)
    if (isRepeat && !isExhausted) return { kind: 'ready', isChanged: false }
    if (isExhausted && freshProducerId === undefined) return { kind: 'needs-producer-id' }
    this.#succeed(expected, isExhausted ? freshProducerId : undefined)
    this.#enter('Empty', at)
    state.timeoutMs = timeoutMs
    return { kind: 'ready', isChanged: true }
  }

  /** Partitions and groups join the transaction, which begins with the first. An error code, and whether anything changed. */
  add(
    identity: ProducerIdentity,
    { partitions = [], groups = [] }: { partitions?: readonly TopicPartition[]; groups?: readonly string[] },
    at: Instant,
  ): { errorCode: number; isChanged: boolean } {
    const state = this.#state
    const errorCode = this.#actError(identity)
    if (errorCode !== ErrorCode.NONE) return { errorCode, isChanged: false }
    const newPartitions = partitions.filter((each) => !state.partitions.has(each))
    const newGroups = groups.filter((each) => !state.groups.has(each))
    const isChanged = state.phase !== 'Ongoing' || newPartitions.length + newGroups.length > 0
    const size = state.partitions.size + state.groups.size + newPartitions.length + newGroups.length
    if (size > TRANSACTION_MEMBERS_MAX) return { errorCode: ErrorCode.POLICY_VIOLATION, isChanged: false }
    if (state.phase !== 'Ongoing') this.#begin(at)
    for (const each of newPartitions) state.partitions.add(each)
    for (const each of newGroups) state.groups.add(each)
    if (isChanged) state.changedAtMs = at.wallMs
    return { errorCode, isChanged }
  }

  /** Whether the identity may write here in its transaction now; INVALID_TXN_STATE when it may not here. */
  verify(identity: ProducerIdentity, member: { partition: TopicPartition } | { group: string }): number {
    const errorCode = this.#actError(identity)
    if (errorCode !== ErrorCode.NONE) return errorCode
    const { phase, partitions, groups } = this.#state
    const isIn = 'group' in member ? groups.has(member.group) : partitions.has(member.partition)
    return phase === 'Ongoing' && isIn ? ErrorCode.NONE : ErrorCode.INVALID_TXN_STATE
  }

  /** EndTxn. */
  end({ identity, outcome, changesIdentity, freshProducerId }: EndRequest, at: Instant): EndOutcome {
    const state = this.#state
    const isRepeat = isSame(state.previous, identity)
    if (isRepeat && changesIdentity && outcomeOf(state) !== undefined) return this.#repeated(outcome)
    const errorCode = this.#identityError(identity)
    if (errorCode !== ErrorCode.NONE) return refused(errorCode)
    if (state.phase !== 'Ongoing') {
      if (!changesIdentity) return this.#repeated(outcome)
      if (isPrepared(state)) return refused(ErrorCode.CONCURRENT_TRANSACTIONS)
      // Its writes may all have been lost on the way: nothing has begun here, and that is what it gives up.
      if (outcome === 'commit') return refused(ErrorCode.INVALID_TXN_STATE)
      this.#begin(at)
    }
    if (!changesIdentity) {
      this.#decide(outcome, state.identity, at)
      return { kind: 'decided' }
    }
    const { producerId, producerEpoch } = state.identity
    const isExhausted = producerEpoch >= PRODUCER_EPOCH_MAX
    if (isExhausted && freshProducerId === undefined) return { kind: 'needs-producer-id' }
    this.#succeed(identity, isExhausted ? freshProducerId : undefined)
    this.#decide(outcome, { producerId, producerEpoch: producerEpoch + 1 }, at)
    return { kind: 'decided' }
  }

  #repeated(outcome: TransactionOutcome): EndOutcome {
    return outcomeOf(this.#state) === outcome ? { kind: 'repeated' } : refused(ErrorCode.INVALID_TXN_STATE)
  }

  /** Its time is up: aborted, and the producer fenced. Returns whether that is so. */
  expire(at: Instant): boolean {
    const { deadline } = this.#state
    if (deadline === undefined || deadline > at.monotonicMs) return false
    this.#abort(null, at)
    return true
  }

  // --- what follows a decision ---------------------------------------------------------------------------------

  marked(partition: TopicPartition): void {
    this.#state.partitions.delete(partition)
  }

  /** The groups' offsets have followed the decision. */
  groupsDecided(): void {
    this.#state.groups.clear()
  }

  /** Every partition has its marker. */
  complete(at: Instant): void {
    this.#enter(outcomeOf(this.#state) === 'commit' ? 'CompleteCommit' : 'CompleteAbort', at)
  }

  die(at: Instant): void {
    this.#enter('Dead', at)
  }

  snapshot(): TransactionSnapshot {
    const { transactionalId: _, deadline: __, partitions, groups, ...rest } = this.#state
    return { ...rest, partitions: partitions.stored(), groups: [...groups] }
  }

  // --- steps ---------------------------------------------------------------------------------------------------

  #identityError({ producerId, producerEpoch }: ProducerIdentity): number {
    const { identity } = this.#state
    if (this.phase === 'Dead' || producerId !== identity.producerId) return ErrorCode.INVALID_PRODUCER_ID_MAPPING
    return producerEpoch === identity.producerEpoch ? ErrorCode.NONE : ErrorCode.PRODUCER_FENCED
  }

  /** Whether the identity may write, or add. */
  #actError(identity: ProducerIdentity): number {
    const errorCode = this.#identityError(identity)
    if (errorCode !== ErrorCode.NONE) return errorCode
    return isPrepared(this.#state) ? ErrorCode.CONCURRENT_TRANSACTIONS : ErrorCode.NONE
  }

  #begin(at: Instant): void {
    this.#enter('Ongoing', at)
    // It has heard its identity: what comes in the name of the last one from now on is late.
    this.#state.previous = null
    this.#state.startedAtMs = at.wallMs
    this.#state.deadline = at.monotonicMs + this.#state.timeoutMs
  }

  /** Without being asked by whoever wrote: the next identity is nobody's, or that of `asker` if it asks again. */
  #abort(asker: ProducerIdentity | null, at: Instant): void {
    this.#succeed(asker, undefined)
    this.#decide('abort', this.#state.identity, at)
  }

  #succeed(previous: ProducerIdentity | null, freshProducerId: number | undefined): void {
    const state = this.#state
    const { producerId, producerEpoch } = state.identity
    state.previous = previous
    state.identity =
      freshProducerId === undefined
        ? { producerId, producerEpoch: producerEpoch + 1 }
        : { producerId: freshProducerId, producerEpoch: 0 }
  }

  #decide(outcome: TransactionOutcome, marker: ProducerIdentity, at: Instant): void {
    this.#state.phase = outcome === 'commit' ? 'PrepareCommit' : 'PrepareAbort'
    this.#state.marker = marker
    this.#state.changedAtMs = at.wallMs
    this.#state.deadline = undefined
  }

  /** With nothing left of what was before. */
  #enter(phase: TransactionPhase, at: Instant): void {
    const state = this.#state
    state.phase = phase
    state.changedAtMs = at.wallMs
    state.deadline = undefined
    state.marker = null
    state.partitions.clear()
    state.groups.clear()
  }
}

const refused = (errorCode: number): Refused => ({ kind: 'refused', errorCode })
