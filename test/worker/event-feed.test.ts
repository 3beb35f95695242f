import { describe, expect, test } from 'vitest'
import type { Advanced, Settled, Status } from '../../client/core.ts'
import { HandClock } from '../../protocol/lib/clock.ts'
import type { EventsNote } from '../../worker/contract.ts'
import { EventFeed, joinRanges } from '../../worker/event-feed.ts'
import { initialStatus } from '../../worker/page-status.ts'

const range = (end: number, more: Partial<Advanced> = {}): Advanced => ({
  topic: 't',
  topicId: 'A'.repeat(22),
  partition: 0,
  start: 0,
  end,
  relayEnd: end,
  upToDate: true,
  generation: 1,
  ...more,
})
const status = (behindRecords: number): Status => ({ ...initialStatus('r'), behindRecords })
const outcome = (id: string): Settled => ({ id, outcome: 'committed', partitions: [0], offsets: [1] })

function feedWith(options: { settledMax?: number } = {}) {
  const clock = new HandClock()
  const notes: EventsNote[] = []
  const feed = new EventFeed({ clock, post: (note) => notes.push(note), intervalMs: 5, burst: 4, ...options })
  return { clock, feed, notes }
}

describe('news for one tab', () => {
  test('[WRK-14] an idle feed sends at once, and what happens in one turn goes as one note', () => {
    const { clock, feed, notes } = feedWith()
    feed.offerStatus(status(2))
    feed.offerStatus(status(1))
    feed.offerAdvanced([range(10)])
    feed.offerAdvanced([range(11)])
    clock.advance(0)
    expect(notes).toEqual([{ ottla: 'events', sequence: 1, status: status(1), advanced: [range(11)] }])
  })

  test('[WRK-14] a feed that was idle sends a few notes at once, a busy one keeps its interval', () => {
    const { clock, feed, notes } = feedWith()
    const next = (end: number) => {
      feed.offerAdvanced([range(end)])
      clock.advance(0)
      feed.acknowledge(end)
    }
    for (const end of [1, 2, 3, 4, 5]) next(end)
    expect(notes).toHaveLength(4)
    clock.advance(4)
    expect(notes).toHaveLength(4)
    clock.advance(1)
    expect(notes).toHaveLength(5)
    feed.acknowledge(5)
    clock.advance(10)
    for (const end of [6, 7, 8]) next(end)
    expect(notes).toHaveLength(7)
  })

  test('[WRK-15] a tab that does not answer holds one note, and gets the newest of everything when it does', () => {
    const { clock, feed, notes } = feedWith()
    for (let end = 1; end <= 1_000; end++) {
      feed.offerAdvanced([range(end)])
      feed.offerSettled([outcome(`w${end}`)])
      clock.advance(10)
    }
    expect(notes).toHaveLength(1)
    feed.acknowledge(7)
    clock.advance(10)
    expect(notes).toHaveLength(1)
    feed.acknowledge(1)
    clock.advance(10)
    expect(notes).toHaveLength(2)
    expect(notes[1]?.advanced).toEqual([range(1_000)])
    expect(notes[1]?.settled).toHaveLength(999)
  })

  test('[WRK-15] outcomes beyond the bound go, and the tab is told that it must ask', () => {
    const { clock, feed, notes } = feedWith({ settledMax: 3 })
    feed.offerStatus(status(0))
    clock.advance(0)
    for (let count = 0; count < 10; count++) feed.offerSettled([outcome(`w${count}`)])
    feed.acknowledge(1)
    clock.advance(5)
    expect(notes[1]?.settled?.map(({ id }) => id)).toEqual(['w7', 'w8', 'w9'])
    expect(notes[1]?.settledMissed).toBe(true)
    feed.acknowledge(2)
    feed.offerSettled([outcome('later')])
    clock.advance(5)
    expect(notes[2]?.settledMissed).toBeUndefined()
  })

  test('[WRK-15] what tables say to a tab that does not answer is bounded, be it of their state alone', () => {
    const { clock, feed, notes } = feedWith()
    const state = { isReady: true, isUpToDate: false, error: null }
    const news = { topic: 't', changes: [], isReset: false, state, bareTopicId: null }
    for (let count = 0; count < 100_000; count++) {
      feed.offerTables(news)
      clock.advance(1)
    }
    feed.offerTables({ ...news, state: { ...state, isUpToDate: true } })
    feed.acknowledge(1)
    clock.advance(5)
    expect(notes[1]!.tables!.length).toBeLessThan(10_000)
    expect(notes[1]!.tables!.some(({ isReset }) => isReset)).toBe(true)
    expect(notes[1]!.tables!.at(-1)!.state.isUpToDate).toBe(true)
  })

  test('[WRK-14] nothing is sent after close', () => {
    const { clock, feed, notes } = feedWith()
    feed.offerStatus(status(1))
    feed.close()
    clock.advance(100)
    expect(notes).toEqual([])
  })
})

describe('[WRK-16] a cut that is coalesced away is covered by the one that is told', () => {
  test('of two cuts the lower one is told', () => {
    const first = range(50, { generation: 2, cutAt: 50 })
    const second = range(80, { generation: 3, cutAt: 80 })
    expect(joinRanges(first, second, 1)).toEqual({ ...second, cutAt: 50 })
  })

  test('records after a cut do not hide it', () => {
    const cut = range(50, { generation: 2, cutAt: 50 })
    expect(joinRanges(cut, range(60, { generation: 2 }), 1)).toEqual(range(60, { generation: 2, cutAt: 50 }))
  })

  test('a reset is not softened by a later cut', () => {
    const reset = range(5, { generation: 2 })
    expect(joinRanges(reset, range(9, { generation: 3, cutAt: 7 }), 1)).toEqual(range(9, { generation: 3 }))
  })

  test('plain progress is replaced as it is', () => {
    const cut = range(7, { generation: 2, cutAt: 7 })
    expect(joinRanges(range(10), cut, 1)).toEqual(cut)
  })
})
