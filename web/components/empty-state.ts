/** What a screen shows instead of data: what is so, why, and what can be done. Never a blank area. */
import { h } from '../dom.ts'
import { sentences } from '../format.ts'
import type { ErrorInfo } from '../source.ts'

export function emptyState(title: string, text: string, ...actions: HTMLElement[]): HTMLElement {
  return h(
    'div',
    { class: 'empty' },
    h('span', { class: 'empty-line', 'aria-hidden': 'true' }),
    h('h2', {}, title),
    h('p', {}, text),
    ...actions,
  )
}

export function errorState(error: ErrorInfo, onRetry?: () => void): HTMLElement {
  const retry = onRetry ? [h('button', { type: 'button', onclick: onRetry }, 'Try again')] : []
  const element = emptyState(sentences(error.message), sentences(error.hint), ...retry)
  element.classList.add('is-error')
  element.setAttribute('role', 'alert')
  return element
}
