/** What a replica gives up when the device has no more room. */
import type { KeptTopics } from './kept-topics.ts'
import type { ReplicaStore } from './store.ts'

/**
 * Oldest first: topics that are no longer replicated, what policies give up, and in need whatever is largest. False when
 * there was nothing to give.
 */
export async function makeRoom(
  topics: KeptTopics,
  store: ReplicaStore,
  sizeBytes: number,
  isNeeded: boolean,
): Promise<boolean> {
  if (await dropStopped(topics, store)) return true
  const { followers } = topics
  let freed = 0
  for (const follower of followers) freed += await follower.dropOldest(0)
  if (freed >= sizeBytes || !isNeeded) return freed > 0
  const largestFirst = followers.sort((a, b) => b.position.sizeBytes - a.position.sizeBytes)
  for (const follower of largestFirst) {
    if (freed >= sizeBytes) break
    freed += await follower.dropOldest(sizeBytes - freed)
  }
  return freed > 0
}

async function dropStopped(topics: KeptTopics, store: ReplicaStore): Promise<boolean> {
  const stopped = topics.all.find(({ policy, topicId }) => policy === null && topics.hasPositions(topicId))
  if (!stopped) return false
  await store.dropTopic(stopped.topicId)
  topics.forget(stopped)
  return true
}
