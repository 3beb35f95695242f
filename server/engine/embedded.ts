/**
 * The embedded engine: logs in a folder, topics in a log of their own.
 *
 *   DIR/metadata/                     the metadata log
 *   DIR/topics/NAME.ID/PARTITION/     one log per partition
 *
 * Order of a creation: folders and empty logs, then the record that makes the topic exist. A crash in between leaves
 * folders that no record names; they are reported at start and left alone, because no data is ever deleted for want of
 * metadata. Order of a deletion: the record first, then the folders; a deletion cut short is finished at the next start.
 */
import { ErrorCode, KafkaError } from '../../protocol/errors.ts'
import type { Clock } from '../../protocol/lib/clock.ts'
import { Emitter } from '../../protocol/lib/events.ts'
import type { Random } from '../../protocol/lib/random.ts'
import { NULL_UUID, randomUuid } from '../../protocol/lib/uuid.ts'
import { ConfigError, type RelayConfig, resolveTopicConfig, type TopicConfig, topicConfigDefaults } from '../config.ts'
import type { CheckedTopic, Engine, NewTopic, Topic } from '../engine.ts'
import { CHECKPOINT_BYTES_DEFAULT } from '../log/appender.ts'
import type { CommitActivity } from '../log/compaction/pace.ts'
import type { HeldLog } from '../log/held-files.ts'
import { OpenFileLimit } from '../log/open-file-limit.ts'
import { openPartitionLog } from '../log/open-log.ts'
import type { PartitionLog } from '../log/partition-log.ts'
import { RecentBudget } from '../log/recent-batches.ts'
import type { Logger } from '../logger.ts'
import type { DiskSpace } from '../storage/disk-space.ts'
import type { Files } from '../storage/files.ts'
import { FactStore, isFact } from './fact-store.ts'
import { type MetadataChange, MetadataLog, type TopicRecord } from './metadata-log.ts'
import { ProducerIds } from './producer-ids.ts'
import { Releases } from './releases.ts'
import { folderOfTopic, removeFolder, topicIdOfFolder } from './topic-folders.ts'
import { checkTopicName, collisionKey } from './topic-names.ts'

export const PARTITIONS_PER_TOPIC_MAX = 10_000
const OPENED_AT_ONCE = 8
/** A start after a crash reads no more than about this, a second or so, until there are very many partitions. */
const RECOVERY_BYTES = 512 * 1024 * 1024
const CHECKPOINT_BYTES_MIN = 1024 * 1024

export interface EmbeddedEngineOptions {
  files: Files
  dataDir: string
  config: RelayConfig
  clock: Clock
  random: Random
  logger: Logger
  /** Of the metadata log. Default 1 MiB. */
  metadataSegmentBytes?: number
  /** Records of producers are refused when the disk is almost full, and new partitions when it is all but full. */
  space?: DiskSpace
  /** All logs count their commits under way here. */
  commits?: CommitActivity
  /** As in PartitionLogOptions. Default: by the number of partitions, so that a start after a crash stays short. */
  checkpointBytes?: number
}

interface OpenTopic extends Topic {
  partitions: PartitionLog[]
  configOverrides: Record<string, string>
  config: TopicConfig
}

export async function openEmbeddedEngine(options: EmbeddedEngineOptions): Promise<EmbeddedEngine> {
  const { files, dataDir, clock } = options
  await files.makeDir(`${dataDir}/topics`)
  const log = await openPartitionLog({
    ...options,
    // Changes of topics go on from what is held in reserve.
    space: undefined,
    dir: `${dataDir}/metadata`,
    config: () => metadataConfig(options.metadataSegmentBytes ?? 1024 * 1024),
    logger: { warn: (message) => options.logger.warn(message) },
  })
  const metadata = new MetadataLog(log, clock)
  const engine = new EmbeddedEngine(options, metadata)
  try {
    await engine.load()
  } catch (error) {
    await engine.close().catch(() => {})
    throw error
  }
  return engine
}

/**
 * The metadata log keeps the newest record of each topic, and of deleted ones the word that they are: a start that finds
 * their folder must know. By then it has been looked for at every start of a week.
 */
const metadataConfig = (segmentBytes: number): TopicConfig => ({
  ...topicConfigDefaults,
  ...{ segmentBytes, retentionMs: -1, retentionBytes: -1, cleanupPolicy: 'compact', deleteRetentionMs: 7 * 86_400_000 },
})

export class EmbeddedEngine implements Engine {
  clusterId = ''
  topicsVersion = 0
  readonly facts: FactStore
  readonly #options: EmbeddedEngineOptions
  readonly #metadata: MetadataLog
  readonly #byId = new Map<string, OpenTopic>()
  readonly #byName = new Map<string, OpenTopic>()
  readonly #nameByCollisionKey = new Map<string, string>()
  readonly #deleted = new Emitter<Topic>()
  readonly #releases = new Releases()
  readonly #openFiles = new OpenFileLimit()
  readonly #recentBudget = new RecentBudget()
  #producerIds: ProducerIds
  #share = { version: -1, bytes: 0 }
  /** Changes of topics happen one after another. */
  #lastChange: Promise<unknown> = Promise.resolve()
  #isClosed = false

  constructor(options: EmbeddedEngineOptions, metadata: MetadataLog) {
    this.#options = options
    this.#metadata = metadata
    this.facts = new FactStore(metadata)
    this.#producerIds = this.#producerIdsFrom(0)
  }

  /** Reads the metadata log and opens every partition. */
  async load(): Promise<void> {
    const topics = new Map<string, TopicRecord>()
    const deletedIds = new Set<string>()
    await this.#metadata.replay((change) => this.#replay(change, topics, deletedIds))
    if (!this.clusterId) {
      await this.#refuseForeignTopics()
      this.clusterId = randomUuid(this.#options.random)
      await this.#metadata.append({ key: 'cluster', value: { clusterId: this.clusterId } })
    }
    await this.#tidyFolders(topics, deletedIds)
    const jobs: Array<() => Promise<void>> = []
    for (const [id, record] of topics) {
      const topic = this.#newOpenTopic(id, record)
      this.#publish(topic)
      for (let partition = 0; partition < record.partitionCount; partition++) {
        jobs.push(async () => {
          topic.partitions[partition] = await this.#openLog(topic, partition, true)
          this.#reportRecovery(topic, partition)
        })
      }
    }
    await runAll(jobs, OPENED_AT_ONCE)
  }

  /** A new metadata log beside old topics means that the old one is lost: to go on would be to forget them. */
  async #refuseForeignTopics(): Promise<void> {
    const { files, dataDir } = this.#options
    const folders = await files.list(`${dataDir}/topics`)
    if (folders.length === 0) return
    throw new Error(
      `${dataDir}/metadata is missing or empty, but ${dataDir}/topics holds ${folders.length} folders: ` +
        'put the metadata folder back, or begin with an empty data folder',
    )
  }

  get metadataFault(): string | undefined {
    return this.#metadata.fault
  }

  get metadataPosition(): { leaderEpoch: number; highWatermark: number } {
    return this.#metadata.position
  }

  hold(): HeldLog[] {
    const { dataDir } = this.#options
    const partitions = [...this.#byId.values()].flatMap((topic) => topic.partitions)
    const logs = partitions.map((log) => ({ ...log.hold(), path: log.dir.slice(dataDir.length + 1) }))
    const all = [{ ...this.#metadata.hold(), path: 'metadata' }, ...logs]
    return all.map((log) => ({ ...log, release: this.#releases.also(log.release) }))
  }

  topics(): Iterable<Topic> {
    return this.#byId.values()
  }

  internalLogs(): ReadonlyArray<{ name: string; log: PartitionLog }> {
    return [{ name: 'metadata', log: this.#metadata.log }]
  }

  topicByName(name: string): Topic | undefined {
    return this.#byName.get(name)
  }

  topicById(id: string): Topic | undefined {
    return this.#byId.get(id)
  }

  onTopicDeleted(listener: (topic: Topic) => void): () => void {
    return this.#deleted.on(listener)
  }

  nextProducerId(): Promise<number> {
    return this.#producerIds.next()
  }

  async storage(): Promise<{ dir: string; freeBytes: number }> {
    const { files, dataDir: dir } = this.#options
    return { dir, freeBytes: await files.freeBytes(dir) }
  }

  checkNewTopic({ name, partitionCount: asked, configs }: NewTopic): CheckedTopic {
    checkTopicName(name)
    if (this.#byName.has(name)) throw new KafkaError('TOPIC_ALREADY_EXISTS', `there is a topic ${name} already`)
    const alike = this.#nameByCollisionKey.get(collisionKey(name))
    if (alike !== undefined)
      throw new KafkaError('INVALID_TOPIC_EXCEPTION', `${name} and the topic ${alike} differ in "." and "_" only`)
    const partitionCount = asked === -1 ? this.#options.config.numPartitions : asked
    this.#checkPartitionCount(partitionCount)
    return { id: NULL_UUID, name, partitionCount, configOverrides: configs, config: this.#resolveConfig(configs) }
  }

  createTopic(asked: NewTopic): Promise<Topic> {
    return this.#change(async () => {
      this.#checkRoom()
      const { partitionCount } = this.checkNewTopic(asked)
      const record: TopicRecord = { name: asked.name, partitionCount, configs: { ...asked.configs } }
      const topic = this.#newOpenTopic(randomUuid(this.#options.random), record)
      await this.#keepIf(topic.partitions, 0, async () => {
        await this.#openMissing(topic, partitionCount)
        await this.#metadata.append({ key: `topic/${topic.id}`, value: record })
      })
      this.#publish(topic)
      return topic
    })
  }

  deleteTopic(id: string): Promise<void> {
    return this.#change(async () => {
      const topic = this.#existing(id)
      await this.#metadata.append({ key: `topic/${id}`, value: null })
      this.#byId.delete(id)
      this.#byName.delete(topic.name)
      this.topicsVersion++
      this.#nameByCollisionKey.delete(collisionKey(topic.name))
      this.#deleted.emit(topic)
      await Promise.all(topic.partitions.map((log) => log.close()))
      await this.#releases.free()
      await removeFolder(this.#options.files, this.#folderOf(topic))
    })
  }

  #checkRoom(): void {
    if (this.#options.space?.level !== 'critical') return
    throw new KafkaError('KAFKA_STORAGE_ERROR', 'the disk is all but full: no new partitions until there is room')
  }

  growTopic(id: string, partitionCount: number, options: { validateOnly?: boolean } = {}): Promise<void> {
    return this.#change(async () => {
      this.#checkRoom()
      const topic = this.#existing(id)
      const { name, partitions } = topic
      if (partitionCount <= partitions.length) {
        throw new KafkaError(
          'INVALID_PARTITIONS',
          `${name} has ${partitions.length} partitions already; the new total must be larger than that, not ${partitionCount}`,
        )
      }
      this.#checkPartitionCount(partitionCount)
      if (options.validateOnly) return
      const opened = { ...topic, partitions: [...topic.partitions] }
      await this.#keepIf(opened.partitions, topic.partitions.length, async () => {
        await this.#openMissing(opened, partitionCount)
        await this.#metadata.append({ key: `topic/${id}`, value: recordOf(opened) })
      })
      topic.partitions = opened.partitions
      this.topicsVersion++
    })
  }

  alterTopic(
    id: string,
    changesOf: (topic: Topic) => Readonly<Record<string, string | null>>,
    options: { validateOnly?: boolean } = {},
  ): Promise<void> {
    return this.#change(async () => {
      const topic = this.#existing(id)
      // Through a map: a name may be one that objects have by themselves.
      const changed = new Map<string, string | null>(Object.entries(topic.configOverrides))
      for (const [name, value] of Object.entries(changesOf(topic))) changed.set(name, value)
      const configs = Object.fromEntries([...changed].filter((each): each is [string, string] => each[1] !== null))
      const config = this.#resolveConfig(configs)
      if (options.validateOnly) return
      await this.#metadata.append({ key: `topic/${id}`, value: { ...recordOf(topic), configs } })
      topic.configOverrides = configs
      topic.config = config
    })
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    await this.#change(async () => {
      this.#isClosed = true
      const logs = [...this.#byId.values()].flatMap(({ partitions }) => partitions)
      await Promise.all(logs.map((log) => log.close()))
      await this.#metadata.close()
    })
  }

  #replay(change: MetadataChange, topics: Map<string, TopicRecord>, deletedIds: Set<string>): void {
    if (change.key === 'cluster') this.clusterId = change.value.clusterId
    else if (isFact(change)) this.facts.replay(change)
    else if (change.key === 'producer-ids') this.#producerIds = this.#producerIdsFrom(change.value.reservedBelow)
    else {
      const id = change.key.slice('topic/'.length)
      if (change.value) topics.set(id, change.value)
      else {
        topics.delete(id)
        deletedIds.add(id)
      }
    }
  }

  #producerIdsFrom(reservedBelow: number): ProducerIds {
    return new ProducerIds(reservedBelow, (below) =>
      this.#metadata.append({ key: 'producer-ids', value: { reservedBelow: below } }),
    )
  }

  /** Finishes deletions that a crash cut short, and reports folders that no record explains. */
  async #tidyFolders(topics: ReadonlyMap<string, TopicRecord>, deletedIds: ReadonlySet<string>): Promise<void> {
    const { files, dataDir, logger } = this.#options
    for (const folder of await files.list(`${dataDir}/topics`)) {
      const id = topicIdOfFolder(folder)
      if (topics.has(id)) continue
      if (deletedIds.has(id)) await removeFolder(files, `${dataDir}/topics/${folder}`)
      else
        logger.warn('folder without a topic', {
          folder: `topics/${folder}`,
          remedy: 'left alone; remove it by hand if it is not needed',
        })
    }
  }

  #newOpenTopic(id: string, { name, configs }: TopicRecord): OpenTopic {
    return { id, name, partitions: [], configOverrides: configs, config: this.#resolveConfig(configs) }
  }

  /** Closes the logs from `first` on again when the change that opened them fails, so that it can be tried once more. */
  async #keepIf(logs: readonly PartitionLog[], first: number, change: () => Promise<void>): Promise<void> {
    try {
      await change()
    } catch (error) {
      await Promise.allSettled(logs.slice(first).map((log) => log.close()))
      throw error
    }
  }

  async #openMissing(topic: OpenTopic, partitionCount: number): Promise<void> {
    for (let partition = topic.partitions.length; partition < partitionCount; partition++) {
      topic.partitions[partition] = await this.#openLog(topic, partition, false)
    }
  }

  /** A topic that exists had its logs made before its record was: a folder that is missing now is damage. */
  #openLog(topic: OpenTopic, partition: number, mustExist: boolean): Promise<PartitionLog> {
    const { id } = topic
    const logger = this.#options.logger.child({ topic: topic.name, partition })
    return openPartitionLog({
      ...this.#options,
      dir: `${this.#folderOf(topic)}/${partition}`,
      config: () => this.#byId.get(id)?.config ?? topic.config,
      logger: { warn: (message) => logger.warn(message) },
      existence: mustExist ? 'must-exist' : 'new',
      checkpointBytes: this.#options.checkpointBytes ?? (() => this.#checkpointBytes),
      limit: this.#openFiles,
      recentBudget: this.#recentBudget,
      onFault: (fault) => logger.error('partition offline', { fault: fault.message }),
    })
  }

  /** The share of each partition. Nothing is appended to them before all topics are loaded. */
  get #checkpointBytes(): number {
    if (this.#share.version !== this.topicsVersion) {
      let partitions = 0
      for (const topic of this.#byId.values()) partitions += topic.partitions.length
      const bytes = Math.min(CHECKPOINT_BYTES_DEFAULT, RECOVERY_BYTES / Math.max(1, partitions))
      this.#share = { version: this.topicsVersion, bytes: Math.max(CHECKPOINT_BYTES_MIN, bytes) }
    }
    return this.#share.bytes
  }

  /** What a start found and cut is said once, exactly. */
  #reportRecovery(topic: OpenTopic, partition: number): void {
    const { recovery } = topic.partitions[partition]!
    const logger = this.#options.logger.child({ topic: topic.name, partition })
    if (recovery.cut) logger.warn('torn tail cut', { ...recovery.cut })
    if (recovery.rebuilt.length > 0) logger.warn('rebuilt from the log', { files: recovery.rebuilt })
    if (recovery.removed.length > 0) logger.info('left-overs removed', { files: recovery.removed })
    if (recovery.fault) logger.error('partition offline', { fault: recovery.fault.message })
  }

  #folderOf(topic: { name: string; id: string }): string {
    return `${this.#options.dataDir}/topics/${folderOfTopic(topic)}`
  }

  #publish(topic: OpenTopic): void {
    this.#byId.set(topic.id, topic)
    this.#byName.set(topic.name, topic)
    this.topicsVersion++
    this.#nameByCollisionKey.set(collisionKey(topic.name), topic.name)
  }

  #existing(id: string): OpenTopic {
    const topic = this.#byId.get(id)
    if (!topic) throw new KafkaError('UNKNOWN_TOPIC_ID', `no topic has the id ${id}`)
    return topic
  }

  #checkPartitionCount(count: number): void {
    if (count < 1 || count > PARTITIONS_PER_TOPIC_MAX) {
      throw new KafkaError('INVALID_PARTITIONS', `${count} partitions: use 1 to ${PARTITIONS_PER_TOPIC_MAX}`)
    }
  }

  #resolveConfig(overrides: Readonly<Record<string, string>>): TopicConfig {
    try {
      return resolveTopicConfig(overrides, this.#options.config.topicDefaults)
    } catch (error) {
      if (error instanceof ConfigError) throw new KafkaError(ErrorCode.INVALID_CONFIG, error.message, { cause: error })
      throw error
    }
  }

  #change<T>(change: () => Promise<T>): Promise<T> {
    const next = this.#lastChange.then(() => {
      if (this.#isClosed) throw new KafkaError('COORDINATOR_NOT_AVAILABLE', 'the relay is stopping')
      return change()
    })
    this.#lastChange = next.catch(() => {})
    return next
  }
}

function recordOf(topic: OpenTopic): TopicRecord {
  return { name: topic.name, partitionCount: topic.partitions.length, configs: topic.configOverrides }
}

async function runAll(jobs: ReadonlyArray<() => Promise<void>>, atOnce: number): Promise<void> {
  let next = 0
  const work = async () => {
    while (next < jobs.length) await jobs[next++]!()
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, jobs.length) }, work))
}
