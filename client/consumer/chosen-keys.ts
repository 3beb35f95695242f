/** What a reader sees of a replica that keeps some keys of a topic, and which of the records there are its own. */
import type { ReplicaPolicy, ReplicaRange } from '../core.ts'
import type { KeyMatcher } from './source.ts'

export interface ChosenKeys {
  /** undefined: all that is there. */
  matches?: KeyMatcher
  /** Whether what a replica holds by this filter is all that the reader asked for. */
  hasAll(filter: string | undefined): boolean
}

const ALL: ChosenKeys = { hasAll: (filter) => filter === undefined }

/** The code for filters is loaded where somebody has one. */
export const chosenKeys = async (policy: ReplicaPolicy): Promise<ChosenKeys> =>
  policy.keys || policy.prefixes ? (await import('../key-filter.ts')).chosenBy(policy) : ALL

/** While less is held than the reader asked for, there is nothing to read yet: what it wants is about to be fetched. */
export const seen = ({ hasAll }: ChosenKeys, range: ReplicaRange): ReplicaRange =>
  hasAll(range.filter) ? range : { ...range, end: range.start, upToDate: false }
