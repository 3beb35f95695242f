/** Who shall fetch what in a share group. */
import { expect, test } from 'vitest'
import { randomBelow, seededRandom } from '../../../../protocol/lib/random.ts'
import type { Candidate, Subscribers } from '../../../../server/coordinator/consumer/assignors/assignor.ts'
import { simple } from '../../../../server/coordinator/consumer/assignors/simple.ts'
import { countOf, eachOf, NO_PARTITIONS, type Partitions } from '../../../../server/coordinator/consumer/partitions.ts'

type Shares = ReadonlyMap<string, Partitions>

const among = (topics: string, memberIds: readonly string[], before: Shares = new Map()): Subscribers => ({
  topicIds: new Set(topics),
  members: memberIds.map(
    (memberId): Candidate => ({
      ...{ memberId, instanceId: null, target: before.get(memberId) ?? NO_PARTITIONS },
    }),
  ),
})

const spread = (counts: Iterable<number>) => {
  const all = [...counts]
  return Math.max(...all) - Math.min(...all)
}

function readersOf(shares: Shares): Map<string, number> {
  const readers = new Map<string, number>()
  for (const partitions of shares.values())
    for (const at of eachOf(partitions)) readers.set(at.join(), (readers.get(at.join()) ?? 0) + 1)
  return readers
}

const kept = (before: Shares, after: Shares) => {
  let count = 0
  for (const [memberId, partitions] of after) {
    const had = new Set([...eachOf(before.get(memberId) ?? NO_PARTITIONS)].map((at) => at.join()))
    for (const at of eachOf(partitions)) if (had.has(at.join())) count++
  }
  return count
}

test('[SHR-2] every partition has a reader and every member a partition, evenly', () => {
  const random = seededRandom(1)
  for (let round = 0; round < 200; round++) {
    const counts = new Map([...'TUV'].map((topicId) => [topicId, 1 + randomBelow(random, 6)]))
    const members = Array.from({ length: 1 + randomBelow(random, 20) }, (_, index) => `m${index}`)
    const partitionCount = [...counts.values()].reduce((sum, count) => sum + count, 0)
    const shares = simple([among('TUV', members)], counts)
    expect(spread(members.map((memberId) => countOf(shares.get(memberId) ?? NO_PARTITIONS)))).toBeLessThanOrEqual(1)
    const readers = readersOf(shares)
    expect(readers.size).toBe(partitionCount)
    expect(spread(readers.values())).toBeLessThanOrEqual(1)
    for (const memberId of members) expect(countOf(shares.get(memberId)!)).toBeGreaterThanOrEqual(1)
  }
})

test('[SHR-2] who has something keeps it as far as that is even', () => {
  const counts = new Map([['T', 4]])
  const two = simple([among('T', ['a', 'b'])], counts)
  expect(kept(two, simple([among('T', ['a', 'b'], two)], counts))).toBe(4)
  const four = simple([among('T', ['a', 'b', 'c', 'd'], two)], counts)
  expect(kept(two, four)).toBe(2)
  const eight = simple([among('T', [...'abcdefgh'], four)], counts)
  expect(kept(four, eight)).toBe(4)
  expect(spread(readersOf(eight).values())).toBe(0)
  const nine = simple([among('T', [...'abcdefghi'], eight)], counts)
  expect(kept(eight, nine)).toBe(8)
})

test('[SHR-2] members that read different topics cover each their own', () => {
  const counts = new Map([
    ['T', 2],
    ['U', 1],
  ])
  const shares = simple([among('TU', ['a', 'b']), among('U', ['c']), among('X', ['d'])], counts)
  expect([...readersOf(shares)].sort()).toEqual([
    ['T,0', 1],
    ['T,1', 1],
    ['U,0', 2],
  ])
})
