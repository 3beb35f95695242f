/**
 * Whether this device's connection is one that its user pays for by the byte: the browser says so (`saveData`), or it is a
 * phone's network. Only Chromium tells; elsewhere nothing is known, and nothing is paused.
 */
import type { Core } from './core.ts'

interface NetworkInformation extends EventTarget {
  readonly saveData?: boolean
  readonly type?: string
}

interface Scope {
  navigator?: { connection?: NetworkInformation }
}

/** Returns the function that ends it, and what it has paused. */
export function pauseWhenMetered(core: Pick<Core, 'pauseReplicas'>): () => void {
  // A core that is closed has nothing to pause.
  const pause = (isPaused: boolean) => void core.pauseReplicas('metered', isPaused).catch(() => {})
  const stop = watchMetered(pause)
  return () => {
    stop()
    pause(false)
  }
}

/** Calls `listener` at once and at every change. Returns the function that ends it. */
export function watchMetered(
  listener: (isMetered: boolean) => void,
  { navigator }: Scope = globalThis as unknown as Scope,
): () => void {
  const connection = navigator?.connection
  if (!connection) {
    listener(false)
    return () => {}
  }
  const look = () => listener(connection.saveData === true || connection.type === 'cellular')
  connection.addEventListener('change', look)
  look()
  return () => connection.removeEventListener('change', look)
}
