import { expect, test } from 'vitest'
import type { Airports } from '../../web/live/airports.ts'
import { delayClass, readFlight } from '../../web/live/flight.ts'
import { BLOCK, FlightLog } from '../../web/live/flight-log.ts'
import { Playhead } from '../../web/live/playhead.ts'
import { routeEnds, Tally, WINDOW } from '../../web/live/tally.ts'

const CODES = ['AAA', 'BBB', 'CCC']

function airports(): Airports {
  return {
    frame: new Float32Array(6),
    namedCount: 3,
    totalCount: 3,
    indexOf: (code) => CODES.indexOf(code),
    code: (index) => CODES[index] ?? '?',
    place: () => '',
  }
}

function logWith(count: number, capacity = 4 * BLOCK): FlightLog {
  const log = new FlightLog(airports(), capacity)
  for (let i = 0; i < count; i++) log.add(flight({ atMs: i, delayMin: i % 2 ? 90 : -5 }))
  return log
}

function flight(over: Partial<Parameters<FlightLog['add']>[0]> = {}) {
  return { origin: 'AAA', destination: 'BBB', delayMin: 0, distanceMiles: 100, atMs: 0, ...over }
}

test('a full flight log overwrites the oldest and never holds more than its capacity', () => {
  const log = logWith(10 * BLOCK + 5)
  expect(log.end).toBe(10 * BLOCK + 5)
  expect(log.end - log.first).toBeLessThanOrEqual(log.capacity)
  expect(log.first % BLOCK).toBe(0)
  expect(log.timeAt(log.first)).toBe(log.first)
  expect(log.timeAt(log.end - 1)).toBe(log.end - 1)
})

test('the sums of blocks count every held flight once, also after the ring went round', () => {
  const log = logWith(9 * BLOCK + 3)
  const classes = new Float64Array(4)
  log.countClasses(log.first, log.end, classes)
  expect(classes.reduce((sum, each) => sum + each, 0)).toBe(log.end - log.first)
})

test('a flight between airports that the map does not have is counted, not stored', () => {
  const log = logWith(0)
  expect(log.add(flight({ origin: 'ZZZ' }))).toBe(false)
  expect([log.end, log.unplaced]).toEqual([0, 1])
})

test('a record that is no flight gives none, and times come from the data before the timestamp', () => {
  expect(readFlight('text', 1)).toBeNull()
  expect(readFlight({ origin: 'AAA' }, 1)).toBeNull()
  const value = { origin: 'AAA', destination: 'BBB', delay: 7, date: '2001-01-31 06:05' }
  expect(readFlight(value, 1)?.atMs).toBe(Date.UTC(2001, 0, 31, 6, 5))
  expect(readFlight({ ...value, date: 'soon', delay: 'much' }, 1)).toMatchObject({ atMs: 1, delayMin: 0 })
  expect([-5, 0, 1, 16, 61].map(delayClass)).toEqual([0, 0, 1, 2, 3])
})

test('the live playhead spreads a burst over frames and arrives', () => {
  const log = logWith(400, 8 * BLOCK)
  const playhead = new Playhead(log)
  const first = playhead.advance(16)
  expect(first.to - first.from).toBeGreaterThan(0)
  expect(first.to - first.from).toBeLessThan(100)
  for (let i = 0; i < 600; i++) playhead.advance(16)
  expect(playhead.sequence).toBe(400)
})

test('a replay walks at its pace, stands when paused, and becomes live at the end', () => {
  const log = logWith(400, 8 * BLOCK)
  const playhead = new Playhead(log)
  playhead.mode = 'paused'
  playhead.seek(100)
  expect(playhead.advance(1000)).toEqual({ from: 100, to: 100, jumped: true })
  playhead.mode = 'replay'
  playhead.flightsPerSecond = 50
  expect(playhead.advance(1000)).toEqual({ from: 100, to: 150, jumped: false })
  playhead.flightsPerSecond = 1000
  playhead.advance(1000)
  expect([playhead.sequence, playhead.mode]).toEqual([400, 'live'])
})

test('the tally slides: far ahead, step by step and backwards give the same sums', () => {
  const log = new FlightLog(airports(), 256 * BLOCK)
  for (let i = 0; i < WINDOW + 3000; i++) {
    log.add(flight({ origin: CODES[i % 3]!, destination: CODES[(i + 1) % 3]!, delayMin: i % 40 }))
  }
  const jumped = new Tally(log)
  const walked = new Tally(log)
  jumped.moveTo(WINDOW + 2000)
  for (let to = 0; to <= WINDOW + 2000; to += 100) walked.moveTo(to)
  walked.moveTo(WINDOW + 2000)
  expect(walked.topRoutes(3)).toEqual(jumped.topRoutes(3))
  expect(walked.lateShare).toBe(jumped.lateShare)
  expect(jumped.size).toBe(WINDOW)
  expect(jumped.topRoutes(3).map(({ key }) => routeEnds(key))).toContainEqual([0, 1])
  jumped.moveTo(500)
  expect(jumped.size).toBe(500)
})
