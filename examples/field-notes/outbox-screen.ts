/** What waits for the relay, and what waits for a person, with the reason. */
import { isSetAside, type Notebook, type Waiting } from './notebook.ts'
import { showTime } from './show-time.ts'
import { editAgain } from './write-screen.ts'

const list = document.querySelector<HTMLOListElement>('#outbox-list')!
const summary = document.querySelector<HTMLElement>('#outbox-summary')!
const count = document.querySelector<HTMLElement>('#outbox-count')!
const template = document.querySelector<HTMLTemplateElement>('#outbox-card')!

export function drawOutbox(notebook: Notebook, waiting: readonly Waiting[]): void {
  const refused = waiting.filter(({ entry }) => isSetAside(entry)).length
  count.hidden = waiting.length === 0
  count.textContent = String(waiting.length)
  count.dataset.refused = String(refused > 0)
  summary.textContent = summaryOf(waiting.length - refused, refused)
  list.replaceChildren(...waiting.map((each) => outboxCard(notebook, each)))
}

function summaryOf(pending: number, refused: number): string {
  if (pending + refused === 0) return 'Nothing waits: all that was written here is in the log.'
  const sent =
    pending === 0
      ? ''
      : `${pending} to be sent when there is a network, also with this page closed where the browser can.`
  const decided = refused === 0 ? '' : `${refused} refused; they are kept here until you decide.`
  return [sent, decided].filter(Boolean).join(' ')
}

function outboxCard(notebook: Notebook, { entry, note, photo }: Waiting): HTMLElement {
  const card = (template.content.cloneNode(true) as DocumentFragment).querySelector<HTMLElement>('.card')!
  const setAside = isSetAside(entry)
  showTime(card.querySelector('time')!, entry.storedAtMs)
  const chip = card.querySelector<HTMLElement>('.chip')!
  chip.dataset.state = setAside ? 'refused' : 'pending'
  chip.textContent = { pending: 'Waits', 'in-flight': 'Being sent', parked: 'Refused', unknown: 'Nobody knows' }[
    entry.state
  ]
  const hasPhoto = entry.transaction !== undefined
  card.querySelector('.text')!.textContent = note?.text ?? (hasPhoto ? 'A note with a photo' : 'A note')
  card.querySelector('.why')!.textContent = setAside
    ? (entry.error?.message ?? '')
    : `${Math.ceil(entry.sizeBytes / 1000)} kB`
  card.querySelector('.why')!.classList.toggle('hint', !setAside)
  const { outbox } = notebook.ottla
  const action = (name: string, isOffered: boolean, act: () => void) => {
    const button = card.querySelector<HTMLButtonElement>(`.${name}`)!
    button.hidden = !isOffered
    button.addEventListener('click', act)
  }
  action('retry', setAside, () => void outbox.retry(entry.id))
  action('edit', setAside && note !== undefined, () => {
    editAgain(note!, photo)
    void outbox.discard(entry.id)
  })
  action('discard', setAside, () => {
    if (confirm('Discard this note for good?')) void outbox.discard(entry.id)
  })
  return card
}
