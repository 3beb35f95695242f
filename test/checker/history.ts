/**
 * What clients saw, as the checker reads it: operations with the time of their call and that of their answer. Nothing in
 * it comes from the relay's inside. One operation is one line of JSON, so that real runs can write it too.
 *
 * Values are texts, each sent once in the whole history: a value names its record.
 */

export interface Span {
  /** Who: a program from its start to its end. */
  process: string
  /** Milliseconds by a clock that all processes share. */
  at: number
  /** When the answer came; null when none ever did. */
  until: number | null
}

export interface LogName {
  topic: string
  /** Where the client knew it. A topic made anew has another. */
  topicId?: string
  partition: number
}

export interface Place {
  partition: number
  /** -1: in the log, place forgotten. */
  offset: number
}

/** One batch, or one write of an outbox. */
export interface Send extends Span {
  op: 'send'
  /** Sends of one producer to one partition land in the order of their calls, unless they are `unordered`. */
  producer: string
  topic: string
  topicId?: string
  /** null: the client chose. */
  partition: number | null
  values: string[]
  /** Of each value, where the topic is compacted. */
  keys?: string[]
  /** Those of the values that say that their key is gone. */
  tombstones?: string[]
  acks: 0 | 1 | -1
  /** 'ok' acknowledged; 'failed' the client was told that nothing was written; 'unknown' anything may have happened. */
  outcome: 'ok' | 'failed' | 'unknown'
  /** For each value, when acknowledged. */
  places?: Place[]
  /** Acknowledged before it was on disk. */
  relaxed?: boolean
  /** Was sent more than once by a producer without sequences, so it may be there more than once. */
  mayRepeat?: boolean
  /** Sent in one transaction after another until one commits: readers of committed records are given it once. */
  hasAttempts?: boolean
  /** Its place in the producer's order is open: the client sent it again after a crash, say. */
  unordered?: boolean
  transaction?: string
  /** An outbox has promised to keep it, so it lands in the end. */
  isStored?: boolean
  /** What the outbox says of it at the end. */
  end?: 'committed' | 'pending' | 'parked' | 'unknown' | 'discarded' | 'lost'
}

/**
 * Records that a reader was given: all that are in [from, next), as far as it may see them. `from` is where the last one
 * ended, unless `jump` says why it isn't.
 */
export interface Read extends Span, LogName {
  op: 'read'
  reader: string
  /** 1: read committed. */
  isolation: 0 | 1
  from: number
  next: number
  records: Array<[offset: number, value: string]>
  /** start: began to read, or was assigned. log-start: what it wanted is gone. truncated: was told to go back. */
  jump?: 'start' | 'log-start' | 'truncated' | 'seek'
  group?: string
  /** It had asked for records of these keys alone. */
  keys?: string[]
}

export interface Commit extends Span, LogName {
  op: 'commit'
  group: string
  offset: number
  outcome: 'ok' | 'failed' | 'unknown'
  /** Decided with the transaction. */
  transaction?: string
}

/** A committed offset as it was asked for; -1 when there is none. */
export interface Committed extends Span, LogName {
  op: 'committed'
  group: string
  offset: number
}

/** What a generation's assignment gave to one member. */
export interface Assigned extends Span {
  op: 'assigned'
  group: string
  member: string
  generation: number
  partitions: Array<{ topic: string; partition: number }>
}

export interface Transaction extends Span {
  op: 'transaction'
  transaction: string
  producer: string
  outcome: 'committed' | 'aborted' | 'unknown'
}

/** DeleteRecords. */
export interface Trim extends Span, LogName {
  op: 'trim'
  before: number
  outcome: 'ok' | 'failed' | 'unknown'
}

export interface TopicChange extends Span {
  op: 'topic'
  change: 'created' | 'deleted'
  topic: string
  topicId?: string
  outcome: 'ok' | 'failed' | 'unknown'
  /** Records may go by age or size. */
  retains?: boolean
  /** Records may go when a later one has their key. */
  compacts?: boolean
  /** Tombstones may go some time after they came, though no later record has their key. */
  forgets?: boolean
}

/** The ends of a log as a client was told. */
export interface Ends extends Span, LogName {
  op: 'ends'
  start: number
  end: number
}

/** A table as it is in the end, when the log has come to rest and nothing waits over it. */
export interface Rows extends Span {
  op: 'rows'
  topic: string
  topicId?: string
  /** Told of these keys alone. */
  keys?: string[]
  rows: Array<[key: string, value: string, partition: number, offset: number]>
}

/** All is healed, every client is done, and readers have been given everything there is. */
export interface TheEnd {
  op: 'end'
  at: number
}

export type Operation =
  | Send
  | Read
  | Commit
  | Committed
  | Assigned
  | Transaction
  | Trim
  | TopicChange
  | Ends
  | Rows
  | TheEnd

export function* parseHistory(lines: Iterable<string>): Generator<Operation> {
  for (const line of lines) if (line.trim() !== '') yield JSON.parse(line) as Operation
}
