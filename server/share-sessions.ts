/**
 * Share sessions: what a member of a share group fetches from, remembered between its requests (KIP-932).
 *
 * Each request carries the next number of its session, so that one that got lost, or came twice, is noticed. A session ends
 * when its member says so, or with its connection: what the member had in hand is handed out again, and counts as delivered
 * either way. Who fails over a record and closes in good order must not get it for ever.
 */
import { KafkaError } from '../protocol/errors.ts'
import type { TopicPartition } from './coordinator/offsets.ts'
import type { ShareDeliveries } from './coordinator/share/share-deliveries.ts'
import type { OnceClosed } from './coordinator/waiting-replies.ts'

/** In all sessions together. */
const PARTITIONS_MAX = 1_000_000
const EPOCH_MAX = 2 ** 31 - 1

export interface SessionKey {
  readonly groupId: string
  readonly memberId: string
}

export class ShareSession {
  readonly groupId: string
  readonly memberId: string
  /** Of the coordinator's state; what is in hand is forgotten with it. */
  readonly stateEpoch: number
  readonly #partitions = new Map<string, TopicPartition>()
  /** What the next request must say. */
  nextEpoch = 1
  isOver = false
  /** Takes the listener off that waits for the end of the connection. */
  stopWatching = (): void => {}

  constructor({ groupId, memberId }: SessionKey, stateEpoch: number) {
    this.groupId = groupId
    this.memberId = memberId
    this.stateEpoch = stateEpoch
  }

  get partitionCount(): number {
    return this.#partitions.size
  }

  /** Each request begins with another, so that none is always the last. */
  partitionsInTurn(): TopicPartition[] {
    const all = [...this.#partitions.values()]
    const from = all.length === 0 ? 0 : this.nextEpoch % all.length
    return [...all.slice(from), ...all.slice(0, from)]
  }

  add(at: TopicPartition): void {
    this.#partitions.set(keyOf(at), at)
  }

  remove(at: TopicPartition): void {
    this.#partitions.delete(keyOf(at))
  }
}

const keyOf = ({ topicId, partition }: TopicPartition) => `${topicId}/${partition}`
const nameOf = ({ groupId, memberId }: SessionKey) => JSON.stringify([groupId, memberId])

export class ShareSessions {
  readonly #sessions = new Map<string, ShareSession>()
  readonly #deliveries: ShareDeliveries
  readonly #sessionsMax: number
  #partitionCount = 0

  constructor(deliveries: ShareDeliveries, sessionsMax: number) {
    this.#deliveries = deliveries
    this.#sessionsMax = sessionsMax
  }

  get size(): number {
    return this.#sessions.size
  }

  /** In place of the one that the member has, if any; what it has in hand stays there. */
  open(key: SessionKey, onceClosed: OnceClosed): ShareSession {
    const known = this.#sessions.get(nameOf(key))
    if (known) this.#forget(known)
    if (this.#sessions.size >= this.#sessionsMax)
      throw new KafkaError('SHARE_SESSION_LIMIT_REACHED', `there are ${this.#sessionsMax} share sessions already`)
    const session = new ShareSession(key, this.#deliveries.epoch)
    session.stopWatching = onceClosed(() => this.#end(session))
    this.#sessions.set(nameOf(key), session)
    return session
  }

  /** Throws KafkaError SHARE_SESSION_NOT_FOUND, INVALID_SHARE_SESSION_EPOCH. */
  goOn(key: SessionKey, epoch: number): ShareSession {
    const session = this.existing(key)
    if (epoch !== session.nextEpoch)
      throw new KafkaError('INVALID_SHARE_SESSION_EPOCH', `the session is at ${session.nextEpoch}, not at ${epoch}`)
    session.nextEpoch = epoch === EPOCH_MAX ? 1 : epoch + 1
    return session
  }

  /** Throws KafkaError SHARE_SESSION_NOT_FOUND. */
  existing(key: SessionKey): ShareSession {
    const session = this.#sessions.get(nameOf(key))
    if (session && session.stateEpoch !== this.#deliveries.epoch) this.#forget(session)
    if (!session || session.isOver)
      throw new KafkaError('SHARE_SESSION_NOT_FOUND', `member ${key.memberId} has no share session`)
    return session
  }

  /** Throws KafkaError SHARE_SESSION_LIMIT_REACHED when it would hold too much. */
  add(session: ShareSession, at: TopicPartition): void {
    if (this.#partitionCount >= PARTITIONS_MAX)
      throw new KafkaError('SHARE_SESSION_LIMIT_REACHED', `share sessions name ${PARTITIONS_MAX} partitions already`)
    this.#count(session, () => session.add(at))
  }

  remove(session: ShareSession, at: TopicPartition): void {
    this.#count(session, () => session.remove(at))
  }

  /** The member says goodbye. */
  close(session: ShareSession): void {
    this.#end(session)
  }

  #end(session: ShareSession): void {
    if (session.isOver) return
    this.#forget(session)
    const { groupId, memberId, stateEpoch } = session
    if (stateEpoch === this.#deliveries.epoch) this.#deliveries.release(groupId, memberId)
  }

  #forget(session: ShareSession): void {
    session.isOver = true
    session.stopWatching()
    this.#partitionCount -= session.partitionCount
    this.#sessions.delete(nameOf(session))
  }

  #count(session: ShareSession, change: () => void): void {
    this.#partitionCount -= session.partitionCount
    change()
    this.#partitionCount += session.partitionCount
  }
}
