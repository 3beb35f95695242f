/**
 * The replica: which topics are kept on this device, and a follower for each of their partitions.
 *
 * Invariants: a topic is known by its id, and data of two ids never mix; a partition that has something to show needs no
 * other partition and no network to show it; readers are told once for each transaction, with whole ranges.
 */
import type { Clock } from '../../protocol/lib/clock.ts'
import { Emitter } from '../../protocol/lib/events.ts'
import type { Advanced, PauseReason, ReplicaPolicy, ReplicaRange, TopicInfo } from '../core.ts'
import { asOttlaError, OttlaError } from '../errors.ts'
import { kafkaFailure } from '../kafka-failure.ts'
import { widened } from '../key-filter.ts'
import { Pauses } from '../pauses.ts'
import type { Session } from '../session.ts'
import { ChunkWriter } from './chunk-writer.ts'
import { Follower } from './follower.ts'
import { type KeptTopic, KeptTopics, nextGeneration, storedTopic } from './kept-topics.ts'
import { makeRoom } from './make-room.ts'
import { Retries } from './retries.ts'
import { SharedWindow } from './shared-window.ts'
import type { ReplicaStore, StoreContents, StoredTopic } from './store.ts'
import { CorruptChunks, StoreError } from './store-error.ts'

export interface ReplicaOptions {
  session: Session
  /** Claimed already. */
  store: ReplicaStore
  contents: Pick<StoreContents, 'topics' | 'positions'>
  clock: Clock
  /** Every failure of the store, and what the relay refuses; undefined when it works again. */
  onTrouble(trouble: OttlaError | StoreError | undefined): void
}

const UPKEEP_EVERY_MS = 60_000
export class Replica {
  readonly #options: ReplicaOptions
  readonly #writer: ChunkWriter
  readonly #advanced = new Emitter<Advanced[]>()
  readonly #topics = new KeptTopics()
  readonly #window = new SharedWindow(() => this.#topics.followers)
  readonly #retries: Retries
  readonly #unlisten: () => void
  /** Followers to be told of, with the offset at which they were cut. */
  #news = new Map<Follower, number | undefined>()
  /** By name: the generation of the next beginning, which may take several attempts. */
  readonly #beginsWith = new Map<string, number>()
  readonly #pauses = new Pauses()
  #isClosed = false

  constructor(options: ReplicaOptions) {
    this.#options = options
    const { session, store, contents, clock } = options
    this.#retries = new Retries(clock)
    this.#writer = new ChunkWriter({
      store,
      makeRoom: (sizeBytes) => makeRoom(this.#topics, store, sizeBytes, false),
      failed: (failure) => this.#storeFailed(failure),
    })
    for (const topic of contents.topics) {
      // A hand-over from an old id to a new one was interrupted: whichever is left finds out again which one exists.
      if (this.#topics.get(topic.name)) this.#writer.run(() => store.dropTopic(topic.topicId))
      else this.#topics.remember(topic)
    }
    for (const position of contents.positions) this.#topics.notePosition(position)
    this.#unlisten = session.onState((state) => this.#connectionChanged(state.phase === 'live'))
    for (const topic of this.#topics.all) if (topic.policy) this.#keep(topic, topic.policy, 0)
    this.#retries.later(UPKEEP_EVERY_MS, () => this.#upkeep())
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
    return this.#topics.follower(topicId, partition)?.position.logStart ?? 0
  }

  takenIn(topicId: string, partition: number, offset: number): void {
    this.#topics.follower(topicId, partition)?.takenIn(offset)
  }

  /** Fetches the partition's log from its start; readers hear of another generation. */
  beginAgain(topicId: string, partition: number): void {
    const follower = this.#topics.follower(topicId, partition)
    follower?.takenIn(0)
    follower?.beginAgain()
  }

  /** From where rows cannot be read, the log is fetched again. */
  dropDamaged({ topicId, partition, intactUpTo }: CorruptChunks): void {
    this.#topics.follower(topicId, partition)?.dropDamaged(intactUpTo)
  }

  /** What is stored stays, and goes first when space is needed. */
  async stopReplicating(name: string): Promise<void> {
    const topic = this.#topics.get(name)
    if (!topic?.policy) return
    this.#topics.release(topic)
    // Others may have waited for it.
    this.#window.review()
    await this.#putTopic({ ...topic, policy: null })
  }

  ranges(name?: string): ReplicaRange[] {
    return this.#topics.ranges(name)
  }

  get topicNames(): string[] {
    return this.#topics.all.filter(({ policy }) => policy !== null).map(({ name }) => name)
  }

  onAdvanced(listener: (advanced: Advanced[]) => void): () => void {
    return this.#advanced.on(listener)
  }

  /** Frees space for the outbox, whose writes exist nowhere else. False when there was nothing to give. */
  makeRoom(sizeBytes: number): Promise<boolean> {
    return new Promise((resolve) => {
      const { store } = this.#options
      const make = async () => resolve(await makeRoom(this.#topics, store, sizeBytes, true).catch(() => false))
      this.#writer.run(make, () => resolve(false))
    })
  }

  /** Is the database still ours, and what is held in it? False when it was cleared under us, and all begins anew. */
  isIntact(): Promise<boolean> {
    return new Promise((resolve) => {
      const look = async () => {
        try {
          await this.#options.store.putTopics([])
          resolve(true)
        } catch (failure) {
          resolve(false)
          throw failure
        }
      }
      this.#writer.run(look, () => resolve(false))
    })
  }

  /**
   * The database was cleared: everything begins anew, under higher generations. `claim` makes the store ours again; no
   * unit of the old life can come after it, for it would be taken for one of the new. What fails may be tried again.
   */
  async beginAnew(claim: () => Promise<void>): Promise<void> {
    for (const topic of this.#topics.all) {
      this.#beginsWith.set(topic.name, Math.max(nextGeneration(topic), this.#beginsWith.get(topic.name) ?? 0))
      for (const follower of topic.followers.values()) follower.close()
      topic.followers.clear()
    }
    this.#topics.forgetAllPositions()
    await this.#asJob(claim)
    await this.#options.store.putTopics(this.#topics.all.map(storedTopic))
    for (const topic of this.#topics.all) {
      if (!topic.policy) continue
      this.#keep(topic, topic.policy, this.#beginsWith.get(topic.name) ?? 1)
      for (const follower of topic.followers.values()) this.#tell(follower, undefined)
    }
  }

  /** Idempotent. Waits for the transaction that is under way. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#unlisten()
    this.#retries.close()
    for (const follower of this.#topics.followers) follower.close()
    this.#advanced.clear()
    await this.#writer.close()
  }

  async #putTopic(topic: StoredTopic): Promise<void> {
    await this.#options.store.putTopics([storedTopic(topic)])
    const kept = this.#topics.remember(topic)
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
    this.#window.review()
  }

  /** Why nothing is fetched. */
  get pausedBy(): PauseReason | null {
    return this.#pauses.by
  }

  pause(reason: PauseReason, isPaused: boolean): void {
    const wasPaused = this.pausedBy !== null
    this.#pauses.set(reason, isPaused)
    if (wasPaused === (this.pausedBy !== null)) return
    for (const follower of this.#topics.followers) {
      if (isPaused) follower.pause()
      else follower.follow()
      this.#tell(follower, undefined)
    }
  }

  #newFollower(topic: StoredTopic, partition: number, policy: ReplicaPolicy, generation: number): Follower {
    const { session, store, clock } = this.#options
    const { name, topicId } = topic
    const position = this.#topics.position(topicId, partition)
    const options = { topic: name, topicId, partition, policy, position, generation }
    return new Follower(options, {
      session,
      store,
      writer: this.#writer,
      nowMs: () => clock.now(),
      windowBytes: (follower) => this.#window.bytesFor(follower),
      tell: (follower, cutAt) => this.#tell(follower, cutAt),
      topicGone: () => this.#topicGone(name),
      refused: (_follower, errorCode) => {
        this.#options.onTrouble(kafkaFailure(errorCode, `following ${name}-${partition}`))
      },
      damaged: (follower, fault) => this.#damaged(follower, fault),
    })
  }

  #connectionChanged(isLive: boolean): void {
    for (const topic of this.#topics.all) {
      for (const follower of topic.followers.values()) {
        if (this.pausedBy === null) follower.follow()
        follower.connectionChanged(isLive)
      }
      if (isLive && [...topic.followers.values()].some(({ phase }) => phase === 'gone')) this.#topicGone(topic.name)
    }
    this.#window.review()
  }

  #tell(follower: Follower, cutAt: number | undefined): void {
    if (this.#news.size === 0) queueMicrotask(() => this.#tellAll())
    const untold = this.#news.get(follower) ?? cutAt
    this.#news.set(follower, cutAt === undefined || untold === undefined ? untold : Math.min(cutAt, untold))
  }

  #tellAll(): void {
    const news = this.#news
    this.#news = new Map()
    if (this.#isClosed) return
    if (this.#retries.worked()) this.#options.onTrouble(undefined)
    this.#window.review()
    const advanced = [...news]
      .filter(([follower]) => this.#topics.isCurrent(follower))
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
        this.#retries.afterFailure(() => this.#retryGone(name))
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
    this.#retries.afterFailure(() => {
      for (const follower of topic.followers.values()) if (follower.phase === 'gone') follower.restart()
    })
  }

  /** Same name, another topic: nothing of the old one is shown as the new one's. */
  async #recreated(topic: KeptTopic, info: TopicInfo): Promise<void> {
    const { store } = this.#options
    const { policy } = topic
    const generation = nextGeneration(topic)
    const fresh = { topicId: info.id, name: info.name, partitionCount: info.partitionCount, policy }
    this.#topics.release(topic)
    try {
      await this.#asJob(async () => {
        await store.putTopics([fresh])
        await store.dropTopic(topic.topicId)
      })
    } catch (failure) {
      // The old followers find out again that their topic is gone.
      this.#retries.afterFailure(() => {
        const now = this.#topics.get(topic.name)
        if (now === topic && policy) this.#keep(topic, policy, generation)
      })
      throw failure
    }
    this.#topics.forgetPositions(topic.topicId)
    const kept = this.#topics.remember(fresh)
    if (!kept.policy) return
    this.#keep(kept, kept.policy, generation)
    for (const follower of kept.followers.values()) this.#tell(follower, undefined)
  }

  #asJob(job: () => Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      const dropped = () => reject(new StoreError('closed', 'the replica is closed'))
      this.#writer.run(() => job().then(resolve, reject), dropped)
    })
  }

  #storeFailed(failure: StoreError): void {
    if (failure.kind === 'closed' && this.#isClosed) return
    this.#options.onTrouble(failure)
    if (failure instanceof CorruptChunks) return this.dropDamaged(failure)
    if (!failure.isFinal) this.#retries.afterFailure(() => this.#restartAll())
  }

  #restartAll(): void {
    for (const follower of this.#topics.followers) follower.restart()
  }

  #damaged(follower: Follower, fault: string): void {
    const message = `a frame of ${follower.topic}-${follower.partition} came damaged (${fault})`
    this.#options.onTrouble(new OttlaError('CORRUPT', { message }))
    this.#retries.afterFailure(() => follower.restart())
  }

  #upkeep(): void {
    for (const topic of this.#topics.all) {
      for (const follower of topic.followers.values()) {
        if (this.pausedBy === null) follower.follow()
        follower.upkeep(true)
      }
      if (topic.policy && this.#options.session.state.phase === 'live') this.#lookForPartitions(topic)
    }
    this.#retries.later(UPKEEP_EVERY_MS, () => this.#upkeep())
  }

  #lookForPartitions(topic: KeptTopic): void {
    this.#options.session.metadata
      .lookUp(topic.name)
      .then((info) => this.learn(info))
      // Asked again in a minute; what matters shows at the subscriptions.
      .catch(() => {})
  }
}
