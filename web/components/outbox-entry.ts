/** One entry of the outbox: where it goes, how long it waits, why it stands still, and what can be done. */
import { h } from '../dom.ts'
import { ago, bytes, dateTime, plural, sentences } from '../format.ts'
import type { OutboxEntry } from '../source.ts'

export interface EntryActions {
  retry(id: string): void
  discard(id: string): void
}

const STATES: Record<OutboxEntry['state'], string> = {
  pending: 'waiting',
  'in-flight': 'being sent',
  parked: 'parked',
  unknown: 'outcome unknown',
}

export function outboxEntry(entry: OutboxEntry, actions: EntryActions): HTMLElement {
  const stands = entry.state === 'parked' || entry.state === 'unknown'
  return h(
    'li',
    { class: 'entry', 'data-state': entry.state },
    h(
      'div',
      { class: 'entry-head' },
      h('strong', {}, entry.transaction?.topics.join(' + ') ?? entry.topic),
      entry.transaction && h('span', { class: 'pill' }, 'together or not at all'),
      h('span', { class: 'pill' }, STATES[entry.state]),
      h('span', { class: 'soft num' }, `${plural(entry.recordCount, 'record')}, ${bytes(entry.sizeBytes)}`),
      h('span', { class: 'soft num', title: dateTime(entry.storedAtMs) }, ago(Date.now() - entry.storedAtMs)),
    ),
    entry.error && h('p', { class: 'entry-error' }, sentences(entry.error.message, entry.error.hint)),
    (stands || entry.state === 'pending') &&
      h(
        'div',
        { class: 'entry-actions' },
        stands &&
          h(
            'button',
            { type: 'button', 'data-key': `${entry.id} retry`, onclick: () => actions.retry(entry.id) },
            'Send again',
          ),
        h(
          'button',
          {
            type: 'button',
            class: 'quiet',
            'data-key': `${entry.id} discard`,
            onclick: () => actions.discard(entry.id),
          },
          'Discard …',
        ),
      ),
  )
}
