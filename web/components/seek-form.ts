/** From where to read: the last N, the beginning, an offset, or a moment. */
import { h } from '../dom.ts'
import type { ReadFrom } from '../source.ts'

type Kind = 'last' | 'beginning' | 'offset' | 'time'

export function seekForm(onSeek: (from: ReadFrom) => void): HTMLElement {
  const kind = h(
    'select',
    { 'aria-label': 'Read from' },
    h('option', { value: 'last' }, 'Last'),
    h('option', { value: 'beginning' }, 'Beginning'),
    h('option', { value: 'offset' }, 'Offset'),
    h('option', { value: 'time' }, 'Time'),
  )
  const number = h('input', {
    type: 'number',
    min: 0,
    value: 200,
    inputmode: 'numeric',
    'aria-label': 'How many records',
    class: 'short',
  })
  const moment = h('input', { type: 'datetime-local', step: 1, 'aria-label': 'Moment', hidden: true })
  const form = h('form', { class: 'seek' }, kind, number, moment, h('button', {}, 'Read'))
  kind.addEventListener('change', () => {
    number.hidden = kind.value !== 'last' && kind.value !== 'offset'
    number.setAttribute('aria-label', kind.value === 'last' ? 'How many records' : 'Offset')
    moment.hidden = kind.value !== 'time'
  })
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    const from = wanted(kind.value as Kind, number.valueAsNumber, moment.value)
    if (from) onSeek(from)
  })
  return form
}

function wanted(kind: Kind, number: number, moment: string): ReadFrom | null {
  if (kind === 'beginning') return 'beginning'
  if (kind === 'time') return moment ? { timestampMs: new Date(moment).getTime() } : null
  if (!Number.isSafeInteger(number) || number < 0) return null
  return kind === 'last' ? { last: number } : { offset: number }
}
