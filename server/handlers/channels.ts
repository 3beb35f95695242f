/**
 * JoinChannel, PublishToChannel, LeaveChannel, version 0: ephemeral channels of topics (docs/PROTOCOL.md).
 *
 * To join is to read: it takes the right to read the topic. To say something, or to join with a state, takes the right to
 * write, asked each time.
 */
import { ErrorCode, KafkaError } from '../../protocol/errors.ts'
import { NULL_UUID } from '../../protocol/lib/uuid.ts'
import { ChannelEvent, joinChannel, leaveChannel, publishToChannel } from '../../protocol/messages/channels.ts'
import type { Member } from '../channels/channel.ts'
import { entry, type RequestContext } from '../handler.ts'

export const joinChannelHandler = entry(joinChannel, 'each', ({ topicId, channel: name, state }, context) => {
  const { channels, engine } = context.services
  const topic = engine.topicById(topicId)
  const refused = (errorCode: number) => ({ errorCode, memberId: NULL_UUID })
  // Ids can be guessed: a topic that may not be seen looks like one that is not there.
  if (!topic || !context.allows('describe', { type: 'topic', name: topic.name })) {
    return refused(ErrorCode.UNKNOWN_TOPIC_ID)
  }
  const access = { type: 'topic', name: topic.name } as const
  if (!context.allows('read', access) || (state && !context.allows('write', access)))
    return refused(ErrorCode.TOPIC_AUTHORIZATION_FAILED)
  try {
    const member = channels.join(context.connection, { topicId, name }, state)
    context.afterReply(() => member.channel.release(context.connection))
    return { errorCode: ErrorCode.NONE, memberId: member.memberId, members: member.channel.states }
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error
    return refused(error.code)
  }
})

export const publishToChannelHandler = entry(publishToChannel, 'each', ({ memberId, kind, payload }, context) => {
  const { channels, connection } = { ...context.services, connection: context.connection }
  const member = channels.find(connection, memberId)
  // It may have been sent before its sender heard that the channel had ended.
  if (!member) return { errorCode: ErrorCode.UNKNOWN_MEMBER_ID }
  if (!mayWrite(member, context)) return { errorCode: ErrorCode.TOPIC_AUTHORIZATION_FAILED }
  const throttleTimeMs = channels.delayOf(connection, payload?.length ?? 0)
  if (throttleTimeMs > 0) return { throttleTimeMs, errorCode: ErrorCode.THROTTLING_QUOTA_EXCEEDED }
  try {
    if (kind === ChannelEvent.message) channels.say(member, payload)
    else if (kind === ChannelEvent.present) channels.setState(member, payload)
    else return { errorCode: ErrorCode.INVALID_REQUEST }
    return { errorCode: ErrorCode.NONE }
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error
    return { errorCode: error.code }
  }
})

export const leaveChannelHandler = entry(leaveChannel, 'none', ({ memberId }, { services, connection }) => {
  const member = services.channels.find(connection, memberId)
  if (member) services.channels.leave(member)
  return { errorCode: ErrorCode.NONE }
})

function mayWrite({ channel }: Member, context: RequestContext): boolean {
  const topic = context.services.engine.topicById(channel.topicId)
  return topic !== undefined && context.allows('write', { type: 'topic', name: topic.name })
}
