/**
 * Ephemeral channels: who is there, and what is said right now. A part of the offset protocol (docs/PROTOCOL.md).
 *
 * Nothing of it is ever on a disk, and nothing is repeated for who was away: a channel is what its members say at this
 * moment. It belongs to a topic, whose access rules it shares.
 */
import { api } from '../api.ts'
import { array, bytes, type Infer, int8, int16, int32, nullable, string, struct, uuid, withDefault } from '../schema.ts'
import { push } from './offset-protocol.ts'

/** What an event of a channel is. */
export const ChannelEvent = {
  /** Was said once, and is not kept. */
  message: 0,
  /** A member is there, with this state: it has come, or has changed it. */
  present: 1,
  /** A member is gone. */
  gone: 2,
} as const

const memberState = {
  memberId: uuid(),
  /** null: it is there, and says no more. */
  state: nullable(bytes()),
}

/** Becomes a member. The relay gives the member its id, which nobody else can take; it ends with the connection. */
export const joinChannel = api({
  key: 20050,
  name: 'JoinChannel',
  versions: [0, 0],
  flexibleFrom: 0,
  request: struct({ topicId: uuid(), channel: string(), state: nullable(bytes()) }),
  response: struct({
    throttleTimeMs: withDefault(0, int32()),
    errorCode: int16(),
    memberId: uuid(),
    /** Everybody, the new member too. */
    members: withDefault([], array(struct(memberState))),
  }),
})

/** Says something to everybody, or changes the state that later members will find. */
export const publishToChannel = api({
  key: 20051,
  name: 'PublishToChannel',
  versions: [0, 0],
  flexibleFrom: 0,
  request: struct({
    memberId: uuid(),
    /** `ChannelEvent.message` or `ChannelEvent.present`. */
    kind: int8(),
    payload: nullable(bytes()),
  }),
  response: struct({
    /** After 89: how long to wait. */
    throttleTimeMs: withDefault(0, int32()),
    errorCode: int16(),
  }),
})

export const leaveChannel = api({
  key: 20052,
  name: 'LeaveChannel',
  versions: [0, 0],
  flexibleFrom: 0,
  request: struct({ memberId: uuid() }),
  response: struct({ errorCode: int16() }),
})

const channelNewsBody = struct({
  topicId: uuid(),
  channel: string(),
  /** Not 0: the channel has ended for this connection, and all its members with it. */
  errorCode: int16(),
  /** The connection did not take what was said: these are all members as they are now, and what was said is lost. */
  isWhole: int8(),
  events: array(struct({ memberId: uuid(), kind: int8(), payload: nullable(bytes()) })),
})
/** One message for each connection and channel, however many of its members the connection has. */
export const channelNews = push(20015, 'ChannelNews', channelNewsBody)

export type ChannelNews = Infer<typeof channelNewsBody>
export type ChannelMemberState = { memberId: string; state: Uint8Array | null }
