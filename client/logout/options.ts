/** What a logout is asked for and answers. */
import type { OutboxDepth } from '../core.ts'

export interface LogoutOptions {
  /**
   * What becomes of writes that are not in the log yet, parked ones included. 'refuse' (default): while there are any, the
   * logout rejects UNSENT_WRITES and nothing has changed. 'send': it waits until they have been sent, `timeoutMs` long,
   * else the same. 'keep': they stay on the device, and are sent when the replica is opened again. 'discard': they go.
   */
  pending?: 'refuse' | 'send' | 'keep' | 'discard'
  /** For 'send'; default 30 s. */
  timeoutMs?: number
  /** Names of the application's own caches (Cache Storage) that hold something of this user; they are deleted too. */
  caches?: readonly string[]
}

export interface LogoutOutcome {
  /** Writes that were not in the log: kept, or gone, as was asked. */
  unsent: OutboxDepth
}
