/** Descriptions of groups whose members the relay assigns to: within what one answer may hold, and what the client may see. */
import { ErrorCode, KafkaError } from '../../protocol/errors.ts'
import { listsOf, type Partitions } from '../coordinator/consumer/partitions.ts'
import type { RequestContext } from '../handler.ts'
import { allowedOperations, groupError } from './group-access.ts'

/** About what the descriptions in one answer may take; the first comes whatever it takes. */
const DESCRIBED_BYTES_MAX = 32 * 1024 * 1024
const BYTES_PER_MEMBER = 200

interface NamedPartitions {
  topicPartitions: ReadonlyArray<{ topicName: string; partitions: readonly number[] }>
}

interface OfPartitions {
  members: ReadonlyArray<{
    subscribedTopicNames: readonly string[]
    assignment: NamedPartitions
    targetAssignment?: NamedPartitions
  }>
}

export interface Describer<D> {
  /** About what a description takes. */
  sizeOf: (described: D) => number
  /** Throws KafkaError while nothing can be said. */
  describe: (groupId: string, context: RequestContext) => D
  undescribed: (groupId: string, errorCode: number, errorMessage: string | null) => D
}

export function describeGroups<D extends { errorCode: number }>(
  request: { groupIds: readonly string[]; includeAuthorizedOperations: boolean },
  context: RequestContext,
  describer: Describer<D>,
): Array<D & { authorizedOperations: number }> {
  let bytesLeft = DESCRIBED_BYTES_MAX
  // Each once: a group's description can be a million times as long as its name.
  return [...new Set(request.groupIds)].map((groupId) => {
    const described =
      bytesLeft <= 0
        ? describer.undescribed(groupId, ErrorCode.POLICY_VIOLATION, 'too much for one answer: ask for fewer')
        : describeOne(groupId, context, describer)
    bytesLeft -= describer.sizeOf(described)
    const isAsked = request.includeAuthorizedOperations && described.errorCode === ErrorCode.NONE
    return { ...described, authorizedOperations: allowedOperations(groupId, context, isAsked) }
  })
}

function describeOne<D>(groupId: string, context: RequestContext, { describe, undescribed }: Describer<D>): D {
  const errorCode = groupError(context, 'describe', groupId)
  if (errorCode !== ErrorCode.NONE) return undescribed(groupId, errorCode, null)
  try {
    return describe(groupId, context)
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error
    return undescribed(groupId, error.code, error.message)
  }
}

/** Of a group whose members read partitions. */
export function sizeOfDescribed({ members }: OfPartitions): number {
  let bytes = 0
  for (const { subscribedTopicNames, assignment, targetAssignment } of members) {
    bytes += BYTES_PER_MEMBER
    for (const name of subscribedTopicNames) bytes += name.length
    for (const list of [...assignment.topicPartitions, ...(targetAssignment?.topicPartitions ?? [])])
      bytes += list.topicName.length + list.partitions.length * 4
  }
  return bytes
}

/** Partitions with the names of their topics, and all names that came up. Topics that are gone are passed over. */
export class TopicNames {
  readonly names = new Set<string>()
  readonly #context: RequestContext

  constructor(context: RequestContext) {
    this.#context = context
  }

  named = (partitions: Partitions) => ({
    topicPartitions: listsOf(partitions).flatMap(({ topicId, partitions: list }) => {
      const topicName = this.#context.services.engine.topicById(topicId)?.name
      if (topicName === undefined) return []
      this.names.add(topicName)
      return [{ topicId, topicName, partitions: list }]
    }),
  })
}

/** Members read topics that the client may not describe. */
export function hasHidden(names: Iterable<string>, context: RequestContext): boolean {
  return [...names].some((name) => !context.allows('describe', { type: 'topic', name }))
}
