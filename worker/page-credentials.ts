/**
 * Gives the worker what this page can sign in with, whenever it has nothing that holds: only a page can run the
 * application's own function, and a page that was loaded anew may come to a worker whose token ran out meanwhile.
 */
import type { Core } from '../client/core.ts'
import type { Wallet } from '../client/sign-in/wallet.ts'
import type { Clock } from '../protocol/lib/clock.ts'

/** Whoever is refused again and again asks the application no more often. */
const AGAIN_MS = 5_000

export function keepSignedIn(
  core: Pick<Core, 'status' | 'onStatus' | 'reauthenticate'>,
  wallet: Wallet,
  clock: Clock,
): void {
  let isWaiting = false
  let offered: string | undefined
  const look = () => {
    const { state } = core.status()
    if (state === 'closed') return unlisten()
    // They were taken. Who has nothing that holds after that may be another worker, which never had them.
    if (state === 'live' || state === 'catching-up') offered = undefined
    if (isWaiting || state !== 'needs-auth') return
    isWaiting = true
    // Whatever fails is tried again; that nobody is signed in shows in the status.
    void offer()
      .catch(() => {})
      .then(() =>
        clock.setTimer(AGAIN_MS, () => {
          isWaiting = false
          look()
        }),
      )
  }
  const offer = async () => {
    const credentials = await wallet.credentials()
    const shown = JSON.stringify(credentials)
    if (shown === offered) return
    await core.reauthenticate(credentials)
    offered = shown
  }
  const unlisten = core.onStatus(look)
  look()
}
