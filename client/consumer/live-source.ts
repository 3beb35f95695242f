/** Reading straight from the relay: one subscription for each partition, nothing kept. */
import type { Session } from '../session.ts'
import { whenLive } from '../when-live.ts'
import type { Lanes } from './lanes.ts'
import { LiveFeed } from './live-feed.ts'
import { END, type Isolation, type Source, START } from './source.ts'

/** Waits for the connection rather than fail while there is none; a closed session or a refusal is an error. */
export async function openLiveSource(
  lanes: Lanes,
  topicName: string,
  { partitions, isolation }: { partitions: readonly number[] | undefined; isolation: Isolation },
  signal: AbortSignal,
): Promise<Source> {
  const { main } = lanes
  const topic = await whenLive(main, signal, () => main.metadata.lookUp(topicName))
  // Chosen when feeds are made, all in one turn: another reader cannot take the same partitions in between.
  let session: Session | undefined
  const listOffset = async (partition: number, timestampMs: number): Promise<number> => {
    const { listOffset } = await import('./list-offset.ts')
    const asked = { topic: topicName, partition, timestampMs, isolation }
    return whenLive(main, signal, () => listOffset(main, asked, { signal }))
  }
  const feeds = new Set<LiveFeed>()
  return {
    ...{ topic, isolation },
    async bounds(partition) {
      const [start, end] = await Promise.all([listOffset(partition, START), listOffset(partition, END)])
      return { start, end }
    },
    async offsetForTimestamp(partition, timestampMs) {
      const offset = await listOffset(partition, timestampMs)
      return offset < 0 ? listOffset(partition, END) : offset
    },
    feed(partition, options, events) {
      // Others may have taken this partition there since the last records were looked for.
      if (session?.isSubscribed(topic.id, partition)) session = lanes.find(topic, [partition])
      session ??= lanes.find(topic, partitions)
      const feed = new LiveFeed(session, topic, partition, options, events)
      feeds.add(feed)
      return feed
    },
    close() {
      for (const feed of feeds) feed.close()
    },
  }
}
