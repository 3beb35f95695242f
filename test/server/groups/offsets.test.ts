/** Committed offsets: who may commit, how long they last, and whose they are. */
import { describe, expect, test } from 'vitest'
import { ErrorCode } from '../../../protocol/errors.ts'
import { HandClock } from '../../../protocol/lib/clock.ts'
import { MemoryFiles } from '../../../server/storage/memory-files.ts'
import {
  codeOf,
  committed,
  DAY_MS,
  groupOfOne,
  joinRequest,
  MINUTE_MS,
  NOBODY,
  offsetOf,
  openCoordinator,
  stays,
} from './coordinator-fixture.ts'

describe('[GRP-11] a commit is kept with its epoch and metadata, by topic id', () => {
  test('and found again by all and by some', async () => {
    const coordinator = await openCoordinator()
    await coordinator.commit('g', NOBODY, [offsetOf(0, 5, 'T', 'note'), offsetOf(1, 6)])
    await coordinator.commit('g', NOBODY, [offsetOf(1, 7), offsetOf(0, 1, 'U')])
    expect(await committed(coordinator)).toEqual({ 'T/0': 5, 'T/1': 7, 'U/0': 1 })
    const [known, unknown] = await coordinator.fetchOffsets('g', [
      { topicId: 'T', partition: 0 },
      { topicId: 'T', partition: 9 },
    ])
    expect(known!.committed).toMatchObject({ offset: 5, leaderEpoch: 3, metadata: 'note' })
    expect(unknown!.committed).toBeUndefined()
    expect(await committed(coordinator, 'other')).toEqual({})
  })

  test('a topic that goes takes its commits with it', async () => {
    const files = new MemoryFiles()
    const coordinator = await openCoordinator({ files })
    await coordinator.commit('g', NOBODY, [offsetOf(0, 5), offsetOf(0, 1, 'U')])
    coordinator.forgetTopic('T')
    expect(await committed(coordinator)).toEqual({ 'U/0': 1 })
    await coordinator.close()
    expect(await committed(await openCoordinator({ files }))).toEqual({ 'U/0': 1 })
  })
})

describe('[GRP-6] fencing of commits', () => {
  test('a member of an older generation, a stranger, a reader on its own beside members', async () => {
    const coordinator = await openCoordinator()
    const claim = await groupOfOne(coordinator)
    const codes = []
    for (const tried of [
      claim,
      { ...claim, generationId: claim.generationId - 1 },
      { ...claim, memberId: 'stranger' },
      NOBODY,
    ])
      codes.push(await codeOf(() => coordinator.commit('g', tried, [offsetOf(0, 1)])))
    expect(codes).toEqual([0, ErrorCode.ILLEGAL_GENERATION, ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.UNKNOWN_MEMBER_ID])
    expect(await codeOf(() => coordinator.commit('none', claim, [offsetOf(0, 1)]))).toBe(ErrorCode.ILLEGAL_GENERATION)
  })
})

describe('[GRP-12] an offset is forgotten its retention after the group has emptied', () => {
  const config = { offsetsRetentionMinutes: 60, offsetsRetentionCheckIntervalMs: MINUTE_MS }

  test('while there are members it lasts', async () => {
    const clock = new HandClock()
    const coordinator = await openCoordinator({ clock, config })
    const claim = await groupOfOne(coordinator, 'g', { sessionTimeoutMs: 30 * MINUTE_MS })
    await coordinator.commit('g', claim, [offsetOf(0, 5)])
    for (let half = 0; half < 48; half++) {
      expect(coordinator.heartbeat('g', claim)).toBe(0)
      await clock.advanceAsync(29 * MINUTE_MS)
    }
    expect(await committed(coordinator)).toEqual({ 'T/0': 5 })
    coordinator.leave('g', [claim])
    await clock.advanceAsync(59 * MINUTE_MS)
    expect(await committed(coordinator)).toEqual({ 'T/0': 5 })
    await clock.advanceAsync(2 * MINUTE_MS)
    expect(await committed(coordinator)).toEqual({})
    expect(coordinator.group('g')).toBeUndefined()
  })

  test('of a topic that the members no longer read, it lasts for its retention', async () => {
    const clock = new HandClock()
    const topics = new Map([
      ['t', 'T'],
      ['u', 'U'],
    ])
    const coordinator = await openCoordinator({ clock, config, topics })
    const claim = await groupOfOne(coordinator, 'g', { sessionTimeoutMs: 30 * MINUTE_MS })
    await coordinator.commit('g', claim, [offsetOf(0, 5), offsetOf(0, 1, 'U')])
    for (let minute = 0; minute < 70; minute += 10) {
      await clock.advanceAsync(10 * MINUTE_MS)
      coordinator.heartbeat('g', claim)
    }
    expect(await committed(coordinator)).toEqual({ 'T/0': 5 })
  })

  test('of readers without a group, from the commit on; with a time of its own, that', async () => {
    const clock = new HandClock()
    const coordinator = await openCoordinator({ clock, config })
    await coordinator.commit('g', NOBODY, [offsetOf(0, 5)])
    const expiresAtMs = clock.now() + 2 * DAY_MS
    await coordinator.commit('g', NOBODY, [{ ...offsetOf(1, 6), expiresAtMs }])
    await clock.advanceAsync(61 * MINUTE_MS)
    expect(await committed(coordinator)).toEqual({ 'T/1': 6 })
    await clock.advanceAsync(2 * DAY_MS)
    expect(coordinator.groups()).toEqual([])
  })

  test('and not because the wall clock was set ahead', async () => {
    const clock = new HandClock()
    const coordinator = await openCoordinator({ clock, config })
    await coordinator.commit('g', NOBODY, [offsetOf(0, 5)])
    clock.jumpWallTo(clock.now() + 40 * DAY_MS)
    await clock.advanceAsync(20 * MINUTE_MS)
    expect(await committed(coordinator)).toEqual({ 'T/0': 5 })
    await clock.advanceAsync(60 * MINUTE_MS)
    expect(coordinator.groups()).toEqual([])
  })
})

describe('[GRP-13] groups and commits are removed only when nobody uses them', () => {
  test('a group with members stays', async () => {
    const files = new MemoryFiles()
    const coordinator = await openCoordinator({ files })
    const claim = await groupOfOne(coordinator)
    await coordinator.commit('g', claim, [offsetOf(0, 5)])
    expect(await codeOf(() => coordinator.deleteGroup('g'))).toBe(ErrorCode.NON_EMPTY_GROUP)
    coordinator.leave('g', [claim])
    await coordinator.deleteGroup('g')
    expect(await codeOf(() => coordinator.deleteGroup('g'))).toBe(ErrorCode.GROUP_ID_NOT_FOUND)
    expect(await committed(coordinator)).toEqual({})
    await coordinator.close()
    expect((await openCoordinator({ files })).groups()).toEqual([])
  })

  test('commits of topics that a member reads stay, others go', async () => {
    const topics = new Map([
      ['t', 'T'],
      ['u', 'U'],
    ])
    const coordinator = await openCoordinator({ topics })
    const claim = await groupOfOne(coordinator)
    await coordinator.commit('g', claim, [offsetOf(0, 5), offsetOf(0, 1, 'U')])
    const asked = [
      { topicId: 'T', partition: 0, name: 't' },
      { topicId: 'U', partition: 0, name: 'u' },
      { topicId: 'U', partition: 7, name: 'u' },
    ]
    expect(await coordinator.deleteOffsets('g', asked)).toEqual([ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC, 0, 0])
    expect(await committed(coordinator)).toEqual({ 'T/0': 5 })
    expect(await codeOf(() => coordinator.deleteOffsets('none', asked))).toBe(ErrorCode.GROUP_ID_NOT_FOUND)
  })

  test('what members of another protocol use cannot be known', async () => {
    const coordinator = await openCoordinator()
    await groupOfOne(coordinator, 'g', { protocolType: 'connect' })
    expect(await codeOf(() => coordinator.deleteOffsets('g', []))).toBe(ErrorCode.NON_EMPTY_GROUP)
  })

  test('a subscription that cannot be read counts as one to everything', async () => {
    const coordinator = await openCoordinator()
    const protocols = [{ name: 'range', metadata: Uint8Array.of(0, 1, 0x7f, 0xff, 0xff, 0xff) }]
    await groupOfOne(coordinator, 'g', { protocols })
    const asked = [{ topicId: 'T', partition: 0, name: 't' }]
    expect(await coordinator.deleteOffsets('g', asked)).toEqual([ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC])
  })

  test('a name that somebody only asked an id for is no group', async () => {
    const clock = new HandClock()
    const coordinator = await openCoordinator({ clock })
    await coordinator.join('g', joinRequest({ mustKnowItsId: true }), stays)
    expect(coordinator.groups()).toEqual([])
    expect(await codeOf(() => coordinator.deleteGroup('g'))).toBe(ErrorCode.GROUP_ID_NOT_FOUND)
    await clock.advanceAsync(10_000)
    expect(clock.nextTimerAt).toBeGreaterThan(clock.monotonic() + MINUTE_MS)
  })
})

test('[GRP-9] what the members of all groups say of themselves is bounded, and freed when they go', async () => {
  const coordinator = await openCoordinator()
  const protocols = [{ name: 'range', metadata: new Uint8Array(4_000_000) }]
  const claims = []
  for (let count = 0; count < 16; count++) claims.push(await groupOfOne(coordinator, `g${count}`, { protocols }))
  const joinOne = async () => (await coordinator.join('more', joinRequest({ protocols }), stays)).errorCode
  expect(await joinOne()).toBe(ErrorCode.POLICY_VIOLATION)
  expect(await joinOne()).toBe(ErrorCode.POLICY_VIOLATION)
  coordinator.leave('g3', [claims[3]!])
  expect(await joinOne()).toBe(0)
  await coordinator.close()
})
