/**
 * A topology in the light of the topics there are: how many tasks each part of it has, which topics of its own are to be
 * made, and what keeps it from running.
 */
import { StreamsStatus } from '../../../protocol/messages/streams-groups.ts'
import type { TopicCatalog } from '../consumer/topics.ts'
import { type InternalTopic, inputsOf, invalid, type Subtopology, type Topology } from './topology.ts'

export interface Status {
  statusCode: number
  statusDetail: string
}

export interface ConfiguredTopology {
  readonly topology: Topology
  /** What it is made of; another number: look again. */
  readonly topicsVersion: number
  /** Why there are no tasks; empty: there are. */
  readonly problems: readonly Status[]
  /** By part. */
  readonly tasks: ReadonlyMap<string, number>
  /** Topics of its own, with their partitions, that are not there. */
  readonly missing: readonly InternalTopic[]
  /** Partitions of all topics that it knows of. */
  readonly counts: ReadonlyMap<string, number>
}

/** Also of partitions that one group's heartbeat makes. */
const TASKS_MAX = 20_000

/** Throws KafkaError STREAMS_INVALID_TOPOLOGY when it could never run. */
export function configure(topology: Topology, topics: TopicCatalog): ConfiguredTopology {
  const { topicsVersion } = topics
  const stopped = (statusCode: number, statusDetail: string): ConfiguredTopology => ({
    ...{ topology, topicsVersion, problems: [{ statusCode, statusDetail }], tasks: new Map(), missing: [] },
    counts: new Map(),
  })
  const { subtopologies } = topology
  const counts = new Map<string, number>()
  const absent = new Set<string>()
  for (const name of subtopologies.flatMap(({ sources }) => sources)) {
    const topic = topics.topicByName(name)
    if (topic) counts.set(name, topic.partitions.length)
    else absent.add(name)
  }
  if (absent.size > 0)
    return stopped(StreamsStatus.missingSourceTopics, `Source topics ${[...absent].sort().join(', ')} are missing.`)
  countRepartitionTopics(subtopologies, counts)
  const uneven = evenOut(subtopologies, counts)
  if (uneven !== undefined) return stopped(StreamsStatus.incorrectlyPartitionedTopics, uneven)
  const tasks = new Map(subtopologies.map((part) => [part.id, taskCountOf(part, counts)]))
  if ([...tasks.values()].reduce((sum, count) => sum + count, 0) > TASKS_MAX)
    throw invalid(`the topology has more than ${TASKS_MAX} tasks`)
  const own = ownTopics(subtopologies, counts, tasks)
  if ([...own.values()].reduce((sum, { partitions }) => sum + partitions, 0) > TASKS_MAX)
    throw invalid(`the application's own topics have more than ${TASKS_MAX} partitions`)
  const wrong = [...own.values()].find(({ name, partitions }) => {
    const topic = topics.topicByName(name)
    return topic && topic.partitions.length !== partitions
  })
  if (wrong) {
    const found = topics.topicByName(wrong.name)!.partitions.length
    const detail = `Existing internal topic ${wrong.name} has ${found} partitions instead of ${wrong.partitions}.`
    return stopped(StreamsStatus.incorrectlyPartitionedTopics, detail)
  }
  const missing = [...own.values()].filter(({ name }) => !topics.topicByName(name))
  const detail = `Internal topics are missing: ${missing.map(({ name }) => name).join(', ')}`
  const problems = missing.length > 0 ? [{ statusCode: StreamsStatus.missingInternalTopics, statusDetail: detail }] : []
  return { topology, topicsVersion, problems, tasks: missing.length > 0 ? new Map() : tasks, missing, counts }
}

const taskCountOf = (part: Subtopology, counts: ReadonlyMap<string, number>): number =>
  Math.max(...inputsOf(part).map((name) => counts.get(name)!))

/** A repartition topic has as many partitions as whatever is written to it comes from, unless a number is said. */
function countRepartitionTopics(subtopologies: readonly Subtopology[], counts: Map<string, number>): void {
  const open = new Set<string>()
  for (const { name, partitions } of subtopologies.flatMap(({ repartitionSources }) => repartitionSources)) {
    if (partitions > 0) counts.set(name, partitions)
    else open.add(name)
  }
  while (open.size > 0) {
    const known = [...open].filter((name) => {
      const writers = subtopologies.filter(({ repartitionSinks }) => repartitionSinks.includes(name))
      const isKnown = writers.length > 0 && writers.every((part) => inputsOf(part).every((input) => counts.has(input)))
      if (isKnown) counts.set(name, Math.max(...writers.map((part) => taskCountOf(part, counts))))
      return isKnown
    })
    if (known.length === 0)
      throw invalid(`how many partitions ${[...open].join(', ')} have does not follow from anything`)
    for (const name of known) open.delete(name)
  }
}

/** What is read together has as many partitions: repartition topics go by the others. Text: they cannot. */
function evenOut(subtopologies: readonly Subtopology[], counts: Map<string, number>): string | undefined {
  for (const { copartitioned, repartitionSources } of subtopologies) {
    const free = new Set(repartitionSources.filter(({ partitions }) => partitions === 0).map(({ name }) => name))
    for (const names of copartitioned) {
      const fixed = new Set(names.filter((name) => !free.has(name)).map((name) => counts.get(name)!))
      if (fixed.size > 1) return `Following topics do not have the same number of partitions: ${names.join(', ')}`
      const [count = Math.max(...names.map((name) => counts.get(name)!))] = fixed
      for (const name of names) if (free.has(name)) counts.set(name, count)
    }
  }
  return undefined
}

function ownTopics(
  subtopologies: readonly Subtopology[],
  counts: Map<string, number>,
  tasks: ReadonlyMap<string, number>,
): Map<string, InternalTopic> {
  const own = new Map<string, InternalTopic>()
  for (const { id, changelogs, repartitionSources, sources } of subtopologies) {
    for (const topic of repartitionSources) own.set(topic.name, { ...topic, partitions: counts.get(topic.name)! })
    // A source may be its own changelog.
    for (const topic of changelogs)
      if (!sources.includes(topic.name)) own.set(topic.name, { ...topic, partitions: tasks.get(id)! })
  }
  return own
}
