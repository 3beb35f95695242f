/** What every framework's page does first: a client, and a count of what is open in it. */
import { connect, type Ottla } from 'ottla'

export interface Opened {
  listeners: number
  tables: number
  readers: number
}

export interface HooksPage {
  ottla: Ottla
  opened: Opened
  select(prefix: string): void
  unmount(): void
}

declare global {
  interface Window {
    page: HooksPage
  }
}

/** As the page shows it, each in an element of that id. */
export interface Facts {
  state: string
  rows: string
  records: string
  outbox: string
  missing: string
}

export const FACTS = ['state', 'rows', 'records', 'outbox', 'missing'] as const

export const root = (): HTMLElement => document.querySelector<HTMLElement>('#root')!

export async function open(): Promise<{ ottla: Ottla; opened: Opened }> {
  const relay = new URLSearchParams(location.search).get('relay')!
  const ottla = await connect(relay, { backoff: { delayMsFirst: 20, delayMsMax: 100 } })
  const opened: Opened = { listeners: 0, tables: 0, readers: 0 }
  const [onStatus, table, topic] = [ottla.onStatus.bind(ottla), ottla.table.bind(ottla), ottla.topic.bind(ottla)]
  ottla.onStatus = (listener) => counted(opened, 'listeners', onStatus(listener))
  ottla.table = (async (...args: Parameters<typeof table>) => {
    const made = await table(...args)
    made.close = counted(opened, 'tables', made.close.bind(made))
    return made
  }) as typeof ottla.table
  ottla.topic = ((...args: Parameters<typeof topic>) => {
    const made = topic(...args)
    const read = made.read.bind(made)
    made.read = (options) => {
      const reader = read(options)
      reader.close = counted(opened, 'readers', reader.close.bind(reader))
      return reader
    }
    return made
  }) as typeof ottla.topic
  return { ottla, opened }
}

/** `end`, once, which also counts down. */
function counted<T>(opened: Opened, what: keyof Opened, end: () => T): () => T {
  opened[what]++
  let isOver = false
  return () => {
    if (!isOver) opened[what]--
    isOver = true
    return end()
  }
}

interface Shown {
  status: { state: string }
  table: { rows: ReadonlyArray<{ key: string; value: string; state: string }> }
  topic: { records: ReadonlyArray<{ value: string | null }> }
  outbox: { entries: readonly unknown[] }
  missing: { error: { code: string } | null }
}

export function factsOf({ status, table, topic, outbox, missing }: Shown): Facts {
  return {
    state: status.state,
    rows: table.rows.map(({ key, value, state }) => `${key}=${value} ${state}`).join(', '),
    records: topic.records.map(({ value }) => value).join(','),
    outbox: String(outbox.entries.length),
    missing: missing.error?.code ?? 'none',
  }
}
