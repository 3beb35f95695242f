/** Everything around the map that is text: the headline, the legend, the rankings, and the notice of what is missing. */
import { h, setText } from '../dom.ts'
import { ago, count, plural, rate, sentences, share, time } from '../format.ts'
import type { Airports } from '../live/airports.ts'
import { DELAY_CLASSES } from '../live/flight.ts'
import type { Feed } from '../live/flight-feed.ts'
import type { FlightLog } from '../live/flight-log.ts'
import type { PlayMode } from '../live/playhead.ts'
import { routeEnds, type Tally } from '../live/tally.ts'
import type { Status } from '../source.ts'
import { topList } from './top-list.ts'

const TOP = 6
const STALE_MS = 10_000

export interface Moment {
  feed: Feed
  log: FlightLog
  tally: Tally
  sampling: number
  status: Status
  mode: PlayMode
}

export interface LiveNumbers {
  headline: HTMLElement
  legend: HTMLElement
  routes: HTMLElement
  origins: HTMLElement
  show(moment: Moment): void
}

export function createLiveNumbers(airports: Airports): LiveNumbers {
  const big = h('strong', { class: 'headline-number num' }, '–')
  const unit = h('span', { class: 'headline-unit' }, 'flights a second')
  const held = h('span', { class: 'num' })
  const late = h('span', { class: 'num' })
  const age = h('span', { class: 'num' })
  const notice = h('p', { class: 'live-notice', role: 'status' })
  const routes = topList('Busiest routes', TOP)
  const origins = topList('Busiest airports', TOP)
  return {
    headline: h('div', { class: 'headline' }, big, unit, h('p', { class: 'headline-facts' }, held, late, age), notice),
    legend: legend(),
    routes: routes.element,
    origins: origins.element,
    show({ feed, log, tally, sampling, status, mode }) {
      setText(big, rate(feed.rate(performance.now())))
      setText(held, `${plural(log.end - log.first, 'flight')} on this device`)
      setText(late, tally.size === 0 ? '' : `${share(tally.lateShare)} over 15 min late`)
      setText(age, dataAge(feed, status))
      setText(notice, noticeFor(feed, log, status, sampling, mode))
      routes.show(
        tally.topRoutes(TOP).map(({ key, ...sums }) => {
          const [from, to] = routeEnds(key)
          return {
            ...sums,
            name: `${airports.code(from)} → ${airports.code(to)}`,
            detail: `${airports.place(from)} to ${airports.place(to)}`,
          }
        }),
      )
      origins.show(
        tally.topAirports(TOP).map(({ key, ...sums }) => ({
          ...sums,
          name: `${airports.code(key)}  ${airports.place(key)}`,
          detail: airports.place(key),
        })),
      )
    },
  }
}

// Live data needs no age; data that stands still says since when.
function dataAge(feed: Feed, status: Status): string {
  if (feed.newestMs === null) return ''
  const ageMs = Date.now() + (status.clockOffsetMs ?? 0) - feed.newestMs
  if (status.state === 'live' && ageMs < STALE_MS) return ''
  // Topics may carry the data's own times, long past; an age is told only of what was recorded lately.
  return ageMs < 400 * 86_400_000 ? `newest ${time(feed.newestMs)}, ${ago(ageMs)}` : ''
}

function noticeFor(feed: Feed, log: FlightLog, status: Status, sampling: number, mode: PlayMode): string {
  if (feed.error) return sentences(feed.error.message, feed.error.hint)
  if (log.end === 0 && feed.skipped > 0)
    return `${plural(feed.skipped, 'record')} in this topic, but none is a flight with two airports.`
  if (log.end === 0)
    return status.state === 'offline'
      ? 'Offline, and no flights are kept on this device yet.'
      : 'Waiting for the first flight …'
  if (status.state === 'offline') return 'Offline: this is what your device holds. The strip below replays it.'
  if (mode === 'live' && sampling > 1) return `Drawing one flight in ${count(sampling)}; the numbers count all.`
  return ''
}

function legend(): HTMLElement {
  return h(
    'ul',
    { class: 'legend', 'aria-label': 'Colours' },
    ...DELAY_CLASSES.map(({ name }, index) => h('li', {}, h('span', { class: 'swatch', 'data-delay': index }), name)),
  )
}
