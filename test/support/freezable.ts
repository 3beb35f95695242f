/**
 * A client's surroundings that can be frozen, as browsers do with pages: no timer fires and no message is read until it
 * thaws, and then all that waited come late; the clocks go on, and so does everybody else.
 */

import type { Transport } from '../../client/transport/transport.ts'
import type { Clock } from '../../protocol/lib/clock.ts'
import { systemClock } from '../../protocol/lib/clock.ts'

export interface Freezable {
  clock: Clock
  transport: Transport
  freeze(): void
  thaw(): void
}

export function freezable(inner: Transport): Freezable {
  let waiting: Array<() => void> | undefined
  const run = (act: () => void) => (waiting ? waiting.push(act) : act())
  return {
    clock: {
      now: systemClock.now,
      monotonic: systemClock.monotonic,
      setTimer(delayMs, fire) {
        let isCancelled = false
        const timer = systemClock.setTimer(delayMs, () => run(() => isCancelled || fire()))
        return {
          cancel() {
            isCancelled = true
            timer.cancel()
          },
        }
      },
    },
    transport: {
      open: (url, handlers) =>
        inner.open(url, {
          onOpen: () => run(() => handlers.onOpen()),
          onMessage: (message) => run(() => handlers.onMessage(message)),
          onClose: (reason) => run(() => handlers.onClose(reason)),
        }),
    },
    freeze() {
      waiting ??= []
    },
    thaw() {
      const late = waiting ?? []
      waiting = undefined
      for (const act of late) act()
    },
  }
}
