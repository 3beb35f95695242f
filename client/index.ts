/** What applications use of the client. In browsers with a worker: worker/index.ts, which has the same names. */
export { type Codec, CodecRegistry } from '../protocol/compression.ts'
export { murmur2, partitionForKey } from '../protocol/lib/partitioner.ts'
export type { RawRecord } from '../protocol/records.ts'
export type { AclBinding, AclFilter, DeletedAcls } from './admin/acls.ts'
export type { Admin } from './admin/admin.ts'
export type {
  Broker,
  ClusterDescription,
  Features,
  FeatureVersions,
  QuorumDescription,
  QuorumReplica,
} from './admin/cluster.ts'
export type {
  ConfigChange,
  ConfigEntry,
  ConfigResource,
  ConfigSource,
  DescribeConfigsOptions,
  ResourceConfig,
} from './admin/configs.ts'
export type { ScramAlteration, ScramMechanism, ScramUser } from './admin/credentials.ts'
export type { AdminOptions } from './admin/driver.ts'
export type { GroupLag } from './admin/group-lag.ts'
export type { MemberToRemove, RemoveMembersOptions } from './admin/group-members.ts'
export type {
  CommittedOffset,
  GroupOffsets,
  GroupSelection,
  ListGroupOffsetsOptions,
  NewOffset,
} from './admin/group-offsets.ts'
export type {
  DescribeGroupsOptions,
  GroupDescription,
  GroupListing,
  GroupMember,
  GroupType,
  ListGroupsOptions,
} from './admin/groups.ts'
export type {
  BrokerLogDirs,
  DescribeLogDirsOptions,
  LogDir,
  LogDirPartition,
  ReplicaLogDir,
} from './admin/log-dirs.ts'
export type { Outcome, PerEntry } from './admin/outcomes.ts'
export type { PartitionProducers, ProducerState } from './admin/producers.ts'
export type { ClientQuota, QuotaChange, QuotaEntity, QuotaFilter } from './admin/quotas.ts'
export type {
  DeletedRecords,
  ListedOffset,
  ListOffsetsOptions,
  OffsetQuery,
  OffsetSpec,
  RecordsToDelete,
} from './admin/records.ts'
export type { ElectionType, OngoingReassignment, Reassignment } from './admin/replicas.ts'
export type { ResetOffset, ResetOffsetsOptions, ResetTarget } from './admin/reset-offsets.ts'
export type { ShareGroupOffsets, ShareOffset } from './admin/share-groups.ts'
export type {
  StreamsGroupDescription,
  StreamsGroupMember,
  StreamsTask,
  StreamsTasks,
  Subtopology,
} from './admin/streams-groups.ts'
export type { TopicPartition } from './admin/topic-partitions.ts'
export type {
  ChangeOptions,
  CreatedTopic,
  CreateTopicsOptions,
  GrownTopic,
  NewTopic,
  PartitionDescription,
  TopicDescription,
} from './admin/topics.ts'
export type {
  FencedProducer,
  HangingTransaction,
  ListTransactionsOptions,
  TransactionDescription,
  TransactionListing,
} from './admin/transactions.ts'
export type { Channel, ChannelMember, ChannelOptions } from './channels/channel.ts'
export { type ConnectOptions, connect } from './connect.ts'
export { Reader, type ReadOptions } from './consumer/reader.ts'
export type { Undecodable } from './consumer/record-typer.ts'
export type { OnMissingOffset } from './consumer/source.ts'
export type { StartPosition } from './consumer/start-position.ts'
export type {
  ExportedEntry,
  Outbox,
  OutboxDepth,
  OutboxEntry,
  OutboxEntryState,
  ReplicaPolicy,
  ReplicaRange,
  Status,
  StatusState,
  StoredDurability,
  TopicInfo,
  TopicStatus,
} from './core.ts'
export { type ErrorInfo, OttlaError, type OttlaErrorCode } from './errors.ts'
export type { DeadLetter, DeadLetters, ReplayOptions } from './group/dead-letters.ts'
export type { LogoutOptions, LogoutOutcome } from './logout/options.ts'
export { Ottla } from './ottla.ts'
export type { ExportOptions, ImportOptions, ImportOutcome } from './outbox/outbox-file.ts'
export type { Committed, ProcessedReceipt, Receipt } from './producer/receipt.ts'
export type { Gap, OutgoingMessage, RecordHeader, TopicRecord } from './record.ts'
export type { Encryption, Secret } from './replica/sealed/encryption.ts'
export { bytes, json, type Serde, type StandardSchema, schema, string } from './serde.ts'
export type { ConnectionState } from './session.ts'
export type {
  Credentials,
  CredentialsSource,
  PasswordCredentials,
  TokenCredentials,
} from './sign-in/credentials.ts'
export type { StorageReason } from './storage-reason.ts'
export { orderedNumber } from './table/key-order.ts'
export type { TableState } from './table/seam.ts'
export type { IndexSelection, KeySelection, Selection } from './table/selection.ts'
export type { EntryChange, RangeOptions, Table, TableEntry, TableEvent, TableOptions } from './table/table.ts'
export { type ReceiptOptions, type ReplicateOptions, type SendOptions, Topic, type TopicOptions } from './topic.ts'
export type { SendingTransaction } from './transactions/gathering.ts'
export type { RecordPosition } from './transactions/offsets.ts'
export type {
  ProducerOptions,
  ProducerTransaction,
  RunOptions,
  TransactionalProducer,
} from './transactions/producer.ts'
export type { Place } from './transactions/record-writer.ts'
export type { StoredTransaction, TransactionOptions } from './transactions/store-transaction.ts'
export type { WebSocketConstructor, WebSocketLike } from './transport/websocket.ts'
