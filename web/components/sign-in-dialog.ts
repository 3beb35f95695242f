/**
 * Signing in, where the relay asks for it. What is typed goes to the client's worker and stays in memory there; the fields are
 * emptied once they were taken.
 */
import type { Credentials } from '../../client/sign-in/credentials.ts'
import { fill, h } from '../dom.ts'
import { errorInfo } from '../errors.ts'
import { sentences } from '../format.ts'
import type { Source } from '../source.ts'

const MECHANISMS = [
  ['SCRAM-SHA-256', 'SCRAM-SHA-256: it stays here'],
  ['SCRAM-SHA-512', 'SCRAM-SHA-512: it stays here'],
  ['PLAIN', 'PLAIN: it is sent'],
] as const

/** Opens it; does nothing while it is open. */
export type OpenSignIn = () => void

export function signInDialog(source: Pick<Source, 'signIn' | 'owner'>): { element: HTMLElement; open: OpenSignIn } {
  const field = (name: string, type: string, autocomplete: string, label: string) => {
    const input = h('input', { name, type, autocomplete, autocapitalize: 'none', spellcheck: 'false' })
    return h('label', { class: 'field' }, h('span', {}, label), input)
  }
  const mechanism = h(
    'select',
    { name: 'mechanism' },
    ...MECHANISMS.map(([value, text]) => h('option', { value }, text)),
  )
  const byPassword = h(
    'div',
    { class: 'field-stack' },
    field('username', 'text', 'username', 'User'),
    field('password', 'password', 'current-password', 'Password'),
    h('label', { class: 'field' }, h('span', {}, 'How'), mechanism),
  )
  const byToken = h('div', { class: 'field-stack', hidden: true }, field('token', 'password', 'off', 'Token (JWT)'))
  const kind = (value: string, text: string, isChosen: boolean) =>
    h('label', { class: 'choice' }, h('input', { type: 'radio', name: 'kind', value, checked: isChosen }), text)
  const error = h('p', { class: 'form-error', role: 'alert' })
  const submit = h('button', { class: 'primary', type: 'submit' }, 'Sign in')
  const form = h(
    'form',
    { class: 'field-stack' },
    h(
      'fieldset',
      { class: 'choices' },
      h('legend', { class: 'visually-hidden' }, 'Sign in with'),
      kind('password', 'Password', true),
      kind('token', 'Token', false),
    ),
    byPassword,
    byToken,
    error,
    h(
      'p',
      { class: 'soft small' },
      'Password and token stay in memory until you sign out or the last tab of this page is closed. Your name is remembered on this device, so that what one has written is never sent as another.',
    ),
    h(
      'div',
      { class: 'dialog-actions' },
      h('button', { type: 'button', onclick: () => dialog.close() }, 'Not now'),
      submit,
    ),
  )
  const why = h('p', { class: 'soft' })
  const dialog = h(
    'dialog',
    { class: 'dialog sign-in', 'aria-labelledby': 'sign-in-title' },
    h('h2', { id: 'sign-in-title' }, 'Sign in'),
    why,
    form,
  )
  const input = (name: string) => form.elements.namedItem(name) as HTMLInputElement
  const isToken = () => (form.elements.namedItem('kind') as RadioNodeList).value === 'token'
  const show = () => {
    byPassword.hidden = isToken()
    byToken.hidden = !isToken()
  }
  const say = (text: string) => fill(error, text)
  const typed = (): Credentials =>
    isToken()
      ? { token: input('token').value.trim() }
      : {
          username: input('username').value.trim(),
          password: input('password').value,
          mechanism: mechanism.value as (typeof MECHANISMS)[number][0],
        }
  form.addEventListener('change', show)
  form.addEventListener('submit', async (event) => {
    event.preventDefault()
    submit.disabled = true
    submit.textContent = 'Signing in …'
    say('')
    try {
      await source.signIn(typed())
      dialog.close()
    } catch (failure) {
      const { message, hint, code } = errorInfo(failure)
      say(code === 'NEEDS_AUTH' ? sentences(message) : sentences(message, hint))
    } finally {
      submit.disabled = false
      submit.textContent = 'Sign in'
    }
  })
  dialog.addEventListener('close', () => {
    for (const name of ['password', 'token']) input(name).value = ''
    say('')
  })
  return {
    element: dialog,
    open() {
      if (dialog.open) return
      const owner = source.owner()
      fill(why, owner === null ? 'This relay asks who you are.' : `${owner} is not signed in any more.`)
      if (input('username').value === '') input('username').value = owner ?? ''
      show()
      dialog.showModal()
      input(owner === null ? 'username' : 'password').focus()
    },
  }
}
