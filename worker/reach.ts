/**
 * How a page reaches the host, wherever that lives now: its seat, the election, liveness, calls, and what it carries from
 * one host to the next. Nothing of it is needed for a record that lies in the replica, so it is loaded beside the first
 * reads. Built as bridge.js.
 *
 * Invariant: each host hears of every policy and table of the page, and is asked for the outcome of every write that was
 * stored and not heard of since.
 */
import type { Advanced, Pause, ReplicaPolicy, Settled, Status } from '../client/core.ts'
import { loggedOut } from '../client/core-status.ts'
import { OttlaError } from '../client/errors.ts'
import type { LogoutOptions, LogoutOutcome } from '../client/logout/options.ts'
import type { TableDefinition, TableNews } from '../client/table/seam.ts'
import { systemClock } from '../protocol/lib/clock.ts'
import { systemRandom } from '../protocol/lib/random.ts'
import { Attacher } from './attacher.ts'
import type { Attachment, LivenessTimes } from './attachment.ts'
import type { CoreConfig, EventsNote, HostArgs, HostMethod, HostResult } from './contract.ts'
import { HostCaller } from './host-caller.ts'
import { initialStatus, withoutHost } from './page-status.ts'
import { ReachedTables } from './reached-tables.ts'
import { type SeatPlace, spawnerAt } from './spawn.ts'
import { Unsettled } from './unsettled.ts'

export interface ReachOptions {
  config: CoreConfig
  seat: SeatPlace
  liveness?: LivenessTimes
  page: ReachingPage
}

/** The page that reaches: what it wants of every host, and what it is told. */
export interface ReachingPage {
  readonly policies: ReadonlyMap<string, ReplicaPolicy>
  readonly pauses: ReadonlySet<Pause>
  readonly tables: ReadonlyMap<string, TableDefinition>
  onStatus(status: Status): void
  onAdvanced(advanced: Advanced[]): void
  onSettled(settled: Settled[]): void
  onTables(news: TableNews): void
  /** The user was logged out, in whichever tab: there is nothing to reach any more. */
  onEnded(error: OttlaError): void
}

/** How long a call waits for a host before it rejects TIMEOUT. */
const ATTACH_WAIT_MS_MAX = 15_000
const END_AFTER_MS = 20

export class Reach {
  readonly #page: ReachingPage
  readonly #attacher: Attacher
  readonly #calls: HostCaller
  readonly #unsettled = new Unsettled()
  readonly tables: ReachedTables
  #status: Status

  constructor({ page, seat, ...options }: ReachOptions) {
    this.#page = page
    this.#status = initialStatus(options.config.replica)
    this.#attacher = new Attacher({
      ...options,
      spawner: spawnerAt(seat, options.config.replica),
      clock: systemClock,
      random: systemRandom,
      // Missing outside secure contexts, whatever the types say.
      locks: (navigator as Partial<Navigator>).locks,
      openChannel: (name) => new BroadcastChannel(name),
      onEvents: (note) => this.#heard(note),
    })
    this.#calls = new HostCaller(this.#attacher, ATTACH_WAIT_MS_MAX)
    const isQuiet = () => this.#unsettled.isEmpty
    this.tables = new ReachedTables(this.#calls, { replica: options.config.replica, isQuiet })
    this.#attacher.onAttached.on((attachment) => this.#attached(attachment))
    this.#attacher.onLost.on(() => {
      this.tables.own?.close()
      this.#tellStatus(withoutHost(this.#status))
    })
    this.#attacher.onRefused.on((error) => this.#refused(error))
  }

  get current(): Attachment | undefined {
    return this.#attacher.current
  }

  /** Begins to seek a host, or begins again after `stop`. */
  start(): void {
    this.#attacher.start()
  }

  stop(): void {
    this.#attacher.stop()
    this.tables.own?.close()
  }

  /** For calls that change nothing when they are repeated. */
  call<M extends HostMethod>(method: M, ...args: HostArgs<M>): Promise<HostResult<M>> {
    return this.#calls.repeatedly(method, ...args)
  }

  callOnce<M extends HostMethod>(method: M, ...args: HostArgs<M>): Promise<HostResult<M>> {
    return this.#calls.once(method, ...args)
  }

  /** Of a write, whose outcome is told although the host that knew it died. */
  async store<M extends 'enqueue' | 'enqueueTransaction'>(
    id: string,
    method: M,
    ...args: HostArgs<M>
  ): Promise<HostResult<M>> {
    this.#unsettled.began(id)
    this.tables.own?.wrote()
    try {
      const stored = await this.call(method, ...args)
      this.#unsettled.stored(id)
      return stored
    } catch (error) {
      this.#forget(id)
      throw error
    }
  }

  async withdraw(id: string): Promise<boolean> {
    const isWithdrawn = await this.call('withdraw', id)
    if (isWithdrawn) this.#forget(id)
    return isWithdrawn
  }

  #forget(id: string): void {
    this.#unsettled.forget(id)
    this.tables.own?.wrote()
  }

  /** Asked again of the next host when one died over it: that one has found the logout begun, or begins it. */
  async logout(options?: LogoutOptions): Promise<LogoutOutcome> {
    const before = this.#status.outbox
    try {
      return await this.call('logout', options)
    } catch (error) {
      if (!(error instanceof OttlaError) || error.code !== 'LOGGED_OUT') throw error
      return { unsent: before }
    }
  }

  #attached({ status }: Attachment): void {
    this.#tellStatus(status)
    const ranges = status.topics.flatMap((topic) => topic.replica)
    if (ranges.length > 0) this.#page.onAdvanced(ranges)
    for (const [topic, policy] of this.#page.policies) {
      this.call('replicate', topic, policy).then(
        (now) => this.#page.onAdvanced(now),
        // Says the same as the call that asked first, or the next host is asked.
        () => {},
      )
    }
    // As with policies.
    for (const pause of this.#page.pauses) this.call('pause', pause, true).catch(() => {})
    for (const definition of this.#page.tables.values()) this.#openAgain(definition)
    this.#askOutcomes()
  }

  /** A host that cannot open its database tells no status of its own. */
  #refused(error: OttlaError): void {
    if (error.code === 'LOGGED_OUT') return this.#page.onEnded(error)
    if (error.storage) this.#tellStatus({ ...this.#status, storageError: error.toInfo() })
  }

  /** At a new host, which begins to tell of the table; what happened in between is not known here. */
  #openAgain(definition: TableDefinition): void {
    this.tables.open(definition).then(
      (opened) => this.#page.onTables({ topic: definition.topic, changes: [], isReset: true, ...opened }),
      // As with policies.
      () => {},
    )
  }

  #heard(note: EventsNote): void {
    const end = note.status && loggedOut(note.status)
    // In this turn there may be more to hear: the answer to this page's own logout, what became of its writes.
    if (end) systemClock.setTimer(END_AFTER_MS, () => this.#page.onEnded(OttlaError.fromInfo(end)))
    else if (note.status) this.#tellStatus(note.status)
    if (note.advanced) this.#page.onAdvanced(note.advanced)
    if (note.settled) {
      this.#unsettled.heard(note.settled)
      this.tables.own?.wrote()
      this.#page.onSettled(note.settled)
    }
    if (note.settledMissed) this.#askOutcomes()
    for (const news of note.tables ?? []) {
      this.tables.own?.heard(news)
      this.#page.onTables(news)
    }
  }

  #askOutcomes(): void {
    this.#unsettled
      .ask((ids) => this.call('outcomes', ids))
      .then((news) => {
        if (news.length > 0) this.#page.onSettled(news)
      })
      // Asked again at the next attachment.
      .catch(() => {})
  }

  #tellStatus(status: Status): void {
    this.#status = status
    this.#page.onStatus(status)
  }
}
