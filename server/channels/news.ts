/** What a channel tells: made once, and the same bytes for every connection that hears it. */
import { ErrorCode } from '../../protocol/errors.ts'
import { ChannelEvent, type ChannelNews, channelNews } from '../../protocol/messages/channels.ts'
import { encodePush } from '../../protocol/messages/offset-protocol.ts'
import type { Frame } from '../fan-out/frame.ts'
import { WEBSOCKET_HEADER_BYTES_MAX, webSocketHeaderBytes, writeWebSocketHeader } from '../listener/websocket-frame.ts'

export type ChannelHappening = ChannelNews['events'][number]

export class News {
  readonly body: ChannelNews
  #frame: Frame | undefined

  constructor(channel: { topicId: string; name: string }, what: Partial<ChannelNews>) {
    const { topicId, name } = channel
    this.body = { topicId, channel: name, errorCode: ErrorCode.NONE, isWhole: 0, events: [], ...what }
  }

  /** Lost by a listener that does not take it: a message is, what members are is told again. */
  get isPassing(): boolean {
    return this.body.events.every(({ kind }) => kind === ChannelEvent.message)
  }

  get frame(): Frame {
    this.#frame ??= frameOf(this.body)
    return this.#frame
  }
}

function frameOf(body: ChannelNews): Frame {
  const encoded = encodePush(channelNews, body, { headroom: WEBSOCKET_HEADER_BYTES_MAX })
  const messageBytes = encoded.length - WEBSOCKET_HEADER_BYTES_MAX
  const from = WEBSOCKET_HEADER_BYTES_MAX - webSocketHeaderBytes(messageBytes)
  writeWebSocketHeader(encoded, messageBytes, from)
  const bytes = Buffer.from(encoded.buffer, encoded.byteOffset + from, encoded.length - from)
  const payloadAt = WEBSOCKET_HEADER_BYTES_MAX - from
  return { bytes, payloadAt, recordBytes: 0, baseOffset: 0, nextOffset: 0, saysEnd: false }
}
