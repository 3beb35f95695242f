/**
 * A relay in memory that speaks real frames over an in-memory transport: enough of the protocol to drive a client, and
 * hooks to misbehave at any point. Every request it got is kept, decoded.
 */

import type {
  CloseReason,
  Transport,
  TransportConnection,
  TransportHandlers,
} from '../../client/transport/transport.ts'
import { type AnyApi, encodeResponse, readRequestRest, readRequestStart } from '../../protocol/api.ts'
import { Reader } from '../../protocol/bytes/reader.ts'
import { concatenate } from '../../protocol/compression.ts'
import { seededRandom } from '../../protocol/lib/random.ts'
import { randomUuid } from '../../protocol/lib/uuid.ts'
import * as configs from '../../protocol/messages/configs.ts'
import { describeCluster, metadata } from '../../protocol/messages/metadata.ts'
import {
  deliver,
  encodePush,
  FROM_END,
  FROM_START,
  grant,
  heartbeat,
  hello,
  type Push,
  ping,
  subscribe,
  subscriptionEnded,
  unsubscribe,
} from '../../protocol/messages/offset-protocol.ts'
import { deleteRecords, listOffsets } from '../../protocol/messages/offsets.ts'
import * as topicsApis from '../../protocol/messages/topics.ts'
import { apiVersions } from '../../protocol/messages/versions.ts'
import {
  nextOffsetAt,
  readBatchHeader,
  viewOf,
  writeBaseOffset,
  writeLeaderEpoch,
} from '../../protocol/record-batch.ts'
import { decodeRecords, encodeBatch, type RecordInput } from '../../protocol/records.ts'

export const APIS: AnyApi[] = [
  apiVersions,
  metadata,
  hello,
  subscribe,
  grant,
  unsubscribe,
  ping,
  listOffsets,
  deleteRecords,
  describeCluster,
  topicsApis.createTopics,
  topicsApis.deleteTopics,
  topicsApis.createPartitions,
  configs.describeConfigs,
  configs.incrementalAlterConfigs,
] as AnyApi[]

export interface SeenRequest {
  name: string
  version: number
  correlationId: number
  // biome-ignore lint/suspicious/noExplicitAny: a test reads whatever the request has
  body: any
}

interface DoubleLog {
  topicId: string
  partition: number
  batches: Uint8Array[]
  start: number
  end: number
  epoch: number
  /** Where the records of each ended epoch end. */
  epochEnds: Map<number, number>
}

interface DoubleSubscription {
  log: DoubleLog
  next: number
  credit: number
  isToldUpToDate: boolean
}

export const textBytes = (text: string) => new TextEncoder().encode(text)
export const record = (value: string, key: string | null = null, timestamp = 1_000): RecordInput => ({
  key: key === null ? null : textBytes(key),
  value: textBytes(value),
  timestamp,
})

export class RelayDouble implements Transport {
  readonly connections: DoubleConnection[] = []
  readonly topics = new Map<string, { id: string; partitions: DoubleLog[] }>()
  /** Takes the place of the built-in answer when it returns true. */
  intercept: (request: SeenRequest, connection: DoubleConnection) => boolean = () => false
  /** When false a connection opens only when a test calls `connection.open()`. */
  opensAtOnce = true
  heartbeatMs = 10_000
  serverTimeMs: () => number = () => 1_700_000_000_000
  creditBytesMax = 8 * 1024 * 1024
  requestBytesMax = 1024 * 1024
  readonly #random = seededRandom(7)

  get last(): DoubleConnection {
    return this.connections.at(-1)!
  }

  open(_url: string, handlers: TransportHandlers): TransportConnection {
    const connection = new DoubleConnection(this, handlers)
    this.connections.push(connection)
    if (this.opensAtOnce) queueMicrotask(() => connection.open())
    return connection
  }

  createTopic(name: string, partitionCount = 1): string {
    const id = randomUuid(this.#random)
    const partitions = Array.from({ length: partitionCount }, (_, partition) => ({
      topicId: id,
      partition,
      batches: [],
      start: 0,
      end: 0,
      epoch: 0,
      epochEnds: new Map(),
    }))
    this.topics.set(name, { id, partitions })
    return id
  }

  log(name: string, partition = 0): DoubleLog {
    return this.topics.get(name)!.partitions[partition]!
  }

  logOf(topicId: string, partition: number): DoubleLog | undefined {
    for (const topic of this.topics.values()) if (topic.id === topicId) return topic.partitions[partition]
    return undefined
  }

  append(name: string, records: RecordInput[], partition = 0): void {
    this.appendBatch(name, encodeBatch(records), partition)
  }

  appendBatch(name: string, encoded: Uint8Array, partition = 0): void {
    const log = this.log(name, partition)
    const batch = encoded.slice()
    const view = viewOf(batch)
    writeBaseOffset(view, 0, log.end)
    writeLeaderEpoch(view, 0, log.epoch)
    log.batches.push(batch)
    log.end = nextOffsetAt(view, 0)
    for (const connection of this.connections) connection.pump()
  }

  deleteBefore(name: string, offset: number, partition = 0): void {
    const log = this.log(name, partition)
    log.start = offset
    log.batches = log.batches.filter((batch) => nextOffsetAt(viewOf(batch), 0) > offset)
  }

  truncate(name: string, offset: number, partition = 0): void {
    const log = this.log(name, partition)
    log.batches = log.batches.filter((batch) => nextOffsetAt(viewOf(batch), 0) <= offset)
    log.end = offset
    log.epochEnds.set(log.epoch, offset)
    log.epoch++
  }
}

export class DoubleConnection implements TransportConnection {
  bufferedBytes = 0
  readonly relay: RelayDouble
  readonly requests: SeenRequest[] = []
  readonly closedByClient: CloseReason[] = []
  isOpen = false
  isOver = false
  readonly subscriptions = new Map<string, DoubleSubscription>()
  readonly #handlers: TransportHandlers

  constructor(relay: RelayDouble, handlers: TransportHandlers) {
    this.relay = relay
    this.#handlers = handlers
  }

  named(name: string): SeenRequest[] {
    return this.requests.filter((request) => request.name === name)
  }

  // --- the client's side ---------------------------------------------------------------------------------------

  send(message: Uint8Array): void {
    if (!this.isOpen || this.isOver) return
    const copy = message.slice()
    queueMicrotask(() => this.#receive(copy))
  }

  close(code: number, reason: string): void {
    if (this.isOver) return
    this.isOver = true
    this.closedByClient.push({ code, reason, by: 'us' })
    this.#handlers.onClose({ code, reason, by: 'us' })
  }

  // --- the relay's side ----------------------------------------------------------------------------------------

  open(): void {
    if (this.isOver) return
    this.isOpen = true
    this.#handlers.onOpen()
  }

  closeByRelay(code: number, reason = ''): void {
    if (this.isOver) return
    this.isOver = true
    this.#handlers.onClose({ code, reason, by: 'relay' })
  }

  sendRaw(message: Uint8Array): void {
    if (!this.isOver) this.#handlers.onMessage(message)
  }

  push<Out, In>(kind: Push<Out, In>, body: In): void {
    this.sendRaw(encodePush(kind, body))
  }

  heartbeat(): void {
    this.push(heartbeat, { serverTimeMs: this.relay.serverTimeMs() })
  }

  answer(request: SeenRequest, body: unknown): void {
    const api = APIS.find((candidate) => candidate.name === request.name)!
    this.sendRaw(encodeResponse(api, request.version, request.correlationId, body as never))
  }

  endSubscription(name: string, errorCode: number, more: { logStart?: number; truncateTo?: number } = {}): void {
    const { topicId, partition } = this.relay.log(name)
    this.subscriptions.delete(`${topicId}:${partition}`)
    this.push(subscriptionEnded, { topicId, partition, errorCode, ...more })
  }

  /** Delivers, one batch a frame, whatever credit allows. */
  pump(): void {
    if (this.isOver) return
    for (const subscription of this.subscriptions.values()) this.#pumpOne(subscription)
  }

  #pumpOne(subscription: DoubleSubscription): void {
    const { log } = subscription
    while (subscription.credit > 0) {
      const batch = log.batches.find((candidate) => nextOffsetAt(viewOf(candidate), 0) > subscription.next)
      if (!batch && subscription.isToldUpToDate) return
      const records = batch ?? new Uint8Array(0)
      subscription.next = batch ? nextOffsetAt(viewOf(batch), 0) : subscription.next
      subscription.isToldUpToDate = subscription.next === log.end
      subscription.credit -= records.length
      this.push(deliver, {
        topicId: log.topicId,
        partition: log.partition,
        leaderEpoch: log.epoch,
        logStart: log.start,
        highWatermark: log.end,
        lastStableOffset: log.end,
        nextOffset: subscription.next,
        records,
      })
      if (!batch) return
    }
  }

  #receive(message: Uint8Array): void {
    if (this.isOver) return
    const reader = new Reader(message)
    const { apiKey, apiVersion, correlationId } = readRequestStart(reader)
    const api = APIS.find((candidate) => candidate.key === apiKey)
    if (!api) return this.closeByRelay(4400, `unknown key ${apiKey}`)
    readRequestRest(reader, apiVersion >= api.flexibleFrom)
    const body = api.request.read(reader, apiVersion)
    const request: SeenRequest = { name: api.name, version: apiVersion, correlationId, body }
    this.requests.push(request)
    if (!this.relay.intercept(request, this)) this.reply(request)
  }

  reply(request: SeenRequest): void {
    const { relay } = this
    switch (request.name) {
      case 'ApiVersions':
        return this.answer(request, {
          errorCode: 0,
          apiKeys: APIS.map((api) => ({ apiKey: api.key, minVersion: api.minVersion, maxVersion: api.maxVersion })),
        })
      case 'Hello':
        return this.answer(request, {
          errorCode: 0,
          clusterId: 'double',
          heartbeatMs: relay.heartbeatMs,
          serverTimeMs: relay.serverTimeMs(),
          requestBytesMax: relay.requestBytesMax,
          creditBytesMax: relay.creditBytesMax,
          producerIdExpirationMs: 30 * 86_400_000,
        })
      case 'Ping':
        return this.answer(request, { ...request.body, serverTimeMs: relay.serverTimeMs() })
      case 'Metadata':
        return this.answer(request, this.#describeTopics(request.body.topics))
      case 'Subscribe':
        return this.#subscribe(request)
      case 'Unsubscribe':
        for (const { topicId, partition } of request.body.partitions)
          this.subscriptions.delete(`${topicId}:${partition}`)
        return this.answer(request, { errorCode: 0 })
      case 'Grant':
        for (const { topicId, partition, bytes } of request.body.grants) {
          const subscription = this.subscriptions.get(`${topicId}:${partition}`)
          if (subscription) subscription.credit += bytes
        }
        return this.pump()
      case 'ListOffsets':
        return this.#listOffsets(request)
    }
  }

  #listOffsets(request: SeenRequest): void {
    this.answer(request, {
      topics: request.body.topics.map((topic: { name: string; partitions: Array<Record<string, number>> }) => ({
        name: topic.name,
        partitions: topic.partitions.map(({ partitionIndex, timestamp }) => {
          const log = this.relay.log(topic.name, partitionIndex)
          const offset = timestamp === -1 ? log.end : timestamp === -2 ? log.start : offsetForTime(log, timestamp!)
          return { partitionIndex, errorCode: 0, timestamp: -1, offset, leaderEpoch: log.epoch }
        }),
      })),
    })
  }

  #describeTopics(wanted: Array<{ name: string | null; topicId: string }> | null): unknown {
    const all = wanted ?? [...this.relay.topics.keys()].map((name) => ({ name, topicId: '' }))
    const topics = all.map(({ name, topicId }) => {
      const found = [...this.relay.topics].find(([known, { id }]) => (name === null ? id === topicId : known === name))
      if (!found) return { errorCode: name === null ? 100 : 3, name, topicId, isInternal: false, partitions: [] }
      const partitions = found[1].partitions.map(({ partition }) => ({
        errorCode: 0,
        partitionIndex: partition,
        leaderId: 1,
        replicaNodes: [1],
        isrNodes: [1],
      }))
      return { errorCode: 0, name: found[0], topicId: found[1].id, partitions }
    })
    return { brokers: [], clusterId: 'double', controllerId: 1, topics }
  }

  #subscribe(request: SeenRequest): void {
    const started: DoubleSubscription[] = []
    const partitions = request.body.partitions.map(
      (asked: { topicId: string; partition: number; offset: number; leaderEpoch: number; credit: number }) => {
        const { topicId, partition } = asked
        const log = this.relay.logOf(topicId, partition)
        if (!log) return { topicId, partition, errorCode: 100 }
        const next = asked.offset === FROM_END ? log.end : asked.offset === FROM_START ? log.start : asked.offset
        const base = { topicId, partition, logStart: log.start, highWatermark: log.end, lastStableOffset: log.end }
        if (next < log.start) return { ...base, errorCode: 1 }
        const epochEnd = log.epochEnds.get(asked.leaderEpoch) ?? log.end
        if (next > epochEnd) return { ...base, errorCode: 74, truncateTo: epochEnd }
        const subscription = { log, next, credit: asked.credit, isToldUpToDate: false }
        this.subscriptions.set(`${topicId}:${partition}`, subscription)
        started.push(subscription)
        return { ...base, errorCode: 0, leaderEpoch: log.epoch, startOffset: next }
      },
    )
    this.answer(request, { partitions })
    for (const subscription of started) this.#pumpOne(subscription)
  }
}

function offsetForTime(log: DoubleLog, timestamp: number): number {
  for (const batch of log.batches) {
    const header = readBatchHeader(viewOf(batch))
    for (const found of decodeRecords(header, batch.subarray(61))) if (found.timestamp >= timestamp) return found.offset
  }
  return -1
}

export const joined = (batches: Uint8Array[]) => concatenate(batches)
