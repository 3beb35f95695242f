/**
 * The header of an unmasked, unfragmented, binary WebSocket frame (RFC 6455 section 5.2): what a server sends. Written
 * here rather than by the library so that one buffer can hold header and message and go to many sockets.
 */
const FIN_BINARY = 0x82
const LENGTH_IN_16_BITS = 126
const LENGTH_IN_64_BITS = 127

export const WEBSOCKET_HEADER_BYTES_MAX = 10

export function webSocketHeaderBytes(messageBytes: number): number {
  if (messageBytes < LENGTH_IN_16_BITS) return 2
  return messageBytes < 65_536 ? 4 : 10
}

export function writeWebSocketHeader(target: Uint8Array, messageBytes: number, at = 0): void {
  target[at] = FIN_BINARY
  if (messageBytes < LENGTH_IN_16_BITS) {
    target[at + 1] = messageBytes
    return
  }
  const view = new DataView(target.buffer, target.byteOffset, target.byteLength)
  if (messageBytes < 65_536) {
    target[at + 1] = LENGTH_IN_16_BITS
    view.setUint16(at + 2, messageBytes)
    return
  }
  target[at + 1] = LENGTH_IN_64_BITS
  view.setUint32(at + 2, 0)
  view.setUint32(at + 6, messageBytes)
}
