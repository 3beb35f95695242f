/** What a page asks of the core about one channel, and what it is told. Plain data. */

export interface ChannelAsk {
  /** Chosen by the page, unique for ever: who asks. A core that does not know it joins in its name. */
  handle: string
  topic: string
  channel: string
  /** What the member says of itself now: told to the others whenever it differs, and after each reconnect. */
  state: Uint8Array | null
  act: /** News since the answer of that number, or after `waitMs` that there is none. */
    | { is: 'listen'; after: number; waitMs: number }
    /** `state` has changed. */
    | { is: 'state' }
    | { is: 'say'; payload: Uint8Array }
    | { is: 'leave' }
}

export interface ChannelAnswer {
  /** To be named by the next `listen`. */
  sequence: number
  /** Which member the asker is; null while it is none, for want of a connection. */
  me: string | null
  /** `present` are all members, and nobody else is there. */
  isWhole: boolean
  present: Array<{ id: string; state: Uint8Array | null }>
  gone: string[]
  messages: Array<{ from: string; payload: Uint8Array }>
  /** So many messages, at least, were dropped because the asker did not listen. */
  missed: number
}
