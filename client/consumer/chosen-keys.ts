/** What a reader sees of a replica that keeps some keys of a topic, and which of the records there are its own. */
import type { ReplicaPolicy, ReplicaRange } from '../core.ts'
import type { KeyMatcher } from './source.ts'

export interface ChosenKeys {
  /** undefined: all that is there. */
  matches: KeyMatcher | undefined
  /** While less is held than the reader asked for, there is nothing to read yet: what it wants is about to be fetched. */
  see(range: ReplicaRange): ReplicaRange
}

const notThereYet = (range: ReplicaRange): ReplicaRange => ({ ...range, end: range.start, upToDate: false })

/** The code for filters is loaded where somebody has one. */
export async function chosenKeys(policy: ReplicaPolicy): Promise<ChosenKeys> {
  if (!policy.keys && !policy.prefixes) {
    return { matches: undefined, see: (range) => (range.filter === undefined ? range : notThereYet(range)) }
  }
  const { covers, filterOf, matcherOf } = await import('../key-filter.ts')
  const filter = filterOf(policy)!
  return {
    matches: matcherOf(filter),
    see: (range) => (covers(range.filter, filter) ? range : notThereYet(range)),
  }
}
