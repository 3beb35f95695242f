/** Admin calls with their types: names and bodies as in protocol/messages, over whatever core there is. */
import type { RequestInputOf, ResponseOf } from '../../protocol/api.ts'
import type { describeConfigs, incrementalAlterConfigs } from '../../protocol/messages/configs.ts'
import type { describeCluster, metadata } from '../../protocol/messages/metadata.ts'
import type { deleteRecords, listOffsets, offsetForLeaderEpoch } from '../../protocol/messages/offsets.ts'
import type { describeProducers } from '../../protocol/messages/producers.ts'
import type { createPartitions, createTopics, deleteTopics } from '../../protocol/messages/topics.ts'
import type { ApiName } from '../core.ts'
import { OttlaError } from '../errors.ts'

interface Apis {
  Metadata: typeof metadata
  ListOffsets: typeof listOffsets
  CreateTopics: typeof createTopics
  DeleteTopics: typeof deleteTopics
  CreatePartitions: typeof createPartitions
  DescribeConfigs: typeof describeConfigs
  IncrementalAlterConfigs: typeof incrementalAlterConfigs
  DeleteRecords: typeof deleteRecords
  DescribeProducers: typeof describeProducers
  DescribeCluster: typeof describeCluster
  OffsetForLeaderEpoch: typeof offsetForLeaderEpoch
}

export type AdminCall = <N extends ApiName>(name: N, body: RequestInputOf<Apis[N]>) => Promise<ResponseOf<Apis[N]>>

/** Throws the only failure as it is, several as the first one with all of them as an AggregateError in its cause. */
export function throwFailures(failures: readonly OttlaError[]): void {
  const [first] = failures
  if (!first) return
  if (failures.length === 1) throw first
  throw new OttlaError(first.code, {
    message: `${first.message} (and ${failures.length - 1} more)`,
    hint: first.hint,
    retriable: failures.every(({ retriable }) => retriable),
    ...(first.kafkaCode === undefined ? {} : { kafkaCode: first.kafkaCode }),
    cause: new AggregateError(failures),
  })
}

/** Groups by topic what Kafka's requests want grouped. */
export function byTopic<T extends { topic: string }>(items: readonly T[]): Map<string, T[]> {
  const groups = new Map<string, T[]>()
  for (const item of items) {
    const group = groups.get(item.topic)
    if (group) group.push(item)
    else groups.set(item.topic, [item])
  }
  return groups
}
