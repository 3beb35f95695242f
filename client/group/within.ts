import type { Clock } from '../../protocol/lib/clock.ts'

/** Resolves with `work`, or without it when `waitMs` are over. Leaves no timer behind, which would keep Node running. */
export function within(clock: Clock, waitMs: number, work: Promise<unknown>): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = clock.setTimer(waitMs, resolve)
    work.then(() => resolve(), reject).finally(() => timer.cancel())
  })
}
