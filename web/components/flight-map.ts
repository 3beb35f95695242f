/** The map: two canvases in one box, a painter, and the frame loop that stops while the page is hidden. */
import { h } from '../dom.ts'
import type { Airports } from '../live/airports.ts'
import { createLayer } from '../live/canvas.ts'
import type { FlightLog } from '../live/flight-log.ts'
import { FlightPainter } from '../live/flight-painter.ts'
import { readPalette } from '../live/palette.ts'
import type { Playhead } from '../live/playhead.ts'

/** What a frame showed; the numbers beside the map are drawn from it. */
export interface FrameInfo {
  elapsedMs: number
  /** One in how many flights is drawn. */
  sampling: number
  flying: number
}

export interface FlightMapOptions {
  airports: Airports
  log: FlightLog
  playhead: Playhead
  onFrame(info: FrameInfo): void
  until: AbortSignal
}

const FRAME_MS_MAX = 100
const STILL_EVERY_MS = 1000

export function flightMap(options: FlightMapOptions): HTMLElement {
  const ground = h('canvas', { class: 'map-layer', 'aria-hidden': 'true' })
  const sky = h('canvas', {
    class: 'map-layer',
    role: 'img',
    'aria-label': 'Flights moving over a map of the United States',
  })
  const box = h('div', { class: 'flight-map' }, ground, sky)
  const painter = new FlightPainter(
    createLayer(ground),
    createLayer(sky),
    options.airports,
    options.log,
    readPalette(document.documentElement),
  )
  const resizer = new ResizeObserver(() => painter.resize(box.clientWidth, box.clientHeight))
  resizer.observe(box)
  options.until.addEventListener('abort', () => resizer.disconnect())
  const repaint = () => painter.setPalette(readPalette(document.documentElement))
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', repaint, { signal: options.until })
  runFrames(painter, options)
  return box
}

function runFrames(painter: FlightPainter, { playhead, onFrame, until }: FlightMapOptions): void {
  const calm = matchMedia('(prefers-reduced-motion: reduce)')
  let lastMs = performance.now()
  let stillMs = 0
  const frame = (nowMs: number) => {
    if (until.aborted) return
    requestAnimationFrame(frame)
    // After a hidden tab or a debugger's stop the first frame is hours long; it counts as one short one.
    const elapsedMs = Math.min(FRAME_MS_MAX, Math.max(0, nowMs - lastMs))
    lastMs = nowMs
    const due = playhead.advance(elapsedMs)
    if (due.jumped) painter.clearSky()
    const sampling = painter.launch(due.from, due.to)
    stillMs += elapsedMs
    if (!calm.matches) painter.frame(playhead.mode === 'paused' ? 0 : elapsedMs)
    else if (stillMs >= STILL_EVERY_MS) {
      stillMs = 0
      painter.still()
    }
    onFrame({ elapsedMs, sampling, flying: painter.flying })
  }
  requestAnimationFrame(frame)
}
