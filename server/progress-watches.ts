/**
 * Who is told how far groups come with partitions.
 *
 * A push says where things stand, so a watch holds no queue: a connection that does not take what it is sent is behind,
 * and is told the whole state when it has room. Bounds: WATCHES_PER_PEER_MAX for one connection, WATCHES_MAX in all.
 */
import { ErrorCode, KafkaError } from '../protocol/errors.ts'
import { encodePush } from '../protocol/messages/offset-protocol.ts'
import { FailedHow, progress, type FailedRange as WireRange } from '../protocol/messages/receipts.ts'
import type { FailedRange } from './coordinator/failed-records.ts'
import type { GroupPartition, GroupProgress, ProgressNews, Receipts } from './coordinator/receipts.ts'
import { UNSENT_BYTES_MAX } from './fan-out/subscription.ts'
import { WEBSOCKET_HEADER_BYTES_MAX } from './listener/websocket-frame.ts'
import type { Peer } from './peer.ts'

export const WATCHES_PER_PEER_MAX = 4096
export const WATCHES_MAX = 200_000

export interface Watch extends GroupPartition {
  readonly peer: Peer
  readonly fromOffset: number
  /** Its answer is out: pushes may follow. */
  isActive: boolean
  /** Something was not told. */
  isBehind: boolean
  /** The whole state is about to be told. News that overtook it would be half of the truth. */
  isBeingTold: boolean
}

export class ProgressWatches {
  readonly #receipts: Receipts
  readonly #byPeer = new Map<Peer, Map<string, Watch>>()
  readonly #byPartition = new Map<string, Set<Watch>>()
  readonly #stop: Array<() => void>
  #count = 0

  constructor(receipts: Receipts) {
    this.#receipts = receipts
    this.#stop = [receipts.onProgress.on((news) => this.#tell(news)), receipts.onReloaded.on(() => this.#tellAllAnew())]
  }

  get count(): number {
    return this.#count
  }

  /** In place of one that the peer had for the same. Throws KafkaError POLICY_VIOLATION. */
  add(peer: Peer, { groupId, topicId, partition }: GroupPartition, fromOffset: number): Watch {
    const key = keyOf({ groupId, topicId, partition })
    const ofPeer = this.#byPeer.get(peer) ?? new Map<string, Watch>()
    const former = ofPeer.get(key)
    if (!former && (ofPeer.size >= WATCHES_PER_PEER_MAX || this.#count >= WATCHES_MAX))
      throw new KafkaError('POLICY_VIOLATION', 'too much is watched already')
    if (former) this.#remove(former)
    const watch: Watch = {
      peer,
      groupId,
      topicId,
      partition,
      fromOffset,
      isActive: false,
      isBehind: false,
      isBeingTold: false,
    }
    ofPeer.set(key, watch)
    this.#byPeer.set(peer, ofPeer)
    const watches = this.#byPartition.get(key) ?? new Set()
    this.#byPartition.set(key, watches.add(watch))
    this.#count++
    return watch
  }

  /** The answer with the state is out. */
  activate(watch: Watch): void {
    watch.isActive = true
    if (watch.isBehind) this.#tellAnew(watch)
  }

  remove(peer: Peer, at: GroupPartition): void {
    const watch = this.#byPeer.get(peer)?.get(keyOf(at))
    if (watch) this.#remove(watch)
  }

  onPeerClosed(peer: Peer): void {
    for (const watch of [...(this.#byPeer.get(peer)?.values() ?? [])]) this.#remove(watch)
  }

  /** The connection has room again. */
  onDrain(peer: Peer): void {
    for (const watch of this.#byPeer.get(peer)?.values() ?? []) if (watch.isBehind) this.#tellAnew(watch)
  }

  onTopicDeleted(topicId: string): void {
    const ended = [...this.#byPeer.values()].flatMap((watches) =>
      [...watches.values()].filter((watch) => watch.topicId === topicId),
    )
    for (const watch of ended) this.#end(watch, ErrorCode.UNKNOWN_TOPIC_ID)
  }

  endWhere(mayNot: (watch: Watch) => boolean, errorCode: number): void {
    const ended = [...this.#byPeer.values()].flatMap((watches) => [...watches.values()].filter(mayNot))
    for (const watch of ended) this.#end(watch, errorCode)
  }

  close(): void {
    for (const stop of this.#stop) stop()
  }

  #tell(news: ProgressNews): void {
    for (const watch of this.#byPartition.get(keyOf(news)) ?? []) {
      if (canBeTold(watch)) send(watch, ErrorCode.NONE, news)
      else watch.isBehind = true
    }
  }

  #tellAllAnew(): void {
    for (const watches of this.#byPartition.values()) for (const watch of watches) this.#tellAnew(watch)
  }

  #tellAnew(watch: Watch): void {
    watch.isBehind = true
    if (!canBeTold(watch)) return
    watch.isBehind = false
    watch.isBeingTold = true
    void this.#receipts
      .progress(watch)
      .then(
        (state) => {
          if (this.#byPeer.get(watch.peer)?.get(keyOf(watch)) === watch) send(watch, ErrorCode.NONE, state)
        },
        // The coordinator reads its log again, and tells everybody after that.
        () => {},
      )
      .finally(() => {
        watch.isBeingTold = false
        if (watch.isBehind) this.#tellAnew(watch)
      })
  }

  #end(watch: Watch, errorCode: number): void {
    this.#remove(watch)
    send(watch, errorCode, { committed: -1, knownFrom: -1, failed: [] })
  }

  #remove(watch: Watch): void {
    const key = keyOf(watch)
    const ofPeer = this.#byPeer.get(watch.peer)
    if (ofPeer?.get(key) !== watch) return
    ofPeer.delete(key)
    if (ofPeer.size === 0) this.#byPeer.delete(watch.peer)
    const watches = this.#byPartition.get(key)
    if (watches?.delete(watch) && watches.size === 0) this.#byPartition.delete(key)
    this.#count--
  }
}

/** Failed records that a watch wants to know of, as messages have them. */
export function wireProgress({ committed, knownFrom, failed }: GroupProgress, fromOffset: number) {
  return { committed, knownFrom, failed: failed.filter(({ to }) => to > fromOffset).map(wireRange) }
}

function wireRange({ from, to, how, reason, place }: FailedRange): WireRange {
  return {
    ...{ from, to, reason, how: how === 'skipped' ? FailedHow.skipped : FailedHow.deadLettered },
    ...{ deadTopic: place?.topic ?? '', deadPartition: place?.partition ?? -1, deadOffset: place?.offset ?? -1 },
  }
}

function canBeTold({ isActive, isBeingTold, peer }: Watch): boolean {
  return isActive && !isBeingTold && peer.unsentBytes <= UNSENT_BYTES_MAX
}

function send({ peer, fromOffset, groupId, topicId, partition }: Watch, errorCode: number, state: GroupProgress): void {
  if (peer.isClosed) return
  const body = { groupId, topicId, partition, errorCode, ...wireProgress(state, fromOffset) }
  peer.sendMessage(encodePush(progress, body, { headroom: WEBSOCKET_HEADER_BYTES_MAX }), WEBSOCKET_HEADER_BYTES_MAX)
}

function keyOf({ groupId, topicId, partition }: GroupPartition): string {
  return `${topicId}/${partition}/${groupId}`
}
