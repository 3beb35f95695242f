/**
 * A page's reads of its replica, straight from IndexedDB: the first record of a cold open needs neither the worker nor
 * the network. Whatever isn't there (no database yet, deleted, broken) is undefined, and the caller asks the host.
 *
 * Read only: a page never writes, upgrades or repairs the database.
 */
import type { ReplicaRange, StoredChunk, TopicInfo } from '../client/core.ts'
import { openReplicaReader, type ReplicaOverview, type ReplicaReader } from '../client/replica/idb-reader.ts'
import type { Clock } from '../protocol/lib/clock.ts'

const OVERVIEW_KEPT_MS = 50

export class LocalReads {
  readonly #replica: string | null
  readonly #clock: Clock
  #opening: Promise<ReplicaReader | undefined> | undefined
  #overview: { reader: ReplicaReader; answer: Promise<ReplicaOverview> } | undefined
  #isClosed = false

  /** null: there is nothing that a page could read. */
  constructor(replica: string | null, clock: Clock) {
    this.#replica = replica
    this.#clock = clock
  }

  /** Opens the database and looks what is in it before anybody asks. */
  warmUp(): void {
    void this.#read((reader) => this.#look(reader))
  }

  topic(name: string): Promise<TopicInfo | undefined> {
    return this.#read(async (reader) => {
      const { topics } = await this.#look(reader)
      const found = topics.find((topic) => topic.name === name)
      return found && { name, id: found.topicId, partitionCount: found.partitionCount }
    })
  }

  /** What is held of a topic that is being replicated; undefined when it is not. */
  ranges(name: string): Promise<ReplicaRange[] | undefined> {
    return this.#read(async (reader) => {
      const { topics, positions } = await this.#look(reader)
      const topic = topics.find((stored) => stored.name === name && stored.policy !== null)
      if (!topic) return undefined
      return positions
        .filter((position) => position.topicId === topic.topicId)
        .map(({ topicId, partition, start, nextOffset, generation, filter }) => ({
          topic: name,
          topicId,
          partition,
          start,
          end: nextOffset,
          relayEnd: -1,
          upToDate: false,
          generation,
          filter,
        }))
    })
  }

  read(topicId: string, partition: number, offset: number, bytesMax: number): Promise<StoredChunk[] | undefined> {
    return this.#read(async (reader) => {
      const chunks = await reader.read({ topicId, partition, offset, bytesMax })
      // Only the host can tell whether nothing is left or the database was cleared.
      return chunks.length > 0 ? chunks : undefined
    })
  }

  /** Before the page freezes: a frozen page's open database would stand in the way of deleting it. */
  close(): void {
    this.#isClosed = true
    this.#drop()
  }

  reopen(): void {
    this.#isClosed = false
  }

  /** Once for all questions of a moment: opening a topic asks for its ranges and then for itself. */
  #look(reader: ReplicaReader): Promise<ReplicaOverview> {
    if (this.#overview?.reader !== reader) {
      this.#overview = { reader, answer: reader.overview() }
      this.#clock.setTimer(OVERVIEW_KEPT_MS, () => {
        this.#overview = undefined
      })
    }
    return this.#overview.answer
  }

  async #read<T>(act: (reader: ReplicaReader) => Promise<T | undefined>): Promise<T | undefined> {
    try {
      const reader = await this.#reader()
      return reader && (await act(reader))
    } catch {
      // The host reads the same data and says what is wrong with it, in its status and in its answer.
      this.#drop()
      return undefined
    }
  }

  async #reader(): Promise<ReplicaReader | undefined> {
    if (this.#isClosed || this.#replica === null) return undefined
    this.#opening ??= openReplicaReader(this.#replica)
    const reader = await this.#opening
    if (reader?.isOpen) return reader
    // No replica yet, or deleted under us: look again next time.
    this.#opening = undefined
    return undefined
  }

  #drop(): void {
    const opening = this.#opening
    this.#opening = undefined
    opening?.then((reader) => reader?.close()).catch(() => {})
  }
}
