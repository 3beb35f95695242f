/** Offsets in transactions: pending until the transaction is decided, whatever happens meanwhile. */
import { describe, expect, test } from 'vitest'
import { ErrorCode } from '../../../protocol/errors.ts'
import { HandClock } from '../../../protocol/lib/clock.ts'
import type { GroupCoordinator } from '../../../server/coordinator/runtime.ts'
import { PENDING_BYTES_MAX } from '../../../server/coordinator/transactional-offsets.ts'
import { MemoryFiles } from '../../../server/storage/memory-files.ts'
import {
  codeOf,
  committed,
  groupOfOne,
  joinRequest,
  MINUTE_MS,
  NOBODY,
  offsetOf,
  openCoordinator,
  stays,
} from './coordinator-fixture.ts'

const P = { producerId: 7, producerEpoch: 0 }
const Q = { producerId: 8, producerEpoch: 0 }

async function isUnstable(coordinator: GroupCoordinator, partition = 0): Promise<boolean> {
  const [found] = await coordinator.fetchOffsets('g', [{ topicId: 'T', partition }])
  return found!.isUnstable
}

describe('[TXN-20] offsets of a transaction count when it commits, and never when it aborts', () => {
  test('pending ones are unstable and do not show', async () => {
    const coordinator = await openCoordinator()
    await coordinator.commit('g', NOBODY, [offsetOf(0, 1), offsetOf(1, 1)])
    await coordinator.commitInTransaction('g', NOBODY, P, [offsetOf(0, 5)])
    expect(await committed(coordinator)).toEqual({ 'T/0': 1, 'T/1': 1 })
    expect([await isUnstable(coordinator, 0), await isUnstable(coordinator, 1)]).toEqual([true, false])
    await coordinator.decideTransaction(['g', 'absent'], 7, 'commit')
    expect(await committed(coordinator)).toEqual({ 'T/0': 5, 'T/1': 1 })
    expect(await isUnstable(coordinator)).toBe(false)
    expect([...coordinator.pendingTransactions()]).toEqual([])
  })

  test('an abort forgets them; a second decision changes nothing', async () => {
    const coordinator = await openCoordinator()
    await coordinator.commitInTransaction('g', NOBODY, P, [offsetOf(0, 5)])
    await coordinator.decideTransaction(['g'], 7, 'abort')
    await coordinator.decideTransaction(['g'], 7, 'commit')
    expect(await committed(coordinator)).toEqual({})
    expect(coordinator.group('g')).toBeUndefined()
  })

  test('a plain commit that comes after counts, whatever becomes of the transaction', async () => {
    const coordinator = await openCoordinator()
    await coordinator.commitInTransaction('g', NOBODY, P, [offsetOf(0, 5), offsetOf(1, 5)])
    await coordinator.commit('g', NOBODY, [offsetOf(0, 9)])
    await coordinator.decideTransaction(['g'], 7, 'commit')
    expect(await committed(coordinator)).toEqual({ 'T/0': 9, 'T/1': 5 })
  })

  test('of two transactions the one that handed in last counts, whichever commits first', async () => {
    for (const order of [
      [7, 8],
      [8, 7],
    ]) {
      const coordinator = await openCoordinator()
      await coordinator.commitInTransaction('g', NOBODY, P, [offsetOf(0, 5)])
      await coordinator.commitInTransaction('g', NOBODY, Q, [offsetOf(0, 6)])
      for (const producerId of order) await coordinator.decideTransaction(['g'], producerId, 'commit')
      expect(await committed(coordinator)).toEqual({ 'T/0': 6 })
    }
  })

  test('they survive a restart and the rewriting of the log, in their order', async () => {
    const files = new MemoryFiles()
    const coordinator = await openCoordinator({ files, deadBytesMin: 8 * 1024, segmentBytes: 4 * 1024 })
    await coordinator.commitInTransaction('g', NOBODY, P, [offsetOf(0, 5)])
    await coordinator.commitInTransaction('g', NOBODY, Q, [offsetOf(0, 6), offsetOf(1, 6)])
    for (let round = 0; round < 400; round++) await coordinator.commit('other', NOBODY, [offsetOf(0, round)])
    await coordinator.close()
    const again = await openCoordinator({ files })
    expect([...again.pendingTransactions()]).toEqual([
      { groupId: 'g', ...P },
      { groupId: 'g', ...Q },
    ])
    await again.decideTransaction(['g'], 8, 'commit')
    await again.decideTransaction(['g'], 7, 'commit')
    expect(await committed(again)).toEqual({ 'T/0': 6, 'T/1': 6 })
  })
})

describe('[TXN-21] offsets of an open transaction are neither expired nor left behind', () => {
  test('no retention takes them, nor what they are to replace', async () => {
    const clock = new HandClock()
    const config = { offsetsRetentionMinutes: 1, offsetsRetentionCheckIntervalMs: MINUTE_MS }
    const coordinator = await openCoordinator({ clock, config })
    await coordinator.commit('g', NOBODY, [offsetOf(0, 1), offsetOf(1, 1)])
    await coordinator.commitInTransaction('g', NOBODY, P, [offsetOf(0, 5)])
    await clock.advanceAsync(10 * MINUTE_MS)
    expect(await committed(coordinator)).toEqual({ 'T/0': 1 })
    await coordinator.decideTransaction(['g'], 7, 'commit')
    expect(await committed(coordinator)).toEqual({ 'T/0': 5 })
    await clock.advanceAsync(15 * MINUTE_MS)
    expect(coordinator.groups()).toEqual([])
  })

  test('a deleted topic takes its own, a deleted group all', async () => {
    const topics = new Map([
      ['t', 'T'],
      ['u', 'U'],
    ])
    const coordinator = await openCoordinator({ topics })
    await coordinator.commitInTransaction('g', NOBODY, P, [offsetOf(0, 5), offsetOf(0, 5, 'U')])
    await coordinator.commitInTransaction('h', NOBODY, P, [offsetOf(0, 5)])
    topics.delete('u')
    coordinator.forgetTopic('U')
    await coordinator.deleteGroup('h')
    await coordinator.decideTransaction(['g', 'h'], 7, 'commit')
    expect(await committed(coordinator)).toEqual({ 'T/0': 5 })
    expect(await committed(coordinator, 'h')).toEqual({})
  })

  test('what they take is bounded, and freed by decisions', async () => {
    const coordinator = await openCoordinator()
    const large = offsetOf(0, 1, 'T', 'm'.repeat(4 * 1024 * 1024))
    const handIn = (producerId: number) =>
      codeOf(() => coordinator.commitInTransaction('g', NOBODY, { producerId, producerEpoch: 0 }, [large]))
    const fits = Math.floor(PENDING_BYTES_MAX / large.metadata.length) - 1
    for (let producerId = 0; producerId < fits; producerId++) expect(await handIn(producerId)).toBe(0)
    expect(await handIn(fits)).toBe(ErrorCode.POLICY_VIOLATION)
    await coordinator.decideTransaction(['g'], 0, 'abort')
    expect(await handIn(fits)).toBe(0)
    await coordinator.close()
  })
})

test('[TXN-22] only a member of the newest generation hands in offsets, or one that names no member at all', async () => {
  const coordinator = await openCoordinator()
  const claim = await groupOfOne(coordinator, 'g', { groupInstanceId: 'phone' })
  const handIn = (who: Partial<typeof claim>) =>
    codeOf(() => coordinator.commitInTransaction('g', { ...claim, ...who }, P, [offsetOf(0, 5)]))
  expect(await handIn({})).toBe(0)
  expect(await codeOf(() => coordinator.commitInTransaction('g', NOBODY, P, [offsetOf(0, 5)]))).toBe(0)
  expect(await handIn({ generationId: 7 })).toBe(ErrorCode.ILLEGAL_GENERATION)
  expect(await handIn({ memberId: 'stranger' })).toBe(ErrorCode.FENCED_INSTANCE_ID)
  expect(await handIn({ memberId: 'stranger', groupInstanceId: null })).toBe(ErrorCode.UNKNOWN_MEMBER_ID)
  expect(await codeOf(() => coordinator.commitInTransaction('none', claim, P, [offsetOf(0, 5)]))).toBe(
    ErrorCode.ILLEGAL_GENERATION,
  )
  void coordinator.join('g', joinRequest(), stays)
  expect(await handIn({})).toBe(0)
})
