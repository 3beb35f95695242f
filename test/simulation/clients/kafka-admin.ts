/** Makes, changes and removes topics, and asks where logs begin and end. */
import { ErrorCode, errorName, isRetriableCode } from '../../../protocol/errors.ts'
import { deleteRecords } from '../../../protocol/messages/offsets.ts'
import { createTopics, deleteTopics } from '../../../protocol/messages/topics.ts'
import type { Ends, TopicChange, Trim } from '../../checker/history.ts'
import { offsetAt } from './fetch-position.ts'
import { KafkaClient } from './kafka-client.ts'
import { Disconnected } from './kafka-wire.ts'

const VERSION_WITH_IDS = 7

export interface TopicPlan {
  name: string
  partitions: number
  configs: Record<string, string>
}

export class KafkaAdmin extends KafkaClient {
  /** Tries until the topic is there. */
  async create({ name, partitions, configs }: TopicPlan): Promise<void> {
    const topic = {
      ...{ name, numPartitions: partitions, replicationFactor: -1, assignments: [] },
      configs: Object.entries(configs).map(([key, value]) => ({ name: key, value })),
    }
    const compacts = configs['cleanup.policy'] === 'compact'
    const retains = configs['retention.ms'] !== '-1' || 'retention.bytes' in configs
    for (;;) {
      const change = this.recorder.open<TopicChange>({
        ...{ op: 'topic', process: this.process.name, change: 'created', topic: name, outcome: 'unknown' },
        ...(retains && { retains }),
        // However long tombstones are to stay: a relay may start with a clock that is a month ahead.
        ...(compacts && { compacts, forgets: true }),
      })
      try {
        const wire = await this.connect()
        const version = Math.max(4, wire.versionOf(createTopics))
        const { topics } = await wire.call(createTopics, { topics: [topic], validateOnly: false }, { version })
        const { errorCode, topicId } = topics[0]!
        if (errorCode === 0) {
          return this.recorder.close(change, {
            outcome: 'ok',
            ...(version >= VERSION_WITH_IDS && { topicId }),
          })
        }
        this.recorder.close(change, { outcome: errorCode === ErrorCode.TOPIC_ALREADY_EXISTS ? 'unknown' : 'failed' })
        if (errorCode === ErrorCode.TOPIC_ALREADY_EXISTS) return
        if (!isRetriableCode(errorCode)) throw new Error(`no topic ${name}: ${errorName(errorCode)}`)
      } catch (error) {
        if (!(error instanceof Disconnected)) throw error
        this.recorder.close(change)
      }
      await this.pause()
    }
  }

  async delete(topic: string): Promise<void> {
    const change = this.recorder.open<TopicChange>({
      ...{ op: 'topic', process: this.process.name, change: 'deleted', topic, outcome: 'unknown' },
    })
    try {
      const wire = await this.connect()
      const { responses } = await wire.call(deleteTopics, {
        ...{ topics: [{ name: topic }], topicNames: [topic], timeoutMs: 5_000 },
      })
      const { errorCode } = responses[0]!
      this.recorder.close(change, { outcome: errorCode === 0 ? 'ok' : 'unknown' })
    } catch (error) {
      if (!(error instanceof Disconnected)) throw error
      this.recorder.close(change)
    }
  }

  /** DeleteRecords of about a share of what there is. */
  async trim(topic: string, partition: number, share: number): Promise<void> {
    const view = await this.describe(topic)
    if (!view) return
    const wire = await this.connect().catch(() => undefined)
    if (!wire) return
    let trim: Trim | undefined
    try {
      const start = await offsetAt(this, wire, topic, partition, -2)
      const end = await offsetAt(this, wire, topic, partition, -1)
      if (start === undefined || end === undefined) return
      const before = start + Math.floor((end - start) * share)
      trim = this.recorder.open<Trim>({
        ...{ op: 'trim', process: this.process.name, topic, partition, before, outcome: 'unknown' },
        ...(view.topicId && { topicId: view.topicId }),
      })
      const { topics } = await wire.call(deleteRecords, {
        ...{ topics: [{ name: topic, partitions: [{ partitionIndex: partition, offset: before }] }], timeoutMs: 5_000 },
      })
      const { errorCode } = topics[0]!.partitions[0]!
      this.recorder.close(trim, { outcome: errorCode === 0 ? 'ok' : 'unknown' })
      this.world.probes.reached('records deleted')
    } catch (error) {
      if (!(error instanceof Disconnected)) throw error
      if (trim) this.recorder.close(trim)
    }
  }

  /** Where every partition ends. undefined when somebody does not answer. */
  async ends(topic: string): Promise<Map<number, number> | undefined> {
    const view = await this.describe(topic)
    if (!view) return new Map()
    const ends = new Map<number, number>()
    try {
      const wire = await this.connect()
      for (let partition = 0; partition < view.partitions; partition++) {
        const at = this.recorder.now
        const start = await offsetAt(this, wire, topic, partition, -2)
        const end = await offsetAt(this, wire, topic, partition, -1)
        if (start === undefined || end === undefined) return undefined
        this.recorder.note<Ends>(
          {
            ...{ op: 'ends', process: this.process.name, topic, partition, start, end },
            ...(view.topicId && { topicId: view.topicId }),
          },
          at,
        )
        ends.set(partition, end)
      }
      return ends
    } catch (error) {
      if (!(error instanceof Disconnected)) throw error
      return undefined
    }
  }
}
