/** What survives: restarts, power cuts at any moment, a log that is rewritten meanwhile, disks that fail. */
import { expect, test } from 'vitest'
import { ErrorCode } from '../../../protocol/errors.ts'
import { HandClock } from '../../../protocol/lib/clock.ts'
import { seededRandom } from '../../../protocol/lib/random.ts'
import type { GroupCoordinator, SyncRequest } from '../../../server/coordinator/runtime.ts'
import { MemoryFiles } from '../../../server/storage/memory-files.ts'
import { FaultyFiles } from '../../support/faulty-files.ts'
import {
  codeOf,
  committed,
  GROUPS_DIR,
  groupOfOne,
  joinRequest,
  NOBODY,
  offsetOf,
  openCoordinator,
  stays,
} from './coordinator-fixture.ts'
import { bytes, text } from './group-driver.ts'

const clean = { next: () => 0, bytes: (count: number) => new Uint8Array(count) }

test('[GRP-10] after a power cut acknowledged commits, generations and static members are there', async () => {
  const files = new MemoryFiles({ tracksPower: true })
  const coordinator = await openCoordinator({ files })
  const claim = await groupOfOne(coordinator, 'g', { groupInstanceId: 'phone' })
  await coordinator.commit('g', claim, [offsetOf(0, 5), offsetOf(1, 6)])
  const clock = new HandClock()
  const again = await openCoordinator({ files: files.powerCut('dropped', clean), clock })
  expect(await committed(again)).toEqual({ 'T/0': 5, 'T/1': 6 })
  expect(again.heartbeat('g', claim)).toBe(0)
  expect(await codeOf(() => again.commit('g', claim, [offsetOf(0, 7)]))).toBe(0)
  const back = await again.join('g', joinRequest({ groupInstanceId: 'phone' }), stays)
  expect(back).toMatchObject({ errorCode: 0, generationId: claim.generationId })
  const request = { ...claim, memberId: back.memberId, protocolType: null, protocolName: null, assignments: [] }
  expect(text((await again.sync('g', request, stays)).assignment)).toBe('all')
  await clock.advanceAsync(10_000)
  expect(again.group('g')!.machine.phase).toBe('Empty')
})

test('[GRP-10] an answer waits for the disk', async () => {
  const files = new FaultyFiles(new MemoryFiles())
  const coordinator = await openCoordinator({ files })
  await coordinator.commit('g', NOBODY, [offsetOf(0, 1)])
  let release = () => {}
  files.fail({ call: 'sync', until: new Promise<void>((resolve) => (release = resolve)) })
  const seen: string[] = []
  const commit = coordinator.commit('g', NOBODY, [offsetOf(0, 2)]).then(() => seen.push('committed'))
  const fetch = committed(coordinator).then((found) => seen.push(`found ${found['T/0']}`))
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve))
  expect(seen).toEqual([])
  release()
  await Promise.all([commit, fetch])
  expect(seen.sort()).toEqual(['committed', 'found 2'])
})

test('[GRP-10] an assignment is told to nobody before it is on disk, whoever asks', async () => {
  const files = new FaultyFiles(new MemoryFiles())
  const clock = new HandClock()
  const coordinator = await openCoordinator({ files, clock, config: { groupInitialRebalanceDelayMs: 1_000 } })
  const { leader, follower } = await groupOfTwo(coordinator, clock)
  let release = () => {}
  const held = files.fail({ call: 'sync', until: new Promise<void>((resolve) => (release = resolve)) })
  const seen: string[] = []
  const { assignments } = leader
  const sync = (request: SyncRequest, who: string) =>
    coordinator.sync('g', request, stays).then(({ assignment }) => seen.push(`${who} got ${text(assignment)}`))
  const leading = sync({ ...leader, assignments }, 'leader')
  const following = sync(follower, 'follower')
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve))
  expect(held.count).toBe(1)
  expect(seen).toEqual([])
  release()
  await Promise.all([leading, following])
  expect(seen.sort()).toEqual(['follower got second', 'leader got first'])
})

const SMALL_LOG = { deadBytesMin: 8 * 1024, segmentBytes: 4 * 1024 }

test('[GRP-14] the log stays small however often is committed, and says the same', async () => {
  const files = new MemoryFiles()
  const coordinator = await openCoordinator({ files, ...SMALL_LOG })
  const claim = await groupOfOne(coordinator, 'members', { groupInstanceId: 'phone' })
  await coordinator.commit('quiet', NOBODY, [offsetOf(0, 1)])
  let largest = 0
  for (let round = 0; round < 400; round++) {
    await coordinator.commit('g', NOBODY, [offsetOf(round % 7, round), offsetOf(7, round)])
    largest = Math.max(largest, coordinator.sizeBytes)
  }
  expect(largest).toBeLessThan(40 * 1024)
  const before = await committed(coordinator)
  expect(before['T/7']).toBe(399)
  await coordinator.close()
  const again = await openCoordinator({ files })
  expect(await committed(again)).toEqual(before)
  expect(await committed(again, 'quiet')).toEqual({ 'T/0': 1 })
  expect(again.heartbeat('members', claim)).toBe(0)
})

test('[GRP-14] a group between two generations is rewritten as it last was', async () => {
  const files = new MemoryFiles()
  const coordinator = await openCoordinator({ files, ...SMALL_LOG })
  const claim = await groupOfOne(coordinator)
  void coordinator.join('g', joinRequest(), stays)
  expect(coordinator.heartbeat('g', claim)).toBe(ErrorCode.REBALANCE_IN_PROGRESS)
  for (let round = 0; round < 400; round++) await coordinator.commit('other', NOBODY, [offsetOf(0, round)])
  expect(coordinator.sizeBytes).toBeLessThan(40 * 1024)
  await coordinator.close()
  const again = await openCoordinator({ files })
  const request = { ...claim, protocolType: null, protocolName: null, assignments: [] }
  expect(text((await again.sync('g', request, stays)).assignment)).toBe('all')
})

/** Commits rise; what was acknowledged is a floor, what was asked for a ceiling. */
class Account {
  readonly acked = new Map<string, number>()
  readonly asked = new Map<string, number>()

  snapshot(): Account {
    const copy = new Account()
    for (const [key, offset] of this.acked) copy.acked.set(key, offset)
    for (const [key, offset] of this.asked) copy.asked.set(key, offset)
    return copy
  }

  async check(coordinator: GroupCoordinator, what: string): Promise<void> {
    const found = { ...(await committed(coordinator, 'a')), ...prefixed(await committed(coordinator, 'b')) }
    for (const [key, offset] of this.acked) expect(found[key] ?? -1, `${what} ${key}`).toBeGreaterThanOrEqual(offset)
    for (const [key, offset] of Object.entries(found))
      expect(offset, `${what} ${key}`).toBeLessThanOrEqual(this.asked.get(key)!)
  }
}

const prefixed = (offsets: Record<string, number>) =>
  Object.fromEntries(Object.entries(offsets).map(([key, offset]) => [`b:${key}`, offset]))

async function commitMany(coordinator: GroupCoordinator, account: Account, rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    const groupId = round % 3 === 0 ? 'b' : 'a'
    const key = `${groupId === 'b' ? 'b:' : ''}T/${round % 5}`
    account.asked.set(key, round)
    await coordinator.commit(groupId, NOBODY, [offsetOf(round % 5, round)]).then(
      () => account.acked.set(key, round),
      () => {},
    )
  }
}

test('[GRP-14] power cut before any disk call, while the log is rewritten: nothing acknowledged is lost', async () => {
  const seed = 4
  const random = seededRandom(seed)
  const memory = new MemoryFiles({ tracksPower: true })
  const files = new FaultyFiles(memory)
  const account = new Account()
  const cuts: Array<{ call: string; disk: MemoryFiles; account: Account }> = []
  const coordinator = await openCoordinator({ files, deadBytesMin: 2048, segmentBytes: 1024 })
  files.onCall = (call, path, number) => {
    if (number % 5 !== 0 && !/manifest/.test(path) && call !== 'remove') return
    const model = number % 2 === 0 ? 'dropped' : 'kept'
    cuts.push({
      call: `seed ${seed}, call ${number} ${call} ${path}`,
      disk: memory.powerCut(model, random),
      account: account.snapshot(),
    })
  }
  await commitMany(coordinator, account, 120)
  expect(cuts.some(({ call }) => call.includes('remove'))).toBe(true)
  files.onCall = undefined
  for (const cut of cuts) {
    const again = await openCoordinator({ files: cut.disk })
    await cut.account.check(again, cut.call)
    await again.close()
  }
})

test('[GRP-15] state that is read again is behind nothing that was still on its way to the disk', async () => {
  const files = new FaultyFiles(new MemoryFiles())
  const clock = new HandClock()
  const coordinator = await openCoordinator({ files, clock })
  const claim = await groupOfOne(coordinator)
  let letGo = () => {}
  files.fail({ call: 'sync', until: new Promise<void>((resolve) => (letGo = resolve)) })
  const commit = coordinator.commit('other', NOBODY, [offsetOf(0, 5)])
  const turn = () => new Promise((resolve) => setImmediate(resolve))
  for (const size of [7 * 1024 * 1024, 256 * 1024, 4 * 1024, 0]) {
    for (let isRefused = false; !isRefused; await turn()) {
      const large = [offsetOf(0, 1, 'T', 'm'.repeat(size))]
      coordinator.commit('large', NOBODY, large).catch(() => (isRefused = true))
      await turn()
    }
  }
  // There is no room for this either, but its group has changed already: all is read again.
  coordinator.leave('g', [claim])
  await clock.advanceAsync(100)
  for (let turns = 0; turns < 20; turns++) await turn()
  letGo()
  await commit
  await expect
    .poll(async () => {
      await clock.advanceAsync(100)
      return codeOf(() => coordinator.group('g'))
    })
    .toBe(0)
  expect(await committed(coordinator, 'other')).toEqual({ 'T/0': 5 })
})

test('[GRP-15] a full disk: commits are refused with a retriable error, and go on when there is room', async () => {
  const memory = new MemoryFiles({ tracksPower: true })
  const files = new FaultyFiles(memory)
  const clock = new HandClock()
  const coordinator = await openCoordinator({ files, clock })
  const claim = await groupOfOne(coordinator)
  await coordinator.commit('g', claim, [offsetOf(0, 1)])
  const full = files.fail({ call: 'writev', path: /\.log$/, code: 'ENOSPC', times: 1000 })
  const waiting = coordinator.join('other', joinRequest({ rebalanceTimeoutMs: 60_000 }), stays)
  await waiting
  const refused = await codeOf(() => coordinator.commit('g', claim, [offsetOf(0, 2)]))
  expect(refused).toBe(ErrorCode.COORDINATOR_NOT_AVAILABLE)
  expect(coordinator.heartbeat('g', claim)).toBe(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)
  for (let turn = 0; turn < 20; turn++) {
    await clock.advanceAsync(100)
    await new Promise((resolve) => setImmediate(resolve))
  }
  expect(coordinator.heartbeat('g', claim)).toBe(0)
  expect(await committed(coordinator)).toEqual({ 'T/0': 1 })
  full.heal()
  await expect
    .poll(async () => {
      await clock.advanceAsync(1000)
      return codeOf(() => coordinator.commit('g', claim, [offsetOf(0, 3)]))
    })
    .toBe(0)
  expect(await committed(coordinator)).toEqual({ 'T/0': 3 })
})

test('[GRP-15] a disk that cannot be read for a moment at the start: groups are there a little later', async () => {
  const memory = new MemoryFiles()
  const before = await openCoordinator({ files: memory })
  await before.commit('g', NOBODY, [offsetOf(0, 7)])
  await before.close()
  const files = new FaultyFiles(memory)
  const trouble = files.fail({ call: 'read', path: /\.log$/, code: 'EIO' })
  const clock = new HandClock()
  const coordinator = await openCoordinator({ files, clock })
  expect(trouble.count).toBe(1)
  expect(coordinator.isLoading).toBe(true)
  expect(await codeOf(() => committed(coordinator))).toBe(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)
  await clock.advanceAsync(1_000)
  await new Promise((resolve) => setImmediate(resolve))
  expect(await committed(coordinator)).toEqual({ 'T/0': 7 })
})

test('[GRP-15] members who wait when the disk fails are sent to look for the coordinator again', async () => {
  const files = new FaultyFiles(new MemoryFiles())
  const coordinator = await openCoordinator({ files })
  const claim = await groupOfOne(coordinator)
  const waiting = coordinator.join('g', joinRequest(), stays)
  files.fail({ call: 'sync', path: /\.log$/, code: 'EIO' })
  expect(await codeOf(() => coordinator.commit('g', claim, [offsetOf(0, 2)]))).toBe(ErrorCode.COORDINATOR_NOT_AVAILABLE)
  expect((await waiting).errorCode).toBe(ErrorCode.NOT_COORDINATOR)
  expect(coordinator.waitingCount).toBe(0)
})

test('[GRP-15] a damaged log takes groups out of service, with an error that clients retry', async () => {
  const files = new MemoryFiles()
  const coordinator = await openCoordinator({ files })
  for (let round = 0; round < 5; round++) await coordinator.commit('g', NOBODY, [offsetOf(0, round)])
  await coordinator.close()
  const name = (await files.list(GROUPS_DIR)).find((file) => file.endsWith('.log'))!
  const file = await files.open(`${GROUPS_DIR}/${name}`, 'edit')
  await file.writev([bytes('damage')], 100)
  await file.close()
  await files.remove(`${GROUPS_DIR}/clean`)
  const again = await openCoordinator({ files })
  expect(await codeOf(() => again.commit('g', NOBODY, [offsetOf(0, 9)]))).toBe(ErrorCode.COORDINATOR_NOT_AVAILABLE)
  expect((await again.join('g', joinRequest(), stays)).errorCode).toBe(ErrorCode.COORDINATOR_NOT_AVAILABLE)
  await again.close()
})

async function groupOfTwo(coordinator: GroupCoordinator, clock: HandClock) {
  const joins = [joinRequest(), joinRequest()].map((request) => coordinator.join('g', request, stays))
  await clock.advanceAsync(10_000)
  const replies = await Promise.all(joins)
  const [leader, follower] = replies.sort((a, b) => b.members.length - a.members.length).map(({ memberId }) => memberId)
  const { generationId } = replies[0]!
  const common = { generationId, groupInstanceId: null, protocolType: null, protocolName: null }
  const assignments = [
    { memberId: leader!, assignment: bytes('first') },
    { memberId: follower!, assignment: bytes('second') },
  ]
  return {
    leader: { ...common, memberId: leader!, assignments },
    follower: { ...common, memberId: follower!, assignments: [] },
  }
}
