/** Assignments as functions: fair, complete, steady, and in the bytes that other clients read. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Assignor, GroupMember } from '../../../client/group/assignor.ts'
import { cooperativeSticky } from '../../../client/group/assignors/cooperative-sticky.ts'
import { assignorsOf } from '../../../client/group/assignors/names.ts'
import { range } from '../../../client/group/assignors/range.ts'
import { roundRobin, roundRobinOfKafkajs } from '../../../client/group/assignors/round-robin.ts'
import { groupByTopic, keyOf, type TopicPartition } from '../../../client/group/topic-partition.ts'
import {
  decodeAssignment,
  decodeSubscription,
  encodeAssignment,
  encodeSubscription,
} from '../../../protocol/messages/consumer-protocol.ts'

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const bytes = (text: string) => new Uint8Array(Buffer.from(text.replaceAll(' ', ''), 'hex'))

function member(
  memberId: string,
  topics: readonly string[],
  owned: readonly TopicPartition[] = [],
  generationId = -1,
): GroupMember {
  const subscription = {
    topics: [...topics],
    userData: null,
    ownedPartitions: groupByTopic(owned),
    generationId,
    rackId: null,
  }
  return { memberId, groupInstanceId: null, subscription }
}

const counts = (record: Record<string, number>) => new Map(Object.entries(record))
const shown = (parts: Map<string, TopicPartition[]>) =>
  Object.fromEntries([...parts].map(([id, list]) => [id, list.map(keyOf).sort()]))

describe('bytes of the consumer protocol', () => {
  test('[CON-1] a subscription of each version', () => {
    const value = {
      topics: ['t'],
      userData: Uint8Array.of(0, 0, 0, 7),
      ownedPartitions: [{ topic: 't', partitions: [1, 2] }],
      generationId: 7,
      rackId: null,
    }
    const [topics, userData] = ['00000001 0001 74', '00000004 00000007']
    const owned = '00000001 0001 74 00000002 00000001 00000002'
    expect(hex(encodeSubscription(value, 0))).toBe(hex(bytes(`0000 ${topics} ${userData}`)))
    expect(hex(encodeSubscription(value, 1))).toBe(hex(bytes(`0001 ${topics} ${userData} ${owned}`)))
    expect(hex(encodeSubscription(value, 2))).toBe(hex(bytes(`0002 ${topics} ${userData} ${owned} 00000007`)))
    expect(hex(encodeSubscription(value))).toBe(hex(bytes(`0003 ${topics} ${userData} ${owned} 00000007 ffff`)))
    expect(decodeSubscription(encodeSubscription(value))).toEqual(value)
  })

  test('[CON-1] an assignment, none at all, and what a later version adds', () => {
    const value = { assignedPartitions: [{ topic: 't', partitions: [0] }], userData: null }
    const encoded = bytes('0003 00000001 0001 74 00000001 00000000 ffffffff')
    expect(hex(encodeAssignment(value))).toBe(hex(encoded))
    expect(decodeAssignment(encoded)).toEqual(value)
    expect(decodeAssignment(new Uint8Array(0)).assignedPartitions).toEqual([])
    expect(decodeAssignment(bytes('0009 00000001 0001 74 00000001 00000000 ffffffff 0102'))).toEqual(value)
  })

  test('[CON-1] bytes that are cut off are refused as malformed', () => {
    const whole = encodeSubscription({ topics: ['topic'], userData: Uint8Array.of(1), ownedPartitions: [] })
    for (let length = 0; length < whole.length; length++) {
      expect(() => decodeSubscription(whole.subarray(0, length))).toThrow(
        expect.objectContaining({ name: 'MalformedError' }),
      )
    }
  })
})

describe('range and round robin', () => {
  test('[CON-2] range gives runs of neighbours, the first members one more', () => {
    const parts = range.assign([member('b', ['x', 'y']), member('a', ['x', 'y'])], counts({ x: 3, y: 2 }))
    expect(shown(parts)).toEqual({ a: ['x/0', 'x/1', 'y/0'], b: ['x/2', 'y/1'] })
  })

  test('[CON-2] round robin deals partitions out, and passes over who does not read the topic', () => {
    const parts = roundRobin.assign([member('a', ['x', 'y']), member('b', ['y'])], counts({ x: 2, y: 3 }))
    expect(shown(parts)).toEqual({ a: ['x/0', 'x/1', 'y/1'], b: ['y/0', 'y/2'] })
    expect(roundRobinOfKafkajs.name).toBe('RoundRobinAssigner')
  })

  test('[CON-2] static members keep their place whatever their member ids', () => {
    const named = (memberId: string, groupInstanceId: string) => ({ ...member(memberId, ['x']), groupInstanceId })
    const before = range.assign([named('m1', 'one'), named('m2', 'two')], counts({ x: 2 }))
    const after = range.assign([named('m9', 'one'), named('m2', 'two')], counts({ x: 2 }))
    expect([before.get('m1'), before.get('m2')]).toEqual([after.get('m9'), after.get('m2')])
  })

  test('[CON-2] topics that do not exist are nobody’s', () => {
    for (const assignor of [range, roundRobin, cooperativeSticky]) {
      expect(shown(assignor.assign([member('a', ['nowhere'])], counts({})))).toEqual({ a: [] })
    }
  })

  test('[CON-2] an assignor that there is not is refused by name', () => {
    expect(assignorsOf(['range', cooperativeSticky])).toEqual([range, cooperativeSticky])
    expect(() => assignorsOf(['sticky'])).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    expect(() => assignorsOf([])).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  })
})

/** Members with the topics they read, topics with their partitions. */
const groups = fc.record({
  topics: fc.array(fc.integer({ min: 0, max: 7 }), { minLength: 1, maxLength: 5 }),
  members: fc.array(fc.array(fc.integer({ min: 0, max: 4 }), { minLength: 1, maxLength: 5 }), {
    minLength: 1,
    maxLength: 7,
  }),
})

function build({ topics, members }: { topics: number[]; members: number[][] }) {
  const partitionCounts = counts(Object.fromEntries(topics.map((count, index) => [`t${index}`, count])))
  const list = members.map((wanted, index) =>
    member(
      `m${index}`,
      [...new Set(wanted)].map((topic) => `t${topic}`),
    ),
  )
  return { partitionCounts, members: list }
}

/** The next round: everybody owns what it was given, after letting go of what it was not. */
function nextRound(members: readonly GroupMember[], parts: Map<string, TopicPartition[]>, generationId: number) {
  return members.map(({ memberId, subscription }) => {
    return member(memberId, subscription.topics, parts.get(memberId) ?? [], generationId)
  })
}

function settle(assignor: Assignor, members: readonly GroupMember[], partitionCounts: ReadonlyMap<string, number>) {
  const first = assignor.assign(members, partitionCounts)
  return assignor.assign(nextRound(members, first, 2), partitionCounts)
}

describe('cooperative sticky', () => {
  test('[CON-3] any group: every partition has one owner that reads it, and no chain of moves makes it more even', () => {
    fc.assert(
      fc.property(groups, (group) => {
        const { partitionCounts, members } = build(group)
        for (const assignor of [range, roundRobin, cooperativeSticky]) {
          const parts = settle(assignor, members, partitionCounts)
          const readable = members.flatMap(({ subscription }) => subscription.topics)
          const expected = [...partitionCounts].flatMap(([topic, count]) =>
            readable.includes(topic) ? Array.from({ length: count }, (_, partition) => `${topic}/${partition}`) : [],
          )
          expect([...parts.values()].flat().map(keyOf).sort()).toEqual(expected.sort())
          for (const { memberId, subscription } of members) {
            for (const { topic } of parts.get(memberId)!) expect(subscription.topics).toContain(topic)
          }
        }
        const parts = settle(cooperativeSticky, members, partitionCounts)
        expect(sortedLoads(parts)).toEqual(sortedLoads(evenest(members, partitionCounts)))
      }),
      { numRuns: 300 },
    )
  })

  test('[CON-3] a settled group stays as it is; whoever leaves or joins moves no more than it must', () => {
    const members = ['a', 'b', 'c'].map((id) => member(id, ['x']))
    const settled = settle(cooperativeSticky, members, counts({ x: 9 }))
    const again = cooperativeSticky.assign(nextRound(members, settled, 3), counts({ x: 9 }))
    expect(shown(again)).toEqual(shown(settled))
    const left = cooperativeSticky.assign(nextRound(members, settled, 3).slice(1), counts({ x: 9 }))
    for (const id of ['b', 'c']) expect(shown(left)[id]).toEqual(expect.arrayContaining(shown(settled)[id]!))
    const four = [...nextRound(members, settled, 3), member('d', ['x'])]
    const joined = cooperativeSticky.assign(four, counts({ x: 9 }))
    // Its share is still in the hands of others in this round.
    expect(joined.get('d')).toEqual([])
    const released = cooperativeSticky.assign(nextRound(four, joined, 4), counts({ x: 9 }))
    expect(released.get('d')).toHaveLength(2)
    const moved =
      members.flatMap(({ memberId }) => settled.get(memberId)!).length -
      members.flatMap(({ memberId }) => released.get(memberId)!).length
    expect(moved).toBe(2)
  })

  test('[CON-3] a partition that two claim goes by the later generation, and to neither when that is the same', () => {
    const at = [{ topic: 'x', partition: 0 }]
    const stale = [member('a', ['x'], at, 4), member('b', ['x'], at, 5)]
    expect(shown(cooperativeSticky.assign(stale, counts({ x: 1 })))).toEqual({ a: [], b: ['x/0'] })
    const contested = [member('a', ['x'], at, 5), member('b', ['x'], at, 5)]
    const parts = cooperativeSticky.assign(contested, counts({ x: 1 }))
    expect([...parts.values()].flat()).toEqual(at)
  })

  test('[CON-3] the generation of an older subscription is read from its user data', () => {
    const owner = member('a', ['x'], [{ topic: 'x', partition: 0 }])
    owner.subscription.userData = cooperativeSticky.userData!(9)
    const rival = member('b', ['x'], [{ topic: 'x', partition: 0 }], 8)
    expect(shown(cooperativeSticky.assign([rival, owner], counts({ x: 1 })))).toEqual({ a: ['x/0'], b: [] })
  })

  test('[CON-3] a thousand partitions of forty topics among a hundred members, at once', () => {
    const names = Array.from({ length: 40 }, (_, index) => `t${index}`)
    const members = Array.from({ length: 100 }, (_, index) => member(`m${index}`, names.slice(index % 10)))
    const partitionCounts = counts(Object.fromEntries(names.map((name) => [name, 25])))
    const startedAt = performance.now()
    const loads = sortedLoads(settle(cooperativeSticky, members, partitionCounts))
    expect(performance.now() - startedAt).toBeLessThan(2_000)
    expect([loads[0], loads.at(-1)]).toEqual([10, 10])
  })
})

const sortedLoads = (parts: Map<string, TopicPartition[]>) =>
  [...parts.values()].map((list) => list.length).sort((a, b) => a - b)

/** The most even loads there are: raise the lowest as long as any path of reassignments allows it, from nothing up. */
function evenest(members: readonly GroupMember[], partitionCounts: ReadonlyMap<string, number>) {
  const parts = new Map<string, TopicPartition[]>(members.map(({ memberId }) => [memberId, []]))
  const reads = (memberId: string, topic: string) =>
    members.find((one) => one.memberId === memberId)!.subscription.topics.includes(topic)
  for (const [topic, count] of partitionCounts) {
    const readers = members.filter(({ memberId }) => reads(memberId, topic))
    for (let partition = 0; readers.length > 0 && partition < count; partition++) {
      const least = readers.reduce((a, b) => (parts.get(b.memberId)!.length < parts.get(a.memberId)!.length ? b : a))
      parts.get(least.memberId)!.push({ topic, partition })
    }
  }
  for (let isBetter = true; isBetter; ) {
    isBetter = false
    for (const start of parts.keys()) isBetter ||= shiftAlong(parts, reads, [start])
  }
  return parts
}

function shiftAlong(
  parts: Map<string, TopicPartition[]>,
  reads: (memberId: string, topic: string) => boolean,
  path: string[],
): boolean {
  const last = path.at(-1)!
  for (const next of parts.keys()) {
    if (path.includes(next)) continue
    const movable = parts.get(last)!.find(({ topic }) => reads(next, topic))
    if (!movable) continue
    const isEnd = parts.get(next)!.length <= parts.get(path[0]!)!.length - 2
    if (!isEnd && !shiftAlong(parts, reads, [...path, next])) continue
    parts.set(
      last,
      parts.get(last)!.filter((at) => at !== movable),
    )
    parts.get(next)!.push(movable)
    return true
  }
  return false
}
