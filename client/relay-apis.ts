/** The calls that may cross from a page to the relay through a core, by their names. */
import type { AnyApi } from '../protocol/api.ts'
import { describeConfigs, incrementalAlterConfigs } from '../protocol/messages/configs.ts'
import { describeCluster, metadata } from '../protocol/messages/metadata.ts'
import { deleteRecords, listOffsets, offsetForLeaderEpoch } from '../protocol/messages/offsets.ts'
import { describeProducers } from '../protocol/messages/producers.ts'
import { createPartitions, createTopics, deleteTopics } from '../protocol/messages/topics.ts'
import type { ApiName } from './core.ts'

export const RELAY_APIS: Readonly<Record<ApiName, AnyApi>> = {
  Metadata: metadata,
  ListOffsets: listOffsets,
  CreateTopics: createTopics,
  DeleteTopics: deleteTopics,
  CreatePartitions: createPartitions,
  DescribeConfigs: describeConfigs,
  IncrementalAlterConfigs: incrementalAlterConfigs,
  DeleteRecords: deleteRecords,
  DescribeProducers: describeProducers,
  DescribeCluster: describeCluster,
  OffsetForLeaderEpoch: offsetForLeaderEpoch,
}
