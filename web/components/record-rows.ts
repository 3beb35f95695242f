/** Records as rows: offset, time, key, value. Keeps the last ROWS_MAX; which row is chosen moves by keyboard. */
import { h, listen, setText } from '../dom.ts'
import { count, time, utc } from '../format.ts'
import type { LogRecord } from '../source.ts'
import { preview } from '../text.ts'
import { virtualRows } from './virtual-rows.ts'

export const ROWS_MAX = 20_000

export interface RecordRows {
  element: HTMLElement
  readonly length: number
  add(records: readonly LogRecord[]): void
  clear(): void
  /** Moves the choice by so many rows. */
  move(by: number): void
  openChosen(): void
}

export function recordRows(onOpen: (record: LogRecord) => void, until: AbortSignal): RecordRows {
  let records: LogRecord[] = []
  let chosen = -1
  const rows = virtualRows(
    {
      get length() {
        return records.length
      },
      create: createRow,
      fill: (element, index) => fillRow(element, records[index]!, index === chosen),
    },
    'Records',
    rowHeightPx,
    until,
  )
  listen(
    rows.element,
    'click',
    (event) => {
      const row = (event.target as Element).closest<HTMLElement>('[data-index]')
      if (!row) return
      chosen = Number(row.dataset.index)
      rows.refresh()
      openAt(chosen)
    },
    until,
  )
  listen(
    rows.element,
    'keydown',
    (event) => {
      if (event.key === 'ArrowDown') move(1)
      else if (event.key === 'ArrowUp') move(-1)
      else if (event.key === 'Enter') openAt(chosen)
      else return
      event.preventDefault()
    },
    until,
  )
  const openAt = (index: number) => {
    const record = records[index]
    if (record) onOpen(record)
  }
  const move = (by: number) => {
    if (records.length === 0) return
    chosen = Math.min(records.length - 1, Math.max(0, chosen < 0 ? (by > 0 ? 0 : records.length - 1) : chosen + by))
    rows.scrollTo(chosen)
  }
  return {
    element: rows.element,
    get length() {
      return records.length
    },
    add(more) {
      records.push(...more)
      if (records.length > ROWS_MAX) {
        const dropped = records.length - ROWS_MAX
        records = records.slice(dropped)
        chosen = chosen < dropped ? -1 : chosen - dropped
      }
      rows.refresh()
    },
    clear() {
      records = []
      chosen = -1
      rows.refresh()
    },
    move,
    openChosen: () => openAt(chosen),
  }
}

function createRow(): HTMLElement {
  const cell = (name: string) => h('span', { class: name, role: 'cell' })
  return h(
    'div',
    { class: 'record-row', role: 'row' },
    cell('record-at num'),
    cell('record-time num'),
    cell('record-key'),
    cell('record-value'),
  )
}

function fillRow(element: HTMLElement, record: LogRecord, chosen: boolean): void {
  const [at, when, key, value] = element.children as unknown as [HTMLElement, HTMLElement, HTMLElement, HTMLElement]
  setText(at, `${record.partition} · ${count(record.offset)}`)
  setText(when, time(record.timestampMs))
  when.title = utc(record.timestampMs)
  setText(key, preview(record.key, 60))
  setText(value, preview(record.value))
  if (chosen) element.setAttribute('aria-selected', 'true')
  else element.removeAttribute('aria-selected')
}

function rowHeightPx(): number {
  return matchMedia('(max-width: 640px)').matches ? 56 : 34
}
