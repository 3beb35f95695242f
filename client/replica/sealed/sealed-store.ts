/**
 * A store whose rows are encrypted on their way into IndexedDB, and opened on their way out.
 *
 * In plain stay what keys and ranges need, and numbers: ids of topics, partitions, offsets, times and sizes of chunks,
 * producer ids, random ids of writes. Encrypted are records, names of topics, policies, keys of filters, documents and their
 * names, and whole rows of the outbox. A row that does not open counts as one that the browser has lost.
 */
import type { ReplicaPolicy } from '../../core.ts'
import { lostRow } from '../idb-damage.ts'
import type { IdbStore } from '../idb-store.ts'
import type {
  ChunkReplacement,
  ChunkRow,
  Delivery,
  ReplicaStore,
  StoreClaim,
  StoreContents,
  StoredDocument,
  StoredPosition,
  StoredTopic,
} from '../store.ts'
import { CorruptChunks } from '../store-error.ts'
import type { OutboxChange, OutboxRow, SealedBatch } from '../store-outbox.ts'
import type { SealingRecord, SecretChange } from './encryption.ts'
import { rewrapRowKey } from './row-key.ts'
import { OVERHEAD_BYTES, type RowSealer } from './row-sealer.ts'

type Place = Pick<StoredPosition, 'topicId' | 'partition'>

export class SealedStore implements ReplicaStore {
  readonly durability = 'device'
  readonly #inner: IdbStore
  readonly #sealer: RowSealer
  #record: SealingRecord
  /** Puts of topics in the order in which they were asked for, however long each takes to encrypt. */
  #topicsPut: Promise<unknown> = Promise.resolve()
  #changing: Promise<unknown> = Promise.resolve()

  constructor(inner: IdbStore, sealer: RowSealer, record: SealingRecord) {
    this.#inner = inner
    this.#sealer = sealer
    this.#record = record
  }

  async claim(claim: StoreClaim): Promise<StoreContents> {
    const contents = await this.#inner.claim({ ...claim, sealing: this.#record })
    const topics = await Promise.all(contents.topics.map((topic) => this.#openTopic(topic).catch(() => [])))
    // What cannot be told to be the log's is fetched anew.
    const positions = await Promise.all(contents.positions.map((each) => this.#openPosition(each).catch(() => [])))
    const sealed = await Promise.all(contents.sealed.map((batch) => this.#openBatch(batch)))
    return { ...contents, topics: topics.flat(), positions: positions.flat(), sealed }
  }

  putTopics(topics: readonly StoredTopic[]): Promise<void> {
    const sealing = Promise.all(topics.map((topic) => this.#sealTopic(topic)))
    const put = this.#topicsPut.then(async () => this.#inner.putTopics(await sealing))
    this.#topicsPut = put.catch(() => {})
    return put
  }

  dropTopic(topicId: string): Promise<void> {
    const drop = this.#topicsPut.then(() => this.#inner.dropTopic(topicId))
    this.#topicsPut = drop.catch(() => {})
    return drop
  }

  async commitDelivery(deliveries: readonly Delivery[]): Promise<void> {
    await this.#inner.commitDelivery(
      await Promise.all(
        deliveries.map(async ({ position, chunks }) => ({
          position: await this.#sealPosition(position),
          chunks: await this.#sealChunks(position, chunks),
        })),
      ),
    )
  }

  async replaceChunks(replacement: ChunkReplacement): Promise<void> {
    const { position, chunks } = replacement
    const sealed = await this.#sealChunks(position, chunks)
    await this.#inner.replaceChunks({ ...replacement, position: await this.#sealPosition(position), chunks: sealed })
  }

  async readChunks(topicId: string, partition: number, offset: number, bytesMax: number): Promise<ChunkRow[]> {
    const rows = await this.#inner.readChunks(topicId, partition, offset, bytesMax, OVERHEAD_BYTES)
    const opened = await Promise.allSettled(rows.map((row) => this.#openChunk({ topicId, partition }, row)))
    const damaged = opened.findIndex(({ status }) => status === 'rejected')
    if (damaged === 0) {
      const intactUpTo = await this.#inner.intactBelow(topicId, partition, offset)
      throw new CorruptChunks({ topicId, partition, intactUpTo }, (opened[0] as PromiseRejectedResult).reason)
    }
    const whole = damaged < 0 ? opened : opened.slice(0, damaged)
    return whole.map((each) => (each as PromiseFulfilledResult<ChunkRow>).value)
  }

  async readDocument(topicId: string, documentId: string): Promise<StoredDocument | undefined> {
    const found = await this.#inner.readDocument(topicId, await this.#sealer.nameFor(documentId))
    if (!found) return undefined
    const place = documentPlace({ ...found, documentId })
    const update = await this.#sealer.open(found.update, place).catch(() => undefined)
    return update && { ...found, documentId, update }
  }

  async putDocument(document: StoredDocument): Promise<void> {
    const documentId = await this.#sealer.nameFor(document.documentId)
    const update = await this.#sealer.seal(document.update, documentPlace(document))
    await this.#inner.putDocument({ ...document, documentId, update })
  }

  dropDocuments(): Promise<boolean> {
    return this.#inner.dropDocuments()
  }

  async changeOutbox(change: OutboxChange): Promise<void> {
    const putRows = change.putRows && (await Promise.all(change.putRows.map((row) => this.#sealRow(row))))
    const putSealed = change.putSealed && (await Promise.all(change.putSealed.map((batch) => this.#sealBatch(batch))))
    await this.#inner.changeOutbox({ ...change, putRows, putSealed })
  }

  async readOutbox(afterKey: number, countMax: number): Promise<OutboxRow[]> {
    const rows = await this.#inner.readOutbox(afterKey, countMax)
    return Promise.all(rows.map((row) => this.#openRow(row).catch(() => lostRow(row.key))))
  }

  async readOutboxRows(keys: readonly number[]): Promise<Array<OutboxRow | undefined>> {
    const rows = await this.#inner.readOutboxRows(keys)
    return Promise.all(rows.map((row) => row && this.#openRow(row).catch(() => undefined)))
  }

  /** One put: before it the old secret opens the replica, after it the new one does. A change waits for the one before. */
  changeSecret(change: SecretChange): Promise<void> {
    const changed = this.#changing.then(async () => {
      const record = await rewrapRowKey(this.#record, change)
      await this.#inner.putSealing(record)
      this.#record = record
    })
    this.#changing = changed.catch(() => {})
    return changed
  }

  end(keepOutbox: boolean): Promise<void> {
    return this.#inner.end(keepOutbox)
  }

  onInterrupted(listener: () => void): () => void {
    return this.#inner.onInterrupted(listener)
  }

  close(): Promise<void> {
    return this.#inner.close()
  }

  async #sealTopic({ name, policy, ...topic }: StoredTopic): Promise<StoredTopic> {
    const text = JSON.stringify({ name, policy })
    return { ...topic, name: await this.#sealer.sealText(text, `topic/${topic.topicId}`), policy: null }
  }

  async #openTopic(topic: StoredTopic): Promise<StoredTopic> {
    const text = await this.#sealer.openText(topic.name, `topic/${topic.topicId}`)
    return { ...topic, ...(JSON.parse(text) as { name: string; policy: ReplicaPolicy | null }) }
  }

  async #sealPosition(position: StoredPosition): Promise<StoredPosition> {
    if (position.filter === undefined) return position
    return { ...position, filter: await this.#sealer.sealText(position.filter, filterPlace(position)) }
  }

  async #openPosition(position: StoredPosition): Promise<StoredPosition> {
    if (position.filter === undefined) return position
    return { ...position, filter: await this.#sealer.openText(position.filter, filterPlace(position)) }
  }

  #sealChunks(place: Place, chunks: readonly ChunkRow[]): Promise<ChunkRow[]> {
    return Promise.all(
      chunks.map(async (chunk) => ({
        ...chunk,
        bytes: await this.#sealer.seal(chunk.bytes, chunkPlace(place, chunk)),
      })),
    )
  }

  async #openChunk(place: Place, chunk: ChunkRow): Promise<ChunkRow> {
    return { ...chunk, bytes: await this.#sealer.open(chunk.bytes, chunkPlace(place, chunk)) }
  }

  /** All of the row is in its batch; what is left around it says nothing. */
  async #sealRow(row: OutboxRow): Promise<OutboxRow> {
    const { batch, ...rest } = row
    const about = new TextEncoder().encode(JSON.stringify(rest))
    const plain = new Uint8Array(4 + about.length + batch.length)
    new DataView(plain.buffer).setUint32(0, about.length)
    plain.set(about, 4)
    plain.set(batch, 4 + about.length)
    return {
      ...lostRow(row.key),
      id: '',
      state: 'waiting',
      error: null,
      batch: await this.#sealer.seal(plain, rowPlace(row)),
    }
  }

  async #openRow(row: OutboxRow): Promise<OutboxRow> {
    const plain = await this.#sealer.open(row.batch, rowPlace(row))
    const aboutEnd = 4 + new DataView(plain.buffer).getUint32(0)
    const about = JSON.parse(new TextDecoder().decode(plain.subarray(4, aboutEnd))) as Omit<OutboxRow, 'batch'>
    return { ...about, batch: plain.slice(aboutEnd) }
  }

  async #sealBatch(batch: SealedBatch): Promise<SealedBatch> {
    return { ...batch, topic: await this.#sealer.sealText(batch.topic, batchPlace(batch)) }
  }

  /** Without its name it is still known by the topic's id, and is sent. */
  async #openBatch(batch: SealedBatch): Promise<SealedBatch> {
    return { ...batch, topic: await this.#sealer.openText(batch.topic, batchPlace(batch)).catch(() => '') }
  }
}

const filterPlace = ({ topicId, partition }: Place) => `filter/${topicId}/${partition}`
const documentPlace = ({ topicId, documentId, partition, generation, nextOffset }: StoredDocument) =>
  `document/${topicId}/${partition}/${generation}/${nextOffset}/${documentId}`
const rowPlace = ({ key }: OutboxRow) => `outbox/${key}`
const batchPlace = ({ key, topicId, partition }: SealedBatch) => `batch/${key}/${topicId}/${partition}`

function chunkPlace({ topicId, partition }: Place, { baseOffset, nextOffset, maxTimestamp, aborted = [] }: ChunkRow) {
  return `chunk/${topicId}/${partition}/${baseOffset}/${nextOffset}/${maxTimestamp}/${JSON.stringify(aborted)}`
}
