/**
 * Messages that lie in several buffers. All that a connection says in one turn of the event loop goes to the system with
 * one call: the answers to requests that one commit settled, say.
 */
import type { Duplex } from 'node:stream'

export const totalBytes = (first: Uint8Array, rest: readonly Uint8Array[]): number =>
  rest.reduce((total, piece) => total + piece.length, first.length)

/** `onSent` is called when the system has all of it, so that the buffers may change; never when it was not sent. */
export function writePieces(
  socket: Duplex,
  first: Uint8Array,
  rest: readonly Uint8Array[] = [],
  onSent?: () => void,
): void {
  if (socket.writableCorked === 0) {
    socket.cork()
    process.nextTick(uncork, socket)
  }
  const last = rest.at(-1)
  socket.write(first, last ? undefined : whenSent(onSent))
  for (const piece of rest) socket.write(piece, piece === last ? whenSent(onSent) : undefined)
}

const uncork = (socket: Duplex) => socket.uncork()

const whenSent = (onSent: (() => void) | undefined) =>
  onSent && ((error?: Error | null) => void (error ? undefined : onSent()))
