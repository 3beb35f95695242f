/** Records in the hands of a share group, against an account that keeps every offset by itself. */
import { describe, expect, test } from 'vitest'
import { ErrorCode, type KafkaError } from '../../../../protocol/errors.ts'
import { type Random, randomBelow, seededRandom } from '../../../../protocol/lib/random.ts'
import { AcknowledgeType } from '../../../../protocol/messages/share-fetch.ts'
import { checkAcknowledgements } from '../../../../server/coordinator/share/acknowledgements.ts'
import { SharePartition, type Span } from '../../../../server/coordinator/share/share-partition.ts'
import type { Wish } from '../../../../server/coordinator/share/taking.ts'

const LIMITS = { recordLocksMax: 100, deliveriesMax: 3 }
const { accept, release, reject, renew, gap } = AcknowledgeType

const batch = (first: number, last: number, hasRecords = true): Span => ({ first, last, hasRecords })
const wish = (memberId: string, rest: Partial<Wish> = {}): Wish => ({
  ...{ memberId, recordsMax: 1000, isStrict: false, batchSize: 1000, lockedUntil: 50 },
  ...rest,
})
const take = (partition: SharePartition, memberId: string, spans: Span[], rest: Partial<Wish> = {}, limits = LIMITS) =>
  partition
    .acquire(spans, wish(memberId, rest), limits)
    .map(({ first, last, deliveryCount }) => [first, last, deliveryCount])
const say = (partition: SharePartition, memberId: string, first: number, last: number, ...types: number[]) =>
  partition.acknowledge(memberId, [{ firstOffset: first, lastOffset: last, acknowledgeTypes: types }], {
    ...{ logStart: 0, lockedUntil: 90, deliveriesMax: LIMITS.deliveriesMax },
  })
const codeOf = (action: () => void): number => {
  try {
    action()
    return ErrorCode.NONE
  } catch (error) {
    return (error as KafkaError).code
  }
}

describe('[SHR-3] a record is in the hands of one member at a time', () => {
  test('what one has taken the next passes over', () => {
    const partition = new SharePartition(0)
    expect(take(partition, 'a', [batch(0, 9)])).toEqual([[0, 9, 1]])
    expect(take(partition, 'b', [batch(0, 9), batch(10, 14)])).toEqual([[10, 14, 1]])
    say(partition, 'a', 3, 5, release)
    expect(partition.nextOffset(LIMITS)).toBe(3)
    expect(take(partition, 'b', [batch(0, 9)])).toEqual([[3, 5, 2]])
  })

  test('batches are taken whole, unless no more records are asked for than come', () => {
    const partition = new SharePartition(0)
    expect(take(partition, 'a', [batch(0, 9), batch(10, 19)], { recordsMax: 5 })).toEqual([[0, 9, 1]])
    expect(take(partition, 'b', [batch(10, 19)], { recordsMax: 5, isStrict: true })).toEqual([[10, 14, 1]])
    expect(take(partition, 'b', [batch(10, 19)], { recordsMax: 5, isStrict: true })).toEqual([[15, 19, 1]])
  })

  test('neighbours are told as one up to the size that was asked for', () => {
    const spans = [batch(0, 3), batch(4, 7), batch(8, 11)]
    expect(take(new SharePartition(0), 'a', spans, { batchSize: 8 })).toEqual([
      [0, 7, 1],
      [8, 11, 1],
    ])
  })
})

describe('[SHR-4] what is settled never comes again; what is released, or held too long, does', () => {
  test('accepted, rejected and missing offsets are settled, in any order', () => {
    const partition = new SharePartition(0)
    take(partition, 'a', [batch(0, 9)])
    say(partition, 'a', 4, 6, accept, reject, gap)
    expect([partition.start, partition.settledCount]).toEqual([0, 3])
    say(partition, 'a', 0, 3, accept)
    expect([partition.start, partition.settledCount, partition.end]).toEqual([7, 0, 10])
    say(partition, 'a', 7, 9, accept)
    expect([partition.start, partition.end]).toEqual([10, 10])
  })

  test('a lock that runs out, and one that is renewed', () => {
    const partition = new SharePartition(0)
    take(partition, 'a', [batch(0, 9)])
    say(partition, 'a', 5, 9, renew)
    expect(partition.nextDeadline).toBe(50)
    partition.expire(50, LIMITS.deliveriesMax)
    expect(partition.nextDeadline).toBe(90)
    expect(take(partition, 'b', [batch(0, 9)])).toEqual([[0, 4, 2]])
    expect(codeOf(() => say(partition, 'a', 0, 0, accept))).toBe(ErrorCode.INVALID_RECORD_STATE)
    say(partition, 'a', 5, 9, accept)
  })

  test('what a member has in hand when it goes is free, and counts as delivered', () => {
    const partition = new SharePartition(0)
    take(partition, 'a', [batch(0, 1)])
    expect(partition.releaseAll('a', 3)).toBe(true)
    expect(take(partition, 'b', [batch(0, 1)])).toEqual([[0, 1, 2]])
    expect(partition.releaseAll('a', 3)).toBe(false)
  })
})

describe('[SHR-5] a record is given up after its last delivery, on which it comes alone', () => {
  test('so one that makes consumers fail takes no others with it', () => {
    const partition = new SharePartition(0)
    for (let delivery = 1; delivery < LIMITS.deliveriesMax; delivery++) {
      expect(take(partition, 'a', [batch(0, 4)])).toEqual([[0, 4, delivery]])
      partition.expire(50, LIMITS.deliveriesMax)
    }
    expect(take(partition, 'a', [batch(0, 4), batch(5, 9)])).toEqual([[0, 0, 3]])
    expect(take(partition, 'b', [batch(0, 4), batch(5, 9)])).toEqual([[1, 1, 3]])
    partition.expire(50, LIMITS.deliveriesMax)
    expect(partition.start).toBe(2)
    // Fresh ones are not held up, but do not come with it either.
    expect(take(partition, 'c', [batch(5, 9)])).toEqual([[5, 9, 1]])
  })

  test('also when a member releases it', () => {
    const partition = new SharePartition(0)
    for (let delivery = 1; delivery <= LIMITS.deliveriesMax; delivery++) {
      take(partition, 'a', [batch(0, 0)])
      say(partition, 'a', 0, 0, release)
    }
    expect(partition.start).toBe(1)
  })
})

describe('[SHR-6] who acknowledges holds all of it, or nothing is acknowledged', () => {
  test('offsets of others, of nobody, and settled ones', () => {
    const partition = new SharePartition(0)
    take(partition, 'a', [batch(0, 4)])
    take(partition, 'b', [batch(5, 9)])
    const refused = (...offsets: [number, number]) => codeOf(() => say(partition, 'a', ...offsets, accept))
    expect(refused(3, 5)).toBe(ErrorCode.INVALID_RECORD_STATE)
    expect(refused(10, 10)).toBe(ErrorCode.INVALID_REQUEST)
    expect(partition.start).toBe(0)
    say(partition, 'a', 0, 4, accept)
    expect(refused(0, 4)).toBe(ErrorCode.INVALID_RECORD_STATE)
  })

  test('what the log let go of meanwhile is passed over', () => {
    const partition = new SharePartition(0)
    take(partition, 'a', [batch(0, 9)])
    partition.fitTo({ startOffset: 6, endOffset: 10 })
    const acknowledgement = { firstOffset: 0, lastOffset: 9, acknowledgeTypes: [accept] }
    partition.acknowledge('a', [acknowledgement], { logStart: 6, lockedUntil: 0, deliveriesMax: 3 })
    expect(partition.start).toBe(10)
  })

  test('what cannot be meant is refused before it is looked at', () => {
    const check = (...batches: Array<[number, number, number[]]>) =>
      codeOf(() =>
        checkAcknowledgements(
          batches.map(([firstOffset, lastOffset, acknowledgeTypes]) => ({ firstOffset, lastOffset, acknowledgeTypes })),
          false,
        ),
      )
    expect(check([0, 2, [accept]], [3, 4, [accept, release]])).toBe(ErrorCode.NONE)
    for (const wrong of [
      [0, 2, []],
      [0, 2, [1, 1]],
      [2, 0, [1]],
      [-1, 0, [1]],
      [0, 0, [5]],
      [0, 0, [-1]],
      [0, 0, [4]],
    ])
      expect(check(wrong as [number, number, number[]]), JSON.stringify(wrong)).toBe(ErrorCode.INVALID_REQUEST)
    expect(check([3, 4, [1]], [0, 1, [1]])).toBe(ErrorCode.INVALID_REQUEST)
    expect(check([0, 2 ** 52, [1, 2]])).toBe(ErrorCode.INVALID_REQUEST)
  })
})

test('[SHR-11] no more is in hand than allowed, even of one batch', () => {
  const partition = new SharePartition(0)
  expect(take(partition, 'a', [batch(0, 499)])).toEqual([[0, 99, 1]])
  expect(partition.nextOffset(LIMITS)).toBeUndefined()
  say(partition, 'a', 10, 19, accept)
  expect(take(partition, 'b', [batch(0, 499)])).toEqual([[100, 109, 1]])
})

test('[SHR-10] spans without records are settled by themselves', () => {
  const partition = new SharePartition(0)
  expect(take(partition, 'a', [batch(0, 0, false), batch(1, 2), batch(3, 3, false)])).toEqual([[1, 2, 1]])
  expect(partition.start).toBe(1)
  say(partition, 'a', 1, 2, accept)
  expect(partition.start).toBe(4)
  expect(take(partition, 'a', [batch(4, 9, false)])).toEqual([])
  expect(partition.start).toBe(10)
})

interface Account {
  state: 'available' | 'acquired' | 'settled'
  count: number
  memberId: string
}

const MEMBERS = ['a', 'b', 'c']

/** Does something at random, to the partition and to the account. */
function step(partition: SharePartition, account: Account[], random: Random, now: number): void {
  const memberId = MEMBERS[randomBelow(random, MEMBERS.length)]!
  const action = random.next()
  if (action < 0.45) {
    const from = partition.nextOffset(LIMITS) ?? partition.start
    const acquired = partition.acquire(
      [batch(from, from + randomBelow(random, 12))],
      wish(memberId, { lockedUntil: now + 5 }),
      LIMITS,
    )
    for (const { first, last, deliveryCount } of acquired)
      for (let offset = first; offset <= last; offset++) {
        account[offset] ??= { state: 'available', count: 0, memberId: '' }
        expect(account[offset]!.state).toBe('available')
        Object.assign(account[offset]!, { state: 'acquired', count: account[offset]!.count + 1, memberId })
        expect(account[offset]!.count).toBe(deliveryCount)
      }
  } else if (action < 0.9) {
    const mine = [...account.keys()].filter(
      (offset) => account[offset]?.state === 'acquired' && account[offset]!.memberId === memberId,
    )
    if (mine.length === 0) return
    const from = mine[randomBelow(random, mine.length)]!
    let to = from
    while (mine.includes(to + 1) && random.next() < 0.7) to++
    const types = Array.from({ length: to - from + 1 }, () => [accept, release, reject][randomBelow(random, 3)]!)
    partition.acknowledge(memberId, [{ firstOffset: from, lastOffset: to, acknowledgeTypes: types }], {
      ...{ logStart: 0, lockedUntil: 0, deliveriesMax: LIMITS.deliveriesMax },
    })
    for (const [index, type] of types.entries()) {
      const known = account[from + index]!
      known.state = type === release && known.count < LIMITS.deliveriesMax ? 'available' : 'settled'
    }
  } else {
    partition.releaseAll(memberId, LIMITS.deliveriesMax)
    for (const known of account)
      if (known?.state === 'acquired' && known.memberId === memberId)
        known.state = known.count < LIMITS.deliveriesMax ? 'available' : 'settled'
  }
}

test('[SHR-8] at random: nothing settled comes again, nothing else is lost, and what is written says the same', () => {
  for (let seed = 1; seed <= 30; seed++) {
    const random = seededRandom(seed)
    const partition = new SharePartition(0)
    const account: Account[] = []
    let written = SharePartition.restore(partition.snapshot())
    for (let time = 0; time < 300; time++) {
      step(partition, account, random, time)
      const update = partition.takeUpdate()
      if (update) written.update(JSON.parse(JSON.stringify(update)))
      if (random.next() < 0.02) written = SharePartition.restore(JSON.parse(JSON.stringify(partition.snapshot())))
    }
    const settledBelow = account.findIndex(({ state }) => state !== 'settled')
    expect(partition.start, `seed ${seed}`).toBe(settledBelow < 0 ? account.length : settledBelow)
    // After a crash whatever is not settled can be taken, and nothing else.
    const again: number[] = []
    for (;;) {
      const from = written.nextOffset({ ...LIMITS, recordLocksMax: 1e6 })!
      if (from >= account.length) break
      const acquired = written.acquire([batch(from, account.length - 1)], wish('z'), { ...LIMITS, recordLocksMax: 1e6 })
      for (const { first, last } of acquired) for (let offset = first; offset <= last; offset++) again.push(offset)
    }
    const open = [...account.keys()].filter((offset) => account[offset]!.state !== 'settled')
    expect(
      again.sort((a, b) => a - b),
      `seed ${seed}`,
    ).toEqual(open)
  }
})
