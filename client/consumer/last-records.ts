/**
 * Where the last N records over several partitions begin: a merge by timestamp from the ends backwards.
 *
 * No partition can give more than N, so the last N offsets of each are looked through first, and their timestamps (not
 * the records) are kept: at most N numbers a partition. Then the newest is taken again and again from the partition
 * whose next one is the newest, so that each partition gives a whole tail.
 */
import type { CodecRegistry } from '../../protocol/compression.ts'
import { decodeFrame } from './decode-frame.ts'
import type { Source } from './source.ts'
import type { PartitionStart } from './start-position.ts'

interface Tail {
  partition: number
  end: number
  /** Ascending by offset. */
  records: Array<{ offset: number; timestamp: number }>
}

export async function lastRecords(
  source: Source,
  partitions: readonly number[],
  count: number,
  codecs: CodecRegistry,
): Promise<PartitionStart[]> {
  const tails = await Promise.all(partitions.map((partition) => readTail(source, partition, count, codecs)))
  const taken = takeNewest(tails, count)
  return tails.map(({ partition, end, records }, index) => {
    const first = records[records.length - taken[index]!]
    return { partition, from: first ? first.offset : end, isExact: false }
  })
}

/** How many records of each tail are among the `count` newest. */
export function takeNewest(tails: readonly Pick<Tail, 'partition' | 'records'>[], count: number): number[] {
  const taken = tails.map(() => 0)
  for (let step = 0; step < count; step++) {
    let newest = -1
    let newestTimestamp = Number.NEGATIVE_INFINITY
    tails.forEach(({ records }, index) => {
      const next = records[records.length - 1 - taken[index]!]
      // >= : of two of the same time the one in the later partition counts as newer.
      if (next && next.timestamp >= newestTimestamp) {
        newest = index
        newestTimestamp = next.timestamp
      }
    })
    if (newest < 0) break
    taken[newest]!++
  }
  return taken
}

async function readTail(source: Source, partition: number, count: number, codecs: CodecRegistry): Promise<Tail> {
  const { start, end } = await source.bounds(partition, false)
  const tail: Tail = { partition, end, records: [] }
  const from = Math.max(start, end - count)
  if (from < end) await readInto(tail, source, from, codecs)
  return tail
}

async function readInto(tail: Tail, source: Source, from: number, codecs: CodecRegistry): Promise<void> {
  const { partition, end } = tail
  let wake: () => void = () => {}
  let failure: { error: unknown } | undefined
  const feed = source.feed(
    partition,
    { from, isExact: false, onMissingOffset: 'earliest', isolation: source.isolation, bufferBytesMax: 1024 * 1024 },
    {
      onStart: () => {},
      onReady: () => wake(),
      onGap: () => {},
      onFailed(error) {
        failure = { error }
        wake()
      },
    },
  )
  try {
    for (let position = from; position < end; ) {
      if (failure) throw failure.error
      const frame = feed.take()
      if (!frame) {
        if (feed.isUpToDate) return
        await new Promise<void>((resolve) => {
          wake = resolve
        })
        continue
      }
      for (const { offset, timestamp } of await decodeFrame(frame, codecs)) {
        if (offset < end) tail.records.push({ offset, timestamp })
      }
      position = frame.nextOffset
      frame.release()
    }
  } finally {
    feed.close()
  }
}
