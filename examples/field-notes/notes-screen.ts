/** The notes: what is in the log, what waits on this device, and, first, what was refused. */
import type { TableEntry } from 'ottla'
import type { Note, Notebook, Waiting } from './notebook.ts'
import { pictures } from './pictures.ts'
import { showTime } from './show-time.ts'

const list = document.querySelector<HTMLOListElement>('#notes-list')!
const empty = document.querySelector<HTMLElement>('#notes-empty')!
const template = document.querySelector<HTMLTemplateElement>('#note-card')!

/** Cards by note, with what they show, so that only what has changed is drawn again. */
const cards = new Map<string, { element: HTMLElement; shown: string }>()

export async function drawNotes(notebook: Notebook, refused: readonly Waiting[]): Promise<void> {
  const rows = await notebook.list()
  const wanted = [
    ...refused.flatMap(({ entry, note }) => (note ? [refusedCard(entry.id, note, entry.error?.message ?? '')] : [])),
    ...rows.map((row) => noteCard(notebook, row)),
  ]
  for (const [id, { element }] of cards) {
    if (wanted.some((each) => each.id === id)) continue
    element.remove()
    cards.delete(id)
  }
  wanted.forEach(({ element }, at) => {
    if (list.children[at] !== element) list.insertBefore(element, list.children[at] ?? null)
  })
  empty.hidden = wanted.length > 0
  empty.textContent = notebook.isOpen
    ? 'Nothing yet. Write down what you see; it works without a network.'
    : 'The notes of others come when there is a network for the first time. You can write already.'
}

function refusedCard(id: string, note: Note, why: string) {
  return card(`refused ${id}`, JSON.stringify([note, why]), (element) => {
    fill(element, note)
    chip(element, 'refused', `Refused: ${why}`)
    const link = Object.assign(document.createElement('a'), { href: '#outbox', textContent: 'Decide in the outbox' })
    element.querySelector('.delete')!.replaceWith(link)
  })
}

function noteCard(notebook: Notebook, { key, value: note, state, partition, offset }: TableEntry<string, Note>) {
  const shown = JSON.stringify([note, state])
  return card(key, shown, (element) => {
    fill(element, note)
    if (state === 'pending') chip(element, 'pending', 'On this device, not sent yet')
    else chip(element, 'committed', 'In the log', `partition ${partition}, offset ${offset}`)
    if (note.photo) void showPhoto(notebook, element, key, note.photo)
    element.querySelector('.delete')!.addEventListener('click', () => {
      if (confirm('Delete this note everywhere?')) void notebook.delete(key, note.photo !== null)
    })
  })
}

function card(id: string, shown: string, draw: (element: HTMLElement) => void) {
  const known = cards.get(id)
  if (known?.shown === shown) return { id, element: known.element }
  const element = (template.content.cloneNode(true) as DocumentFragment).querySelector<HTMLElement>('.card')!
  draw(element)
  known?.element.replaceWith(element)
  cards.set(id, { element, shown })
  return { id, element }
}

function fill(element: HTMLElement, { text, place, writtenAt }: Note): void {
  showTime(element.querySelector('time')!, Date.parse(writtenAt))
  element.querySelector('.place')!.textContent = place
  element.querySelector('.text')!.textContent = text
}

function chip(element: HTMLElement, state: string, text: string, title = ''): void {
  Object.assign(element.querySelector<HTMLElement>('.chip')!, { textContent: text, title }).dataset.state = state
}

async function showPhoto(notebook: Notebook, element: HTMLElement, id: string, facts: NonNullable<Note['photo']>) {
  const content = await notebook.photo(id)
  const image = element.querySelector('img')!
  Object.assign(image, { width: facts.width, height: facts.height, alt: 'Taken for this note' })
  if (!content) return
  image.src = pictures.urlOf(id, content, facts.type)
  image.hidden = false
}
