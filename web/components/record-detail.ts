/** One record in full: where it is, when it was written, its key, value and headers, ready to be copied. */
import { fill, h } from '../dom.ts'
import { bytes, count, dateTime, utc } from '../format.ts'
import type { LogRecord } from '../source.ts'
import { type Shown, show } from '../text.ts'

export interface RecordDetail {
  element: HTMLDialogElement
  open(record: LogRecord): void
}

export function recordDetail(): RecordDetail {
  const body = h('div', { class: 'detail-body' })
  const element = h('dialog', { class: 'dialog detail', 'aria-labelledby': 'detail-title' }, body)
  return {
    element,
    open(record) {
      fill(body, ...describe(record), h('form', { method: 'dialog' }, h('button', { class: 'primary' }, 'Close')))
      if (!element.open) element.showModal()
    },
  }
}

function describe(record: LogRecord): HTMLElement[] {
  const value = show(record.value)
  const copy = h(
    'button',
    { type: 'button', onclick: () => void navigator.clipboard?.writeText(value.text) },
    'Copy value',
  )
  return [
    h('h2', { id: 'detail-title', class: 'num' }, `${record.topic} ${record.partition} · ${count(record.offset)}`),
    h('p', { class: 'soft num', title: utc(record.timestampMs) }, dateTime(record.timestampMs)),
    h('h3', {}, 'Key'),
    block(show(record.key)),
    h('h3', {}, `Value, ${bytes(record.value?.length ?? 0)}`, ' ', copy),
    block(value),
    h('h3', {}, 'Headers'),
    record.headers.length === 0
      ? h('p', { class: 'soft' }, 'none')
      : h(
          'dl',
          { class: 'facts' },
          ...record.headers.map(({ key, value: each }) => h('div', {}, h('dt', {}, key), h('dd', {}, show(each).text))),
        ),
  ]
}

function block(shown: Shown): HTMLElement {
  if (shown.kind !== 'json') return h('pre', { class: `code is-${shown.kind}`, tabindex: 0 }, shown.text)
  return h('pre', { class: 'code is-json', tabindex: 0 }, ...colourJson(shown.text))
}

// Text pieces become elements one by one; nothing of a record is ever read as markup.
function* colourPieces(text: string): Generator<[string, string]> {
  const token = /("(?:\\.|[^"\\])*")(\s*:)?|(-?\d[\d.eE+-]*)|\b(true|false|null)\b/g
  let at = 0
  for (const match of text.matchAll(token)) {
    if (match.index > at) yield ['', text.slice(at, match.index)]
    yield [
      match[2] ? 'json-name' : match[1] ? 'json-string' : match[3] ? 'json-number' : 'json-word',
      match[1] ?? match[0],
    ]
    if (match[2]) yield ['', match[2]]
    at = match.index + match[0].length
  }
  yield ['', text.slice(at)]
}

function colourJson(text: string): (HTMLElement | string)[] {
  return [...colourPieces(text)].map(([name, piece]) => (name ? h('span', { class: name }, piece) : piece))
}
