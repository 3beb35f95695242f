/** Where logs begin or end, for calls that need it of many partitions and can do without some. */
import type { AdminRun } from './driver.ts'
import { listedBy, type OffsetSpec } from './records.ts'
import { keyOf, type TopicPartition } from './topic-partitions.ts'

/** By partition (`keyOf`); those that cannot be told, such as of topics that are gone, are left out. */
export async function listEnds(
  run: AdminRun,
  spec: OffsetSpec,
  partitions: readonly TopicPartition[],
): Promise<Map<string, number>> {
  const outcomes = await listedBy(
    run,
    partitions.map(({ topic, partition }) => ({ topic, partition, spec })),
    'uncommitted',
  ).settled()
  return new Map(outcomes.flatMap(({ entry, value }) => (value ? [[keyOf(entry), value.offset]] : [])))
}
