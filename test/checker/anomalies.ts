/** What a history can be found guilty of. */

/** Each breaks a promise. The names follow Jepsen's work on Kafka where it has one. */
export const ANOMALIES = {
  'inconsistent-offset': 'an offset named two different records',
  duplicate: 'a value that was sent once is in the log more than once',
  phantom: 'a value was read that nobody sent, or in another log than it was sent to',
  lost: 'an acknowledged record is not in the log',
  skipped: 'a reader passed a record and was not given it',
  'nonmonotonic-read': 'a reader went back, or was given records out of order',
  'read-gap': 'a reader went on further ahead than it had been, and was not told',
  truncated: 'a reader was told that what it had read is not in the log any more',
  reordered: 'what one producer sent to a partition is not in the order in which it was sent',
  'wrong-outcome': 'a write that was said to have failed is in the log',
  'false-receipt': 'a record is not where its receipt says',
  'stored-lost': 'a write that the outbox had stored is neither in the log nor accounted for',
  'aborted-read': 'a reader of committed records was given a record of an aborted transaction',
  'torn-transaction': 'a part of a transaction is visible and another part is not',
  'commit-lost': 'a committed offset was forgotten, or an older one came back',
  'group-skip': 'a group committed past a record that none of its members was given',
  'double-assignment': 'two members were given one partition in the same generation',
  'table-differs': 'a table at rest is not what its log comes to',
  'end-went-back': 'the end of a log lies before a record that is in it',
  'start-moved': 'the start of a log moved without a reason, or back',
} as const

export type AnomalyKind = keyof typeof ANOMALIES

export interface Anomaly {
  kind: AnomalyKind
  text: string
}

/** Legal, and worth knowing. */
export type NoteKind = 'send-interleaved' | 'repeated-legally' | 'unknown-landed' | 'unknown-not-landed'

export class Findings {
  readonly anomalies: Anomaly[] = []
  readonly notes = new Map<NoteKind, number>()

  found(kind: AnomalyKind, text: string): void {
    this.anomalies.push({ kind, text })
  }

  note(kind: NoteKind, times = 1): void {
    this.notes.set(kind, (this.notes.get(kind) ?? 0) + times)
  }
}
