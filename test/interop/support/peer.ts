/**
 * What a client is tried with: a relay, which Ottla's own client reads and writes too, over WebSocket; or, in the oracle run,
 * the real Apache Kafka that was started for it, where all tests share one broker and the other side is the bare protocol.
 */
import { onTestFinished } from 'vitest'
import { decodePieces } from '../../../client/consumer/decode-frame.ts'
import type { Api } from '../../../protocol/api.ts'
import { standardCodecs } from '../../../protocol/codecs/standard.ts'
import { fetch } from '../../../protocol/messages/fetch.ts'
import { describeCluster, metadata } from '../../../protocol/messages/metadata.ts'
import { produce } from '../../../protocol/messages/produce.ts'
import { createTopics } from '../../../protocol/messages/topics.ts'
import { encodeBatch } from '../../../protocol/records.ts'
import type { Relay } from '../../../server/relay.ts'
import { eventually } from '../../support/eventually.ts'
import { KafkaWire } from '../../support/kafka-wire.ts'
import { startRelay } from '../../support/relay.ts'
import { RelayClient } from '../../support/relay-client.ts'
import { fromPlain, type PlainRecord, type ReadRecord, readByOttla, toRead, writeByOttla } from './records.ts'

export interface Peer {
  /** For Kafka's clients. */
  readonly address: string
  /** A topic or group of this test alone. */
  name(plain: string): string
  /** Any API, in its newest version unless told otherwise. */
  call<Res, ReqIn>(api: Api<unknown, Res, ReqIn, never>, body: ReqIn, version?: number): Promise<Res>
  createTopic(name: string): Promise<void>
  topicId(name: string): Promise<string>
  clusterId(): Promise<string>
  /** To partition 0, by the other side. */
  write(topic: string, records: readonly PlainRecord[]): Promise<void>
  /** The first `count` of partition 0, by the other side. */
  read(topic: string, count: number): Promise<ReadRecord[]>
}

export const isOracleRun = process.env.OTTLA_ORACLE_ADDRESS !== undefined

export async function peerForClients(): Promise<Peer> {
  const address = process.env.OTTLA_ORACLE_ADDRESS
  return address === undefined ? relayPeer() : kafkaPeer(address)
}

export async function relayForClients(): Promise<{ relay: Relay; address: string; url: string }> {
  const relay = await startRelay({
    config: { kafkaPort: 0, groupInitialRebalanceDelayMs: 0, groupConsumerHeartbeatIntervalMs: 500 },
  })
  return { relay, address: relay.kafka!.address, url: relay.websocket.url }
}

async function relayPeer(): Promise<Peer> {
  const { address, url } = await relayForClients()
  const client = await RelayClient.open(url)
  return {
    ...inProtocol(client, address, (plain) => plain),
    write: (topic, records) => writeByOttla(url, topic, records),
    read: (topic, count) => readByOttla(url, topic, count),
  }
}

let peers = 0

async function kafkaPeer(address: string): Promise<Peer> {
  const wire = await KafkaWire.open(address)
  onTestFinished(() => wire.close())
  const prefix = `clients-${process.pid}-${peers++}-`
  return inProtocol(wire, address, (plain) => prefix + plain)
}

function inProtocol(wire: Pick<Peer, 'call'>, address: string, name: Peer['name']): Peer {
  const topic = async (called: string) => {
    const { topics } = await wire.call(metadata, { topics: [{ name: called }], allowAutoTopicCreation: false })
    return topics[0]!
  }
  const topicId = async (called: string) => (await topic(called)).topicId
  return {
    ...{ address, name, topicId },
    call: (...request) => wire.call(...request),
    clusterId: async () => (await wire.call(describeCluster, { includeClusterAuthorizedOperations: false })).clusterId,
    async createTopic(called) {
      const asked = { name: called, numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] }
      const { topics } = await wire.call(createTopics, { topics: [asked], validateOnly: false })
      if (topics[0]!.errorCode !== 0) throw new Error(`${called} is not made: ${topics[0]!.errorMessage}`)
      // Kafka's brokers hear of a new topic after its maker does.
      await eventually(
        async () => {
          const { errorCode, partitions } = await topic(called)
          return errorCode === 0 && partitions[0]!.leaderId >= 0
        },
        { what: `${called} is known` },
      )
    },
    async write(called, records) {
      const partitionData = [{ index: 0, records: encodeBatch(records.map(fromPlain)) }]
      const topicData = [{ topicId: await topicId(called), partitionData }]
      const { responses } = await wire.call(produce, { acks: -1, timeoutMs: 10_000, topicData })
      const { errorCode } = responses[0]!.partitionResponses[0]!
      if (errorCode !== 0) throw new Error(`writing to ${called}: error ${errorCode}`)
    },
    read: async (called, count) => readFrom(wire, await topicId(called), count),
  }
}

async function readFrom(wire: Pick<Peer, 'call'>, topicId: string, count: number): Promise<ReadRecord[]> {
  const records: ReadRecord[] = []
  const codecs = standardCodecs()
  for (let fetchOffset = 0; records.length < count; ) {
    const partitions = [{ partition: 0, fetchOffset, partitionMaxBytes: 2 ** 20 }]
    const answer = await wire.call(fetch, { maxWaitMs: 500, minBytes: 1, topics: [{ topicId, partitions }] })
    const { records: batches } = answer.responses[0]!.partitions[0]!
    if (!batches?.length) continue
    const frame = { partition: 0, batches, fromOffset: fetchOffset, nextOffset: Number.MAX_SAFE_INTEGER, aborted: [] }
    for await (const piece of decodePieces({ ...frame, gap: undefined, release: () => {} }, codecs, 1_000))
      records.push(...piece.map(toRead))
    fetchOffset = (records.at(-1)?.offset ?? -1) + 1
  }
  return records.slice(0, count)
}
