/** Reading from the replica: what is held is there at once, what the relay has beyond it comes as it is stored. */
import type { CodecRegistry } from '../../protocol/compression.ts'
import { abortError } from '../abort-error.ts'
import type { Core, ReplicaPolicy, ReplicaRange } from '../core.ts'
import { OttlaError } from '../errors.ts'
import { chosenKeys, seen } from './chosen-keys.ts'
import { mayHearMore } from './may-hear-more.ts'
import { ReplicaFeed } from './replica-feed.ts'
import type { Isolation, Source } from './source.ts'

type RangeCheck = (range: ReplicaRange) => boolean

export async function openReplicaSource(
  core: Core,
  topicName: string,
  { policy, isolation }: { policy: ReplicaPolicy; isolation: Isolation },
  codecs: CodecRegistry,
  signal: AbortSignal,
): Promise<Source> {
  const chosen = await chosenKeys(policy)
  const ranges = new Map<number, ReplicaRange>()
  const unlisten = core.onAdvanced((advanced) => {
    for (const range of advanced) if (range.topic === topicName) ranges.set(range.partition, range)
  })
  try {
    const known = await whenReachable(core, signal, () => core.replicate(topicName, policy))
    for (const range of known) if (!ranges.has(range.partition)) ranges.set(range.partition, range)
    const topic = await whenReachable(core, signal, () => core.topic(topicName))
    const rangeOf = (partition: number) =>
      seen(chosen, ranges.get(partition) ?? emptyRange(topicName, topic.id, partition))
    const feeds = new Set<ReplicaFeed>()
    /** Or until there is nothing more to wait for. */
    const untilRange = (partition: number, isEnough: RangeCheck) =>
      until(core, signal, () => isEnough(rangeOf(partition)) || !mayHearMore(core))
    return {
      ...{ topic, isolation },
      async bounds(partition, newest) {
        await untilRange(partition, ({ start, end, relayEnd }) => relayEnd >= 0 || (!newest && end > start))
        const { start, end, relayEnd } = rangeOf(partition)
        return { start, end: newest || end === start ? Math.max(end, relayEnd) : end }
      },
      async offsetForTimestamp(partition, timestampMs) {
        const { firstOffsetSince } = await import('./first-offset-since.ts')
        const since = { timestampMs, isolation, untilRange }
        return firstOffsetSince(core, () => rangeOf(partition), since, codecs)
      },
      feed(partition, options, events) {
        const feed = new ReplicaFeed({ core, chosen, range: rangeOf(partition) }, options, events)
        feeds.add(feed)
        return feed
      },
      close() {
        unlisten()
        for (const feed of feeds) feed.close()
      },
    }
  } catch (error) {
    unlisten()
    throw error
  }
}

/** A topic never heard of can only be waited for while offline. */
export async function whenReachable<T>(core: Core, signal: AbortSignal, act: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await act()
    } catch (error) {
      if (!(error instanceof OttlaError) || error.code !== 'DISCONNECTED') throw error
      await until(core, signal, () => core.status().connection.phase === 'live')
    }
  }
}

/** Looks at each change of status or replica. Rejects when the signal aborts or the client closes. */
function until(core: Core, signal: AbortSignal, condition: () => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop: Array<() => void> = []
    const settle = (how: () => void) => {
      for (const unlisten of stop) unlisten()
      how()
    }
    const look = () => {
      if (signal.aborted) settle(() => reject(abortError('reading', signal)))
      else if (condition()) settle(resolve)
      else if (core.status().state === 'closed') {
        settle(() => reject(new OttlaError('CLOSED', { message: 'this client was closed' })))
      }
    }
    signal.addEventListener('abort', look)
    stop.push(core.onStatus(look), core.onAdvanced(look), () => signal.removeEventListener('abort', look))
    look()
  })
}

function emptyRange(topic: string, topicId: string, partition: number): ReplicaRange {
  return { topic, topicId, partition, start: 0, end: 0, relayEnd: -1, upToDate: false, generation: 0 }
}
