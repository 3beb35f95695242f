/**
 * Moving a group to another place in its topics: to read again, or to skip.
 *
 *     which partitions -> where the group is, where the logs begin and end -> where it shall be -> commit
 *
 * What is wanted is held within what there is: below a log's start means its start, beyond its end its end.
 */
import { OttlaError } from '../errors.ts'
import type { AdminDriver, AdminOptions, AdminRun } from './driver.ts'
import { commitOffsets, committedOffsets, type NewOffset } from './group-offsets.ts'
import { membersOf } from './groups.ts'
import { listEnds } from './log-ends.ts'
import { adminFailure, type Outcome, type PerEntry, perEntry } from './outcomes.ts'
import { setShareOffsets, shareOffsets } from './share-groups.ts'
import { keyOf, type TopicPartition } from './topic-partitions.ts'

export type ResetTarget =
  | 'earliest'
  | 'latest'
  /** Where it is; the end where it is nowhere. */
  | 'current'
  /** The first record that is not older; the end where there is none. Milliseconds since 1970. */
  | { timestamp: number }
  /** The same, so many milliseconds ago. */
  | { durationMs: number }
  /** From where it is, forward or (negative) back. */
  | { shiftBy: number }
  | { offset: number }
  /** Each partition to an offset of its own, as an export says them. */
  | { offsets: readonly NewOffset[] }

export interface ResetOffsetsOptions extends AdminOptions {
  to: ResetTarget
  /** Whole topics, and single partitions. Default: all in which the group has commits. */
  topics?: readonly string[]
  partitions?: readonly TopicPartition[]
  /** Only work out what would be done. */
  dryRun?: boolean
}

export interface ResetOffset extends TopicPartition {
  /** Where the group was; null: nowhere. */
  from: number | null
  to: number
}

const NON_EMPTY_GROUP = 68

/** Rejects GROUP_NOT_EMPTY while the group has members (not for a dry run), UNKNOWN_TOPIC, INVALID_ARGUMENT. */
export function resetConsumerGroupOffsets(
  driver: AdminDriver,
  group: string,
  options: ResetOffsetsOptions,
): PerEntry<TopicPartition, ResetOffset> {
  return perEntry(reset(driver.run(options), group, options, OF_CONSUMERS))
}

/** The same for a share group; what became of its records in these partitions is forgotten. */
export function resetShareGroupOffsets(
  driver: AdminDriver,
  group: string,
  options: ResetOffsetsOptions,
): PerEntry<TopicPartition, ResetOffset> {
  return perEntry(reset(driver.run(options), group, options, OF_SHARERS))
}

/** Where a group of some kind is, and how it is set elsewhere. */
interface Place {
  now(run: AdminRun, group: string): Promise<NewOffset[]>
  set(run: AdminRun, group: string, offsets: readonly NewOffset[]): PerEntry<NewOffset, NewOffset>
}

const OF_CONSUMERS: Place = {
  now: async (run, group) => (await committedOffsets(run, [group], false))[0]?.offsets ?? [],
  set: commitOffsets,
}

const OF_SHARERS: Place = {
  async now(run, group) {
    const [{ offsets } = { offsets: [] }] = await shareOffsets(run, [group])
    return offsets.map(({ topic, partition, startOffset: offset }) => ({ topic, partition, offset }))
  },
  set: setShareOffsets,
}

async function reset(
  run: AdminRun,
  group: string,
  options: ResetOffsetsOptions,
  place: Place,
): Promise<Array<Outcome<TopicPartition, ResetOffset>>> {
  if (!options.dryRun && (await membersOf(run, group)).length > 0)
    throw adminFailure(NON_EMPTY_GROUP, `resetting the offsets of group ${group}`)
  const commits = await place.now(run, group)
  const committed = new Map(commits.map((each) => [keyOf(each), each.offset]))
  const partitions = await partitionsOf(run, options, commits)
  const wanted = await wantedOffsets(run, partitions, options.to, committed)
  const [starts, ends] = [await listEnds(run, 'earliest', partitions), await listEnds(run, 'latest', partitions)]
  const planned = partitions.map((at): Outcome<TopicPartition, ResetOffset> => {
    const key = keyOf(at)
    const [offset, start, end] = [wanted.get(key), starts.get(key), ends.get(key)]
    if (start === undefined || end === undefined) return { entry: at, error: cannotTell(group, at) }
    if (offset === undefined) return { entry: at, error: nowhere(group, at) }
    const to = Math.min(Math.max(offset, start), end)
    return { entry: at, value: { ...at, from: committed.get(key) ?? null, to } }
  })
  return options.dryRun ? planned : set(run, group, planned, place)
}

async function set(
  run: AdminRun,
  group: string,
  planned: ReadonlyArray<Outcome<TopicPartition, ResetOffset>>,
  place: Place,
): Promise<Array<Outcome<TopicPartition, ResetOffset>>> {
  const offsets = planned.flatMap(({ value }) => {
    return value ? [{ topic: value.topic, partition: value.partition, offset: value.to }] : []
  })
  const failed = new Map<string, OttlaError>()
  for (const { entry, error } of await place.set(run, group, offsets).settled()) {
    if (error) failed.set(keyOf(entry), error)
  }
  return planned.map((outcome) => {
    const error = failed.get(keyOf(outcome.entry))
    return error ? { entry: outcome.entry, error } : outcome
  })
}

async function partitionsOf(
  run: AdminRun,
  { to, topics = [], partitions = [] }: ResetOffsetsOptions,
  commits: readonly TopicPartition[],
): Promise<TopicPartition[]> {
  const named = [...partitions, ...(await allOf(run, topics))]
  const isNamed = topics.length + partitions.length > 0
  const inFile = typeof to === 'object' && 'offsets' in to ? to.offsets : undefined
  const chosen = isNamed ? named : (inFile ?? commits)
  return [
    ...new Map(chosen.map(({ topic, partition }) => [keyOf({ topic, partition }), { topic, partition }])).values(),
  ]
}

async function allOf(run: AdminRun, topics: readonly string[]): Promise<TopicPartition[]> {
  if (topics.length === 0) return []
  const asked = topics.map((name) => ({ name }))
  const answer = await run.ask('Metadata', { topics: asked, allowAutoTopicCreation: false })
  return answer.topics.flatMap(({ name, errorCode, partitions }) => {
    if (errorCode !== 0) throw adminFailure(errorCode, `describing topic ${name}`)
    return partitions.map(({ partitionIndex: partition }) => ({ topic: name ?? '', partition }))
  })
}

/** Left out where the group is nowhere and would have to be somewhere, or a file does not say. */
async function wantedOffsets(
  run: AdminRun,
  partitions: readonly TopicPartition[],
  to: ResetTarget,
  committed: ReadonlyMap<string, number>,
): Promise<Map<string, number>> {
  if (to === 'earliest' || to === 'latest') return listEnds(run, to, partitions)
  const at = to === 'current' ? { shiftBy: 0 } : to
  if ('offset' in at) return new Map(partitions.map((each) => [keyOf(each), at.offset]))
  if ('offsets' in at) return new Map(at.offsets.map((each) => [keyOf(each), each.offset]))
  if ('shiftBy' in at) {
    const shifted = new Map([...committed].map(([key, offset]) => [key, Math.max(0, offset + at.shiftBy)]))
    return to === 'current' ? new Map([...(await listEnds(run, 'latest', partitions)), ...shifted]) : shifted
  }
  const timestamp = 'timestamp' in at ? at.timestamp : run.nowMs - at.durationMs
  const found = await listEnds(run, { timestamp }, partitions)
  const ends = await listEnds(run, 'latest', partitions)
  return new Map([...ends, ...[...found].filter(([, offset]) => offset >= 0)])
}

function cannotTell(group: string, { topic, partition }: TopicPartition): OttlaError {
  return new OttlaError('UNKNOWN_PARTITION', {
    message: `resetting group ${group}: where ${topic}-${partition} begins and ends is not known`,
  })
}

function nowhere(group: string, { topic, partition }: TopicPartition): OttlaError {
  return new OttlaError('INVALID_ARGUMENT', {
    message: `group ${group} has committed nothing in ${topic}-${partition} that could be shifted`,
    hint: 'say an offset, or earliest or latest',
  })
}
