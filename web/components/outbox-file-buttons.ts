/** The outbox into a file, and a file into the outbox: the form is the client's own, so any application of it reads it. */
import { h } from '../dom.ts'
import { errorInfo } from '../errors.ts'
import { plural } from '../format.ts'
import type { App } from '../state.ts'

const FILE_NAME = 'ottla-outbox.jsonl'
const REVOKE_AFTER_MS = 10_000

export function outboxFileButtons(app: App): HTMLElement {
  const trying = (action: () => Promise<void>) => () =>
    void action().catch((error: unknown) => app.notify(errorInfo(error).message, 'error'))
  const chosen = h('input', { type: 'file', hidden: true, 'aria-label': 'File of an outbox' })
  const takeIn = trying(async () => {
    const [file] = chosen.files ?? []
    chosen.value = ''
    if (!file) return
    const { imported, known, doubtful } = await app.source.outbox.import(file)
    const left = [known > 0 && `${known} known already`, doubtful > 0 && `${doubtful} that may be in the log left out`]
    app.notify([plural(imported, 'write'), 'taken in', ...left.filter(Boolean).map((each) => `· ${each}`)].join(' '))
  })
  chosen.addEventListener('change', takeIn)
  return h(
    'div',
    { class: 'button-row' },
    h('button', { type: 'button', onclick: trying(async () => save(await app.source.outbox.export())) }, 'Export'),
    h('button', { type: 'button', onclick: () => chosen.click() }, 'Import'),
    chosen,
  )
}

function save(file: Blob): void {
  const address = URL.createObjectURL(file)
  h('a', { href: address, download: FILE_NAME }).click()
  setTimeout(() => URL.revokeObjectURL(address), REVOKE_AFTER_MS)
}
