/**
 * What a view shows, as frameworks want it: `getSnapshot` gives the same object until something has changed, `subscribe` tells
 * when. Nothing is listened to, read or opened while nobody subscribes.
 */
export interface Store<T> {
  getSnapshot(): T
  /** Returns the function that ends it. */
  subscribe(changed: () => void): () => void
}

/** `start` runs for the first subscriber and gives what ends it after the last has gone. */
export function storeOf<T>(initial: T, start: (set: (next: T) => void) => () => void): Store<T> {
  const listeners = new Set<() => void>()
  let snapshot = initial
  let stop: (() => void) | undefined
  const set = (next: T) => {
    if (stop === undefined || Object.is(next, snapshot)) return
    snapshot = next
    for (const changed of [...listeners]) changed()
  }
  return {
    getSnapshot: () => snapshot,
    subscribe(changed) {
      const listener = () => changed()
      listeners.add(listener)
      if (listeners.size === 1) {
        stop = () => {}
        stop = start(set)
      }
      return () => {
        if (!listeners.delete(listener) || listeners.size > 0) return
        const ending = stop
        stop = undefined
        ending?.()
      }
    },
  }
}
