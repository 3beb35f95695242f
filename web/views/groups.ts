/** Consumer groups as they are now: state, members, and how far each is behind in each partition that it reads. */
import { emptyState, errorState } from '../components/empty-state.ts'
import { lagRuler } from '../components/lag-ruler.ts'
import { fill, h, refill } from '../dom.ts'
import { errorInfo } from '../errors.ts'
import { plural } from '../format.ts'
import type { GroupLag, GroupMember, GroupSummary } from '../source.ts'
import type { App } from '../state.ts'

const REFRESH_MS = 2000

export function groupsView(app: App, until: AbortSignal): HTMLElement {
  const filter = h('input', { type: 'search', placeholder: 'Filter groups', 'aria-label': 'Filter groups' })
  const list = h('div', { class: 'topic-list', 'aria-busy': 'true' })
  const note = h('p', { class: 'soft' })
  let last: GroupSummary[] | null = null

  const draw = () => {
    if (!last) return
    const wanted = filter.value.trim().toLowerCase()
    const found = last.filter(({ groupId }) => groupId.toLowerCase().includes(wanted))
    if (found.length > 0) refill(list, ...found.map(groupCard))
    else if (wanted) fill(list, emptyState('Nothing matches', `No group's name contains “${filter.value.trim()}”.`))
    else fill(list, emptyState('No groups yet', 'A group appears here when a consumer joins it, or commits for it.'))
  }
  const refresh = async () => {
    try {
      last = await app.source.groups()
      note.textContent = ''
      if (!until.aborted) draw()
    } catch (error) {
      if (until.aborted) return
      if (last) note.textContent = 'Offline: this is how the groups were.'
      else
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
  app.keyboard.add([{ keys: '/', does: 'Filter groups', run: () => filter.focus() }], until)
  void refresh()
  return h('div', { class: 'page' }, h('div', { class: 'page-head' }, h('h1', {}, 'Groups'), filter), note, list)
}

function groupCard({ groupId, state, members, lag }: GroupSummary): HTMLElement {
  const unread = lag.filter(({ memberId }) => memberId === null)
  const facts = [state, plural(members.length, 'member'), behind(lag)]
  return h(
    'section',
    { class: 'topic-card' },
    h(
      'div',
      { class: 'topic-head' },
      h('h2', { class: 'group-name' }, groupId),
      h('p', { class: 'soft num' }, facts.join(', ')),
    ),
    ...members.map((member) =>
      lagOfOne(
        memberTitle(member),
        lag.filter(({ memberId }) => memberId === member.memberId),
      ),
    ),
    unread.length > 0 && lagOfOne('Read by nobody now', unread),
  )
}

function lagOfOne(title: string, lag: readonly GroupLag[]): HTMLElement {
  return h(
    'div',
    { class: 'group-member' },
    h('h3', {}, title, h('span', { class: 'num' }, lag.length === 0 ? 'reads nothing' : behind(lag))),
    ...lag.map(lagRuler),
  )
}

const memberTitle = ({ clientId, host, instanceId }: GroupMember): string =>
  `${instanceId ?? (clientId || 'member')} on ${host}`

/** Partitions without a commit count for nothing: where the group will begin is not known. */
function behind(lag: readonly GroupLag[]): string {
  const sum = lag.reduce((total, each) => total + (each.lag ?? 0), 0)
  return sum === 0 ? 'nothing left to read' : `${plural(sum, 'record')} behind`
}
