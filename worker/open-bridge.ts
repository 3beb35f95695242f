/** A page's bridge, tied to the page's life: it sleeps with the page and wakes with it. */
import { systemClock } from '../protocol/lib/clock.ts'
import type { LivenessTimes } from './attachment.ts'
import { Bridge } from './bridge.ts'
import { chooseSeat, type WorkerChoice } from './choose.ts'
import type { CoreConfig } from './contract.ts'
import { watchPage } from './page-life.ts'
import type { SeatPlace } from './spawn.ts'

export interface OpenBridgeOptions {
  config: CoreConfig
  worker: WorkerChoice
  workerUrl: URL
  loadInPage: SeatPlace['loadInPage']
  liveness?: LivenessTimes
}

/** Throws UNSUPPORTED where there is no such worker. */
export function openBridge(options: OpenBridgeOptions): Bridge {
  const { config, worker, workerUrl: url, loadInPage, liveness } = options
  const seat = { kind: chooseSeat(worker, url), url, loadInPage }
  const bridge = new Bridge({
    replica: config.replica,
    clock: systemClock,
    isEncrypted: config.options.encryption !== undefined,
    loadReach: async (page) => {
      const { Reach } = await import('./reach.ts')
      return new Reach({ config, seat, liveness, page })
    },
    onClosed: () => unwatch(),
  })
  const unwatch = watchPage({
    onWake: () => bridge.wake(),
    // A page that will not return is ended by the browser, and its locks with it; until then it may still send.
    onLeave: (mayReturn) => (mayReturn ? bridge.letGo() : undefined),
    onReturn: () => bridge.resume(),
  })
  return bridge
}
