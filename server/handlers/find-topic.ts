/** A topic as a request names it: by name in older versions, by id in newer ones. */
import { ErrorCode } from '../../protocol/errors.ts'
import type { Topic } from '../engine.ts'
import type { RequestContext } from '../handler.ts'

export interface TopicReference {
  name: string
  topicId: string
  byId: boolean
}

/** The topic, or the error code that says why there is none. */
export function findTopic(context: RequestContext, { name, topicId, byId }: TopicReference): Topic | number {
  const { engine } = context.services
  if (byId) return engine.topicById(topicId) ?? ErrorCode.UNKNOWN_TOPIC_ID
  return engine.topicByName(name) ?? ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
}

/** The same for who may do this to it. Names can be guessed: whether one is there is told to those alone. */
export function findTopicFor(
  operation: 'read' | 'write',
  context: RequestContext,
  { name, topicId, byId }: TopicReference,
): Topic | number {
  const topic = findTopic(context, { name, topicId, byId })
  if (byId && typeof topic === 'number') return topic
  const isAllowed = context.allows(operation, { type: 'topic', name: typeof topic === 'number' ? name : topic.name })
  return isAllowed ? topic : ErrorCode.TOPIC_AUTHORIZATION_FAILED
}

/** A right on the whole cluster, or on the name. */
export const mayCreateTopic = (context: RequestContext, name: string): boolean =>
  context.allows('create', { type: 'cluster' }) || context.allows('create', { type: 'topic', name })
