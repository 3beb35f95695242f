/**
 * After a restart, a lost connection or a quarrel about sequences: what has landed, what has not, and under which stamp
 * to go on. A pure decision from what the relay says of its producers (DescribeProducers).
 *
 * Invariants:
 *  - a batch is stamped anew only when the relay's own state shows that it is not in the log, or when it was never sent;
 *  - a batch that the relay may have taken and then forgotten is 'unknown', never sent again by itself;
 *  - whoever wrote further under our producer id than we know of (a copied profile, storage that went back in time) is
 *    somebody else: that id is given up, because an equal sequence would be taken for a duplicate and lost.
 */
import type { ProducerIdentity, SealedBatch } from '../replica/store-outbox.ts'

export interface KnownProducer {
  producerEpoch: number
  /** -1: known, but without a batch. */
  lastSequence: number
}

export interface RecoveryInput {
  /** In the order in which they are to be in the log. */
  sealed: ReadonlyArray<{ batch: SealedBatch; mayHaveLanded: boolean }>
  identity: ProducerIdentity | undefined
  /** The relay's state for this partition, by producer id. */
  producers: ReadonlyMap<number, KnownProducer>
  nowMs: number
  /** The relay forgets a producer so long after its last write. */
  producerExpiryMs: number
  /** The relay refused our sequence before although its state fits: give the stamp up. */
  isStampRefused: boolean
  /** The relay does not tell (no right to ask): `producers` is empty whatever it knows. */
  isBlind: boolean
}

export interface RecoveryPlan {
  /** In the log. Sending them again within the relay's window tells the offset. */
  landed: number[]
  /** Send as they are. */
  resend: number[]
  /** Not in the log, and their stamp is no good: back to rows. */
  restamp: number[]
  unknown: number[]
  /** How the next stamp must differ. */
  rotate: 'no' | 'epoch' | 'id'
  /** The relay has state for the stamp that comes next, so it refuses a batch that overtakes another. */
  isKnownToRelay: boolean
}

export const EPOCH_MAX = 32_767
const SEQUENCE_SPAN = 2_147_483_648
/** A wall clock that went back further than this makes a batch's age meaningless. */
const CLOCK_SLACK_MS = 24 * 3_600_000

export function planRecovery(input: RecoveryInput): RecoveryPlan {
  const { sealed, identity, producers } = input
  const plan: RecoveryPlan = {
    landed: [],
    resend: [],
    restamp: [],
    unknown: [],
    rotate: 'no',
    isKnownToRelay: false,
  }
  if (identity && isUsedByAnother(identity, producers.get(identity.producerId))) {
    for (const { batch, mayHaveLanded } of sealed) (mayHaveLanded ? plan.unknown : plan.restamp).push(batch.key)
    plan.rotate = 'id'
    return plan
  }
  for (const each of sealed) placeBatch(each, input, plan)
  if (plan.restamp.length > 0 || plan.unknown.length > 0 || hasRelayGoneBack(input)) plan.rotate = 'epoch'
  if (plan.rotate === 'epoch' && identity && identity.producerEpoch >= EPOCH_MAX) plan.rotate = 'id'
  const known = identity && producers.get(identity.producerId)
  plan.isKnownToRelay = plan.rotate === 'no' && known !== undefined && known.producerEpoch === identity?.producerEpoch
  return plan
}

function placeBatch(
  { batch, mayHaveLanded }: { batch: SealedBatch; mayHaveLanded: boolean },
  input: RecoveryInput,
  plan: RecoveryPlan,
): void {
  const { key, producerEpoch, baseSequence } = batch
  const known = input.producers.get(batch.producerId)
  if (!known) {
    const isOpen = mayHaveLanded && (mayBeForgotten(batch, input) || (input.isBlind && input.isStampRefused))
    if (isOpen) plan.unknown.push(key)
    else if (plan.restamp.length > 0 || input.isStampRefused) plan.restamp.push(key)
    else plan.resend.push(key)
  } else if (known.producerEpoch > producerEpoch) {
    // A later epoch of ours begins only after everything of the earlier one has been answered.
    ;(mayHaveLanded ? plan.landed : plan.restamp).push(key)
  } else if (known.producerEpoch === producerEpoch && hasReached(known.lastSequence, lastSequence(batch))) {
    plan.landed.push(key)
  } else {
    const expected = known.producerEpoch < producerEpoch ? 0 : sequenceAfter(known.lastSequence, 1)
    const isNext = plan.resend.length > 0 || baseSequence === expected
    if (isNext && plan.restamp.length === 0 && !input.isStampRefused) plan.resend.push(key)
    else plan.restamp.push(key)
  }
}

function isUsedByAnother(identity: ProducerIdentity, known: KnownProducer | undefined): boolean {
  if (!known) return false
  if (known.producerEpoch !== identity.producerEpoch) return known.producerEpoch > identity.producerEpoch
  return known.lastSequence >= 0 && hasReached(known.lastSequence, identity.nextSequence)
}

/** Nothing waits for an answer, and yet the relay does not know the last thing it answered: begin a sequence anew. */
function hasRelayGoneBack({ sealed, identity, producers }: RecoveryInput): boolean {
  if (!identity || sealed.length > 0) return false
  const known = producers.get(identity.producerId)
  if (!known || known.producerEpoch < identity.producerEpoch) return identity.nextSequence > 0
  return sequenceAfter(known.lastSequence, 1) !== identity.nextSequence
}

function mayBeForgotten(batch: SealedBatch, { nowMs, producerExpiryMs }: RecoveryInput): boolean {
  const ageMs = nowMs - batch.sealedAtMs
  return ageMs > producerExpiryMs || ageMs < -CLOCK_SLACK_MS
}

/** Whether `sequence`, which counts on and wraps, has come to `goal`. */
function hasReached(sequence: number, goal: number): boolean {
  return sequence >= 0 && (sequence - goal + SEQUENCE_SPAN) % SEQUENCE_SPAN < SEQUENCE_SPAN / 2
}

const sequenceAfter = (sequence: number, count: number): number => (sequence + count) % SEQUENCE_SPAN
const lastSequence = (batch: SealedBatch): number => sequenceAfter(batch.baseSequence, batch.recordCount - 1)
