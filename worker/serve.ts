/** Runs a seat in whichever kind of worker this is: one script serves as both. */
import type { Core } from '../client/core.ts'
import type { CoreConfig } from './contract.ts'
import { type DedicatedScope, serveDedicated } from './dedicated-worker.ts'
import { Seat } from './seat.ts'
import { browserEnvironment } from './seat-environment.ts'
import { type SharedScope, serveShared } from './shared-worker.ts'

export function serveWorker(openCore: (config: CoreConfig) => Promise<Core>): void {
  const seat = new Seat(browserEnvironment(openCore))
  const scope = globalThis as unknown as SharedScope & DedicatedScope
  if ('onconnect' in globalThis) serveShared(scope, seat)
  else serveDedicated(scope, seat)
}
