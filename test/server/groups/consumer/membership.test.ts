/** Joining, epochs, leaving, static members: who may speak for a member of a consumer group (KIP-848). */
import { describe, expect, test } from 'vitest'
import { ErrorCode } from '../../../../protocol/errors.ts'
import { CONSUMER_GROUP_BYTES_MAX, PATTERNS_MAX } from '../../../../server/coordinator/consumer/consumer-state.ts'
import { NO_PARTITIONS } from '../../../../server/coordinator/consumer/partitions.ts'
import { ConsumerDriver, INTERVAL_MS, REBALANCE_MS, SESSION_MS, textOf } from './consumer-driver.ts'

describe('[GRP-30] one heartbeat joins, and tells what to read', () => {
  test('the first member gets everything at once', () => {
    const driver = new ConsumerDriver({ t: 3 })
    const reply = driver.join('a')
    expect(reply).toMatchObject({ memberId: 'a', memberEpoch: 1, heartbeatIntervalMs: INTERVAL_MS })
    expect(textOf(reply.assignment!)).toEqual(['T0', 'T1', 'T2'])
    expect(driver.group.phase).toBe('Stable')
  })

  test('the assignment is told when it changes, when all is said anew, and to who is behind', () => {
    const driver = new ConsumerDriver({ t: 2 })
    driver.join('a')
    expect(driver.obey('a').assignment).toBeNull()
    const { owned } = driver.members.get('a')!
    const full = driver.beat('a', { subscribedNames: ['t'], rebalanceTimeoutMs: REBALANCE_MS, owned })
    expect(textOf(full.assignment!)).toEqual(['T0', 'T1'])
    driver.topics.put('u', 1)
    const { memberEpoch: before } = driver.beat('a')
    driver.beat('a', { subscribedNames: ['t', 'u'] })
    const behind = driver.beat('a', { memberEpoch: before, owned })
    expect(textOf(behind.assignment!)).toEqual(['T0', 'T1', 'U10'])
  })

  test('topics that do not exist are waited for', () => {
    const driver = new ConsumerDriver({})
    expect(textOf(driver.join('a', ['later']).assignment!)).toEqual([])
    expect(driver.group.phase).toBe('Stable')
    driver.topics.put('later', 1)
    expect(textOf(driver.beat('a').assignment!)).toEqual(['LATER0'])
  })

  test('a new epoch comes with members and subscriptions, and not without', () => {
    const driver = new ConsumerDriver({ t: 1, u: 1 })
    driver.join('a')
    expect(driver.group.epoch).toBe(1)
    driver.beat('a', { subscribedNames: ['t'], rackId: 'r2', rebalanceTimeoutMs: 5 })
    expect(driver.group.epoch).toBe(1)
    driver.beat('a', { subscribedNames: ['u', 't', 'u'] })
    expect(driver.group.epoch).toBe(2)
    driver.join('b')
    expect(driver.group.epoch).toBe(3)
    driver.join('c', [])
    expect(driver.group).toMatchObject({ epoch: 3, phase: 'Reconciling' })
    driver.leave('b')
    expect(driver.group.epoch).toBe(4)
    expect(new ConsumerDriver({}).join('first', []).memberEpoch).toBe(1)
  })

  test('who leaves last leaves an empty group that goes on counting', () => {
    const driver = new ConsumerDriver({ t: 1 })
    driver.join('a')
    expect(driver.leave('a')).toMatchObject({ memberId: 'a', memberEpoch: -1 })
    expect(driver.group).toMatchObject({ phase: 'Empty', epoch: 2, assignmentEpoch: 2 })
    expect(driver.join('b').memberEpoch).toBe(3)
  })
})

describe('[GRP-33] who speaks with an epoch that is not its own is fenced', () => {
  test('unknown members, newer and older epochs', () => {
    const driver = new ConsumerDriver({ t: 2 })
    for (const memberId of ['a', 'b', 'c']) driver.join(memberId)
    driver.settle()
    driver.leave('c')
    driver.settle()
    const { epoch } = driver.group
    expect(driver.code(() => driver.beat('x', { memberEpoch: epoch }))).toBe(ErrorCode.UNKNOWN_MEMBER_ID)
    expect(driver.code(() => driver.leave('x'))).toBe(ErrorCode.UNKNOWN_MEMBER_ID)
    for (const memberEpoch of [epoch + 1, epoch - 2])
      expect(driver.code(() => driver.beat('a', { memberEpoch }))).toBe(ErrorCode.FENCED_MEMBER_EPOCH)
  })

  test('a lost answer is no reason, unless what it took away is still read', () => {
    const driver = new ConsumerDriver({ t: 2 })
    driver.join('a')
    driver.obey('a')
    driver.join('b')
    driver.beat('a', { owned: driver.members.get('a')!.owned })
    const kept = driver.members.get('a')!.assigned
    driver.beat('a', { owned: kept })
    const behind = { memberEpoch: 1, owned: kept }
    expect(driver.code(() => driver.beat('a', behind))).toBe(ErrorCode.NONE)
    expect(driver.code(() => driver.beat('a', { memberEpoch: 1 }))).toBe(ErrorCode.FENCED_MEMBER_EPOCH)
    const tooMuch = { memberEpoch: 1, owned: new Map([['T', [0, 1]]]) }
    expect(driver.code(() => driver.beat('a', tooMuch))).toBe(ErrorCode.FENCED_MEMBER_EPOCH)
  })

  test('a fenced member joins again under its id, with nothing', () => {
    const driver = new ConsumerDriver({ t: 2 })
    driver.join('a')
    driver.obey('a')
    driver.join('b')
    driver.beat('a')
    const again = driver.join('a')
    expect(again.memberEpoch).toBe(driver.group.epoch)
    expect(again.assignment).not.toBeNull()
    driver.settle()
    expect(driver.overlaps()).toEqual([])
    expect(Object.values(driver.owned()).flat().sort()).toEqual(['T0', 'T1'])
  })
})

describe('[GRP-32] silence is death, and so is not letting go', () => {
  test('after the session timeout the others take over', () => {
    const driver = new ConsumerDriver({ t: 2 })
    driver.join('a')
    driver.join('b')
    driver.settle()
    const from = driver.nowMs
    driver.members.delete('a')
    while (driver.nowMs < from + SESSION_MS - INTERVAL_MS) {
      driver.advance(INTERVAL_MS)
      driver.obey('b')
      expect(driver.assigned('b')).toHaveLength(1)
    }
    driver.advance(INTERVAL_MS)
    driver.obey('b')
    expect(driver.assigned('b')).toHaveLength(2)
    expect(driver.code(() => driver.beat('a', { memberEpoch: 2 }))).toBe(ErrorCode.UNKNOWN_MEMBER_ID)
  })

  test('who heartbeats but does not let go within its rebalance timeout is out', () => {
    const driver = new ConsumerDriver({ t: 2 })
    driver.join('a')
    driver.obey('a')
    driver.join('b')
    driver.beat('a')
    expect(driver.assigned('a')).toHaveLength(1)
    const { owned } = driver.members.get('a')!
    driver.advance(REBALANCE_MS - 1)
    expect(driver.code(() => driver.beat('a', { owned }))).toBe(ErrorCode.NONE)
    driver.beat('b')
    expect(driver.assigned('b')).toEqual([])
    driver.advance(1)
    expect(driver.code(() => driver.beat('a', { owned }))).toBe(ErrorCode.UNKNOWN_MEMBER_ID)
    driver.beat('b')
    expect(driver.assigned('b')).toEqual(['T0', 'T1'])
  })

  test('a heartbeat at the last moment counts', () => {
    const driver = new ConsumerDriver({ t: 1 })
    driver.join('a')
    for (let count = 0; count < 5; count++) {
      driver.advance(SESSION_MS - 1)
      driver.beat('a')
    }
    driver.advance(SESSION_MS)
    expect(driver.group.phase).toBe('Empty')
  })
})

describe('[GRP-34] a static member that says it will be back keeps what it had', () => {
  function withPhone(): ConsumerDriver {
    const driver = new ConsumerDriver({ t: 4 })
    driver.join('a', ['t'], { instanceId: 'phone' })
    driver.join('b')
    driver.settle()
    return driver
  }

  test('its next process takes its place, nobody else notices', () => {
    const driver = withPhone()
    const had = driver.assigned('a')
    const { epoch } = driver.group
    expect(driver.leave('a', -2)).toMatchObject({ memberId: 'a', memberEpoch: -2 })
    driver.advance(INTERVAL_MS)
    expect(driver.obey('b').assignment).toBeNull()
    const back = driver.join('a2', ['t'], { instanceId: 'phone' })
    expect(back.memberEpoch).toBe(epoch)
    expect(textOf(back.assignment!)).toEqual(had)
    expect(driver.group.epoch).toBe(epoch)
    driver.members.set('a', { epoch, assigned: NO_PARTITIONS, owned: NO_PARTITIONS, instanceId: 'phone' })
    expect(driver.code(() => driver.beat('a'))).toBe(ErrorCode.FENCED_INSTANCE_ID)
    expect(driver.code(() => driver.leave('a'))).toBe(ErrorCode.FENCED_INSTANCE_ID)
  })

  test('it is out when it does not come back within its session', () => {
    const driver = withPhone()
    driver.leave('a', -2)
    for (let passedMs = 0; passedMs <= SESSION_MS; passedMs += INTERVAL_MS) {
      driver.advance(INTERVAL_MS)
      driver.obey('b')
    }
    driver.settle()
    expect(driver.owned()).toEqual({ b: ['T0', 'T1', 'T2', 'T3'] })
  })

  test('while it is there nobody takes its place, but it may join again itself', () => {
    const driver = withPhone()
    const join = () => driver.join('thief', ['t'], { instanceId: 'phone' })
    expect(driver.code(join)).toBe(ErrorCode.UNRELEASED_INSTANCE_ID)
    expect(driver.code(() => driver.join('a', ['t'], { instanceId: 'phone' }))).toBe(ErrorCode.NONE)
    expect(driver.code(() => driver.join('b', ['t'], { instanceId: 'phone' }))).toBe(ErrorCode.INVALID_REQUEST)
    expect(driver.code(() => driver.join('b', ['t'], { instanceId: 'tablet' }))).toBe(ErrorCode.INVALID_REQUEST)
    const stranger = { memberEpoch: 2, instanceId: 'tablet' }
    expect(driver.code(() => driver.beat('a', stranger))).toBe(ErrorCode.UNKNOWN_MEMBER_ID)
  })

  test('another subscription of its next process is a new epoch', () => {
    const driver = withPhone()
    driver.topics.put('u', 1)
    driver.leave('a', -2)
    driver.join('a2', ['u'], { instanceId: 'phone' })
    driver.settle()
    expect(driver.owned()).toEqual({ a2: ['U10'], b: ['T0', 'T1', 'T2', 'T3'] })
  })

  test('when it leaves for good its instance id is free', () => {
    const driver = withPhone()
    driver.leave('a')
    expect(driver.code(() => driver.join('c', ['t'], { instanceId: 'phone' }))).toBe(ErrorCode.NONE)
  })
})

describe('[GRP-42] everything that a member can ask for is bounded', () => {
  test('members, what they say, and expressions; refusals change nothing', () => {
    const driver = new ConsumerDriver({ t: 1 }, { membersMax: 3 })
    driver.join('a')
    driver.join('b', ['t'], { instanceId: 'phone' })
    driver.join('c')
    expect(driver.code(() => driver.join('d'))).toBe(ErrorCode.GROUP_MAX_SIZE_REACHED)
    driver.leave('b', -2)
    expect(driver.code(() => driver.join('b2', ['t'], { instanceId: 'phone' }))).toBe(ErrorCode.NONE)
    driver.leave('c')
    const { epoch } = driver.group
    const long = ['x'.repeat(CONSUMER_GROUP_BYTES_MAX / 6)]
    expect(driver.code(() => driver.join('d', long))).toBe(ErrorCode.GROUP_MAX_SIZE_REACHED)
    expect(driver.code(() => driver.beat('a', { subscribedNames: long }))).toBe(ErrorCode.GROUP_MAX_SIZE_REACHED)
    expect(driver.group.epoch).toBe(epoch)
  })

  test('different expressions in one group', () => {
    const driver = new ConsumerDriver({ t: 1 })
    const join = (index: number) => driver.join(`m${index}`, [], { subscribedRegex: `t|x${index}` })
    for (let index = 0; index < PATTERNS_MAX; index++) join(index)
    expect(driver.code(() => join(PATTERNS_MAX))).toBe(ErrorCode.GROUP_MAX_SIZE_REACHED)
    expect(driver.code(() => driver.join('same', [], { subscribedRegex: 't|x0' }))).toBe(ErrorCode.NONE)
    driver.leave('m1')
    expect(driver.code(() => join(PATTERNS_MAX))).toBe(ErrorCode.NONE)
  })

  test('what members say is counted while they are there', () => {
    const driver = new ConsumerDriver({ t: 1 })
    const { sizeBytes: empty } = driver.group
    for (const name of ['a', 'b', 'c']) driver.join(name, ['t', 'u'], { instanceId: name })
    driver.beat('a', { subscribedNames: ['t'] })
    driver.leave('c', -2)
    driver.join('c2', ['t'], { instanceId: 'c' })
    for (const name of ['a', 'b', 'c2']) driver.leave(name)
    expect(driver.group.sizeBytes).toBe(empty)
  })
})
