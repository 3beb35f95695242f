/** Status, outbox, a table's rows and a topic's newest records as stores; no framework. */
import type { OutboxEntry, Status } from '../core.ts'
import { asOttlaError, OttlaError } from '../errors.ts'
import type { Ottla } from '../ottla.ts'
import type { TopicRecord } from '../record.ts'
import type { Selection } from '../table/selection.ts'
import type { RangeOptions, Table, TableEntry, TableOptions } from '../table/table.ts'
import type { TopicOptions } from '../topic.ts'
import { type Store, storeOf } from './store.ts'

export function statusStore(ottla: Ottla): Store<Status> {
  const store = storeOf<Status>(ottla.status, (set) => {
    set(ottla.status)
    return ottla.onStatus(set)
  })
  return store
}

export interface OutboxView {
  entries: readonly OutboxEntry[]
  error: OttlaError | null
}

/** Read again at each change of the status, one reading at a time. */
export function outboxStore(ottla: Ottla, topic?: string): Store<OutboxView> {
  return storeOf<OutboxView>({ entries: [], error: null }, (set) => {
    const look = oneAtATime(async (isOver) => {
      const next = await ottla.outbox.list(topic).then(
        (entries) => ({ entries, error: null }),
        (failure: unknown) => ({ entries: [], error: asOttlaError(failure, 'STORAGE_FAILED') }),
      )
      if (!isOver()) set(next)
    })
    look.again()
    const unlisten = ottla.onStatus(look.again)
    return () => {
      unlisten()
      look.end()
    }
  })
}

export interface TableView<K, V> {
  /** undefined until it is open. */
  table: Table<K, V> | undefined
  rows: ReadonlyArray<TableEntry<K, V>>
  isReady: boolean
  isUpToDate: boolean
  error: OttlaError | null
}

/** The rows of a selection, read again when any of them changes. */
export function tableStore<K = string, V = unknown>(
  ottla: Ottla,
  name: string,
  options: TableOptions<K, V> = {},
  { limit, reverse, ...selection }: Selection<K> & RangeOptions = {} as Selection<K> & RangeOptions,
): Store<TableView<K, V>> {
  const nothing: TableView<K, V> = { table: undefined, rows: [], isReady: false, isUpToDate: false, error: null }
  return storeOf(nothing, (set) => {
    const over = new AbortController()
    let view = nothing
    const show = (change: Partial<TableView<K, V>>) => {
      view = { ...view, ...change }
      if (!over.signal.aborted) set(view)
    }
    const fail = (failure: unknown) => show({ error: asOttlaError(failure, 'STORAGE_FAILED') })
    const follow = (table: Table<K, V>) => {
      const chosen = selection as Selection<K>
      const look = oneAtATime(async () => {
        try {
          const rows = await table.range(chosen, { limit, reverse })
          const { isReady, isUpToDate, error } = table.state
          show({ rows, isReady, isUpToDate, error: error && OttlaError.fromInfo(error) })
        } catch (failure) {
          fail(failure)
        }
      })
      show({ table })
      const unlisten = table.subscribe(chosen, look.again)
      over.signal.addEventListener('abort', () => {
        unlisten()
        look.end()
        table.close()
      })
      look.again()
    }
    ottla.table<K, V>(name, { ...options, signal: over.signal }).then((table) => {
      if (over.signal.aborted) table.close()
      else follow(table)
    }, fail)
    return () => over.abort()
  })
}

export interface TopicView<K, V> {
  /** The newest, oldest first. */
  records: ReadonlyArray<TopicRecord<K, V>>
  error: OttlaError | null
}

/** The last records of a topic (100), and what comes. */
export function topicStore<K = string, V = Uint8Array>(
  ottla: Ottla,
  name: string,
  { last = 100, ...options }: TopicOptions<K, V> & { last?: number } = {},
): Store<TopicView<K, V>> {
  return storeOf<TopicView<K, V>>({ records: [], error: null }, (set) => {
    const reader = ottla.topic<K, V>(name, options).read({ from: { last } })
    let isOver = false
    let records: Array<TopicRecord<K, V>> = []
    const read = async () => {
      for await (const batch of reader.batches()) {
        if (isOver) return
        records = [...records, ...batch].slice(-last)
        set({ records, error: null })
      }
    }
    read().catch((failure: unknown) => {
      if (!isOver) set({ records, error: asOttlaError(failure, 'RELAY') })
    })
    return () => {
      isOver = true
      void reader.close()
    }
  })
}

/** Asked for while it runs, it runs once more afterwards. */
function oneAtATime(work: (isOver: () => boolean) => Promise<void>) {
  let [isRunning, isAskedAgain, isOver] = [false, false, false]
  const run = async () => {
    isRunning = true
    do {
      isAskedAgain = false
      await work(() => isOver)
    } while (isAskedAgain && !isOver)
    isRunning = false
  }
  return {
    again() {
      if (isRunning) isAskedAgain = true
      else if (!isOver) void run()
    },
    end() {
      isOver = true
    },
  }
}
