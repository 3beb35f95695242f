/** The classic group protocol as a state machine; time is moved by hand. */
import { describe, expect, test } from 'vitest'
import { ErrorCode } from '../../../protocol/errors.ts'
import { ClassicGroup } from '../../../server/coordinator/classic-group.ts'
import { GROUP_BYTES_MAX } from '../../../server/coordinator/group-state.ts'
import { defaultLimits, GroupDriver, type JoinOptions, text } from './group-driver.ts'

describe('[GRP-1] a dynamic member gets an id before it counts', () => {
  test('MEMBER_ID_REQUIRED, then a join with that id', () => {
    const driver = new GroupDriver()
    const asked = driver.joins.get(driver.join({ mustKnowItsId: true }))!
    expect(asked).toMatchObject({ errorCode: ErrorCode.MEMBER_ID_REQUIRED, memberId: 'm1' })
    expect(driver.group.phase).toBe('Empty')
    const ticket = driver.join({ memberId: 'm1', mustKnowItsId: true })
    driver.advance(3000)
    expect(driver.joins.get(ticket)).toMatchObject({ errorCode: 0, memberId: 'm1', generationId: 1, leader: 'm1' })
  })

  test('an id that nobody comes back with is forgotten after the session timeout', () => {
    const driver = new GroupDriver()
    driver.join({ mustKnowItsId: true, sessionTimeoutMs: 6000 })
    driver.advance(6000)
    expect(driver.group.isUntouched).toBe(true)
    expect(driver.joins.get(driver.join({ memberId: 'm1' }))!.errorCode).toBe(ErrorCode.UNKNOWN_MEMBER_ID)
  })

  test('a running rebalance waits for those that have an id, and goes on when they give up', () => {
    const driver = new GroupDriver()
    const [first] = driver.stable(1)
    driver.join({ mustKnowItsId: true, sessionTimeoutMs: 6000 })
    const rejoin = driver.join({ memberId: first })
    expect(driver.joins.has(rejoin)).toBe(false)
    driver.advance(6000)
    expect(driver.joins.get(rejoin)).toMatchObject({ errorCode: 0, generationId: 2 })
  })

  test('one that leaves in a stable group disturbs nobody', () => {
    const driver = new GroupDriver()
    driver.stable(1)
    const { memberId } = driver.joins.get(driver.join({ mustKnowItsId: true }))!
    expect(driver.leave({ memberId, groupInstanceId: null })).toEqual([0])
    expect(driver.group.phase).toBe('Stable')
  })
})

describe('[GRP-2] nobody hears of a generation before all of the last one have rejoined or are out', () => {
  test('a newcomer waits for the others', () => {
    const driver = new GroupDriver()
    const [first, second] = driver.stable(2)
    const newcomer = driver.join()
    expect(driver.heartbeat(first!)).toBe(ErrorCode.REBALANCE_IN_PROGRESS)
    driver.join({ memberId: first })
    expect(driver.joins.has(newcomer)).toBe(false)
    driver.join({ memberId: second })
    expect(driver.joins.get(newcomer)).toMatchObject({ errorCode: 0, generationId: 2 })
  })

  test('those who do not rejoin within the rebalance timeout are out', () => {
    const driver = new GroupDriver()
    const [first, second] = driver.stable(2, { rebalanceTimeoutMs: 20_000, sessionTimeoutMs: 60_000 })
    const rejoin = driver.join({ memberId: first, rebalanceTimeoutMs: 20_000, sessionTimeoutMs: 60_000 })
    driver.advance(19_999)
    expect(driver.joins.has(rejoin)).toBe(false)
    driver.advance(1)
    expect(driver.joins.get(rejoin)).toMatchObject({ errorCode: 0, generationId: 2 })
    expect(driver.heartbeat(second!)).toBe(ErrorCode.UNKNOWN_MEMBER_ID)
  })

  test('a second join of the same member takes the place of the first, which is answered', () => {
    const driver = new GroupDriver()
    const [first] = driver.stable(2)
    const lost = driver.join({ memberId: first })
    const again = driver.join({ memberId: first })
    expect(driver.joins.get(lost)!.errorCode).toBe(ErrorCode.REBALANCE_IN_PROGRESS)
    expect(driver.joins.has(again)).toBe(false)
  })
})

describe('[GRP-3] the leader assigns, the others wait for it', () => {
  test('only the leader is told of the members', () => {
    const driver = new GroupDriver()
    const tickets = [driver.join(), driver.join({ protocols: { range: 'y' } })]
    driver.advance(6000)
    const [leader, follower] = tickets.map((ticket) => driver.joins.get(ticket)!)
    expect(leader!.members.map(({ memberId, metadata }) => [memberId, text(metadata)])).toEqual([
      ['m1', 'x'],
      ['m2', 'y'],
    ])
    expect(follower).toMatchObject({ leader: 'm1', members: [], protocolName: 'range', protocolType: 'consumer' })
  })

  test('a follower gets its part when the leader has spoken; whoever was left out gets nothing', () => {
    const driver = new GroupDriver()
    for (let count = 0; count < 3; count++) driver.join()
    driver.advance(9000)
    const second = driver.sync('m2', 1)
    const third = driver.sync('m3', 1)
    expect(driver.syncs.size).toBe(0)
    const first = driver.sync('m1', 1, { m1: 'a', m2: 'b', stranger: 'c' })
    const parts = [first, second, third].map((ticket) => text(driver.syncs.get(ticket)!.assignment))
    expect(parts).toEqual(['a', 'b', ''])
    expect(driver.group.phase).toBe('Stable')
    expect(driver.persisted).toBe(1)
    expect(text(driver.syncs.get(driver.sync('m2', 1))!.assignment)).toBe('b')
  })

  test('a member that comes while the leader thinks makes everybody begin anew', () => {
    const driver = new GroupDriver()
    driver.join()
    driver.join()
    driver.advance(6000)
    const waiting = driver.sync('m2', 1)
    driver.join()
    expect(driver.syncs.get(waiting)!.errorCode).toBe(ErrorCode.REBALANCE_IN_PROGRESS)
    expect(driver.syncs.get(driver.sync('m1', 1, { m1: 'a' }))!.errorCode).toBe(ErrorCode.REBALANCE_IN_PROGRESS)
  })

  test('a leader that leaves hands over', () => {
    const driver = new GroupDriver()
    const [first, second] = driver.stable(2)
    driver.leave({ memberId: first!, groupInstanceId: null })
    const rejoin = driver.join({ memberId: second })
    expect(driver.joins.get(rejoin)).toMatchObject({ leader: second, generationId: 2 })
  })

  test('a leader that rejoins a stable group begins a rebalance, a follower is told what it knows', () => {
    const driver = new GroupDriver()
    const [first, second] = driver.stable(2)
    expect(driver.joins.get(driver.join({ memberId: second }))).toMatchObject({ generationId: 1, members: [] })
    expect(driver.joins.has(driver.join({ memberId: first }))).toBe(false)
    expect(driver.group.phase).toBe('PreparingRebalance')
  })
})

describe('[GRP-4] all members can speak the chosen protocol', () => {
  test('each votes for its first choice among the common ones', () => {
    const driver = new GroupDriver()
    driver.join({ protocols: { a: '', b: '', c: '' } })
    driver.join({ protocols: { c: '', b: '' } })
    const last = driver.join({ protocols: { d: '', b: '', c: '' } })
    driver.advance(9000)
    expect(driver.joins.get(last)!.protocolName).toBe('b')
  })

  test.each<JoinOptions>([
    { protocols: { other: '' } },
    { protocolType: 'connect' },
    { protocols: {} },
    { protocolType: '' },
  ])('%j has no place here', (options) => {
    const driver = new GroupDriver()
    driver.stable(1)
    expect(driver.joins.get(driver.join(options))!.errorCode).toBe(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
  })
})

describe('[GRP-5] a new group waits for company', () => {
  test('each newcomer adds a delay, up to the rebalance timeout', () => {
    const driver = new GroupDriver()
    const first = driver.join({ rebalanceTimeoutMs: 8000 })
    for (const ms of [2000, 3000, 2000]) {
      driver.advance(ms)
      driver.join({ rebalanceTimeoutMs: 8000 })
    }
    driver.advance(999)
    expect(driver.joins.has(first)).toBe(false)
    driver.advance(1)
    expect(driver.joins.get(first)!.members).toHaveLength(4)
  })

  test('without delay the first member goes on alone', () => {
    const driver = new GroupDriver({ initialRebalanceDelayMs: 0 })
    expect(driver.joins.get(driver.join())).toMatchObject({ errorCode: 0, generationId: 1 })
  })
})

describe('[GRP-6] who speaks for an older generation, or for no member, is refused', () => {
  const driver = new GroupDriver()
  const [first] = driver.stable(1)

  test.each([
    ['a stranger', 'nobody', 1, ErrorCode.UNKNOWN_MEMBER_ID],
    ['an old generation', first!, 0, ErrorCode.ILLEGAL_GENERATION],
    ['a generation to come', first!, 2, ErrorCode.ILLEGAL_GENERATION],
    ['the member', first!, 1, ErrorCode.NONE],
  ])('%s', (_who, memberId, generationId, errorCode) => {
    expect(driver.heartbeat(memberId, generationId)).toBe(errorCode)
    expect(driver.commitError(memberId, generationId)).toBe(errorCode)
    expect(driver.syncs.get(driver.sync(memberId, generationId))!.errorCode).toBe(errorCode)
  })

  test('commits without a member: only while the group is empty', () => {
    expect(driver.commitError('', -1)).toBe(ErrorCode.UNKNOWN_MEMBER_ID)
    driver.leave({ memberId: first!, groupInstanceId: null })
    expect(driver.group.phase).toBe('Empty')
    expect(driver.commitError('', -1)).toBe(ErrorCode.NONE)
    expect(driver.commitError(first!, 1)).toBe(ErrorCode.UNKNOWN_MEMBER_ID)
  })

  test('commits between join and sync are too early; while others rejoin they are welcome', () => {
    const other = new GroupDriver({ initialRebalanceDelayMs: 0 })
    other.join()
    expect(other.commitError('m1', 1)).toBe(ErrorCode.REBALANCE_IN_PROGRESS)
    other.sync('m1', 1, {})
    other.join()
    expect(other.group.phase).toBe('PreparingRebalance')
    expect(other.commitError('m1', 1)).toBe(ErrorCode.NONE)
  })
})

describe('[GRP-7] a static member keeps its place when its process is replaced', () => {
  const two = (driver: GroupDriver) => {
    driver.join({ instance: 'a' })
    driver.join({ instance: 'b' })
    driver.advance(6000)
    driver.sync('m2', 1, {}, 'b')
    driver.sync('m1', 1, { m1: 'for a', m2: 'for b' }, 'a')
  }

  test('no rebalance; the new process has the assignment, the old one is fenced', () => {
    const driver = new GroupDriver()
    two(driver)
    const persistedBefore = driver.persisted
    expect(driver.joins.get(driver.join({ instance: 'b' }))).toMatchObject({ memberId: 'm3', generationId: 1 })
    expect(driver.persisted).toBe(persistedBefore + 1)
    expect(driver.group.phase).toBe('Stable')
    expect(text(driver.syncs.get(driver.sync('m3', 1, {}, 'b'))!.assignment)).toBe('for b')
    expect(driver.heartbeat('m2', 1, 'b')).toBe(ErrorCode.FENCED_INSTANCE_ID)
    expect(driver.commitError('m2', 1, 'b')).toBe(ErrorCode.FENCED_INSTANCE_ID)
    expect(driver.joins.get(driver.join({ instance: 'b', memberId: 'm2' }))!.errorCode).toBe(
      ErrorCode.FENCED_INSTANCE_ID,
    )
  })

  test('a leader of an older client does not see itself as leader, a newer one is told to skip', () => {
    const driver = new GroupDriver()
    two(driver)
    expect(driver.joins.get(driver.join({ instance: 'a' }))).toMatchObject({
      memberId: 'm3',
      leader: 'm1',
      members: [],
    })
    const newer = driver.joins.get(driver.join({ instance: 'a', canSkipAssignment: true }))!
    expect(newer).toMatchObject({ memberId: 'm4', leader: 'm4', skipAssignment: true })
    expect(newer.members).toHaveLength(2)
  })

  test('another subscription is a reason to assign anew', () => {
    const driver = new GroupDriver()
    two(driver)
    expect(driver.joins.has(driver.join({ instance: 'b', protocols: { range: 'other' } }))).toBe(false)
    expect(driver.group.phase).toBe('PreparingRebalance')
  })

  test('two processes with one instance id: the one that waits is fenced', () => {
    const driver = new GroupDriver()
    const old = driver.join({ instance: 'a' })
    driver.join({ instance: 'a' })
    expect(driver.joins.get(old)!.errorCode).toBe(ErrorCode.FENCED_INSTANCE_ID)
  })

  test('a static member that is away stays a member through a rebalance; an operator can take it out', () => {
    const driver = new GroupDriver()
    driver.join({ instance: 'a', sessionTimeoutMs: 100_000, rebalanceTimeoutMs: 10_000 })
    driver.join({ instance: 'b', sessionTimeoutMs: 100_000, rebalanceTimeoutMs: 10_000 })
    driver.advance(10_000)
    driver.sync('m2', 1, {}, 'b')
    driver.sync('m1', 1, {}, 'a')
    const rejoin = driver.join({ memberId: 'm1', instance: 'a', sessionTimeoutMs: 100_000, rebalanceTimeoutMs: 10_000 })
    driver.advance(10_000)
    expect(driver.joins.get(rejoin)!.members.map(({ groupInstanceId }) => groupInstanceId)).toEqual(['a', 'b'])
    expect(driver.leave({ memberId: '', groupInstanceId: 'b' })).toEqual([0])
    expect(driver.leave({ memberId: '', groupInstanceId: 'b' })).toEqual([ErrorCode.UNKNOWN_MEMBER_ID])
  })
})

describe('[GRP-8] silence is death, waiting for the group is not', () => {
  test('to the millisecond, unless a heartbeat or a commit comes', () => {
    const driver = new GroupDriver()
    const [first, second] = driver.stable(2)
    driver.advance(9999)
    expect(driver.heartbeat(first!)).toBe(0)
    driver.advance(1)
    expect(driver.group.phase).toBe('PreparingRebalance')
    expect(driver.heartbeat(second!)).toBe(ErrorCode.UNKNOWN_MEMBER_ID)
    expect(driver.commitError(first!, 1)).toBe(0)
  })

  test('the last one leaves an empty group, which is kept', () => {
    const driver = new GroupDriver()
    driver.stable(1)
    const persistedBefore = driver.persisted
    driver.advance(10_000)
    expect(driver.group).toMatchObject({ phase: 'Empty', generationId: 2, protocolName: null })
    expect(driver.persisted).toBe(persistedBefore + 1)
  })

  test('a member that waits for others to rejoin outlives its session timeout', () => {
    const driver = new GroupDriver()
    const [first, second] = driver.stable(2, { sessionTimeoutMs: 6000 })
    const rejoin = driver.join({ memberId: first, sessionTimeoutMs: 6000 })
    for (let ms = 0; ms < 50_000; ms += 5000) {
      driver.heartbeat(second!)
      driver.advance(5000)
    }
    expect(driver.joins.has(rejoin)).toBe(false)
    driver.join({ memberId: second, sessionTimeoutMs: 6000 })
    expect(driver.joins.get(rejoin)!.errorCode).toBe(0)
  })

  test('a leader that never assigns is out, and those who waited are sent to rejoin', () => {
    const driver = new GroupDriver()
    driver.join({ sessionTimeoutMs: 6000 })
    driver.join({ sessionTimeoutMs: 6000 })
    driver.advance(6000)
    const waiting = driver.sync('m2', 1)
    driver.advance(6000)
    expect(driver.syncs.get(waiting)!.errorCode).toBe(ErrorCode.REBALANCE_IN_PROGRESS)
    expect(driver.joins.get(driver.join({ memberId: 'm2' }))).toMatchObject({ leader: 'm2', generationId: 2 })
  })

  test('a member that heartbeats but never asks for its assignment is out after the rebalance timeout', () => {
    const driver = new GroupDriver()
    driver.join({ rebalanceTimeoutMs: 20_000 })
    driver.join({ rebalanceTimeoutMs: 20_000 })
    driver.advance(6000)
    driver.sync('m1', 1, { m1: 'a', m2: 'b' })
    for (let ms = 0; ms < 20_000; ms += 5000) {
      driver.heartbeat('m1')
      driver.heartbeat('m2')
      driver.advance(5000)
    }
    expect(driver.heartbeat('m2')).toBe(ErrorCode.UNKNOWN_MEMBER_ID)
    expect(driver.heartbeat('m1')).toBe(ErrorCode.REBALANCE_IN_PROGRESS)
  })
})

describe('[GRP-9] everything that a client can ask for is bounded', () => {
  test.each([
    [5999, ErrorCode.INVALID_SESSION_TIMEOUT],
    [1_800_001, ErrorCode.INVALID_SESSION_TIMEOUT],
    [-1, ErrorCode.INVALID_SESSION_TIMEOUT],
  ])('a session timeout of %i ms', (sessionTimeoutMs, errorCode) => {
    const driver = new GroupDriver()
    expect(driver.joins.get(driver.join({ sessionTimeoutMs }))!.errorCode).toBe(errorCode)
  })

  test('members, and ids given out', () => {
    const driver = new GroupDriver({ membersMax: 2 })
    const [first] = driver.stable(2)
    expect(driver.joins.get(driver.join())!.errorCode).toBe(ErrorCode.GROUP_MAX_SIZE_REACHED)
    expect(driver.joins.has(driver.join({ memberId: first, protocols: { range: 'new' } }))).toBe(false)
    const other = new GroupDriver({ membersMax: 2 })
    const codes = [1, 2, 3].map(() => other.joins.get(other.join({ mustKnowItsId: true }))!.errorCode)
    expect(codes).toEqual([79, 79, ErrorCode.GROUP_MAX_SIZE_REACHED])
  })

  test('what all members say of themselves, and what is assigned', () => {
    const driver = new GroupDriver()
    const large = { range: 'x'.repeat(GROUP_BYTES_MAX / 2) }
    driver.join({ protocols: large })
    expect(driver.joins.get(driver.join({ protocols: large }))!.errorCode).toBe(ErrorCode.GROUP_MAX_SIZE_REACHED)
    driver.advance(3000)
    const sync = driver.sync('m1', 1, { m1: 'x'.repeat(GROUP_BYTES_MAX) })
    expect(driver.syncs.get(sync)!.errorCode).toBe(ErrorCode.INVALID_REQUEST)
    expect(driver.syncs.get(driver.sync('m1', 1, { m1: 'x' }))!.errorCode).toBe(0)
  })
})

test('[GRP-10] a restored group is stable in its old generation, and its members have a session to show up', () => {
  const driver = new GroupDriver()
  const [first] = driver.stable(2, { sessionTimeoutMs: 10_000 })
  const limits = () => defaultLimits
  const restored = ClassicGroup.restore('g', driver.group.snapshot(), limits, { monotonicMs: 0, wallMs: 5 })
  const after = new GroupDriver({}, restored)
  expect(restored.phase).toBe('Stable')
  expect(after.heartbeat(first!, 1)).toBe(0)
  expect(text(after.syncs.get(after.sync(first!, 1))!.assignment)).toBe(`for ${first}`)
  after.advance(10_000)
  expect(restored.phase).toBe('Empty')
})

test('[GRP-2] a group that dies answers everybody who waits', () => {
  const driver = new GroupDriver()
  driver.join()
  const outcome = driver.group.die(driver.at)
  expect(outcome.replies).toMatchObject([{ kind: 'join', body: { errorCode: ErrorCode.COORDINATOR_NOT_AVAILABLE } }])
  expect(driver.group.nextDeadline).toBeUndefined()
  expect(driver.heartbeat('m1')).toBe(ErrorCode.COORDINATOR_NOT_AVAILABLE)
})
