/** A seat's world in a browser: the platform's clock, randomness, locks and channels, and how a Core is opened. */
import type { Core } from '../client/core.ts'
import { systemClock } from '../protocol/lib/clock.ts'
import { systemRandom } from '../protocol/lib/random.ts'
import type { CoreConfig } from './contract.ts'
import type { SeatEnvironment } from './leader.ts'

export function browserEnvironment(openCore: (config: CoreConfig) => Promise<Core>): SeatEnvironment {
  return {
    clock: systemClock,
    random: systemRandom,
    // Missing outside secure contexts, whatever the types say.
    locks: (navigator as Partial<Navigator>).locks,
    openChannel: (name) => new BroadcastChannel(name),
    openCore,
  }
}
