/** The checker is checked: clean histories pass, and each kind of fault that is planted in one is found by its name. */
import { expect, test } from 'vitest'
import { ANOMALIES, type AnomalyKind } from './anomalies.ts'
import { check } from './check.ts'
import { CleanHistory } from './clean-history.ts'
import type { Commit, Committed, Ends, Operation, Read, Rows, Send, Transaction } from './history.ts'

const clean = (seed = 7): Operation[] => structuredClone(new CleanHistory({ operations: 600, seed }).operations)

const sends = (all: Operation[]) => all.filter((each): each is Send => each.op === 'send')
const reads = (all: Operation[]) => all.filter((each): each is Read => each.op === 'read')
const acknowledged = (all: Operation[]) =>
  sends(all).find((send) => send.outcome === 'ok' && !send.transaction && send.values.length > 1)!
const filledRead = (all: Operation[], isolation: 0 | 1 = 0) =>
  reads(all).find((read) => read.isolation === isolation && read.records.length > 3 && !read.jump)!
const rowsOf = (all: Operation[]) => all.find((each): each is Rows => each.op === 'rows')!.rows
const transactionOf = (all: Operation[], outcome: Transaction['outcome']) =>
  all.find((each): each is Transaction => each.op === 'transaction' && each.outcome === outcome)!

/** Takes a record out of everything that readers were given. */
function removeEverywhere(all: Operation[], values: readonly string[]): void {
  for (const read of reads(all)) read.records = read.records.filter(([, value]) => !values.includes(value))
}

/** Each spoils one thing, as a faulty relay or client might. */
const PLANTED: Record<AnomalyKind, Array<(all: Operation[]) => void>> = {
  'inconsistent-offset': [
    (all) => {
      const [offset, value] = filledRead(all).records[0]!
      const other = reads(all).findLast((read) => read.records.some((record) => record[1] === value))!
      other.records = other.records.map((record) => (record[0] === offset ? [offset, 'value0'] : record))
    },
  ],
  duplicate: [
    (all) => {
      const last = reads(all).findLast((read) => read.isolation === 0)!
      const [offset] = last.records.at(-1)!
      last.next = offset + 2
      last.records.push([offset + 1, acknowledged(all).values[0]!])
    },
  ],
  phantom: [
    (all) => {
      const read = filledRead(all)
      read.records[1]![1] = 'made up'
      // Every reader is told the same.
      for (const other of reads(all)) {
        for (const record of other.records) {
          if (record[0] === read.records[1]![0] && other.partition === read.partition) record[1] = 'made up'
        }
      }
    },
    (all) => {
      const send = acknowledged(all)
      send.partition = (send.partition! + 1) % 3
      send.places = undefined
    },
  ],
  lost: [
    (all) => removeEverywhere(all, acknowledged(all).values),
    (all) => {
      // Nobody knows any more where it was.
      const send = acknowledged(all)
      removeEverywhere(all, send.values)
      send.places = send.places!.map(({ partition }) => ({ partition, offset: -1 }))
    },
  ],
  skipped: [
    (all) => {
      filledRead(all).records.splice(1, 1)
    },
    (all) => {
      filledRead(all, 1).records.splice(0, 1)
    },
  ],
  'nonmonotonic-read': [
    (all) => {
      const { records } = filledRead(all)
      ;[records[0], records[1]] = [records[1]!, records[0]!]
    },
    (all) => {
      const read = filledRead(all)
      const again = structuredClone(read)
      all.splice(all.indexOf(read) + 1, 0, again)
    },
  ],
  'read-gap': [
    (all) => {
      const read = filledRead(all)
      all.splice(all.indexOf(read), 1)
    },
  ],
  truncated: [
    (all) => {
      const read = filledRead(all)
      read.jump = 'truncated'
    },
  ],
  reordered: [
    (all) => {
      const send = acknowledged(all)
      send.values.reverse()
      send.places = undefined
    },
    (all) => {
      const [first, second] = sends(all).filter(({ producer, outcome }) => producer === 'writer1' && outcome === 'ok')
      const index = all.indexOf(first!)
      all[all.indexOf(second!)] = first!
      all[index] = second!
    },
  ],
  'wrong-outcome': [
    (all) => {
      const send = acknowledged(all)
      send.outcome = 'failed'
      send.places = undefined
    },
  ],
  'false-receipt': [
    (all) => {
      const send = acknowledged(all)
      send.places![1]!.offset += 1_000_000
    },
  ],
  'stored-lost': [
    (all) => {
      const send = acknowledged(all)
      removeEverywhere(all, send.values)
      Object.assign(send, { outcome: 'unknown', places: undefined, isStored: true, end: 'pending' })
    },
    (all) => {
      const send = acknowledged(all)
      removeEverywhere(all, send.values)
      Object.assign(send, { outcome: 'unknown', places: undefined, isStored: true, end: 'committed' })
    },
  ],
  'aborted-read': [
    (all) => {
      const { transaction } = transactionOf(all, 'aborted')
      const send = sends(all).find((each) => each.transaction === transaction)!
      const { partition, offset } = send.places![0]!
      const read = reads(all).find(
        (each) => each.isolation === 1 && each.partition === partition && each.from <= offset && offset < each.next,
      )!
      read.records.push([offset, send.values[0]!])
      read.records.sort((a, b) => a[0] - b[0])
    },
  ],
  'torn-transaction': [
    (all) => {
      // The markers of one partition say commit, those of another abort.
      const transaction = transactionOf(all, 'committed')
      transaction.outcome = 'unknown'
      const [send] = sends(all).filter((each) => each.transaction === transaction.transaction)
      for (const read of reads(all)) {
        if (read.isolation === 1) read.records = read.records.filter(([, value]) => !send!.values.includes(value))
      }
    },
    (all) => {
      // One reader is given one of two records.
      const { transaction } = transactionOf(all, 'committed')
      const send = sends(all).find((each) => each.transaction === transaction)!
      for (const each of all)
        if (each.op === 'transaction' && each.transaction === transaction) each.outcome = 'unknown'
      const read = reads(all).find(
        (each) => each.isolation === 1 && each.records.some(([, value]) => value === send.values[1]),
      )!
      read.records = read.records.filter(([, value]) => value !== send.values[1])
    },
  ],
  'commit-lost': [
    (all) => {
      const asked = all.findLast((each): each is Committed => each.op === 'committed')!
      asked.offset = -1
    },
    (all) => {
      const asked = all.filter((each): each is Committed => each.op === 'committed' && each.partition === 0)
      asked.at(-1)!.offset = asked[0]!.offset
    },
  ],
  'group-skip': [
    (all) => {
      const read = reads(all).find((each) => each.group && each.records.length > 0 && each.from > 0)!
      all.splice(all.indexOf(read), 1)
    },
  ],
  'double-assignment': [
    (all) => {
      const assigned = all.find((each) => each.op === 'assigned')!
      all.push({ ...assigned, member: 'another', process: 'another' })
    },
  ],
  'table-differs': [
    (all) => {
      rowsOf(all).pop()
    },
    (all) => {
      const [key, , partition, offset] = rowsOf(all)[0]!
      rowsOf(all)[0] = [key, 'older', partition, offset - 1]
    },
    (all) => {
      rowsOf(all).push(['key nobody wrote', 'value0', 0, 0])
    },
  ],
  'end-went-back': [
    (all) => {
      const ends = all.find((each): each is Ends => each.op === 'ends')!
      ends.end -= 1
    },
  ],
  'start-moved': [
    (all) => {
      const ends = all.find((each): each is Ends => each.op === 'ends')!
      ends.start = 5
    },
  ],
}

test('[SIM-2] clean histories pass, with everything in them that is legal', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const operations = clean(seed)
    expect(check(operations)).toMatchObject({ anomalies: [], isComplete: true })
    expect(sends(operations).some(({ outcome }) => outcome === 'failed')).toBe(true)
    expect(operations.some((each) => each.op === 'transaction' && each.outcome === 'aborted')).toBe(true)
    expect(operations.some((each): each is Commit => each.op === 'commit')).toBe(true)
  }
})

for (const [kind, plants] of Object.entries(PLANTED) as Array<[AnomalyKind, Array<(all: Operation[]) => void>]>) {
  test(`[SIM-3] finds what is planted: ${kind}: ${ANOMALIES[kind]}`, () => {
    for (const plant of plants) {
      const operations = clean()
      plant(operations)
      expect(check(operations).anomalies.map((anomaly) => anomaly.kind)).toContain(kind)
    }
  })
}

/** Every value has one of a few keys, and readers were given only what compaction leaves. */
function compactedHistory(): { all: Operation[]; newest: string[] } {
  const all = clean().filter(({ op }) => !['commit', 'committed', 'rows'].includes(op))
  for (const each of all) if (each.op === 'topic') each.compacts = true
  const keyOf = new Map(sends(all).flatMap(({ values }) => values.map((value, index) => [value, `key${index % 2}`])))
  for (const send of sends(all)) send.keys = send.values.map((value) => keyOf.get(value)!)
  const undecided = new Set(sends(all).flatMap(({ transaction, values }) => (transaction ? values : [])))
  const newest = new Map<string, [offset: number, value: string]>()
  for (const { partition, records } of reads(all)) {
    for (const [offset, value] of records) {
      const key = `${partition} ${keyOf.get(value)}`
      if (!undecided.has(value) && (newest.get(key)?.[0] ?? -1) < offset) newest.set(key, [offset, value])
    }
  }
  const stays = new Set([...newest.values()].map(([, value]) => value))
  for (const read of reads(all)) read.records = read.records.filter(([, value]) => stays.has(value))
  return { all, newest: [...stays] }
}

test('[SIM-3] in a compacted log the newest record of a key is missed, and an older one is not', () => {
  const { all, newest } = compactedHistory()
  const kinds = () => new Set(check(all).anomalies.map(({ kind }) => kind))
  expect(kinds()).toEqual(new Set())
  const sent = sends(all).find(
    ({ values, outcome }) => outcome === 'ok' && values.some((each) => newest.includes(each)),
  )!
  removeEverywhere(all, sent.values)
  expect(kinds()).toEqual(new Set(['lost', 'skipped']))
})

test('[SIM-3] a tombstone may go where they are forgotten, and only there; what it deleted may go with it', () => {
  const { all, newest } = compactedHistory()
  const kinds = () => new Set(check(all).anomalies.map(({ kind }) => kind))
  const sent = sends(all).find(
    ({ values, outcome }) => outcome === 'ok' && values.some((each) => newest.includes(each)),
  )!
  sent.tombstones = sent.values
  removeEverywhere(all, sent.values)
  expect(kinds()).toEqual(new Set(['lost', 'skipped']))
  for (const each of all) if (each.op === 'topic') each.forgets = true
  expect(kinds()).toEqual(new Set())
})

test('[SIM-3] a key whose newest record is a tombstone has no row', () => {
  const all = clean()
  const { rows } = all.find((each): each is Rows => each.op === 'rows')!
  const deleted = rows[0]![1]
  for (const send of sends(all)) if (send.values.includes(deleted)) send.tombstones = [deleted]
  expect(new Set(check(all).anomalies.map(({ kind }) => kind))).toEqual(new Set(['table-differs']))
  rows.shift()
  expect(check(all).anomalies).toEqual([])
})

test('[SIM-3] a receipt from the next topic of a name is none of the one before, when it came while that was deleted', () => {
  const all = clean()
  const send = acknowledged(all)
  const until = send.until!
  send.places![1]!.offset += 1_000_000
  const kinds = () => new Set(check(all).anomalies.map(({ kind }) => kind))
  expect(kinds()).toContain('false-receipt')
  const deleted = { op: 'topic', process: 'admin', change: 'deleted', topic: send.topic, outcome: 'ok' } as const
  all.push({ ...deleted, at: send.at, until })
  expect(kinds()).not.toContain('false-receipt')
  all.pop()
  all.push({ ...deleted, at: until + 1, until: until + 2 })
  expect(kinds()).toContain('false-receipt')
})

test('[SIM-3] a reader that asked for some keys is judged by these', () => {
  const all = clean().filter(({ op }) => op !== 'rows')
  for (const send of sends(all)) send.keys = send.values.map((value) => (value.endsWith('1') ? 'asked for' : 'other'))
  const isAskedFor = ([, value]: Read['records'][number]) => value.endsWith('1')
  const { reader } = reads(all).find(({ isolation, group }) => isolation === 1 && !group)!
  const own = reads(all).filter((read) => read.reader === reader)
  const given = new Map(own.map((read) => [read, read.records]))
  const kindsWith = (records: (read: Read) => Read['records']) => {
    for (const read of own) Object.assign(read, { keys: ['asked for'], records: records(read) })
    return new Set(check(all).anomalies.map(({ kind }) => kind))
  }
  expect(kindsWith((read) => given.get(read)!.filter(isAskedFor))).toEqual(new Set())
  expect(kindsWith((read) => given.get(read)!.filter(isAskedFor).slice(1))).toEqual(new Set(['skipped']))
  expect(kindsWith((read) => given.get(read)!)).toEqual(new Set(['phantom']))
})

test('[SIM-4] 100,000 operations are checked in 10 seconds', () => {
  const { operations } = new CleanHistory({ operations: 100_000 })
  const before = process.cpuUsage()
  expect(check(operations).anomalies).toEqual([])
  expect(process.cpuUsage(before).user / 1_000_000).toBeLessThan(10)
}, 120_000)
