/**
 * The same requests to a relay and to a real Apache Kafka, answer beside answer. What must differ (ids, ports, texts) is
 * masked; what differs beyond that is a failure, unless `differences.ts` tells it and why. A difference that is told and
 * no longer there fails as well.
 */
import { expect, test } from 'vitest'
import { metadata } from '../../../protocol/messages/metadata.ts'
import { createTopics } from '../../../protocol/messages/topics.ts'
import { eventually } from '../../support/eventually.ts'
import { KafkaWire } from '../../support/kafka-wire.ts'
import { startRelay } from '../../support/relay.ts'
import { diff } from './diff.ts'
import { differences } from './differences.ts'
import { Mask } from './mask.ts'

export const oracleAddress = () => process.env.OTTLA_ORACLE_ADDRESS!

export interface Peer {
  readonly address: string
  readonly wire: KafkaWire
  /** A connection of its own, closed at the end. */
  connect(): Promise<KafkaWire>
  /** The id of a new topic, and the name that it has on this peer. */
  topic(name: string, options?: { partitions?: number; configs?: Record<string, string> }): Promise<TopicOnPeer>
  /** A name that nobody else uses, for groups and the like. */
  unique(name: string): string
}

export interface TopicOnPeer {
  name: string
  topicId: string
}

export type Observe = (what: string, answer: unknown) => void
type Scenario = (peer: Peer, observe: Observe) => Promise<void>

let scenarioCount = 0

export function scenario(title: string, run: Scenario): void {
  const prefix = `oracle-${process.pid}-${scenarioCount++}-`
  test(title, async () => {
    const relay = await startRelay({ config: { kafkaPort: 0, groupInitialRebalanceDelayMs: 0 } })
    const ours = await observed(relay.kafka!.address, prefix, run)
    const theirs = await observed(oracleAddress(), prefix, run)
    expect([...ours.keys()], 'the scenario asks both the same').toEqual([...theirs.keys()])
    for (const [what, answer] of ours) expectSame(`${title}: ${what}`, answer, theirs.get(what))
  })
}

function expectSame(at: string, ours: unknown, theirs: unknown): void {
  const found = diff(ours, theirs)
  const told = differences.get(at)
  if (told) expect.soft(found, `${at}: what differs is what differences.ts tells`).toEqual(told.places)
  else expect.soft(found, at).toEqual([])
}

async function observed(address: string, prefix: string, run: Scenario): Promise<Map<string, unknown>> {
  const wires: KafkaWire[] = []
  const connect = async () => {
    const wire = await KafkaWire.open(address)
    wires.push(wire)
    return wire
  }
  const wire = await connect()
  const mask = new Mask(prefix, address)
  const answers = new Map<string, unknown>()
  const peer: Peer = {
    ...{ address, wire, connect },
    unique: (name) => prefix + name,
    topic: async (plainName, { partitions = 1, configs = {} } = {}) => {
      const name = prefix + plainName
      const { topics } = await wire.call(createTopics, {
        topics: [
          {
            ...{ name, numPartitions: partitions, replicationFactor: 1, assignments: [] },
            configs: Object.entries(configs).map(([key, value]) => ({ name: key, value })),
          },
        ],
        validateOnly: false,
      })
      const [made] = topics
      if (made!.errorCode !== 0) throw new Error(`${address} does not make ${name}: ${made!.errorMessage}`)
      await untilKnown(wire, name)
      return { name, topicId: made!.topicId }
    },
  }
  try {
    await run(peer, (what, answer) => {
      if (answers.has(what)) throw new Error(`"${what}" is observed twice`)
      answers.set(what, mask.apply(answer))
    })
  } finally {
    for (const each of wires) each.close()
  }
  return answers
}

/** Kafka's brokers hear of a new topic after its maker does. */
function untilKnown(wire: KafkaWire, name: string): Promise<unknown> {
  return eventually(
    async () => {
      const { topics } = await wire.call(metadata, { topics: [{ name }], allowAutoTopicCreation: false })
      return topics[0]!.errorCode === 0 && topics[0]!.partitions.every(({ leaderId }) => leaderId >= 0)
    },
    { what: `${name} is known` },
  )
}

/** What a peer does instead of answering. */
export async function closes(answer: Promise<unknown>): Promise<string> {
  return answer.then(
    () => 'answers',
    (error: Error) => (/closed/.test(error.message) ? 'closes the connection' : error.message),
  )
}
