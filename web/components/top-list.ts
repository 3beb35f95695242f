/** A short ranking with bars: name, count, and how late. Rows are made once and refilled, so nothing flickers. */
import { h, setText } from '../dom.ts'
import { count } from '../format.ts'
import { delayClass } from '../live/flight.ts'

export interface TopRow {
  name: string
  detail: string
  count: number
  meanDelayMin: number
}

export interface TopList {
  element: HTMLElement
  show(rows: TopRow[]): void
}

export function topList(title: string, size: number): TopList {
  const rows = Array.from({ length: size }, createRow)
  const list = h('ol', { class: 'top-list' }, ...rows.map((row) => row.element))
  const element = h('section', { class: 'panel' }, h('h2', { class: 'panel-title' }, title), list)
  return {
    element,
    show(values) {
      const most = Math.max(1, values[0]?.count ?? 1)
      for (const [index, row] of rows.entries()) row.show(values[index], most)
    },
  }
}

function createRow() {
  const name = h('span', { class: 'top-name' })
  const amount = h('span', { class: 'num' })
  const delay = h('span', { class: 'num top-delay' })
  const bar = h('span', { class: 'top-bar' })
  const element = h('li', { class: 'top-row' }, name, amount, delay, bar)
  return {
    element,
    show(row: TopRow | undefined, most: number) {
      element.hidden = row === undefined
      if (!row) return
      setText(name, row.name)
      element.title = row.detail
      setText(amount, count(row.count))
      const late = Math.round(row.meanDelayMin)
      setText(delay, `${late > 0 ? '+' : ''}${late} min`)
      bar.style.setProperty('--part', String(row.count / most))
      bar.dataset.delay = String(delayClass(row.meanDelayMin))
    },
  }
}
