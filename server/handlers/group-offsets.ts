/**
 * OffsetCommit 2-10, OffsetFetch 1-10, OffsetDelete 0. Topics come by id from version 10 on; commits are kept by id
 * whatever the version.
 *
 * Who asks for stable offsets gets UNSTABLE_OFFSET_COMMIT where an open transaction may yet change them (KIP-447).
 */
import { ErrorCode, KafkaError } from '../../protocol/errors.ts'
import { NULL_UUID } from '../../protocol/lib/uuid.ts'
import { offsetCommit, offsetDelete, offsetFetch } from '../../protocol/messages/group-offsets.ts'
import type { EpochClaim } from '../coordinator/consumer/consumer-group.ts'
import type { CommittedOffset, NewOffset, TopicPartition } from '../coordinator/offsets.ts'
import type { CommitClaim } from '../coordinator/runtime.ts'
import type { Topic } from '../engine.ts'
import { entry, type RequestContext } from '../handler.ts'
import { findTopic } from './find-topic.ts'
import { groupError } from './group-access.ts'

const TOPIC_IDS_FROM = 10
const GROUPS_FROM = 8
const EPOCHS_FROM = 9

interface AskedTopic {
  name: string
  topicId: string
}

// --- commit --------------------------------------------------------------------------------------------------------

interface AskedCommit {
  partitionIndex: number
  committedOffset: number
  committedLeaderEpoch: number
  committedMetadata: string | null
}

export const offsetCommitHandler = entry(offsetCommit, 'each', async (request, context) => {
  const { groupId, memberId, groupInstanceId, generationIdOrMemberEpoch: generationId, retentionTimeMs } = request
  const claim = { memberId, groupInstanceId, generationId, knowsEpochs: context.apiVersion >= EPOCHS_FROM }
  const expiresAtMs = retentionTimeMs < 0 ? null : context.services.clock.now() + retentionTimeMs
  const offsets: NewOffset[] = []
  const topics = request.topics.map(({ name, topicId, partitions }) => {
    const topic = readableTopic(context, { name, topicId })
    const results = partitions.map((asked) => {
      const errorCode = typeof topic === 'number' ? topic : commitRefusal(context, topic, asked)
      if (errorCode === ErrorCode.NONE) offsets.push(newOffset(topic as Topic, asked, expiresAtMs))
      return { partitionIndex: asked.partitionIndex, errorCode }
    })
    return { name, topicId, partitions: results }
  })
  const errorCode = groupError(context, 'read', groupId) || (await commit(context, groupId, claim, offsets))
  if (errorCode === ErrorCode.NONE) return { topics }
  return {
    topics: topics.map(({ partitions, ...topic }) => ({
      ...topic,
      // The group's error is about all; where a partition has one of its own, that is what will not go away.
      partitions: partitions.map((one) => ({ ...one, errorCode: one.errorCode || errorCode })),
    })),
  }
})

async function commit(
  context: RequestContext,
  groupId: string,
  claim: CommitClaim,
  offsets: readonly NewOffset[],
): Promise<number> {
  try {
    await context.services.groups.commit(groupId, claim, offsets)
    return ErrorCode.NONE
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error
    return error.code
  }
}

export function commitRefusal({ services }: RequestContext, topic: Topic, asked: AskedCommit): number {
  if (!topic.partitions[asked.partitionIndex]) return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
  const metadataBytes = Buffer.byteLength(asked.committedMetadata ?? '')
  return metadataBytes > services.config.offsetMetadataMaxBytes ? ErrorCode.OFFSET_METADATA_TOO_LARGE : ErrorCode.NONE
}

export function newOffset(topic: Topic, asked: AskedCommit, expiresAtMs: number | null): NewOffset {
  return {
    topicId: topic.id,
    partition: asked.partitionIndex,
    offset: asked.committedOffset,
    leaderEpoch: asked.committedLeaderEpoch,
    metadata: asked.committedMetadata ?? '',
    expiresAtMs,
  }
}

// --- fetch ---------------------------------------------------------------------------------------------------------

interface FoundPartition {
  partitionIndex: number
  committedOffset: number
  committedLeaderEpoch: number
  metadata: string
  errorCode: number
}

interface FoundTopic extends AskedTopic {
  partitions: FoundPartition[]
}

type AskedOffsets = ReadonlyArray<AskedTopic & { partitionIndexes: readonly number[] }> | null

interface AskedGroup {
  groupId: string
  mustBeStable: boolean
  /** Who asks, when it says so. */
  claim?: EpochClaim
}

export const offsetFetchHandler = entry(offsetFetch, 'each', async (request, context) => {
  const { requireStable: mustBeStable } = request
  if (context.apiVersion >= GROUPS_FROM) {
    const groups = new Map(request.groups.map((group) => [group.groupId, group]))
    const found = [...groups.values()].map(async ({ groupId, topics, memberId, memberEpoch }) => ({
      groupId,
      ...(await fetchOfGroup(context, { groupId, mustBeStable, claim: claimOf(memberId, memberEpoch) }, topics)),
    }))
    return { groups: await Promise.all(found) }
  }
  const byName = request.topics?.map((topic) => ({ ...topic, topicId: NULL_UUID })) ?? null
  const { topics, errorCode } = await fetchOfGroup(context, { groupId: request.groupId, mustBeStable }, byName)
  if (context.apiVersion >= 2 || errorCode === ErrorCode.NONE) return { topics, errorCode }
  // Version 1 has no place for an error but in the partitions.
  const refused = (byName ?? []).map((topic) => ({ ...topic, partitions: topic.partitionIndexes.map(none(errorCode)) }))
  return { topics: refused, errorCode }
})

/** Members of the next protocol say who they are; tools and classic members do not. */
function claimOf(memberId: string | null, memberEpoch: number): EpochClaim | undefined {
  return memberEpoch < 0 ? undefined : { memberId: memberId ?? '', memberEpoch }
}

async function fetchOfGroup(
  context: RequestContext,
  group: AskedGroup,
  asked: AskedOffsets,
): Promise<{ topics: FoundTopic[]; errorCode: number }> {
  const errorCode = groupError(context, 'describe', group.groupId)
  if (errorCode !== ErrorCode.NONE) return { topics: [], errorCode }
  try {
    context.services.groups.checkFetch(group.groupId, group.claim)
    const topics = await (asked === null ? fetchAll(context, group) : fetchSome(context, group, eachOnce(asked)))
    return { topics, errorCode }
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error
    return { topics: [], errorCode: error.code }
  }
}

/** A commit's metadata can be a thousand times as long as the question for it. */
function eachOnce(asked: NonNullable<AskedOffsets>): NonNullable<AskedOffsets> {
  const topics = new Map<string, { name: string; topicId: string; partitionIndexes: Set<number> }>()
  for (const { name, topicId, partitionIndexes } of asked) {
    const key = `${topicId}/${name}`
    const topic = topics.get(key) ?? { name, topicId, partitionIndexes: new Set() }
    for (const partition of partitionIndexes) topic.partitionIndexes.add(partition)
    topics.set(key, topic)
  }
  return [...topics.values()].map((topic) => ({ ...topic, partitionIndexes: [...topic.partitionIndexes] }))
}

async function fetchAll(context: RequestContext, group: AskedGroup): Promise<FoundTopic[]> {
  const topics = new Map<string, FoundTopic>()
  for (const each of await context.services.groups.fetchOffsets(group.groupId, 'all')) {
    const { topicId } = each
    const topic = context.services.engine.topicById(topicId)
    if (!topic || !mayDescribe(context, topic)) continue
    let found = topics.get(topicId)
    if (!found) {
      found = { name: topic.name, topicId, partitions: [] }
      topics.set(topicId, found)
    }
    found.partitions.push(foundPartition(each, group))
  }
  return [...topics.values()]
}

function fetchSome(
  context: RequestContext,
  group: AskedGroup,
  asked: NonNullable<AskedOffsets>,
): Promise<FoundTopic[]> {
  return Promise.all(
    asked.map(async ({ name, topicId, partitionIndexes }) => {
      const topic = findTopic(context, { name, topicId, byId: context.apiVersion >= TOPIC_IDS_FROM })
      const isHidden = typeof topic === 'number' && !context.allows('describe', { type: 'topic', name })
      if (typeof topic === 'number' && (topic === ErrorCode.UNKNOWN_TOPIC_ID || !isHidden)) {
        // A name without a topic has no commits, which is no error; an id without one will not get any.
        const errorCode = topic === ErrorCode.UNKNOWN_TOPIC_ID ? topic : ErrorCode.NONE
        return { name, topicId, partitions: partitionIndexes.map(none(errorCode)) }
      }
      if (typeof topic === 'number' || !mayDescribe(context, topic)) {
        return { name, topicId, partitions: partitionIndexes.map(none(hidden(context))) }
      }
      const partitions = partitionIndexes.map((partition): TopicPartition => ({ topicId: topic.id, partition }))
      const found = await context.services.groups.fetchOffsets(group.groupId, partitions)
      return { name, topicId, partitions: found.map((each) => foundPartition(each, group)) }
    }),
  )
}

function mayDescribe(context: RequestContext, { name }: Topic): boolean {
  return context.allows('describe', { type: 'topic', name })
}

/** Where topics are named by guessable ids, one that may not be seen looks like one that is not there. */
function hidden({ apiVersion }: RequestContext): number {
  return apiVersion >= TOPIC_IDS_FROM ? ErrorCode.UNKNOWN_TOPIC_ID : ErrorCode.TOPIC_AUTHORIZATION_FAILED
}

function foundPartition(
  found: { partition: number; committed: CommittedOffset | undefined; isUnstable: boolean },
  { mustBeStable }: AskedGroup,
): FoundPartition {
  const { partition: partitionIndex, committed, isUnstable } = found
  if (mustBeStable && isUnstable) return none(ErrorCode.UNSTABLE_OFFSET_COMMIT)(partitionIndex)
  if (!committed) return none(ErrorCode.NONE)(partitionIndex)
  const { offset, leaderEpoch, metadata } = committed
  return {
    ...{ partitionIndex, metadata, errorCode: ErrorCode.NONE },
    ...{ committedOffset: offset, committedLeaderEpoch: leaderEpoch },
  }
}

const none =
  (errorCode: number) =>
  (partitionIndex: number): FoundPartition => ({
    ...{ partitionIndex, errorCode },
    ...{ committedOffset: -1, committedLeaderEpoch: -1, metadata: '' },
  })

// --- delete --------------------------------------------------------------------------------------------------------

export const offsetDeleteHandler = entry(offsetDelete, 'each', async (request, context) => {
  const { groupId } = request
  const doomed: Array<TopicPartition & { name: string; result: { errorCode: number } }> = []
  const topics = request.topics.map(({ name, partitions }) => {
    const topic = readableTopic(context, { name, topicId: NULL_UUID }, false)
    const results = partitions.map(({ partitionIndex }) => {
      const refusal = typeof topic === 'number' ? topic : partitionError(topic, partitionIndex)
      const result = { partitionIndex, errorCode: refusal }
      if (typeof topic !== 'number' && refusal === ErrorCode.NONE)
        doomed.push({ topicId: topic.id, partition: partitionIndex, name, result })
      return result
    })
    return { name, partitions: results }
  })
  const errorCode = groupError(context, 'delete', groupId)
  if (errorCode !== ErrorCode.NONE) return { errorCode, topics: [] }
  try {
    const errorCodes = await context.services.groups.deleteOffsets(groupId, doomed)
    for (const [index, { result }] of doomed.entries()) result.errorCode = errorCodes[index]!
    return { errorCode, topics }
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error
    return { errorCode: error.code, topics: [] }
  }
})

function partitionError({ partitions }: Topic, partition: number): number {
  return partitions[partition] ? ErrorCode.NONE : ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
}

/** The topic, or the error code that says why it can't be committed for. */
export function readableTopic(
  context: RequestContext,
  asked: AskedTopic,
  byId = context.apiVersion >= TOPIC_IDS_FROM,
): Topic | number {
  const topic = findTopic(context, { ...asked, byId })
  const name = typeof topic === 'number' ? asked.name : topic.name
  const isAllowed = (byId && typeof topic === 'number') || context.allows('read', { type: 'topic', name })
  return isAllowed ? topic : ErrorCode.TOPIC_AUTHORIZATION_FAILED
}
