/**
 * Hooks for React, and for Preact (its `preact/compat` has the same functions). They are made from the framework that is handed
 * in, so that there is one copy of it and none is a dependency:
 *
 *     const { useTable, useStatus } = ottlaHooks(React, ottla)
 */
import type { Status } from '../core.ts'
import type { Ottla } from '../ottla.ts'
import type { Selection } from '../table/selection.ts'
import type { RangeOptions, TableOptions } from '../table/table.ts'
import type { TopicOptions } from '../topic.ts'
import type { Store } from './store.ts'
import {
  type OutboxView,
  outboxStore,
  statusStore,
  type TableView,
  type TopicView,
  tableStore,
  topicStore,
} from './stores.ts'

/** What is used of `React`. */
export interface ReactLike {
  useMemo<T>(make: () => T, dependencies: unknown[]): T
  useSyncExternalStore<T>(subscribe: (changed: () => void) => () => void, snapshot: () => T, server?: () => T): T
}

export interface OttlaHooks {
  useStatus(): Status
  useOutbox(topic?: string): OutboxView
  /** `options` count when the component first shows the table of that name; a selection may change. */
  useTable<K = string, V = unknown>(
    name: string,
    options?: TableOptions<K, V>,
    selection?: Selection<K> & RangeOptions,
  ): TableView<K, V>
  useTopic<K = string, V = Uint8Array>(name: string, options?: TopicOptions<K, V> & { last?: number }): TopicView<K, V>
}

export function ottlaHooks(react: ReactLike, ottla: Ottla): OttlaHooks {
  // biome-ignore lint/correctness/noComponentHookFactories: made once for a client, so that React is the application's own copy
  const useStore = <T>(make: () => Store<T>, dependencies: unknown[]): T => {
    const { subscribe, getSnapshot } = react.useMemo(make, [ottla, ...dependencies])
    return react.useSyncExternalStore(subscribe, getSnapshot, getSnapshot)
  }
  return {
    useStatus: () => useStore(() => statusStore(ottla), []),
    useOutbox: (topic) => useStore(() => outboxStore(ottla, topic), [topic]),
    useTable: (name, options, selection) =>
      useStore(() => tableStore(ottla, name, options, selection), [name, textOf(selection)]),
    useTopic: (name, options) => useStore(() => topicStore(ottla, name, options), [name, options?.last]),
  }
}

/** The same for selections that are the same. Keys may be what JSON has no word for. */
const textOf = (selection: unknown): string =>
  JSON.stringify(selection ?? {}, (_, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value))
