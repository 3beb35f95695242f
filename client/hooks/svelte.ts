/** Stores as Svelte's `$store` wants them: `subscribe` calls at once with what is, and then with what comes. */
import type { Store } from './store.ts'

export { outboxStore, statusStore, tableStore, topicStore } from './stores.ts'

export interface Readable<T> {
  subscribe(run: (value: T) => void): () => void
}

export function readable<T>(store: Store<T>): Readable<T> {
  return {
    subscribe(run) {
      run(store.getSnapshot())
      return store.subscribe(() => run(store.getSnapshot()))
    },
  }
}
