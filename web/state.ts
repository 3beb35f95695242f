/** What outlives a screen: the source, the connection's status, and the writes of this visit. */
import type { OpenSignIn } from './components/sign-in-dialog.ts'
import type { Keyboard } from './keyboard.ts'
import { type Signal, signal } from './signal.ts'
import type { Source, Status } from './source.ts'
import { createWrites, type Writes } from './writes.ts'

export interface App {
  source: Source
  status: Signal<Status>
  writes: Writes
  keyboard: Keyboard
  openSignIn: OpenSignIn
  /** Shows a short message; errors stay until dismissed. */
  notify: (message: string, kind?: 'info' | 'error') => void
}

export function createApp(
  source: Source,
  { keyboard, notify, openSignIn }: Pick<App, 'keyboard' | 'notify' | 'openSignIn'>,
  until: AbortSignal,
): App {
  const status = signal(source.status())
  const stop = source.onStatus((next) => status.set(next))
  until.addEventListener('abort', stop)
  return { source, status, writes: createWrites(source), keyboard, notify, openSignIn }
}
