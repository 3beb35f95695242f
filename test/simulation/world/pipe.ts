/**
 * One direction of a connection: bytes arrive in order, late, cut and joined anywhere, or not at all.
 *
 * As in TCP there is a window: what the receiver has not read stays in flight, and what does not fit waits with the sender.
 * Bytes are copied when they leave, as a kernel does: who writes them may touch them again from `taken` on, and not before.
 */
import type { Timer } from '../../../protocol/lib/clock.ts'
import { logCrc32c } from '../../../server/log/checksum.ts'
import type { Dice } from './dice.ts'
import type { Scheduler } from './scheduler.ts'
import type { Trace } from './trace.ts'

export interface Receiver {
  /** Before then it cannot take anything. */
  readonly awakeAt: number
  /** False: no more until `resume`. */
  onBytes(bytes: Uint8Array): boolean
  /** The sender has said all. */
  onEnd(): void
  /** The connection is gone. */
  onReset(): void
}

export interface PipeSurroundings {
  scheduler: Scheduler
  trace: Trace
  dice: Dice
  name: string
  latencyMs: number
  bytesPerMs: number
  windowBytes: number
  isBlocked(): boolean
  /** Something arrived where nobody is any more. */
  onNobody(): void
}

interface Segment {
  kind: 'data' | 'end' | 'reset'
  bytes: Uint8Array
  arrivesAt: number
}

interface Waiting {
  bytes: Uint8Array
  taken: () => void
}

const SPLIT = 0.1
const MERGE = 0.4
/** A segment is lost and sent again. */
const LOST = 0.005
const NOTHING = new Uint8Array(0)

export class Pipe {
  /** undefined once the other side is gone: what arrives then is answered with a reset. */
  receiver: Receiver | undefined
  readonly #around: PipeSurroundings
  #inFlight: Segment[] = []
  #inFlightBytes = 0
  #waiting: Waiting[] = []
  #waitingBytes = 0
  #lastArrival = 0
  #notBefore = 0
  #isPaused = false
  #isOver = false
  #timer: Timer | undefined

  constructor(around: PipeSurroundings) {
    this.#around = around
  }

  /** What has not arrived. */
  get unsentBytes(): number {
    return this.#waitingBytes
  }

  /** `taken` is called when the bytes have left the sender for the network. */
  write(bytes: Uint8Array, taken: () => void = () => {}): void {
    if (this.#isOver) return
    this.#waiting.push({ bytes, taken })
    this.#waitingBytes += bytes.length
    this.#admit()
  }

  /** Nothing follows what was written. */
  end(): void {
    this.write(NOTHING)
    this.#close('end')
  }

  /** Everything that has not left is forgotten, and the receiver hears of a reset. */
  reset(): void {
    this.#waiting = []
    this.#waitingBytes = 0
    this.#close('reset')
  }

  resume(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    this.#plan()
  }

  /** After a partition has healed. TCP tries again less and less often, so it takes a while to notice. */
  wake(delayMs: number): void {
    this.#notBefore = this.#around.scheduler.now + delayMs
    this.#timer?.cancel()
    this.#timer = undefined
    this.#plan()
  }

  /** Nothing of it happens any more. */
  forget(): void {
    this.#isOver = true
    this.#timer?.cancel()
    this.#inFlight = []
    this.#waiting = []
    this.receiver = undefined
  }

  #close(kind: 'end' | 'reset'): void {
    if (this.#isOver) return
    this.#isOver = true
    if (kind === 'end' && this.#waiting.length > 0) {
      const { taken } = this.#waiting.at(-1)!
      this.#waiting.at(-1)!.taken = () => {
        taken()
        this.#enqueue('end', NOTHING)
      }
    } else this.#enqueue(kind, NOTHING)
  }

  #admit(): void {
    while (this.#waiting.length > 0) {
      const first = this.#waiting[0]!
      const room = this.#around.windowBytes - this.#inFlightBytes
      if (first.bytes.length > 0 && room <= 0) return
      const part = first.bytes.subarray(0, room)
      this.#waitingBytes -= part.length
      this.#send(new Uint8Array(part))
      if (part.length < first.bytes.length) {
        first.bytes = first.bytes.subarray(part.length)
        return
      }
      this.#waiting.shift()
      first.taken()
    }
  }

  #send(bytes: Uint8Array): void {
    if (bytes.length === 0) return
    this.#inFlightBytes += bytes.length
    const { dice } = this.#around
    const cut = bytes.length > 1 && dice.chance(SPLIT) ? 1 + dice.below(bytes.length - 1) : bytes.length
    this.#enqueue('data', bytes.subarray(0, cut))
    if (cut < bytes.length) this.#enqueue('data', bytes.subarray(cut))
  }

  #enqueue(kind: Segment['kind'], bytes: Uint8Array): void {
    const { scheduler, dice, latencyMs, bytesPerMs } = this.#around
    const lostMs = dice.chance(LOST) ? dice.skewed(200, 3_000) : 0
    const travelMs = latencyMs * (1 + dice.next() * 0.2) + lostMs
    this.#lastArrival = Math.max(this.#lastArrival, scheduler.now + travelMs) + bytes.length / bytesPerMs
    this.#inFlight.push({ kind, bytes, arrivesAt: this.#lastArrival })
    this.#plan()
  }

  #plan(): void {
    const next = this.#next()
    if (!next || this.#timer) return
    const { scheduler } = this.#around
    const at = Math.max(next.arrivesAt, this.#notBefore, this.receiver?.awakeAt ?? 0)
    this.#timer = scheduler.after(at - scheduler.now, () => {
      this.#timer = undefined
      this.#arrive()
    })
  }

  /** A reset does not wait for a reader. */
  #next(): Segment | undefined {
    if (!this.#isPaused) return this.#inFlight[0]
    return this.#inFlight.find(({ kind }) => kind === 'reset')
  }

  #arrive(): void {
    const { scheduler, isBlocked, onNobody } = this.#around
    const next = this.#next()
    if (!next || isBlocked()) return
    if (next.arrivesAt > scheduler.now || (this.receiver?.awakeAt ?? 0) > scheduler.now) return this.#plan()
    if (!this.receiver) {
      onNobody()
      return
    }
    if (next.kind === 'reset') this.#inFlight = [next]
    if (next.kind === 'data') this.#deliver(next)
    else this.#finish(next.kind)
    this.#plan()
  }

  #deliver(first: Segment): void {
    const { scheduler, dice } = this.#around
    const arrived = [first]
    while (dice.chance(MERGE)) {
      const next = this.#inFlight[arrived.length]
      if (next?.kind !== 'data' || next.arrivesAt > scheduler.now) break
      arrived.push(next)
    }
    this.#inFlight.splice(0, arrived.length)
    const bytes = joined(arrived.map((each) => each.bytes))
    this.#inFlightBytes -= bytes.length
    this.#around.trace.add(this.#around.name, `${bytes.length} B ${logCrc32c(first.bytes).toString(16)}`)
    this.#isPaused = !this.receiver!.onBytes(bytes)
    this.#admit()
  }

  #finish(kind: 'end' | 'reset'): void {
    this.#inFlight.shift()
    this.#around.trace.add(this.#around.name, kind)
    if (kind === 'end') this.receiver!.onEnd()
    else this.receiver!.onReset()
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0]!
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}
