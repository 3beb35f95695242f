/** Topics: making, growing, removing, looking at them. */
import { NULL_UUID } from '../../protocol/lib/uuid.ts'
import type { OttlaError } from '../errors.ts'
import { kafkaFailure } from '../kafka-failure.ts'
import { type AdminCall, throwFailures } from './calls.ts'

const TOPIC_ALREADY_EXISTS = 36

export interface NewTopic {
  name: string
  /** Default: the relay's `num.partitions`. */
  partitions?: number
  /** Kafka's topic configuration names. */
  configs?: Readonly<Record<string, string>>
}

export interface CreateTopicsOptions {
  /** Check only. */
  validateOnly?: boolean
  /** A topic that exists is no failure; its configuration is left as it is. */
  ifNotExists?: boolean
  /** How long the relay may take. Default 30 s. */
  timeoutMs?: number
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
  leaderEpoch: number
  /** Kafka's error code of the partition, 0 when it is online. */
  errorCode: number
}

export interface TopicDescription {
  name: string
  id: string
  isInternal: boolean
  partitions: PartitionDescription[]
}

const TIMEOUT_MS = 30_000
/** Asks the relay for its defaults. */
const DEFAULT_COUNT = -1

export async function createTopics(
  call: AdminCall,
  topics: readonly NewTopic[],
  { validateOnly = false, ifNotExists = false, timeoutMs = TIMEOUT_MS }: CreateTopicsOptions,
): Promise<CreatedTopic[]> {
  const asked = topics.map(({ name, partitions = DEFAULT_COUNT, configs = {} }) => ({
    name,
    numPartitions: partitions,
    replicationFactor: DEFAULT_COUNT,
    assignments: [],
    configs: Object.entries(configs).map(([key, value]) => ({ name: key, value })),
  }))
  const answer = await call('CreateTopics', { topics: asked, timeoutMs, validateOnly })
  const failures: OttlaError[] = []
  const created: CreatedTopic[] = []
  for (const { name, topicId, errorCode, errorMessage, numPartitions } of answer.topics) {
    if (errorCode === 0) created.push({ name, id: topicId, partitionCount: numPartitions, isNew: true })
    else if (errorCode === TOPIC_ALREADY_EXISTS && ifNotExists) created.push({ name, isNew: false })
    else failures.push(kafkaFailure(errorCode, `creating topic ${name}`, errorMessage))
  }
  throwFailures(failures)
  return created
}

/** By name. What was in the topics is gone; a topic created later under the same name has another id. */
export async function deleteTopics(call: AdminCall, names: readonly string[], timeoutMs = TIMEOUT_MS): Promise<void> {
  const topics = names.map((name) => ({ name, topicId: NULL_UUID }))
  const answer = await call('DeleteTopics', { topics, topicNames: names, timeoutMs })
  throwFailures(
    answer.responses
      .filter(({ errorCode }) => errorCode !== 0)
      .map(({ name, errorCode, errorMessage }) => kafkaFailure(errorCode, `deleting topic ${name}`, errorMessage)),
  )
}

/** `counts` are new totals, by topic. Keys may move to other partitions: what was written stays where it is. */
export async function createPartitions(
  call: AdminCall,
  counts: Readonly<Record<string, number>>,
  { validateOnly = false, timeoutMs = TIMEOUT_MS }: Omit<CreateTopicsOptions, 'ifNotExists'>,
): Promise<void> {
  const topics = Object.entries(counts).map(([name, count]) => ({ name, count, assignments: null }))
  const answer = await call('CreatePartitions', { topics, timeoutMs, validateOnly })
  throwFailures(
    answer.results
      .filter(({ errorCode }) => errorCode !== 0)
      .map(({ name, errorCode, errorMessage }) =>
        kafkaFailure(errorCode, `adding partitions to ${name}`, errorMessage),
      ),
  )
}

/** All that this client may see when no names are given. Never creates one. */
export async function describeTopics(call: AdminCall, names: readonly string[] | null): Promise<TopicDescription[]> {
  const topics = names?.map((name) => ({ name })) ?? null
  const answer = await call('Metadata', { topics, allowAutoTopicCreation: false })
  const failures = answer.topics.filter(({ errorCode }) => errorCode !== 0)
  if (names) throwFailures(failures.map(({ name, errorCode }) => kafkaFailure(errorCode, `describing topic ${name}`)))
  return answer.topics
    .filter(({ errorCode }) => errorCode === 0)
    .map(({ name, topicId, isInternal, partitions }) => ({
      name: name ?? '',
      id: topicId,
      isInternal,
      partitions: partitions
        .map(({ partitionIndex, leaderEpoch, errorCode }) => ({ partition: partitionIndex, leaderEpoch, errorCode }))
        .sort((a, b) => a.partition - b.partition),
    }))
}
