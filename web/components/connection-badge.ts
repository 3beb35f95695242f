/** The connection's true state in a few words, always in sight; leads to the screen that tells all. */
import { h, setText } from '../dom.ts'
import { count, span } from '../format.ts'
import { linkTo } from '../router.ts'
import type { Signal } from '../signal.ts'
import type { Status } from '../source.ts'

const COUNTDOWN_EVERY_MS = 500

export interface StateText {
  label: string
  detail: string
}

export function stateText(status: Status, nowMs: number): StateText {
  switch (status.state) {
    case 'live':
      return { label: 'Live', detail: '' }
    case 'catching-up':
      return { label: 'Catching up', detail: `${count(status.behindRecords)} to go` }
    case 'connecting':
      return { label: 'Connecting', detail: '' }
    case 'offline':
      return { label: 'Offline', detail: nextAttempt(status, nowMs) }
    case 'needs-auth':
      return { label: 'Sign-in needed', detail: '' }
    case 'closed':
      return { label: 'Closed', detail: '' }
  }
}

function nextAttempt({ connection }: Status, nowMs: number): string {
  if (connection.phase !== 'offline') return ''
  const waitMs = connection.retryAtMs - nowMs
  return waitMs > 500 ? `next try in ${span(Math.max(1000, waitMs))}` : 'trying now'
}

export function connectionBadge(status: Signal<Status>, until: AbortSignal): HTMLElement {
  const label = h('span', { class: 'badge-label' })
  const detail = h('span', { class: 'badge-detail num' })
  const waiting = h('span', { class: 'badge-waiting num' })
  const badge = h(
    'a',
    { class: 'badge', href: linkTo('connection') },
    h('span', { class: 'badge-dot', 'aria-hidden': 'true' }),
    h('span', { role: 'status', class: 'badge-text' }, label),
    detail,
    waiting,
  )
  const show = () => {
    const now = status.get()
    const text = stateText(now, Date.now())
    badge.dataset.state = now.state
    setText(label, text.label)
    setText(detail, text.detail)
    setText(waiting, now.outbox.pendingRecords > 0 ? `${count(now.outbox.pendingRecords)} to send` : '')
  }
  status.watch(show, until)
  const timer = setInterval(show, COUNTDOWN_EVERY_MS)
  until.addEventListener('abort', () => clearInterval(timer))
  return badge
}
