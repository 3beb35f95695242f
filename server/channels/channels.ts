/**
 * All channels of a relay. In memory only, and all of it bounded: members of a connection, of a channel and in all, bytes
 * of a state, of a channel's states and in all, and how much a connection may say.
 *
 * Who may take part is for the caller to ask; members are named to those who may listen, so an id proves nothing, and
 * only the seat that a member sits on speaks for it.
 */
import { KafkaError } from '../../protocol/errors.ts'
import type { Clock } from '../../protocol/lib/clock.ts'
import type { Random } from '../../protocol/lib/random.ts'
import { randomUuid } from '../../protocol/lib/uuid.ts'
import { Channel, type Member, type Seat } from './channel.ts'
import { PublishRate } from './publish-rate.ts'

export const PAYLOAD_BYTES_MAX = 16 * 1024
export const CHANNEL_NAME_LENGTH_MAX = 512
export const MEMBERS_PER_SEAT_MAX = 256
export const MEMBERS_PER_CHANNEL_MAX = 500
export const CHANNEL_STATE_BYTES_MAX = 1024 * 1024
export const MEMBERS_MAX = 100_000
export const STATE_BYTES_MAX = 64 * 1024 * 1024

interface Taken {
  members: Map<string, Member>
  rate: PublishRate
}

export class Channels {
  readonly #clock: Clock
  readonly #random: Random
  readonly #byKey = new Map<string, Channel>()
  readonly #seats = new Map<Seat, Taken>()
  #memberCount = 0
  #stateBytes = 0

  constructor(clock: Clock, random: Random) {
    this.#clock = clock
    this.#random = random
  }

  get count(): number {
    return this.#byKey.size
  }

  get memberCount(): number {
    return this.#memberCount
  }

  /** The seat hears of the channel from `channel.release(seat)` on. Throws KafkaError POLICY_VIOLATION, INVALID_REQUEST. */
  join(seat: Seat, { topicId, name }: { topicId: string; name: string }, state: Uint8Array | null): Member {
    checkSize(state)
    if (name.length === 0 || name.length > CHANNEL_NAME_LENGTH_MAX)
      throw new KafkaError('INVALID_REQUEST', `a channel's name has 1 to ${CHANNEL_NAME_LENGTH_MAX} characters`)
    const taken = this.#seats.get(seat) ?? { members: new Map(), rate: new PublishRate(this.#clock) }
    const key = keyOf(topicId, name)
    const channel = this.#byKey.get(key) ?? new Channel(topicId, name)
    if (taken.members.size >= MEMBERS_PER_SEAT_MAX || this.#memberCount >= MEMBERS_MAX)
      throw new KafkaError('POLICY_VIOLATION', 'too many members of channels')
    if (channel.members.size >= MEMBERS_PER_CHANNEL_MAX)
      throw new KafkaError('POLICY_VIOLATION', `the channel is full: ${MEMBERS_PER_CHANNEL_MAX} members`)
    this.#checkRoom(channel, state?.length ?? 0)
    const member: Member = { memberId: randomUuid(this.#random), seat, channel, state: kept(state) }
    taken.members.set(member.memberId, member)
    this.#seats.set(seat, taken)
    this.#byKey.set(key, channel)
    this.#memberCount++
    this.#stateBytes += member.state?.length ?? 0
    channel.add(member)
    return member
  }

  find(seat: Seat, memberId: string): Member | undefined {
    return this.#seats.get(seat)?.members.get(memberId)
  }

  /** 0, or how many milliseconds to wait before the seat says so much. */
  delayOf(seat: Seat, sizeBytes: number): number {
    return this.#seats.get(seat)?.rate.take(sizeBytes) ?? 0
  }

  say(member: Member, payload: Uint8Array | null): void {
    checkSize(payload)
    member.channel.say(member, payload)
  }

  setState(member: Member, state: Uint8Array | null): void {
    checkSize(state)
    const growth = (state?.length ?? 0) - (member.state?.length ?? 0)
    this.#checkRoom(member.channel, growth)
    this.#stateBytes += growth
    member.channel.setState(member, kept(state))
  }

  leave(member: Member): void {
    const taken = this.#seats.get(member.seat)
    if (!taken?.members.delete(member.memberId)) return
    if (taken.members.size === 0) this.#seats.delete(member.seat)
    const { channel } = member
    this.#memberCount--
    this.#stateBytes -= member.state?.length ?? 0
    channel.remove(member)
    if (channel.members.size === 0) this.#byKey.delete(keyOf(channel.topicId, channel.name))
  }

  onPeerClosed(seat: Seat): void {
    for (const member of [...(this.#seats.get(seat)?.members.values() ?? [])]) this.leave(member)
  }

  /** The connection has room again. */
  onDrain(seat: Seat): void {
    const members = this.#seats.get(seat)?.members.values() ?? []
    for (const { channel } of members) channel.catchUp(seat)
  }

  onTopicDeleted(topicId: string, errorCode: number): void {
    for (const channel of [...this.#byKey.values()]) {
      if (channel.topicId !== topicId) continue
      channel.end(errorCode)
      for (const member of [...channel.members.values()]) this.leave(member)
    }
  }

  /** Those who may not hear any more are told so, and have left. */
  endWhere(mayNot: (seat: Seat, topicId: string) => boolean, errorCode: number): void {
    for (const channel of [...this.#byKey.values()]) {
      const members = [...channel.members.values()]
      const seats = new Set(members.map(({ seat }) => seat))
      for (const seat of seats) if (!mayNot(seat, channel.topicId)) seats.delete(seat)
      for (const seat of seats) channel.endFor(seat, errorCode)
      for (const member of members) if (seats.has(member.seat)) this.leave(member)
    }
  }

  #checkRoom(channel: Channel, growth: number): void {
    if (growth <= 0) return
    if (channel.stateBytes + growth > CHANNEL_STATE_BYTES_MAX || this.#stateBytes + growth > STATE_BYTES_MAX)
      throw new KafkaError(
        'POLICY_VIOLATION',
        `no room for the state: ${CHANNEL_STATE_BYTES_MAX} bytes for all of a channel`,
      )
  }
}

const keyOf = (topicId: string, name: string): string => `${topicId}/${name}`

/** Not a view of the whole request. */
const kept = (state: Uint8Array | null): Uint8Array | null => state && Uint8Array.from(state)

function checkSize(payload: Uint8Array | null): void {
  if (payload && payload.length > PAYLOAD_BYTES_MAX)
    throw new KafkaError('MESSAGE_TOO_LARGE', `${payload.length} bytes; a channel takes ${PAYLOAD_BYTES_MAX} at a time`)
}
