/** How partitions change hands in a consumer group (KIP-848). */
import { describe, expect, test } from 'vitest'
import { ErrorCode } from '../../../../protocol/errors.ts'
import { randomBelow, seededRandom } from '../../../../protocol/lib/random.ts'
import { ConsumerDriver, INTERVAL_MS, Topics, textOf } from './consumer-driver.ts'

describe('[GRP-31] a partition has one owner: the next gets it when the last has let go', () => {
  test('step by step', () => {
    const driver = new ConsumerDriver({ t: 2 })
    driver.join('a')
    driver.obey('a')
    // The newcomer is in the new epoch at once, and waits for its part.
    const joined = driver.join('b')
    expect(joined).toMatchObject({ memberEpoch: 2, heartbeatIntervalMs: 1000 })
    expect(textOf(joined.assignment!)).toEqual([])
    // The other is told to let go, and stays in its epoch.
    const told = driver.beat('a')
    expect(told.memberEpoch).toBe(1)
    expect(textOf(told.assignment!)).toEqual(['T0'])
    expect(driver.group.phase).toBe('Reconciling')
    expect(driver.obey('b').assignment).toBeNull()
    // It says that it did.
    expect(driver.obey('a').memberEpoch).toBe(2)
    const got = driver.obey('b')
    expect(textOf(got.assignment!)).toEqual(['T1'])
    expect(got.heartbeatIntervalMs).toBe(INTERVAL_MS)
    expect(driver.group.phase).toBe('Stable')
  })

  test('a heartbeat that does not say what is read confirms nothing', () => {
    const driver = new ConsumerDriver({ t: 2 })
    driver.join('a')
    driver.obey('a')
    driver.join('b')
    driver.beat('a')
    for (let count = 0; count < 3; count++) {
      expect(driver.beat('a').memberEpoch).toBe(1)
      expect(driver.beat('b').assignment).toBeNull()
    }
  })

  test('who leaves has let go', () => {
    const driver = new ConsumerDriver({ t: 2 })
    driver.join('a')
    driver.obey('a')
    driver.join('b')
    driver.beat('a')
    driver.leave('a')
    driver.beat('b')
    expect(driver.assigned('b')).toEqual(['T0', 'T1'])
  })

  test('a target that changes back does not give back what the member was told to let go of', () => {
    const driver = new ConsumerDriver({ t: 2 })
    driver.join('a')
    driver.obey('a')
    driver.join('b')
    driver.beat('a')
    driver.leave('b')
    expect(driver.target('a')).toEqual(['T0', 'T1'])
    expect(driver.beat('a').assignment).toBeNull()
    expect(driver.assigned('a')).toEqual(['T0'])
    expect(textOf(driver.obey('a').assignment!)).toEqual(['T0', 'T1'])
  })

  test.each([1, 2, 3, 4, 5, 6, 7, 8])('whatever comes in whatever order (seed %i)', (seed) => {
    const random = seededRandom(seed)
    const driver = new ConsumerDriver(new Topics({ t: 5, u: 3, v: 1 }))
    const names = ['t', 'u', 'v', 'w']
    const subscription = () => names.filter(() => random.next() < 0.6)
    const pick = () => [...driver.members.keys()][randomBelow(random, driver.members.size)]
    let joined = 0
    for (let step = 0; step < 400; step++) {
      const memberId = pick()
      const what = randomBelow(random, 10)
      if (!memberId || what === 0) driver.join(`m${joined++}`, subscription())
      else if (what === 1) driver.leave(memberId)
      else if (what === 2) driver.beat(memberId, { subscribedNames: subscription() })
      else if (what === 3) driver.topics.put(names[randomBelow(random, 4)]!, 1 + randomBelow(random, 6))
      else if (what === 4 && random.next() < 0.2) driver.restart()
      else if (what === 5) driver.advance(randomBelow(random, 1000))
      // A member lets go whenever it likes; what it was told to read it reads when it likes.
      else if (driver.code(() => driver.obey(memberId)) !== ErrorCode.NONE) driver.members.delete(memberId)
      expect(driver.overlaps(), `step ${step}`).toEqual([])
    }
    driver.settle()
    const read = Object.values(driver.owned()).flat().sort()
    const subscribed = [...driver.group.subscribedTopics()!].flatMap((name) => {
      const topic = driver.topics.topicByName(name)
      return Array.from({ length: topic?.partitions.length ?? 0 }, (_, partition) => topic!.id + partition)
    })
    expect(read).toEqual(subscribed.sort())
  })
})

describe('[GRP-37] topics that come, grow and go lead to a new epoch', () => {
  test('of those that are read, and of no others', () => {
    const driver = new ConsumerDriver({ t: 1, other: 1 })
    driver.join('a', ['t', 'later'])
    driver.settle()
    const { epoch } = driver.group
    driver.topics.put('unread', 3)
    driver.topics.put('other', 3)
    driver.obey('a')
    expect(driver.group.epoch).toBe(epoch)
    driver.topics.put('t', 2)
    driver.topics.put('later', 1)
    driver.obey('a')
    expect(driver.group.epoch).toBe(epoch + 1)
    driver.settle()
    expect(driver.owned()).toEqual({ a: ['T0', 'T1', 'LATER30'] })
    driver.topics.delete('t')
    driver.settle()
    expect(driver.group.epoch).toBe(epoch + 1)
    driver.obey('a')
    driver.settle()
    expect(driver.group.epoch).toBe(epoch + 2)
    expect(driver.owned()).toEqual({ a: ['LATER30'] })
  })

  test('a topic that is made anew is another topic', () => {
    const driver = new ConsumerDriver({ t: 1 })
    driver.join('a')
    driver.settle()
    driver.topics.delete('t')
    driver.topics.put('t', 1)
    driver.obey('a')
    driver.settle()
    expect(driver.owned()).toEqual({ a: ['T10'] })
  })

  test('also while the relay was away', () => {
    const driver = new ConsumerDriver({ t: 1 })
    driver.join('a')
    driver.settle()
    const { epoch } = driver.group
    driver.restart()
    driver.obey('a')
    expect(driver.group.epoch).toBe(epoch)
    driver.topics.put('t', 2)
    driver.restart()
    driver.obey('a')
    driver.settle()
    expect(driver.owned()).toEqual({ a: ['T0', 'T1'] })
  })
})

describe('[GRP-38] a regular expression selects the topics that there are', () => {
  test('and those that come to match', () => {
    const driver = new ConsumerDriver({ 'orders-eu': 1, 'orders-us': 1, payments: 1 })
    driver.join('a', [], { subscribedRegex: 'orders-.*' })
    driver.settle()
    expect(driver.owned()).toEqual({ a: ['ORDERS-EU0', 'ORDERS-US10'] })
    driver.topics.put('orders-jp', 1)
    driver.topics.put('preorders-x', 1)
    driver.obey('a')
    driver.settle()
    expect(driver.owned()).toEqual({ a: ['ORDERS-EU0', 'ORDERS-US10', 'ORDERS-JP30'] })
    driver.topics.delete('orders-us')
    driver.obey('a')
    driver.settle()
    expect(driver.owned()).toEqual({ a: ['ORDERS-EU0', 'ORDERS-JP30'] })
  })

  test('beside names, and in place of them', () => {
    const driver = new ConsumerDriver({ t: 1, u: 1, v: 1 })
    driver.join('a', ['t'], { subscribedRegex: 'u' })
    driver.settle()
    expect(driver.owned()).toEqual({ a: ['T0', 'U10'] })
    driver.beat('a', { subscribedNames: [], subscribedRegex: '[vx]' })
    driver.settle()
    expect(driver.owned()).toEqual({ a: ['V20'] })
    driver.beat('a', { subscribedNames: ['t'], subscribedRegex: '' })
    driver.settle()
    expect(driver.owned()).toEqual({ a: ['T0'] })
  })

  test('a topic that only some members match goes to those', () => {
    const driver = new ConsumerDriver({ t: 2 })
    driver.join('a', [], { subscribedRegex: 't|x' })
    driver.join('b', ['t', 'x'])
    driver.join('c', ['t'])
    driver.topics.put('x', 2)
    driver.settle()
    for (const memberId of ['a', 'b']) driver.obey(memberId)
    driver.settle()
    const { a, b, c } = driver.owned()
    expect([...a!, ...b!, ...c!].sort()).toEqual(['T0', 'T1', 'X10', 'X11'])
    expect(c!.every((at) => at.startsWith('T'))).toBe(true)
  })

  test('after a restart nothing is assigned anew before it is known again what it matches', () => {
    const driver = new ConsumerDriver({ t: 2, u: 2 })
    driver.join('a', [], { subscribedRegex: 't' })
    driver.join('b', ['u'])
    driver.settle()
    const { epoch } = driver.group
    driver.restart()
    expect(driver.group.subscribedTopics()).toBeNull()
    driver.join('c', ['u'])
    expect(driver.group.phase).toBe('Assigning')
    driver.obey('b')
    expect(driver.owned().b).toEqual(['U10', 'U11'])
    driver.obey('a')
    driver.settle()
    expect(driver.owned().a).toEqual(['T0', 'T1'])
    expect(driver.group.epoch).toBe(epoch + 1)
  })
})

test('[GRP-42] a large group is not assigned anew with each of many changes', () => {
  const driver = new ConsumerDriver({ t: 5000 })
  driver.join('a')
  driver.join('b')
  const { assignmentEpoch } = driver.group
  expect(driver.group).toMatchObject({ phase: 'Assigning', epoch: 2 })
  expect(assignmentEpoch).toBe(1)
  driver.advance(100)
  expect(driver.group.assignmentEpoch).toBe(2)
  driver.settle()
  expect(Object.values(driver.owned()).map((owned) => owned.length)).toEqual([2500, 2500])
})
