/**
 * A line between one page and one host: a MessagePort where they share a worker, otherwise a BroadcastChannel that
 * only those two know. Only a port can transfer, a channel clones.
 */
export interface Line {
  /** Throws what cannot be cloned; silent once closed. */
  post(note: object, transfer?: Transferable[]): void
  /** Calls `heard` with the data of each message until the line closes. */
  listen(heard: (data: unknown) => void): void
  close(): void
}

export function portLine(port: MessagePort): Line {
  port.start()
  return {
    post: (note, transfer = []) => port.postMessage(note, transfer),
    listen: (heard) => port.addEventListener('message', (event) => heard(event.data)),
    close: () => port.close(),
  }
}

export function channelLine(channel: BroadcastChannel): Line {
  let isClosed = false
  return {
    // A closed channel throws on use, a closed port is silent; lines are silent.
    post(note) {
      if (!isClosed) channel.postMessage(note)
    },
    listen: (heard) => channel.addEventListener('message', (event) => heard(event.data)),
    close() {
      isClosed = true
      channel.close()
    },
  }
}
