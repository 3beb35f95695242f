/** What applications use of the client. In browsers with a worker: worker/index.ts, which has the same names. */
export { type Codec, CodecRegistry } from '../protocol/compression.ts'
export type { RawRecord } from '../protocol/records.ts'
export { Admin } from './admin/admin.ts'
export type { ClusterDescription, ProducerState } from './admin/cluster.ts'
export type { ConfigChange, ConfigEntry, ConfigResource, ResourceConfig } from './admin/configs.ts'
export type { ListedOffset, OffsetQuery, OffsetSpec, RecordsToDelete } from './admin/offsets.ts'
export type {
  CreatedTopic,
  CreateTopicsOptions,
  NewTopic,
  PartitionDescription,
  TopicDescription,
} from './admin/topics.ts'
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
export { Ottla } from './ottla.ts'
export { murmur2, partitionForKey } from './outbox/partitioner.ts'
export type { Committed, Receipt } from './producer/receipt.ts'
export type { Gap, OutgoingMessage, RecordHeader, TopicRecord } from './record.ts'
export { bytes, json, type Serde, type StandardSchema, schema, string } from './serde.ts'
export type { ConnectionState } from './session.ts'
export { type SendOptions, Topic, type TopicOptions } from './topic.ts'
export type { WebSocketConstructor, WebSocketLike } from './transport/websocket.ts'
