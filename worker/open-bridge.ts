/** A page's bridge, tied to the page's life: it sleeps with the page and wakes with it. */
import { systemClock } from '../protocol/lib/clock.ts'
import { systemRandom } from '../protocol/lib/random.ts'
import type { LivenessTimes } from './attachment.ts'
import { Bridge } from './bridge.ts'
import { chooseSpawner, type SeatLoader, type WorkerChoice } from './choose.ts'
import type { CoreConfig } from './contract.ts'
import { watchPage } from './page-life.ts'

export interface OpenBridgeOptions {
  config: CoreConfig
  worker: WorkerChoice
  workerUrl: URL
  loadInPage: SeatLoader['loadInPage']
  liveness?: LivenessTimes
}

export function openBridge(options: OpenBridgeOptions): Bridge {
  const { config, worker, workerUrl, loadInPage, liveness } = options
  const bridge = new Bridge({
    config,
    spawner: chooseSpawner(worker, { url: workerUrl, replica: config.replica, loadInPage }),
    clock: systemClock,
    random: systemRandom,
    locks: (navigator as Partial<Navigator>).locks,
    openChannel: (name) => new BroadcastChannel(name),
    liveness,
    onClosed: () => unwatch(),
  })
  const unwatch = watchPage({
    onWake: () => bridge.wake(),
    // A page that will not return is ended by the browser, and its locks with it; until then it may still send.
    onLeave: (mayReturn) => (mayReturn ? bridge.pause() : undefined),
    onReturn: () => bridge.resume(),
  })
  return bridge
}
