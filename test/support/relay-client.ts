/** A bare client of the WebSocket door for tests: speaks any API in any version, keeps every push, hides nothing. */
import { onTestFinished } from 'vitest'
import { WebSocket } from 'ws'
import { type Api, decodeResponse, encodeRequest } from '../../protocol/api.ts'
import { Reader } from '../../protocol/bytes/reader.ts'
import { type ChannelNews, channelNews } from '../../protocol/messages/channels.ts'
import { metadata } from '../../protocol/messages/metadata.ts'
import {
  type Deliver,
  type DeliverMatching,
  deliver,
  deliverMatching,
  heartbeat,
  hello,
  IsolationLevel,
  readPushStart,
  type SubscriptionEnded,
  subscribe,
  subscriptionEnded,
} from '../../protocol/messages/offset-protocol.ts'
import { produce } from '../../protocol/messages/produce.ts'
import { type Progress, progress } from '../../protocol/messages/receipts.ts'
import { createTopics } from '../../protocol/messages/topics.ts'
import { apiVersions } from '../../protocol/messages/versions.ts'
import { encodeBatch, type RecordInput } from '../../protocol/records.ts'
import { eventually } from './eventually.ts'

const utf8 = new TextEncoder()

export class RelayClient {
  readonly socket: WebSocket
  /** `DeliverMatching` too. */
  readonly deliveries: Array<Deliver & Partial<DeliverMatching>> = []
  readonly ended: SubscriptionEnded[] = []
  readonly progress: Progress[] = []
  readonly news: ChannelNews[] = []
  heartbeats = 0
  /** How many deliveries had come before the latest response: several messages may come in one turn. */
  deliveriesBeforeResponse = 0
  closed: { code: number; reason: string } | undefined
  #correlationId = 0
  readonly #waiting = new Map<number, (reader: Reader) => void>()

  static async open(url: string, options: { origin?: string; autoPong?: boolean } = {}): Promise<RelayClient> {
    const socket = new WebSocket(url, { perMessageDeflate: false, ...options })
    socket.setMaxListeners(0)
    const client = new RelayClient(socket)
    await new Promise<void>((resolve, reject) => {
      socket.once('open', resolve)
      socket.once('error', reject)
    })
    onTestFinished(() => socket.terminate())
    return client
  }

  constructor(socket: WebSocket) {
    this.socket = socket
    socket.on('error', () => {})
    socket.on('message', (data) => this.#onMessage(data as Buffer))
    socket.on('close', (code, reason) => {
      this.closed = { code, reason: reason.toString() }
    })
  }

  /** In the API's newest version unless told otherwise. Never resolves for a request without a response. */
  call<Res, ReqIn>(api: Api<unknown, Res, ReqIn, never>, body: ReqIn, version = api.maxVersion): Promise<Res> {
    const correlationId = this.#correlationId++
    const answer = new Promise<Res>((resolve, reject) => {
      this.#waiting.set(correlationId, (reader) => {
        try {
          resolve(decodeResponse(api as Api<unknown, Res, never, never>, version, reader))
        } catch (error) {
          reject(error)
        }
      })
      this.socket.once('close', (code) => reject(new Error(`closed with ${code}`)))
    })
    answer.catch(() => {})
    this.socket.send(
      encodeRequest(api as Api<unknown, unknown, ReqIn, never>, version, { correlationId, clientId: 'test' }, body),
    )
    return answer
  }

  async sayHello(options: { replicaId?: string; generation?: number; heartbeatMs?: number } = {}) {
    await this.call(apiVersions, { clientSoftwareName: 'ottla-test', clientSoftwareVersion: '1' }, 3)
    return this.call(hello, { replicaId: 'AAAAAAAAAAAAAAAAAAAAAQ', generation: 1, heartbeatMs: 0, ...options })
  }

  /** The new topic's id. */
  async createTopic(
    name: string,
    options: { partitions?: number; configs?: Record<string, string> } = {},
  ): Promise<string> {
    const configs = Object.entries(options.configs ?? {}).map(([key, value]) => ({ name: key, value }))
    const { topics } = await this.call(createTopics, {
      topics: [{ name, numPartitions: options.partitions ?? 1, replicationFactor: -1, assignments: [], configs }],
      validateOnly: false,
    })
    if (topics[0]!.errorCode !== 0) throw new Error(topics[0]!.errorMessage ?? String(topics[0]!.errorCode))
    return topics[0]!.topicId
  }

  async topicId(name: string): Promise<string> {
    const { topics } = await this.call(metadata, { topics: [{ name }], includeTopicAuthorizedOperations: false })
    return topics[0]!.topicId
  }

  async produce(topicId: string, records: Uint8Array | readonly string[], partition = 0) {
    const batch = records instanceof Uint8Array ? records : batchOf(...records)
    const { responses } = await this.call(produce, {
      acks: -1,
      timeoutMs: 10_000,
      topicData: [{ topicId, partitionData: [{ index: partition, records: batch }] }],
    })
    return responses[0]!.partitionResponses[0]!
  }

  async subscribe(
    topicId: string,
    offset: number,
    options: {
      credit?: number
      leaderEpoch?: number
      partition?: number
      isCommitted?: boolean
      keys?: readonly string[]
      prefixes?: readonly string[]
    } = {},
  ) {
    const { partitions } = await this.call(subscribe, {
      isolationLevel: options.isCommitted ? IsolationLevel.readCommitted : IsolationLevel.readUncommitted,
      keys: (options.keys ?? []).map((key) => utf8.encode(key)),
      prefixes: (options.prefixes ?? []).map((prefix) => utf8.encode(prefix)),
      partitions: [
        {
          topicId,
          partition: options.partition ?? 0,
          offset,
          leaderEpoch: options.leaderEpoch ?? -1,
          credit: options.credit ?? 8_000_000,
        },
      ],
    })
    return partitions[0]!
  }

  /** Resolves when deliveries have reached `offset`; they are checked to follow each other without a gap. */
  async deliveredTo(offset: number, withinMs = 10_000) {
    await eventually(() => (this.deliveries.at(-1)?.nextOffset ?? -1) >= offset, {
      withinMs,
      what: `deliveries up to ${offset}`,
    })
    return this.deliveries
  }

  waitForClose(withinMs = 10_000): Promise<{ code: number; reason: string }> {
    return eventually(() => this.closed, { withinMs, what: 'the connection closes' })
  }

  #onMessage(data: Buffer): void {
    const reader = new Reader(new Uint8Array(data.buffer, data.byteOffset, data.length))
    const correlationId = reader.int32()
    if (correlationId >= 0) {
      this.deliveriesBeforeResponse = this.deliveries.length
      const settle = this.#waiting.get(correlationId)
      this.#waiting.delete(correlationId)
      return settle?.(reader)
    }
    const { key, version } = readPushStart(reader)
    if (key === deliver.key) this.deliveries.push(deliver.body.read(reader, version))
    else if (key === deliverMatching.key) this.deliveries.push(deliverMatching.body.read(reader, version))
    else if (key === subscriptionEnded.key) this.ended.push(subscriptionEnded.body.read(reader, version))
    else if (key === progress.key) this.progress.push(progress.body.read(reader, version))
    else if (key === channelNews.key) this.news.push(channelNews.body.read(reader, version))
    else if (key === heartbeat.key) this.heartbeats++
  }
}

export function batchOf(...values: readonly string[]): Uint8Array<ArrayBuffer> {
  const records: RecordInput[] = values.map((value, index) => ({
    key: null,
    value: utf8.encode(value),
    timestamp: 1_700_000_000_000 + index,
  }))
  return encodeBatch(records)
}
