/**
 * A browser's storage: one database that outlives its tabs. Units are transactions, carried out one after another, whole
 * or not at all; a tab may die before, in and after each. A relaxed one may be gone after a power cut, and whatever came
 * behind it then is gone as well, as every engine keeps a log.
 */
import { MemoryDatabase, MemoryStore } from '../../../client/replica/memory-store.ts'
import type {
  ChunkReplacement,
  ChunkRow,
  Delivery,
  ReplicaStore,
  StoreClaim,
  StoreContents,
  StoredTopic,
} from '../../../client/replica/store.ts'
import { StoreError } from '../../../client/replica/store-error.ts'
import type { OutboxChange, OutboxRow } from '../../../client/replica/store-outbox.ts'
import { DeviceTables } from './device-tables.ts'
import type { Dice } from './dice.ts'
import type { Probes } from './probes.ts'
import type { Process } from './process.ts'
import type { Trace } from './trace.ts'

export class DeviceStorage {
  readonly name: string
  readonly dice: Dice
  readonly trace: Trace
  readonly probes: Probes
  database = new MemoryDatabase()
  readonly tables = new DeviceTables()
  /** Nothing more may be stored. */
  isFull = false
  /** Has refused to store something. */
  wasFull = false
  /** What a power cut would leave; undefined while that is everything. */
  #durable: MemoryDatabase | undefined
  /** Behind one another, whichever tab asked for them. The first is being carried out. */
  #units: Unit[] = []

  constructor(name: string, dice: Dice, trace: Trace, probes: Probes) {
    this.name = name
    this.dice = dice
    this.trace = trace
    this.probes = probes
  }

  store(process: Process): ReplicaStore {
    return new DeviceStore(this, process)
  }

  enqueue(unit: Unit): void {
    this.#units.push(unit)
    if (this.#units.length === 1) this.#begin()
  }

  /** Resolves when the tab's units are done. */
  async idle(process: Process): Promise<void> {
    while (this.#units.some((unit) => unit.process === process)) await process.sleep(1)
  }

  /** The unit that was being carried out has happened or not; those behind it have not. */
  tabDied(process: Process): void {
    const [first] = this.#units
    this.#units = this.#units.filter((unit) => unit.process !== process)
    if (first?.process !== process) return
    if (this.dice.chance(0.5)) void first.carryOut().catch(() => {})
    this.#begin()
  }

  #begin(): void {
    const unit = this.#units[0]
    unit?.process.after(unit.costMs, () => {
      this.trace.add(unit.process.name, `store: ${unit.name}`)
      // The page hears of it a moment later than it happens.
      const tell = (settle: () => void) => void unit.process.after(this.dice.skewed(0.05, 2), settle)
      unit
        .carryOut()
        .then(
          () => tell(unit.resolve),
          (failure) => tell(() => unit.reject(failure)),
        )
        .finally(() => {
          this.#units.shift()
          this.#begin()
        })
    })
  }

  /** Everything so far is on the device. */
  flushed(): void {
    this.#durable = undefined
  }

  /** What comes now may be lost. */
  beginRelaxed(): void {
    this.#durable ??= this.database.copy()
  }

  cutPower(): void {
    this.probes.reached('device lost power')
    this.trace.add(this.name, 'storage after a power cut')
    // Relaxed units are written in the background, so they may well be there.
    if (this.dice.chance(0.3)) this.flushed()
    this.database = this.#durable ?? this.database.copy()
    this.tables.cutPower(this.dice.chance(0.5))
    this.flushed()
  }

  /** The browser clears the origin, under tabs that live. */
  evict(): void {
    this.probes.reached('device storage evicted')
    this.trace.add(this.name, 'storage evicted')
    this.database.clear()
    this.flushed()
  }
}

interface Unit {
  name: string
  process: Process
  costMs: number
  carryOut(): Promise<void>
  resolve(): void
  reject(failure: unknown): void
}

class DeviceStore implements ReplicaStore {
  readonly durability = 'device'
  readonly #storage: DeviceStorage
  readonly #process: Process
  readonly #memory: MemoryStore

  constructor(storage: DeviceStorage, process: Process) {
    this.#storage = storage
    this.#process = process
    this.#memory = new MemoryStore(storage.database)
    process.onKill(() => storage.tabDied(process))
  }

  claim(claim: StoreClaim): Promise<StoreContents> {
    return this.#unit('claim', 'strict', () => this.#memory.claim(claim))
  }

  putTopics(topics: readonly StoredTopic[]): Promise<void> {
    return this.#unit('topics', 'relaxed', () => this.#memory.putTopics(topics))
  }

  dropTopic(topicId: string): Promise<void> {
    return this.#unit('drop topic', 'relaxed', () => this.#memory.dropTopic(topicId))
  }

  commitDelivery(deliveries: readonly Delivery[]): Promise<void> {
    return this.#unit('delivery', 'relaxed', () => {
      this.#checkQuota()
      return this.#memory.commitDelivery(deliveries)
    })
  }

  replaceChunks(replacement: ChunkReplacement): Promise<void> {
    return this.#unit('chunks', 'relaxed', () => this.#memory.replaceChunks(replacement))
  }

  readChunks(topicId: string, partition: number, offset: number, bytesMax: number): Promise<ChunkRow[]> {
    return this.#read(() => this.#memory.readChunks(topicId, partition, offset, bytesMax))
  }

  changeOutbox(change: OutboxChange): Promise<void> {
    return this.#unit('outbox', change.durability ?? 'strict', () => {
      if (change.putRows) this.#checkQuota()
      return this.#memory.changeOutbox(change)
    })
  }

  readOutbox(afterKey: number, countMax: number): Promise<OutboxRow[]> {
    return this.#read(() => this.#memory.readOutbox(afterKey, countMax))
  }

  readOutboxRows(keys: readonly number[]): Promise<Array<OutboxRow | undefined>> {
    return this.#read(() => this.#memory.readOutboxRows(keys))
  }

  // No document is opened in the simulation.
  readDocument = async () => undefined
  putDocument = async () => {}
  dropDocuments = async () => false

  end(keepOutbox: boolean): Promise<void> {
    return this.#unit('end', 'strict', () => this.#memory.end(keepOutbox))
  }

  onInterrupted(): () => void {
    return () => {}
  }

  async close(): Promise<void> {
    await this.#storage.idle(this.#process)
    await this.#memory.close()
  }

  #checkQuota(): void {
    if (!this.#storage.isFull) return
    this.#storage.wasFull = true
    this.#storage.probes.reached('device quota met')
    throw new StoreError('quota', 'the quota is used up')
  }

  #read<T>(effect: () => Promise<T>): Promise<T> {
    return this.#process.call(this.#storage.dice.skewed(0.1, 5), effect)
  }

  #unit<T>(name: string, durability: 'strict' | 'relaxed', effect: () => Promise<T>): Promise<T> {
    const { dice } = this.#storage
    const costMs = durability === 'strict' ? dice.skewed(1, 60) : dice.skewed(0.3, 20)
    return new Promise((resolve, reject) => {
      let result: T
      const carryOut = async () => {
        if (durability === 'relaxed') this.#storage.beginRelaxed()
        result = await effect()
        if (durability === 'strict') this.#storage.flushed()
      }
      const process = this.#process
      this.#storage.enqueue({ name, process, costMs, carryOut, resolve: () => resolve(result), reject })
    })
  }
}
