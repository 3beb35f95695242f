/** The list of keys, made from the table that runs them, so it cannot lie. */
import { fill, h } from '../dom.ts'
import type { Keyboard } from '../keyboard.ts'

export interface HelpDialog {
  element: HTMLDialogElement
  open(): void
}

export function helpDialog(keyboard: Keyboard): HelpDialog {
  const list = h('dl', { class: 'keys' })
  const close = h('button', { type: 'button', class: 'primary', onclick: () => element.close() }, 'Close')
  const element = h(
    'dialog',
    { class: 'dialog', 'aria-labelledby': 'help-title' },
    h('h2', { id: 'help-title' }, 'Keyboard'),
    list,
    close,
  )
  return {
    element,
    open() {
      fill(
        list,
        ...keyboard.list().map(({ keys, does }) => h('div', {}, h('dt', {}, ...keyCaps(keys)), h('dd', {}, does))),
      )
      element.showModal()
    },
  }
}

function keyCaps(keys: string): HTMLElement[] {
  return keys.split(' ').map((key) => h('kbd', {}, key))
}
