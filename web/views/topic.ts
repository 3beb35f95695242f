/** One topic: its records as a live list, from where one likes, with pause, detail and the partitions' lines. */
import { errorState } from '../components/empty-state.ts'
import { logRuler } from '../components/log-ruler.ts'
import { recordDetail } from '../components/record-detail.ts'
import { recordRows } from '../components/record-rows.ts'
import { seekForm } from '../components/seek-form.ts'
import { fill, h, setText } from '../dom.ts'
import { errorInfo } from '../errors.ts'
import { plural, rate } from '../format.ts'
import { linkTo } from '../router.ts'
import type { ReadFrom } from '../source.ts'
import type { App } from '../state.ts'
import { createTail, type Tail } from '../tail.ts'

const REFRESH_MS = 1000

export function topicView(app: App, name: string, until: AbortSignal): HTMLElement {
  const detail = recordDetail()
  const rows = recordRows(detail.open, until)
  const lines = h('div', { class: 'topic-lines' })
  const trouble = h('div', {})
  const facts = h('span', { class: 'soft num', role: 'status' })
  const keep = h('button', { type: 'button', hidden: true, onclick: () => void keepTopic() }, 'Keep on this device')
  const pause = h('button', { type: 'button', 'aria-pressed': 'false', onclick: () => toggle() }, 'Pause')
  let tail: Tail = createTail(rows.add)
  let reading = new AbortController()

  const read = (from: ReadFrom, partition?: number) => {
    reading.abort()
    reading = new AbortController()
    rows.clear()
    trouble.replaceChildren()
    tail = createTail(rows.add)
    const signal = AbortSignal.any([reading.signal, until])
    tail.run(app.source.read(name, { from, partition, follow: true, signal })).catch((error: unknown) => {
      if (!signal.aborted)
        fill(
          trouble,
          errorState(errorInfo(error), () => read(from, partition)),
        )
    })
  }
  const toggle = () => {
    tail.setPaused(!tail.paused)
    show()
  }
  const show = () => {
    pause.setAttribute('aria-pressed', String(tail.paused))
    setText(pause, tail.paused ? `Go on${tail.waiting > 0 ? ` (${plural(tail.waiting, 'new record')})` : ''}` : 'Pause')
    setText(
      facts,
      `${plural(rows.length, 'row')}, ${rate(tail.rate())} a second${tail.missed > 0 ? `, ${plural(tail.missed, 'older row')} let go` : ''}`,
    )
  }
  const keepTopic = async () => {
    try {
      await app.source.keep(name)
      app.notify(`${name} is kept on this device from now on.`)
    } catch (error) {
      app.notify(errorInfo(error).message, 'error')
    }
    await refresh()
  }
  const refresh = async () => {
    const found = await app.source.topics().catch(() => null)
    const topic = found?.topics.find((each) => each.name === name)
    if (!topic || until.aborted) return
    fill(lines, ...topic.partitions.map(logRuler))
    keep.hidden = topic.partitions.some(({ replica }) => replica !== null)
  }
  const timers = [setInterval(show, 250), setInterval(() => void refresh(), REFRESH_MS)]
  until.addEventListener('abort', () => timers.forEach(clearInterval))
  app.keyboard.add(
    [
      { keys: 'Space', does: 'Pause or go on', run: toggle },
      { keys: 'j', does: 'Next record', run: () => rows.move(1) },
      { keys: 'k', does: 'Previous record', run: () => rows.move(-1) },
      { keys: 'Enter', does: 'Open the record', run: () => rows.openChosen() },
    ],
    until,
  )
  void refresh()
  read({ last: 200 })
  return h(
    'div',
    { class: 'page topic-page' },
    h(
      'div',
      { class: 'page-head' },
      h('h1', {}, h('a', { href: linkTo('topics'), class: 'crumb' }, 'Topics'), ' ', name),
      keep,
      h('a', { class: 'button', href: `${linkTo('write')}?topic=${encodeURIComponent(name)}` }, 'Write here'),
    ),
    lines,
    h('div', { class: 'toolbar' }, seekForm(read), pause, facts),
    trouble,
    rows.element,
    detail.element,
  )
}
