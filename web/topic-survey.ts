/**
 * What there is: topics and ranges as the relay tells them, or, offline, as this device knows them.
 *
 * Screens ask about once a second, several at a time; one answer serves all who ask meanwhile. What the relay said
 * last is remembered for as long as the page lives, so that a lost connection does not empty the list.
 */
import type { ReplicaRange, Status } from '../client/core.ts'
import type { Ottla } from '../worker/index.ts'
import type { PartitionSummary, TopicList, TopicSummary } from './source.ts'

export interface TopicSurvey {
  list(): Promise<TopicList>
}

interface LogRange {
  start: number
  end: number
}

interface KnownTopic {
  name: string
  id: string
  logs: (LogRange | null)[]
}

export function openTopicSurvey(ottla: Pick<Ottla, 'admin' | 'status'>): TopicSurvey {
  let known: KnownTopic[] = []
  let asking: Promise<TopicList> | null = null

  const ask = async (): Promise<TopicList> => {
    const isLive = ottla.status.connection.phase === 'live'
    if (isLive) known = await askRelay(ottla.admin)
    return { topics: summarize(known, ottla.status, isLive), fromRelay: isLive }
  }
  return {
    list() {
      asking ??= ask().finally(() => {
        asking = null
      })
      return asking
    },
  }
}

async function askRelay(admin: Ottla['admin']): Promise<KnownTopic[]> {
  const topics = (await admin.describeTopics()).filter((topic) => !topic.isInternal)
  const partitions = topics.flatMap(({ name, partitions: each }) =>
    each.filter(({ errorCode }) => errorCode === 0).map(({ partition }) => ({ topic: name, partition })),
  )
  const [starts, ends] = await Promise.all([
    admin.listOffsets(partitions.map((each) => ({ ...each, spec: 'earliest' as const }))),
    admin.listOffsets(partitions.map((each) => ({ ...each, spec: 'latest' as const }))),
  ])
  const offsetOf = (list: typeof starts, topic: string, partition: number) =>
    list.find((each) => each.topic === topic && each.partition === partition)?.offset ?? -1
  return topics.map(({ name, id, partitions: each }) => ({
    name,
    id,
    logs: each.map(({ partition }) => logRange(offsetOf(starts, name, partition), offsetOf(ends, name, partition))),
  }))
}

// A partition whose log is offline has no range to tell.
function logRange(start: number, end: number): LogRange | null {
  return start < 0 || end < 0 ? null : { start, end }
}

export function summarize(known: readonly KnownTopic[], status: Status, isLive: boolean): TopicSummary[] {
  const byName = new Map<string, TopicSummary>()
  for (const { name, id, logs } of known) {
    byName.set(name, { name, id, partitions: logs.map((log, partition) => ({ partition, log, replica: null })) })
  }
  for (const { name, replica } of status.topics) {
    const topic = byName.get(name) ?? { name, id: replica[0]?.topicId ?? '', partitions: [] }
    // Asked and not named: the relay has it no more, and what the replica holds of it is the past.
    if (isLive && !byName.has(name) && replica.length === 0) continue
    byName.set(name, { ...topic, partitions: withReplica(topic.partitions, replica) })
  }
  return [...byName.values()].sort((a, b) => a.name.localeCompare(b.name))
}

function withReplica(partitions: readonly PartitionSummary[], ranges: readonly ReplicaRange[]): PartitionSummary[] {
  const count = Math.max(partitions.length, ...ranges.map((range) => range.partition + 1))
  return Array.from({ length: count }, (_, partition) => {
    const range = ranges.find((each) => each.partition === partition)
    const log = partitions[partition]?.log ?? null
    if (!range) return { partition, log, replica: null }
    const { start, end, upToDate, relayEnd } = range
    // The replica hears of new ends by itself, more often than the relay is asked.
    const newest = log ? { start: log.start, end: Math.max(log.end, relayEnd) } : null
    return { partition, log: newest ?? knownEnd(relayEnd), replica: { start, end, upToDate } }
  })
}

const knownEnd = (relayEnd: number): LogRange | null => (relayEnd < 0 ? null : { start: 0, end: relayEnd })
