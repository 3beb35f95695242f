/** Pairs of inputs for a record's headers; as many as wanted. */
import { h } from '../dom.ts'

export interface HeaderFields {
  element: HTMLElement
  read(): { key: string; value: string }[]
  write(headers: readonly { key: string; value: string }[]): void
}

export function headerFields(onChange: () => void): HeaderFields {
  const list = h('div', { class: 'header-list' })
  const add = h('button', { type: 'button', class: 'quiet', onclick: () => addRow('', '').focus() }, 'Add a header')
  const element = h('fieldset', { class: 'field' }, h('legend', {}, 'Headers'), list, add)
  element.addEventListener('input', onChange)

  const addRow = (key: string, value: string): HTMLInputElement => {
    const name = h('input', { value: key, placeholder: 'name', 'aria-label': 'Header name' })
    const remove = () => {
      row.remove()
      onChange()
      add.focus()
    }
    const row = h(
      'div',
      { class: 'header-row' },
      name,
      h('input', { value, placeholder: 'value', 'aria-label': 'Header value' }),
      h('button', { type: 'button', class: 'quiet', 'aria-label': 'Remove this header', onclick: remove }, '×'),
    )
    list.append(row)
    return name
  }
  return {
    element,
    read: () =>
      [...list.children]
        .map((row) => {
          const [key, value] = row.querySelectorAll('input')
          return { key: key?.value.trim() ?? '', value: value?.value ?? '' }
        })
        .filter(({ key }) => key !== ''),
    write(headers) {
      list.replaceChildren()
      for (const { key, value } of headers) addRow(key, value)
    },
  }
}
