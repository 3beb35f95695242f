/** One valid request of every API that is served, to be sent, mutated, truncated. */
import { type AnyApi, encodeRequest, type RequestInputOf } from '../../../protocol/api.ts'
import { createAcls, deleteAcls, describeAcls } from '../../../protocol/messages/acls.ts'
import { closeBackup, openBackup, readBackup } from '../../../protocol/messages/backup.ts'
import { joinChannel, leaveChannel, publishToChannel } from '../../../protocol/messages/channels.ts'
import { alterConfigs, listConfigResources } from '../../../protocol/messages/config-resources.ts'
import { describeConfigs, incrementalAlterConfigs } from '../../../protocol/messages/configs.ts'
import { openDocument } from '../../../protocol/messages/documents.ts'
import { fetch } from '../../../protocol/messages/fetch.ts'
import { describeCluster, metadata } from '../../../protocol/messages/metadata.ts'
import { grant, hello, ping, subscribe, unsubscribe } from '../../../protocol/messages/offset-protocol.ts'
import { deleteRecords, listOffsets, offsetForLeaderEpoch } from '../../../protocol/messages/offsets.ts'
import { produce } from '../../../protocol/messages/produce.ts'
import { describeProducers, initProducerId } from '../../../protocol/messages/producers.ts'
import { describeQuorum } from '../../../protocol/messages/quorum.ts'
import { alterClientQuotas, describeClientQuotas } from '../../../protocol/messages/quotas.ts'
import { reportFailed, unwatchProgress, watchProgress } from '../../../protocol/messages/receipts.ts'
import {
  alterPartitionReassignments,
  describeLogDirs,
  electLeaders,
  listPartitionReassignments,
} from '../../../protocol/messages/replicas.ts'
import { describeTopicPartitions } from '../../../protocol/messages/topic-partitions.ts'
import { createPartitions, createTopics, deleteTopics } from '../../../protocol/messages/topics.ts'
import { describeTransactions, listTransactions } from '../../../protocol/messages/transaction-admin.ts'
import {
  addOffsetsToTxn,
  addPartitionsToTxn,
  endTxn,
  txnOffsetCommit,
  writeTxnMarkers,
} from '../../../protocol/messages/transactions.ts'
import { apiVersions } from '../../../protocol/messages/versions.ts'
import { batchOf } from '../../support/relay-client.ts'

const UNKNOWN_BACKUP = 'A'.repeat(22)

export interface ValidRequest {
  api: AnyApi
  body: never
}

/** `topicId` and `name` are of a topic that exists with one partition. Nothing here removes it. */
export function validRequests({ name, topicId }: { name: string; topicId: string }): ValidRequest[] {
  const partition = { partitionIndex: 0 }
  return [
    request(produce, {
      acks: -1,
      timeoutMs: 1000,
      topicData: [{ name, topicId, partitionData: [{ index: 0, records: batchOf('a', 'b') }] }],
    }),
    request(fetch, {
      maxWaitMs: 0,
      minBytes: 0,
      topics: [{ topic: name, topicId, partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1024 }] }],
    }),
    request(listOffsets, { topics: [{ name, partitions: [{ ...partition, timestamp: -1 }] }] }),
    request(metadata, { topics: [{ name }] }),
    request(apiVersions, { clientSoftwareName: 'test', clientSoftwareVersion: '1' }),
    request(createTopics, {
      topics: [
        {
          name,
          numPartitions: 1,
          replicationFactor: 1,
          assignments: [],
          configs: [{ name: 'retention.ms', value: '1000' }],
        },
        {
          name: 'b',
          numPartitions: -1,
          replicationFactor: -1,
          assignments: [{ partitionIndex: 0, brokerIds: [1] }],
          configs: [],
        },
      ],
      validateOnly: true,
    }),
    request(deleteTopics, { topics: [{ name: 'absent' }], topicNames: ['absent'], timeoutMs: 1000 }),
    request(deleteRecords, { topics: [{ name, partitions: [{ ...partition, offset: 0 }] }], timeoutMs: 1000 }),
    request(initProducerId, { transactionTimeoutMs: 1000 }),
    request(offsetForLeaderEpoch, { topics: [{ topic: name, partitions: [{ partition: 0, leaderEpoch: 0 }] }] }),
    request(describeConfigs, {
      resources: [{ resourceType: 2, resourceName: name, configurationKeys: ['retention.ms'] }],
      includeSynonyms: false,
    }),
    request(createPartitions, { topics: [{ name, count: 1, assignments: null }], timeoutMs: 1000, validateOnly: true }),
    request(incrementalAlterConfigs, {
      resources: [
        { resourceType: 2, resourceName: name, configs: [{ name: 'segment.ms', configOperation: 0, value: '60000' }] },
      ],
      validateOnly: true,
    }),
    request(openBackup, { backupId: UNKNOWN_BACKUP, fromFile: 0 }),
    request(readBackup, { backupId: UNKNOWN_BACKUP, file: 0, position: 0, bytesMax: 1000 }),
    request(closeBackup, { backupId: UNKNOWN_BACKUP }),
    request(describeQuorum, { topics: [{ topicName: '__cluster_metadata', partitions: [{ partitionIndex: 0 }] }] }),
    request(describeCluster, { includeClusterAuthorizedOperations: false }),
    request(describeProducers, { topics: [{ name, partitionIndexes: [0] }] }),
    request(addPartitionsToTxn, {
      ...{ transactionalId: 'tx', producerId: 1, producerEpoch: 0, topics: [{ name, partitions: [0] }] },
      transactions: [{ transactionalId: 'tx', producerId: 1, producerEpoch: 0, topics: [{ name, partitions: [0] }] }],
    }),
    request(addOffsetsToTxn, { transactionalId: 'tx', producerId: 1, producerEpoch: 0, groupId: 'g' }),
    request(endTxn, { transactionalId: 'tx', producerId: 1, producerEpoch: 0, committed: true }),
    request(txnOffsetCommit, {
      ...{ transactionalId: 'tx', groupId: 'g', producerId: 1, producerEpoch: 0, memberId: '' },
      topics: [{ name, partitions: [{ ...partition, committedOffset: 1, committedMetadata: 'm' }] }],
    }),
    request(writeTxnMarkers, {
      markers: [
        {
          ...{ producerId: 1, producerEpoch: 0, transactionResult: false, coordinatorEpoch: 0 },
          topics: [{ name: 'absent', partitionIndexes: [0] }],
        },
      ],
    }),
    request(describeTransactions, { transactionalIds: ['tx'] }),
    request(listTransactions, {
      ...{ stateFilters: ['Ongoing'], producerIdFilters: [1], durationFilter: 1 },
      transactionalIdPattern: '(a|b)*[^c]{2}',
    }),
    request(describeAcls, { operation: 1, permissionType: 1, resourceTypeFilter: 1 }),
    request(createAcls, {
      creations: [
        { resourceType: 2, resourceName: name, principal: 'User:a', host: '*', operation: 3, permissionType: 3 },
      ],
    }),
    request(deleteAcls, { filters: [{ resourceTypeFilter: 1, operation: 1, permissionType: 1 }] }),
    request(alterConfigs, {
      resources: [{ resourceType: 2, resourceName: name, configs: [{ name: 'segment.ms', value: '60000' }] }],
      validateOnly: true,
    }),
    request(describeLogDirs, { topics: [{ topic: name, partitions: [0] }] }),
    request(electLeaders, { topicPartitions: [{ topic: name, partitions: [0] }] }),
    request(alterPartitionReassignments, {
      topics: [{ name, partitions: [{ ...partition, replicas: [1] }] }],
    }),
    request(listPartitionReassignments, { topics: [{ name, partitionIndexes: [0] }] }),
    request(describeClientQuotas, { components: [{ entityType: 'user', matchType: 0, match: 'a' }], strict: false }),
    request(alterClientQuotas, {
      entries: [
        {
          entity: [{ entityType: 'user', entityName: 'a' }],
          ops: [{ key: 'producer_byte_rate', value: 1, remove: false }],
        },
      ],
      validateOnly: true,
    }),
    request(listConfigResources, { resourceTypes: [2, 4] }),
    request(describeTopicPartitions, { topics: [{ name }], cursor: { topicName: name, partitionIndex: 0 } }),
    request(hello, { replicaId: 'AAAAAAAAAAAAAAAAAAAAAQ', generation: 1, heartbeatMs: 10_000 }),
    request(subscribe, { partitions: [{ topicId, partition: 0, offset: -2, credit: 1000 }] }),
    request(grant, { grants: [{ topicId, partition: 0, bytes: 1000 }] }),
    request(unsubscribe, { partitions: [{ topicId, partition: 0 }] }),
    request(ping, { clientTimeMs: 1 }),
    request(watchProgress, { watches: [{ groupId: 'g', topicId, partition: 0, fromOffset: 0 }] }),
    request(unwatchProgress, { watches: [{ groupId: 'g', topicId, partition: 0 }] }),
    request(joinChannel, { topicId, channel: 'c', state: new Uint8Array(3) }),
    request(publishToChannel, { memberId: topicId, kind: 0, payload: new Uint8Array(3) }),
    request(leaveChannel, { memberId: topicId }),
    request(openDocument, { topic: name, documentId: 'd', fromOffset: -1 }),
    request(reportFailed, {
      ...{ groupId: 'g', memberId: 'm', groupInstanceId: null, generationIdOrMemberEpoch: 1 },
      partitions: [{ topicId, partition: 0, failed: [failed] }],
    }),
  ]
}

const failed = { from: 0, to: 1, how: 0, reason: 'broken', deadTopic: 'd', deadPartition: 0, deadOffset: 0 }

export function bytesOf({ api, body }: ValidRequest, version = api.maxVersion): Uint8Array {
  return encodeRequest(api, version, { correlationId: 7, clientId: 'test' }, body)
}

function request<A extends AnyApi>(api: A, body: RequestInputOf<A>): ValidRequest {
  return { api, body: body as never }
}
