/** The outbox: how much waits, how it drains, and the entries that stand still until a person decides. */
import { confirmDialog } from '../components/confirm-dialog.ts'
import { emptyState, errorState } from '../components/empty-state.ts'
import { outboxEntry } from '../components/outbox-entry.ts'
import { outboxFileButtons } from '../components/outbox-file-buttons.ts'
import { fill, h, refill, setText } from '../dom.ts'
import { errorInfo } from '../errors.ts'
import { ago, bytes, count, plural } from '../format.ts'
import { linkTo } from '../router.ts'
import type { OutboxEntry } from '../source.ts'
import type { App } from '../state.ts'

const REFRESH_MS = 500
const SHOWN_AT_MOST = 200

export function outboxView(app: App, until: AbortSignal): HTMLElement {
  const depth = h('strong', { class: 'headline-number num' })
  const unit = h('span', { class: 'headline-unit' })
  const facts = h('p', { class: 'soft num' })
  const drain = h('progress', { max: 1, value: 0, 'aria-label': 'Sent since the outbox was last empty' })
  const list = h('ol', { class: 'entries' })
  const empty = emptyState(
    'The outbox is empty',
    'All that was written here is in the log.',
    h('a', { class: 'button', href: linkTo('write') }, 'Write something'),
  )
  let highest = 0

  const refresh = async () => {
    try {
      const entries = await app.source.outbox.list()
      if (!until.aborted) showEntries(entries)
    } catch (error) {
      if (!until.aborted)
        fill(
          list,
          errorState(errorInfo(error), () => void refresh()),
        )
    }
  }
  const showEntries = (entries: OutboxEntry[]) => {
    const oldestMs = entries.reduce((oldest, each) => Math.min(oldest, each.storedAtMs), Number.POSITIVE_INFINITY)
    empty.hidden = entries.length > 0
    refill(
      list,
      ...entries.slice(0, SHOWN_AT_MOST).map((entry) => outboxEntry(entry, actions)),
      entries.length > SHOWN_AT_MOST && h('li', { class: 'soft' }, `and ${count(entries.length - SHOWN_AT_MOST)} more`),
    )
    const { outbox } = app.status.get()
    const parked = outbox.parkedEntries > 0 ? `, ${plural(outbox.parkedEntries, 'entry', 'entries')} parked` : ''
    setText(
      facts,
      entries.length === 0
        ? ''
        : `${bytes(outbox.pendingBytes)} waiting, oldest ${ago(Date.now() - oldestMs)}${parked}`,
    )
  }
  const act = async (action: () => Promise<void>) => {
    try {
      await action()
    } catch (error) {
      app.notify(errorInfo(error).message, 'error')
    }
    await refresh()
  }
  const actions = {
    retry: (id: string) => void act(() => app.source.outbox.retry(id)),
    discard: (id: string) =>
      void act(async () => {
        if (
          await confirmDialog('Discard this write?', 'It is not in the log, and afterwards it is nowhere.', 'Discard')
        ) {
          await app.source.outbox.discard(id)
        }
      }),
  }
  app.status.watch(({ outbox }) => {
    highest = outbox.pendingRecords === 0 ? 0 : Math.max(highest, outbox.pendingRecords)
    setText(depth, count(outbox.pendingRecords))
    setText(unit, outbox.pendingRecords === 1 ? 'record to send' : 'records to send')
    drain.hidden = highest === 0
    drain.value = highest === 0 ? 0 : 1 - outbox.pendingRecords / highest
    void refresh()
  }, until)
  const timer = setInterval(() => void refresh(), REFRESH_MS)
  until.addEventListener('abort', () => clearInterval(timer))
  return h(
    'div',
    { class: 'page' },
    h('div', { class: 'page-head' }, h('h1', {}, 'Outbox'), outboxFileButtons(app)),
    h('div', { class: 'headline is-static' }, depth, unit),
    facts,
    drain,
    empty,
    list,
  )
}
