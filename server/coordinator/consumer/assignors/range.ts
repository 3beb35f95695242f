/**
 * Range: each topic is cut into runs of neighbours, one for each of its readers, in the order of their names. Topics with
 * the same readers and as many partitions are cut alike, so what has the same key in all of them meets at one member.
 */
import { type Assignor, type Candidate, Shares, type Subscribers } from './assignor.ts'

export const range: Assignor = (subscribers, partitionCounts) => {
  const shares = new Shares()
  const readersOf = readersByTopic(subscribers)
  for (const [topicId, partitionCount] of partitionCounts) {
    const readers = readersOf(topicId)
    const base = Math.floor(partitionCount / readers.length)
    const extra = partitionCount % readers.length
    let next = 0
    for (let index = 0; next < partitionCount; index++) {
      const end = next + base + (index < extra ? 1 : 0)
      for (; next < end; next++) shares.add(readers[index]!.memberId, topicId, next)
    }
  }
  return shares.finish()
}

/** Many topics have the same readers: each list is made once. */
function readersByTopic(subscribers: readonly Subscribers[]): (topicId: string) => readonly Candidate[] {
  const indexesOf = new Map<string, number[]>()
  for (const [index, { topicIds }] of subscribers.entries()) {
    for (const topicId of topicIds) {
      const indexes = indexesOf.get(topicId)
      if (indexes) indexes.push(index)
      else indexesOf.set(topicId, [index])
    }
  }
  const lists = new Map<string, readonly Candidate[]>()
  return (topicId) => {
    const indexes = indexesOf.get(topicId) ?? []
    const key = indexes.join()
    let list = lists.get(key)
    if (!list) {
      list = indexes.flatMap((index) => subscribers[index]!.members).sort(byName)
      lists.set(key, list)
    }
    return list
  }
}

/** A static member keeps its place when its process, and with it its id, is replaced. */
function byName(a: Candidate, b: Candidate): number {
  const [nameA, nameB] = [a.instanceId ?? a.memberId, b.instanceId ?? b.memberId]
  if (nameA !== nameB) return nameA < nameB ? -1 : 1
  return a.memberId < b.memberId ? -1 : 1
}
