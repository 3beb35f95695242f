/**
 * Which broker must be asked. A relay is all the brokers of its cluster; in an Apache Kafka of several nodes a partition is
 * asked of its leader, a group of its coordinator, a change of the controller.
 *
 * Invariants: with one broker nothing is looked up and the connection that is there is used, whatever address the broker
 * calls its own; which brokers there are is remembered for a while, who leads and coordinates is asked each time.
 */
import type { Clock } from '../../protocol/lib/clock.ts'
import type { BrokerAddress } from '../transport/kafka-url.ts'
import type { Ask, Verdict } from './driver.ts'
import { inTurns } from './in-turns.ts'
import { byTopic, keyOf as keyOfPartition, type TopicPartition } from './topic-partitions.ts'

export type Where =
  | 'any'
  | 'controller'
  | { broker: number }
  | { group: string }
  | { transaction: string }
  | { leader: TopicPartition }

/** `broker` undefined: the connection that is there. */
export type Place = { broker: BrokerAddress | undefined } | { unknown: Verdict<never> }

interface Cluster {
  addresses: ReadonlyMap<number, BrokerAddress>
  controllerId: number
  learntAtMs: number
}

const AGE_MS_MAX = 5 * 60_000
const KEY_TYPES = { group: 0, transaction: 1 } as const
const LEADER_NOT_AVAILABLE = 5
const COORDINATOR_NOT_AVAILABLE = 15
const UNKNOWN_TOPIC_OR_PARTITION = 3

export class Brokers {
  readonly #clock: Clock
  #cluster: Cluster | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** What was known turned out to be old. */
  forget(): void {
    this.#cluster = undefined
  }

  async ids(ask: Ask): Promise<number[]> {
    return [...(await this.#know(ask)).addresses.keys()]
  }

  /** In the order of `wheres`. `isRepeat`: whoever was asked before has said that it is not the one, or not yet. */
  async locate(wheres: readonly Where[], ask: Ask, isRepeat: boolean): Promise<Place[]> {
    if (wheres.every((where) => where === 'any')) return wheres.map(() => ({ broker: undefined }))
    const cluster = await this.#know(ask)
    if (cluster.addresses.size <= 1) {
      // A Kafka makes its log of groups only when somebody looks for a coordinator.
      if (isRepeat) await findCoordinators(wheres, ask)
      return wheres.map((where) => onlyBroker(where, cluster))
    }
    const leaders = await findLeaders(wheres, ask)
    const coordinators = await findCoordinators(wheres, ask)
    return wheres.map((where) => {
      if (where === 'any') return { broker: undefined }
      if (where === 'controller') return placeOf(cluster.controllerId, cluster, NOT_CONTROLLER)
      if ('broker' in where) return placeOf(where.broker, cluster, BROKER_NOT_AVAILABLE)
      const found = 'leader' in where ? leaders.get(keyOfPartition(where.leader)) : coordinators.get(keyOf(where))
      if (found === undefined) return { unknown: { errorCode: UNKNOWN_TOPIC_OR_PARTITION } }
      return 'unknown' in found ? found : placeOf(found.id, cluster, LEADER_NOT_AVAILABLE)
    })
  }

  async #know(ask: Ask): Promise<Cluster> {
    const known = this.#cluster
    if (known && this.#clock.monotonic() - known.learntAtMs < AGE_MS_MAX) return known
    const { brokers, controllerId } = await ask('Metadata', { topics: [], allowAutoTopicCreation: false })
    const addresses = new Map(brokers.map(({ nodeId, host, port }) => [nodeId, { host, port }]))
    this.#cluster = { addresses, controllerId, learntAtMs: this.#clock.monotonic() }
    return this.#cluster
  }
}

const NOT_CONTROLLER = 41
const BROKER_NOT_AVAILABLE = 8

type Found = { id: number } | { unknown: Verdict<never> }

function placeOf(id: number, { addresses }: Cluster, otherwise: number): Place {
  const broker = addresses.get(id)
  return broker ? { broker } : { unknown: { errorCode: otherwise, errorMessage: `there is no broker ${id} now` } }
}

function onlyBroker(where: Where, cluster: Cluster): Place {
  const isOther = typeof where === 'object' && 'broker' in where && !cluster.addresses.has(where.broker)
  return isOther ? placeOf(where.broker, cluster, BROKER_NOT_AVAILABLE) : { broker: undefined }
}

async function findLeaders(wheres: readonly Where[], ask: Ask): Promise<Map<string, Found>> {
  const partitions = wheres.flatMap((where) => (typeof where === 'object' && 'leader' in where ? [where.leader] : []))
  const found = new Map<string, Found>()
  if (partitions.length === 0) return found
  const wanted = byTopic(partitions)
  const topics = [...wanted.keys()].map((name) => ({ name }))
  const answer = await ask('Metadata', { topics, allowAutoTopicCreation: false })
  for (const topic of answer.topics) {
    for (const { partition } of wanted.get(topic.name ?? '') ?? []) {
      const { errorCode } = topic
      const leaderId = topic.partitions.find(({ partitionIndex }) => partitionIndex === partition)?.leaderId
      const refused = errorCode || (leaderId === undefined ? UNKNOWN_TOPIC_OR_PARTITION : LEADER_NOT_AVAILABLE)
      const isLed = errorCode === 0 && leaderId !== undefined && leaderId >= 0
      const key = keyOfPartition({ topic: topic.name ?? '', partition })
      found.set(key, isLed ? { id: leaderId } : { unknown: { errorCode: refused } })
    }
  }
  return found
}

type Coordinated = { group: string } | { transaction: string }

async function findCoordinators(wheres: readonly Where[], ask: Ask): Promise<Map<string, Found>> {
  const asked = new Map<string, Coordinated>()
  for (const where of wheres) {
    if (typeof where === 'object' && ('group' in where || 'transaction' in where)) asked.set(keyOf(where), where)
  }
  const found = new Map<string, Found>()
  await inTurns([...asked], async ([id, where]) => {
    const [keyType, key] =
      'group' in where ? [KEY_TYPES.group, where.group] : [KEY_TYPES.transaction, where.transaction]
    const answer = await ask('FindCoordinator', { key, keyType, coordinatorKeys: [key] })
    // One key up to version 3, a list from there on.
    const { errorCode, errorMessage, nodeId } = answer.coordinators[0] ?? answer
    const isThere = errorCode === 0 && nodeId >= 0
    const unknown = { errorCode: errorCode || COORDINATOR_NOT_AVAILABLE, errorMessage }
    found.set(id, isThere ? { id: nodeId } : { unknown })
  })
  return found
}

const keyOf = (where: Coordinated): string => ('group' in where ? `g/${where.group}` : `t/${where.transaction}`)
