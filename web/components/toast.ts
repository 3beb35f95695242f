/** Short messages at the foot of the page. Information leaves by itself; errors and questions wait for a person. */
import { h } from '../dom.ts'

const SHOWN_MS = 5000
const SHOWN_AT_MOST = 4

export interface Toasts {
  element: HTMLElement
  notify(message: string, kind?: 'info' | 'error'): void
  /** Asks; the answer runs `onYes`, anything else only takes the question away. */
  ask(message: string, yes: string, onYes: () => void): void
}

export function createToasts(): Toasts {
  const element = h('div', { class: 'toasts', role: 'region', 'aria-label': 'Messages', 'aria-live': 'polite' })
  const add = (toast: HTMLElement) => {
    while (element.childElementCount >= SHOWN_AT_MOST) element.firstElementChild?.remove()
    element.append(toast)
  }
  return {
    element,
    notify(message, kind = 'info') {
      const toast = h(
        'div',
        { class: `toast is-${kind}` },
        h('span', {}, message),
        closeButton(() => toast.remove()),
      )
      add(toast)
      if (kind === 'info') setTimeout(() => toast.remove(), SHOWN_MS)
    },
    ask(message, yes, onYes) {
      const answer = () => {
        toast.remove()
        onYes()
      }
      const toast = h(
        'div',
        { class: 'toast is-question' },
        h('span', {}, message),
        h('button', { type: 'button', class: 'primary', onclick: answer }, yes),
        closeButton(() => toast.remove(), 'Later'),
      )
      add(toast)
    },
  }
}

function closeButton(onClose: () => void, text = 'Dismiss'): HTMLElement {
  return h('button', { type: 'button', class: 'quiet', onclick: onClose }, text)
}
