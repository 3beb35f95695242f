/** What survives of a consumer group: restarts, power cuts, a log that is rewritten, disks that fail. */
import { expect, test } from 'vitest'
import { ErrorCode } from '../../../../protocol/errors.ts'
import { HandClock } from '../../../../protocol/lib/clock.ts'
import { countOf, NO_PARTITIONS } from '../../../../server/coordinator/consumer/partitions.ts'
import type { GroupCoordinator } from '../../../../server/coordinator/runtime.ts'
import { MemoryFiles } from '../../../../server/storage/memory-files.ts'
import { FaultyFiles } from '../../../support/faulty-files.ts'
import { codeOf, committed, groupOfOne, joinRequest, offsetOf, openCoordinator, stays } from '../coordinator-fixture.ts'
import { type Beat, consumerBeat, everything } from './consumer-beat.ts'

const clean = { next: () => 0, bytes: (count: number) => new Uint8Array(count) }

const join = (coordinator: GroupCoordinator, memberId: string, beat: Beat = {}, groupId = 'g') => {
  const joining = { memberEpoch: 0, rebalanceTimeoutMs: 1000, subscribedNames: ['t'], ...beat }
  return consumerBeat(coordinator, memberId, joining, groupId)
}

test('[GRP-39] after a power cut members, epochs and assignments are there', async () => {
  const files = new MemoryFiles({ tracksPower: true })
  const coordinator = await openCoordinator({ files })
  await join(coordinator, 'a', { instanceId: 'phone', rackId: 'r' })
  const { memberEpoch } = await join(coordinator, 'b')
  expect(memberEpoch).toBe(2)
  const told = await consumerBeat(coordinator, 'a', { memberEpoch: 1, owned: everything })
  expect(told.memberEpoch).toBe(2)
  const claim = { memberId: 'b', generationId: 2, groupInstanceId: null, knowsEpochs: true }
  await coordinator.commit('g', claim, [offsetOf(0, 5)])
  const clock = new HandClock()
  const again = await openCoordinator({ files: files.powerCut('dropped', clean), clock })
  const machine = again.group('g')!.machine
  expect(machine).toMatchObject({ type: 'consumer', phase: 'Stable', epoch: 2, assignmentEpoch: 2 })
  const [a] = [...machine.members]
  expect(a).toMatchObject({ memberId: 'a', profile: { instanceId: 'phone', rackId: 'r', rebalanceTimeoutMs: 1000 } })
  expect(await codeOf(() => consumerBeat(again, 'b', { memberEpoch: 2 }))).toBe(0)
  expect(await codeOf(() => again.commit('g', claim, [offsetOf(0, 6)]))).toBe(0)
  const thief = join(again, 'c', { instanceId: 'phone' })
  expect(await codeOf(() => thief)).toBe(ErrorCode.UNRELEASED_INSTANCE_ID)
  await clock.advanceAsync(45_000)
  expect(again.group('g')!.machine.phase).toBe('Empty')
  expect(await committed(again)).toEqual({ 'T/0': 6 })
})

test('[GRP-39] power cut before any disk call, while the log is rewritten: what was told holds', async () => {
  const memory = new MemoryFiles({ tracksPower: true })
  const files = new FaultyFiles(memory)
  const coordinator = await openCoordinator({ files, deadBytesMin: 1024, segmentBytes: 1024 })
  let told = 0
  const cuts: Array<{ at: string; disk: MemoryFiles; told: number }> = []
  files.onCall = (call, path, number) => {
    if (number % 7 !== 0 && call !== 'remove') return
    const disk = memory.powerCut(number % 2 === 0 ? 'dropped' : 'kept', clean)
    cuts.push({ at: `call ${number} ${call} ${path}`, disk, told })
  }
  told = (await join(coordinator, 'a', { instanceId: 'i' })).memberEpoch
  for (let step = 0; step < 60; step++) {
    const subscribedNames = step % 2 ? ['t'] : ['u']
    const beat = { memberEpoch: told, subscribedNames, owned: NO_PARTITIONS }
    told = (await consumerBeat(coordinator, 'a', beat)).memberEpoch
  }
  files.onCall = undefined
  expect(cuts.length).toBeGreaterThan(20)
  for (const cut of cuts) {
    const again = await openCoordinator({ files: cut.disk })
    if (cut.told === 0) continue
    const { epoch } = again.group('g')!.machine as { epoch: number }
    expect(epoch, cut.at).toBeGreaterThanOrEqual(cut.told)
    // Its next epoch may have been written, and the power gone before it was told.
    const beat = consumerBeat(again, 'a', { memberEpoch: cut.told, owned: NO_PARTITIONS })
    expect(await codeOf(() => beat), cut.at).toBe(0)
  }
})

test('[GRP-39] an answer waits for the disk, also one that tells of nothing new', async () => {
  const files = new FaultyFiles(new MemoryFiles())
  const coordinator = await openCoordinator({ files })
  await join(coordinator, 'a')
  let release = () => {}
  files.fail({ call: 'sync', until: new Promise<void>((resolve) => (release = resolve)) })
  const seen: string[] = []
  const joined = join(coordinator, 'b').then(() => seen.push('joined'))
  const beaten = consumerBeat(coordinator, 'a', { memberEpoch: 1, owned: everything }).then(() => seen.push('beaten'))
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve))
  expect(seen).toEqual([])
  release()
  await Promise.all([joined, beaten])
  expect(seen.sort()).toEqual(['beaten', 'joined'])
})

test('[GRP-39] a failed write gives a retriable error, and state goes back to what is on disk', async () => {
  const clock = new HandClock()
  const files = new FaultyFiles(new MemoryFiles())
  const coordinator = await openCoordinator({ files, clock })
  await join(coordinator, 'a')
  files.fail({ call: 'writev', path: /\.log$/, code: 'ENOSPC' })
  expect(await codeOf(() => join(coordinator, 'b'))).toBe(ErrorCode.COORDINATOR_NOT_AVAILABLE)
  expect(await codeOf(() => consumerBeat(coordinator, 'a', { memberEpoch: 1 }))).toBe(
    ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
  )
  for (let turn = 0; turn < 50; turn++) {
    await clock.advanceAsync(100)
    await new Promise((resolve) => setImmediate(resolve))
  }
  expect([...coordinator.group('g')!.machine.members]).toHaveLength(1)
  expect((await consumerBeat(coordinator, 'a', { memberEpoch: 1 })).memberEpoch).toBe(1)
  await expect
    .poll(async () => {
      await clock.advanceAsync(1000)
      return codeOf(() => join(coordinator, 'b'))
    })
    .toBe(0)
  expect(coordinator.group('g')!.machine).toMatchObject({ epoch: 2, phase: 'Reconciling' })
})

test('[GRP-39] the log stays small however often members come and go, and says the same', async () => {
  const files = new MemoryFiles()
  const small = { deadBytesMin: 8 * 1024, segmentBytes: 4 * 1024 }
  const coordinator = await openCoordinator({ files, ...small })
  await join(coordinator, 'stays', { instanceId: 'i' })
  for (let round = 0; round < 100; round++) {
    await join(coordinator, `m${round}`)
    await coordinator.consumerLeave('g', { memberId: `m${round}`, memberEpoch: -1, instanceId: null })
  }
  expect(coordinator.sizeBytes).toBeLessThan(32 * 1024)
  const { epoch } = coordinator.group('g')!.machine as { epoch: number }
  await coordinator.close()
  const again = await openCoordinator({ files, ...small })
  const machine = again.group('g')!.machine
  expect(machine).toMatchObject({ type: 'consumer', epoch })
  expect([...machine.members]).toMatchObject([{ memberId: 'stays' }])
})

test('[GRP-41] an empty group goes on with the other protocol, and keeps its offsets', async () => {
  const files = new MemoryFiles()
  const coordinator = await openCoordinator({ files, config: { groupConsumerMigrationPolicy: 'disabled' } })
  const claim = await groupOfOne(coordinator)
  await coordinator.commit('g', claim, [offsetOf(0, 5)])
  expect(await codeOf(() => join(coordinator, 'a'))).toBe(ErrorCode.GROUP_ID_NOT_FOUND)
  coordinator.leave('g', [claim])
  const { memberEpoch } = await join(coordinator, 'a')
  expect(coordinator.group('g')!.machine.type).toBe('consumer')
  expect(await committed(coordinator)).toEqual({ 'T/0': 5 })
  const refused = await coordinator.join('g', joinRequest({ protocolType: 'connect' }), stays)
  expect(refused.errorCode).toBe(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
  expect(coordinator.heartbeat('g', claim)).toBe(ErrorCode.UNKNOWN_MEMBER_ID)
  expect(coordinator.leave('g', [claim])).toEqual([ErrorCode.UNKNOWN_MEMBER_ID])
  await coordinator.commit('g', { ...claim, memberId: 'a', generationId: memberEpoch, knowsEpochs: true }, [
    offsetOf(0, 6),
  ])
  await coordinator.close()
  const again = await openCoordinator({ files })
  expect(again.group('g')!.machine).toMatchObject({ type: 'consumer', phase: 'Stable' })
  await again.consumerLeave('g', { memberId: 'a', memberEpoch: -1, instanceId: null })
  await groupOfOne(again)
  expect(again.group('g')!.machine).toMatchObject({ type: 'classic', phase: 'Stable' })
  await again.close()
  const third = await openCoordinator({ files })
  expect(third.group('g')!.machine).toMatchObject({ type: 'classic', phase: 'Stable' })
  expect(await committed(third)).toEqual({ 'T/0': 6 })
})

test('[GRP-41] no generation is given out twice, whatever protocols a group goes through, restarts included', async () => {
  const files = new MemoryFiles()
  const given: number[] = []
  for (let round = 0; round < 3; round++) {
    const coordinator = await openCoordinator({ files })
    const claim = await groupOfOne(coordinator)
    given.push(claim.generationId)
    coordinator.leave('g', [claim])
    given.push((await join(coordinator, 'a')).memberEpoch)
    await coordinator.consumerLeave('g', { memberId: 'a', memberEpoch: -1, instanceId: null })
    await coordinator.close()
  }
  expect(given).toEqual([...new Set(given)].sort((a, b) => a - b))
})

test('[GRP-41] a group that was taken over, but has no generation yet, is remembered when its log is rewritten', async () => {
  const files = new MemoryFiles()
  const small = { deadBytesMin: 1024, segmentBytes: 1024 }
  const coordinator = await openCoordinator({ files, ...small })
  const { memberEpoch } = await join(coordinator, 'a')
  await coordinator.consumerLeave('g', { memberId: 'a', memberEpoch: -1, instanceId: null })
  const { memberId } = await coordinator.join('g', joinRequest({ mustKnowItsId: true }), stays)
  expect(memberId).not.toBe('')
  for (let round = 0; round < 100; round++) {
    await join(coordinator, 'a', {}, 'other')
    await coordinator.consumerLeave('other', { memberId: 'a', memberEpoch: -1, instanceId: null })
  }
  await coordinator.close()
  const again = await openCoordinator({ files, ...small })
  expect((await groupOfOne(again)).generationId).toBeGreaterThan(memberEpoch)
})

test('[GRP-40] a member commits in its epoch, and in an older one for what it has had since', async () => {
  const topics = new Map([
    ['t', 'T'],
    ['u', 'U'],
  ])
  const coordinator = await openCoordinator({ topics })
  await join(coordinator, 'a', { subscribedNames: ['t', 'u'] })
  const commitOf = (memberId: string, generationId: number, topicId = 'T', knowsEpochs = true) =>
    codeOf(() =>
      coordinator.commit('g', { memberId, generationId, groupInstanceId: null, knowsEpochs }, [
        offsetOf(0, 1, topicId),
      ]),
    )
  expect(await commitOf('a', 1)).toBe(0)
  expect(await commitOf('a', 1, 'T', false)).toBe(ErrorCode.UNSUPPORTED_VERSION)
  expect(await commitOf('a', 2)).toBe(ErrorCode.STALE_MEMBER_EPOCH)
  expect(await commitOf('x', 1)).toBe(ErrorCode.UNKNOWN_MEMBER_ID)
  expect(await commitOf('', -1)).toBe(ErrorCode.UNKNOWN_MEMBER_ID)
  await join(coordinator, 'b', { subscribedNames: ['u'] })
  const both = new Map([
    ['T', [0]],
    ['U', [0]],
  ])
  await consumerBeat(coordinator, 'a', { memberEpoch: 1, owned: both })
  const { memberEpoch } = await consumerBeat(coordinator, 'a', { memberEpoch: 1, owned: everything })
  expect(memberEpoch).toBe(2)
  // It has not heard of its new epoch, or has sent the commit before.
  expect(await commitOf('a', 1)).toBe(0)
  expect(await commitOf('a', 1, 'U')).toBe(ErrorCode.STALE_MEMBER_EPOCH)
  const { assignment } = await consumerBeat(coordinator, 'b', { memberEpoch: 2 })
  expect(countOf(assignment!)).toBe(1)
  expect(await commitOf('b', 1, 'U')).toBe(ErrorCode.STALE_MEMBER_EPOCH)
  expect(await commitOf('b', 2, 'U')).toBe(0)
})

test('[GRP-40] tools commit while the group is empty', async () => {
  const coordinator = await openCoordinator()
  await join(coordinator, 'a')
  await coordinator.consumerLeave('g', { memberId: 'a', memberEpoch: -1, instanceId: null })
  const tool = { memberId: '', generationId: -1, groupInstanceId: null }
  await coordinator.commit('g', tool, [offsetOf(0, 3)])
  expect(await committed(coordinator)).toEqual({ 'T/0': 3 })
})
