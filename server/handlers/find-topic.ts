/** A topic as a request names it: by name in older versions, by id in newer ones. */
import { ErrorCode } from '../../protocol/errors.ts'
import type { Topic } from '../engine.ts'
import type { RequestContext } from '../handler.ts'

export interface TopicReference {
  name: string
  topicId: string
  byId: boolean
}

/** The topic, or the error code that says why there is none. Forbidden and absent look alike where ids are guessed. */
export function findTopic(context: RequestContext, { name, topicId, byId }: TopicReference): Topic | number {
  const { engine } = context.services
  if (byId) return engine.topicById(topicId) ?? ErrorCode.UNKNOWN_TOPIC_ID
  return engine.topicByName(name) ?? ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
}
