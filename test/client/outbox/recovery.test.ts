import { expect, test } from 'vitest'
import { type KnownProducer, planRecovery, type RecoveryInput } from '../../../client/outbox/recovery.ts'
import type { ProducerIdentity, SealedBatch } from '../../../client/replica/store-outbox.ts'

const DAY_MS = 86_400_000
const NOW = 100 * DAY_MS
const SPAN = 2_147_483_648

/** Ten records from `baseSequence` on. */
function sealed(key: number, baseSequence: number, more: Partial<SealedBatch> = {}): SealedBatch {
  return {
    key,
    topic: 'flights',
    topicId: 'id',
    partition: 0,
    rowKeys: [key],
    recordCount: 10,
    producerId: 7,
    producerEpoch: 2,
    baseSequence,
    sealedAtMs: NOW - 1_000,
    ...more,
  }
}

const identity = (nextSequence: number, more: Partial<ProducerIdentity> = {}): ProducerIdentity => ({
  topicId: 'id',
  partition: 0,
  producerId: 7,
  producerEpoch: 2,
  nextSequence,
  ...more,
})

function plan(
  batches: SealedBatch[],
  known: KnownProducer | undefined,
  more: Partial<RecoveryInput> & { wereSent?: boolean } = {},
) {
  const last = batches.at(-1)
  const { wereSent = true, ...rest } = more
  return planRecovery({
    sealed: batches.map((batch) => ({ batch, mayHaveLanded: wereSent })),
    identity: identity(last ? (last.baseSequence + 10) % SPAN : 30),
    producers: new Map(known ? [[7, known]] : []),
    nowMs: NOW,
    producerExpiryMs: 20 * DAY_MS,
    isStampRefused: false,
    isBlind: false,
    ...rest,
  })
}

const three = () => [sealed(1, 0), sealed(2, 10), sealed(3, 20)]

test('[OUT-2] what the relay has has landed, the rest is sent again as it is', () => {
  expect(plan(three(), { producerEpoch: 2, lastSequence: 19 })).toEqual({
    landed: [1, 2],
    resend: [3],
    restamp: [],
    unknown: [],
    rotate: 'no',
    isKnownToRelay: true,
  })
})

test('a producer that the relay never heard of: young batches are sent again', () => {
  expect(plan(three(), undefined)).toMatchObject({
    resend: [1, 2, 3],
    unknown: [],
    rotate: 'no',
    isKnownToRelay: false,
  })
})

test('[OUT-4] a producer that the relay may have forgotten: old batches are of unknown outcome, and never sent again by themselves', () => {
  const old = sealed(1, 0, { sealedAtMs: NOW - 21 * DAY_MS })
  expect(plan([old, sealed(2, 10)], undefined)).toMatchObject({ unknown: [1], resend: [2], rotate: 'epoch' })
  expect(plan([old], undefined, { wereSent: false })).toMatchObject({ unknown: [], resend: [1] })
})

test('a wall clock that went far back makes ages meaningless', () => {
  expect(plan([sealed(1, 0, { sealedAtMs: NOW + 3 * DAY_MS })], undefined)).toMatchObject({ unknown: [1] })
})

test('[OUT-3] a relay that lost what came before takes the batches under a new stamp', () => {
  expect(plan([sealed(2, 10), sealed(3, 20)], { producerEpoch: 2, lastSequence: 4 })).toMatchObject({
    restamp: [2, 3],
    rotate: 'epoch',
    isKnownToRelay: false,
  })
  expect(plan([sealed(2, 10)], { producerEpoch: 1, lastSequence: 99 })).toMatchObject({ restamp: [2], rotate: 'epoch' })
})

test('the first batch of a new epoch may follow any sequence of the old one', () => {
  expect(plan([sealed(1, 0)], { producerEpoch: 1, lastSequence: 99 })).toMatchObject({ resend: [1], rotate: 'no' })
})

test('somebody else wrote under our id: it is given up, and what may have been sent is of unknown outcome', () => {
  expect(plan(three(), { producerEpoch: 2, lastSequence: 40 })).toMatchObject({ unknown: [1, 2, 3], rotate: 'id' })
  expect(plan(three(), { producerEpoch: 3, lastSequence: 0 })).toMatchObject({ unknown: [1, 2, 3], rotate: 'id' })
  expect(plan(three(), { producerEpoch: 3, lastSequence: 0 }, { wereSent: false })).toMatchObject({
    restamp: [1, 2, 3],
    rotate: 'id',
  })
})

test('a later epoch of ours at the relay means that the earlier one was answered', () => {
  const batches = [sealed(1, 0), sealed(2, 0, { producerEpoch: 3 })]
  const ours = { identity: identity(10, { producerEpoch: 3 }) }
  expect(plan(batches, { producerEpoch: 3, lastSequence: 9 }, ours)).toMatchObject({ landed: [1, 2], rotate: 'no' })
})

test('sequences wrap', () => {
  const batches = [sealed(1, SPAN - 15), sealed(2, SPAN - 5), sealed(3, 5)]
  expect(plan(batches, { producerEpoch: 2, lastSequence: 4 })).toMatchObject({
    landed: [1, 2],
    resend: [3],
    rotate: 'no',
  })
})

test('nothing in flight: the stamp goes on, begins anew, or is given up, as the relay knows it', () => {
  expect(plan([], { producerEpoch: 2, lastSequence: 29 })).toMatchObject({ rotate: 'no', isKnownToRelay: true })
  expect(plan([], { producerEpoch: 2, lastSequence: 12 })).toMatchObject({ rotate: 'epoch', isKnownToRelay: false })
  expect(plan([], undefined)).toMatchObject({ rotate: 'epoch', isKnownToRelay: false })
  expect(plan([], { producerEpoch: 2, lastSequence: 35 })).toMatchObject({ rotate: 'id' })
  expect(
    plan([], { producerEpoch: 2, lastSequence: 12 }, { identity: identity(30, { producerEpoch: 32_767 }) }),
  ).toMatchObject({ rotate: 'id' })
})

test('a stamp that the relay keeps refusing is given up, unless nobody can tell what has landed', () => {
  const refused = { isStampRefused: true }
  expect(plan([sealed(1, 0)], undefined, refused)).toMatchObject({ restamp: [1], rotate: 'epoch' })
  expect(plan([sealed(1, 0)], undefined, { ...refused, isBlind: true })).toMatchObject({ unknown: [1] })
  expect(plan([sealed(1, 0)], undefined, { isBlind: true })).toMatchObject({ resend: [1] })
})
