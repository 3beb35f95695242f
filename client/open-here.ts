/** A core in this context, once it is connected if that is to be waited for. Not loaded by pages that have a worker. */
import { systemClock } from '../protocol/lib/clock.ts'
import { systemRandom } from '../protocol/lib/random.ts'
import { abortError } from './abort-error.ts'
import type { ConnectOptions } from './connect.ts'
import type { Lanes } from './consumer/lanes.ts'
import type { Core, Status } from './core.ts'
import { OttlaError } from './errors.ts'
import { lanesBeside, openCore, sessionOpener } from './own-connection.ts'

export async function openHere(
  url: string,
  options: ConnectOptions,
): Promise<{ core: Core; openLanes(): Promise<Lanes> }> {
  const { clock = systemClock, random = systemRandom, replica, lazy = false, signal } = options
  const open = await sessionOpener(url, options)
  const core = await openCore(open, options)
  const opened = { core, openLanes: async () => lanesBeside(core, open, clock, random) }
  if (replica !== undefined || lazy) return opened
  try {
    await firstConnection(core, signal)
  } catch (error) {
    await core.close()
    throw error
  }
  return opened
}

/** Resolves when live; rejects with the reason when the first attempt has failed. */
function firstConnection(core: Core, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (settle: () => void) => {
      unlisten()
      signal?.removeEventListener('abort', look)
      settle()
    }
    const look = () => {
      const failure = signal?.aborted ? abortError('connecting', signal) : failureOf(core.status())
      if (failure) stop(() => reject(failure))
      else if (core.status().connection.phase === 'live') stop(resolve)
    }
    const unlisten = core.onStatus(look)
    signal?.addEventListener('abort', look)
    look()
  })
}

function failureOf({ connection }: Status): OttlaError | undefined {
  if (connection.phase === 'connecting' || connection.phase === 'live') return undefined
  return connection.error
    ? OttlaError.fromInfo(connection.error)
    : new OttlaError('CLOSED', { message: 'closed while connecting' })
}
