/**
 * Web Locks as three verbs: take one, wait until one is free, ask who holds one.
 *
 * The lock manager belongs to the browser process, so it notices the end of a tab or worker however it ended. That is
 * what liveness rests on here. Locks exist in secure contexts only; callers pass undefined where there are none.
 */

/** The calls of LockManager that are used. */
export type Locks = Pick<LockManager, 'request' | 'query'>

export interface HeldLock {
  /** Resolves when somebody stole the lock; never when it was released. */
  readonly stolen: Promise<void>
  /** Idempotent. */
  release(): void
}

/** Waits for the exclusive lock and holds it until `release`. Rejects with the signal's reason. */
export function takeLock(locks: Locks, name: string, signal?: AbortSignal): Promise<HeldLock> {
  return hold(locks, name, signal ? { mode: 'exclusive', signal } : { mode: 'exclusive' })
}

/** Takes the lock from whoever holds it; the former holder learns by `stolen`. */
export function stealLock(locks: Locks, name: string): Promise<HeldLock> {
  return hold(locks, name, { mode: 'exclusive', steal: true })
}

/** Resolves once nobody holds the lock exclusively. Any number may wait, and all are told at once. */
export async function untilFree(locks: Locks, name: string, signal: AbortSignal): Promise<void> {
  await locks.request(name, { mode: 'shared', signal }, () => {})
}

/** The holder's client id, or null when nobody holds it. */
export async function holderOf(locks: Locks, name: string): Promise<string | null> {
  const { held } = await locks.query()
  return held?.find((lock) => lock.name === name && lock.mode === 'exclusive')?.clientId ?? null
}

function hold(locks: Locks, name: string, options: LockOptions): Promise<HeldLock> {
  return new Promise((resolve, reject) => {
    let release = () => {}
    const released = new Promise<void>((done) => {
      release = done
    })
    let tellStolen = () => {}
    const stolen = new Promise<void>((done) => {
      tellStolen = done
    })
    locks
      .request(name, options, () => {
        resolve({ stolen, release })
        return released
      })
      .catch((error: unknown) => {
        // Rejects before the grant when the signal aborts, after it when the lock was stolen.
        tellStolen()
        reject(error)
      })
  })
}
