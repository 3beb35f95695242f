/**
 * The outbox, drained by a service worker while no tab is open.
 *
 * Invariants: the service worker is one more tab of the replica, with a seat of its own, so the lock that lets one write and
 * the ways of finding, deposing and succeeding a leader are those of all tabs. If a tab leads, it drains, and this only waits
 * for it. Whatever ends this context (the browser does, after some minutes), its locks end with it.
 */
import type { Core } from '../../client/core.ts'
import { OttlaError } from '../../client/errors.ts'
import { relayError } from '../../client/relay-errors.ts'
import type { Encryption } from '../../client/replica/sealed/encryption.ts'
import type { CredentialsSource } from '../../client/sign-in/credentials.ts'
import { openWallet } from '../../client/sign-in/wallet.ts'
import { type Clock, systemClock } from '../../protocol/lib/clock.ts'
import { Bridge } from '../bridge.ts'
import type { PlainConnectionOptions } from '../open-core.ts'
import { keepSignedIn } from '../page-credentials.ts'
import { seatInPage } from '../page-seat.ts'
import { Reach } from '../reach.ts'
import type { SeatPlace } from '../spawn.ts'

export interface DrainOptions extends Omit<PlainConnectionOptions, 'auth'> {
  /** The relay's, as the pages give it to `connect`. */
  url: string
  /** As the pages give it to `connect`. */
  replica: string
  /** Where the relay asks who comes. A function can fetch a token; a service worker remembers nothing between two events. */
  auth?: CredentialsSource
  /** As the pages give it to `connect`. A secret that only a person knows cannot be had here: such a replica waits for a page. */
  encryption?: Encryption
  /** Gives up when nothing was sent for so long; the browser tries again later. Default 30 s. */
  stalledMsMax?: number
}

/**
 * Resolves when nothing waits any more; what was refused for good is parked, and waits for a person. Rejects TIMEOUT when it
 * does not get on, NEEDS_AUTH when nobody is signed in, STORAGE_FAILED.
 */
export async function drainOutbox(options: DrainOptions): Promise<void> {
  const { url, replica, auth, stalledMsMax = 30_000, ...plain } = options
  const seat = seatInPage()
  const place: SeatPlace = { kind: 'page', url: new URL(location.href), loadInPage: async () => seat }
  const config = { url, replica, options: { ...plain, ...(typeof auth !== 'function' && { auth }) } }
  const wallet = openWallet(auth)
  const bridge = new Bridge({
    replica,
    clock: systemClock,
    loadReach: async (page) => new Reach({ config, seat: place, page }),
  })
  if (auth) keepSignedIn(bridge, wallet, systemClock)
  try {
    // Answered by whoever leads: from then on the status is a true one.
    await bridge.outbox.list()
    // The browser says that there is a network: whoever leads need not wait out its back-off.
    bridge.wake()
    await untilDrained(bridge, systemClock, stalledMsMax, auth !== undefined)
  } finally {
    await bridge.close()
    await seat.close()
  }
}

function untilDrained(core: Core, clock: Clock, stalledMsMax: number, maySignIn: boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    let waiting = Number.POSITIVE_INFINITY
    let patience = clock.setTimer(stalledMsMax, giveUp)
    const unlisten = core.onStatus(look)
    look()

    function look(): void {
      const { outbox, state } = core.status()
      if (outbox.pendingEntries === 0) return end(resolve)
      if (state === 'needs-auth' && !maySignIn) return end(() => reject(notSignedIn()))
      if (outbox.pendingRecords >= waiting) return
      waiting = outbox.pendingRecords
      patience.cancel()
      patience = clock.setTimer(stalledMsMax, giveUp)
    }

    function giveUp(): void {
      const { state, outbox } = core.status()
      const message = `${outbox.pendingRecords} records still wait after ${stalledMsMax} ms in which none was sent (${state})`
      end(() => reject(new OttlaError('TIMEOUT', { message })))
    }

    function end(settle: () => void): void {
      patience.cancel()
      unlisten()
      settle()
    }
  })
}

function notSignedIn(): OttlaError {
  return relayError('NEEDS_AUTH', {
    message: 'the relay asks who comes, and the service worker has no credentials',
    hint: 'give drainOutboxOnSync an `auth` function that gets a token; else the outbox drains when a page is opened',
  })
}
