/**
 * A channel of a topic as a page holds it: who is there, what they say of themselves, and messages that nobody keeps.
 *
 * It asks the core for news as long as it is open; the core has the connection, and other tabs' channels on it. After a
 * reconnect it is another member with the same state. Listeners are called in a turn of their own.
 */
import { type Clock, sleep } from '../../protocol/lib/clock.ts'
import { Emitter } from '../../protocol/lib/events.ts'
import type { Core } from '../core.ts'
import { asOttlaError, OttlaError } from '../errors.ts'
import type { Serde } from '../serde.ts'
import type { ChannelAnswer, ChannelAsk } from './ask.ts'

export interface ChannelOptions<S, M> {
  /** What this member says of itself, from the start. Default: that it is there. */
  state?: S
  /** Default: JSON. */
  stateSerde?: Serde<S>
  messageSerde?: Serde<M>
}

export interface ChannelMember<S> {
  /** Of its connection: who comes back has another. */
  readonly id: string
  /** null: it says nothing of itself. */
  readonly state: S | null
}

export interface ChannelParts {
  core: Pick<Core, 'channel'>
  clock: Clock
  /** Unique for ever. */
  handle: string
  onClose(close: () => Promise<void>): () => void
  onPageHide(listener: () => void): () => void
}

const WAIT_MS = 8_000
const AFTER_FAILURE_MS = 1_000

export class Channel<S = unknown, M = unknown> {
  readonly topic: string
  readonly name: string
  readonly #parts: ChannelParts
  readonly #stateSerde: Serde<S>
  readonly #messageSerde: Serde<M>
  readonly #joined = new Emitter<ChannelMember<S>>()
  readonly #changed = new Emitter<ChannelMember<S>>()
  readonly #left = new Emitter<ChannelMember<S>>()
  readonly #presence = new Emitter<ReadonlyArray<ChannelMember<S>>>()
  readonly #messages = new Emitter<{ message: M; from: string }>()
  readonly #missed = new Emitter<number>()
  readonly #connections = new Emitter<boolean>()
  readonly #failures = new Emitter<OttlaError>()
  readonly #ending = new AbortController()
  readonly #unlisten: Array<() => void>
  #members = new Map<string, ChannelMember<S>>()
  #state: S | null
  #encoded: Uint8Array | null
  #me: string | null = null
  #sequence = -1

  constructor(
    parts: ChannelParts,
    { topic, name }: { topic: string; name: string },
    options: Required<Pick<ChannelOptions<S, M>, 'stateSerde' | 'messageSerde'>> & { state: S | null },
  ) {
    this.topic = topic
    this.name = name
    this.#parts = parts
    this.#stateSerde = options.stateSerde
    this.#messageSerde = options.messageSerde
    this.#state = options.state
    this.#encoded = options.state === null ? null : options.stateSerde.encode(options.state)
    // A page that comes back from the page cache listens on, and is a member again.
    this.#unlisten = [parts.onClose(() => this.close()), parts.onPageHide(() => this.#leave())]
    void this.#listen()
  }

  /** It is a member now: the others see it, and it them. */
  get isConnected(): boolean {
    return this.#me !== null
  }

  /** Which member this is; null while it is none. */
  get id(): string | null {
    return this.#me
  }

  get state(): S | null {
    return this.#state
  }

  /** Everybody else. */
  get others(): ReadonlyArray<ChannelMember<S>> {
    return [...this.#members.values()].filter(({ id }) => id !== this.#me)
  }

  /** Told to the others as soon as can be; of states that change often the newest. null takes it back. */
  setState(state: S | null): void {
    this.#throwIfClosed()
    this.#encoded = state === null ? null : this.#stateSerde.encode(state)
    this.#state = state
    this.#ask({ is: 'state' }).catch((error: unknown) => this.#failed(error))
  }

  /** To whoever is there now. Rejects DISCONNECTED when nobody can hear it, BUFFER_FULL when it is said too often. */
  async send(message: M): Promise<void> {
    this.#throwIfClosed()
    await this.#ask({ is: 'say', payload: this.#messageSerde.encode(message) })
  }

  onJoin(listener: (member: ChannelMember<S>) => void): () => void {
    return this.#joined.on(listener)
  }

  /** A member says something else of itself. */
  onChange(listener: (member: ChannelMember<S>) => void): () => void {
    return this.#changed.on(listener)
  }

  onLeave(listener: (member: ChannelMember<S>) => void): () => void {
    return this.#left.on(listener)
  }

  /** At each of the three: everybody else, as it is now. */
  onPresence(listener: (others: ReadonlyArray<ChannelMember<S>>) => void): () => void {
    return this.#presence.on(listener)
  }

  onMessage(listener: (message: M, from: string) => void): () => void {
    return this.#messages.on(({ message, from }) => listener(message, from))
  }

  /** So many messages were lost, because this page did not take them. */
  onMissed(listener: (count: number) => void): () => void {
    return this.#missed.on(listener)
  }

  onConnection(listener: (isConnected: boolean) => void): () => void {
    return this.#connections.on(listener)
  }

  /** The relay refuses: NOT_AUTHORIZED, UNKNOWN_TOPIC, TOO_LARGE. It is asked again after a while. */
  onError(listener: (error: OttlaError) => void): () => void {
    return this.#failures.on(listener)
  }

  /** Leaves. Idempotent. */
  async close(): Promise<void> {
    if (this.#ending.signal.aborted) return
    this.#ending.abort()
    for (const unlisten of this.#unlisten) unlisten()
    this.#me = null
    this.#members.clear()
    await this.#ask({ is: 'leave' }).catch(() => {})
  }

  async #listen(): Promise<void> {
    const { signal } = this.#ending
    while (!signal.aborted) {
      try {
        const answer = await this.#ask({ is: 'listen', after: this.#sequence, waitMs: WAIT_MS })
        if (!signal.aborted) this.#heard(answer)
      } catch (thrown) {
        if (signal.aborted) return
        this.#failed(thrown)
        await sleep(this.#parts.clock, AFTER_FAILURE_MS, signal).catch(() => {})
      }
    }
  }

  #failed(thrown: unknown): void {
    const error = asOttlaError(thrown, 'PROTOCOL')
    if (error.code === 'CLOSED') void this.close()
    this.#sequence = -1
    this.#setMe(null)
    if (!error.retriable) this.#failures.emit(error)
  }

  #heard({ sequence, me, isWhole, present, gone, messages, missed }: ChannelAnswer): void {
    this.#sequence = sequence
    this.#setMe(me)
    const before = this.#members
    const known = present.map(({ id, state }) => ({ id, state: this.#decoded(state) }))
    const staying = isWhole ? [] : [...before.values()].filter(({ id }) => !gone.includes(id))
    this.#members = new Map([...staying, ...known].map((member) => [member.id, member]))
    let isNews = false
    for (const member of before.values()) {
      if (this.#members.has(member.id) || member.id === me) continue
      isNews = true
      this.#left.emit(member)
    }
    for (const member of known) {
      if (member.id === me) continue
      isNews = true
      if (before.has(member.id)) this.#changed.emit(member)
      else this.#joined.emit(member)
    }
    if (isNews) this.#presence.emit(this.others)
    for (const { from, payload } of messages) this.#said(from, payload)
    if (missed > 0) this.#missed.emit(missed)
  }

  /** Others may say what this page cannot read; that is no reason to hear nothing more. */
  #said(from: string, payload: Uint8Array): void {
    let message: M
    try {
      message = this.#messageSerde.decode(payload)
    } catch (cause) {
      this.#failures.emit(
        new OttlaError('INVALID_VALUE', { message: `a message in ${this.name} cannot be read`, cause }),
      )
      return
    }
    this.#messages.emit({ message, from })
  }

  #decoded(state: Uint8Array | null): S | null {
    if (state === null) return null
    try {
      return this.#stateSerde.decode(state)
    } catch {
      return null
    }
  }

  #setMe(me: string | null): void {
    if (me === this.#me) return
    this.#me = me
    this.#connections.emit(me !== null)
  }

  #leave(): void {
    this.#ask({ is: 'leave' }).catch(() => {})
  }

  #ask(act: ChannelAsk['act']): Promise<ChannelAnswer> {
    const { handle, core } = this.#parts
    return core.channel({ handle, topic: this.topic, channel: this.name, state: this.#encoded, act })
  }

  #throwIfClosed(): void {
    if (this.#ending.signal.aborted) throw new OttlaError('CLOSED', { message: `channel ${this.name} was closed` })
  }
}
