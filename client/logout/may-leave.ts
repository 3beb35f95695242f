/**
 * How a core decides whether a user may leave.
 *
 * Invariant: no unsent write is lost without somebody having said so: by default a logout is refused while there are any.
 */
import type { Clock } from '../../protocol/lib/clock.ts'
import type { OutboxDepth } from '../core.ts'
import { deviceError } from '../device-errors.ts'
import { OttlaError } from '../errors.ts'
import type { Outbox } from '../outbox/outbox.ts'
import type { Gate } from './gate.ts'
import type { LogoutOptions } from './options.ts'

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
