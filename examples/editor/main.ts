/** Entry: the document that the address names, in CodeMirror, with who else is there. */
import { defaultKeymap } from '@codemirror/commands'
import { EditorState } from '@codemirror/state'
import { EditorView, keymap, placeholder } from '@codemirror/view'
import { registerServiceWorker } from 'ottla/offline'
import { yCollab, yUndoManagerKeymap } from 'y-codemirror.next'
import { colourOf, cursors, nameOf } from './cursors.ts'
import { type OpenDocument, openDocument } from './document.ts'
import { theme } from './theme.ts'

const NAME_KEY = 'editor:name'
const HEX = ['#c23b22', '#1b7f5c', '#2f5bd0', '#8a5a00', '#8a2fb0', '#00707f']

const name = decodeURIComponent(location.hash.slice(1)) || 'minutes'
const element = <E extends HTMLElement>(id: string) => document.querySelector<E>(`#${id}`)!
const nameField = element<HTMLInputElement>('name')

element('title').textContent = name
document.title = `${name} · Editor`
element('share').textContent = `${location.href.split('#')[0]}#${encodeURIComponent(name)}`
// Another document is another page.
window.addEventListener('hashchange', () => location.reload())
// Everything typed is stored as it is typed.
void registerServiceWorker({ onUpdate: offerUpdate, hasUnsavedWork: () => false })
void start()

async function start(): Promise<void> {
  try {
    const opened = await openDocument(name)
    showState(opened)
    showPeople(opened)
    edit(opened)
  } catch (error) {
    element('error').textContent = `The document cannot be opened: ${error instanceof Error ? error.message : error}`
  }
}

function edit({ doc, provider }: OpenDocument): void {
  const text = doc.getText('text')
  const root = element('editor').attachShadow({ mode: 'open' })
  const view = new EditorView({
    parent: root,
    root,
    state: EditorState.create({
      doc: text.toString(),
      extensions: [
        keymap.of([...yUndoManagerKeymap, ...defaultKeymap]),
        EditorView.lineWrapping,
        theme,
        EditorView.contentAttributes.of({ 'aria-label': `Text of ${name}` }),
        placeholder('Write something; others see it as you type.'),
        // Cursors are drawn by ours: y-codemirror's have inline styles, which the relay's policy forbids.
        yCollab(text, null),
        cursors(text, provider.awareness!),
      ],
    }),
  })
  view.focus()
}

function showState({ ottla, provider }: OpenDocument): void {
  const state = element('state')
  const draw = () => {
    const isOnline = provider.status === 'connected'
    state.dataset.state = provider.saved && isOnline ? 'saved' : 'waiting'
    if (ottla.status.storageError)
      state.textContent = `Trouble with this device's storage: ${ottla.status.storageError.message}`
    else if (!isOnline) state.textContent = 'Offline: kept on this device'
    else state.textContent = provider.saved ? 'Saved' : 'Saving …'
  }
  provider.on('status', draw)
  provider.on('saved', draw)
  provider.on('sync', draw)
  provider.on('error', (error) => {
    element('error').textContent = `${error.message} ${error.hint}`
  })
  ottla.onStatus(draw)
  draw()
}

function showPeople({ provider, doc }: OpenDocument): void {
  const awareness = provider.awareness!
  nameField.value = localStorage.getItem(NAME_KEY) ?? `Guest ${doc.clientID % 1000}`
  const introduce = () => {
    localStorage.setItem(NAME_KEY, nameField.value)
    const color = HEX[colourOf(doc.clientID)]!
    awareness.setLocalStateField('user', { name: nameField.value || 'Somebody', color, colorLight: `${color}33` })
  }
  nameField.addEventListener('input', introduce)
  introduce()
  const draw = () => {
    const others = [...awareness.getStates()].filter(([client]) => client !== awareness.clientID)
    element('people').replaceChildren(
      ...others.map(([client, state]) =>
        Object.assign(document.createElement('li'), {
          className: `colour-${colourOf(client)}`,
          textContent: nameOf(state),
        }),
      ),
    )
  }
  awareness.on('change', draw)
  draw()
}

function offerUpdate({ apply }: { apply(): void }): void {
  element('update').hidden = false
  element('update-text').textContent = 'A new version is ready. What you have written is kept.'
  element<HTMLButtonElement>('update-apply').onclick = apply
}
