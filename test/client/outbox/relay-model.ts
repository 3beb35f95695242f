/**
 * A relay in memory with Kafka's rules for idempotent producers, behind a network that a test moves by hand: requests and
 * replies wait until they are delivered, connections can be cut at any moment, and requests that were already sent can
 * arrive after the cut.
 */

import type { TopicInfo } from '../../../client/core.ts'
import { OttlaError } from '../../../client/errors.ts'
import { relayError } from '../../../client/relay-errors.ts'
import type { ConnectionState, Session, Subscription, TopicDirectory } from '../../../client/session.ts'
import type { Api } from '../../../protocol/api.ts'
import { ErrorCode } from '../../../protocol/errors.ts'
import { Emitter } from '../../../protocol/lib/events.ts'
import { batchesIn, findBatchFault, lastSequenceOf, sequenceAfter, viewOf } from '../../../protocol/record-batch.ts'
import { decodeRecords } from '../../../protocol/records.ts'
import { CoordinatorModel } from './coordinator-model.ts'

const WINDOW = 5

interface ProducerState {
  epoch: number
  lastSequence: number
  window: Array<{ first: number; last: number; baseOffset: number }>
}

export interface PartitionModel {
  values: string[]
  producers: Map<number, ProducerState>
}

export interface TopicModel {
  id: string
  partitions: PartitionModel[]
}

type Refusal = (topic: string, partition: number, values: string[]) => number

export class RelayModel {
  readonly topics = new Map<string, TopicModel>()
  readonly coordinator = new CoordinatorModel()
  /** Asked before the sequence is looked at; 0 lets the batch through. */
  refusal: Refusal = () => 0
  canDescribe = true
  /** Partitions that answers about producers say nothing of. */
  leavesOut: (partition: number) => boolean = () => false
  appends = 0
  duplicates = 0
  outOfOrder = 0
  #nextProducerId = 1_000
  #nextTopicId = 1

  createTopic(name: string, partitionCount: number): TopicModel {
    const id = `topic${this.#nextTopicId++}`.padEnd(22, 'A')
    const partitions = Array.from({ length: partitionCount }, () => ({ values: [], producers: new Map() }))
    const topic = { id, partitions }
    this.topics.set(name, topic)
    return topic
  }

  /** Under another id; a group's offsets for the old one go with it. */
  recreateTopic(name: string, partitionCount: number): void {
    this.createTopic(name, partitionCount)
    this.coordinator.forgetOffsets(name)
  }

  values(name: string): string[][] {
    return this.topics.get(name)!.partitions.map(({ values }) => values)
  }

  handle(apiName: string, body: unknown): unknown {
    if (apiName === 'Produce') return this.#produce(body as ProduceBody)
    if (apiName === 'InitProducerId') return this.#initProducer(body as { transactionalId: string | null })
    if (apiName === 'EndTxn') return this.coordinator.end(body as Parameters<CoordinatorModel['end']>[0])
    if (apiName === 'TxnOffsetCommit') return this.#commitOffsets(body as OffsetsBody)
    if (apiName === 'OffsetFetch') return this.#fetchOffsets(body as FetchBody)
    if (apiName === 'DescribeProducers') return this.#describe(body as DescribeBody)
    throw new Error(`the model has no ${apiName}`)
  }

  #initProducer({ transactionalId }: { transactionalId: string | null }): unknown {
    const newProducerId = () => this.#nextProducerId++
    if (transactionalId !== null) return this.coordinator.init(transactionalId, newProducerId)
    return { errorCode: 0, producerId: newProducerId(), producerEpoch: 0 }
  }

  #commitOffsets({ groupId, topics, ...stamp }: OffsetsBody): unknown {
    const errorCode = this.coordinator.commitOffsets(stamp, groupId, topics)
    return {
      topics: topics.map(({ name, partitions }) => ({
        name,
        partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode })),
      })),
    }
  }

  #fetchOffsets({ groups }: FetchBody): unknown {
    return {
      groups: groups.map(({ groupId, topics }) => ({
        groupId,
        errorCode: 0,
        topics: this.coordinator.fetch(groupId, topics),
      })),
    }
  }

  #produce({ topicData, transactionalId }: ProduceBody): unknown {
    return {
      responses: topicData.map(({ name, topicId, partitionData }) => ({
        name,
        topicId,
        partitionResponses: partitionData.map(({ index, records }) => ({
          index,
          errorMessage: null,
          recordErrors: [],
          ...this.#append(name, topicId, index, records, transactionalId),
        })),
      })),
    }
  }

  #append(
    name: string,
    topicId: string,
    index: number,
    bytes: Uint8Array,
    transactionalId: string | null,
  ): { errorCode: number; baseOffset: number } {
    const refuse = (errorCode: number) => ({ errorCode, baseOffset: -1 })
    const topic = this.topics.get(name)
    if (!topic) return refuse(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    if (topic.id !== topicId) return refuse(ErrorCode.UNKNOWN_TOPIC_ID)
    const partition = topic.partitions[index]
    if (!partition) return refuse(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    if (findBatchFault(bytes, viewOf(bytes), 0)) return refuse(ErrorCode.CORRUPT_MESSAGE)
    const [{ header, at, end }] = [...batchesIn(bytes)] as [{ header: never; at: number; end: number }]
    const values = valuesIn(bytes.subarray(at, end), header)
    const refused = this.refusal(name, index, values)
    if (refused) return refuse(refused)
    if (transactionalId === null) return this.#appendOnce(partition, header, values)
    const stamp = header as { producerId: number; producerEpoch: number }
    const joined = this.coordinator.join({ transactionalId, ...stamp })
    if (typeof joined === 'number') return refuse(joined)
    const open = values.map((value) => `open ${value}`)
    const countBefore = partition.values.length
    const answer = this.#appendOnce(partition, header, open)
    for (let at = countBefore; at < partition.values.length; at++) joined({ values: partition.values, index: at })
    return answer
  }

  #appendOnce(
    partition: PartitionModel,
    header: Parameters<typeof lastSequenceOf>[0],
    values: string[],
  ): { errorCode: number; baseOffset: number } {
    const [first, last] = [header.baseSequence, lastSequenceOf(header)]
    const known = partition.producers.get(header.producerId)
    if (known && header.producerEpoch < known.epoch) {
      return { errorCode: ErrorCode.INVALID_PRODUCER_EPOCH, baseOffset: -1 }
    }
    const isNewEpoch = known !== undefined && header.producerEpoch > known.epoch
    if (known && !isNewEpoch) {
      const same = known.window.find((each) => each.first === first && each.last === last)
      if (same) {
        this.duplicates++
        return { errorCode: 0, baseOffset: same.baseOffset }
      }
    }
    const expected = known === undefined ? first : isNewEpoch ? 0 : sequenceAfter(known.lastSequence, 1)
    if (first !== expected) {
      this.outOfOrder++
      return { errorCode: ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, baseOffset: -1 }
    }
    const baseOffset = partition.values.length
    partition.values.push(...values)
    this.appends++
    const window = [...(isNewEpoch ? [] : (known?.window ?? [])), { first, last, baseOffset }].slice(-WINDOW)
    partition.producers.set(header.producerId, { epoch: header.producerEpoch, lastSequence: last, window })
    return { errorCode: 0, baseOffset }
  }

  #describe({ topics }: DescribeBody): unknown {
    return {
      topics: topics.map(({ name, partitionIndexes }) => ({
        name,
        partitions: partitionIndexes
          .filter((index) => !this.leavesOut(index))
          .map((partitionIndex) => {
            const partition = this.topics.get(name)?.partitions[partitionIndex]
            const none = { partitionIndex, activeProducers: [] }
            if (!this.canDescribe) return { ...none, errorCode: ErrorCode.TOPIC_AUTHORIZATION_FAILED }
            if (!partition) return { ...none, errorCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION }
            const activeProducers = [...partition.producers].map(([producerId, { epoch, lastSequence }]) => ({
              producerId,
              producerEpoch: epoch,
              lastSequence,
            }))
            return { partitionIndex, errorCode: 0, activeProducers }
          }),
      })),
    }
  }
}

interface OffsetsBody {
  groupId: string
  transactionalId: string
  producerId: number
  producerEpoch: number
  topics: Parameters<CoordinatorModel['commitOffsets']>[2]
}

interface FetchBody {
  groups: Array<{ groupId: string; topics: Parameters<CoordinatorModel['fetch']>[1] }>
}

interface ProduceBody {
  transactionalId: string | null
  topicData: Array<{ name: string; topicId: string; partitionData: Array<{ index: number; records: Uint8Array }> }>
}

interface DescribeBody {
  topics: Array<{ name: string; partitionIndexes: number[] }>
}

function valuesIn(batch: Uint8Array, header: Parameters<typeof decodeRecords>[0]): string[] {
  const decoder = new TextDecoder()
  return [...decodeRecords(header, batch.subarray(61))].map(({ value }) => decoder.decode(value ?? new Uint8Array()))
}

interface Call {
  apiName: string
  body: unknown
  reply: unknown
  resolve(answer: unknown): void
  reject(failure: OttlaError): void
}

/** One client's connection to the model. Nothing moves until `deliverRequest` and `deliverReply` are called. */
export class ModelSession implements Session {
  state: ConnectionState = { phase: 'offline', attempt: 0, retryAtMs: 0, error: disconnected().toInfo() }
  readonly isKafka = false
  readonly limits = {
    clusterId: 'model',
    requestBytesMax: 1024 * 1024,
    creditBytesMax: 8 * 1024 * 1024,
    producerIdExpirationMs: 30 * 86_400_000,
  }
  readonly clockOffsetMs = 0
  readonly clockErrorMs = 0
  readonly metadata: TopicDirectory
  readonly #relay: RelayModel
  readonly #states = new Emitter<ConnectionState>()
  #requests: Call[] = []
  #replies: Call[] = []
  /** Sent before a cut; may still reach the relay. */
  #strays: Call[] = []

  constructor(relay: RelayModel) {
    this.#relay = relay
    this.metadata = directoryOf(relay, () => this.state.phase === 'live')
  }

  /** The name of what is delivered next. */
  get nextRequest(): string | undefined {
    return this.#requests[0]?.apiName
  }

  get requestsWaiting(): number {
    return this.#requests.length
  }

  get repliesWaiting(): number {
    return this.#replies.length
  }

  get straysWaiting(): number {
    return this.#strays.length
  }

  connect(): void {
    if (this.state.phase === 'live') return
    this.#become({ phase: 'live', sinceMs: 0 })
  }

  cut(): void {
    if (this.state.phase !== 'live') return
    const open = [...this.#replies, ...this.#requests]
    this.#strays.push(...this.#requests)
    this.#requests = []
    this.#replies = []
    this.#become({ phase: 'offline', attempt: 1, retryAtMs: 0, error: disconnected().toInfo() })
    for (const call of open) call.reject(disconnected())
  }

  deliverRequest(): void {
    const call = this.#requests.shift()
    if (!call) return
    call.reply = this.#relay.handle(call.apiName, call.body)
    this.#replies.push(call)
  }

  deliverReply(): void {
    const call = this.#replies.shift()
    call?.resolve(call.reply)
  }

  /** The relay is slower than the client's patience. */
  timeOutReply(): void {
    const call = this.#replies.shift()
    call?.reject(new OttlaError('TIMEOUT', { message: 'no answer in time' }))
  }

  deliverStray(): void {
    const call = this.#strays.shift()
    if (call) this.#relay.handle(call.apiName, call.body)
  }

  dropStrays(): void {
    this.#strays = []
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

  call<Res, ReqIn>(api: Api<unknown, Res, ReqIn, never>, body: ReqIn): Promise<Res> {
    if (this.state.phase !== 'live') return Promise.reject(disconnected())
    return new Promise<Res>((resolve, reject) => {
      const done = resolve as (answer: unknown) => void
      this.#requests.push({ apiName: api.name, body: structuredClone(body), reply: undefined, resolve: done, reject })
    })
  }

  subscribe(): Subscription {
    throw new Error('the model has no subscriptions')
  }

  isSubscribed(): boolean {
    return false
  }

  retryNow(): void {}
  reauthenticate(): void {}

  async close(): Promise<void> {
    this.cut()
  }

  #become(state: ConnectionState): void {
    this.state = state
    this.#states.emit(state)
  }
}

function directoryOf(relay: RelayModel, isLive: () => boolean): TopicDirectory {
  const cache = new Map<string, TopicInfo>()
  const ask = (name: string): TopicInfo => {
    if (!isLive()) throw disconnected()
    const topic = relay.topics.get(name)
    if (!topic) throw relayError('UNKNOWN_TOPIC', { message: `there is no topic ${name}` })
    const info = { name, id: topic.id, partitionCount: topic.partitions.length }
    cache.set(name, info)
    return info
  }
  return {
    lookUp: async (name) => cache.get(name) ?? ask(name),
    lookUpId: async (id) => ask([...relay.topics].find(([, topic]) => topic.id === id)?.[0] ?? id),
    known: (name) => cache.get(name),
    refresh: async (names = [...cache.keys()]) => names.map(ask),
    forget: (name) => {
      cache.delete(name)
    },
  }
}

function disconnected(): OttlaError {
  return new OttlaError('DISCONNECTED', { message: 'not connected' })
}
