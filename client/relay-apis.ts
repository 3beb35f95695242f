/**
 * The calls that may cross from a page to the relay through a core, by their names. Loaded at the first of them: most
 * pages never administer anything.
 */
import type { AnyApi } from '../protocol/api.ts'
import { createAcls, deleteAcls, describeAcls } from '../protocol/messages/acls.ts'
import { closeBackup, openBackup, readBackup } from '../protocol/messages/backup.ts'
import { alterConfigs, listConfigResources } from '../protocol/messages/config-resources.ts'
import { describeConfigs, incrementalAlterConfigs } from '../protocol/messages/configs.ts'
import { consumerGroupDescribe } from '../protocol/messages/consumer-groups.ts'
import { findCoordinator } from '../protocol/messages/coordinators.ts'
import { openDocument } from '../protocol/messages/documents.ts'
import { deleteGroups, describeGroups, listGroups } from '../protocol/messages/group-admin.ts'
import { offsetCommit, offsetDelete, offsetFetch } from '../protocol/messages/group-offsets.ts'
import { leaveGroup } from '../protocol/messages/groups.ts'
import { describeCluster, metadata } from '../protocol/messages/metadata.ts'
import { deleteRecords, listOffsets, offsetForLeaderEpoch } from '../protocol/messages/offsets.ts'
import { describeProducers, initProducerId } from '../protocol/messages/producers.ts'
import { describeQuorum } from '../protocol/messages/quorum.ts'
import { alterClientQuotas, describeClientQuotas } from '../protocol/messages/quotas.ts'
import {
  alterPartitionReassignments,
  describeLogDirs,
  electLeaders,
  listPartitionReassignments,
} from '../protocol/messages/replicas.ts'
import { alterUserScramCredentials, describeUserScramCredentials } from '../protocol/messages/scram.ts'
import { shareGroupDescribe } from '../protocol/messages/share-groups.ts'
import {
  alterShareGroupOffsets,
  deleteShareGroupOffsets,
  describeShareGroupOffsets,
} from '../protocol/messages/share-offsets.ts'
import { streamsGroupDescribe } from '../protocol/messages/streams-groups.ts'
import { createPartitions, createTopics, deleteTopics } from '../protocol/messages/topics.ts'
import { describeTransactions, listTransactions } from '../protocol/messages/transaction-admin.ts'
import { writeTxnMarkers } from '../protocol/messages/transactions.ts'
import { apiVersions } from '../protocol/messages/versions.ts'

/** Some versions of an API, where the admin calls are written for these alone. */
function only<A extends Pick<AnyApi, 'minVersion' | 'maxVersion'>>(api: A, [min, max]: readonly [number, number]): A {
  return { ...api, minVersion: min, maxVersion: max }
}

export const RELAY_APIS = {
  AlterClientQuotas: alterClientQuotas,
  AlterConfigs: alterConfigs,
  AlterPartitionReassignments: alterPartitionReassignments,
  AlterShareGroupOffsets: alterShareGroupOffsets,
  AlterUserScramCredentials: alterUserScramCredentials,
  ApiVersions: apiVersions,
  CloseBackup: closeBackup,
  ConsumerGroupDescribe: consumerGroupDescribe,
  CreateAcls: createAcls,
  CreatePartitions: createPartitions,
  CreateTopics: createTopics,
  DeleteAcls: deleteAcls,
  DeleteGroups: deleteGroups,
  DeleteRecords: deleteRecords,
  DeleteShareGroupOffsets: deleteShareGroupOffsets,
  DeleteTopics: deleteTopics,
  DescribeAcls: describeAcls,
  DescribeClientQuotas: describeClientQuotas,
  DescribeCluster: describeCluster,
  DescribeConfigs: describeConfigs,
  DescribeGroups: describeGroups,
  DescribeLogDirs: describeLogDirs,
  DescribeProducers: describeProducers,
  DescribeQuorum: describeQuorum,
  DescribeShareGroupOffsets: describeShareGroupOffsets,
  DescribeTransactions: describeTransactions,
  DescribeUserScramCredentials: describeUserScramCredentials,
  ElectLeaders: electLeaders,
  FindCoordinator: findCoordinator,
  IncrementalAlterConfigs: incrementalAlterConfigs,
  InitProducerId: initProducerId,
  /** From 3 on several members at once, static ones too. */
  LeaveGroup: only(leaveGroup, [3, leaveGroup.maxVersion]),
  ListConfigResources: listConfigResources,
  ListGroups: listGroups,
  ListOffsets: listOffsets,
  ListPartitionReassignments: listPartitionReassignments,
  ListTransactions: listTransactions,
  Metadata: metadata,
  /** From 10 on topics have ids instead of names. */
  OffsetCommit: only(offsetCommit, [offsetCommit.minVersion, 9]),
  OffsetDelete: offsetDelete,
  OffsetFetch: only(offsetFetch, [2, 9]),
  OpenBackup: openBackup,
  OpenDocument: openDocument,
  ReadBackup: readBackup,
  OffsetForLeaderEpoch: offsetForLeaderEpoch,
  ShareGroupDescribe: shareGroupDescribe,
  StreamsGroupDescribe: streamsGroupDescribe,
  WriteTxnMarkers: writeTxnMarkers,
} as const satisfies Record<string, AnyApi>

/** The names are Kafka's. */
export type ApiName = keyof typeof RELAY_APIS
