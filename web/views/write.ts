/** Writing: a form that works without a network, and what became of each write. */
import { emptyState } from '../components/empty-state.ts'
import { headerFields } from '../components/header-fields.ts'
import { writeLife } from '../components/write-life.ts'
import { fill, h } from '../dom.ts'
import { type Draft, loadDraft, saveDraft } from '../draft.ts'
import type { App } from '../state.ts'

export const NOTES_TOPIC = 'notes'
const DRAFT = 'write'

export function writeView(app: App, topic: string | null, until: AbortSignal): HTMLElement {
  const lives = h('ol', { class: 'lives' })
  const none = emptyState(
    'Nothing written yet',
    'Each write shows its way here: kept on this device first, then in the log.',
  )
  app.writes.list.watch((writes) => fill(lives, ...writes.map(writeLife)), until)
  app.writes.list.watch((writes) => {
    none.hidden = writes.length > 0
  }, until)
  return h(
    'div',
    { class: 'page two-columns' },
    h('section', {}, h('h1', {}, 'Write'), writeForm(app, topic)),
    h(
      'section',
      { 'aria-label': 'Writes of this visit', 'aria-live': 'polite' },
      h('h2', {}, 'What became of it'),
      none,
      lives,
    ),
  )
}

function writeForm(app: App, wantedTopic: string | null): HTMLElement {
  const topic = h('input', {
    name: 'topic',
    required: true,
    maxlength: 249,
    pattern: '[a-zA-Z0-9._\\-]+',
    autocomplete: 'off',
    spellcheck: 'false',
  })
  const key = h('input', { name: 'key', autocomplete: 'off', placeholder: 'none: any partition' })
  const value = h('textarea', { name: 'value', rows: 5, required: true, placeholder: 'Text or JSON' })
  const headers = headerFields(() => keep())
  const read = (): Draft => ({ topic: topic.value, key: key.value, value: value.value, headers: headers.read() })
  const keep = () => saveDraft(DRAFT, read())
  const send = () => {
    const draft = read()
    app.writes.send({
      topic: draft.topic,
      key: draft.key === '' ? null : draft.key,
      value: draft.value,
      headers: draft.headers,
    })
    value.value = ''
    keep()
    value.focus()
  }
  const form = h(
    'form',
    { class: 'form' },
    field('Topic', topic),
    field('Key', key),
    field('Value', value),
    headers.element,
    h(
      'div',
      { class: 'form-end' },
      h('button', { class: 'primary' }, 'Write'),
      h('span', { class: 'soft' }, 'Ctrl Enter'),
    ),
  )
  const draft = loadDraft(DRAFT)
  topic.value = wantedTopic ?? (draft.topic || NOTES_TOPIC)
  key.value = draft.key
  value.value = draft.value
  headers.write(draft.headers)
  form.addEventListener('input', keep)
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    send()
  })
  form.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) form.requestSubmit()
  })
  return form
}

function field(name: string, input: HTMLElement): HTMLElement {
  return h('label', { class: 'field' }, h('span', {}, name), input)
}
