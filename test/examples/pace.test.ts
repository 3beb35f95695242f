/** The demo's pace: the data's clock, faster. */
import { expect, test } from 'vitest'
import { createPace, parseSpeed } from '../../examples/flights-demo/pace.ts'
import { HandClock } from '../../protocol/lib/clock.ts'

const MINUTE_MS = 60_000

test('flights are due in the data’s own rhythm, so many times as fast', () => {
  const clock = new HandClock()
  const pace = createPace(60, clock)
  expect(pace.waitMs(0)).toBe(0)
  expect(pace.waitMs(2 * MINUTE_MS)).toBe(2000)
  clock.advance(1500)
  expect(pace.waitMs(2 * MINUTE_MS)).toBe(500)
  clock.advance(500)
  expect(pace.waitMs(2 * MINUTE_MS)).toBe(0)
  expect(pace.waitMs(3 * MINUTE_MS)).toBe(1000)
})

test('after a long sleep the lag is forgiven, not made up for by a burst', () => {
  const clock = new HandClock()
  const pace = createPace(1, clock)
  pace.waitMs(0)
  clock.advance(3_600_000)
  expect(pace.waitMs(MINUTE_MS)).toBe(0)
  expect(pace.waitMs(2 * MINUTE_MS)).toBe(58_000)
})

test('as fast as possible never waits', () => {
  const pace = createPace(parseSpeed('max'), new HandClock())
  pace.waitMs(0)
  expect(pace.waitMs(1e12)).toBe(0)
})

test.each(['0', '-1', 'fast', '', '1e3', 'Infinity'])('--speed %j is refused', (text) => {
  expect(() => parseSpeed(text)).toThrow(/--speed: '.*' is not allowed; use a number above 0/)
})
