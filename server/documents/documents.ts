/**
 * Documents edited together, as records of topics: one update a record, keyed by document (docs/DOCUMENTS.md).
 *
 * A topic of documents has a companion, `<topic>.snapshots`, which is compacted. Both are made when a document is first opened,
 * the topic itself only where topics may be made by asking for them.
 */
import { KafkaError } from '../../protocol/errors.ts'
import type { Clock } from '../../protocol/lib/clock.ts'
import { partitionForKey } from '../../protocol/lib/partitioner.ts'
import type { RelayConfig } from '../config.ts'
import type { Engine, NewTopic, Topic } from '../engine.ts'
import type { Logger } from '../logger.ts'
import { DocumentPartition } from './document-partition.ts'
import { snapshotsTopicOf } from './snapshot-record.ts'

export const DOCUMENT_ID_LENGTH_MAX = 500
const FOR_EVER = { 'retention.ms': '-1', 'retention.bytes': '-1' }
const SNAPSHOT_BYTES_MAX = 32 * 1024 * 1024

export interface DocumentsOptions {
  engine: Engine
  config: Pick<RelayConfig, 'autoCreateTopics' | 'documentsTopic'>
  clock: Clock
  logger: Logger
  snapshotEveryUpdates?: number
}

const utf8 = new TextEncoder()

export class Documents {
  readonly #options: DocumentsOptions
  readonly #partitions = new Map<string, { topicId: string; documents: DocumentPartition }>()
  readonly #companions = new Map<string, { name: string; made: Promise<Topic> }>()

  constructor(options: DocumentsOptions) {
    this.#options = options
  }

  /** Throws KafkaError UNKNOWN_TOPIC_OR_PARTITION, and what making a topic throws. */
  async topic(name: string, mayCreate: () => boolean): Promise<Topic> {
    const { engine, config } = this.#options
    const topic = engine.topicByName(name)
    if (topic) return topic
    if (!config.autoCreateTopics)
      throw new KafkaError('UNKNOWN_TOPIC_OR_PARTITION', `there is no topic ${name}, and auto-create-topics is off`)
    if (!mayCreate()) throw new KafkaError('TOPIC_AUTHORIZATION_FAILED', `not allowed to create ${name}`)
    return this.#made({ name, partitionCount: -1, configs: FOR_EVER })
  }

  /** Where the document is. The companion is made for who may write the topic. Throws KafkaError. */
  async partitionOf(
    topic: Topic,
    documentId: string,
    mayWrite: () => boolean,
  ): Promise<{ partition: number; documents: DocumentPartition }> {
    if (documentId.length === 0 || documentId.length > DOCUMENT_ID_LENGTH_MAX)
      throw new KafkaError('INVALID_REQUEST', `a document's id has 1 to ${DOCUMENT_ID_LENGTH_MAX} characters`)
    const partition = partitionForKey(utf8.encode(documentId), topic.partitions.length)
    const companion = await this.#companionOf(topic, mayWrite)
    const key = `${topic.id}/${partition}`
    const { clock, logger, snapshotEveryUpdates } = this.#options
    const known = this.#partitions.get(key)
    if (known) return { partition, documents: known.documents }
    const log = topic.partitions[partition]!
    const snapshots = companion.partitions[partition] ?? companion.partitions[0]!
    const options = { topicId: topic.id, log, snapshots, clock, logger, snapshotEveryUpdates }
    const documents = new DocumentPartition(options)
    this.#partitions.set(key, { topicId: topic.id, documents })
    return { partition, documents }
  }

  onTopicDeleted(topic: Topic): void {
    for (const [id, companion] of [...this.#companions]) {
      if (id !== topic.id && companion.name !== topic.name) continue
      this.#companions.delete(id)
      for (const [key, { documents, topicId }] of [...this.#partitions]) {
        if (topicId !== id) continue
        this.#partitions.delete(key)
        void documents.close()
      }
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#partitions.values()].map(({ documents }) => documents.close()))
  }

  #companionOf(topic: Topic, mayWrite: () => boolean): Promise<Topic> {
    const known = this.#companions.get(topic.id)
    if (known) return known.made
    const name = snapshotsTopicOf(topic.name)
    if (!this.#options.engine.topicByName(name) && topic.name !== this.#options.config.documentsTopic && !mayWrite())
      throw new KafkaError('TOPIC_AUTHORIZATION_FAILED', `${topic.name} has no documents yet, and you may not write it`)
    const made = this.#makeCompanion(topic, name)
    this.#companions.set(topic.id, { name, made })
    made.catch(() => this.#companions.delete(topic.id))
    return made
  }

  async #makeCompanion(topic: Topic, name: string): Promise<Topic> {
    const known = this.#options.engine.topicByName(name)
    if (known) return known
    const configs = { 'cleanup.policy': 'compact', 'max.message.bytes': String(SNAPSHOT_BYTES_MAX) }
    return this.#made({ name, partitionCount: topic.partitions.length, configs })
  }

  async #made(topic: NewTopic): Promise<Topic> {
    const { engine } = this.#options
    try {
      return await engine.createTopic(topic)
    } catch (error) {
      // Two asked at once; the other one's topic is as good.
      const made = engine.topicByName(topic.name)
      if (made) return made
      throw error
    }
  }
}
