/** Entry: opens the notebook, draws it at each change, shows the screen that the address names. */
import type { Status } from 'ottla'
import { registerServiceWorker } from 'ottla/offline'
import { isSetAside, Notebook } from './notebook.ts'
import { drawNotes } from './notes-screen.ts'
import { drawOutbox } from './outbox-screen.ts'
import { hasDraft, openForm } from './write-screen.ts'

const SCREENS = ['notes', 'write', 'outbox']
const state = document.querySelector<HTMLElement>('#state')!

void registerServiceWorker({ onUpdate: offerUpdate, hasUnsavedWork: hasDraft })
window.addEventListener('hashchange', showScreen)
showScreen()
void start()

async function start(): Promise<void> {
  try {
    const notebook = await Notebook.open()
    const draw = atMostOneAtATime(async () => {
      const waiting = await notebook.waiting()
      drawOutbox(notebook, waiting)
      await drawNotes(
        notebook,
        waiting.filter(({ entry }) => isSetAside(entry)),
      )
    })
    openForm(notebook, () => {
      location.hash = 'notes'
    })
    const show = (status: Status) => {
      drawState(status)
      draw()
    }
    notebook.ottla.onStatus(show)
    show(notebook.ottla.status)
    await notebook.follow(draw)
  } catch (error) {
    state.dataset.state = 'failed'
    state.textContent = `The notes cannot be opened: ${error instanceof Error ? error.message : error}`
  }
}

function drawState({ state: connection, outbox, storageError }: Status): void {
  const waits = outbox.pendingEntries === 0 ? '' : `, ${outbox.pendingEntries} to send`
  state.dataset.state = storageError ? 'failed' : connection
  if (storageError) state.textContent = `Trouble with this device's storage: ${storageError.message}`
  else if (connection === 'live' || connection === 'catching-up') state.textContent = `Online${waits}`
  else if (connection === 'needs-auth') state.textContent = `Not signed in${waits}`
  else state.textContent = `${connection === 'connecting' ? 'Connecting' : 'Offline'}${waits}`
}

function showScreen(): void {
  const wanted = location.hash.slice(1)
  const chosen = SCREENS.includes(wanted) ? wanted : 'notes'
  for (const name of SCREENS) {
    document.querySelector<HTMLElement>(`#${name}`)!.hidden = name !== chosen
    const link = document.querySelector(`nav a[href="#${name}"]`)!
    if (name === chosen) link.setAttribute('aria-current', 'page')
    else link.removeAttribute('aria-current')
  }
  scrollTo(0, 0)
}

function offerUpdate({ isApplied, apply }: { isApplied: boolean; apply(): void }): void {
  document.querySelector<HTMLElement>('#update')!.hidden = false
  document.querySelector('#update-text')!.textContent = isApplied
    ? 'Another tab has changed to a new version. What you write here is kept.'
    : 'A new version is ready. What you write is kept.'
  document.querySelector<HTMLButtonElement>('#update-apply')!.onclick = apply
}

/** Asked for while it runs, it runs once more afterwards. */
function atMostOneAtATime(work: () => Promise<void>): () => void {
  let [isRunning, isAskedAgain] = [false, false]
  const run = async () => {
    if (isRunning) {
      isAskedAgain = true
      return
    }
    isRunning = true
    do {
      isAskedAgain = false
      await work().catch((error: unknown) => console.warn('The notes could not be drawn:', error))
    } while (isAskedAgain)
    isRunning = false
  }
  return () => void run()
}
