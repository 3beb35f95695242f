/**
 * The channels of all pages of a core, over its one connection.
 *
 * Each page asks under handles of its own, and each handle is a member of its own at the relay. Invariants: after each
 * reconnect every handle joins again with the state that it had last; of a state that changes often the newest is sent,
 * never a queue; a handle that nobody listens under for a while has left.
 */
import type { ResponseOf } from '../../protocol/api.ts'
import type { Clock, Timer } from '../../protocol/lib/clock.ts'
import {
  ChannelEvent,
  type ChannelNews,
  joinChannel,
  leaveChannel,
  publishToChannel,
} from '../../protocol/messages/channels.ts'
import { asOttlaError, OttlaError } from '../errors.ts'
import { isTransient, kafkaFailure } from '../kafka-failure.ts'
import { needsRelay } from '../needs-relay.ts'
import type { Session } from '../session.ts'
import type { ChannelAnswer, ChannelAsk } from './ask.ts'
import { HandleNews } from './handle-news.ts'

/** As the relay told it; of one channel, for all handles in it. */
interface Room {
  topicId: string
  channel: string
  members: Map<string, Uint8Array | null>
  handles: Set<Handle>
}

interface Handle {
  id: string
  topic: string
  channel: string
  state: Uint8Array | null
  room: Room | undefined
  me: string | null
  news: HandleNews
  failure: OttlaError | undefined
  isJoining: boolean
  /** The relay has an older state than `state`. */
  isStale: boolean
  isPublishing: boolean
  expiry: Timer | undefined
}

type Joined = ResponseOf<typeof joinChannel>

const EXPIRES_MS = 20_000
const AGAIN_MS = 1_000
const THROTTLED = 89

export class ChannelHub {
  readonly #session: Session
  readonly #clock: Clock
  readonly #handles = new Map<string, Handle>()
  readonly #rooms = new Map<string, Room>()
  readonly #unlisten: Array<() => void>

  constructor(session: Session, clock: Clock) {
    this.#session = session
    this.#clock = clock
    this.#unlisten = [
      session.onChannelNews((news) => this.#heard(news)),
      session.onState(({ phase }) => {
        if (phase === 'live') for (const handle of this.#handles.values()) void this.#join(handle)
        else this.#disconnected(phase === 'closed')
      }),
    ]
  }

  async answer(ask: ChannelAsk): Promise<ChannelAnswer> {
    if (ask.act.is === 'leave') return this.#leave(ask)
    if (this.#session.isKafka) throw needsRelay('a channel')
    const handle = this.#handleOf(ask)
    if (handle.failure) this.#throwOnce(handle, handle.failure)
    if (handle.state !== ask.state && !isSame(handle.state, ask.state)) {
      handle.state = ask.state
      handle.isStale = true
      void this.#publishState(handle)
    }
    if (ask.act.is === 'say') await this.#say(handle, ask.act.payload)
    if (ask.act.is !== 'listen') return nothing(handle)
    await this.#news(handle, ask.act.waitMs)
    if (handle.failure) this.#throwOnce(handle, handle.failure)
    return handle.news.take(ask.act.after, handle.room?.members ?? new Map(), handle.me)
  }

  close(): void {
    for (const unlisten of this.#unlisten) unlisten()
    for (const handle of [...this.#handles.values()]) this.#forget(handle)
  }

  #handleOf({ handle: id, topic, channel, state }: ChannelAsk): Handle {
    const known = this.#handles.get(id)
    const handle: Handle = known ?? {
      ...{ id, topic, channel, state, room: undefined, me: null, news: new HandleNews(), failure: undefined },
      ...{ isJoining: false, isStale: false, isPublishing: false, expiry: undefined },
    }
    this.#handles.set(id, handle)
    this.#expireLater(handle)
    if (!known) void this.#join(handle)
    return handle
  }

  #expireLater(handle: Handle): void {
    handle.expiry?.cancel()
    handle.expiry = this.#clock.setTimer(EXPIRES_MS, () => this.#forget(handle))
  }

  /** Resolves when there is something to tell, or after a while. */
  #news(handle: Handle, waitMs: number): Promise<void> {
    if (!handle.news.isEmpty || handle.failure) return Promise.resolve()
    return new Promise((resolve) => {
      const timer = this.#clock.setTimer(Math.min(waitMs, EXPIRES_MS / 2), resolve)
      handle.news.onNews(() => {
        timer.cancel()
        // What comes in the same turn goes with it.
        queueMicrotask(resolve)
      })
    })
  }

  async #join(handle: Handle): Promise<void> {
    if (handle.isJoining || handle.me !== null || this.#session.state.phase !== 'live') return
    handle.isJoining = true
    try {
      const { id: topicId } = await this.#session.metadata.lookUp(handle.topic)
      const { channel, state } = handle
      handle.isStale = false
      const onAnswer = (answer: Joined) => {
        if (answer.errorCode === 0) this.#joined(handle, topicId, answer)
      }
      const { errorCode } = await this.#session.call(joinChannel, { topicId, channel, state }, { onAnswer })
      if (errorCode !== 0) throw this.#refusal(errorCode, topicId, `joining channel ${channel}`)
    } catch (thrown) {
      this.#notJoined(handle, asOttlaError(thrown, 'PROTOCOL'))
    } finally {
      handle.isJoining = false
    }
  }

  #joined(handle: Handle, topicId: string, { memberId, members }: Joined): void {
    if (this.#handles.get(handle.id) !== handle) {
      this.#session.call(leaveChannel, { memberId }).catch(() => {})
      return
    }
    const key = `${topicId}/${handle.channel}`
    const room = this.#rooms.get(key) ?? { topicId, channel: handle.channel, members: new Map(), handles: new Set() }
    this.#rooms.set(key, room)
    room.members = new Map(members.map((member) => [member.memberId, member.state]))
    room.handles.add(handle)
    handle.room = room
    handle.me = memberId
    for (const { news } of room.handles) news.replaced()
    void this.#publishState(handle)
  }

  #notJoined(handle: Handle, error: OttlaError): void {
    if (this.#handles.get(handle.id) !== handle) return
    if (error.retriable || error.code === 'TOPIC_RECREATED') {
      this.#clock.setTimer(AGAIN_MS, () => {
        if (this.#handles.get(handle.id) === handle) void this.#join(handle)
      })
      return
    }
    handle.failure = error
    handle.news.replaced()
  }

  #refusal(errorCode: number, topicId: string, what: string): OttlaError {
    if (errorCode === 100) this.#session.metadata.forget(topicId)
    return kafkaFailure(errorCode, what)
  }

  /** One at a time: what changes meanwhile goes with the next. */
  async #publishState(handle: Handle): Promise<void> {
    if (handle.isPublishing) return
    handle.isPublishing = true
    try {
      while (handle.isStale && handle.me !== null) {
        handle.isStale = false
        const { me: memberId, state: payload, room } = handle
        const answer = await this.#session.call(publishToChannel, { memberId, kind: ChannelEvent.present, payload })
        if (answer.errorCode === 0) this.#show(room!, memberId, payload)
        else if (!isTransient(answer.errorCode)) throw kafkaFailure(answer.errorCode, `the state in ${handle.channel}`)
        else await this.#retryState(handle, answer.throttleTimeMs || AGAIN_MS)
      }
    } catch (thrown) {
      const error = asOttlaError(thrown, 'PROTOCOL')
      // A connection that ended joins again with the state.
      if (!error.retriable && handle.me !== null) {
        handle.failure = error
        handle.news.replaced()
      }
    } finally {
      handle.isPublishing = false
    }
  }

  #retryState(handle: Handle, afterMs: number): Promise<void> {
    handle.isStale = true
    return new Promise((resolve) => this.#clock.setTimer(afterMs, resolve))
  }

  async #say(handle: Handle, payload: Uint8Array): Promise<void> {
    const { me: memberId, room } = handle
    if (memberId === null || !room)
      throw new OttlaError('DISCONNECTED', { message: `nobody in channel ${handle.channel} can hear this now` })
    const answer = await this.#session.call(publishToChannel, { memberId, kind: ChannelEvent.message, payload })
    if (answer.errorCode === THROTTLED)
      throw new OttlaError('BUFFER_FULL', {
        message: `the relay takes more in ${answer.throttleTimeMs} ms`,
        kafkaCode: THROTTLED,
      })
    if (answer.errorCode !== 0) throw kafkaFailure(answer.errorCode, `saying something in ${handle.channel}`)
  }

  /** The relay does not tell a connection what its only member there says. */
  #show(room: Room, memberId: string, state: Uint8Array | null): void {
    if (!room.members.has(memberId)) return
    room.members.set(memberId, state)
    for (const { news } of room.handles) news.changed(memberId)
  }

  #heard({ topicId, channel, errorCode, isWhole, events }: ChannelNews): void {
    const room = this.#rooms.get(`${topicId}/${channel}`)
    if (!room) return
    if (errorCode !== 0) return this.#ended(room, topicId)
    if (isWhole) {
      room.members = new Map()
      for (const { news } of room.handles) news.replaced()
    }
    for (const { memberId, kind, payload } of events) {
      if (kind === ChannelEvent.message) {
        for (const { news, me } of room.handles)
          if (me !== memberId) news.said(memberId, copied(payload) ?? new Uint8Array())
        continue
      }
      if (kind === ChannelEvent.present) room.members.set(memberId, copied(payload))
      else room.members.delete(memberId)
      for (const { news } of room.handles) news.changed(memberId)
    }
  }

  /** The topic was deleted; there may be one of the same name. */
  #ended(room: Room, topicId: string): void {
    this.#session.metadata.forget(topicId)
    const handles = [...room.handles]
    this.#clear(room)
    for (const handle of handles) void this.#join(handle)
  }

  #disconnected(isForGood: boolean): void {
    for (const room of [...this.#rooms.values()]) this.#clear(room)
    if (!isForGood) return
    for (const handle of this.#handles.values()) {
      handle.failure = new OttlaError('CLOSED', { message: 'the connection is closed for good' })
      handle.news.replaced()
    }
  }

  /** Nobody is known to be there. */
  #clear(room: Room): void {
    this.#rooms.delete(`${room.topicId}/${room.channel}`)
    for (const handle of room.handles) {
      handle.room = undefined
      handle.me = null
      handle.news.replaced()
    }
  }

  #leave({ handle: id }: ChannelAsk): ChannelAnswer {
    const handle = this.#handles.get(id)
    if (handle) this.#forget(handle)
    return { sequence: 0, me: null, isWhole: false, present: [], gone: [], messages: [], missed: 0 }
  }

  #forget(handle: Handle): void {
    if (this.#handles.get(handle.id) !== handle) return
    this.#handles.delete(handle.id)
    handle.expiry?.cancel()
    const { room, me: memberId } = handle
    handle.me = null
    handle.news.replaced()
    if (!room || memberId === null) return
    room.handles.delete(handle)
    if (room.handles.size === 0) this.#rooms.delete(`${room.topicId}/${room.channel}`)
    room.members.delete(memberId)
    for (const { news } of room.handles) news.changed(memberId)
    this.#session.call(leaveChannel, { memberId }).catch(() => {})
  }

  /** It is told, and the next to ask under it begins anew. */
  #throwOnce(handle: Handle, failure: OttlaError): never {
    this.#forget(handle)
    throw failure
  }
}

const copied = (payload: Uint8Array | null): Uint8Array | null => payload && Uint8Array.from(payload)

const nothing = ({ me }: Handle): ChannelAnswer => ({
  ...{ sequence: 0, me, isWhole: false, present: [], gone: [], messages: [], missed: 0 },
})

function isSame(a: Uint8Array | null, b: Uint8Array | null): boolean {
  if (a === null || b === null) return a === b
  return a.length === b.length && a.every((byte, index) => byte === b[index])
}
