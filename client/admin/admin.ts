/**
 * Admin calls, under the names of Kafka's AdminClient. Each asks the relay and rejects DISCONNECTED at once when
 * offline; nothing is queued. Failures of several items in one call come as one OttlaError, see `throwFailures`.
 */
import type { Core } from '../core.ts'
import { kafkaFailure } from '../kafka-failure.ts'
import { type AdminCall, adminCalls, byTopic, throwFailures } from './calls.ts'
import * as configs from './configs.ts'
import * as offsets from './offsets.ts'
import * as topics from './topics.ts'

export interface ClusterDescription {
  clusterId: string
  controllerId: number
  brokers: Array<{ brokerId: number; host: string; port: number; rack: string | null }>
}

export interface ProducerState {
  topic: string
  partition: number
  producerId: number
  producerEpoch: number
  /** -1: none. */
  lastSequence: number
  lastTimestamp: number
}

export class Admin {
  readonly #call: AdminCall

  constructor(core: Pick<Core, 'request'>) {
    this.#call = adminCalls(core)
  }

  /** Rejects TOPIC_EXISTS (unless `ifNotExists`), NOT_AUTHORIZED, RELAY. The other topics are created all the same. */
  createTopics(
    list: readonly topics.NewTopic[],
    options: topics.CreateTopicsOptions = {},
  ): Promise<topics.CreatedTopic[]> {
    return topics.createTopics(this.#call, list, options)
  }

  /** Rejects UNKNOWN_TOPIC. */
  deleteTopics(names: readonly string[], options: { timeoutMs?: number } = {}): Promise<void> {
    return topics.deleteTopics(this.#call, names, options.timeoutMs)
  }

  /** Names of all topics, without the relay's internal ones, sorted. */
  async listTopics(): Promise<string[]> {
    const all = await topics.describeTopics(this.#call, null)
    return all
      .filter(({ isInternal }) => !isInternal)
      .map(({ name }) => name)
      .sort()
  }

  /** Default: all topics. Rejects UNKNOWN_TOPIC when one of `names` is not there. */
  describeTopics(names?: readonly string[]): Promise<topics.TopicDescription[]> {
    return topics.describeTopics(this.#call, names ?? null)
  }

  /** New partition totals by topic; a topic never gets fewer. */
  createPartitions(
    counts: Readonly<Record<string, number>>,
    options: Omit<topics.CreateTopicsOptions, 'ifNotExists'> = {},
  ): Promise<void> {
    return topics.createPartitions(this.#call, counts, options)
  }

  describeConfigs(
    resources: readonly configs.ConfigResource[],
    options: { names?: readonly string[] } = {},
  ): Promise<configs.ResourceConfig[]> {
    return configs.describeConfigs(this.#call, resources, options.names)
  }

  alterConfigs(changes: readonly configs.ConfigChange[], options: { validateOnly?: boolean } = {}): Promise<void> {
    return configs.alterConfigs(this.#call, changes, options.validateOnly ?? false)
  }

  listOffsets(
    queries: readonly offsets.OffsetQuery[],
    options: { isolation?: 'committed' | 'uncommitted' } = {},
  ): Promise<offsets.ListedOffset[]> {
    return offsets.listOffsets(this.#call, queries, options.isolation === 'committed' ? 1 : 0)
  }

  /** Irrevocable. Returns where the logs begin now. */
  deleteRecords(
    requests: readonly offsets.RecordsToDelete[],
  ): Promise<Array<{ topic: string; partition: number; logStart: number }>> {
    return offsets.deleteRecords(this.#call, requests)
  }

  /** The idempotent producers that these partitions remember. */
  async describeProducers(partitions: ReadonlyArray<{ topic: string; partition: number }>): Promise<ProducerState[]> {
    const answer = await this.#call('DescribeProducers', {
      topics: [...byTopic(partitions)].map(([name, group]) => ({
        name,
        partitionIndexes: group.map(({ partition }) => partition),
      })),
    })
    const all = answer.topics.flatMap(({ name, partitions: each }) => each.map((state) => ({ name, ...state })))
    throwFailures(
      all
        .filter(({ errorCode }) => errorCode !== 0)
        .map(({ name, partitionIndex, errorCode, errorMessage }) =>
          kafkaFailure(errorCode, `describing producers of ${name}-${partitionIndex}`, errorMessage),
        ),
    )
    return all.flatMap(({ name, partitionIndex, activeProducers }) =>
      activeProducers.map(({ producerId, producerEpoch, lastSequence, lastTimestamp }) => ({
        topic: name,
        partition: partitionIndex,
        producerId,
        producerEpoch,
        lastSequence,
        lastTimestamp,
      })),
    )
  }

  async describeCluster(): Promise<ClusterDescription> {
    const answer = await this.#call('DescribeCluster', { includeClusterAuthorizedOperations: false })
    if (answer.errorCode !== 0) throw kafkaFailure(answer.errorCode, 'describing the cluster', answer.errorMessage)
    const { clusterId, controllerId, brokers } = answer
    return {
      clusterId,
      controllerId,
      brokers: brokers.map(({ brokerId, host, port, rack }) => ({ brokerId, host, port, rack })),
    }
  }
}
