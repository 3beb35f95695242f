/** The real clock, so many times as fast: what takes its time by design need not take a test's. Dates stay as they are. */
import { type Clock, systemClock } from '../../protocol/lib/clock.ts'

export const fastClock = (times: number): Clock => ({
  now: () => systemClock.now(),
  monotonic: () => systemClock.monotonic() * times,
  setTimer: (delayMs, fire) => systemClock.setTimer(delayMs / times, fire),
})
