/** What doors need of a socket: one of the system's, or one of a network that is simulated. */
import type { Duplex } from 'node:stream'

export interface PeerSocket extends Duplex {
  readonly remoteAddress?: string | undefined
  /** Where the other side connected to. */
  readonly localAddress?: string | undefined
  readonly localPort?: number | undefined
  /** Ends when everything written has been handed to the network. */
  destroySoon(): void
}

export interface Address {
  host: string
  port: number
}

/** As it stands in an address bar or behind `--bootstrap-server`. */
export const hostAndPort = ({ host, port }: Address): string => `${host.includes(':') ? `[${host}]` : host}:${port}`
