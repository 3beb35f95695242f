/** How far a group has read in one partition: the line is the log up to its end, the thick part what is behind it. */
import { h } from '../dom.ts'
import { count } from '../format.ts'
import type { GroupLag } from '../source.ts'

export function lagRuler({ topic, partition, committed, end, lag }: GroupLag): HTMLElement {
  const line = h('span', { class: 'ruler-line', 'aria-hidden': 'true' })
  line.append(piece('ruler-log', 1))
  if (committed !== null && end !== null)
    line.append(piece('ruler-replica', end === 0 ? 1 : Math.min(1, committed / end)))
  return h(
    'div',
    { class: 'ruler lag-ruler', 'data-up-to-date': String(lag === 0) },
    h('span', { class: 'lag-name' }, `${topic} `, h('span', { class: 'num' }, partition)),
    line,
    h('span', { class: 'ruler-text num' }, told(committed, end, lag)),
  )
}

function told(committed: number | null, end: number | null, lag: number | null): string {
  if (committed === null) return 'nothing committed yet'
  if (end === null) return `at ${count(committed)}, the log is gone`
  return `at ${count(committed)} of ${count(end)}${lag ? `, ${count(lag)} behind` : ''}`
}

function piece(name: string, to: number): HTMLElement {
  const element = h('span', { class: name })
  element.style.setProperty('--from', '0%')
  element.style.setProperty('--to', `${to * 100}%`)
  return element
}
