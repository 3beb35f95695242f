/**
 * A Yjs provider whose updates are records of a topic, keyed by document.
 *
 * What is edited goes to the outbox, and from there into the log once there is a relay; what others edit comes from the relay,
 * or from the replica when there is one, so that a document opens offline with everything this device has of it, what waits in
 * the outbox included.
 */
import { Awareness } from 'y-protocols/awareness'
import * as Y from 'yjs'
import { type Clock, sleep, systemClock } from '../../protocol/lib/clock.ts'
import { systemRandom } from '../../protocol/lib/random.ts'
import { randomUuid } from '../../protocol/lib/uuid.ts'
import type { ReplicaPolicy } from '../core.ts'
import { asOttlaError, type OttlaError } from '../errors.ts'
import type { Ottla } from '../ottla.ts'
import { onPageHidden } from '../page-hide.ts'
import { AwarenessChannel } from './awareness-channel.ts'
import { DocumentLog } from './document-log.ts'
import { KeptCopy } from './kept-copy.ts'
import { UpdateWriter } from './update-writer.ts'

export interface ProviderOptions {
  /** Default: `yjs`, which the relay's own door for editors uses too. */
  topic?: string
  /** Default: one of the provider's own. false: none. */
  awareness?: Awareness | false
  /** What is edited within this time is one record. Default 50. */
  batchMs?: number
  /** What the replica keeps of the topic. Default: everything, where the client has a replica. */
  replica?: ReplicaPolicy | boolean
  clock?: Clock
}

export interface ProviderEvents {
  /** Everything that the relay has is in the document; or, false, that is not known any more. */
  sync: boolean
  status: ProviderStatus
  /** Everything that was edited here is on the relay's disk; or it is not yet. */
  saved: boolean
  error: OttlaError
}

export type ProviderStatus = 'connecting' | 'connected' | 'disconnected'

type Listener<T> = (event: T) => void

/** A page with a replica that is about to be online has the newest at once, instead of all of it in turn. */
const ONLINE_SOON_MS = 500
const AGAIN_MS = 1_000
/** What the page before this one said last may be stored when this one has read already what waits. */
const LAST_WORDS_MS = 5_000

export class OttlaProvider {
  readonly doc: Y.Doc
  readonly documentId: string
  readonly awareness: Awareness | undefined
  /** Everything that could be had without the relay is in the document; without a replica, everything. */
  readonly whenLoaded: Promise<void>
  readonly #ottla: Ottla
  readonly #clock: Clock
  readonly #log: DocumentLog
  readonly #writer: UpdateWriter
  readonly #copy: KeptCopy
  /** Windows of one replica share its outbox: they hear of an edit once it is stored there, with no relay in between. */
  readonly #windows: BroadcastChannel | undefined
  readonly #awarenessChannel: AwarenessChannel | undefined
  readonly #ownAwareness: Awareness | undefined
  readonly #listeners = new Map<keyof ProviderEvents, Set<Listener<never>>>()
  readonly #ending = new AbortController()
  readonly #unlisten: Array<() => void>
  /** Was in the document before; the log may lack it. */
  #isPrefilled: boolean
  #isSynced = false
  #wasSaved = true
  #isAsking = false
  #isAskingAgain = false
  #status: ProviderStatus
  readonly #openedAt: number
  #waiting = 0
  #loaded!: () => void

  constructor(ottla: Ottla, documentId: string, doc: Y.Doc, options: ProviderOptions = {}) {
    const { topic: name = 'yjs', batchMs = 50, clock = systemClock, replica } = options
    this.#ottla = ottla
    this.#clock = clock
    this.#openedAt = clock.monotonic()
    this.doc = doc
    this.documentId = documentId
    this.whenLoaded = new Promise((resolve) => {
      this.#loaded = resolve
    })
    const topic = ottla.topic<string, Uint8Array>(name, { replica })
    const session = randomUuid(systemRandom)
    this.#log = new DocumentLog({ ottla, topic, documentId, doc, session, origin: this })
    this.#writer = new UpdateWriter({
      ...{ topic, documentId, session, clock, batchMs },
      onChange: () => this.#tellSaved(),
      onError: (error) => this.#emit('error', error),
      onStored: (update) => this.#windows?.postMessage(update),
    })
    if (this.#hasReplica) {
      this.#windows = new BroadcastChannel(`ottla/document/${ottla.status.replica}/${name}/${documentId}`)
      this.#windows.onmessage = ({ data }: MessageEvent<Uint8Array>) => this.#log.apply([data])
    }
    this.#copy = new KeptCopy({
      ...{ ottla, document: { topic: name, documentId }, doc, log: this.#log, clock },
      mayKeep: () => !this.#isPrefilled && this.saved,
    })
    this.#isPrefilled = Y.encodeStateVector(doc).length > 1
    this.#ownAwareness = options.awareness === undefined ? new Awareness(doc) : undefined
    this.awareness = options.awareness === false ? undefined : (options.awareness ?? this.#ownAwareness)
    const onError = (error: OttlaError) => this.#emit('error', error)
    this.#awarenessChannel =
      this.awareness && new AwarenessChannel({ ottla, topic: name, documentId }, this.awareness, onError)
    this.#status = this.#statusNow()
    const onUpdate = (update: Uint8Array, origin: unknown) => {
      if (origin !== this) this.#writer.add(update)
    }
    const onDestroy = () => void this.destroy()
    doc.on('update', onUpdate)
    doc.on('destroy', onDestroy)
    this.#unlisten = [
      () => doc.off('update', onUpdate),
      () => doc.off('destroy', onDestroy),
      ottla.onStatus(() => this.#statusChanged()),
      onPageHidden(() => {
        this.#writer.flush()
        void topic.flush()
      }),
    ]
    void this.#run()
  }

  /** All that the relay had when the connection began, and what came since, is in the document. */
  get synced(): boolean {
    return this.#isSynced
  }

  get status(): ProviderStatus {
    return this.#status
  }

  get saved(): boolean {
    return this.#writer.isSaved
  }

  on<E extends keyof ProviderEvents>(event: E, listener: Listener<ProviderEvents[E]>): () => void {
    const listeners = this.#listeners.get(event) ?? new Set()
    this.#listeners.set(event, listeners.add(listener as Listener<never>))
    return () => this.off(event, listener)
  }

  off<E extends keyof ProviderEvents>(event: E, listener: Listener<ProviderEvents[E]>): void {
    this.#listeners.get(event)?.delete(listener as Listener<never>)
  }

  /** Hands over what was edited, then lets go of document and client. Idempotent. */
  async destroy(): Promise<void> {
    if (this.#ending.signal.aborted) return
    this.#writer.flush()
    this.#ending.abort()
    for (const unlisten of this.#unlisten) unlisten()
    this.#copy.stop()
    void this.#writer.stored.then(() => this.#windows?.close())
    this.#loaded()
    await this.#awarenessChannel?.close()
    this.#ownAwareness?.destroy()
  }

  get #isLive(): boolean {
    const { state } = this.#ottla.status
    return state === 'live' || state === 'catching-up'
  }

  get #hasReplica(): boolean {
    return this.#ottla.status.replica !== null
  }

  async #run(): Promise<void> {
    const { signal } = this.#ending
    while (!signal.aborted) {
      try {
        await this.#begin()
        await this.#log.read(signal, () => this.#progressed())
      } catch (thrown) {
        if (signal.aborted) return
        this.#emit('error', asOttlaError(thrown, 'PROTOCOL'))
        // Read from the start again: of a topic that was made anew, with all that this page has.
        this.#log.forget()
        this.#isPrefilled = true
        this.#progressed()
        await sleep(this.#clock, AGAIN_MS, signal).catch(() => {})
      }
    }
  }

  async #begin(): Promise<void> {
    const { signal } = this.#ending
    const here = this.#hasReplica ? [...(await this.#copy.open()), ...(await this.#log.pending())] : []
    await this.#untilLive(this.#hasReplica ? ONLINE_SOON_MS : undefined)
    while (!signal.aborted && this.#isLive) {
      if (await this.#ask(here)) return
      if (this.#hasReplica && !this.#isLive) return
      await sleep(this.#clock, AGAIN_MS, signal)
    }
    if (!this.#hasReplica && !signal.aborted) await this.#begin()
  }

  /** Resolves false when it has to be asked again. */
  async #ask(here: readonly Uint8Array[]): Promise<boolean> {
    if (this.#isAsking) return true
    this.#isAsking = true
    try {
      const updates = await this.#log.ask()
      if (this.#isPrefilled) this.#sendMissing([...here, ...updates])
      this.#isPrefilled = false
      this.#progressed()
      return true
    } catch (thrown) {
      const error = asOttlaError(thrown, 'PROTOCOL')
      if (!error.retriable) this.#emit('error', error)
      return false
    } finally {
      this.#isAsking = false
    }
  }

  #sendMissing(updates: Uint8Array[]): void {
    const known = updates.length === 0 ? undefined : Y.encodeStateVectorFromUpdate(Y.mergeUpdates(updates))
    const missing = Y.encodeStateAsUpdate(this.doc, known)
    const { structs, ds } = Y.decodeUpdate(missing)
    if (structs.length > 0 || ds.clients.size > 0) this.#writer.add(missing)
  }

  /** At most so long, and no longer than that can be hoped for. */
  #untilLive(waitMs?: number): Promise<void> {
    return new Promise((resolve) => {
      const { signal } = this.#ending
      const look = () => {
        if (this.#isLive || signal.aborted || (waitMs && this.#statusNow() === 'disconnected')) stop()
      }
      const stop = () => {
        unlisten()
        timer?.cancel()
        signal.removeEventListener('abort', look)
        resolve()
      }
      const timer = waitMs ? this.#clock.setTimer(waitMs, stop) : undefined
      const unlisten = this.#ottla.onStatus(look)
      signal.addEventListener('abort', look)
      look()
    })
  }

  #statusNow(): ProviderStatus {
    if (this.#isLive) return 'connected'
    return this.#ottla.status.state === 'connecting' ? 'connecting' : 'disconnected'
  }

  #statusChanged(): void {
    this.#lookForLastWords()
    const status = this.#statusNow()
    if (status === this.#status) return
    this.#status = status
    this.#emit('status', status)
    if (status !== 'connected') this.#log.doubt()
    this.#progressed()
  }

  #lookForLastWords(): void {
    const waiting = this.#log.topicStatus?.outbox.pendingEntries ?? 0
    const isNew = this.#hasReplica && this.#clock.monotonic() - this.#openedAt < LAST_WORDS_MS
    if (isNew && waiting > this.#waiting) this.#log.pending().catch(() => {})
    this.#waiting = waiting
  }

  async #askAgain(): Promise<void> {
    const { signal } = this.#ending
    this.#isAskingAgain = true
    while (!signal.aborted && this.#isLive && !(await this.#ask([]))) {
      await sleep(this.#clock, AGAIN_MS, signal).catch(() => {})
    }
    this.#isAskingAgain = false
  }

  #progressed(): void {
    // A connection, or a reader, that was not there when the other came.
    if (this.#isLive && this.#log.isReading && !this.#log.isAsked && !this.#isAskingAgain) void this.#askAgain()
    if (this.#log.isAtBarrier || this.#log.hasWhatIsHere) this.#loaded()
    if (this.#hasReplica) this.#copy.look()
    const isSynced = this.#isLive && this.#log.isAtBarrier
    if (isSynced === this.#isSynced) return
    this.#isSynced = isSynced
    this.#emit('sync', isSynced)
  }

  #tellSaved(): void {
    const isSaved = this.#writer.isSaved
    if (isSaved === this.#wasSaved) return
    this.#wasSaved = isSaved
    this.#progressed()
    this.#emit('saved', isSaved)
  }

  #emit<E extends keyof ProviderEvents>(event: E, detail: ProviderEvents[E]): void {
    for (const listener of [...(this.#listeners.get(event) ?? [])]) (listener as Listener<ProviderEvents[E]>)(detail)
  }
}
