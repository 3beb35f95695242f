/** The dispatch table: every API that is served, and by whom. */
import type { HandlerEntry } from '../handler.ts'
import { createAclsHandler, deleteAclsHandler, describeAclsHandler } from './acls.ts'
import { closeBackupHandler, openBackupHandler, readBackupHandler } from './backups.ts'
import { joinChannelHandler, leaveChannelHandler, publishToChannelHandler } from './channels.ts'
import { alterConfigsHandler, listConfigResourcesHandler } from './config-resources.ts'
import { describeConfigsHandler, incrementalAlterConfigsHandler } from './configs.ts'
import { consumerGroupDescribeHandler, consumerGroupHeartbeatHandler } from './consumer-groups.ts'
import { findCoordinatorHandler } from './coordinators.ts'
import { openDocumentHandler } from './documents.ts'
import { fetchHandler } from './fetch.ts'
import { deleteGroupsHandler, describeGroupsHandler, listGroupsHandler } from './group-admin.ts'
import { offsetCommitHandler, offsetDeleteHandler, offsetFetchHandler } from './group-offsets.ts'
import { heartbeatHandler, joinGroupHandler, leaveGroupHandler, syncGroupHandler } from './groups.ts'
import { describeLogDirsHandler } from './log-dirs.ts'
import { describeClusterHandler, metadataHandler } from './metadata.ts'
import { grantHandler, helloHandler, pingHandler, subscribeHandler, unsubscribeHandler } from './offset-protocol.ts'
import { deleteRecordsHandler, listOffsetsHandler, offsetForLeaderEpochHandler } from './offsets.ts'
import { produceHandler } from './produce.ts'
import { describeProducersHandler, initProducerIdHandler } from './producers.ts'
import { describeQuorumHandler } from './quorum.ts'
import { alterClientQuotasHandler, describeClientQuotasHandler } from './quotas.ts'
import { reportFailedHandler, unwatchProgressHandler, watchProgressHandler } from './receipts.ts'
import {
  alterPartitionReassignmentsHandler,
  electLeadersHandler,
  listPartitionReassignmentsHandler,
} from './replicas.ts'
import { saslAuthenticateHandler, saslHandshakeHandler } from './sasl.ts'
import { alterUserScramCredentialsHandler, describeUserScramCredentialsHandler } from './scram-users.ts'
import { shareAcknowledgeHandler } from './share-acknowledge.ts'
import { shareFetchHandler } from './share-fetch.ts'
import { shareGroupDescribeHandler, shareGroupHeartbeatHandler } from './share-groups.ts'
import {
  alterShareGroupOffsetsHandler,
  deleteShareGroupOffsetsHandler,
  describeShareGroupOffsetsHandler,
} from './share-offsets.ts'
import { streamsGroupDescribeHandler, streamsGroupHeartbeatHandler } from './streams-groups.ts'
import { describeTopicPartitionsHandler } from './topic-partitions.ts'
import { createPartitionsHandler, createTopicsHandler, deleteTopicsHandler } from './topics.ts'
import { describeTransactionsHandler, listTransactionsHandler, writeTxnMarkersHandler } from './transaction-admin.ts'
import { txnOffsetCommitHandler } from './transaction-offsets.ts'
import { addOffsetsToTxnHandler, addPartitionsToTxnHandler, endTxnHandler } from './transactions.ts'
import { apiVersionsHandler } from './versions.ts'

export const handlers: readonly HandlerEntry[] = [
  produceHandler,
  fetchHandler,
  listOffsetsHandler,
  metadataHandler,
  offsetCommitHandler,
  offsetFetchHandler,
  findCoordinatorHandler,
  joinGroupHandler,
  heartbeatHandler,
  leaveGroupHandler,
  syncGroupHandler,
  describeGroupsHandler,
  listGroupsHandler,
  saslHandshakeHandler,
  apiVersionsHandler(() => handlers),
  createTopicsHandler,
  deleteTopicsHandler,
  deleteRecordsHandler,
  initProducerIdHandler,
  offsetForLeaderEpochHandler,
  addPartitionsToTxnHandler,
  addOffsetsToTxnHandler,
  endTxnHandler,
  writeTxnMarkersHandler,
  txnOffsetCommitHandler,
  describeAclsHandler,
  createAclsHandler,
  deleteAclsHandler,
  describeConfigsHandler,
  alterConfigsHandler,
  describeLogDirsHandler,
  saslAuthenticateHandler,
  createPartitionsHandler,
  deleteGroupsHandler,
  electLeadersHandler,
  incrementalAlterConfigsHandler,
  alterPartitionReassignmentsHandler,
  listPartitionReassignmentsHandler,
  offsetDeleteHandler,
  describeClientQuotasHandler,
  alterClientQuotasHandler,
  describeQuorumHandler,
  describeUserScramCredentialsHandler,
  alterUserScramCredentialsHandler,
  describeClusterHandler,
  describeProducersHandler,
  consumerGroupHeartbeatHandler,
  consumerGroupDescribeHandler,
  describeTransactionsHandler,
  listTransactionsHandler,
  listConfigResourcesHandler,
  describeTopicPartitionsHandler,
  shareGroupHeartbeatHandler,
  shareGroupDescribeHandler,
  shareFetchHandler,
  shareAcknowledgeHandler,
  streamsGroupHeartbeatHandler,
  streamsGroupDescribeHandler,
  describeShareGroupOffsetsHandler,
  alterShareGroupOffsetsHandler,
  deleteShareGroupOffsetsHandler,
  openBackupHandler,
  readBackupHandler,
  closeBackupHandler,
  helloHandler,
  subscribeHandler,
  grantHandler,
  unsubscribeHandler,
  pingHandler,
  watchProgressHandler,
  unwatchProgressHandler,
  reportFailedHandler,
  joinChannelHandler,
  publishToChannelHandler,
  leaveChannelHandler,
  openDocumentHandler,
]

export const handlerByKey: ReadonlyMap<number, HandlerEntry> = new Map(
  handlers.map((handler) => [handler.api.key, handler]),
)
