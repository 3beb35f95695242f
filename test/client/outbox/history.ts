/**
 * One random history of an outbox: writes, a network that loses and delays, a relay that refuses, a store that is
 * interrupted at every step, clients that die and are replaced, sometimes two of them alive at once. Then everything
 * heals, and the log is compared with what was promised.
 */

import type { Settled } from '../../../client/core.ts'
import { Outbox } from '../../../client/outbox/outbox.ts'
import { ErrorCode } from '../../../protocol/errors.ts'
import { HandClock } from '../../../protocol/lib/clock.ts'
import { type Random, randomBelow, seededRandom } from '../../../protocol/lib/random.ts'
import { encodeBatch } from '../../../protocol/records.ts'
import { ModelSession, RelayModel } from './relay-model.ts'
import { Disk, StepStore } from './store-model.ts'

const TOPIC = 'flights'
const PARTITIONS = 2
const encoder = new TextEncoder()

interface Write {
  id: string
  /** null: chosen by key. */
  partition: number | null
  key: string | null
  values: string[]
  stored: boolean
  /** Asked for again after a crash, so its place in the order is open. */
  wasRepeated: boolean
  isPoison: boolean
  /** Its values go to all partitions, together or not at all. */
  isTransaction: boolean
}

interface Client {
  outbox: Outbox
  session: ModelSession
  store: StepStore
  /** Two of them live for a while: the older no longer gets new writes. */
  isOld: boolean
}

export interface Tally {
  crashes: number
  powerCuts: number
  cuts: number
  refusals: number
  duplicates: number
  takeovers: number
  splits: number
  timeouts: number
  transactions: number
  aborts: number
  expired: number
}

export class History {
  readonly seed: number
  readonly tally: Tally
  readonly trace: string[] = []
  readonly #random: Random
  readonly #clock = new HandClock()
  readonly #relay = new RelayModel()
  readonly #disk = new Disk()
  readonly #writes: Write[] = []
  readonly #settled = new Map<string, Settled>()
  #clients: Client[] = []
  #nextValue = 0
  #isHealthy = false
  #refusalCode = 0

  constructor(seed: number, tally: Tally) {
    this.seed = seed
    this.tally = tally
    this.#random = seededRandom(seed)
    this.#relay.createTopic(TOPIC, PARTITIONS)
    this.#relay.refusal = (_topic, _partition, values) => this.#refuse(values)
  }

  async run(steps: number): Promise<void> {
    await this.#start()
    for (let step = 0; step < steps; step++) await this.#act()
    await this.#heal()
    this.#check()
  }

  #refuse(values: readonly string[]): number {
    if (values.some((value) => value.startsWith('poison'))) {
      this.tally.refusals++
      return ErrorCode.INVALID_RECORD
    }
    if (this.#isHealthy) return 0
    return this.#random.next() < 0.05 ? this.#refusalCode : 0
  }

  async #act(): Promise<void> {
    const { next } = this.#random
    const client = this.#clients[randomBelow(this.#random, this.#clients.length)]
    if (!client) return
    const { session, store } = client
    const dice = next()
    if (dice < 0.13) this.#write()
    else if (dice < 0.16) this.#writeTransaction()
    else if (dice < 0.36) await store.step()
    else if (dice < 0.56) session.deliverRequest()
    else if (dice < 0.74) session.deliverReply()
    else if (dice < 0.8) session.connect()
    else if (dice < 0.82) this.#cut(client)
    else if (dice < 0.84) session.deliverStray()
    else if (dice < 0.85) this.#timeOut(client)
    else if (dice < 0.955) await this.#clock.advanceAsync(next() * 400)
    else if (dice < 0.965) await this.#crash()
    else if (dice < 0.97) await this.#takeOver()
    else if (dice < 0.985) this.#refusalCode = this.#someRefusal()
    else if (dice < 0.99) this.#relay.canDescribe = true
    else if (dice < 0.992) this.#relay.coordinator.expire()
    await settle()
  }

  #someRefusal(): number {
    const codes = [ErrorCode.KAFKA_STORAGE_ERROR, ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.THROTTLING_QUOTA_EXCEEDED]
    return codes[randomBelow(this.#random, codes.length)]!
  }

  #cut(client: Client): void {
    this.tally.cuts++
    client.session.cut()
  }

  #timeOut({ session }: Client): void {
    if (session.repliesWaiting === 0) return
    this.tally.timeouts++
    session.timeOutReply()
  }

  async #start(): Promise<void> {
    const store = new StepStore(this.#disk)
    const token = `token-${this.#clients.length}-${this.#random.next()}`
    const contents = await store.store.claim({ token, newReplicaId: 'replica' })
    this.#disk.noteStrict()
    const session = new ModelSession(this.#relay)
    const outbox = new Outbox({ session, store: store.store, contents, clock: this.#clock, random: this.#random })
    outbox.onSettled((settled) => {
      for (const each of settled) this.#settled.set(each.id, each)
    })
    this.#clients.push({ outbox, session, store, isOld: false })
    await outbox.open()
    for (const write of this.#writes) if (!write.stored) this.#enqueue(write, true)
    this.trace.push('start')
  }

  async #crash(): Promise<void> {
    for (const { session, store, outbox } of this.#clients) {
      store.kill()
      session.cut()
      void outbox.close()
    }
    this.#clients = []
    this.tally.crashes++
    if (this.#random.next() < 0.3) {
      this.tally.powerCuts++
      this.#disk.cutPower()
    }
    this.trace.push('crash')
    await this.#start()
  }

  /** Another context takes the database over while this one is alive and does not know yet. */
  async #takeOver(): Promise<void> {
    if (this.#clients.length > 1) return
    for (const client of this.#clients) client.isOld = true
    this.tally.takeovers++
    this.trace.push('take-over')
    await this.#start()
  }

  #write(): void {
    const { next } = this.#random
    const isPoison = next() < 0.03
    const count = next() < 0.3 ? 1 + randomBelow(this.#random, 4) : 1
    const isExplicit = next() < 0.5
    const isMixed = !isExplicit && count > 1 && next() < 0.5
    const write: Write = {
      id: `write-${this.#writes.length}`,
      partition: isExplicit ? randomBelow(this.#random, PARTITIONS) : null,
      key: isExplicit || isMixed ? null : `key-${randomBelow(this.#random, 4)}`,
      values: Array.from({ length: count }, () => `${isPoison ? 'poison' : 'value'}-${this.#nextValue++}`),
      stored: false,
      wasRepeated: false,
      isPoison,
      isTransaction: false,
    }
    if (isMixed) this.tally.splits++
    this.#writes.push(write)
    this.#enqueue(write, false, isMixed)
  }

  #writeTransaction(): void {
    const isPoison = this.#random.next() < 0.1
    const count = PARTITIONS + randomBelow(this.#random, 3)
    const write: Write = {
      id: `transaction-${this.#writes.length}`,
      partition: null,
      key: null,
      values: Array.from({ length: count }, () => `value-${this.#nextValue++}`),
      stored: false,
      wasRepeated: false,
      isPoison,
      isTransaction: true,
    }
    // Only the last of them is refused: the others must not stay behind.
    if (isPoison) write.values[count - 1] = `poison-${this.#nextValue++}`
    this.#writes.push(write)
    this.#enqueue(write, false)
  }

  /** A batch for each partition, and one of mixed keys for what is left. */
  #enqueueTransaction({ id, values }: Write, client: Client): Promise<unknown> {
    const record = (value: string, key: string | null) => ({
      ...{ key: key === null ? null : encoder.encode(key), value: encoder.encode(value), timestamp: 1_000 },
    })
    const writes = Array.from({ length: PARTITIONS }, (_, partition) => ({
      ...{
        topic: TOPIC,
        partition: partition as number | null,
        batch: encodeBatch([record(values[partition]!, null)]),
      },
    }))
    const rest = values.slice(PARTITIONS)
    const mixed = rest.map((value, index) => record(value, `mixed-${index}`))
    if (rest.length > 0) writes.push({ topic: TOPIC, partition: null, batch: encodeBatch(mixed) })
    return client.outbox.enqueueTransaction({ id, writes, expiresAtMs: null })
  }

  #enqueue(write: Write, isRepeat: boolean, isMixed = false): void {
    const client = this.#clients.find(({ isOld }) => !isOld)!
    write.wasRepeated ||= isRepeat
    const onStored = () => {
      write.stored = true
    }
    if (write.isTransaction) return void this.#enqueueTransaction(write, client).then(onStored, () => {})
    const records = write.values.map((value, index) => ({
      key: isMixed ? encoder.encode(`mixed-${index}`) : write.key === null ? null : encoder.encode(write.key),
      value: encoder.encode(value),
      timestamp: 1_000,
    }))
    const batch = encodeBatch(records)
    client.outbox.enqueue({ id: write.id, topic: TOPIC, partition: write.partition, batch }).then(onStored, () => {})
  }

  async #heal(): Promise<void> {
    this.#isHealthy = true
    this.#clients = this.#clients.filter(({ isOld }) => !isOld)
    const client = this.#clients[0]!
    for (let round = 0; round < 400; round++) {
      client.session.connect()
      while (client.store.unitsWaiting > 0) {
        await client.store.step()
        await settle()
      }
      client.session.deliverRequest()
      client.session.deliverReply()
      await this.#clock.advanceAsync(100)
      if (client.outbox.depth().pendingEntries === 0 && client.store.unitsWaiting === 0) return
    }
    throw new Error(`seed ${this.seed}: not drained: ${JSON.stringify(client.outbox.list())}`)
  }

  #check(): void {
    const logs = this.#relay.values(TOPIC)
    const countOf = new Map<string, number>()
    for (const value of logs.flat()) countOf.set(value, (countOf.get(value) ?? 0) + 1)
    const entries = new Map(this.#clients[0]!.outbox.list().map((entry) => [entry.id, entry]))
    for (const write of this.#writes) {
      for (const value of write.values) this.#checkValue(write, countOf.get(value) ?? 0, entries.get(write.id)?.state)
      const settled = this.#settled.get(write.id)
      if (settled?.outcome === 'committed') this.#checkOffsets(write, settled, logs)
      const present = write.values.filter((value) => countOf.has(value)).length
      if (write.isTransaction && present !== 0 && present !== write.values.length) {
        throw this.#fault(`of ${write.id} ${present} of ${write.values.length} values are in the log`)
      }
    }
    this.#checkOrder(logs)
    this.tally.duplicates += this.#relay.duplicates
    const { commits, aborts, timeouts } = this.#relay.coordinator
    this.tally.transactions += commits
    this.tally.aborts += aborts
    this.tally.expired += timeouts
  }

  #checkValue(write: Write, count: number, state: string | undefined): void {
    if (count > 1) throw this.#fault(`${write.id} is in the log ${count} times`)
    if (write.isPoison) {
      if (count !== 0) throw this.#fault(`${write.id} was refused and is in the log`)
      if (write.stored && state !== 'parked') throw this.#fault(`${write.id} was refused and is ${state}, not parked`)
      return
    }
    if (write.stored && count === 0) throw this.#fault(`${write.id} was stored and is not in the log (${state})`)
    if (count > 0 && state !== undefined) throw this.#fault(`${write.id} is in the log and in the outbox (${state})`)
  }

  #checkOffsets(write: Write, settled: Extract<Settled, { outcome: 'committed' }>, logs: string[][]): void {
    write.values.forEach((value, index) => {
      const offset = settled.offsets[index]!
      const found = offset === -1 ? logs[settled.partitions[index]!]!.includes(value) : true
      const isThere = offset === -1 ? found : logs[settled.partitions[index]!]![offset] === value
      if (!isThere) throw this.#fault(`${write.id} was reported at ${offset}, where there is something else`)
    })
  }

  #checkOrder(logs: string[][]): void {
    const numberOf = new Map<string, number>()
    this.#writes.forEach((write, index) => {
      if (!write.wasRepeated) for (const value of write.values) numberOf.set(value, index)
    })
    for (const log of logs) {
      const numbers = log.map((value) => numberOf.get(value)).filter((number) => number !== undefined)
      numbers.forEach((number, index) => {
        if (index > 0 && number < numbers[index - 1]!) throw this.#fault(`order broken: ${log.join(' ')}`)
      })
    }
  }

  #fault(what: string): Error {
    const left =
      this.#clients[0]?.outbox.list().map(({ id, state, error }) => `${id} ${state}: ${error?.message}`) ?? []
    return new Error(`seed ${this.seed}: ${what}\n${[...this.trace.slice(-20), ...left].join('\n')}`)
  }
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 40; turn++) await Promise.resolve()
}
