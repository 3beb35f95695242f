/** The form: kept on this device with every letter, so that no reload, update or closed tab takes a note away. */
import { type Draft, keepDraft } from 'ottla/offline'
import type { Note, Notebook, Photo } from './notebook.ts'
import { fitPhoto, PhotoRefused, photoFromText, photoToText } from './photo.ts'

const form = document.querySelector<HTMLFormElement>('#form')!
const text = form.querySelector<HTMLTextAreaElement>('#text')!
const place = form.querySelector<HTMLInputElement>('#place')!
const photoField = form.querySelector<HTMLInputElement>('[name=photo]')!
const file = form.querySelector<HTMLInputElement>('#file')!
const remove = form.querySelector<HTMLButtonElement>('#photo-remove')!
const says = form.querySelector<HTMLElement>('#photo-says')!
const preview = form.querySelector<HTMLImageElement>('#photo-preview')!
const failure = form.querySelector<HTMLElement>('#form-error')!
const submit = form.querySelector<HTMLButtonElement>('[type=submit]')!

let draft: Draft

export function openForm(notebook: Notebook, written: () => void): void {
  draft = keepDraft(form, 'note')
  drawPhoto('')
  file.addEventListener('change', () => void addPhoto(file.files?.[0]))
  remove.addEventListener('click', () => setPhoto(null, 'The photo was removed.'))
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    void keepNote(notebook, written)
  })
}

export const hasDraft = (): boolean => draft?.isDirty ?? false

/** What was refused, to be written anew. */
export function editAgain(note: Note, photo: Uint8Array | undefined): void {
  text.value = note.text
  place.value = note.place
  setPhoto(note.photo && photo ? { ...note.photo, content: photo } : null, '')
  location.hash = 'write'
  text.focus()
}

async function keepNote(notebook: Notebook, written: () => void): Promise<void> {
  failure.textContent = ''
  submit.disabled = true
  try {
    await notebook.write(text.value.trim(), place.value.trim(), photoFromText(photoField.value))
    form.reset()
    setPhoto(null, '')
    draft.clear()
    written()
  } catch (error) {
    // The form keeps everything: nothing is cleared before it is stored.
    failure.textContent = `This note could not be kept: ${error instanceof Error ? error.message : error}`
  } finally {
    submit.disabled = false
  }
}

async function addPhoto(chosen: File | undefined): Promise<void> {
  if (!chosen) return
  drawPhoto('Looking at the photo …')
  try {
    const photo = await fitPhoto(chosen)
    setPhoto(photo, photo.says)
  } catch (error) {
    drawPhoto(error instanceof PhotoRefused ? error.message : `The photo could not be read: ${error}`)
  } finally {
    file.value = ''
  }
}

function setPhoto(photo: Photo | null, message: string): void {
  photoField.value = photo ? photoToText(photo) : ''
  draft.keep()
  drawPhoto(message)
}

function drawPhoto(message: string): void {
  says.textContent = message
  const photo = photoFromText(photoField.value)
  remove.hidden = preview.hidden = photo === null
  if (preview.src) URL.revokeObjectURL(preview.src)
  preview.removeAttribute('src')
  if (photo)
    preview.src = URL.createObjectURL(new Blob([photo.content as Uint8Array<ArrayBuffer>], { type: photo.type }))
}
