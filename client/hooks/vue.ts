/** Refs for Vue, made from the framework that is handed in: `const { useTable } = ottlaRefs(Vue, ottla)`, inside a component. */
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

/** What is used of `vue`. */
export interface VueLike {
  shallowRef<T>(value: T): { value: T }
  onScopeDispose(end: () => void): void
}

export interface OttlaRefs {
  useStatus(): { readonly value: Status }
  useOutbox(topic?: string): { readonly value: OutboxView }
  useTable<K = string, V = unknown>(
    name: string,
    options?: TableOptions<K, V>,
    selection?: Selection<K> & RangeOptions,
  ): { readonly value: TableView<K, V> }
  useTopic<K = string, V = Uint8Array>(
    name: string,
    options?: TopicOptions<K, V> & { last?: number },
  ): { readonly value: TopicView<K, V> }
}

export function ottlaRefs(vue: VueLike, ottla: Ottla): OttlaRefs {
  const refOf = <T>(store: Store<T>): { readonly value: T } => {
    const ref = vue.shallowRef(store.getSnapshot())
    vue.onScopeDispose(
      store.subscribe(() => {
        ref.value = store.getSnapshot()
      }),
    )
    return ref
  }
  return {
    useStatus: () => refOf(statusStore(ottla)),
    useOutbox: (topic) => refOf(outboxStore(ottla, topic)),
    useTable: (name, options, selection) => refOf(tableStore(ottla, name, options, selection)),
    useTopic: (name, options) => refOf(topicStore(ottla, name, options)),
  }
}
