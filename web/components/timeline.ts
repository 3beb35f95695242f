/**
 * The strip under the map: every flight that this browser holds, as columns by delay, with the playhead on it.
 *
 * A range input lies over the drawing: it is the control for pointer, keyboard and screen readers alike.
 * Column height is flights an hour of the data's own time, so day and night show.
 */
import { h, listen, setText } from '../dom.ts'
import { dayAndMinute } from '../format.ts'
import { createLayer, fitLayer, type Layer } from '../live/canvas.ts'
import { DELAY_CLASSES } from '../live/flight.ts'
import { BLOCK, type FlightLog } from '../live/flight-log.ts'
import { type Palette, readPalette } from '../live/palette.ts'

const COLUMN_PX = 3
const SPAN_MS_MIN = 60_000

export interface Timeline {
  element: HTMLElement
  /** Draws anew; cheap enough for four times a second. */
  draw(playhead: number, live: boolean): void
}

export function timeline(log: FlightLog, onSeek: (sequence: number) => void, until: AbortSignal): Timeline {
  const canvas = h('canvas', { 'aria-hidden': 'true' })
  const input = h('input', {
    type: 'range',
    class: 'scrubber',
    min: 0,
    max: 0,
    step: BLOCK,
    'aria-label': 'Moment shown',
  })
  const from = h('span')
  const now = h('output', { class: 'timeline-now' })
  const to = h('span')
  const labels = h('div', { class: 'timeline-labels num' }, from, now, to)
  const element = h('div', { class: 'timeline' }, h('div', { class: 'timeline-strip' }, canvas, input), labels)
  const layer = createLayer(canvas)
  let palette = readPalette(document.documentElement)
  const dark = matchMedia('(prefers-color-scheme: dark)')
  dark.addEventListener(
    'change',
    () => {
      palette = readPalette(document.documentElement)
    },
    { signal: until },
  )
  listen(input, 'input', () => onSeek(Number(input.value)), until)

  return {
    element,
    draw(playhead, live) {
      fitLayer(layer, canvas.clientWidth, canvas.clientHeight)
      drawColumns(layer, log, palette)
      drawPlayhead(layer, log, palette, live ? log.end : playhead)
      input.min = String(log.first)
      input.max = String(log.end)
      if (document.activeElement !== input || live) input.value = String(live ? log.end : playhead)
      const shown =
        log.end === 0 ? 'no flights yet' : dayAndMinute(localFromUtc(log.timeAt(live ? log.end - 1 : playhead)))
      setText(now, shown)
      input.setAttribute('aria-valuetext', live ? `live, ${shown}` : shown)
      setText(from, log.end === 0 ? '' : shortDate(log.timeAt(log.first)))
      setText(to, log.end === 0 ? '' : live ? 'live' : shortDate(log.timeAt(log.end - 1)))
    },
  }
}

function drawColumns(layer: Layer, log: FlightLog, palette: Palette): void {
  const { context, width, height } = layer
  context.clearRect(0, 0, width, height)
  const columns = Math.max(1, Math.floor(width / COLUMN_PX))
  const perColumn = (log.end - log.first) / columns
  if (perColumn <= 0) return
  const classes = Array.from({ length: columns }, () => new Float64Array(DELAY_CLASSES.length))
  const rates = new Float64Array(columns)
  // Fewer blocks than columns: neighbours share a block, and the strip shows steps instead of gaps.
  for (let i = 0; i < columns; i++) {
    const start = Math.floor((log.first + i * perColumn) / BLOCK) * BLOCK
    const end = Math.max(start + BLOCK, Math.ceil((log.first + (i + 1) * perColumn) / BLOCK) * BLOCK)
    log.countClasses(start, end, classes[i]!)
    const spanMs = Math.abs(log.timeAt(Math.min(end, log.end) - 1) - log.timeAt(start))
    rates[i] = classes[i]!.reduce((sum, each) => sum + each, 0) / Math.max(SPAN_MS_MIN, spanMs)
  }
  const tallest = highPercentile(rates)
  for (let i = 0; i < columns; i++)
    drawColumn(layer, i, classes[i]!, Math.min(1, (rates[i] ?? 0) / tallest) * (height - 4), palette)
}

function drawColumn(layer: Layer, index: number, classes: Float64Array, heightPx: number, palette: Palette): void {
  const total = classes.reduce((sum, each) => sum + each, 0)
  if (total === 0) return
  let bottom = layer.height
  classes.forEach((each, delay) => {
    const part = (each / total) * Math.max(2, heightPx)
    layer.context.fillStyle = palette.delays[delay] ?? palette.ink
    layer.context.fillRect(index * COLUMN_PX, bottom - part, COLUMN_PX - 1, part)
    bottom -= part
  })
}

function drawPlayhead(layer: Layer, log: FlightLog, palette: Palette, sequence: number): void {
  const held = log.end - log.first
  if (held <= 0) return
  const x = ((sequence - log.first) / held) * (layer.width - 2)
  layer.context.fillStyle = palette.ink
  layer.context.fillRect(x, 0, 2, layer.height)
}

// One wild column (a pause in the data) must not flatten all others.
function highPercentile(values: Float64Array): number {
  const sorted = [...values].sort((a, b) => a - b)
  return Math.max(1e-12, sorted[Math.floor(sorted.length * 0.97)] ?? 1e-12)
}

// The data's times are wall-clock times of some airport; they are shown as written, in no zone.
function localFromUtc(ms: number): number {
  return ms + new Date(ms).getTimezoneOffset() * 60_000
}

const shortDate = (ms: number): string =>
  new Date(ms).toLocaleDateString(undefined, { day: 'numeric', month: 'short', year: 'numeric', timeZone: 'UTC' })
