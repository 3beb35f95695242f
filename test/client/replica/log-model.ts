/**
 * Logs in memory that can be appended to, cut, trimmed at their front and made anew, with the offset protocol's rules for
 * subscriptions on top: credit, frames of whole batches, refusals that say where to cut. A test moves every frame by hand.
 */

import type { TopicInfo } from '../../../client/core.ts'
import { OttlaError } from '../../../client/errors.ts'
import { relayError } from '../../../client/relay-errors.ts'
import type {
  ConnectionState,
  Session,
  SubscribeRequest,
  Subscription,
  TopicDirectory,
} from '../../../client/session.ts'
import { ErrorCode } from '../../../protocol/errors.ts'
import { Emitter } from '../../../protocol/lib/events.ts'
import { viewOf, writeBaseOffset, writeLeaderEpoch } from '../../../protocol/record-batch.ts'
import { encodeBatch } from '../../../protocol/records.ts'

interface ModelBatch {
  baseOffset: number
  nextOffset: number
  epoch: number
  bytes: Uint8Array
}

export class PartitionModel {
  batches: ModelBatch[] = []
  epoch = 1
  logStart = 0
  end = 0
  /** (epoch, first offset), ascending. */
  #epochs: Array<{ epoch: number; from: number }> = [{ epoch: 1, from: 0 }]

  append(values: readonly string[], timestamp: number): void {
    const encoder = new TextEncoder()
    const bytes = encodeBatch(values.map((value) => ({ key: null, value: encoder.encode(value), timestamp })))
    const view = viewOf(bytes)
    writeBaseOffset(view, 0, this.end)
    writeLeaderEpoch(view, 0, this.epoch)
    this.batches.push({ baseOffset: this.end, nextOffset: this.end + values.length, epoch: this.epoch, bytes })
    this.end += values.length
  }

  /** At a batch's beginning at or below `offset`; raises the epoch. */
  truncate(offset: number): void {
    this.batches = this.batches.filter(({ nextOffset }) => nextOffset <= offset)
    this.end = Math.max(this.batches.at(-1)?.nextOffset ?? this.logStart, this.logStart)
    this.epoch++
    this.#epochs = this.#epochs.filter(({ from }) => from < this.end)
    this.#epochs.push({ epoch: this.epoch, from: this.end })
  }

  trim(offset: number): void {
    this.logStart = Math.min(offset, this.end)
    this.batches = this.batches.filter(({ nextOffset }) => nextOffset > this.logStart)
  }

  /** What Subscribe answers for a position: where to cut, or -1. */
  divergence(offset: number, epoch: number): number {
    if (epoch < 0) return offset > this.end ? this.end : -1
    const index = this.#epochs.findLastIndex((each) => each.epoch <= epoch)
    if (index < 0) return this.logStart
    const endOfEpoch = this.#epochs[index + 1]?.from ?? this.end
    const isKnown = this.#epochs[index]!.epoch === epoch
    if (!isKnown) return Math.min(offset, endOfEpoch)
    return offset > endOfEpoch ? endOfEpoch : -1
  }

  read(offset: number, bytesMax: number): { bytes: Uint8Array; nextOffset: number } {
    const parts: Uint8Array[] = []
    let sizeBytes = 0
    let nextOffset = offset
    for (const batch of this.batches) {
      if (batch.nextOffset <= offset) continue
      if (parts.length > 0 && sizeBytes + batch.bytes.length > bytesMax) break
      parts.push(batch.bytes)
      sizeBytes += batch.bytes.length
      nextOffset = batch.nextOffset
    }
    const bytes = new Uint8Array(sizeBytes)
    let at = 0
    for (const part of parts) {
      bytes.set(part, at)
      at += part.length
    }
    return { bytes, nextOffset }
  }
}

export interface TopicModel extends TopicInfo {
  partitions: PartitionModel[]
}

export class LogsModel {
  topics = new Map<string, TopicModel>()
  #made = 0

  create(name: string, partitionCount: number): TopicModel {
    const id = `id${++this.#made}`.padEnd(22, 'A')
    const partitions = Array.from({ length: partitionCount }, () => new PartitionModel())
    const topic = { name, id, partitionCount, partitions }
    this.topics.set(name, topic)
    return topic
  }

  byId(id: string): TopicModel | undefined {
    return [...this.topics.values()].find((topic) => topic.id === id)
  }
}

interface Subscriber {
  request: SubscribeRequest
  phase: 'waiting' | 'active' | 'ended' | 'closed'
  offset: number
  credit: number
  wasToldEnd: boolean
}

const FRAME_BYTES_MAX = 700

export class LogSession implements Session {
  state: ConnectionState = offline()
  readonly isKafka = false
  readonly limits = undefined
  readonly clockOffsetMs = undefined
  readonly clockErrorMs = undefined
  readonly metadata: TopicDirectory
  readonly #logs: LogsModel
  readonly #states = new Emitter<ConnectionState>()
  #subscribers: Subscriber[] = []
  granted = 0
  frames = 0

  constructor(logs: LogsModel) {
    this.#logs = logs
    this.metadata = {
      lookUp: async (name) => this.#lookUp(name),
      lookUpId: async (id) => this.#lookUp(logs.byId(id)?.name ?? id),
      known: () => undefined,
      refresh: async (names = []) => names.map((name) => this.#lookUp(name)),
      forget: () => {},
    }
  }

  connect(): void {
    if (this.state.phase === 'live') return
    this.state = { phase: 'live', sinceMs: 0 }
    this.#states.emit(this.state)
  }

  cut(): void {
    if (this.state.phase !== 'live') return
    for (const each of this.#subscribers) if (each.phase === 'active') each.phase = 'waiting'
    this.state = offline()
    this.#states.emit(this.state)
  }

  /** One subscriber makes one step: is answered, or gets a frame. `spoil` may damage the frame on its way. */
  async step(index: number, spoil: (records: Uint8Array) => Uint8Array = (records) => records): Promise<void> {
    const each = this.#subscribers[index % Math.max(1, this.#subscribers.length)]
    if (!each || this.state.phase !== 'live') return
    if (each.phase === 'waiting') this.#answer(each)
    else if (each.phase === 'active') this.#deliver(each, spoil)
  }

  get subscriberCount(): number {
    return this.#subscribers.length
  }

  onHeard(): () => void {
    return () => {}
  }

  onChannelNews(): () => void {
    return () => {}
  }

  onProgress(): () => void {
    return () => {}
  }

  onState(listener: (state: ConnectionState) => void): () => void {
    return this.#states.on(listener)
  }

  subscribe(request: SubscribeRequest): Subscription {
    const subscriber: Subscriber = { request, phase: 'waiting', offset: -1, credit: 0, wasToldEnd: false }
    this.#subscribers.push(subscriber)
    return {
      grant: (bytes) => {
        if (subscriber.phase !== 'active') return
        this.granted += bytes
        subscriber.credit += bytes
      },
      restart: () => {
        if (subscriber.phase !== 'closed') subscriber.phase = 'waiting'
      },
      close: () => {
        subscriber.phase = 'closed'
        this.#subscribers = this.#subscribers.filter((other) => other !== subscriber)
      },
    }
  }

  isSubscribed(topicId: string, partition: number): boolean {
    return this.#subscribers.some(({ request }) => request.topicId === topicId && request.partition === partition)
  }

  async call(): Promise<never> {
    throw disconnected()
  }

  retryNow(): void {}
  reauthenticate(): void {}

  async close(): Promise<void> {
    this.cut()
  }

  #lookUp(name: string): TopicInfo {
    if (this.state.phase !== 'live') throw disconnected()
    const topic = this.#logs.topics.get(name)
    if (!topic) throw relayError('UNKNOWN_TOPIC', { message: `there is no topic ${name}` })
    return { name, id: topic.id, partitionCount: topic.partitionCount }
  }

  #answer(each: Subscriber): void {
    const { request } = each
    const log = this.#logs.byId(request.topicId)?.partitions[request.partition]
    const { offset, leaderEpoch } = request.position()
    each.credit = typeof request.credit === 'function' ? request.credit() : request.credit
    const end = (errorCode: number, truncateTo = -1) => {
      each.phase = 'ended'
      request.onEnded({ errorCode, logStart: log?.logStart ?? -1, truncateTo, retryInMs: null })
    }
    if (!log) return end(ErrorCode.UNKNOWN_TOPIC_ID)
    const startOffset = offset === -1 ? log.end : offset === -2 ? log.logStart : offset
    if (offset >= 0) {
      const truncateTo = log.divergence(offset, leaderEpoch)
      if (truncateTo >= 0) return end(ErrorCode.FENCED_LEADER_EPOCH, truncateTo)
      if (offset < log.logStart) return end(ErrorCode.OFFSET_OUT_OF_RANGE)
    }
    each.phase = 'active'
    each.offset = startOffset
    each.wasToldEnd = false
    request.onStarted?.({
      logStart: log.logStart,
      highWatermark: log.end,
      lastStableOffset: log.end,
      leaderEpoch: log.epoch,
      startOffset,
    })
  }

  #deliver(each: Subscriber, spoil: (records: Uint8Array) => Uint8Array): void {
    const { topicId, partition } = each.request
    const log = this.#logs.byId(topicId)?.partitions[partition]
    if (!log || each.offset > log.end || each.offset < log.logStart) {
      // The relay sees that what it delivered to is no longer there.
      each.phase = 'waiting'
      return
    }
    const isAtEnd = each.offset === log.end
    if (each.credit <= 0 || (isAtEnd && each.wasToldEnd)) return
    const { bytes, nextOffset } = log.read(each.offset, FRAME_BYTES_MAX)
    each.offset = nextOffset
    each.credit -= bytes.length
    each.wasToldEnd = nextOffset === log.end
    this.frames++
    each.request.onDeliver({
      topicId,
      partition,
      leaderEpoch: log.epoch,
      logStart: log.logStart,
      highWatermark: log.end,
      lastStableOffset: log.end,
      nextOffset,
      aborted: [],
      records: spoil(bytes),
    })
  }
}

const disconnected = () => new OttlaError('DISCONNECTED', { message: 'not connected' })

function offline(): ConnectionState {
  return { phase: 'offline', attempt: 1, retryAtMs: 0, error: disconnected().toInfo() }
}
