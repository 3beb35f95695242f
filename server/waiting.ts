/** A request parked until one of its logs moves, a topic goes, its time is up, or its connection closes. */
import type { RequestContext } from './handler.ts'
import type { PartitionLog } from './log/partition-log.ts'

export interface Advance {
  readonly happened: Promise<void>
  /** The deadline has passed. */
  readonly isOver: boolean
  /** Must be called: takes the listeners off. */
  stop(): void
}

/** Has it woken when something else happens; gives back the function that ends that. */
export type WakeUp = (wake: () => void) => () => void

/** `deadline` is in the clock's monotonic milliseconds. */
export function waitForAdvance(
  context: RequestContext,
  logs: readonly PartitionLog[],
  deadline: number,
  others: readonly WakeUp[] = [],
): Advance {
  const { clock } = context.services
  let resolve: () => void = () => {}
  const happened = new Promise<void>((settle) => {
    resolve = settle
  })
  const timer = clock.setTimer(Math.max(0, deadline - clock.monotonic()), resolve)
  const stops = logs.map((log) => log.onAdvance(() => resolve()))
  stops.push(...others.map((wakeUp) => wakeUp(() => resolve())))
  stops.push(context.services.engine.onTopicDeleted(() => resolve()))
  const stopWatching = context.connection.onceClosed(resolve)
  return {
    happened,
    get isOver() {
      return clock.monotonic() >= deadline
    },
    stop() {
      timer.cancel()
      stopWatching()
      for (const stop of stops) stop()
    },
  }
}
