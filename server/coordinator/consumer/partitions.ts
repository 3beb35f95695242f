/**
 * Sets of partitions: by topic id, ascending, without topics that have none. They are never changed, so they can be
 * shared, kept and compared by reference.
 */
export type Partitions = ReadonlyMap<string, readonly number[]>

export interface TopicPartitions {
  topicId: string
  partitions: readonly number[]
}

export const NO_PARTITIONS: Partitions = new Map()

/** Whatever order and repetitions they come in. */
export function partitionsOf(lists: Iterable<TopicPartitions>): Partitions {
  const sets = new Map<string, Set<number>>()
  for (const { topicId, partitions } of lists) {
    const set = sets.get(topicId) ?? new Set()
    for (const partition of partitions) set.add(partition)
    if (set.size > 0) sets.set(topicId, set)
  }
  return new Map([...sets].map(([topicId, set]) => [topicId, [...set].sort(ascending)]))
}

export function listsOf(partitions: Partitions): Array<{ topicId: string; partitions: readonly number[] }> {
  return [...partitions].map(([topicId, list]) => ({ topicId, partitions: list }))
}

export function* eachOf(partitions: Partitions): Generator<[topicId: string, partition: number]> {
  for (const [topicId, list] of partitions) for (const partition of list) yield [topicId, partition]
}

export function countOf(partitions: Partitions): number {
  let count = 0
  for (const list of partitions.values()) count += list.length
  return count
}

export function onlyThose(
  partitions: Partitions,
  isWanted: (topicId: string, partition: number) => boolean,
): Partitions {
  const kept = new Map<string, readonly number[]>()
  for (const [topicId, list] of partitions) {
    const wanted = list.filter((partition) => isWanted(topicId, partition))
    if (wanted.length > 0) kept.set(topicId, wanted.length === list.length ? list : wanted)
  }
  return kept
}

export function without(partitions: Partitions, others: Partitions): Partitions {
  const has = membership(others)
  return onlyThose(partitions, (topicId, partition) => !has(topicId, partition))
}

export function common(partitions: Partitions, others: Partitions): Partitions {
  return onlyThose(partitions, membership(others))
}

export function together(partitions: Partitions, others: Partitions): Partitions {
  if (others.size === 0) return partitions
  return partitionsOf([...listsOf(partitions), ...listsOf(others)])
}

export function isPartOf(partitions: Partitions, others: Partitions): boolean {
  return without(partitions, others).size === 0
}

export function isSame(a: Partitions, b: Partitions): boolean {
  if (a === b) return true
  if (a.size !== b.size) return false
  for (const [topicId, list] of a) {
    const other = b.get(topicId)
    if (other?.length !== list.length || list.some((partition, index) => partition !== other[index])) return false
  }
  return true
}

function membership(partitions: Partitions): (topicId: string, partition: number) => boolean {
  const sets = new Map<string, Set<number>>()
  return (topicId, partition) => {
    const list = partitions.get(topicId)
    if (!list) return false
    let set = sets.get(topicId)
    if (!set) {
      set = new Set(list)
      sets.set(topicId, set)
    }
    return set.has(partition)
  }
}

const ascending = (a: number, b: number) => a - b
