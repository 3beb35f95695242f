/**
 * One Core, offered to many tabs.
 *
 * Invariants: a tab has one line (a second join with its id replaces the first); a tab that ended, however it ended,
 * is dropped (its lock becomes free, or it says 'leave') and has left its channels; the Core's events go out through one bounded feed per tab.
 * Without Web Locks a tab counts as gone when nothing was heard from it for `silenceMsMax`.
 */
import { expose } from 'comlink'
import type { Core } from '../client/core.ts'
import { relayError } from '../client/relay-errors.ts'
import type { SecretChange } from '../client/replica/sealed/encryption.ts'
import { type Clock, sleep, type Timer } from '../protocol/lib/clock.ts'
import { asNote, type HostNote, type LeaderInfo, lockNames, type PageNote } from './contract.ts'
import { EventFeed } from './event-feed.ts'
import { hostCalls } from './host-calls.ts'
import type { Line } from './line.ts'
import { type Locks, untilFree } from './locks.ts'
import { TabChannels } from './tab-channels.ts'

export interface HostOptions {
  core: Core
  leader: LeaderInfo
  /** As whoever opened the Core asked for it: a tab that does otherwise is not taken in. */
  encryption?: unknown
  clock: Clock
  locks: Locks | undefined
  /** Told whenever the number of tabs has changed. */
  onTabs(count: number): void
  /** Told when a tab has changed the secret: all tabs need it, should their leader die. */
  onSecret?(change: SecretChange): void
  /** Default 256. */
  tabsMax?: number
  /** Default 3 minutes: a hidden tab's timers may fire once a minute only. */
  silenceMsMax?: number
}

interface Tab {
  id: string
  line: Line
  feed: EventFeed
  channels: TabChannels
  gone: AbortController
  silence: Timer | undefined
}

/** A tab's lock may be free before what the tab said last has come: Firefox and WebKit bring these by other ways. */
const LAST_WORDS_MS = 500

export class Host {
  readonly leader: LeaderInfo
  readonly #options: HostOptions
  readonly #tabs = new Map<string, Tab>()
  readonly #unsubscribe: ReadonlyArray<() => void>
  #encryption: unknown
  #isClosed = false

  constructor(options: HostOptions) {
    this.#options = options
    this.leader = options.leader
    this.#encryption = options.encryption
    const { core } = options
    this.#unsubscribe = [
      core.onStatus((status) => this.#tell((feed) => feed.offerStatus(status))),
      core.onAdvanced((advanced) => this.#tell((feed) => feed.offerAdvanced(advanced))),
      core.onSettled((settled) => this.#tell((feed) => feed.offerSettled(settled))),
      core.tables.onNews((news) => this.#tell((feed) => feed.offerTables(news))),
    ]
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  isEncryptedAs(encryption: unknown): boolean {
    return shown(this.#encryption) === shown(encryption)
  }

  get tabCount(): number {
    return this.#tabs.size
  }

  /** Serves a tab on this line from now on, beginning with 'hello'. */
  add(tabId: string, line: Line): void {
    const { tabsMax = 256, clock, core } = this.#options
    const refusal = this.#isClosed ? 'this host has stepped down' : undefined
    if (refusal ?? (this.#tabs.size >= tabsMax && !this.#tabs.has(tabId))) {
      const error = relayError('REFUSED', { message: refusal ?? `${tabsMax} tabs are attached already` }).toInfo()
      send(line, { ottla: 'refused', error })
      return
    }
    const former = this.#tabs.get(tabId)
    if (former?.line === line) {
      send(line, { ottla: 'hello', leader: this.leader, status: core.status() })
      return
    }
    if (former) this.#cut(former)
    const feed = new EventFeed({ clock, post: (note) => send(line, note) })
    feed.seed(core.status().topics.flatMap((topic) => topic.replica))
    const channels = new TabChannels(core)
    const tab: Tab = { id: tabId, line, feed, channels, gone: new AbortController(), silence: undefined }
    this.#tabs.set(tabId, tab)
    line.listen((data) => this.#heard(tab, data))
    expose(
      hostCalls(core, {
        channel: (ask) => channels.answer(ask),
        changeSecret: (change) => this.#changeSecret(change),
      }),
      line,
    )
    this.#watch(tab)
    send(line, { ottla: 'hello', leader: this.leader, status: core.status() })
    this.#options.onTabs(this.#tabs.size)
  }

  drop(tabId: string): void {
    const tab = this.#tabs.get(tabId)
    if (!tab) return
    this.#cut(tab)
    tab.channels.leave()
    this.#options.onTabs(this.#tabs.size)
  }

  /** Says 'bye' to every tab and cuts their lines. The Core stays the caller's to close. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    for (const off of this.#unsubscribe) off()
    for (const tab of [...this.#tabs.values()]) {
      send(tab.line, { ottla: 'bye' })
      this.#cut(tab)
    }
  }

  async #changeSecret(change: SecretChange): Promise<void> {
    await this.#options.core.changeSecret(change)
    this.#encryption = { secret: change.to }
    this.#options.onSecret?.(change)
  }

  #tell(offer: (feed: EventFeed) => void): void {
    for (const tab of this.#tabs.values()) offer(tab.feed)
  }

  #heard(tab: Tab, data: unknown): void {
    if (this.#tabs.get(tab.id) !== tab) return
    if (!this.#options.locks) this.#armSilence(tab)
    const note = asNote<PageNote>(data)
    if (note?.ottla === 'ack') tab.feed.acknowledge(note.sequence)
    if (note?.ottla === 'leave') this.drop(tab.id)
  }

  #watch(tab: Tab): void {
    const { locks } = this.#options
    if (!locks) {
      this.#armSilence(tab)
      return
    }
    const { signal } = tab.gone
    untilFree(locks, lockNames.tab(tab.id), signal)
      .then(() => sleep(this.#options.clock, LAST_WORDS_MS, signal))
      .then(
        () => this.#dropIfSame(tab),
        // Rejected only because the tab was cut: nothing is left to do.
        () => {},
      )
  }

  #armSilence(tab: Tab): void {
    tab.silence?.cancel()
    const { clock, silenceMsMax = 180_000 } = this.#options
    tab.silence = clock.setTimer(silenceMsMax, () => this.#dropIfSame(tab))
  }

  #dropIfSame(tab: Tab): void {
    if (this.#tabs.get(tab.id) === tab) this.drop(tab.id)
  }

  #cut(tab: Tab): void {
    this.#tabs.delete(tab.id)
    tab.gone.abort()
    tab.silence?.cancel()
    tab.feed.close()
    tab.line.close()
  }
}

/** A secret may be bytes, of which this shows each. */
const shown = (encryption: unknown) => JSON.stringify(encryption ?? null)

function send(line: Line, note: HostNote): void {
  line.post(note)
}
