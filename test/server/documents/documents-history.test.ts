/**
 * Random histories of documents in a bounded topic: edits, retention, snapshots of others, batches that nobody can read, stops,
 * kills and power cuts. Whenever a document is opened it is what its editors were told is written, and nothing else.
 */
import { expect, test } from 'vitest'
import { applyUpdate, Doc, encodeStateAsUpdate, encodeStateVector } from 'yjs'
import { systemClock } from '../../../protocol/lib/clock.ts'
import { type Random, randomBelow, seededRandom, systemRandom } from '../../../protocol/lib/random.ts'
import { BATCH_HEADER_BYTES, sealBatch } from '../../../protocol/record-batch.ts'
import { encodeBatch, type RecordInput } from '../../../protocol/records.ts'
import { relayConfigDefaults } from '../../../server/config.ts'
import { snapshotRecord } from '../../../server/documents/snapshot-record.ts'
import { silentLogger } from '../../../server/logger.ts'
import { openRelayCore, type RelayCore } from '../../../server/relay-core.ts'
import { MemoryFiles, POWER_CUT_MODELS } from '../../../server/storage/memory-files.ts'
import { textOf } from '../../support/editors.ts'

const SEEDS = Number(process.env.OTTLA_SEEDS ?? 12)
const FIRST_SEED = Number(process.env.OTTLA_FIRST_SEED ?? 1)
const STEPS = 250
const KEYS = ['minutes', 'plan', 'recipe']
const SMALL = { 'segment.bytes': '1024', 'retention.bytes': '2048' }
const utf8 = new TextEncoder()
const pick = <T>(random: Random, all: readonly T[]): T => all[randomBelow(random, all.length)]!

const tally = { edits: 0, deleted: 0, snapshots: 0, restarts: 0, powerCuts: 0 }

class History {
  readonly #random: Random
  readonly #written = new Map<string, Doc>(KEYS.map((key) => [key, new Doc()]))
  readonly #made: RecordInput[] = []
  #files = new MemoryFiles({ tracksPower: true })
  #relay!: RelayCore

  constructor(seed: number) {
    this.#random = seededRandom(seed)
  }

  async run(): Promise<void> {
    await this.#start()
    await this.#relay.services.engine.createTopic({ name: 'd', partitionCount: 1, configs: SMALL })
    await this.#documents()
    for (let step = 0; step < STEPS; step++) await this.#step()
    for (const key of KEYS) await this.#check(key)
    await this.#relay.close()
  }

  async #start(): Promise<void> {
    this.#relay = await openRelayCore({
      ...{ files: this.#files, clock: systemClock, random: systemRandom, logger: silentLogger },
      config: { ...relayConfigDefaults, dataDir: 'data' },
      advertised: { http: () => ({ host: 'localhost', port: 1 }), kafka: () => undefined },
    })
  }

  get #topic() {
    return this.#relay.services.engine.topicByName('d')!
  }

  get #log() {
    return this.#topic.partitions[0]!
  }

  get #snapshots() {
    return this.#relay.services.engine.topicByName('d.snapshots')!.partitions[0]!
  }

  async #documents() {
    return (await this.#relay.services.documents.partitionOf(this.#topic, KEYS[0]!, () => true)).documents
  }

  async #step(): Promise<void> {
    const chance = this.#random.next()
    if (chance < 0.7) await this.#edit(pick(this.#random, KEYS))
    else if (chance < 0.85) await this.#retain()
    else if (chance < 0.92) await this.#check(pick(this.#random, KEYS))
    else if (chance < 0.94) await this.#log.append(unreadable()).durable
    else if (chance < 0.96) await this.#snapshotOfAnother(pick(this.#random, KEYS))
    else await this.#restart()
  }

  async #edit(key: string): Promise<void> {
    tally.edits++
    const doc = this.#written.get(key)!
    const before = encodeStateVector(doc)
    const text = doc.getText('t')
    if (text.length > 20 && this.#random.next() < 0.3) text.delete(randomBelow(this.#random, text.length - 10), 10)
    else text.insert(randomBelow(this.#random, text.length + 1), `${tally.edits} `)
    const record = { key: utf8.encode(key), value: encodeStateAsUpdate(doc, before), timestamp: 1 }
    await this.#log.append(encodeBatch([record])).durable
  }

  async #retain(): Promise<void> {
    const { startOffset } = this.#log
    const snapshots = this.#snapshots.highWatermark
    await this.#log.enforceRetention((offset) => this.#relay.services.documents.deletableUpTo(this.#topic, 0, offset))
    // Sometimes what it waits for is there at the next look, and sometimes the relay ends before.
    if (this.#random.next() < 0.7) await new Promise((resolve) => setTimeout(resolve, 2))
    tally.deleted += this.#log.startOffset - startOffset
    tally.snapshots += this.#snapshots.highWatermark - snapshots
  }

  /** Somebody else makes snapshots too, and may be late with them. */
  async #snapshotOfAnother(key: string): Promise<void> {
    const doc = await this.#check(key)
    const { highWatermark: covers } = this.#log
    const made = { update: encodeStateAsUpdate(doc), covers, topicId: this.#topic.id, timestamp: 1 }
    this.#made.push(snapshotRecord(utf8.encode(key), made))
    const record = pick(this.#random, this.#made)
    await this.#snapshots.append(encodeBatch([record])).durable
  }

  async #restart(): Promise<void> {
    tally.restarts++
    const old = this.#relay
    if (this.#random.next() < 0.5) await old.close()
    else {
      tally.powerCuts++
      this.#files = this.#files.powerCut(pick(this.#random, POWER_CUT_MODELS), this.#random)
      await old.close()
    }
    await this.#start()
  }

  async #check(key: string): Promise<Doc> {
    const doc = new Doc()
    for (let from = -1, isWhole = false; !isWhole; ) {
      const part = await (await this.#documents()).open(key, from)
      for (const update of part.snapshot ? [part.snapshot, ...part.updates] : part.updates) applyUpdate(doc, update)
      from = part.nextOffset
      isWhole = part.isWhole
    }
    expect(textOf(doc), key).toBe(textOf(this.#written.get(key)!))
    return doc
  }
}

function unreadable(): Uint8Array {
  const batch = encodeBatch([{ key: utf8.encode(KEYS[0]!), value: utf8.encode('?'), timestamp: 1 }])
  batch.fill(0xff, BATCH_HEADER_BYTES)
  sealBatch(batch)
  return batch
}

test(
  `[DOC-26] ${SEEDS} random histories of documents in a bounded topic: what was written is there whenever they are opened`,
  async () => {
    for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
      try {
        await new History(seed).run()
      } catch (error) {
        throw new Error(`seed ${seed} (OTTLA_FIRST_SEED=${seed} OTTLA_SEEDS=1): ${error}`, { cause: error })
      }
    }
    console.log(`documents: ${JSON.stringify(tally)}`)
    for (const [what, count] of Object.entries(tally)) expect(count, what).toBeGreaterThan(SEEDS * 2)
  },
  120_000 + SEEDS * 1_000,
)
