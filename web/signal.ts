/**
 * A value that can be watched. Watchers run at once with the present value, then after every change.
 *
 * A watcher that throws does not keep the others from hearing; its error is reported to the console's handler.
 */
export interface Signal<T> {
  get(): T
  set(value: T): void
  update(change: (value: T) => T): void
  watch(watcher: (value: T) => void, until: AbortSignal): void
}

export function signal<T>(initial: T): Signal<T> {
  let value = initial
  const watchers = new Set<(value: T) => void>()
  const set = (next: T) => {
    if (Object.is(next, value)) return
    value = next
    for (const watcher of [...watchers]) runSafely(() => watcher(next))
  }
  return {
    get: () => value,
    set,
    update: (change) => set(change(value)),
    watch(watcher, until) {
      if (until.aborted) return
      watchers.add(watcher)
      until.addEventListener('abort', () => watchers.delete(watcher), { once: true })
      watcher(value)
    },
  }
}

function runSafely(run: () => void): void {
  try {
    run()
  } catch (error) {
    reportError(error)
  }
}
