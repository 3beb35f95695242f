/**
 * Admin calls, under the names of Kafka's AdminClient. Each asks the relay and rejects DISCONNECTED at once when
 * offline; nothing is queued. Failures of several items in one call come as one OttlaError, see `throwFailures`.
 */
import type { Core } from '../core.ts'
import type { AdminCall } from './calls.ts'
import type { ClusterDescription, ProducerState } from './cluster.ts'
import type * as configs from './configs.ts'
import type * as offsets from './offsets.ts'
import type * as topics from './topics.ts'

const loaded = () => import('./requests.ts')

export class Admin {
  readonly #call: AdminCall

  constructor(core: Pick<Core, 'request'>) {
    this.#call = (name, body) => core.request(name, body) as Promise<never>
  }

  /** Rejects TOPIC_EXISTS (unless `ifNotExists`), NOT_AUTHORIZED, RELAY. The other topics are created all the same. */
  async createTopics(
    list: readonly topics.NewTopic[],
    options: topics.CreateTopicsOptions = {},
  ): Promise<topics.CreatedTopic[]> {
    return (await loaded()).createTopics(this.#call, list, options)
  }

  /** Rejects UNKNOWN_TOPIC. */
  async deleteTopics(names: readonly string[], options: { timeoutMs?: number } = {}): Promise<void> {
    return (await loaded()).deleteTopics(this.#call, names, options.timeoutMs)
  }

  /** Names of all topics, without the relay's internal ones, sorted. */
  async listTopics(): Promise<string[]> {
    const all = await (await loaded()).describeTopics(this.#call, null)
    return all
      .filter(({ isInternal }) => !isInternal)
      .map(({ name }) => name)
      .sort()
  }

  /** Default: all topics. Rejects UNKNOWN_TOPIC when one of `names` is not there. */
  async describeTopics(names?: readonly string[]): Promise<topics.TopicDescription[]> {
    return (await loaded()).describeTopics(this.#call, names ?? null)
  }

  /** New partition totals by topic; a topic never gets fewer. */
  async createPartitions(
    counts: Readonly<Record<string, number>>,
    options: Omit<topics.CreateTopicsOptions, 'ifNotExists'> = {},
  ): Promise<void> {
    return (await loaded()).createPartitions(this.#call, counts, options)
  }

  async describeConfigs(
    resources: readonly configs.ConfigResource[],
    options: { names?: readonly string[] } = {},
  ): Promise<configs.ResourceConfig[]> {
    return (await loaded()).describeConfigs(this.#call, resources, options.names)
  }

  async alterConfigs(
    changes: readonly configs.ConfigChange[],
    options: { validateOnly?: boolean } = {},
  ): Promise<void> {
    return (await loaded()).alterConfigs(this.#call, changes, options.validateOnly ?? false)
  }

  async listOffsets(
    queries: readonly offsets.OffsetQuery[],
    options: { isolation?: 'committed' | 'uncommitted' } = {},
  ): Promise<offsets.ListedOffset[]> {
    return (await loaded()).listOffsets(this.#call, queries, options.isolation === 'committed' ? 1 : 0)
  }

  /** Irrevocable. Returns where the logs begin now. */
  async deleteRecords(
    requests: readonly offsets.RecordsToDelete[],
  ): Promise<Array<{ topic: string; partition: number; logStart: number }>> {
    return (await loaded()).deleteRecords(this.#call, requests)
  }

  /** The idempotent producers that these partitions remember. */
  async describeProducers(partitions: ReadonlyArray<{ topic: string; partition: number }>): Promise<ProducerState[]> {
    return (await loaded()).describeProducers(this.#call, partitions)
  }

  async describeCluster(): Promise<ClusterDescription> {
    return (await loaded()).describeCluster(this.#call)
  }
}
