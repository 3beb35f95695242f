/** What a client is told of a group's work on a partition, and what that says of one record. Plain data. */

export interface ProgressQuery {
  group: string
  topicId: string
  partition: number
  /** The answer comes when it is decided what became of this record. */
  offset: number
}

export interface GivenUp {
  from: number
  /** The offset behind the last. */
  to: number
  how: 'dead-lettered' | 'skipped'
  reason: string
  /** null: there is no dead letter. */
  place: { topic: string; partition: number; offset: number } | null
}

/** Records from `knownFrom` up to `committed` were handled, but for those given up. -1: nothing is committed. */
export interface GroupProgress {
  committed: number
  knownFrom: number
  /** At or above the offset that was asked for. */
  givenUp: GivenUp[]
}

export type Fate = { is: 'waiting' | 'handled' | 'unknown' } | { is: 'given-up'; how: GivenUp }

export function fateOf(offset: number, { committed, knownFrom, givenUp }: GroupProgress): Fate {
  const how = givenUp.findLast(({ from, to }) => offset >= from && offset < to)
  // Given up is what was said of this record itself; that it lies below what is known takes nothing from it.
  if (how) return { is: 'given-up', how }
  if (offset < knownFrom) return { is: 'unknown' }
  return { is: offset < committed ? 'handled' : 'waiting' }
}
