/** Who shall read what: the assignors of the relay. */
import { describe, expect, test } from 'vitest'
import { randomBelow, seededRandom } from '../../../../protocol/lib/random.ts'
import type { Candidate, Subscribers } from '../../../../server/coordinator/consumer/assignors/assignor.ts'
import { range } from '../../../../server/coordinator/consumer/assignors/range.ts'
import { uniform } from '../../../../server/coordinator/consumer/assignors/uniform.ts'
import { countOf, eachOf, NO_PARTITIONS, type Partitions } from '../../../../server/coordinator/consumer/partitions.ts'
import { ConsumerDriver, textOf } from './consumer-driver.ts'

const candidate = (
  memberId: string,
  target: Partitions = NO_PARTITIONS,
  instanceId: string | null = null,
): Candidate => ({
  memberId,
  instanceId,
  target,
})

/** Members by the topics they read, `a: 'TU'`. */
function subscribersOf(topics: Readonly<Record<string, string>>, targets: ReadonlyMap<string, Partitions> = new Map()) {
  const bySubscription = new Map<string, Candidate[]>()
  for (const [memberId, read] of Object.entries(topics)) {
    bySubscription.set(read, [...(bySubscription.get(read) ?? []), candidate(memberId, targets.get(memberId))])
  }
  return [...bySubscription].map(([read, members]): Subscribers => ({ topicIds: new Set(read), members }))
}

const counts = (of: Readonly<Record<string, number>>) => new Map(Object.entries(of))
const texts = (shares: ReadonlyMap<string, Partitions>) =>
  Object.fromEntries([...shares].map(([memberId, partitions]) => [memberId, textOf(partitions)]))

function moved(before: ReadonlyMap<string, Partitions>, after: ReadonlyMap<string, Partitions>): number {
  const owners = new Map<string, string>()
  for (const [memberId, partitions] of before) for (const at of eachOf(partitions)) owners.set(at.join(), memberId)
  let count = 0
  for (const [memberId, partitions] of after) {
    for (const at of eachOf(partitions)) if ((owners.get(at.join()) ?? memberId) !== memberId) count++
  }
  return count
}

describe('[GRP-35] uniform: as many for everybody, and everybody keeps what they can', () => {
  test('from nothing, one after another', () => {
    const shares = uniform(subscribersOf({ a: 'TU', b: 'TU', c: 'TU' }), counts({ T: 4, U: 3 }))
    expect(texts(shares)).toEqual({ a: ['T0', 'T3', 'U2'], b: ['T1', 'U0'], c: ['T2', 'U1'] })
  })

  test('a newcomer gets its part and nothing else moves; who goes leaves to the others', () => {
    const partitions = counts({ T: 24 })
    let shares = uniform(subscribersOf({ a: 'T', b: 'T', c: 'T' }), partitions)
    const joined = uniform(subscribersOf({ a: 'T', b: 'T', c: 'T', d: 'T' }, shares), partitions)
    expect([...joined.values()].map(countOf)).toEqual([6, 6, 6, 6])
    expect(moved(shares, joined)).toBe(6)
    shares = new Map([...joined].filter(([memberId]) => memberId !== 'b'))
    const left = uniform(subscribersOf({ a: 'T', c: 'T', d: 'T' }, shares), partitions)
    expect([...left.values()].map(countOf)).toEqual([8, 8, 8])
    expect(moved(shares, left)).toBe(0)
  })

  test('unequal subscriptions: those with little choice come first', () => {
    const shares = uniform(subscribersOf({ a: 'T', b: 'TU', c: 'TUV' }), counts({ T: 2, U: 2, V: 2 }))
    expect(texts(shares)).toEqual({ a: ['T0', 'T1'], b: ['U0', 'U1'], c: ['V0', 'V1'] })
  })

  test('more members than partitions', () => {
    const shares = uniform(subscribersOf({ a: 'T', b: 'T', c: 'T' }), counts({ T: 1 }))
    expect([...shares.values()].map(countOf).reduce((sum, count) => sum + count)).toBe(1)
  })

  test.each([1, 2, 3, 4, 5])('random subscriptions that change (seed %i)', (seed) => {
    const random = seededRandom(seed)
    const topics = [...'TUVWX']
    const partitionCounts = counts(Object.fromEntries(topics.map((id) => [id, 1 + randomBelow(random, 12)])))
    const members: Record<string, string> = {}
    let shares: ReadonlyMap<string, Partitions> = new Map()
    for (let round = 0; round < 60; round++) {
      const memberId = `m${randomBelow(random, 12)}`
      const read = topics.filter(() => random.next() < 0.6).join('')
      if (read === '') delete members[memberId]
      else members[memberId] = read
      const subscribed = new Map([...partitionCounts].filter(([id]) => Object.values(members).join().includes(id)))
      shares = uniform(subscribersOf(members, shares), subscribed)
      const all = [...shares].flatMap(([id, partitions]) => [...eachOf(partitions)].map((at) => [id, ...at] as const))
      for (const [id, topicId] of all) expect(members[id]).toContain(topicId)
      expect(new Set(all.map(([, ...at]) => at.join())).size).toBe(all.length)
      expect(all.length).toBe([...subscribed.values()].reduce((sum, count) => sum + count, 0))
      // Nobody has two more than somebody who could read one of them.
      const load = (id: string) => countOf(shares.get(id) ?? NO_PARTITIONS)
      for (const [id, topicId] of all) {
        for (const [other, theirs] of Object.entries(members))
          if (theirs.includes(topicId)) expect(load(id) - load(other)).toBeLessThanOrEqual(1)
      }
      expect(moved(shares, uniform(subscribersOf(members, shares), subscribed))).toBe(0)
    }
  })

  test('10,000 partitions among 1,000 members of two kinds, and half of them leave', () => {
    const topics = Array.from({ length: 100 }, (_, index) => `t${index}`)
    const partitionCounts = new Map(topics.map((id) => [id, 100]))
    const kind = (from: number, topicIds: readonly string[]): Subscribers => ({
      topicIds: new Set(topicIds),
      members: Array.from({ length: 500 }, (_, index) => candidate(`m${from + index}`)),
    })
    const subscribers = [kind(0, topics), kind(500, topics.slice(1))]
    const shares = uniform(subscribers, partitionCounts)
    const loads = [...shares.values()].map(countOf)
    expect([Math.min(...loads), Math.max(...loads)]).toEqual([10, 10])
    const rest = subscribers.map(({ topicIds, members }) => ({
      topicIds,
      members: members.slice(250).map(({ memberId }) => candidate(memberId, shares.get(memberId))),
    }))
    const after = [...uniform(rest, partitionCounts).values()].map(countOf)
    expect([Math.min(...after), Math.max(...after)]).toEqual([20, 20])
  })
})

describe('[GRP-36] range: neighbours together, the same number of each topic to the same member', () => {
  test('topics with the same readers are cut alike', () => {
    const shares = range(subscribersOf({ a: 'TU', b: 'TU', c: 'T' }), counts({ T: 4, U: 4 }))
    expect(texts(shares)).toEqual({ a: ['T0', 'T1', 'U0', 'U1'], b: ['T2', 'U2', 'U3'], c: ['T3'] })
  })

  test('a static member has the place of its instance, whatever its id', () => {
    const members = [candidate('z', NO_PARTITIONS, 'i1'), candidate('a', NO_PARTITIONS, 'i2')]
    const shares = range([{ topicIds: new Set('T'), members }], counts({ T: 3 }))
    expect(texts(shares)).toEqual({ z: ['T0', 'T1'], a: ['T2'] })
  })

  test('more members than partitions', () => {
    const shares = range(subscribersOf({ a: 'T', b: 'T', c: 'T' }), counts({ T: 2 }))
    expect(texts(shares)).toEqual({ a: ['T0'], b: ['T1'] })
  })

  test('most of those who ask for an assignor decide, the rest follow', () => {
    const driver = new ConsumerDriver({ t: 4 })
    driver.join('a')
    expect(driver.group.assignorName).toBe('uniform')
    driver.join('b', ['t'], { serverAssignor: 'range' })
    expect(driver.group.assignorName).toBe('range')
    driver.settle()
    expect(driver.owned()).toEqual({ a: ['T0', 'T1'], b: ['T2', 'T3'] })
    driver.join('c', ['t'], { serverAssignor: 'uniform' })
    driver.join('d', ['t'], { serverAssignor: 'uniform' })
    expect(driver.group.assignorName).toBe('uniform')
  })
})
