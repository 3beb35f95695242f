/**
 * A browser profile with an application in it: Ottla's own client over a database that outlives its tabs. Tabs write,
 * read, are closed, killed and opened again; two at once take the database from each other.
 */

import type { ReplicaPolicy } from '../../../client/core.ts'
import { OttlaError } from '../../../client/errors.ts'
import { openSession, type ReplicaIdentity } from '../../../client/live-session.ts'
import type { LocalCore } from '../../../client/local-core-options.ts'
import { openLocalCore } from '../../../client/open-local-core.ts'
import { Ottla } from '../../../client/ottla.ts'
import { lanesBeside, type SessionOpener } from '../../../client/own-connection.ts'
import type { Receipt } from '../../../client/producer/receipt.ts'
import type { Gap } from '../../../client/record.ts'
import { string } from '../../../client/serde.ts'
import { openWallet } from '../../../client/sign-in/wallet.ts'
import type { Table } from '../../../client/table/table.ts'
import type { Topic } from '../../../client/topic.ts'
import type { StoredTransaction } from '../../../client/transactions/store-transaction.ts'
import { webSocketTransport } from '../../../client/transport/websocket.ts'
import { standardCodecs } from '../../../protocol/codecs/standard.ts'
import type { RecordHeader } from '../../../protocol/records.ts'
import type { Read, Rows, Send, Transaction } from '../../checker/history.ts'
import { DeviceStorage } from '../world/device-storage.ts'
import type { Dice } from '../world/dice.ts'
import type { Host } from '../world/network.ts'
import type { Process } from '../world/process.ts'
import { webSocketClass } from '../world/web-socket.ts'
import type { World } from '../world/world.ts'
import type { Recorder } from './recorder.ts'
import { ALL_KEYS, COMPACTED_TOPIC, NAME_HEADER, tombstonesAmong } from './values.ts'

export interface BrowserOptions {
  world: World
  recorder: Recorder
  name: string
  relay: Host
  topics: readonly string[]
  /** undefined: no replica of the topic, read live. */
  policy: ReplicaPolicy | undefined
  /** The compacted topic is a table here. */
  hasTable: boolean
  tombstonesKeptMs: number | undefined
  /** Each tab keeps some of the keys. */
  choosesKeys: boolean
}

interface Tab {
  process: Process
  core: LocalCore | undefined
  ottla: Ottla | undefined
  topics: Map<string, Topic<string, string>>
  table: Table<string, string> | undefined
  /** Undefined: none but what is wanted. */
  chosen: Chosen | undefined
}

/** What a tab asks for, and which of the keys that there are those are. */
interface Chosen {
  policy: Pick<ReplicaPolicy, 'keys' | 'prefixes'>
  keys: string[]
}

const CHOICES: ReadonlyArray<Chosen | undefined> = [
  undefined,
  { policy: { keys: ['key-0'] }, keys: ['key-0'] },
  { policy: { keys: ['key-1', 'key-3'] }, keys: ['key-1', 'key-3'] },
  { policy: { keys: ['key-0'], prefixes: ['key-4'] }, keys: ['key-0', 'key-4'] },
  { policy: { prefixes: ['key-'] }, keys: ALL_KEYS },
]

const RELAY_URL = 'ws://relay/'

export class Browser {
  readonly host: Host
  readonly storage: DeviceStorage
  readonly name: string
  readonly #options: BrowserOptions
  /** With the ids of their outbox entries, which are final once stored. */
  readonly #sends: Array<{ send: Send; ids: () => string[]; transaction?: Transaction }> = []
  #tabs: Tab[] = []
  #made = 0
  #tabsMade = 0
  readonly #deletions: Dice

  constructor(options: BrowserOptions) {
    const { world, name } = options
    this.#options = options
    this.name = name
    this.host = world.host(name)
    this.#deletions = world.dice.fork(`deletions of ${name}`)
    this.storage = new DeviceStorage(`${name} db`, world.dice.fork(`storage of ${name}`), world.trace, world.probes)
  }

  get tabCount(): number {
    return this.#tabs.length
  }

  /** The tab that has the database, when it has opened it. */
  get core(): LocalCore | undefined {
    return this.#tabs.at(-1)?.core
  }

  get isAwake(): boolean {
    return this.#tabs.every(({ process }) => !process.isFrozen)
  }

  get isDrained(): boolean {
    return this.core !== undefined && this.core.status().outbox.pendingEntries === 0
  }

  /** The replica holds everything below these ends, and says so. True for what it does not keep. */
  hasReached(topic: string, ends: ReadonlyMap<number, number>): boolean {
    return !this.#options.policy || this.#holds(topic, ends)
  }

  #holds(topic: string, ends: ReadonlyMap<number, number>): boolean {
    const ranges = this.core?.status().topics.find(({ name }) => name === topic)?.replica ?? []
    return [...ends].every(([partition, end]) => {
      const range = ranges.find((each) => each.partition === partition)
      return range?.upToDate && range.end >= end
    })
  }

  openTab(): void {
    const { world } = this.#options
    const process = world.process(`${this.name}.${++this.#tabsMade}`, this.host)
    const chosen = this.#options.choosesKeys ? world.dice.fork(`keys of ${process.name}`).pick(CHOICES) : undefined
    const tab: Tab = { process, core: undefined, ottla: undefined, topics: new Map(), table: undefined, chosen }
    if (chosen) world.probes.reached('some keys kept')
    this.#tabs.push(tab)
    world.trace.add(process.name, 'opens')
    this.#open(tab).catch((error) => {
      world.trace.add(process.name, `cannot open: ${error}`)
      if (!(error instanceof OttlaError)) world.fail(`a tab did not open: ${error?.stack ?? error}`)
      this.#forget(tab)
    })
  }

  /** As a crash of the renderer, or a swipe on a phone. */
  killTab(): void {
    const tab = this.#tabs.shift()
    if (!tab) return
    this.#options.world.probes.reached('tab killed')
    this.#options.world.trace.add(tab.process.name, 'killed')
    tab.process.kill()
  }

  async closeTab(): Promise<void> {
    const tab = this.#tabs.shift()
    if (!tab?.ottla) return this.#options.world.trace.add(this.name, 'nothing to close')
    this.#options.world.probes.reached('tab closed')
    await tab.ottla.close()
    tab.process.kill()
  }

  freezeTab(ms: number): void {
    this.#tabs.at(-1)?.process.freeze(ms)
  }

  cutPower(): void {
    while (this.#tabs.length > 0) this.killTab()
    this.storage.cutPower()
  }

  /** One application's write: one record or several. */
  write(): void {
    const tab = this.#tabs.at(-1)
    if (!tab?.ottla) return
    const { dice } = tab.process
    const name = dice.pick(this.#options.topics)
    const topic = this.#topic(tab, name)
    const key = name !== COMPACTED_TOPIC && dice.chance(0.3) ? null : `key-${dice.below(5)}`
    const count = dice.chance(0.8) ? 1 : dice.whole(2, 5)
    const values = Array.from({ length: count }, () => `${this.name}.${this.#made++}`)
    const tombstones = tombstonesAmong(name, values, this.#deletions)
    const send = this.#options.recorder.open<Send>({
      ...{ op: 'send', process: tab.process.name, producer: `${this.name}/${name}`, topic: name, partition: null },
      ...{ values, acks: -1, outcome: 'unknown' },
      keys: values.map(() => key ?? ''),
      tombstones,
      // Where a record without a key goes is chosen again after a crash, so it may fall behind those that came after it.
      ...(key === null && { unordered: true }),
    })
    try {
      const receipts = topic.sendAll(
        values.map((value) => {
          const sizeBytes = dice.skewed(1, 3_000)
          if (tombstones.includes(value)) return { key, value: null, headers: { [NAME_HEADER]: value } }
          return { key, value: padded(value, sizeBytes) }
        }),
      )
      if (tombstones.length > 0) this.#options.world.probes.reached('row deleted')
      this.#sends.push({ send, ids: () => receipts.map(({ id }) => id) })
      this.#follow(tab, send, receipts)
    } catch (error) {
      this.#options.world.trace.add(tab.process.name, `send: ${error}`)
      this.#options.recorder.close(send, { outcome: 'failed' })
    }
  }

  /** One row of the table. */
  put(): void {
    const tab = this.#tabs.at(-1)
    if (!tab?.table) return
    const { dice, name } = tab.process
    const [key, value] = [dice.pick(tab.chosen?.keys ?? ALL_KEYS.slice(0, 5)), `${this.name}.${this.#made++}`]
    const send = this.#options.recorder.open<Send>({
      ...{ op: 'send', process: name, producer: `${this.name}/rows`, topic: COMPACTED_TOPIC, partition: null },
      ...{ values: [value], keys: [key], acks: -1, outcome: 'unknown' },
    })
    const receipt = tab.table.put(key, padded(value, dice.skewed(1, 3_000)))
    this.#sends.push({ send, ids: () => [receipt.id] })
    this.#follow(tab, send, [receipt])
  }

  /**
   * Writes down what the table holds once it has come to these ends, with nothing waiting over it. To be up to date is not
   * enough: a connection that is dead without a word is noticed after two heartbeats.
   */
  async noteRows(ends: ReadonlyMap<number, number>): Promise<void> {
    if (!this.#options.hasTable) return
    for (;;) {
      const tab = this.#tabs.at(-1)
      const isThere = tab?.table?.state.isUpToDate && this.#holds(COMPACTED_TOPIC, ends)
      const entries = isThere ? await tab!.table!.range() : undefined
      if (entries?.every(({ state }) => state === 'committed')) {
        this.#options.world.probes.reached('table at rest')
        return this.#options.recorder.note<Rows>({
          ...{ op: 'rows', process: tab!.process.name, topic: COMPACTED_TOPIC },
          ...(tab!.chosen && { keys: tab!.chosen.keys }),
          rows: entries.map(({ key, value, partition, offset }) => [key, unpadded(value), partition!, offset!]),
        })
      }
      await new Promise<void>((resolve) => this.#options.world.scheduler.after(500, resolve))
    }
  }

  async #openTable(tab: Tab): Promise<void> {
    const { world, tombstonesKeptMs } = this.#options
    const { process } = tab
    const policy = this.#policyOf(tab)
    while (process.isAlive && !tab.table) {
      try {
        tab.table = await tab.ottla!.table(COMPACTED_TOPIC, {
          ...{ key: string, value: string, log: policy ?? false },
          ...(tombstonesKeptMs !== undefined && { tombstonesKeptMs }),
        })
        world.trace.add(process.name, 'has its table')
      } catch (error) {
        world.trace.add(process.name, `table: ${error}`)
        if (!(error instanceof OttlaError)) return world.fail(`a table failed: ${(error as Error)?.stack ?? error}`)
        if (error.code === 'CLOSED') return
        await process.sleep(process.dice.skewed(50, 2_000))
      }
    }
  }

  /** Records in several topics that are to land together. */
  transact(): void {
    const tab = this.#tabs.at(-1)
    if (!tab?.ottla) return
    const { world, recorder, topics } = this.#options
    const { process } = tab
    const { dice, name } = process
    const transaction = recorder.open<Transaction>({
      ...{ op: 'transaction', process: name, producer: this.name, transaction: `${name}/t${this.#made}` },
      outcome: 'unknown',
    })
    const sends = Array.from({ length: dice.whole(2, 5) }, () => {
      const [topic, value] = [dice.pick(topics), `${this.name}.${this.#made++}`]
      return recorder.open<Send>({
        ...{ op: 'send', process: name, producer: `${this.name}/${topic}`, topic, partition: null, values: [value] },
        ...{ keys: [`key-${dice.below(5)}`], acks: -1, outcome: 'unknown', transaction: transaction.transaction },
        // Other writes may be stored while it is being put together.
        ...{ unordered: true, hasAttempts: true },
      })
    })
    const sizes = sends.map(() => dice.skewed(1, 2_000))
    const filled = tab.ottla.transaction((gathering) => {
      for (const [index, { topic, keys, values }] of sends.entries()) {
        gathering.send(this.#topic(tab, topic), { key: keys![0]!, value: padded(values[0]!, sizes[index]!) })
      }
    })
    this.#followTransaction(tab, transaction, sends, filled).catch((error: OttlaError) => {
      world.trace.add(name, `${transaction.transaction}: ${error}`)
      world.probes.reached(`transaction of a browser: ${error.code}`)
      const isRefused = error.code === 'REJECTED'
      recorder.close(transaction, { outcome: isRefused ? 'aborted' : 'unknown' })
      for (const send of sends) recorder.close(send, { outcome: isRefused ? 'failed' : 'unknown' })
    })
  }

  async #followTransaction(tab: Tab, transaction: Transaction, sends: Send[], filled: Promise<StoredTransaction>) {
    const { recorder, world } = this.#options
    const stored = await filled
    for (const send of sends) {
      send.isStored = true
      this.#sends.push({ send, ids: () => [stored.id], transaction })
    }
    world.trace.add(tab.process.name, `stored ${transaction.transaction}`)
    const places = await stored.committed
    world.probes.reached('transaction of a browser committed')
    recorder.close(transaction, { outcome: 'committed' })
    for (const [index, send] of sends.entries()) recorder.close(send, { outcome: 'ok', places: [places[index]!] })
  }

  /** What became of every write that was stored, as the outbox tells at the end. */
  async concludeWrites(): Promise<void> {
    const { core } = this
    if (!core) return
    const stored = this.#sends.filter(({ send }) => send.isStored)
    const ids = [...new Set(stored.flatMap((each) => each.ids()))]
    const outcomes = new Map((await core.outcomes(ids)).map((settled) => [settled.id, settled.outcome]))
    const entries = new Map((await core.outbox.list()).map((entry) => [entry.id, entry.state]))
    for (const { send, ids, transaction } of stored) {
      const id = ids()[0]!
      const state = entries.get(id)
      if (state === 'parked' || state === 'unknown') send.end = state
      else if (state) send.end = 'pending'
      else if (outcomes.get(id) === 'committed') send.end = 'committed'
      else if (outcomes.get(id)) send.end = outcomes.get(id) as 'unknown'
      if (transaction?.outcome === 'unknown') transaction.outcome = OUTCOME_OF_END[send.end ?? 'unknown'] ?? 'unknown'
    }
  }

  async #open(tab: Tab): Promise<void> {
    const { world, relay } = this.#options
    const { process } = tab
    const { clock, dice: random } = process
    const Socket = webSocketClass(
      (handlers) => world.network.connect(process, this.host, relay, 'websocket', handlers),
      random,
    )
    const heartbeatMs = random.pick([1_000, 3_000, 10_000])
    const transport = webSocketTransport(Socket)
    const opener = (identity: ReplicaIdentity) =>
      openSession({ url: RELAY_URL, transport, clock, random, identity, heartbeatMs, clientId: process.name })
    const open: SessionOpener = Object.assign(opener, { wallet: openWallet() })
    const core = await openLocalCore({
      ...{ replica: this.name, clock, random, openSession: open },
      store: this.storage.store(process),
      tableStore: this.storage.tables.store(process, this.storage),
    })
    tab.core = core
    const codecs = standardCodecs()
    const openLanes = async () => lanesBeside(core, open, clock, random)
    tab.ottla = new Ottla({ core, clock, random, codecs, hasReplica: true, openLanes })
    core.onStatus((status) => {
      world.trace.add(process.name, `status ${status.state} outbox ${status.outbox.pendingEntries}`)
      if (status.state === 'closed') this.#forget(tab)
    })
    for (const name of this.#options.topics) void this.#read(tab, name)
    if (this.#options.hasTable) void this.#openTable(tab)
  }

  #forget(tab: Tab): void {
    if (!this.#tabs.includes(tab)) return
    this.#options.world.probes.reached('tab lost its database')
    this.#tabs = this.#tabs.filter((other) => other !== tab)
    // It lives on, without a database, until it is closed.
    tab.process.after(1_000, () => tab.process.kill())
  }

  #topic(tab: Tab, name: string): Topic<string, string> {
    let topic = tab.topics.get(name)
    if (!topic) {
      topic = tab.ottla!.topic(name, { key: string, value: string, replica: this.#policyOf(tab) ?? false })
      tab.topics.set(name, topic)
    }
    return topic
  }

  #policyOf({ chosen }: Tab): ReplicaPolicy | undefined {
    const { policy } = this.#options
    return policy && { ...policy, ...chosen?.policy }
  }

  #follow(tab: Tab, send: Send, receipts: Receipt[]): void {
    const { recorder, world } = this.#options
    const stored = Promise.all(receipts.map((receipt) => receipt.stored))
    stored.then(
      () => {
        send.isStored = true
        world.trace.add(tab.process.name, `stored ${send.values[0]}`)
      },
      () => {},
    )
    void Promise.allSettled(receipts.map(({ committed }) => committed)).then((results) => {
      const failure = results.find((result) => result.status === 'rejected')
      if (!failure) {
        const places = results.map(
          (result) => (result as PromiseFulfilledResult<{ partition: number; offset: number }>).value,
        )
        return recorder.close(send, { outcome: 'ok', places })
      }
      world.trace.add(tab.process.name, `${send.values[0]}: ${failure.reason}`)
      world.probes.reached(`receipt: ${failure.reason.code}`)
      // Records of one call may end differently.
      const isRefused = results.every((result) => result.status === 'rejected' && isRefusal(result.reason))
      recorder.close(send, { outcome: isRefused ? 'failed' : 'unknown' })
    })
  }

  async #read(tab: Tab, name: string): Promise<void> {
    const { world, recorder, policy } = this.#options
    const { process } = tab
    for (let pass = 1; process.isAlive; pass++) {
      const reader = `${process.name}/${name}/${pass}`
      const positions = new Map<number, number>()
      const isolation = process.dice.chance(0.5) ? 'committed' : 'uncommitted'
      try {
        const from = process.dice.chance(0.8) ? 'beginning' : 'end'
        const records = this.#topic(tab, name).read({ from, isolation })
        for await (const batch of records.batches()) {
          const { partition, gap } = batch[0]!
          if (gap) world.probes.reached(`reader's gap: ${gap.reason}`)
          const known = positions.get(partition)
          const jump = this.#jumpOf(gap) ?? (known === undefined ? 'start' : undefined)
          const topicId = policy && this.core?.status().topics.find((topic) => topic.name === name)?.replica[0]?.topicId
          recorder.note<Read>({
            ...{ op: 'read', process: process.name, reader, isolation: isolation === 'committed' ? 1 : 0 },
            ...{ topic: name, partition, from: gap?.to ?? known ?? batch[0]!.offset, next: batch.at(-1)!.offset + 1 },
            ...{
              records: batch.map(({ offset, value, headers }): [number, string] => [
                offset,
                unpadded(value ?? nameIn(headers)),
              ]),
            },
            ...(topicId && { topicId }),
            ...(jump && { jump }),
            ...(policy && tab.chosen && { keys: tab.chosen.keys }),
          })
          positions.set(partition, batch.at(-1)!.offset + 1)
        }
        return
      } catch (error) {
        world.trace.add(process.name, `reader of ${name}: ${error}`)
        if (!(error instanceof OttlaError)) return world.fail(`a reader failed: ${(error as Error)?.stack ?? error}`)
        world.probes.reached(`reader ended: ${error.code}`)
        if (error.code === 'CLOSED') return
        await process.sleep(process.dice.skewed(50, 2_000))
      }
    }
  }

  /** A replica gives up its oldest records by its policy, or for want of space. */
  #jumpOf(gap: Gap | undefined): Read['jump'] {
    if (!gap) return undefined
    if (gap.reason === 'truncated') return 'truncated'
    return this.#options.policy && (this.storage.wasFull || 'lastRecords' in this.#options.policy)
      ? 'seek'
      : 'log-start'
  }
}

const REFUSALS = ['REJECTED', 'ABORTED', 'OUTBOX_FULL', 'QUOTA_EXCEEDED', 'STORAGE_FAILED', 'DISCARDED']

/** What an outbox says at the end about writes whose tab did not live to hear of them. */
const OUTCOME_OF_END: Partial<Record<NonNullable<Send['end']>, Transaction['outcome']>> = {
  committed: 'committed',
  parked: 'aborted',
}

function isRefusal(reason: unknown): boolean {
  return reason instanceof OttlaError && REFUSALS.includes(reason.code)
}

function nameIn(headers: readonly RecordHeader[]): string {
  const name = headers.find(({ key }) => key === NAME_HEADER)?.value
  return name ? string.decode(name) : ''
}

const FILLER = '~'
const padded = (value: string, sizeBytes: number): string => value.padEnd(sizeBytes, FILLER)

function unpadded(value: string): string {
  const end = value.indexOf(FILLER)
  return end < 0 ? value : value.slice(0, end)
}
