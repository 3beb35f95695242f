/** The status that a page shows while no host tells it the true one. */
import type { Status } from '../client/core.ts'

export function initialStatus(replica: string): Status {
  return {
    state: 'connecting',
    connection: { phase: 'connecting', attempt: 0 },
    behindRecords: 0,
    outbox: { pendingEntries: 0, pendingRecords: 0, pendingBytes: 0, parkedEntries: 0 },
    topics: [],
    replicasPaused: null,
    writesPaused: null,
    replica,
    storageError: null,
    persisted: null,
    clockOffsetMs: null,
    clockErrorMs: null,
  }
}

/** What was known stays, but nothing is live and nothing is known to be up to date. */
export function withoutHost(status: Status): Status {
  return {
    ...status,
    state: 'connecting',
    connection: { phase: 'connecting', attempt: 0 },
    topics: status.topics.map((topic) => ({
      ...topic,
      replica: topic.replica.map((range) => ({ ...range, upToDate: false })),
    })),
  }
}
