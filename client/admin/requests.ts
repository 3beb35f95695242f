/** All that Admin does, as one module: loaded at the first call, since most pages never administer anything. */
import type { Clock } from '../../protocol/lib/clock.ts'
import type { Core } from '../core.ts'
import { createAcls, deleteAcls, describeAcls } from './acls.ts'
import { closeBackup, openBackup, readBackup } from './backups.ts'
import { describeCluster, describeFeatures, describeMetadataQuorum } from './cluster.ts'
import { alterConfigs, describeConfigs, listConfigResources } from './configs.ts'
import { alterUserScramCredentials, describeUserScramCredentials } from './credentials.ts'
import { AdminDriver } from './driver.ts'
import { removeMembersFromConsumerGroup } from './group-members.ts'
import { alterConsumerGroupOffsets, deleteConsumerGroupOffsets, listConsumerGroupOffsets } from './group-offsets.ts'
import {
  deleteConsumerGroups,
  describeClassicGroups,
  describeConsumerGroups,
  listConsumerGroups,
  listGroups,
} from './groups.ts'
import { describeLogDirs, describeReplicaLogDirs } from './log-dirs.ts'
import { describeProducers } from './producers.ts'
import { alterClientQuotas, describeClientQuotas } from './quotas.ts'
import { deleteRecords, listOffsets } from './records.ts'
import { alterPartitionReassignments, electLeaders, listPartitionReassignments } from './replicas.ts'
import { resetConsumerGroupOffsets, resetShareGroupOffsets } from './reset-offsets.ts'
import {
  alterShareGroupOffsets,
  deleteShareGroupOffsets,
  deleteShareGroups,
  describeShareGroups,
  listShareGroupOffsets,
  listShareGroups,
} from './share-groups.ts'
import { describeStreamsGroups } from './streams-groups.ts'
import { createPartitions, createTopics, deleteTopics, describeTopics, listTopics } from './topics.ts'
import {
  abortTransaction,
  describeTransactions,
  fenceProducers,
  forceTerminateTransaction,
  listTransactions,
} from './transactions.ts'

/** By the names of Kafka's AdminClient; `listShareGroups`, `reset…Offsets` and backups are ours. */
export const calls = {
  abortTransaction,
  alterClientQuotas,
  alterConfigs,
  alterConsumerGroupOffsets,
  alterPartitionReassignments,
  alterShareGroupOffsets,
  alterStreamsGroupOffsets: alterConsumerGroupOffsets,
  alterUserScramCredentials,
  closeBackup,
  createAcls,
  createPartitions,
  createTopics,
  deleteAcls,
  deleteConsumerGroupOffsets,
  deleteConsumerGroups,
  deleteRecords,
  deleteShareGroupOffsets,
  deleteShareGroups,
  deleteStreamsGroupOffsets: deleteConsumerGroupOffsets,
  deleteStreamsGroups: deleteConsumerGroups,
  deleteTopics,
  describeAcls,
  describeClassicGroups,
  describeClientQuotas,
  describeCluster,
  describeConfigs,
  describeConsumerGroups,
  describeFeatures,
  describeLogDirs,
  describeMetadataQuorum,
  describeProducers,
  describeReplicaLogDirs,
  describeShareGroups,
  describeStreamsGroups,
  describeTopics,
  describeTransactions,
  describeUserScramCredentials,
  electLeaders,
  fenceProducers,
  forceTerminateTransaction,
  incrementalAlterConfigs: alterConfigs,
  listConfigResources,
  listConsumerGroupOffsets,
  listConsumerGroups,
  listGroups,
  listOffsets,
  listPartitionReassignments,
  listShareGroupOffsets,
  listShareGroups,
  listStreamsGroupOffsets: listConsumerGroupOffsets,
  listTopics,
  listTransactions,
  openBackup,
  readBackup,
  removeMembersFromConsumerGroup,
  resetConsumerGroupOffsets,
  resetShareGroupOffsets,
}

export type AdminCalls = typeof calls

export function openAdminDriver(core: Pick<Core, 'request'>, clock: Clock): AdminDriver {
  return new AdminDriver(core, clock)
}
