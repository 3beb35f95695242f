/** Draws what the worker tells: the chart in each frame, so that it glides; numbers with each snapshot. */
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import type { Snapshot } from './aggregate.ts'
import { Frames } from './frames.ts'
import { SITES, WINDOW_MS } from './readings.ts'

const CHART_HEIGHT = 320
const NUMBERS_EVERY_MS = 500
/** Behind the newest, so that the right edge is complete. */
const BEHIND_MS = 700

const element = (id: string) => document.querySelector<HTMLElement>(`#${id}`)!
const chart = element('chart')
const number = new Intl.NumberFormat()
const kilowatts = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1, minimumFractionDigits: 1 })
const time = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' })
const isStill = matchMedia('(prefers-reduced-motion: reduce)')

const rows = SITES.map((site) => {
  const row = document.createElement('tr')
  const head = Object.assign(document.createElement('th'), {
    scope: 'row',
    textContent: site,
    className: `site-${site}`,
  })
  const cells = Array.from({ length: 4 }, () => document.createElement('td'))
  row.append(head, ...cells)
  element('sites').append(row)
  return cells
})

const colourOf = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name)

const plot = new uPlot(
  {
    width: chart.clientWidth,
    height: CHART_HEIGHT,
    cursor: { show: false },
    legend: { show: false },
    scales: {
      x: { time: true, auto: false },
      y: { range: (_plot, low, high) => [Math.min(0, low ?? 0), (high ?? 1) * 1.1] },
    },
    axes: [{ ...axis(), space: 90, values: (_plot, splits) => splits.map((at) => time.format(at * 1000)) }, axis()],
    series: [{}, ...SITES.map((site) => ({ label: site, width: 2, stroke: () => colourOf(`--${site}`) }))],
  },
  [[], ...SITES.map(() => [])],
  chart,
)
new ResizeObserver(() => plot.setSize({ width: chart.clientWidth, height: CHART_HEIGHT })).observe(chart)

const worker = new Worker(new URL('./reader.ts', import.meta.url), { type: 'module' })
const frames = new Frames()
let newest: Snapshot | undefined
let isNew = false
let numbers = { atMs: 0, total: 0 }

worker.addEventListener('message', ({ data }: MessageEvent<Snapshot>) => {
  newest = data
  isNew = true
})
worker.addEventListener('error', ({ message }) => {
  element('error').textContent = `The reader has failed: ${message}. Load this page again.`
})
requestAnimationFrame(draw)

function draw(nowMs: number): void {
  requestAnimationFrame(draw)
  frames.tick(nowMs)
  if (newest && (isNew || !isStill.matches)) drawChart(newest)
  if (newest && nowMs - numbers.atMs >= NUMBERS_EVERY_MS) drawNumbers(newest, nowMs)
}

function drawChart({ times, series }: Snapshot): void {
  const right = (Date.now() - BEHIND_MS) / 1000
  plot.batch(() => {
    if (isNew) plot.setData([times, ...series.map(gaps)] as uPlot.AlignedData, false)
    plot.setScale('x', { min: right - WINDOW_MS / 1000, max: right })
  })
  isNew = false
}

/** uPlot draws no line through null. */
const gaps = (values: Float64Array): Array<number | null> =>
  Array.from(values, (value) => (Number.isNaN(value) ? null : value))

function drawNumbers({ total, sites, series, state, error }: Snapshot, nowMs: number): void {
  const rate = numbers.atMs === 0 ? 0 : ((total - numbers.total) * 1000) / (nowMs - numbers.atMs)
  numbers = { atMs: nowMs, total }
  element('total').textContent = number.format(total)
  element('rate').textContent = number.format(Math.round(rate))
  element('frames').textContent = number.format(Math.round(frames.perSecond))
  element('longest').textContent = `${Math.round(frames.longestMs)} ms`
  element('error').textContent = error
  element('state').dataset.state = state
  element('state').textContent = { live: 'Live', offline: 'Offline', connecting: 'Connecting …' }[state] ?? state
  sites.forEach(({ count, least, most }, at) => {
    const now = series[at]!.findLast((value) => !Number.isNaN(value))
    const texts = [now, least, most].map((value) =>
      value !== undefined && Number.isFinite(value) ? kilowatts.format(value) : '–',
    )
    rows[at]!.forEach((cell, column) => {
      cell.textContent = texts[column] ?? number.format(count)
    })
  })
}

function axis(): uPlot.Axis {
  const line = { stroke: () => colourOf('--line'), width: 1 }
  return { stroke: () => colourOf('--soft'), grid: line, ticks: line, font: '12px system-ui, sans-serif' }
}
