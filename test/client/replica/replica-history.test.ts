/**
 * Random histories of a replica: logs that grow, are cut, trimmed and made anew; connections and processes that die; a
 * store that fails, is full or is cleared; frames that come damaged. At every moment what the replica says it holds must
 * be what some log had, and in the end, what the log has.
 */
import { expect, test } from 'vitest'
import type { Advanced, ReplicaPolicy } from '../../../client/core.ts'
import { MemoryDatabase, MemoryStore } from '../../../client/replica/memory-store.ts'
import { Replica } from '../../../client/replica/replica.ts'
import type { ReplicaStore } from '../../../client/replica/store.ts'
import { StoreError } from '../../../client/replica/store-error.ts'
import { HandClock } from '../../../protocol/lib/clock.ts'
import { type Random, randomBelow, seededRandom } from '../../../protocol/lib/random.ts'
import { batchesIn } from '../../../protocol/record-batch.ts'
import { decodeRecords } from '../../../protocol/records.ts'
import { LogSession, LogsModel } from './log-model.ts'

const SEEDS = Number(process.env.OTTLA_SEEDS ?? 300)
const FIRST_SEED = Number(process.env.OTTLA_FIRST_SEED ?? 1)
const STEPS = 400
const TOPIC = 'flights'

const tally = {
  frames: 0,
  crashes: 0,
  powerCuts: 0,
  truncations: 0,
  trims: 0,
  recreations: 0,
  evictions: 0,
  storeFailures: 0,
  quotaFailures: 0,
  damagedFrames: 0,
  cuts: 0,
}

class History {
  readonly #seed: number
  readonly #random: Random
  readonly #clock = new HandClock()
  readonly #logs = new LogsModel()
  readonly #policy: ReplicaPolicy
  #database = new MemoryDatabase()
  #olderDatabase = new MemoryDatabase()
  #session!: LogSession
  #replica!: Replica
  #failure: 'none' | 'failed' | 'quota' = 'none'
  #nextValue = 0
  #claims = 0
  #recovering: Promise<void> | undefined
  #isEvicted = false
  #advanced: Advanced[] = []
  /** What was seen at each offset of each generation, in this life of the process. */
  #seen = new Map<string, string>()

  constructor(seed: number) {
    this.#seed = seed
    this.#random = seededRandom(seed)
    const policies: ReplicaPolicy[] = [{}, {}, { lastRecords: 20 }, { sizeBytesMax: 3_000 }, { ageMsMax: 5_000 }]
    this.#policy = policies[randomBelow(this.#random, policies.length)]!
    this.#logs.create(TOPIC, 2)
  }

  async run(): Promise<void> {
    await this.#start()
    for (let step = 0; step < STEPS; step++) {
      await this.#act()
      await settle()
      this.#checkLogStart()
      if (step % 20 === 0) await this.#checkHeld()
    }
    await this.#heal()
    await this.#checkHeld()
    await this.#checkComplete()
  }

  async #start(): Promise<void> {
    this.#session = new LogSession(this.#logs)
    const memory = new MemoryStore(this.#database)
    const store = this.#faultyStore(memory)
    const contents = await store.claim(this.#claim())
    this.#isEvicted = false
    this.#replica = new Replica({
      session: this.#session,
      store,
      contents,
      clock: this.#clock,
      onTrouble: (trouble) => {
        if (trouble instanceof StoreError && trouble.kind === 'evicted') this.#recover(store)
      },
    })
    this.#replica.onAdvanced((all) => this.#advanced.push(...all))
    const { id, partitionCount } = this.#logs.topics.get(TOPIC)!
    const info = this.#replica.known(TOPIC) ?? { name: TOPIC, id, partitionCount }
    await this.#replica.replicate(info, this.#policy).catch(() => {})
  }

  #claim() {
    this.#claims++
    return { token: `token-${this.#claims}`, newReplicaId: `replica-${this.#claims}` }
  }

  /** What the core does when the database was cleared. */
  #recover(store: ReplicaStore): void {
    this.#recovering ??= this.#replica
      .beginAnew(async () => {
        await store.claim(this.#claim())
        this.#isEvicted = false
      })
      .catch(() => {})
      .finally(() => {
        this.#recovering = undefined
      })
  }

  #faultyStore(memory: MemoryStore): ReplicaStore {
    const fail = () => {
      if (this.#failure === 'none') return
      const kind = this.#failure
      if (kind === 'quota') tally.quotaFailures++
      else tally.storeFailures++
      throw new StoreError(kind, `the store says ${kind}`)
    }
    const guarded = new Set(['commitDelivery', 'replaceChunks'])
    return new Proxy(memory as ReplicaStore, {
      get(target, name) {
        const member = Reflect.get(target, name)
        if (typeof member !== 'function') return member
        return async (...args: unknown[]) => {
          if (guarded.has(String(name))) fail()
          return Reflect.apply(member, target, args)
        }
      },
    })
  }

  async #act(): Promise<void> {
    const dice = this.#random.next()
    if (dice < 0.2) this.#append()
    else if (dice < 0.7) await this.#session.step(randomBelow(this.#random, 8), (records) => this.#spoil(records))
    else if (dice < 0.78) this.#session.connect()
    else if (dice < 0.8) this.#cut()
    else if (dice < 0.88) await this.#clock.advanceAsync(this.#random.next() * 2_000)
    else if (dice < 0.9) this.#truncate()
    else if (dice < 0.91) this.#trim()
    else if (dice < 0.915) this.#recreate()
    else if (dice < 0.93) await this.#crash()
    else if (dice < 0.935) this.#evict()
    else if (dice < 0.95) this.#failure = this.#random.next() < 0.5 ? 'failed' : 'quota'
    else this.#failure = 'none'
  }

  #append(): void {
    const count = 1 + randomBelow(this.#random, 4)
    const values = Array.from({ length: count }, () => `value-${this.#nextValue++}`)
    this.#log(randomBelow(this.#random, 2)).append(values, this.#clock.now())
  }

  #log(partition: number) {
    return this.#logs.topics.get(TOPIC)!.partitions[partition]!
  }

  #spoil(records: Uint8Array): Uint8Array {
    if (records.length === 0 || this.#random.next() > 0.01) return records
    tally.damagedFrames++
    const spoilt = records.slice()
    // Offset and epoch at the front of a batch lie outside its checksum.
    const [batch] = [...batchesIn(spoilt)]
    const at = 17 + randomBelow(this.#random, batch!.end - 17)
    spoilt[at] = spoilt[at]! ^ (1 << randomBelow(this.#random, 8))
    return spoilt
  }

  #cut(): void {
    tally.cuts++
    this.#session.cut()
  }

  #truncate(): void {
    const log = this.#log(randomBelow(this.#random, 2))
    if (log.end === log.logStart) return
    tally.truncations++
    // As the relay does: whoever was ahead is subscribed again and told.
    this.#session.cut()
    log.truncate(log.logStart + randomBelow(this.#random, log.end - log.logStart))
  }

  #trim(): void {
    tally.trims++
    const log = this.#log(randomBelow(this.#random, 2))
    log.trim(log.logStart + randomBelow(this.#random, log.end - log.logStart + 1))
  }

  #recreate(): void {
    tally.recreations++
    this.#session.cut()
    this.#logs.create(TOPIC, 2)
  }

  async #crash(): Promise<void> {
    tally.crashes++
    void this.#replica.close()
    this.#session.cut()
    // Relaxed units: after a power cut any number of the last ones may be gone.
    if (this.#random.next() < 0.3) {
      tally.powerCuts++
      this.#database = this.#olderDatabase.copy()
    } else {
      this.#database = this.#database.copy()
    }
    this.#olderDatabase = this.#database.copy()
    this.#recovering = undefined
    this.#seen.clear()
    await this.#start()
  }

  #evict(): void {
    tally.evictions++
    this.#isEvicted = true
    this.#database.clear()
    this.#olderDatabase = new MemoryDatabase()
  }

  async #heal(): Promise<void> {
    this.#failure = 'none'
    for (let round = 0; round < 300; round++) {
      this.#session.connect()
      for (let index = 0; index < 4; index++) await this.#session.step(index)
      await settle()
      await this.#clock.advanceAsync(round % 10 === 0 ? 2_000 : 10)
      if (this.#isEvicted) void this.#replica.isIntact()
      const ranges = this.#replica.ranges()
      const isDone = ranges.length === 2 && ranges.every(({ upToDate }) => upToDate) && !this.#isEvicted
      if (isDone && round > 20) return
    }
    throw this.#fault(`not up to date after healing: ${JSON.stringify(this.#replica.ranges())}`)
  }

  /** Whatever is held lies in its range without a hole, and every record is one that this very topic had there. */
  async #checkHeld(): Promise<void> {
    if (this.#isEvicted || this.#recovering) return
    for (const { topicId, partition, start, end, generation } of this.#replica.ranges()) {
      let at = start
      while (at < end) {
        const [chunk] = await new MemoryStore(this.#database).readChunks(topicId, partition, at, 1)
        if (!chunk) throw this.#fault(`nothing is stored at ${at} of [${start}, ${end})`)
        if (chunk.baseOffset > at) throw this.#fault(`a hole from ${at} to ${chunk.baseOffset}`)
        for (const [offset, value] of valuesOf(chunk.bytes)) {
          if (offset < start) continue
          const key = `${topicId}/${partition}/${generation}/${offset}`
          const before = this.#seen.get(key)
          if (before !== undefined && before !== value) throw this.#fault(`${key} was ${before} and is ${value}`)
          this.#seen.set(key, value)
        }
        at = chunk.nextOffset
      }
      if (at > end && end > start) throw this.#fault(`a chunk reaches to ${at}, beyond the end ${end}`)
    }
  }

  /** A table is whole when it has begun there, so it must never be told too high. */
  #checkLogStart(): void {
    const { id, partitions } = this.#logs.topics.get(TOPIC)!
    for (const [partition, { logStart }] of partitions.entries()) {
      const told = this.#replica.logStart(id, partition)
      if (told > logStart) throw this.#fault(`the log of ${partition} is said to begin at ${told}, not at ${logStart}`)
    }
  }

  async #checkComplete(): Promise<void> {
    for (const { topicId, partition, start, end, relayEnd } of this.#replica.ranges()) {
      const log = this.#log(partition)
      if (topicId !== this.#logs.topics.get(TOPIC)!.id) throw this.#fault('an old topic is held')
      if (end !== log.end || relayEnd !== log.end) throw this.#fault(`held to ${end}, the log ends at ${log.end}`)
      const held = await this.#valuesFrom(topicId, partition, Math.max(start, log.logStart))
      const wanted = new Map<number, string>()
      for (const { bytes } of log.batches) for (const [offset, value] of valuesOf(bytes)) wanted.set(offset, value)
      for (const [offset, value] of wanted) {
        if (offset >= Math.max(start, log.logStart) && held.get(offset) !== value) {
          throw this.#fault(`at ${offset} is ${held.get(offset)}, the log has ${value}`)
        }
      }
      const isUnlimited = Object.keys(this.#policy).length === 0
      if (isUnlimited && start > log.logStart) throw this.#fault(`begins at ${start}, the log at ${log.logStart}`)
    }
  }

  async #valuesFrom(topicId: string, partition: number, from: number): Promise<Map<number, string>> {
    const rows = await new MemoryStore(this.#database).readChunks(topicId, partition, from, Number.POSITIVE_INFINITY)
    return new Map(rows.flatMap(({ bytes }) => valuesOf(bytes)))
  }

  #fault(what: string): Error {
    return new Error(`seed ${this.#seed}, policy ${JSON.stringify(this.#policy)}: ${what}`)
  }

  get frames(): number {
    return this.#session.frames
  }
}

function valuesOf(bytes: Uint8Array): Array<[number, string]> {
  const decoder = new TextDecoder()
  return [...batchesIn(bytes)].flatMap(({ at, end, header }) =>
    [...decodeRecords(header, bytes.subarray(at + 61, end))].map(({ offset, value }): [number, string] => [
      offset,
      decoder.decode(value ?? new Uint8Array()),
    ]),
  )
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 30; turn++) await Promise.resolve()
}

test(`[REP-1] a replica holds what the log has, through ${SEEDS} random histories`, async () => {
  const startedAt = performance.now()
  for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
    const history = new History(seed)
    await history.run()
    tally.frames += history.frames
  }
  const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1)
  console.log(`seeds ${FIRST_SEED} to ${FIRST_SEED + SEEDS - 1} in ${seconds} s: ${JSON.stringify(tally)}`)
  for (const count of Object.values(tally)) expect(count).toBeGreaterThan(0)
}, 120_000)
