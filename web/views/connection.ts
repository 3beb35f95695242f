/** The true state of everything: connection, replica, storage, clock, the worker that leads, this page's version. */

import { confirmDialog } from '../components/confirm-dialog.ts'
import { stateText } from '../components/connection-badge.ts'
import { installButton } from '../components/install-button.ts'
import { fill, h, setText } from '../dom.ts'
import { errorInfo } from '../errors.ts'
import { bytes, count, dateTime, plural, share, span, time } from '../format.ts'
import type { ErrorInfo, Status } from '../source.ts'
import type { App } from '../state.ts'
import { askToPersist, readStorageFacts, type StorageFacts } from '../storage-facts.ts'

const REFRESH_MS = 1000
const STORAGE_REFRESH_MS = 10_000

export function connectionView(app: App, until: AbortSignal): HTMLElement {
  const facts = h('dl', { class: 'facts' })
  const storageList = h('dl', { class: 'facts' })
  const replicas = h('dl', { class: 'facts' })
  const headline = h('p', { class: 'state-line', role: 'status' })
  let lastError: { atMs: number; error: ErrorInfo } | null = null

  const draw = () => {
    const status = app.status.get()
    const error = connectionError(status)
    if (error && lastError?.error.message !== error.message) lastError = { atMs: Date.now(), error }
    const text = stateText(status, Date.now())
    headline.dataset.state = status.state
    fill(headline, h('strong', {}, text.label), text.detail && h('span', { class: 'num' }, text.detail))
    fill(facts, ...connectionFacts(status, app.source.host(), lastError))
    fill(replicas, ...replicaFacts(status))
  }
  const drawStorage = async () => {
    const found = await readStorageFacts()
    if (!until.aborted) fill(storageList, ...storageFactRows(found, app.status.get()))
  }
  const persist = async () => {
    const kept = await askToPersist()
    app.notify(
      kept
        ? 'This browser will keep the data.'
        : 'The browser did not agree; it may clear the data when space runs out.',
    )
    await drawStorage()
  }
  app.status.watch(draw, until)
  void drawStorage()
  const timers = [setInterval(draw, REFRESH_MS), setInterval(() => void drawStorage(), STORAGE_REFRESH_MS)]
  until.addEventListener('abort', () => timers.forEach(clearInterval))
  return h(
    'div',
    { class: 'page' },
    h('div', { class: 'page-head' }, h('h1', {}, 'Connection'), installButton(until)),
    headline,
    h(
      'div',
      { class: 'fact-columns' },
      section('Relay', facts, whoIsThere(app, until)),
      section('Replica', replicas),
      section(
        'Storage',
        storageList,
        h('button', { type: 'button', onclick: () => void persist() }, 'Ask the browser to keep it'),
      ),
    ),
  )
}

/** Whose device this is, and the way in or out. */
function whoIsThere(app: App, until: AbortSignal): HTMLElement {
  const name = h('p', { class: 'soft' })
  const signIn = h('button', { type: 'button', class: 'primary', onclick: () => app.openSignIn() }, 'Sign in')
  const signOut = h('button', { type: 'button', onclick: () => void leave(app) }, 'Sign out')
  const draw = () => {
    const { state } = app.status.get()
    const owner = app.source.owner()
    setText(name, owner === null ? '' : `This device keeps what ${owner} has read and written.`)
    signIn.hidden = state !== 'needs-auth'
    signOut.hidden = owner === null || state === 'closed'
  }
  app.status.watch(draw, until)
  // The name is known a moment after the status is.
  const timer = setInterval(draw, REFRESH_MS)
  until.addEventListener('abort', () => clearInterval(timer))
  return h('div', { class: 'field-stack' }, name, h('div', { class: 'button-row' }, signIn, signOut))
}

async function leave(app: App): Promise<void> {
  try {
    const what = 'What this device keeps of the log is deleted. Signing in again fetches it anew.'
    if (!(await confirmDialog('Sign out?', what, 'Sign out'))) return
    await app.source.signOut('refuse').catch(async (error: unknown) => {
      if (errorInfo(error).code !== 'UNSENT_WRITES') throw error
      const lost = `${errorInfo(error).message}. They are not in the log, and afterwards they are nowhere.`
      if (await confirmDialog('Discard what was not sent?', lost, 'Discard and sign out'))
        await app.source.signOut('discard')
    })
    if (app.source.owner() === null) location.reload()
  } catch (error) {
    app.notify(errorInfo(error).message, 'error')
  }
}

function section(title: string, ...children: HTMLElement[]): HTMLElement {
  return h('section', { class: 'panel' }, h('h2', { class: 'panel-title' }, title), ...children)
}

function connectionError(status: Status): ErrorInfo | null {
  return 'error' in status.connection ? status.connection.error : null
}

function connectionFacts(status: Status, host: string, last: { atMs: number; error: ErrorInfo } | null): HTMLElement[] {
  const { connection } = status
  const offset = status.clockOffsetMs
  return [
    fact('State', connection.phase),
    connection.phase === 'live' ? fact('Since', dateTime(connection.sinceMs)) : null,
    connection.phase === 'offline' ? fact('Attempts', count(connection.attempt)) : null,
    fact('Run by', host),
    fact(
      'Clock',
      offset === null
        ? 'not compared yet'
        : `${span(Math.abs(offset))} ${offset >= 0 ? 'behind' : 'ahead of'} the relay`,
    ),
    fact('To send', plural(status.outbox.pendingRecords, 'record')),
    fact('Last error', last ? `${time(last.atMs)}: ${last.error.message} (${last.error.code})` : 'none'),
  ].filter((each) => each !== null)
}

function replicaFacts(status: Status): HTMLElement[] {
  const rows = status.topics.flatMap((topic) =>
    topic.replica.map((range) =>
      fact(
        `${topic.name} ${range.partition}`,
        `${count(range.start)} – ${count(range.end)}${range.upToDate ? ', up to date' : range.relayEnd > range.end ? `, ${count(range.relayEnd - range.end)} behind` : ''}`,
      ),
    ),
  )
  const name = fact('Database', status.replica ?? 'none: in memory only')
  return [name, fact('Behind', plural(status.behindRecords, 'record')), ...rows]
}

function storageFactRows(found: StorageFacts, status: Status): HTMLElement[] {
  const { usageBytes: usage, quotaBytes: quota, persisted } = found
  return [
    fact('Used', usage === null ? 'not told' : bytes(usage)),
    fact(
      'Allowed',
      quota === null
        ? 'not told'
        : `${bytes(quota)}${usage === null || quota === 0 ? '' : `, ${share(usage / quota)} used`}`,
    ),
    fact(
      'Kept',
      persisted === null
        ? 'not told'
        : persisted
          ? 'yes, until you clear it'
          : 'the browser may clear it when space runs out',
    ),
    fact('Trouble', status.storageError ? status.storageError.message : 'none'),
  ]
}

function fact(name: string, value: string): HTMLElement {
  return h('div', {}, h('dt', {}, name), h('dd', { class: 'num' }, value))
}
