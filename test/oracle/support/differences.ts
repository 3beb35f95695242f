/**
 * Where the relay answers otherwise than Apache Kafka 4.3, and why: keys are "scenario: what was observed". The reasons are
 * told in docs/GAPS.md too, under "Differences from Apache Kafka".
 */
export interface Difference {
  /** As `diff` gives them. */
  places: string[]
  why: string
}

export const differences: ReadonlyMap<string, Difference> = new Map([])
