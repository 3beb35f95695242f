/**
 * What is done to a lane besides sending: sealing, asking the relay what has landed, acting on a refusal.
 *
 * Invariant: a lane changes in memory only after its store unit is complete, and only one of these runs on it at a time.
 */
import { ErrorCode } from '../../protocol/errors.ts'
import { OttlaError } from '../errors.ts'
import type { OutboxChange, ProducerIdentity } from '../replica/store-outbox.ts'
import { backOff, type DrainContext, setAside, type Verdict } from './context.ts'
import { IN_FLIGHT_MAX, type Lane, type LaneBatch, laneBatch } from './lane.ts'
import type { LedgerRow } from './ledger.ts'
import { EPOCH_MAX, type KnownProducer, planRecovery, type RecoveryPlan } from './recovery.ts'
import { askProducers } from './relay-calls.ts'
import { planSealing } from './sealer.ts'
import { unknownOutcome } from './settlement.ts'

/** Our stamp was refused so often although the relay's state fits it: it is given up. */
const QUARRELS_MAX = 3

/** Runs `work` on the lane alone; a failure makes the lane wait, never the outbox. */
export async function withLane(lane: Lane, context: DrainContext, work: () => Promise<void>): Promise<void> {
  lane.isBusy = true
  try {
    await work()
  } catch (failure) {
    backOff(lane, context)
    if (!(failure instanceof OttlaError)) context.storeFailed(failure)
  } finally {
    lane.isBusy = false
    context.wake()
  }
}

export async function sealLane(
  lane: Lane,
  context: DrainContext,
  keys: () => number,
  newProducer: () => Promise<number>,
): Promise<void> {
  let { identity } = lane
  try {
    identity ??= await newIdentity(lane, newProducer)
  } catch (failure) {
    // Who may write nowhere is given no producer id: the answer that a write would have got.
    if (!(failure instanceof OttlaError) || failure.code !== 'NOT_AUTHORIZED') throw failure
    return refuseWaiting(lane, context, failure)
  }
  const sealing = planSealing(lane, identity, IN_FLIGHT_MAX - lane.sealed.length, keys, context.clock.now())
  const rows = sealing.batches.flatMap((batch) => batch.rows)
  if (rows.length === 0) return
  for (const row of rows) row.isBusy = true
  try {
    await context.commits.commit({
      putSealed: sealing.batches.map(({ sealed }) => sealed),
      putIdentities: [sealing.identity],
    })
  } finally {
    for (const row of rows) row.isBusy = false
  }
  // Only rows behind these were added or taken back meanwhile.
  lane.waiting.splice(0, rows.length)
  for (const row of rows) row.phase = 'sealed'
  lane.sealed.push(...sealing.batches.map((batch) => laneBatch(batch.sealed, batch.rows, false)))
  lane.identity = sealing.identity
}

async function refuseWaiting(lane: Lane, context: DrainContext, failure: OttlaError): Promise<void> {
  const rows = lane.waitingAlone.slice()
  for (const row of rows) row.isBusy = true
  try {
    await setAside(context, [{ rows, phase: 'parked', error: failure.toInfo() }])
  } finally {
    for (const row of rows) row.isBusy = false
  }
  const refused = new Set(rows)
  lane.waiting = lane.waiting.filter((row) => !refused.has(row))
}

async function newIdentity(lane: Lane, newProducer: () => Promise<number>): Promise<ProducerIdentity> {
  const { topicId, partition } = lane
  return { topicId, partition, producerId: await newProducer(), producerEpoch: 0, nextSequence: 0 }
}

/** Asks about all `lanes` in one call and acts on what comes back. */
export async function askAndRecover(
  lanes: readonly Lane[],
  context: DrainContext,
  giveUpProducer: () => void,
): Promise<void> {
  const connection = context.connectionNumber()
  for (const lane of lanes) lane.isBusy = true
  let answers: Array<Map<number, KnownProducer> | { errorCode: number }>
  try {
    answers = await askOrGoBlind(lanes, context)
  } catch {
    for (const lane of lanes) {
      lane.isBusy = false
      backOff(lane, context)
    }
    return context.wake()
  }
  const recoveries = lanes.map((lane, index) =>
    withLane(lane, context, async () => {
      if (connection !== context.connectionNumber()) return
      const answer = answers[index]!
      if (answer instanceof Map) await recoverLane(lane, answer, false, context, giveUpProducer)
      else if (BLINDING_CODES.has(answer.errorCode)) await recoverLane(lane, new Map(), true, context, giveUpProducer)
      else backOff(lane, context)
    }),
  )
  await Promise.all(recoveries)
}

/** Kafka wants the right to read for this question; a producer that may only write goes on without the answer. */
const BLINDING_CODES: ReadonlySet<number> = new Set([
  ErrorCode.TOPIC_AUTHORIZATION_FAILED,
  ErrorCode.CLUSTER_AUTHORIZATION_FAILED,
  ErrorCode.UNSUPPORTED_VERSION,
])

async function askOrGoBlind(lanes: readonly Lane[], context: DrainContext) {
  try {
    return await askProducers(context.session, lanes)
  } catch (failure) {
    const cannotBeAsked = failure instanceof OttlaError && failure.code === 'UNSUPPORTED'
    if (!cannotBeAsked) throw failure
    return lanes.map(() => ({ errorCode: ErrorCode.UNSUPPORTED_VERSION }))
  }
}

async function recoverLane(
  lane: Lane,
  producers: ReadonlyMap<number, KnownProducer>,
  isBlind: boolean,
  context: DrainContext,
  giveUpProducer: () => void,
): Promise<void> {
  const connection = context.connectionNumber()
  lane.isBlind = isBlind
  const plan = planRecovery({
    sealed: lane.sealed.map(({ sealed, mayHaveLanded }) => ({ batch: sealed, mayHaveLanded })),
    identity: lane.identity,
    producers,
    nowMs: context.clock.now(),
    producerExpiryMs: context.producerExpiryMs(),
    isStampRefused: lane.quarrels >= QUARRELS_MAX,
    isBlind,
  })
  const inPlan = (keys: readonly number[]) => lane.sealed.filter(({ sealed }) => keys.includes(sealed.key))
  const unknown = inPlan(plan.unknown)
  await rewind(lane, context, {
    restamp: inPlan(plan.restamp),
    verdicts: unknown.map(({ rows }) => ({
      rows,
      phase: 'unknown',
      error: unknownOutcome(lane, 'the relay has forgotten the producer, or somebody else wrote under its id'),
    })),
    ended: unknown,
    rotate: plan.rotate,
    giveUpProducer,
  })
  noteEvidence(lane, plan, isBlind)
  if (connection !== context.connectionNumber()) return
  lane.standing = plan.isKnownToRelay ? 'known' : 'fresh'
  if (plan.rotate !== 'no') lane.quarrels = 0
}

function noteEvidence(lane: Lane, plan: RecoveryPlan, isBlind: boolean): void {
  for (const batch of lane.sealed) {
    batch.hasLanded = plan.landed.includes(batch.sealed.key)
    // What is not in the relay's state, and too young to be forgotten, never came.
    if (!batch.hasLanded && !isBlind) batch.mayHaveLanded = false
  }
}

interface Rewind {
  /** Back to waiting rows. */
  restamp: readonly LaneBatch[]
  verdicts: readonly Verdict[]
  /** Batches that the verdicts are about. */
  ended: readonly LaneBatch[]
  rotate: 'no' | 'epoch' | 'id'
  giveUpProducer(): void
}

/** Takes sealed batches apart and changes the stamp, all in one store unit. */
async function rewind(lane: Lane, context: DrainContext, plan: Rewind): Promise<void> {
  const { restamp, ended, verdicts, rotate } = plan
  const gone = [...restamp, ...ended]
  const identity = lane.identity && rotate === 'epoch' ? nextEpoch(lane.identity) : lane.identity
  if (gone.length > 0 || identity !== lane.identity || (rotate === 'id' && lane.identity)) {
    const change: OutboxChange = { deleteSealed: gone.map(({ sealed }) => sealed.key) }
    if (rotate === 'id') change.deleteIdentities = [lane]
    else if (identity) change.putIdentities = [identity]
    await setAside(context, verdicts, change)
  }
  if (rotate === 'id') {
    lane.identity = undefined
    plan.giveUpProducer()
  } else {
    lane.identity = identity
  }
  for (const batch of gone) lane.remove(batch)
  lane.waiting.unshift(...waitingAgain(restamp))
}

function waitingAgain(batches: readonly LaneBatch[]): LedgerRow[] {
  const rows = batches.flatMap((batch) => batch.rows)
  for (const row of rows) row.phase = 'waiting'
  return rows
}

function nextEpoch(identity: ProducerIdentity): ProducerIdentity {
  return { ...identity, producerEpoch: identity.producerEpoch + 1, nextSequence: 0 }
}

/** The lane is drained and one of its batches was refused for good: set it aside, or halve it to find the culprit. */
export async function actOnRefusal(lane: Lane, context: DrainContext, giveUpProducer: () => void): Promise<void> {
  const refused = lane.refusedBatch!
  const { kind, error } = refused.refusal!
  const later = lane.sealed.slice(lane.sealed.indexOf(refused) + 1)
  const isLaterOpen = later.some(({ mayHaveLanded }) => mayHaveLanded)
  if ((refused.mayHaveLanded || isLaterOpen) && kind !== 'unknown' && !lane.isBlind) {
    // Earlier attempts were not answered and may have been taken: what the relay knows decides what a refusal means.
    refused.refusal = undefined
    lane.standing = 'unknown'
    return
  }
  const isOpen = kind === 'unknown' || refused.mayHaveLanded
  const isDivisible = kind === 'refused-record' && refused.rows.length > 1 && !isOpen && !isLaterOpen
  if (isDivisible) halve(refused.rows)
  const verdict: Verdict = isOpen
    ? { rows: refused.rows, phase: 'unknown', error: openRefusal(lane, error) }
    : { rows: refused.rows, phase: 'parked', error }
  const restamp = isLaterOpen ? [] : later
  await rewind(lane, context, {
    restamp: isDivisible ? [refused, ...restamp] : restamp,
    verdicts: isDivisible ? [] : [verdict],
    ended: isDivisible ? [] : [refused],
    rotate: lane.identity && lane.identity.producerEpoch >= EPOCH_MAX ? 'id' : 'epoch',
    giveUpProducer,
  })
  // The relay has no state for the new stamp yet. Open batches, or a connection lost meanwhile, leave more to ask.
  if (isLaterOpen) lane.standing = 'unknown'
  else if (lane.standing !== 'unknown') lane.standing = 'fresh'
}

function openRefusal(lane: Lane, error: Verdict['error']): Verdict['error'] {
  return unknownOutcome(lane, `an earlier attempt was not answered, a later one was refused: ${error.message}`)
}

function halve(rows: readonly LedgerRow[]): void {
  const half = Math.ceil(rows.length / 2)
  for (const row of rows) row.sharedWithMax = Math.min(row.sharedWithMax, half)
}
