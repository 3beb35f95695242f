/** What doors need of a socket: one of the system's, or one of a network that is simulated. */
import type { Duplex } from 'node:stream'

export interface PeerSocket extends Duplex {
  readonly remoteAddress?: string | undefined
  /** Ends when everything written has been handed to the network. */
  destroySoon(): void
}

export interface Address {
  host: string
  port: number
}
