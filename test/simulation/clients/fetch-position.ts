/** Where a Kafka client reads a partition, what it was given there, and what to do when that is not there any more. */
import { ErrorCode, errorName, isRetriableCode } from '../../../protocol/errors.ts'
import { fetch } from '../../../protocol/messages/fetch.ts'
import { listOffsets } from '../../../protocol/messages/offsets.ts'
import type { Read } from '../../checker/history.ts'
import type { KafkaClient, TopicView } from './kafka-client.ts'
import type { KafkaWire } from './kafka-wire.ts'
import { readBatches } from './values.ts'

export interface FetchPosition {
  topic: TopicView
  partition: number
  offset: number
  jump: Read['jump']
}

export interface FetchOptions {
  reader: string
  isolation: 0 | 1
  maxWaitMs: number
  maxBytes: number
  group?: string
}

const VERSION_WITH_IDS = 13
const EARLIEST = -2

type FetchedPartition = Awaited<ReturnType<typeof ask>>[number]

/** One Fetch for all positions. Returns false when the topic is not there any more. */
export async function fetchOnce(
  client: KafkaClient,
  wire: KafkaWire,
  positions: FetchPosition[],
  options: FetchOptions,
): Promise<boolean> {
  const asked = positions.map((position) => ({ ...position }))
  for (const answer of await ask(client, wire, asked, options)) {
    const position = positions.find(({ partition }) => partition === answer.partitionIndex)
    const { offset } = asked.find(({ partition }) => partition === answer.partitionIndex)!
    if (!position || position.offset !== offset) continue
    const { errorCode } = answer
    if (errorCode === ErrorCode.NONE) take(client, position, answer, options)
    else if (errorCode === ErrorCode.OFFSET_OUT_OF_RANGE) await jump(client, wire, position)
    else if (errorCode === ErrorCode.UNKNOWN_TOPIC_ID || errorCode === ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
      return false
    else {
      client.world.trace.add(client.process.name, `fetch: ${errorName(errorCode)}`)
      if (!isRetriableCode(errorCode)) client.world.fail(`a legal fetch was answered with ${errorName(errorCode)}`)
      await client.pause()
    }
  }
  return true
}

async function ask(client: KafkaClient, wire: KafkaWire, positions: FetchPosition[], options: FetchOptions) {
  const { isolation, maxWaitMs, maxBytes } = options
  const { name, topicId } = positions[0]!.topic
  const usesId = wire.versionOf(fetch) >= VERSION_WITH_IDS && topicId !== undefined
  const version = usesId ? wire.versionOf(fetch) : Math.min(wire.versionOf(fetch), VERSION_WITH_IDS - 1)
  const partitions = client.process.dice.shuffled(positions).map(({ partition, offset }) => ({
    ...{ partition, fetchOffset: offset, partitionMaxBytes: maxBytes },
  }))
  const body = {
    ...{ maxWaitMs, minBytes: 1, maxBytes: maxBytes * 2, isolationLevel: isolation },
    ...{ sessionId: 0, sessionEpoch: -1, forgottenTopicsData: [], rackId: '' },
    topics: [{ ...(usesId ? { topicId } : { topic: name }), partitions }],
  }
  const { responses } = await wire.call(fetch, body, { version, extraMs: maxWaitMs })
  // Without ids it is not known which topic of that name answered.
  const knownId = usesId ? topicId : undefined
  return responses.flatMap(({ partitions }) => partitions.map((each) => Object.assign(each, { topicId: knownId })))
}

function take(client: KafkaClient, position: FetchPosition, answer: FetchedPartition, options: FetchOptions): void {
  const from = position.offset
  const aborted = [...(answer.abortedTransactions ?? [])].sort((a, b) => a.firstOffset - b.firstOffset)
  const abortedNow = new Set<number>()
  const records: Read['records'] = []
  let next = from
  for (const batch of readBatches(answer.records ?? new Uint8Array(0))) {
    while (aborted[0] && aborted[0].firstOffset < batch.nextOffset) abortedNow.add(aborted.shift()!.producerId)
    if (batch.isControl) abortedNow.delete(batch.producerId)
    const isVisible = options.isolation === 0 || !batch.isTransactional || !abortedNow.has(batch.producerId)
    if (isVisible) records.push(...batch.records.filter(([offset]) => offset >= from))
    next = batch.nextOffset
  }
  position.offset = next
  if (next === from) return
  const { topic, partition, jump } = position
  client.recorder.note<Read>({
    ...{ op: 'read', process: client.process.name, reader: options.reader, isolation: options.isolation },
    ...{ topic: topic.name, topicId: answer.topicId, partition, from, next, records },
    ...(jump && { jump }),
    ...(options.group && { group: options.group }),
  })
  position.jump = undefined
}

/** What was wanted is not there: on with the first that is. */
async function jump(client: KafkaClient, wire: KafkaWire, position: FetchPosition): Promise<void> {
  const { topic, partition, offset } = position
  const start = await offsetAt(client, wire, topic.name, partition, EARLIEST)
  if (start === undefined) return
  client.world.probes.reached('reader was out of range')
  position.jump = start >= offset ? 'log-start' : 'truncated'
  position.offset = start
}

/** -2 the first there is, -1 the end. undefined when the answer was an error. */
export async function offsetAt(
  client: KafkaClient,
  wire: KafkaWire,
  topic: string,
  partition: number,
  timestamp: number,
): Promise<number | undefined> {
  const { topics } = await wire.call(listOffsets, {
    ...{ isolationLevel: 0, timeoutMs: 5_000 },
    topics: [{ name: topic, partitions: [{ partitionIndex: partition, timestamp }] }],
  })
  const answer = topics[0]!.partitions[0]!
  if (answer.errorCode === 0) return answer.offset
  client.world.trace.add(client.process.name, `list offsets: ${errorName(answer.errorCode)}`)
  return undefined
}
