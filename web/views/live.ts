/** The live screen: the map, what it shows in numbers, and the strip to go back in time with. */

import airportsUrl from 'virtual:airports-url'
import { emptyState } from '../components/empty-state.ts'
import { flightMap } from '../components/flight-map.ts'
import { createLiveNumbers } from '../components/live-numbers.ts'
import { playControls } from '../components/play-controls.ts'
import { timeline } from '../components/timeline.ts'
import { fill, h } from '../dom.ts'
import { errorInfo } from '../errors.ts'
import { type Airports, loadAirports } from '../live/airports.ts'
import { startFeed } from '../live/flight-feed.ts'
import { FlightLog } from '../live/flight-log.ts'
import { Playhead } from '../live/playhead.ts'
import { Tally } from '../live/tally.ts'
import type { App } from '../state.ts'

const NUMBERS_EVERY_MS = 250
export const FLIGHTS_TOPIC = 'flights'

export function liveView(app: App, until: AbortSignal): HTMLElement {
  const screen = h('div', { class: 'live' }, h('h1', { class: 'visually-hidden' }, 'Live flights'))
  loadAirports(airportsUrl).then(
    (airports) => !until.aborted && showFlights(screen, app, airports, until),
    (error: unknown) => fill(screen, emptyState('The map could not be loaded', errorInfo(error).message)),
  )
  return screen
}

function showFlights(screen: HTMLElement, app: App, airports: Airports, until: AbortSignal): void {
  const log = new FlightLog(airports)
  const playhead = new Playhead(log)
  const tally = new Tally(log)
  const feed = startFeed(app.source, FLIGHTS_TOPIC, log, until)
  const numbers = createLiveNumbers(airports)
  const strip = timeline(
    log,
    (sequence) => {
      playhead.mode = 'paused'
      playhead.seek(sequence)
    },
    until,
  )
  const controls = playControls(playhead, app.keyboard, until)
  let sinceNumbersMs = NUMBERS_EVERY_MS

  const map = flightMap({
    airports,
    log,
    playhead,
    until,
    onFrame({ elapsedMs, sampling }) {
      sinceNumbersMs += elapsedMs
      if (sinceNumbersMs < NUMBERS_EVERY_MS) return
      sinceNumbersMs = 0
      tally.moveTo(playhead.sequence)
      numbers.show({ feed, log, tally, sampling, status: app.status.get(), mode: playhead.mode })
      strip.draw(playhead.sequence, playhead.mode === 'live')
      controls.show()
    },
  })
  fill(
    screen,
    h('h1', { class: 'visually-hidden' }, 'Live flights'),
    numbers.headline,
    h('div', { class: 'live-stage' }, map, numbers.legend),
    h('aside', { class: 'live-side', 'aria-label': 'Rankings' }, numbers.routes, numbers.origins),
    h('div', { class: 'live-time' }, controls.element, strip.element),
  )
}
