/**
 * Whether this device's connection is one that its user pays for by the byte: the browser says so (`saveData`), or it is a
 * phone's network. Only Chromium tells; elsewhere nothing is known, and nothing is paused.
 */
import type { Core, Pause } from './core.ts'

interface NetworkInformation extends EventTarget {
  readonly saveData?: boolean
  readonly type?: string
}

interface Scope {
  navigator?: { connection?: NetworkInformation }
}

export interface MeteredOptions {
  /** Hold back writes too. Default false. */
  writes?: boolean
}

/** Returns the function that ends it, and what it has paused. */
export function pauseWhenMetered(
  core: Pick<Core, 'pause'>,
  { writes = false }: MeteredOptions = {},
  scope?: Scope,
): () => void {
  const pauses: Pause[] = writes ? ['replicas-metered', 'writes-metered'] : ['replicas-metered']
  const pause = (isPaused: boolean) => {
    // A core that is closed has nothing to pause.
    for (const each of pauses) core.pause(each, isPaused).catch(() => {})
  }
  const stop = watchMetered(pause, scope)
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
