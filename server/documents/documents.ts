/**
 * Documents edited together, as records of topics: one update a record, keyed by document (docs/DOCUMENTS.md).
 *
 * A topic of documents has a companion, `<topic>.snapshots`, which is compacted. Both are made when a document is first opened,
 * the topic itself only where topics may be made by asking for them. From then on it is known as one, over restarts too:
 * retention takes no update that is in no snapshot, and compaction none at all.
 */
import { KafkaError } from '../../protocol/errors.ts'
import type { Clock } from '../../protocol/lib/clock.ts'
import { partitionForKey } from '../../protocol/lib/partitioner.ts'
import type { RelayConfig } from '../config.ts'
import type { Engine, NewTopic, Topic } from '../engine.ts'
import { isCompacted } from '../log/log-config.ts'
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

const factOf = (topicId: string): string => `documents/${topicId}`

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
    return { partition, documents: this.#documentsIn(topic, partition, companion) }
  }

  /** A document of it has been opened once. */
  holds(topic: Topic): boolean {
    return this.#options.engine.facts.get(factOf(topic.id)) !== undefined
  }

  /** How much of what lies below `offset` may be deleted now. */
  deletableUpTo(topic: Topic, partition: number, offset: number): number {
    if (!this.holds(topic)) return offset
    const companion = this.#options.engine.topicByName(snapshotsTopicOf(topic.name))
    if (companion) return this.#documentsIn(topic, partition, companion).deletableUpTo(offset)
    // Deleted by somebody: the next look finds another.
    this.#companionOf(topic, () => true).catch((error) => {
      this.#options.logger.warn('snapshots of documents cannot be written', { topic: topic.name, error: String(error) })
    })
    return topic.partitions[partition]!.startOffset
  }

  #documentsIn(topic: Topic, partition: number, companion: Topic): DocumentPartition {
    const key = `${topic.id}/${partition}`
    const known = this.#partitions.get(key)
    if (known) return known.documents
    const { clock, logger, snapshotEveryUpdates } = this.#options
    const log = topic.partitions[partition]!
    const snapshots = companion.partitions[partition] ?? companion.partitions[0]!
    const documents = new DocumentPartition({
      ...{ topicId: topic.id, log, snapshots, clock, logger, snapshotEveryUpdates },
    })
    this.#partitions.set(key, { topicId: topic.id, documents })
    return documents
  }

  onTopicDeleted(topic: Topic): void {
    if (this.holds(topic)) this.#options.engine.facts.put(factOf(topic.id), null).catch(() => {})
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
    const made = this.#begin(topic, name)
    this.#companions.set(topic.id, { name, made })
    made.catch(() => this.#companions.delete(topic.id))
    return made
  }

  async #begin(topic: Topic, companion: string): Promise<Topic> {
    const isKnown = this.holds(topic)
    if (!isKnown && isCompacted(topic.config.cleanupPolicy))
      throw new KafkaError('INVALID_REQUEST', `${topic.name} is compacted, which would take updates of documents away`)
    const made = await this.#makeCompanion(topic, companion)
    if (!isKnown) await this.#options.engine.facts.put(factOf(topic.id), true)
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
