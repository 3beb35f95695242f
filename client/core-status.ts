/** A core's state as one plain object. */
import type { OutboxDepth, PauseReason, ReplicaRange, Status, StatusState, TopicStatus } from './core.ts'
import type { ErrorInfo, OttlaError } from './errors.ts'
import type { ConnectionState } from './session.ts'

export interface StatusParts {
  connection: ConnectionState
  isClosed: boolean
  ranges: ReplicaRange[]
  /** Names of replicated topics, also of those that hold nothing yet. */
  replicated: string[]
  outbox: OutboxDepth
  outboxByTopic: ReadonlyMap<string, OutboxDepth>
  replicasPaused: PauseReason | null
  writesPaused: PauseReason | null
  replica: string | null
  trouble: OttlaError | undefined
  clockOffsetMs: number | undefined
  clockErrorMs: number | undefined
}

export function coreStatus(parts: StatusParts): Status {
  const { ranges, outbox, replica, trouble, clockOffsetMs, clockErrorMs } = parts
  const hasLeft = parts.isClosed && trouble?.code === 'LOGGED_OUT'
  const connection = hasLeft ? { phase: 'closed' as const, error: trouble.toInfo() } : parts.connection
  const behindRecords = ranges.reduce((sum, { end, relayEnd }) => sum + Math.max(0, relayEnd - end), 0)
  return {
    state: parts.isClosed ? 'closed' : stateOf(connection, behindRecords),
    connection,
    behindRecords,
    outbox,
    topics: topicStatuses(parts),
    replicasPaused: parts.replicasPaused,
    writesPaused: parts.writesPaused,
    replica,
    storageError: hasLeft ? null : (trouble?.toInfo() ?? null),
    // A worker cannot know: the page adds it.
    persisted: null,
    clockOffsetMs: clockOffsetMs ?? null,
    clockErrorMs: clockErrorMs ?? null,
  }
}

/** The logout that ended the client of this status, if one did. */
export function loggedOut({ connection }: Pick<Status, 'connection'>): ErrorInfo | null {
  return connection.phase === 'closed' && connection.error?.code === 'LOGGED_OUT' ? connection.error : null
}

function stateOf({ phase }: ConnectionState, behindRecords: number): StatusState {
  return phase === 'live' && behindRecords > 0 ? 'catching-up' : phase
}

function topicStatuses({ ranges, replicated, outboxByTopic }: StatusParts): TopicStatus[] {
  const names = new Set([...replicated, ...outboxByTopic.keys()])
  return [...names].sort().map((name) => ({
    name,
    outbox: outboxByTopic.get(name) ?? NOTHING_WAITS,
    replica: ranges.filter(({ topic }) => topic === name),
  }))
}

const NOTHING_WAITS: OutboxDepth = { pendingEntries: 0, pendingRecords: 0, pendingBytes: 0, parkedEntries: 0 }
