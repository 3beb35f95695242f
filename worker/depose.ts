/**
 * Deposing a leader that hangs: its locks are stolen, so that the next seat gets them and every other tab, which waits
 * for the instance's lock, learns at once. A leader that wakes up finds its locks gone and closes its Core.
 *
 * Invariant: only the context that was judged is robbed, never its successor. Tabs that judge at the same time take
 * turns by a lock of its own, and each looks again at who holds what.
 */
import type { Clock } from '../protocol/lib/clock.ts'
import { type LeaderInfo, lockNames } from './contract.ts'
import { holderOf, type Locks, stealLock, takeLock } from './locks.ts'

const TURN_MS_MAX = 2_000

export async function depose(locks: Locks, clock: Clock, replica: string, leader: LeaderInfo): Promise<void> {
  await inTurn(locks, clock, replica, async () => {
    await robIfHeldBy(locks, lockNames.core(replica), leader.clientId)
    await robIfHeldBy(locks, lockNames.instance(leader.instance), leader.clientId)
  })
}

/** For a leader that never answered, so that only its lock is known. */
export async function deposeUnreachable(locks: Locks, clock: Clock, replica: string): Promise<void> {
  await inTurn(locks, clock, replica, async () => {
    const name = lockNames.core(replica)
    await robIfHeldBy(locks, name, await holderOf(locks, name))
  })
}

async function inTurn(locks: Locks, clock: Clock, replica: string, act: () => Promise<void>): Promise<void> {
  const patience = new AbortController()
  const timer = clock.setTimer(TURN_MS_MAX, () => patience.abort())
  try {
    const turn = await takeLock(locks, lockNames.depose(replica), patience.signal)
    try {
      await act()
    } finally {
      turn.release()
    }
  } catch (error) {
    // Another tab is at it, and slow: the next attempt to attach will show what came of it.
    if (!patience.signal.aborted) throw error
  } finally {
    timer.cancel()
  }
}

async function robIfHeldBy(locks: Locks, name: string, clientId: string | null): Promise<void> {
  if (clientId === null || (await holderOf(locks, name)) !== clientId) return
  const stolen = await stealLock(locks, name)
  stolen.release()
}
