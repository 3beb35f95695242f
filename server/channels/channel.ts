/**
 * One channel: its members, and who listens for them.
 *
 * A listener is a connection, however many members it has. Invariant: one that does not take what it is sent holds no
 * queue here; it is behind, and is told who is there, whole, when it has room.
 */
import { ChannelEvent, type ChannelMemberState } from '../../protocol/messages/channels.ts'
import type { Principal } from '../authorizer.ts'
import { UNSENT_BYTES_MAX } from '../fan-out/subscription.ts'
import { type ChannelHappening, News } from './news.ts'

/** A connection, or whatever else takes part. */
export interface Seat {
  readonly isClosed: boolean
  /** Bytes handed to it that are not taken yet. */
  readonly unsentBytes: number
  hearChannel(news: News): void
  /** Who sits there; none where it is the relay itself. */
  principal?(): Principal
}

export interface Member extends ChannelMemberState {
  readonly seat: Seat
  readonly channel: Channel
}

interface Listener {
  readonly seat: Seat
  memberCount: number
  /** Answers that are not out yet, behind which news must come. */
  holds: number
  isBehind: boolean
}

export class Channel {
  readonly topicId: string
  readonly name: string
  readonly members = new Map<string, Member>()
  readonly #listeners = new Map<Seat, Listener>()
  stateBytes = 0

  constructor(topicId: string, name: string) {
    this.topicId = topicId
    this.name = name
  }

  get states(): ChannelMemberState[] {
    return [...this.members.values()].map(({ memberId, state }) => ({ memberId, state }))
  }

  /** The seat hears nothing more of the channel until `release`. */
  add(member: Member): void {
    this.members.set(member.memberId, member)
    this.stateBytes += sizeOf(member.state)
    const listener = this.#listeners.get(member.seat) ?? {
      seat: member.seat,
      memberCount: 0,
      holds: 0,
      isBehind: false,
    }
    listener.memberCount++
    listener.holds++
    this.#listeners.set(member.seat, listener)
    this.#tell(present(member), member.seat)
  }

  release(seat: Seat): void {
    const listener = this.#listeners.get(seat)
    if (!listener) return
    listener.holds--
    this.catchUp(seat)
  }

  remove(member: Member): void {
    this.members.delete(member.memberId)
    this.stateBytes -= sizeOf(member.state)
    const listener = this.#listeners.get(member.seat)
    if (listener && --listener.memberCount === 0) this.#listeners.delete(member.seat)
    this.#tell({ memberId: member.memberId, kind: ChannelEvent.gone, payload: null })
  }

  setState(member: Member, state: Uint8Array | null): void {
    this.stateBytes += sizeOf(state) - sizeOf(member.state)
    member.state = state
    this.#tell(present(member), this.#isAlone(member) ? member.seat : undefined)
  }

  say({ memberId, ...member }: Member, payload: Uint8Array | null): void {
    const except = this.#isAlone(member) ? member.seat : undefined
    this.#tell({ memberId, kind: ChannelEvent.message, payload }, except)
  }

  /** The seat has room again. */
  catchUp(seat: Seat): void {
    const listener = this.#listeners.get(seat)
    if (!listener?.isBehind || !canHear(listener)) return
    listener.isBehind = false
    const events = this.states.map(present)
    seat.hearChannel(new News(this, { isWhole: 1, events }))
  }

  /** For everybody; the caller forgets the channel. */
  end(errorCode: number): void {
    const news = new News(this, { errorCode })
    for (const { seat } of this.#listeners.values()) if (!seat.isClosed) seat.hearChannel(news)
    this.#listeners.clear()
  }

  /** For one seat; the caller lets its members leave. */
  endFor(seat: Seat, errorCode: number): void {
    if (this.#listeners.delete(seat) && !seat.isClosed) seat.hearChannel(new News(this, { errorCode }))
  }

  /** Its seat has nobody else here, who would have to hear what it says. */
  #isAlone({ seat }: Pick<Member, 'seat'>): boolean {
    return this.#listeners.get(seat)?.memberCount === 1
  }

  #tell(happening: ChannelHappening, except?: Seat): void {
    const news = new News(this, { events: [happening] })
    for (const listener of this.#listeners.values()) {
      if (listener.seat === except) continue
      if (!listener.isBehind && canHear(listener)) listener.seat.hearChannel(news)
      else listener.isBehind = true
    }
  }
}

const sizeOf = (state: Uint8Array | null): number => state?.length ?? 0

const canHear = ({ holds, seat }: Listener): boolean =>
  holds === 0 && !seat.isClosed && seat.unsentBytes <= UNSENT_BYTES_MAX

const present = ({ memberId, state }: ChannelMemberState): ChannelHappening => ({
  ...{ memberId, kind: ChannelEvent.present, payload: state },
})
