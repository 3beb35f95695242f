/**
 * One seed: a world is made, lives for a while with trouble, is healed, and is looked at.
 *
 *   plan -> clients work while faults come and go -> heal -> everybody catches up -> fresh readers -> checker
 */
import { check } from '../checker/check.ts'
import type { Operation, TheEnd } from '../checker/history.ts'
import { Browser } from './clients/browser.ts'
import { ConsumerGroup } from './clients/consumer-group.ts'
import { ConsumerMember } from './clients/consumer-member.ts'
import { GroupMember } from './clients/group-member.ts'
import { KafkaAdmin, type TopicPlan } from './clients/kafka-admin.ts'
import { KafkaProducer } from './clients/kafka-producer.ts'
import { KafkaReader } from './clients/kafka-reader.ts'
import { Recorder } from './clients/recorder.ts'
import { TransactionalApp } from './clients/transactional-app.ts'
import { TransactionalProducer } from './clients/transactional-producer.ts'
import { COMPACTED_TOPIC } from './clients/values.ts'
import { FaultPlan } from './faults.ts'
import { RelayHost } from './world/relay-host.ts'
import { World } from './world/world.ts'

const FLEETING_TOPIC = 'fleeting'
/** The first ones. Who cuts a compacted log is refused; of one that is made anew it would not be known which was cut. */
const TRIMMED_TOPICS = 2

export interface SimulationResult {
  seed: number
  /** Of the whole trace: two runs of a seed are equal when these are. */
  hash: string
  /** What must never happen. */
  faults: string[]
  operations: Operation[]
  probes: ReadonlyMap<string, number>
  virtualMs: number
  events: number
  lines: string[]
}

const TROUBLED_MS = 30_000
/** After all is well again. */
const CATCH_UP_MS = 60_000
const AWAKE_MS = 2_000

export async function simulate(seed: number, options: { keepsLines?: boolean } = {}): Promise<SimulationResult> {
  const world = new World({ seed, ...options })
  const simulation = new Simulation(world)
  const onRejection = (reason: unknown) => world.fail(`nobody looked at: ${(reason as Error)?.stack ?? reason}`)
  process.on('unhandledRejection', onRejection)
  process.on('uncaughtException', onRejection)
  try {
    await simulation.run()
  } finally {
    world.network.close()
    process.off('unhandledRejection', onRejection)
    process.off('uncaughtException', onRejection)
  }
  const { trace, probes, scheduler } = world
  const { anomalies } = check(simulation.recorder.operations)
  const faults = [...world.faults, ...anomalies.map(({ kind, text }) => `${kind}: ${text}`)]
  return {
    ...{ seed, hash: trace.hash, faults, operations: simulation.recorder.operations, probes: probes.counts },
    ...{ virtualMs: scheduler.now, events: scheduler.happened, lines: trace.lines },
  }
}

class Simulation {
  readonly recorder: Recorder
  readonly #world: World
  readonly #relay: RelayHost
  readonly #admin: KafkaAdmin
  readonly #producers: KafkaProducer[] = []
  readonly #readers: KafkaReader[] = []
  readonly #browsers: Browser[] = []
  readonly #groups: ConsumerGroup[] = []
  readonly #apps: TransactionalApp[] = []
  readonly #topics: TopicPlan[]
  /** Tombstones go while it lasts. */
  readonly #forgets: boolean
  #isTroubled = true
  #isRecreating = false

  constructor(world: World) {
    this.#world = world
    this.recorder = new Recorder(world)
    const dice = world.dice.fork('plan')
    this.#forgets = world.dice.fork('tombstones').chance(0.4)
    this.#relay = new RelayHost(world, {
      heartbeatMs: dice.pick([1_000, 5_000, 10_000]),
      retentionCheckMs: dice.pick([1_000, 10_000]),
      compactionCheckMs: dice.pick([300, 3_000]),
      shutdownTimeoutMs: 10_000,
      groupInitialRebalanceDelayMs: 200,
    })
    const kept = { 'retention.ms': '-1' }
    const someSegments = { 'segment.bytes': String(dice.whole(1_024, 6_000)) }
    const retained = dice.pick<Record<string, string>>([
      kept,
      { 'retention.bytes': '20000' },
      { 'retention.ms': '15000' },
    ])
    const compacted = { 'cleanup.policy': 'compact', 'min.cleanable.dirty.ratio': dice.pick(['0', '0.3']) }
    this.#topics = [
      { name: 'steady', partitions: dice.whole(1, 3), configs: { ...kept, 'segment.bytes': '20000' } },
      { name: 'rolling', partitions: dice.whole(1, 2), configs: { ...retained, ...someSegments } },
      {
        name: COMPACTED_TOPIC,
        partitions: dice.whole(1, 2),
        configs: { ...kept, ...compacted, ...someSegments, ...(this.#forgets && { 'delete.retention.ms': '10000' }) },
      },
    ]
    if (dice.chance(0.3)) this.#topics.push({ name: FLEETING_TOPIC, partitions: dice.whole(1, 2), configs: kept })
    this.#admin = new KafkaAdmin(this.#client('admin'))
    const names = this.#topics.map(({ name }) => name)
    for (let index = 0; index < dice.whole(1, 3); index++) {
      const isIdempotent = dice.chance(0.7)
      const acks = isIdempotent ? -1 : dice.pick([0, 1, -1] as const)
      this.#producers.push(
        new KafkaProducer({ ...this.#client(`producer${index}`), topic: dice.pick(names), isIdempotent, acks }),
      )
    }
    for (const [index, topic] of names.entries()) {
      const isolation = dice.pick([0, 1] as const)
      this.#readers.push(new KafkaReader({ ...this.#client(`reader${index}`), topic, isolation }))
    }
    if (dice.chance(0.7)) {
      const topic = dice.pick(names)
      // Some of a group may speak the one protocol and some the other; it changes over as they come and go.
      const share = dice.pick([0, 0, 0.5, 1, 1])
      const newMember = (name: string) => {
        const options = { ...this.#client(name), group: 'workers', topic }
        return dice.chance(share) ? new ConsumerMember(options) : new GroupMember(options)
      }
      this.#groups.push(new ConsumerGroup({ world, topic, membersMax: 3, newMember, go: (work) => this.#go(work) }))
    }
    for (let index = 0; index < dice.whole(0, 2); index++) {
      const transactionalId = `money${index}`
      const host = world.host(transactionalId)
      const newInstance = (instance: number) =>
        new TransactionalProducer({
          ...{ world, recorder: this.recorder, name: `${transactionalId}#${instance}`, host, relay: this.#relay.host },
          ...{ transactionalId, topics: names, group: `${transactionalId}-offsets` },
        })
      this.#apps.push(new TransactionalApp({ newInstance, go: (work) => this.#go(work) }))
    }
    for (let index = 0; index < dice.whole(1, 2); index++) {
      const policy = dice.pick([{}, {}, { lastRecords: 20 }, undefined])
      // Producers spread a key over partitions, and a table has one row for it.
      const mayHaveTable = this.#topics.find(({ name }) => name === COMPACTED_TOPIC)!.partitions === 1
      const hasTable = mayHaveTable && world.dice.fork(`table of browser${index}`).chance(0.6)
      this.#browsers.push(
        new Browser({
          world,
          recorder: this.recorder,
          name: `browser${index}`,
          relay: this.#relay.host,
          topics: names,
          policy,
          hasTable,
          // A relay whose clock is set while it runs lets up to twice the time go by.
          tombstonesKeptMs: this.#forgets ? 5_000 : undefined,
          choosesKeys: policy !== undefined && world.dice.fork(`keys of browser${index}`).chance(0.3),
        }),
      )
    }
  }

  async run(): Promise<void> {
    const { scheduler } = this.#world
    this.#relay.start()
    await this.#until('the relay starts', () => this.#relay.isUp, 60_000)
    let isMade = false
    this.#go(async () => {
      for (const topic of this.#topics) await this.#admin.create(topic)
      isMade = true
    })
    await this.#until('the topics are there', () => isMade, 60_000)
    for (const reader of this.#readers) this.#go(() => reader.run())
    for (const browser of this.#browsers) browser.openTab()
    for (const group of this.#groups) group.begin()
    for (const app of this.#apps) app.start()
    const faults = new FaultPlan(this.#world, {
      ...{ relay: this.#relay, browsers: this.#browsers, groups: this.#groups, apps: this.#apps },
      clients: [...this.#producers, ...this.#readers],
    })
    this.#work()
    faults.begin()
    await scheduler.runFor(TROUBLED_MS)
    this.#isTroubled = false
    this.#world.trace.add('world', 'healed')
    faults.heal()
    for (const browser of this.#browsers) if (browser.tabCount === 0) browser.openTab()
    for (const app of this.#apps) app.stop()
    await this.#catchUp()
    await this.#lookAround()
  }

  #client(name: string) {
    return { world: this.#world, recorder: this.recorder, name, host: this.#world.host(name), relay: this.#relay.host }
  }

  #go(work: () => Promise<void>): void {
    work().catch((error) => this.#world.fail(`a client failed: ${error?.stack ?? error}`))
  }

  /** Everybody sends now and then. */
  #work(): void {
    const dice = this.#world.dice.fork('workload')
    const act = () => {
      if (!this.#isTroubled) return
      const browser = dice.pick(this.#browsers)
      if (dice.chance(0.1)) browser.transact()
      else if (dice.chance(0.5)) {
        browser.write()
        browser.put()
      } else {
        const producer = dice.pick(this.#producers)
        if (producer.waiting < 50) this.#go(() => producer.send())
      }
      if (dice.chance(0.02)) {
        const { name, partitions } = dice.pick(this.#topics.slice(0, TRIMMED_TOPICS))
        const partition = dice.below(partitions)
        const share = dice.next()
        this.#go(() => this.#admin.trim(name, partition, share))
      }
      if (dice.chance(0.01)) this.#recreate()
      this.#world.scheduler.after(dice.chance(0.3) ? dice.next() : dice.skewed(50, 2_000), act)
    }
    act()
  }

  /** Deletes the topic that does not last, and makes it anew. */
  #recreate(): void {
    const topic = this.#topics.find(({ name }) => name === FLEETING_TOPIC)
    if (!topic || this.#isRecreating) return
    this.#isRecreating = true
    this.#go(async () => {
      await this.#admin.delete(topic.name)
      await this.#admin.create(topic)
      this.#world.probes.reached('topic made anew')
      this.#isRecreating = false
    })
  }

  async #catchUp(): Promise<void> {
    await this.#until('topics are what they should be', () => !this.#isRecreating, CATCH_UP_MS)
    await this.#until('no tab is frozen', () => this.#browsers.every(({ isAwake }) => isAwake), CATCH_UP_MS)
    // What they were about to do when they froze, and what they have not heard of, is theirs to do and to hear first.
    await this.#world.scheduler.runFor(AWAKE_MS)
    await this.#until('everything sent is acknowledged', () => this.#isDrained(), CATCH_UP_MS)
    for (const { name } of this.#topics) {
      const ends = await this.#ends(name)
      const readers = this.#readers.filter((reader) => reader.topic === name)
      await this.#until(
        `readers of ${name} have everything`,
        () => readers.every((each) => each.hasReached(ends)),
        CATCH_UP_MS,
      )
      await this.#until(
        `replicas of ${name} have everything`,
        () => this.#browsers.every((each) => each.hasReached(name, ends)),
        CATCH_UP_MS,
      )
    }
    for (const group of this.#groups) {
      const ends = await this.#ends(group.topic)
      await this.#until(`a group has worked through ${group.topic}`, () => group.hasDone(ends), CATCH_UP_MS)
    }
    let concluded = 0
    for (const browser of this.#browsers) {
      this.#go(async () => {
        await browser.concludeWrites()
        concluded++
      })
    }
    await this.#until(
      'outboxes tell what became of their writes',
      () => concluded === this.#browsers.length,
      CATCH_UP_MS,
    )
  }

  #isDrained(): boolean {
    return (
      this.#producers.every(({ waiting }) => waiting === 0) &&
      this.#browsers.every((browser) => browser.isDrained) &&
      this.#apps.every(({ isDone }) => isDone)
    )
  }

  async #ends(topic: string): Promise<Map<number, number>> {
    let ends: Map<number, number> | undefined
    this.#go(async () => {
      while (!ends) ends = await this.#admin.ends(topic)
    })
    await this.#until(`${topic} has ends`, () => ends !== undefined, CATCH_UP_MS)
    return ends ?? new Map()
  }

  /** Readers that have seen nothing yet read everything there is. */
  async #lookAround(): Promise<void> {
    for (const reader of this.#readers) reader.stop()
    for (const group of this.#groups) group.end()
    for (const { name } of this.#topics) {
      for (const isolation of [0, 1] as const) {
        const reader = new KafkaReader({ ...this.#client(`last-${name}-${isolation}`), topic: name, isolation })
        this.#go(() => reader.run())
        const ends = await this.#ends(name)
        await this.#until(`a last reader of ${name} has everything`, () => reader.hasReached(ends), CATCH_UP_MS)
        reader.stop()
        // What went by its age while they read was there.
        await this.#ends(name)
      }
    }
    await this.#noteTables()
    if (this.#world.faults.length === 0)
      this.recorder.operations.push({ op: 'end', at: this.recorder.now } satisfies TheEnd)
  }

  async #noteTables(): Promise<void> {
    const ends = await this.#ends(COMPACTED_TOPIC)
    let noted = 0
    for (const browser of this.#browsers) {
      this.#go(async () => {
        await browser.noteRows(ends)
        noted++
      })
    }
    await this.#until('tables are at rest', () => noted === this.#browsers.length, CATCH_UP_MS)
  }

  async #until(what: string, isDone: () => boolean, withinMs: number): Promise<void> {
    const { scheduler } = this.#world
    if (await scheduler.runUntil(isDone, scheduler.now + withinMs)) return
    this.#world.fail(`not within ${withinMs / 1_000} virtual seconds: ${what}`)
  }
}
