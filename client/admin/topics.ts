/** Topics: making, growing, removing, looking at them. */
import { NULL_UUID } from '../../protocol/lib/uuid.ts'
import { type AdminDriver, type AdminOptions, type AdminRun, type Answer, verdict } from './driver.ts'
import { type PerEntry, perEntry } from './outcomes.ts'

const TOPIC_ALREADY_EXISTS = 36
/** Asks the relay for its defaults. */
const DEFAULT_COUNT = -1

export interface NewTopic {
  name: string
  /** Default: the relay's `num.partitions`. */
  partitions?: number
  /** Default: the broker's. A relay has one copy of everything. */
  replicationFactor?: number
  /** Kafka's topic configuration names. */
  configs?: Readonly<Record<string, string>>
}

export interface ChangeOptions extends AdminOptions {
  /** Check only. */
  validateOnly?: boolean
}

export interface CreateTopicsOptions extends ChangeOptions {
  /** A topic that exists is no failure; its configuration is left as it is. */
  ifNotExists?: boolean
}

export interface CreatedTopic {
  name: string
  /** Absent when the topic existed. */
  id?: string
  partitionCount?: number
  /** False: it existed. */
  isNew: boolean
}

export interface PartitionDescription {
  partition: number
  /** Id of the broker that leads it; -1: none does. */
  leader: number
  leaderEpoch: number
  replicas: readonly number[]
  /** Those that hold everything. */
  inSync: readonly number[]
  /** Kafka's error code of the partition, 0 when it is online. */
  errorCode: number
}

export interface TopicDescription {
  name: string
  id: string
  isInternal: boolean
  partitions: PartitionDescription[]
}

/** Rejects TOPIC_EXISTS (unless `ifNotExists`), NOT_AUTHORIZED, RELAY. The other topics are created all the same. */
export function createTopics(
  driver: AdminDriver,
  topics: readonly NewTopic[],
  options: CreateTopicsOptions = {},
): PerEntry<NewTopic, CreatedTopic> {
  const { validateOnly = false, ifNotExists = false } = options
  const run = driver.run(options)
  return run.each<NewTopic, CreatedTopic>({
    entries: topics,
    where: () => 'controller',
    doing: ({ name }) => `creating topic ${name}`,
    isChange: true,
    async ask(entries, ask) {
      const answer = await ask('CreateTopics', { topics: entries.map(asked), timeoutMs: run.leftMs, validateOnly })
      const byName = new Map(answer.topics.map((topic) => [topic.name, topic]))
      return entries.map(({ name }) => {
        const answered = byName.get(name)
        if (answered?.errorCode === TOPIC_ALREADY_EXISTS && ifNotExists) return { value: { name, isNew: false } }
        return verdict(answered, ({ topicId: id, numPartitions: partitionCount }) => ({
          ...{ name, id, partitionCount },
          isNew: true,
        }))
      })
    },
  })
}

function asked({ name, partitions = DEFAULT_COUNT, replicationFactor = DEFAULT_COUNT, configs = {} }: NewTopic) {
  return {
    name,
    numPartitions: partitions,
    replicationFactor,
    assignments: [],
    configs: Object.entries(configs).map(([key, value]) => ({ name: key, value })),
  }
}

/**
 * By name. What was in the topics is gone; a topic created later under the same name has another id. Rejects
 * UNKNOWN_TOPIC.
 */
export function deleteTopics(
  driver: AdminDriver,
  names: readonly string[],
  options: AdminOptions = {},
): PerEntry<string, string> {
  const run = driver.run(options)
  return run.each<string, string>({
    entries: names,
    where: () => 'controller',
    doing: (name) => `deleting topic ${name}`,
    isChange: true,
    async ask(entries, ask) {
      const topics = entries.map((name) => ({ name, topicId: NULL_UUID }))
      const answer = await ask('DeleteTopics', { topics, topicNames: entries, timeoutMs: run.leftMs })
      const byName = new Map(answer.responses.map((response) => [response.name, response]))
      return entries.map((name) => verdict(byName.get(name), () => name))
    },
  })
}

export interface GrownTopic {
  name: string
  partitionCount: number
}

/** New partition totals by topic; a topic never gets fewer. Keys may move to other partitions: what was written stays. */
export function createPartitions(
  driver: AdminDriver,
  counts: Readonly<Record<string, number>>,
  options: ChangeOptions = {},
): PerEntry<GrownTopic, GrownTopic> {
  const { validateOnly = false } = options
  const run = driver.run(options)
  return run.each<GrownTopic, GrownTopic>({
    entries: Object.entries(counts).map(([name, partitionCount]) => ({ name, partitionCount })),
    where: () => 'controller',
    doing: ({ name }) => `adding partitions to ${name}`,
    isChange: true,
    async ask(entries, ask) {
      const topics = entries.map(({ name, partitionCount: count }) => ({ name, count, assignments: null }))
      const answer = await ask('CreatePartitions', { topics, timeoutMs: run.leftMs, validateOnly })
      const byName = new Map(answer.results.map((result) => [result.name, result]))
      return entries.map((entry) => verdict(byName.get(entry.name), () => entry))
    },
  })
}

/** Names of all topics that this client may see, without the internal ones, sorted. */
export async function listTopics(driver: AdminDriver, options: AdminOptions & { internal?: boolean } = {}) {
  const all = await describeTopics(driver, undefined, options)
  const shown = all.filter(({ isInternal }) => options.internal || !isInternal)
  return shown.map(({ name }) => name).sort()
}

/** Default: all topics. Rejects UNKNOWN_TOPIC when one of `names` is not there; never makes one. */
export function describeTopics(
  driver: AdminDriver,
  names?: readonly string[],
  options: AdminOptions = {},
): PerEntry<string, TopicDescription> {
  const run = driver.run(options)
  if (!names) return describeAll(run)
  return run.each<string, TopicDescription>({
    entries: names,
    doing: (name) => `describing topic ${name}`,
    async ask(entries, ask) {
      const topics = entries.map((name) => ({ name }))
      const answer = await ask('Metadata', { topics, allowAutoTopicCreation: false })
      const byName = new Map(answer.topics.map((topic) => [topic.name, topic]))
      return entries.map((name) => verdict(byName.get(name), describe))
    },
  })
}

/** Those that cannot be told just now are left out: nobody asked for one of them by name. */
function describeAll(run: AdminRun): PerEntry<string, TopicDescription> {
  const asked = run.ask('Metadata', { topics: null, allowAutoTopicCreation: false })
  return perEntry(
    asked.then(({ topics }) =>
      topics
        .filter(({ errorCode }) => errorCode === 0)
        .map(describe)
        .map((value) => ({ entry: value.name, value })),
    ),
  )
}

function describe({ name, topicId, isInternal, partitions }: Answer<'Metadata'>['topics'][number]): TopicDescription {
  return {
    name: name ?? '',
    id: topicId,
    isInternal,
    partitions: partitions
      .map(({ partitionIndex, leaderId, leaderEpoch, replicaNodes, isrNodes, errorCode }) => ({
        ...{ partition: partitionIndex, leader: leaderId, leaderEpoch },
        ...{ replicas: replicaNodes, inSync: isrNodes, errorCode },
      }))
      .sort((a, b) => a.partition - b.partition),
  }
}
