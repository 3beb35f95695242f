/**
 * Keeps a page attached to whatever leads its replica.
 *
 *     seek ──hello──> attached ──lost──> (depose it, if it hung) ──> seek ...
 *
 * Seeking asks two places at once: the page's own seat, over a port, and the lobby, where a leader in another tab's
 * worker answers 'who'. An own seat that doesn't even say 'seated' is replaced; a leader that nobody can reach is
 * deposed, so that the next seat in the queue gets the lock.
 *
 * Invariants: one attachment at a time; while there is a page there is either one or an attempt under way; `stop`
 * gives back every lock and channel, as a page in the back/forward cache must.
 */
import { OttlaError } from '../client/errors.ts'
import { sleep } from '../protocol/lib/clock.ts'
import { Emitter } from '../protocol/lib/events.ts'
import { randomUuid } from '../protocol/lib/uuid.ts'
import { type AttacherOptions, type SeekState, seekTimes } from './attacher-options.ts'
import type { Attachment } from './attachment.ts'
import { type AttemptOutcome, attempt, reseat } from './attempt.ts'
import { channelNames, lockNames } from './contract.ts'
import { depose, deposeUnreachable } from './depose.ts'
import { type HeldLock, takeLock } from './locks.ts'

interface Found {
  attachment: Attachment
  isOwnSeat: boolean
}

export class Attacher {
  /** A host was found; its status is in it. */
  readonly onAttached = new Emitter<Attachment>()
  readonly onLost = new Emitter<void>()
  /** Whoever leads said no, or could not begin to lead; asked again in a while. */
  readonly onRefused = new Emitter<OttlaError>()
  readonly #options: AttacherOptions
  #current: Attachment | undefined
  #life: AbortController | undefined
  #seatEpoch = 0
  /** The epoch whose seat has answered. */
  #answeringEpoch = -1
  #lastRefusal: OttlaError | undefined
  /** Of the replica, as the first host said: at a host of another one this page has nothing to do any more. */
  #replicaLife: number | null = null

  constructor(options: AttacherOptions) {
    this.#options = options
  }

  get current(): Attachment | undefined {
    return this.#current
  }

  /** Begins, or begins again after `stop`. */
  start(): void {
    if (this.#life) return
    const life = new AbortController()
    this.#life = life
    this.#run(life.signal).catch((error: unknown) => {
      if (!life.signal.aborted) this.#refuse(new OttlaError('PROTOCOL', { message: String(error), cause: error }))
    })
  }

  /** Lets go of everything: the host, the own seat, locks, channels. */
  stop(): void {
    this.#life?.abort(new OttlaError('CLOSED', { message: 'this page has let go of its worker' }))
    this.#life = undefined
    this.#current?.lose('left')
    this.#options.spawner.end()
  }

  /**
   * `act` with the attachment: in this very turn if there is one (a page that is going has no other), else in the turn in
   * which there is, one after another. Rejects when refused, or TIMEOUT after `waitMsMax`.
   */
  attached<T>(waitMsMax: number, act: (attachment: Attachment) => Promise<T>): Promise<T> {
    if (this.#current && !this.#current.isLost) return act(this.#current)
    if (this.#lastRefusal) return Promise.reject(this.#lastRefusal)
    return new Promise((resolve, reject) => {
      const offs = [
        this.onAttached.on((attachment) => done(() => resolve(act(attachment)))),
        this.onRefused.on((error) => done(() => reject(error))),
      ]
      const timer = this.#options.clock.setTimer(waitMsMax, () =>
        done(() => reject(new OttlaError('TIMEOUT', { message: `no worker answered within ${waitMsMax} ms` }))),
      )
      const done = (settle: () => void) => {
        for (const off of offs) off()
        timer.cancel()
        settle()
      }
    })
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { clock, locks, random, config } = this.#options
    const tabId = randomUuid(random)
    const lobby = this.#options.openChannel(channelNames.lobby(config.replica))
    signal.addEventListener('abort', () => lobby.close(), { once: true })
    // Held before the first join: a host takes a free tab lock for a tab that has gone.
    const tabLock = locks ? await takeLock(locks, lockNames.tab(tabId), signal) : undefined
    if (tabLock) releaseOnAbort(tabLock, signal)
    while (!signal.aborted) {
      const { attachment, isOwnSeat } = await this.#seek(tabId, lobby, signal)
      this.#current = attachment
      this.#replicaLife = attachment.leader.life
      this.#lastRefusal = undefined
      this.onAttached.emit(attachment)
      const loss = await attachment.lost
      this.#current = undefined
      if (signal.aborted) return
      this.onLost.emit()
      // The next seat has a name of its own: in Firefox that of a SharedWorker whose process died leads nowhere. Another
      // tab's seat may be lost while the own one is about to lead: that one is kept.
      if (isOwnSeat && (loss === 'hung' || loss === 'died')) this.#seatEpoch++
      if (loss === 'hung' && locks) await depose(locks, clock, config.replica, attachment.leader)
    }
  }

  /** Tries until a host says hello. */
  async #seek(tabId: string, lobby: BroadcastChannel, signal: AbortSignal): Promise<Found> {
    const state: SeekState = { deafSeats: 0, since: this.#options.clock.monotonic() }
    for (let count = 0; ; count++) {
      signal.throwIfAborted()
      const withinMs = seekTimes.attemptMs[Math.min(count, seekTimes.attemptMs.length - 1)]!
      const outcome = await this.#attempt(tabId, lobby, signal, withinMs)
      if (outcome.isSeated) this.#answeringEpoch = this.#seatEpoch
      const { attachment, isOwnSeat } = outcome
      if (attachment) return { attachment, isOwnSeat }
      if (outcome.refusal) {
        this.#refuse(outcome.refusal)
        await sleep(this.#options.clock, seekTimes.afterRefusalMs, signal)
      }
      await this.#afterFailure(state, outcome.isSeated)
    }
  }

  #attempt(tabId: string, lobby: BroadcastChannel, signal: AbortSignal, withinMs: number): Promise<AttemptOutcome> {
    const epoch = this.#seatEpoch
    const options = { ...this.#options, config: { ...this.#options.config, life: this.#replicaLife } }
    return attempt({
      ...options,
      tabId,
      lobby,
      signal,
      epoch,
      withinMs,
      // One that is only starting may be slow; one that has answered before is not.
      seatPatienceMs: this.#answeringEpoch === epoch ? 0 : seekTimes.seatStartMsMax,
      onDeadSeat: (attachment) => {
        if (this.#seatEpoch !== epoch || attachment.isLost) return
        this.#seatEpoch++
        reseat({ ...options, tabId }, this.#seatEpoch, attachment)
      },
    })
  }

  async #afterFailure(state: SeekState, isSeated: boolean): Promise<void> {
    const { clock, locks, config } = this.#options
    state.deafSeats = isSeated ? 0 : state.deafSeats + 1
    if (state.deafSeats >= seekTimes.deafSeatsMax) {
      this.#seatEpoch++
      state.deafSeats = 0
    }
    if (locks && isSeated && clock.monotonic() - state.since > seekTimes.unreachableMs) {
      await deposeUnreachable(locks, clock, config.replica)
      state.since = clock.monotonic()
    }
  }

  #refuse(error: OttlaError): void {
    this.#lastRefusal = error
    this.onRefused.emit(error)
  }
}

function releaseOnAbort(lock: HeldLock, signal: AbortSignal): void {
  if (signal.aborted) lock.release()
  else signal.addEventListener('abort', () => lock.release(), { once: true })
}
