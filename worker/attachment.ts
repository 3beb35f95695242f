/**
 * A page's tie to one host: calls, news, and the knowledge that the host still lives.
 *
 * comlink leaves a call waiting for ever when the other side dies. Here a call ends with HostLost as soon as the host
 * is known to be gone: its lock came free (dead, at once), it said 'bye', or it was silent beyond the ping's deadline
 * (hung). Invariant: `lost` resolves exactly once, and after it nothing is heard from this line.
 */
import { type Remote, wrap } from 'comlink'
import type { Status } from '../client/core.ts'
import type { Clock, Timer } from '../protocol/lib/clock.ts'
import {
  asNote,
  type EventsNote,
  type HostArgs,
  type HostCalls,
  type HostMethod,
  type HostNote,
  type HostResult,
  type LeaderInfo,
  lockNames,
  type PageNote,
  type Reply,
} from './contract.ts'
import type { Line } from './line.ts'
import { type Locks, untilFree } from './locks.ts'

export type Loss = 'died' | 'hung' | 'stepped-down' | 'replaced' | 'left'

/** The host went away while a call was under way; whether it was carried out is not known. */
export class HostLost extends Error {
  override readonly name = 'HostLost'
}

export interface LivenessTimes {
  /** Silence after which the host is asked for a sign; default 5 s. */
  pingAfterMs?: number
  /** How long the sign may take; default 4 s. */
  pongWithinMs?: number
}

export interface AttachmentOptions extends LivenessTimes {
  clock: Clock
  locks: Locks | undefined
  onEvents(note: EventsNote): void
}

/** After a sleep of the device, timers come before the messages that had arrived: let those in before judging. */
const GRACE_MS = 500

export class Attachment {
  readonly leader: LeaderInfo
  readonly status: Status
  readonly lost: Promise<Loss>
  readonly #line: Line
  readonly #options: AttachmentOptions
  readonly #remote: Remote<HostCalls>
  readonly #waiting = new Set<(lost: HostLost) => void>()
  readonly #over = new AbortController()
  #tellLost: (loss: Loss) => void = () => {}
  #timer: Timer | undefined
  #heardAt: number
  /** Counted, since the clocks of some browsers stand still for a millisecond, in which an answer may come. */
  #heardCount = 0

  constructor(line: Line, hello: { leader: LeaderInfo; status: Status }, options: AttachmentOptions) {
    this.leader = hello.leader
    this.status = hello.status
    this.#line = line
    this.#options = options
    this.#heardAt = options.clock.monotonic()
    this.lost = new Promise((resolve) => {
      this.#tellLost = resolve
    })
    line.listen((data) => this.#heard(data))
    this.#remote = wrap<HostCalls>(line)
    this.#watchLock()
    this.#pingLater()
  }

  get isLost(): boolean {
    return this.#over.signal.aborted
  }

  /** Rejects with HostLost when the host goes before it answers; otherwise it resolves, errors being replies too. */
  call<M extends HostMethod>(method: M, ...args: HostArgs<M>): Promise<Reply<HostResult<M>>> {
    return new Promise((resolve, reject) => {
      if (this.isLost) return reject(new HostLost(`host ${this.leader.instance} is gone`))
      this.#waiting.add(reject)
      const call = this.#remote[method] as unknown as (...args: HostArgs<M>) => Promise<Reply<HostResult<M>>>
      call(...args)
        .then(resolve, reject)
        .finally(() => this.#waiting.delete(reject))
    })
  }

  /** Asks for a sign of life now: the page has become visible, or a call takes long. */
  probe(): void {
    if (this.isLost) return
    this.#timer?.cancel()
    this.#ping()
  }

  /** Ends the tie. Unless the host is gone it is told, so that it can forget this tab. Idempotent. */
  lose(loss: Loss): void {
    if (this.isLost) return
    this.#over.abort()
    this.#timer?.cancel()
    if (loss !== 'died') this.#post({ ottla: 'leave' })
    this.#line.close()
    for (const reject of this.#waiting) reject(new HostLost(`host ${this.leader.instance} is gone: ${loss}`))
    this.#waiting.clear()
    this.#tellLost(loss)
  }

  #heard(data: unknown): void {
    if (this.isLost) return
    this.#heardAt = this.#options.clock.monotonic()
    this.#heardCount++
    const note = asNote<HostNote>(data)
    if (note?.ottla === 'bye') this.lose('stepped-down')
    if (note?.ottla !== 'events') return
    this.#options.onEvents(note)
    this.#post({ ottla: 'ack', sequence: note.sequence })
  }

  #post(note: PageNote): void {
    this.#line.post(note)
  }

  #watchLock(): void {
    const { locks } = this.#options
    if (!locks) return
    untilFree(locks, lockNames.instance(this.leader.instance), this.#over.signal).then(
      () => this.lose('died'),
      // Rejected only because this tie ended first.
      () => {},
    )
  }

  #pingLater(): void {
    const { clock, pingAfterMs = 5_000 } = this.#options
    this.#timer = clock.setTimer(pingAfterMs, () => {
      const isQuiet = clock.monotonic() - this.#heardAt >= pingAfterMs
      if (isQuiet) this.#ping()
      else this.#pingLater()
    })
  }

  #ping(): void {
    const { clock, pongWithinMs = 4_000 } = this.#options
    const heardBefore = this.#heardCount
    const answered = () => this.#heardCount > heardBefore
    this.call('ping').catch(() => {})
    this.#timer = clock.setTimer(pongWithinMs, () => {
      if (answered()) return this.#pingLater()
      this.#timer = clock.setTimer(GRACE_MS, () => (answered() ? this.#pingLater() : this.lose('hung')))
    })
  }
}
