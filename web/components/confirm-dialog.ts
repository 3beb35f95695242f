/** Asks before something that cannot be undone. Answers false when it is closed in any other way. */
import { h } from '../dom.ts'

export function confirmDialog(question: string, detail: string, yes: string): Promise<boolean> {
  const dialog = h(
    'dialog',
    { class: 'dialog', 'aria-labelledby': 'confirm-title' },
    h('h2', { id: 'confirm-title' }, question),
    h('p', {}, detail),
    h(
      'form',
      { method: 'dialog', class: 'dialog-actions' },
      h('button', { value: 'no', autofocus: true }, 'Keep it'),
      h('button', { value: 'yes', class: 'danger' }, yes),
    ),
  )
  document.body.append(dialog)
  dialog.showModal()
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => {
      dialog.remove()
      resolve(dialog.returnValue === 'yes')
    })
  })
}
