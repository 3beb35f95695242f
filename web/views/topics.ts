/** All topics: partitions, the relay's range of each and what this device holds of it. */
import { emptyState, errorState } from '../components/empty-state.ts'
import { logRuler } from '../components/log-ruler.ts'
import { fill, h, refill } from '../dom.ts'
import { errorInfo } from '../errors.ts'
import { count, plural } from '../format.ts'
import { linkTo } from '../router.ts'
import type { TopicList, TopicSummary } from '../source.ts'
import type { App } from '../state.ts'

const REFRESH_MS = 2000

export function topicsView(app: App, until: AbortSignal): HTMLElement {
  const filter = h('input', { type: 'search', placeholder: 'Filter topics', 'aria-label': 'Filter topics' })
  const list = h('div', { class: 'topic-list', 'aria-busy': 'true' })
  const note = h('p', { class: 'soft' })
  let last: TopicList | null = null

  const draw = () => {
    if (!last) return
    const wanted = filter.value.trim().toLowerCase()
    const found = last.topics.filter((topic) => topic.name.toLowerCase().includes(wanted))
    note.textContent = last.fromRelay ? '' : 'Offline: these are the topics that this device knows.'
    if (found.length > 0) refill(list, ...found.map(topicCard))
    else if (wanted) fill(list, emptyState('Nothing matches', `No topic's name contains “${filter.value.trim()}”.`))
    else fill(list, emptyState('No topics yet', 'A topic appears here when something is written to it.', writeLink()))
  }
  const refresh = async () => {
    try {
      last = await app.source.topics()
      if (!until.aborted) draw()
    } catch (error) {
      if (!until.aborted && !last)
        fill(
          list,
          errorState(errorInfo(error), () => void refresh()),
        )
    }
    list.removeAttribute('aria-busy')
  }
  filter.addEventListener('input', draw)
  const timer = setInterval(() => void refresh(), REFRESH_MS)
  until.addEventListener('abort', () => clearInterval(timer))
  app.keyboard.add([{ keys: '/', does: 'Filter topics', run: () => filter.focus() }], until)
  void refresh()
  return h('div', { class: 'page' }, h('div', { class: 'page-head' }, h('h1', {}, 'Topics'), filter), note, list)
}

function topicCard(topic: TopicSummary): HTMLElement {
  const inLog = topic.partitions.reduce((sum, { log }) => sum + (log ? log.end - log.start : 0), 0)
  const here = topic.partitions.reduce((sum, { replica }) => sum + (replica ? replica.end - replica.start : 0), 0)
  return h(
    'section',
    { class: 'topic-card' },
    h(
      'div',
      { class: 'topic-head' },
      h('h2', {}, h('a', { href: linkTo('topics', topic.name), 'data-key': topic.name }, topic.name)),
      h(
        'p',
        { class: 'soft num' },
        `${plural(inLog, 'record')} in the log, ${here === 0 ? 'none' : count(here)} on this device`,
      ),
    ),
    ...topic.partitions.map(logRuler),
  )
}

function writeLink(): HTMLElement {
  return h('a', { class: 'button', href: linkTo('write') }, 'Write a first record')
}
