/** Reading straight from the relay: one subscription for each partition, nothing kept. */
import { abortError } from '../abort-error.ts'
import { OttlaError } from '../errors.ts'
import type { Session } from '../session.ts'
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

/** Runs `act` as soon as the session is live, and again when the connection is lost in the middle. */
export async function whenLive<T>(session: Session, signal: AbortSignal, act: () => Promise<T>): Promise<T> {
  for (;;) {
    await live(session, signal)
    try {
      return await act()
    } catch (error) {
      if (session.state.phase === 'live' || signal.aborted || session.state.phase === 'closed') throw error
    }
  }
}

function live(session: Session, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const look = () => {
      if (session.state.phase === 'live') stop(resolve)
      else if (session.state.phase === 'closed' || signal.aborted) stop(() => reject(closedReason(session, signal)))
    }
    const stop = (settle: () => void) => {
      unlisten()
      signal.removeEventListener('abort', look)
      settle()
    }
    const unlisten = session.onState(look)
    signal.addEventListener('abort', look)
    look()
  })
}

function closedReason(session: Session, signal: AbortSignal): OttlaError {
  if (signal.aborted) return abortError('reading', signal)
  const { state } = session
  const why = state.phase === 'closed' && state.error ? `: ${state.error.message}` : ''
  return new OttlaError('CLOSED', { message: `the connection is closed for good${why}` })
}
