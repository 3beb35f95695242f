/**
 * What a logout is asked for and answers, and how a core decides whether it may.
 *
 * Invariant: no unsent write is lost without somebody having said so: by default a logout is refused while there are any.
 */
import type { Clock } from '../protocol/lib/clock.ts'
import type { OutboxDepth } from './core.ts'
import { deviceError } from './device-errors.ts'
import { OttlaError } from './errors.ts'
import type { Outbox } from './outbox/outbox.ts'

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

/** What writes pass on their way in: open, held while a logout is decided, or shut for good. */
export class Gate {
  #held: Promise<void> | undefined
  #open = () => {}
  #refuse: (error: OttlaError) => void = () => {}
  #inside = 0
  #emptied = () => {}

  /** Waits while it is held; rejects once it is shut. */
  async through<T>(write: () => Promise<T>): Promise<T> {
    if (this.#held) await this.#held
    this.#inside++
    try {
      return await write()
    } finally {
      this.#inside--
      if (this.#inside === 0) this.#emptied()
    }
  }

  /** Lets nobody in. Resolves when whoever was has come out. */
  async hold(): Promise<void> {
    const held = new Promise<void>((resolve, reject) => {
      this.#open = resolve
      this.#refuse = reject
    })
    // Whoever waits hears of it; there may be nobody.
    held.catch(() => {})
    this.#held = held
    if (this.#inside > 0) await new Promise<void>((resolve) => (this.#emptied = resolve))
  }

  release(): void {
    this.#held = undefined
    this.#open()
  }

  /** It is held already. */
  shut(error: OttlaError): void {
    this.#refuse(error)
  }
}

export interface Leaving {
  clock: Clock
  gate: Gate
  outbox: Pick<Outbox, 'depth' | 'onChanged'>
}

const SEND_WITHIN_MS = 30_000

/** Resolves, with the gate held, when the logout may go on. Rejects UNSENT_WRITES; then nothing has changed. */
export async function mayLeave(options: LogoutOptions, leaving: Leaving): Promise<void> {
  const { pending = 'refuse', timeoutMs = SEND_WITHIN_MS } = options
  if (!['refuse', 'send', 'keep', 'discard'].includes(pending)) {
    throw new OttlaError('INVALID_ARGUMENT', { message: `a logout cannot '${pending}' what is pending` })
  }
  const { clock, gate, outbox } = leaving
  const deadline = clock.monotonic() + timeoutMs
  for (;;) {
    if (pending === 'send') await sent(leaving, deadline - clock.monotonic())
    await gate.hold()
    const depth = outbox.depth()
    if (pending === 'keep' || pending === 'discard' || unsentEntries(depth) === 0) return
    gate.release()
    // Something came in after the last was sent: there may be time for it too.
    const hasTime = depth.pendingEntries > 0 && clock.monotonic() < deadline
    if (pending === 'refuse' || !hasTime) throw unsent(depth)
  }
}

const unsentEntries = ({ pendingEntries, parkedEntries }: OutboxDepth) => pendingEntries + parkedEntries

function sent({ clock, outbox }: Leaving, timeoutMs: number): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      unlisten()
      timer.cancel()
      resolve()
    }
    const look = () => {
      if (outbox.depth().pendingEntries === 0) end()
    }
    const timer = clock.setTimer(Math.max(0, timeoutMs), end)
    const unlisten = outbox.onChanged(look)
    look()
  })
}

function unsent({ pendingEntries, parkedEntries }: OutboxDepth): OttlaError {
  return deviceError('UNSENT_WRITES', {
    message: `${pendingEntries} writes have not been sent, and ${parkedEntries} wait for a decision`,
  })
}
