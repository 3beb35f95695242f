/**
 * Draws flights as threads of light between airports that are dots.
 *
 * Two layers: `ground` holds the land and is drawn once for each size and theme; `sky` is never cleared but fades,
 * so a flight in the air costs one short line a frame and leaves its trail by itself. Memory is fixed: MAX_IN_AIR
 * slots. When more flights begin than slots or frame time allow, only every n-th is drawn (`sampling`).
 */
import type { Airports } from './airports.ts'
import { fitLayer, type Layer } from './canvas.ts'
import { delayClass } from './flight.ts'
import type { FlightLog } from './flight-log.ts'
import type { Palette } from './palette.ts'
import { FRAME_HEIGHT } from './projection.ts'

const MAX_IN_AIR = 1400
const MIN_IN_AIR = 120
const FADE_STEP_MS = 90
const FADE_TIME_MS = 750
const SLOW_FRAME_MS = 24
const PADDING = 14

export class FlightPainter {
  private readonly ground: Layer
  private readonly sky: Layer
  private readonly airports: Airports
  private readonly log: FlightLog
  private readonly slots = new Int32Array(MAX_IN_AIR)
  private readonly progress = new Float32Array(MAX_IN_AIR)
  private readonly duration = new Float32Array(MAX_IN_AIR)
  private readonly heat: Float32Array
  private readonly heatLate: Float32Array
  private inAir = 0
  private allowance = MAX_IN_AIR
  private sinceFadeMs = 0
  private scale = 1
  private left = 0
  private top = 0
  private palette: Palette

  constructor(ground: Layer, sky: Layer, airports: Airports, log: FlightLog, palette: Palette) {
    this.ground = ground
    this.sky = sky
    this.airports = airports
    this.log = log
    this.palette = palette
    this.heat = new Float32Array(airports.namedCount)
    this.heatLate = new Float32Array(airports.namedCount)
  }

  get flying(): number {
    return this.inAir
  }

  setPalette(palette: Palette): void {
    this.palette = palette
    this.drawGround()
    this.clearSky()
  }

  resize(width: number, height: number): void {
    fitLayer(this.sky, width, height)
    if (!fitLayer(this.ground, width, height)) return
    this.scale = Math.min(width - PADDING * 2, (height - PADDING * 2) / FRAME_HEIGHT)
    this.left = (width - this.scale) / 2
    this.top = (height - this.scale * FRAME_HEIGHT) / 2
    this.drawGround()
    this.inAir = 0
  }

  clearSky(): void {
    this.sky.context.clearRect(0, 0, this.sky.width, this.sky.height)
    this.inAir = 0
    this.heat.fill(0)
    this.heatLate.fill(0)
  }

  /** Lets flights [from, to) begin; answers one in how many of them is drawn. */
  launch(from: number, to: number): number {
    const room = this.allowance - this.inAir
    const every = Math.max(1, Math.ceil((to - from) / Math.max(1, Math.min(room, 90))))
    for (let sequence = from; sequence < to; sequence++) {
      const slot = this.log.slot(sequence)
      this.warm(slot)
      if (sequence % every === 0 && this.inAir < this.allowance) this.takeOff(slot)
    }
    return every
  }

  /** One frame. `elapsedMs` since the last; a long one lowers how many may fly at once, short ones raise it again. */
  frame(elapsedMs: number): void {
    const target = elapsedMs > SLOW_FRAME_MS ? this.allowance * 0.9 : this.allowance * 1.02 + 1
    this.allowance = Math.round(Math.min(MAX_IN_AIR, Math.max(MIN_IN_AIR, target)))
    this.fade(elapsedMs)
    for (let delay = 0; delay < this.palette.delays.length; delay++) this.drawTrails(delay, elapsedMs)
    this.land()
    this.drawHeat()
  }

  /** Reduced motion: nothing flies, the airports' glow alone tells. */
  still(): void {
    this.sky.context.clearRect(0, 0, this.sky.width, this.sky.height)
    this.inAir = 0
    this.drawHeat()
    this.cool(0.6)
  }

  private warm(slot: number): void {
    const origin = this.log.origins[slot] ?? 0
    this.heat[origin] = Math.min(60, (this.heat[origin] ?? 0) + 1)
    if ((this.log.delays[slot] ?? 0) > 15) this.heatLate[origin] = Math.min(60, (this.heatLate[origin] ?? 0) + 1)
  }

  private takeOff(slot: number): void {
    this.slots[this.inAir] = slot
    this.progress[this.inAir] = 0
    this.duration[this.inAir] = 650 + (this.log.distances[slot] ?? 0) * 0.75
    this.inAir += 1
  }

  // Fading often by a little would stop at a grey that 8-bit alpha cannot leave; seldom by more does not.
  private fade(elapsedMs: number): void {
    this.sinceFadeMs += elapsedMs
    if (this.sinceFadeMs < FADE_STEP_MS) return
    const keep = Math.exp(-this.sinceFadeMs / FADE_TIME_MS)
    const { context, width, height } = this.sky
    context.globalCompositeOperation = 'destination-out'
    context.fillStyle = `rgb(0 0 0 / ${1 - keep})`
    context.fillRect(0, 0, width, height)
    context.globalCompositeOperation = 'source-over'
    this.cool(keep)
    this.sinceFadeMs = 0
  }

  private cool(keep: number): void {
    for (let i = 0; i < this.heat.length; i++) {
      this.heat[i] = (this.heat[i] ?? 0) * keep
      this.heatLate[i] = (this.heatLate[i] ?? 0) * keep
    }
  }

  // Moves every flight of one delay class on and draws the piece it flew: one path, one stroke a class.
  private drawTrails(delay: number, elapsedMs: number): void {
    const { context } = this.sky
    context.beginPath()
    for (let i = 0; i < this.inAir; i++) {
      const slot = this.slots[i] ?? 0
      if (delayClass(this.log.delays[slot] ?? 0) !== delay) continue
      const from = this.progress[i] ?? 0
      const to = Math.min(1, from + elapsedMs / (this.duration[i] ?? 1000))
      this.progress[i] = to
      this.tracePiece(context, slot, from, to)
    }
    context.strokeStyle = this.palette.delays[delay] ?? this.palette.ink
    context.lineWidth = delay === 3 ? 1.6 : 1.15
    context.lineCap = 'round'
    context.globalAlpha = delay === 0 ? 0.75 : 0.95
    context.stroke()
    context.globalAlpha = 1
  }

  // A quadratic curve bowed to the left of its direction, so the two ways between a pair do not lie on each other.
  private tracePiece(context: CanvasRenderingContext2D, slot: number, from: number, to: number): void {
    const { frame } = this.airports
    const a = (this.log.origins[slot] ?? 0) * 2
    const b = (this.log.destinations[slot] ?? 0) * 2
    const ax = this.x(frame[a] ?? Number.NaN)
    const ay = this.y(frame[a + 1] ?? Number.NaN)
    const bx = this.x(frame[b] ?? Number.NaN)
    const by = this.y(frame[b + 1] ?? Number.NaN)
    const cx = (ax + bx) / 2 + (by - ay) * 0.2
    const cy = (ay + by) / 2 - (bx - ax) * 0.2
    context.moveTo(onCurve(ax, cx, bx, from), onCurve(ay, cy, by, from))
    context.lineTo(onCurve(ax, cx, bx, to), onCurve(ay, cy, by, to))
  }

  private land(): void {
    let kept = 0
    for (let i = 0; i < this.inAir; i++) {
      if ((this.progress[i] ?? 1) >= 1) continue
      this.slots[kept] = this.slots[i] ?? 0
      this.progress[kept] = this.progress[i] ?? 0
      this.duration[kept] = this.duration[i] ?? 0
      kept += 1
    }
    this.inAir = kept
  }

  private drawHeat(): void {
    const { context } = this.sky
    for (let i = 0; i < this.heat.length; i++) {
      const heat = this.heat[i] ?? 0
      const x = this.airports.frame[i * 2] ?? Number.NaN
      if (heat < 0.25 || Number.isNaN(x)) continue
      const lateShare = (this.heatLate[i] ?? 0) / heat
      context.fillStyle =
        this.palette.delays[lateShare > 0.5 ? 3 : lateShare > 0.25 ? 2 : lateShare > 0.1 ? 1 : 0] ?? ''
      context.beginPath()
      context.arc(
        this.x(x),
        this.y(this.airports.frame[i * 2 + 1] ?? 0),
        1 + Math.sqrt(heat) * 0.8 * Math.max(0.5, Math.min(1, this.scale / 900)),
        0,
        Math.PI * 2,
      )
      context.fill()
    }
  }

  private drawGround(): void {
    const { context, width, height } = this.ground
    context.clearRect(0, 0, width, height)
    context.fillStyle = this.palette.land
    const size = Math.max(1, Math.min(1.7, this.scale / 620))
    for (let i = 0; i < this.airports.totalCount; i++) {
      const x = this.airports.frame[i * 2] ?? Number.NaN
      if (Number.isNaN(x)) continue
      context.fillRect(this.x(x) - size / 2, this.y(this.airports.frame[i * 2 + 1] ?? 0) - size / 2, size, size)
    }
  }

  private x(frameX: number): number {
    return this.left + frameX * this.scale
  }

  private y(frameY: number): number {
    return this.top + frameY * this.scale
  }
}

function onCurve(a: number, control: number, b: number, t: number): number {
  const rest = 1 - t
  return rest * rest * a + 2 * rest * t * control + t * t * b
}
