/**
 * The replica: which topics are kept on this device, and a follower for each of their partitions.
 *
 * Invariants: a topic is known by its id, and data of two ids never mix; a partition that has something to show needs no
 * other partition and no network to show it; readers are told once for each transaction, with whole ranges.
 */
import type { Clock, Timer } from '../../protocol/lib/clock.ts'
import { Emitter } from '../../protocol/lib/events.ts'
import type { Advanced, PauseReason, ReplicaPolicy, ReplicaRange, TopicInfo } from '../core.ts'
import { asOttlaError, OttlaError } from '../errors.ts'
import { kafkaFailure } from '../kafka-failure.ts'
import { widened } from '../key-filter.ts'
import type { Session } from '../session.ts'
import { ChunkWriter } from './chunk-writer.ts'
import { Follower } from './follower.ts'
import type { ReplicaStore, StoreContents, StoredPosition, StoredTopic } from './store.ts'
import { CorruptChunks, type StoreError } from './store-error.ts'

export interface ReplicaOptions {
  session: Session
  /** Claimed already. */
  store: ReplicaStore
  contents: Pick<StoreContents, 'topics' | 'positions'>
  clock: Clock
  /** Every failure of the store, and what the relay refuses; undefined when it works again. */
  onTrouble(trouble: OttlaError | StoreError | undefined): void
}

/** All that may be on its way to this replica at a time, shared by its partitions. */
const WINDOW_BYTES = 8 * 1024 * 1024
const WINDOW_BYTES_MIN = 64 * 1024
const UPKEEP_EVERY_MS = 60_000
const RETRY_DELAY_MS_MIN = 1_000
const RETRY_DELAY_MS_MAX = 30_000

interface KeptTopic extends StoredTopic {
  followers: Map<number, Follower>
  isLookingUp: boolean
}

export class Replica {
  readonly #options: ReplicaOptions
  readonly #writer: ChunkWriter
  readonly #advanced = new Emitter<Advanced[]>()
  readonly #topics = new Map<string, KeptTopic>()
  readonly #positions = new Map<string, StoredPosition>()
  readonly #unlisten: () => void
  readonly #timers = new Set<Timer>()
  /** Followers to be told of, with the offset at which they were cut. */
  #news = new Map<Follower, number | undefined>()
  /** By name: the generation of the next beginning, which may take several attempts. */
  readonly #beginsWith = new Map<string, number>()
  #failures = 0
  /** The highest priority of what lags behind. */
  #urgent = Number.NEGATIVE_INFINITY
  readonly #pauses = new Set<PauseReason>()
  #isClosed = false

  constructor(options: ReplicaOptions) {
    this.#options = options
    const { session, store, contents } = options
    this.#writer = new ChunkWriter({
      store,
      makeRoom: (sizeBytes) => this.#dropFor(sizeBytes, false),
      failed: (failure) => this.#storeFailed(failure),
    })
    for (const topic of contents.topics) {
      // A hand-over from an old id to a new one was interrupted: whichever is left finds out again which one exists.
      if (this.#topics.has(topic.name)) this.#writer.run(() => store.dropTopic(topic.topicId))
      else this.#remember(topic)
    }
    for (const position of contents.positions) this.#positions.set(positionKey(position), position)
    this.#unlisten = session.onState((state) => this.#connectionChanged(state.phase === 'live'))
    for (const topic of this.#topics.values()) if (topic.policy) this.#keep(topic, topic.policy, 0)
    this.#later(UPKEEP_EVERY_MS, () => this.#upkeep())
  }

  /** From what is stored; undefined when the topic was never heard of. */
  known(name: string): TopicInfo | undefined {
    const topic = this.#topics.get(name)
    return topic && { name, id: topic.topicId, partitionCount: topic.partitionCount }
  }

  /** Keeps what the relay said of a topic, for when it cannot be asked. */
  async learn(info: TopicInfo): Promise<void> {
    const topic = this.#topics.get(info.name)
    if (topic?.topicId === info.id && topic.partitionCount === info.partitionCount) return
    if (topic && topic.topicId !== info.id) return this.#recreated(topic, info)
    const policy = topic?.policy ?? null
    await this.#putTopic({ topicId: info.id, name: info.name, partitionCount: info.partitionCount, policy })
  }

  async replicate(info: TopicInfo, asked: ReplicaPolicy): Promise<ReplicaRange[]> {
    // Refused before anything of it is kept.
    widened(null, asked)
    await this.learn(info)
    const topic = this.#topics.get(info.name)!
    const policy = widened(topic.policy, asked)
    const isWidened = topic.policy?.onlyForTable && !policy.onlyForTable
    if (JSON.stringify(topic.policy) !== JSON.stringify(policy)) await this.#putTopic({ ...topic, policy })
    this.#keep(this.#topics.get(info.name)!, policy, 0)
    // What a table had taken in was dropped, and is wanted now.
    if (isWidened) for (const follower of this.#topics.get(info.name)!.followers.values()) follower.beginAgain()
    return this.ranges(info.name)
  }

  /** For a topic's table: under this policy only if the topic has none, but with its keys. */
  async follow(info: TopicInfo, policy: ReplicaPolicy): Promise<ReplicaRange[]> {
    const { keys: _, prefixes: __, ...former } = this.#topics.get(info.name)?.policy ?? {}
    const { keys, prefixes, ...limits } = policy
    const isKept = this.#topics.get(info.name)?.policy != null
    return this.replicate(info, { ...(isKept ? former : limits), ...(keys && { keys }), ...(prefixes && { prefixes }) })
  }

  /** Where the relay's log begins, as last heard of. */
  logStart(topicId: string, partition: number): number {
    return this.#follower(topicId, partition)?.position.logStart ?? 0
  }

  takenIn(topicId: string, partition: number, offset: number): void {
    this.#follower(topicId, partition)?.takenIn(offset)
  }

  /** Fetches the partition's log from its start; readers hear of another generation. */
  beginAgain(topicId: string, partition: number): void {
    const follower = this.#follower(topicId, partition)
    follower?.takenIn(0)
    follower?.beginAgain()
  }

  /** From where rows cannot be read, the log is fetched again. */
  dropDamaged({ topicId, partition, intactUpTo }: CorruptChunks): void {
    this.#follower(topicId, partition)?.dropDamaged(intactUpTo)
  }

  /** What is stored stays, and goes first when space is needed. */
  async stopReplicating(name: string): Promise<void> {
    const topic = this.#topics.get(name)
    if (!topic?.policy) return
    for (const follower of topic.followers.values()) this.#release(follower)
    topic.followers.clear()
    await this.#putTopic({ ...topic, policy: null })
  }

  ranges(name?: string): ReplicaRange[] {
    const topics = name === undefined ? [...this.#topics.values()] : [this.#topics.get(name)]
    return topics.flatMap((topic) => [...(topic?.followers.values() ?? [])].map(({ range }) => range))
  }

  get topicNames(): string[] {
    return [...this.#topics.values()].filter(({ policy }) => policy !== null).map(({ name }) => name)
  }

  onAdvanced(listener: (advanced: Advanced[]) => void): () => void {
    return this.#advanced.on(listener)
  }

  /** Frees space for the outbox, whose writes exist nowhere else. False when there was nothing to give. */
  makeRoom(sizeBytes: number): Promise<boolean> {
    return new Promise((resolve) => {
      this.#writer.run(async () => resolve(await this.#dropFor(sizeBytes, true).catch(() => false)))
      if (this.#isClosed) resolve(false)
    })
  }

  /** Is the database still ours, and what is held in it? False when it was cleared under us, and all begins anew. */
  isIntact(): Promise<boolean> {
    return new Promise((resolve) => {
      this.#writer.run(async () => {
        try {
          await this.#options.store.putTopics([])
          resolve(true)
        } catch (failure) {
          resolve(false)
          throw failure
        }
      })
      if (this.#isClosed) resolve(false)
    })
  }

  /**
   * The database was cleared: everything begins anew, under higher generations. `claim` makes the store ours again; no
   * unit of the old life can come after it, for it would be taken for one of the new. What fails may be tried again.
   */
  async beginAnew(claim: () => Promise<void>): Promise<void> {
    for (const topic of this.#topics.values()) {
      this.#beginsWith.set(topic.name, Math.max(nextGeneration(topic), this.#beginsWith.get(topic.name) ?? 0))
      for (const follower of topic.followers.values()) follower.close()
      topic.followers.clear()
    }
    this.#positions.clear()
    await this.#asJob(claim)
    await this.#options.store.putTopics([...this.#topics.values()].map(storedTopic))
    for (const topic of this.#topics.values()) {
      if (!topic.policy) continue
      this.#keep(topic, topic.policy, this.#beginsWith.get(topic.name) ?? 1)
      for (const follower of topic.followers.values()) this.#tell(follower, undefined)
    }
  }

  /** Idempotent. Waits for the transaction that is under way. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#unlisten()
    for (const timer of this.#timers) timer.cancel()
    for (const topic of this.#topics.values()) for (const follower of topic.followers.values()) follower.close()
    this.#advanced.clear()
    await this.#writer.close()
  }

  #remember(topic: StoredTopic): KeptTopic {
    const former = this.#topics.get(topic.name)
    const isSame = former?.topicId === topic.topicId
    const kept = {
      ...topic,
      followers: isSame ? former.followers : new Map(),
      isLookingUp: former?.isLookingUp ?? false,
    }
    this.#topics.set(topic.name, kept)
    return kept
  }

  async #putTopic(topic: StoredTopic): Promise<void> {
    await this.#options.store.putTopics([storedTopic(topic)])
    const kept = this.#remember(topic)
    if (kept.policy && kept.followers.size > 0) this.#keep(kept, kept.policy, 0)
  }

  /** A follower for each partition, new ones included. */
  #keep(topic: KeptTopic, policy: ReplicaPolicy, generation: number): void {
    for (let partition = 0; partition < topic.partitionCount; partition++) {
      const follower = topic.followers.get(partition)
      if (follower) follower.setPolicy(policy)
      else topic.followers.set(partition, this.#newFollower(topic, partition, policy, generation))
    }
    if (this.pausedBy === null) for (const follower of topic.followers.values()) follower.follow()
    this.#reviewPriorities()
  }

  /** Why nothing is fetched. */
  get pausedBy(): PauseReason | null {
    return this.#pauses.has('asked') ? 'asked' : this.#pauses.has('metered') ? 'metered' : null
  }

  pause(reason: PauseReason, isPaused: boolean): void {
    const wasPaused = this.pausedBy !== null
    if (isPaused) this.#pauses.add(reason)
    else this.#pauses.delete(reason)
    if (wasPaused === (this.pausedBy !== null)) return
    for (const follower of this.#followers) {
      if (isPaused) follower.pause()
      else follower.follow()
      this.#tell(follower, undefined)
    }
  }

  #newFollower(topic: StoredTopic, partition: number, policy: ReplicaPolicy, generation: number): Follower {
    const { session, store, clock } = this.#options
    const { name, topicId } = topic
    const position = this.#positions.get(positionKey({ topicId, partition })) ?? null
    const options = { topic: name, topicId, partition, policy, position, generation }
    return new Follower(options, {
      session,
      store,
      writer: this.#writer,
      nowMs: () => clock.now(),
      windowBytes: (follower) => this.#windowBytes(follower),
      tell: (follower, cutAt) => this.#tell(follower, cutAt),
      topicGone: () => this.#topicGone(name),
      refused: (_follower, errorCode) => {
        this.#options.onTrouble(kafkaFailure(errorCode, `following ${name}-${partition}`))
      },
      damaged: (follower, fault) => this.#damaged(follower, fault),
    })
  }

  #follower(topicId: string, partition: number): Follower | undefined {
    for (const topic of this.#topics.values()) if (topic.topicId === topicId) return topic.followers.get(partition)
    return undefined
  }

  get #followers(): Follower[] {
    return [...this.#topics.values()].flatMap((topic) => [...topic.followers.values()])
  }

  /** Nothing, as long as something of a higher priority lags behind; else a share of the whole. */
  #windowBytes(follower: Follower): number {
    if (priorityOf(follower) < this.#urgent) return 0
    const sharing = this.#followers.filter((each) => priorityOf(each) >= this.#urgent).length
    return Math.max(WINDOW_BYTES_MIN, Math.floor(WINDOW_BYTES / Math.max(1, sharing)))
  }

  /** Who waited for those of a higher priority goes on when they are up to date. */
  #reviewPriorities(): void {
    const lagging = this.#followers.filter((follower) => follower.isLagging).map(priorityOf)
    const urgent = lagging.length === 0 ? Number.NEGATIVE_INFINITY : Math.max(...lagging)
    if (urgent === this.#urgent) return
    this.#urgent = urgent
    for (const follower of this.#followers) follower.reviewWindow()
  }

  /** Keeps the position of what is stored, for when it is replicated again. */
  #release(follower: Follower): void {
    this.#positions.set(positionKey(follower.position), follower.position)
    follower.close()
  }

  #connectionChanged(isLive: boolean): void {
    for (const topic of this.#topics.values()) {
      for (const follower of topic.followers.values()) {
        if (this.pausedBy === null) follower.follow()
        follower.connectionChanged(isLive)
      }
      if (isLive && [...topic.followers.values()].some(({ phase }) => phase === 'gone')) this.#topicGone(topic.name)
    }
    this.#reviewPriorities()
  }

  #tell(follower: Follower, cutAt: number | undefined): void {
    if (this.#news.size === 0) queueMicrotask(() => this.#tellAll())
    this.#news.set(follower, cutAt ?? this.#news.get(follower))
  }

  #tellAll(): void {
    const news = this.#news
    this.#news = new Map()
    if (this.#isClosed) return
    this.#works()
    this.#reviewPriorities()
    const advanced = [...news]
      .filter(([follower]) => this.#topics.get(follower.topic)?.followers.get(follower.partition) === follower)
      .map(([{ range }, cutAt]) => (cutAt === undefined ? range : { ...range, cutAt }))
    if (advanced.length > 0) this.#advanced.emit(advanced)
  }

  /** The id is unknown at the relay. The name tells whether the topic was deleted or made anew. */
  #topicGone(name: string): void {
    const topic = this.#topics.get(name)
    if (!topic || topic.isLookingUp) return
    topic.isLookingUp = true
    this.#lookUpAgain(topic)
      .catch((failure: unknown) => {
        const error = asOttlaError(failure, 'RELAY')
        if (error.code !== 'DISCONNECTED' && error.code !== 'CLOSED') this.#options.onTrouble(error)
        this.#later(this.#retryDelayMs(), () => this.#retryGone(name))
      })
      .finally(() => {
        const now = this.#topics.get(name)
        if (now) now.isLookingUp = false
      })
  }

  #retryGone(name: string): void {
    const topic = this.#topics.get(name)
    const isGone = [...(topic?.followers.values() ?? [])].some(({ phase }) => phase === 'gone')
    if (isGone && this.#options.session.state.phase === 'live') this.#topicGone(name)
  }

  async #lookUpAgain(topic: KeptTopic): Promise<void> {
    const { metadata } = this.#options.session
    metadata.forget(topic.topicId)
    metadata.forget(topic.name)
    const info = await metadata.lookUp(topic.name)
    if (info.id !== topic.topicId) return this.#recreated(topic, info)
    this.#later(this.#retryDelayMs(), () => {
      for (const follower of topic.followers.values()) if (follower.phase === 'gone') follower.restart()
    })
  }

  /** Same name, another topic: nothing of the old one is shown as the new one's. */
  async #recreated(topic: KeptTopic, info: TopicInfo): Promise<void> {
    const { store } = this.#options
    const { policy } = topic
    const generation = nextGeneration(topic)
    const fresh = { topicId: info.id, name: info.name, partitionCount: info.partitionCount, policy }
    for (const follower of topic.followers.values()) this.#release(follower)
    topic.followers.clear()
    try {
      await this.#asJob(async () => {
        await store.putTopics([fresh])
        await store.dropTopic(topic.topicId)
      })
    } catch (failure) {
      // The old followers find out again that their topic is gone.
      this.#later(this.#retryDelayMs(), () => {
        const now = this.#topics.get(topic.name)
        if (now === topic && policy) this.#keep(topic, policy, generation)
      })
      throw failure
    }
    for (const [key, { topicId }] of this.#positions) if (topicId === topic.topicId) this.#positions.delete(key)
    const kept = this.#remember(fresh)
    if (!kept.policy) return
    this.#keep(kept, kept.policy, generation)
    for (const follower of kept.followers.values()) this.#tell(follower, undefined)
  }

  #asJob(job: () => Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#writer.run(() => job().then(resolve, reject))
    })
  }

  #storeFailed(failure: StoreError): void {
    if (failure.kind === 'closed' && this.#isClosed) return
    this.#options.onTrouble(failure)
    if (failure instanceof CorruptChunks) return this.dropDamaged(failure)
    if (!failure.isFinal) this.#later(this.#retryDelayMs(), () => this.#restartAll())
  }

  #restartAll(): void {
    for (const topic of this.#topics.values()) for (const follower of topic.followers.values()) follower.restart()
  }

  #damaged(follower: Follower, fault: string): void {
    const message = `a frame of ${follower.topic}-${follower.partition} came damaged (${fault})`
    this.#options.onTrouble(new OttlaError('CORRUPT', { message }))
    this.#later(this.#retryDelayMs(), () => follower.restart())
  }

  #works(): void {
    if (this.#failures === 0) return
    this.#failures = 0
    this.#options.onTrouble(undefined)
  }

  #retryDelayMs(): number {
    return Math.min(RETRY_DELAY_MS_MAX, RETRY_DELAY_MS_MIN * 2 ** Math.min(this.#failures++, 6))
  }

  /** Oldest first: topics that are no longer replicated, what policies give up, and in need whatever is largest. */
  async #dropFor(sizeBytes: number, isNeeded: boolean): Promise<boolean> {
    if (await this.#dropStopped()) return true
    const followers = [...this.#topics.values()].flatMap((topic) => [...topic.followers.values()])
    let freed = 0
    for (const follower of followers) freed += await follower.dropOldest(0)
    if (freed >= sizeBytes || !isNeeded) return freed > 0
    const largestFirst = followers.sort((a, b) => b.position.sizeBytes - a.position.sizeBytes)
    for (const follower of largestFirst) {
      if (freed >= sizeBytes) break
      freed += await follower.dropOldest(sizeBytes - freed)
    }
    return freed > 0
  }

  async #dropStopped(): Promise<boolean> {
    const stopped = [...this.#topics.values()].find(
      ({ policy, topicId }) =>
        policy === null && [...this.#positions.values()].some((each) => each.topicId === topicId),
    )
    if (!stopped) return false
    await this.#options.store.dropTopic(stopped.topicId)
    for (const [key, { topicId }] of this.#positions) if (topicId === stopped.topicId) this.#positions.delete(key)
    this.#topics.delete(stopped.name)
    return true
  }

  #upkeep(): void {
    for (const topic of this.#topics.values()) {
      for (const follower of topic.followers.values()) {
        if (this.pausedBy === null) follower.follow()
        follower.upkeep(true)
      }
      if (topic.policy && this.#options.session.state.phase === 'live') this.#lookForPartitions(topic)
    }
    this.#later(UPKEEP_EVERY_MS, () => this.#upkeep())
  }

  #lookForPartitions(topic: KeptTopic): void {
    this.#options.session.metadata
      .lookUp(topic.name)
      .then((info) => this.learn(info))
      // Asked again in a minute; what matters shows at the subscriptions.
      .catch(() => {})
  }

  #later(delayMs: number, run: () => void): void {
    if (this.#isClosed) return
    const timer = this.#options.clock.setTimer(delayMs, () => {
      this.#timers.delete(timer)
      if (!this.#isClosed) run()
    })
    this.#timers.add(timer)
  }
}

const priorityOf = ({ policy }: Follower): number => policy.priority ?? 0

function nextGeneration({ followers }: KeptTopic): number {
  return 1 + Math.max(0, ...[...followers.values()].map(({ position }) => position.generation))
}

function storedTopic({ topicId, name, partitionCount, policy }: StoredTopic): StoredTopic {
  return { topicId, name, partitionCount, policy }
}

const positionKey = ({ topicId, partition }: Pick<StoredPosition, 'topicId' | 'partition'>): string =>
  `${topicId}/${partition}`
