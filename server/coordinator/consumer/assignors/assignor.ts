/** What decides who shall read what. */
import type { Partitions } from '../partitions.ts'

export interface Candidate {
  readonly memberId: string
  readonly instanceId: string | null
  /** What it was to read until now. No partition is in two of them. */
  readonly target: Partitions
}

/** Members that read the same topics. No two of these are equal. */
export interface Subscribers {
  readonly topicIds: ReadonlySet<string>
  readonly members: readonly Candidate[]
}

/** Gives every partition of every topic to one of those who read it. Members that get nothing may be left out. */
export type Assignor = (
  subscribers: readonly Subscribers[],
  /** How many partitions each topic has. */
  partitionCounts: ReadonlyMap<string, number>,
) => ReadonlyMap<string, Partitions>

/** Gathers what members get, partition by partition, and makes it sets. */
export class Shares {
  readonly #byMember = new Map<string, Map<string, number[]>>()

  add(memberId: string, topicId: string, partition: number): void {
    let topics = this.#byMember.get(memberId)
    if (!topics) {
      topics = new Map()
      this.#byMember.set(memberId, topics)
    }
    const list = topics.get(topicId)
    if (list) list.push(partition)
    else topics.set(topicId, [partition])
  }

  finish(): ReadonlyMap<string, Partitions> {
    for (const topics of this.#byMember.values()) for (const list of topics.values()) list.sort((a, b) => a - b)
    return this.#byMember
  }
}
