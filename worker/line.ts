/**
 * A line between one page and one host: a MessagePort where they share a worker, otherwise a BroadcastChannel that
 * only those two know. Both are comlink endpoints; only a port can transfer, a channel clones.
 */
import type { Endpoint } from 'comlink'

export interface Line extends Endpoint {
  post(note: object): void
  /** Calls `heard` with the data of each message until the line closes. */
  listen(heard: (data: unknown) => void): void
  close(): void
}

export function portLine(port: MessagePort): Line {
  port.start()
  return {
    postMessage: (message, transfer) => port.postMessage(message, transfer ?? []),
    addEventListener: port.addEventListener.bind(port),
    removeEventListener: port.removeEventListener.bind(port),
    post: (note) => port.postMessage(note),
    listen: (heard) => port.addEventListener('message', (event) => heard(event.data)),
    close: () => port.close(),
  }
}

export function channelLine(channel: BroadcastChannel): Line {
  let isClosed = false
  // A closed channel throws on use, a closed port is silent; lines are silent.
  const post = (message: unknown) => {
    if (!isClosed) channel.postMessage(message)
  }
  return {
    postMessage: post,
    addEventListener: channel.addEventListener.bind(channel),
    removeEventListener: channel.removeEventListener.bind(channel),
    post,
    listen: (heard) => channel.addEventListener('message', (event) => heard(event.data)),
    close: () => {
      isClosed = true
      channel.close()
    },
  }
}
