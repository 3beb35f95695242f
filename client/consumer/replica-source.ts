/** Reading from the replica: what is held is there at once, what the relay has beyond it comes as it is stored. */
import type { CodecRegistry } from '../../protocol/compression.ts'
import { batchesIn } from '../../protocol/record-batch.ts'
import { abortError } from '../abort-error.ts'
import type { Core, ReplicaPolicy, ReplicaRange, StoredChunk } from '../core.ts'
import { OttlaError } from '../errors.ts'
import { chosenKeys } from './chosen-keys.ts'
import { decodeFrame } from './decode-frame.ts'
import { mayHearMore } from './may-hear-more.ts'
import { ReplicaFeed } from './replica-feed.ts'
import type { Frame, Isolation, Source } from './source.ts'

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
      chosen.see(ranges.get(partition) ?? emptyRange(topicName, topic.id, partition))
    const feeds = new Set<ReplicaFeed>()
    return {
      ...{ topic, isolation },
      async bounds(partition, newest) {
        const isEnough = ({ start, end, relayEnd, upToDate }: ReplicaRange) =>
          upToDate || relayEnd >= 0 || (!newest && end > start) || !mayHearMore(core)
        await until(core, signal, () => isEnough(rangeOf(partition)))
        const { start, end, relayEnd } = rangeOf(partition)
        return { start, end: newest || end === start ? Math.max(end, relayEnd) : end }
      },
      offsetForTimestamp: (partition, timestampMs) =>
        firstOffsetSince(core, rangeOf(partition), { timestampMs, isolation }, codecs),
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
async function whenReachable<T>(core: Core, signal: AbortSignal, act: () => Promise<T>): Promise<T> {
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
        settle(() => reject(new OttlaError('CLOSED', { message: 'the client was closed while a reader waited' })))
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

/**
 * Halves the range by the largest timestamp of the chunk in the middle: right as long as timestamps grow about as offsets
 * do; a straggler may hide in an earlier chunk, as it may from the relay's sparse time index.
 */
async function firstOffsetSince(
  core: Core,
  range: ReplicaRange,
  { timestampMs, isolation }: { timestampMs: number; isolation: Isolation },
  codecs: CodecRegistry,
): Promise<number> {
  let { start: low, end: high } = range
  let candidate: Frame | undefined
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    const [chunk] = await core.readReplica(range.topicId, range.partition, middle, 1)
    if (!chunk) break
    if (chunk.batches.length === 0 || chunk.baseOffset >= high) {
      // Nothing is left between the middle and what is known.
      high = middle
      continue
    }
    let maxTimestamp = -1
    for (const { header } of batchesIn(chunk.batches)) maxTimestamp = Math.max(maxTimestamp, header.maxTimestamp)
    if (maxTimestamp < timestampMs) low = chunk.nextOffset
    else {
      high = chunk.baseOffset
      candidate = frameOf(range, chunk, isolation)
    }
  }
  if (!candidate) return range.end
  const records = await decodeFrame(candidate, codecs)
  return records.find((record) => record.timestamp >= timestampMs)?.offset ?? candidate.nextOffset
}

function frameOf({ partition, start }: ReplicaRange, chunk: StoredChunk, isolation: Isolation): Frame {
  const { batches, nextOffset } = chunk
  const aborted = isolation === 1 ? (chunk.aborted ?? []) : []
  return { partition, batches, fromOffset: start, nextOffset, aborted, gap: undefined, release: () => {} }
}
