/**
 * Admin calls, under the names of Kafka's AdminClient. What each does and takes stands in the families beside this file;
 * they and the messages that they speak are loaded at the first call.
 *
 * All of them ask the relay and reject DISCONNECTED at once when offline; nothing is queued. All take `timeoutMs` (30 s)
 * and `signal` in their options. One that names several things may succeed for some: awaited it rejects then, its
 * `settled()` tells what became of each.
 */
import type { Clock } from '../../protocol/lib/clock.ts'
import type { Core } from '../core.ts'
import type { AdminCalls } from './requests.ts'

type WithoutDriver<Call> = Call extends (driver: never, ...rest: infer Rest) => infer Result
  ? (...rest: Rest) => Result
  : never

export type Admin = { readonly [Name in keyof AdminCalls]: WithoutDriver<AdminCalls[Name]> }

export function openAdmin(core: Pick<Core, 'request'>, clock: Clock): Admin {
  const load = async () => {
    const { calls, openAdminDriver } = await import('./requests.ts')
    return { calls, driver: openAdminDriver(core, clock) }
  }
  let loaded: ReturnType<typeof load> | undefined
  const start = async (name: keyof AdminCalls, rest: unknown[]) => {
    loaded ??= load().catch((failure) => {
      loaded = undefined
      throw failure
    })
    const { calls, driver } = await loaded
    if (!Object.hasOwn(calls, name)) throw new TypeError(`there is no admin call ${name}`)
    // Inside an array, because a promise that is returned is waited for.
    return [(calls[name] as unknown as Call)(driver, ...rest)] as const
  }
  return new Proxy({} as Admin, {
    // `then`: an admin that is awaited is no promise.
    get: (_, name) =>
      name === 'then' || typeof name === 'symbol'
        ? undefined
        : (...rest: unknown[]) => {
            const started = start(name as keyof AdminCalls, rest)
            const all = started.then(([result]) => result)
            const settled = () => {
              all.catch(() => {})
              return started.then(([result]) => result.settled())
            }
            return Object.assign(all, { settled })
          },
  })
}

type Call = (...all: unknown[]) => Promise<unknown> & { settled(): Promise<unknown> }
