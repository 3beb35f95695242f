/**
 * A client that uses everything it has, again and again: writes, reads live and from its replica, administers. It is
 * opened anew on the same store when a relay has told it to stay away.
 */
// What a client loads on demand is there at once, or how long that takes would decide what comes first.
import '../../client/admin/requests.ts'
import '../../client/consumer/last-records.ts'
import '../../client/consumer/list-offset.ts'
import '../../client/consumer/live-source.ts'
import '../../client/producer/enqueue-entry.ts'
import '../../client/relay-apis.ts'
import '../../protocol/codecs/lz4.ts'
import '../../protocol/codecs/snappy.ts'
import '../../protocol/codecs/zstd.ts'
import { OttlaError } from '../../client/errors.ts'
import { openLocalCore } from '../../client/open-local-core.ts'
import { Ottla } from '../../client/ottla.ts'
import { lanesBeside, type SessionOpener } from '../../client/own-connection.ts'
import { type MemoryDatabase, MemoryStore } from '../../client/replica/memory-store.ts'
import { string } from '../../client/serde.ts'
import { standardCodecs } from '../../protocol/codecs/standard.ts'
import { type Clock, sleep } from '../../protocol/lib/clock.ts'
import type { Draw } from './draw.ts'

export const TOPICS = ['a', 'b', 'c'] as const
/** How long a reader reads, a write waits, a round lasts. */
const READ_MS = 50
const WRITE_MS = 30
const ADMIN_MS = 200
const ROUND_TURNS = 200
/**
 * Longer than anything takes that ends by itself, by both clocks: the hand-moved one runs through a minute in no time, while
 * gzip is inflated by threads that a busy machine lets wait.
 */
const HANGS_MS = 60_000
const HANGS_FOR_REAL_MS = 30_000
const RECORDS_MAX = 10

export interface VictimOptions {
  open: SessionOpener
  database: MemoryDatabase
  clock: Clock
  draw: Draw
  onFault: (error: unknown) => void
}

export async function openClient({ open, database, clock, draw: { random } }: VictimOptions): Promise<Ottla> {
  const store = new MemoryStore(database)
  const core = await openLocalCore({ replica: 'fuzz', clock, random, openSession: open, store })
  return new Ottla({
    ...{ core, clock, random },
    codecs: standardCodecs(),
    hasReplica: true,
    openLanes: async () => lanesBeside(core, open, clock, random),
  })
}

export class Victim {
  readonly counts = { opened: 0, committed: 0, read: 0, errors: 0 }
  readonly #options: VictimOptions
  readonly #clock: Clock
  #ottla: Ottla | undefined

  constructor(options: VictimOptions) {
    this.#options = options
    this.#clock = options.clock
  }

  async run(isEnough: () => boolean): Promise<void> {
    while (!isEnough()) {
      this.#ottla ??= await this.#opened()
      await this.#round(this.#ottla, isEnough)
      if (this.#ottla.status.connection.phase === 'closed') await this.end()
    }
  }

  async end(): Promise<void> {
    const ottla = this.#ottla
    this.#ottla = undefined
    await ottla?.close()
  }

  #opened(): Promise<Ottla> {
    this.counts.opened++
    return openClient(this.#options)
  }

  async #round(ottla: Ottla, isEnough: () => boolean): Promise<void> {
    let isOver = false
    const acts = [() => this.#write(ottla), () => this.#read(ottla, false), () => this.#read(ottla, true)]
    const loops = [...acts, () => this.#administer(ottla)].map(async (act) => {
      while (!isOver) await this.#tolerant(act)
    })
    for (let turn = 0; turn < ROUND_TURNS && !isEnough(); turn++) {
      await sleep(this.#clock, 5)
      const { phase } = ottla.status.connection
      if (phase === 'closed') break
      if (phase === 'needs-auth') await ottla.reauthenticate()
      else ottla.wake()
    }
    isOver = true
    await Promise.all(loops)
  }

  /** An OttlaError is an answer. Anything else is a fault of the client. */
  async #tolerant(act: () => Promise<void>): Promise<void> {
    const watch = this.#watch(act)
    try {
      await act()
    } catch (error) {
      this.counts.errors++
      if (!(error instanceof OttlaError)) this.#options.onFault(error)
    } finally {
      watch.end()
    }
    await sleep(this.#clock, 1)
  }

  /** Says so when it hangs. */
  #watch(act: () => Promise<void>): { end(): void } {
    const begunAt = performance.now()
    const look = () => {
      if (performance.now() - begunAt < HANGS_FOR_REAL_MS) timer = this.#clock.setTimer(HANGS_MS, look)
      else this.#options.onFault(new Error(`has not ended for ${HANGS_FOR_REAL_MS} ms: ${act}`))
    }
    let timer = this.#clock.setTimer(HANGS_MS, look)
    return { end: () => timer.cancel() }
  }

  async #write(ottla: Ottla): Promise<void> {
    const topic = ottla.topic(this.#topic(), { value: string })
    const values = ['v'.repeat(this.#options.draw.below(200)), null, 'w']
    const receipts = topic.sendAll(values.map((value, index) => ({ key: `k${index}`, value })))
    const all = Promise.all(receipts.map(({ committed }) => committed))
    all.then(
      () => {
        this.counts.committed++
      },
      () => {},
    )
    await Promise.race([all, sleep(this.#clock, WRITE_MS)])
    for (const { id, state } of await ottla.outbox.list()) {
      if (state === 'parked' || state === 'unknown') await ottla.outbox.discard(id)
    }
  }

  async #read(ottla: Ottla, replica: boolean): Promise<void> {
    const abort = new AbortController()
    const timer = this.#clock.setTimer(READ_MS, () => abort.abort())
    try {
      const reader = ottla
        .topic(this.#topic(), { value: string, replica })
        .read({ from: 'beginning', signal: abort.signal })
      let left = RECORDS_MAX
      for await (const _ of reader) {
        this.counts.read++
        if (--left === 0) break
      }
    } finally {
      timer.cancel()
    }
  }

  async #administer({ admin }: Ottla): Promise<void> {
    const topic = this.#topic()
    const partition = 0
    // A relay may ask for patience (throttle time), and a call then takes all of its time.
    const within = { timeoutMs: ADMIN_MS }
    await admin.listTopics(within)
    await admin.describeTopics([topic], within)
    await admin.describeCluster(within)
    await admin.listOffsets([{ topic, partition, spec: 'latest' }], within)
    await admin.describeConfigs([{ topic }], within)
    await admin.describeProducers([{ topic, partition }], within)
    await admin.createTopics([{ name: 'made', partitions: 1 }], { ...within, ifNotExists: true })
    await admin.deleteTopics(['made'], within)
  }

  #topic(): string {
    return this.#options.draw.from(TOPICS)
  }
}
