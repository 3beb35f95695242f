/**
 * A log is a line; a replica is the part of it that you have. One such line for each partition:
 * the thin line is the relay's range, the thick one what this device holds, drawn to the same scale.
 */
import { h } from '../dom.ts'
import { count } from '../format.ts'
import type { PartitionSummary } from '../source.ts'

export function logRuler({ partition, log, replica }: PartitionSummary): HTMLElement {
  const start = Math.min(log?.start ?? Number.POSITIVE_INFINITY, replica?.start ?? Number.POSITIVE_INFINITY)
  const end = Math.max(log?.end ?? 0, replica?.end ?? 0)
  const width = Math.max(1, end - start)
  const line = h('span', { class: 'ruler-line', 'aria-hidden': 'true' })
  if (log) line.append(piece('ruler-log', (log.start - start) / width, (log.end - start) / width))
  if (replica && replica.end > replica.start) {
    line.append(piece('ruler-replica', (replica.start - start) / width, (replica.end - start) / width))
  }
  return h(
    'div',
    { class: 'ruler', 'data-up-to-date': String(replica?.upToDate ?? false) },
    h('span', { class: 'ruler-name num' }, partition),
    line,
    h('span', { class: 'ruler-text num' }, rangeText(log, replica)),
  )
}

function rangeText(log: PartitionSummary['log'], replica: PartitionSummary['replica']): string {
  const held = replica ? replica.end - replica.start : 0
  const whole = log ? `${count(log.start)} – ${count(log.end)}` : 'range unknown'
  if (held === 0) return whole
  const missing = log ? log.end - (replica?.end ?? 0) : 0
  return `${whole}, ${count(held)} here${missing > 0 ? `, ${count(missing)} behind` : ''}`
}

function piece(name: string, from: number, to: number): HTMLElement {
  const element = h('span', { class: name })
  element.style.setProperty('--from', `${from * 100}%`)
  element.style.setProperty('--to', `${to * 100}%`)
  return element
}
