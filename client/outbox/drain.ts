/**
 * Brings rows to the relay whenever there is a connection: the loop over topics and lanes.
 *
 *   wake -> look up topics -> assign rows to lanes -> ask what landed -> act on refusals -> seal -> send -> (answers wake)
 *
 * Each look is synchronous and only starts work; whatever finishes, wakes the loop again. Nothing in one lane or topic
 * holds up another.
 */
import { Emitter } from '../../protocol/lib/events.ts'
import type { Settled, TopicInfo } from '../core.ts'
import { asOttlaError, OttlaError } from '../errors.ts'
import type { StoreContents } from '../replica/store.ts'
import { backOff, type DrainContext, setAside } from './context.ts'
import { Lane, laneBatch } from './lane.ts'
import { actOnRefusal, askAndRecover, sealLane, withLane } from './lane-work.ts'
import type { LedgerRow } from './ledger.ts'
import { newProducerId } from './relay-calls.ts'
import { Sender } from './sender.ts'
import { unknownOutcome } from './settlement.ts'
import { TopicQueue } from './topic-queue.ts'
import { TransactionQueue } from './transaction-queue.ts'

export interface DrainParts extends Omit<DrainContext, 'connectionNumber' | 'wake' | 'settled' | 'refuseTransaction'> {
  /** Names the transactional id. */
  replicaId: string
}

/** Turns of the microtask queue in which a stored write's promise has reached the application, or the worker's port. */
const TURNS_UNTIL_TOLD = 16

export class Drain {
  readonly #context: DrainContext
  readonly #sender: Sender
  readonly #transactions: TransactionQueue
  readonly #settled = new Emitter<Settled[]>()
  readonly #topics = new Map<string, TopicQueue>()
  readonly #lanes = new Map<string, Lane>()
  readonly #stopListening: () => void
  #producer: Promise<number> | undefined
  #connectionNumber = 0
  #isLive = false
  #isAwake = false
  #isTelling = false
  #isClosed = false
  #isPaused = false
  #nextSealedKey = 1
  #timer: { at: number; cancel(): void } | undefined

  constructor(parts: DrainParts) {
    this.#context = {
      ...parts,
      connectionNumber: () => this.#connectionNumber,
      wake: () => this.wake(),
      settled: (settled) => this.#settled.emit(settled),
      refuseTransaction: (row, error) => this.#transactions.refuse(row, error),
    }
    this.#transactions = new TransactionQueue({
      context: this.#context,
      replicaId: parts.replicaId,
      remove: (rows) => this.#remove(rows),
      forgetTopic: (name) => this.#forgetTopic(name),
    })
    this.#sender = new Sender(this.#context, (name) => this.#forgetTopic(name))
    this.#stopListening = parts.session.onState((state) => this.#connectionChanged(state.phase === 'live'))
    this.#connectionChanged(parts.session.state.phase === 'live')
  }

  onSettled(listener: (settled: Settled[]) => void): () => void {
    return this.#settled.on(listener)
  }

  get context(): DrainContext {
    return this.#context
  }

  /** What an earlier holder of the store left behind. Every batch of it may have been sent. */
  restore({ sealed, identities }: Pick<StoreContents, 'sealed' | 'identities'>): void {
    for (const identity of identities) this.#laneById(identity.topicId, identity.partition).identity = identity
    for (const batch of [...sealed].sort((a, b) => a.key - b.key)) {
      const rows = batch.rowKeys.map((key) => this.#context.ledger.rows.get(key)).filter((row) => row !== undefined)
      for (const row of rows) row.phase = 'sealed'
      this.#laneFor(batch.topic, batch.topicId, batch.partition).sealed.push(laneBatch(batch, rows, true))
      this.#nextSealedKey = Math.max(this.#nextSealedKey, batch.key + 1)
    }
  }

  /** What `restore` would need to go on in another database. */
  stamps(): Pick<StoreContents, 'sealed' | 'identities'> {
    const lanes = [...this.#lanes.values()]
    return {
      sealed: lanes.flatMap((lane) => lane.sealed.map(({ sealed }) => sealed)),
      identities: lanes.flatMap(({ identity }) => identity ?? []),
    }
  }

  /** A stored row that is to be sent. Rows come in the order of their keys. */
  add(row: LedgerRow): void {
    this.#transactions.restore(row)
    this.#topic(row.topic).unassigned.push(row)
    void this.#wakeWhenTold()
  }

  /** Sealing takes a while, and who waits for `stored` need not wait for that too. */
  async #wakeWhenTold(): Promise<void> {
    if (this.#isTelling) return
    this.#isTelling = true
    for (let turn = 0; turn < TURNS_UNTIL_TOLD; turn++) await null
    this.#isTelling = false
    this.wake()
  }

  /** Takes waiting rows out of every queue; false when one of them is under way. */
  takeBack(rows: readonly LedgerRow[]): boolean {
    if (rows.some(({ phase, isBusy, id }) => phase !== 'waiting' || isBusy || this.#transactions.isUnderWay(id)))
      return false
    this.#remove(rows)
    return true
  }

  #remove(rows: readonly LedgerRow[]): void {
    const taken = new Set(rows)
    for (const topic of this.#topics.values()) topic.unassigned = topic.unassigned.filter((row) => !taken.has(row))
    for (const lane of this.#lanes.values()) {
      if (lane.waiting.some((row) => taken.has(row))) lane.waiting = lane.waiting.filter((row) => !taken.has(row))
    }
  }

  wake(): void {
    if (this.#isAwake || this.#isClosed) return
    this.#isAwake = true
    queueMicrotask(() => {
      this.#isAwake = false
      if (!this.#isClosed && this.#isLive && !this.#isPaused) this.#look()
    })
  }

  pause(isPaused: boolean): void {
    this.#isPaused = isPaused
    this.wake()
  }

  close(): void {
    this.#isClosed = true
    this.#transactions.close()
    this.#stopListening()
    this.#timer?.cancel()
    this.#settled.clear()
  }

  #connectionChanged(isLive: boolean): void {
    if (isLive === this.#isLive) return
    this.#isLive = isLive
    this.#connectionNumber++
    for (const lane of this.#lanes.values()) {
      lane.interrupt()
      lane.retryAt = 0
    }
    for (const topic of this.#topics.values()) {
      topic.info = undefined
      topic.retryAt = 0
    }
    this.#transactions.connectionChanged()
    this.wake()
  }

  #look(): void {
    const now = this.#context.clock.monotonic()
    for (const topic of this.#topics.values()) this.#lookAtTopic(topic, now)
    const ready = [...this.#lanes.values()].filter((lane) => this.#isReady(lane, now))
    for (const lane of ready) lane.endDraining()
    this.#askAbout(ready)
    for (const lane of ready) {
      if (lane.refusedBatch && lane.inFlight === 0 && !lane.isBusy) {
        this.#run(withLane(lane, this.#context, () => actOnRefusal(lane, this.#context, this.#giveUpProducer)))
      } else if (lane.canSeal) {
        this.#run(withLane(lane, this.#context, () => this.#seal(lane)))
      }
    }
    this.#sender.sendFrom(ready)
    this.#transactions.look(ready)
    this.#armTimer(now)
  }

  #isReady(lane: Lane, now: number): boolean {
    return !lane.isEmpty && lane.retryAt <= now && this.#topics.get(lane.topic)?.info?.id === lane.topicId
  }

  #askAbout(ready: readonly Lane[]): void {
    const unknown = ready.filter((lane) => lane.mustAsk)
    for (const lane of unknown) if (lane.sealed.length === 0 && !lane.identity) lane.standing = 'fresh'
    const toAsk = unknown.filter((lane) => lane.standing === 'unknown')
    if (toAsk.length > 0) this.#run(askAndRecover(toAsk, this.#context, this.#giveUpProducer))
  }

  #seal(lane: Lane): Promise<void> {
    const newProducer = () => {
      this.#producer ??= newProducerId(this.#context.session).catch((failure: unknown) => {
        this.#producer = undefined
        throw failure
      })
      return this.#producer
    }
    return sealLane(lane, this.#context, () => this.#nextSealedKey++, newProducer)
  }

  readonly #giveUpProducer = (): void => {
    this.#producer = undefined
  }

  #lookAtTopic(topic: TopicQueue, now: number): void {
    if (topic.isBusy || topic.retryAt > now) return
    if (!topic.info && this.#hasWork(topic)) this.#run(this.#withTopic(topic, () => this.#lookUp(topic)))
    else if (topic.info && topic.unassigned.length > 0) this.#run(this.#withTopic(topic, () => this.#assign(topic)))
  }

  #hasWork(topic: TopicQueue): boolean {
    return (
      topic.unassigned.length > 0 ||
      [...this.#lanes.values()].some((lane) => lane.topic === topic.name && !lane.isEmpty)
    )
  }

  async #withTopic(topic: TopicQueue, work: () => Promise<void>): Promise<void> {
    topic.isBusy = true
    try {
      await work()
    } catch (failure) {
      backOff(topic, this.#context)
      if (!(failure instanceof OttlaError)) this.#context.storeFailed(failure)
    } finally {
      topic.isBusy = false
      this.wake()
    }
  }

  async #assign(topic: TopicQueue): Promise<void> {
    const { id } = topic.info!
    await topic.assignAll(this.#context, (row, partition) => {
      row.goesTo = partition
      this.#laneFor(topic.name, id, partition).waiting.push(row)
    })
  }

  async #lookUp(topic: TopicQueue): Promise<void> {
    const connection = this.#connectionNumber
    let info: TopicInfo
    try {
      info = await this.#context.session.metadata.lookUp(topic.name)
    } catch (failure) {
      const { code } = asOttlaError(failure, 'RELAY')
      if (code === 'UNKNOWN_TOPIC') return await this.#topicMissing(topic, asOttlaError(failure, 'RELAY'))
      if (code === 'NOT_AUTHORIZED') return await this.#setTopicAside(topic, asOttlaError(failure, 'RELAY'))
      throw failure
    }
    if (connection !== this.#connectionNumber) return
    topic.failures = 0
    topic.missingSince = undefined
    // NaN is no partition either.
    const isGone = (lane: Lane) => lane.topicId !== info.id || !(lane.partition < info.partitionCount)
    for (const lane of this.#lanesOf(topic).filter(isGone)) await this.#leaveLane(lane, topic)
    topic.info = info
  }

  /** It may be about to be created: parked only when it stays away while we are connected. */
  async #topicMissing(topic: TopicQueue, error: OttlaError): Promise<void> {
    const now = this.#context.clock.monotonic()
    topic.missingSince ??= now
    this.#context.session.metadata.forget(topic.name)
    if (now - topic.missingSince < this.#context.missingTopicGraceMs) throw error
    await this.#setTopicAside(topic, error)
    topic.missingSince = undefined
  }

  async #setTopicAside(topic: TopicQueue, error: OttlaError): Promise<void> {
    for (const lane of this.#lanesOf(topic)) await this.#leaveLane(lane, topic)
    for (let row = firstOfTransaction(topic); row; row = firstOfTransaction(topic)) {
      await this.#transactions.refuse(row, error.toInfo())
    }
    const rows = topic.unassigned.splice(0)
    for (const row of rows) row.isBusy = true
    try {
      await setAside(this.#context, [{ rows, phase: 'parked', error: error.toInfo() }])
    } catch (failure) {
      topic.unassigned.unshift(...rows)
      throw failure
    } finally {
      for (const row of rows) row.isBusy = false
    }
  }

  /**
   * The topic was deleted, or made anew under another id: what was not sent goes to the new one, the rest is open. Or it never
   * had this partition, whatever the relay once said: a lane for it would wait for ever.
   */
  async #leaveLane(lane: Lane, topic: TopicQueue): Promise<void> {
    if (lane.isBusy || lane.inFlight > 0) throw new OttlaError('TIMEOUT', { message: 'the lane is still at work' })
    const open = lane.sealed.filter(({ mayHaveLanded }) => mayHaveLanded)
    const error = unknownOutcome(lane, 'the topic, or this partition of it, was gone before the relay answered')
    const rowsBack = [
      ...lane.sealed.filter((batch) => !open.includes(batch)).flatMap(({ rows }) => rows),
      ...lane.waiting,
    ]
    lane.isBusy = true
    try {
      await setAside(
        this.#context,
        open.map(({ rows }) => ({ rows, phase: 'unknown', error })),
        { deleteSealed: lane.sealed.map(({ sealed }) => sealed.key), deleteIdentities: [lane] },
      )
    } finally {
      lane.isBusy = false
    }
    this.#lanes.delete(laneKey(lane.topicId, lane.partition))
    for (const row of rowsBack) {
      row.phase = 'waiting'
      row.goesTo = row.partition
    }
    topic.unassigned = [...rowsBack, ...topic.unassigned].sort((a, b) => a.key - b.key)
  }

  #forgetTopic(name: string): void {
    const topic = this.#topic(name)
    this.#context.session.metadata.forget(name)
    if (topic.info) {
      topic.info = undefined
      backOff(topic, this.#context)
    }
  }

  #lanesOf(topic: TopicQueue): Lane[] {
    return [...this.#lanes.values()].filter((lane) => lane.topic === topic.name)
  }

  #topic(name: string): TopicQueue {
    let topic = this.#topics.get(name)
    if (!topic) {
      topic = new TopicQueue(name)
      this.#topics.set(name, topic)
    }
    return topic
  }

  #laneFor(topic: string, topicId: string, partition: number): Lane {
    this.#topic(topic)
    const found = this.#lanes.get(laneKey(topicId, partition))
    if (found && found.topic === topic) return found
    const lane = new Lane(topic, topicId, partition)
    // Restored from its identity alone, a lane has no name yet.
    lane.identity = found?.identity
    this.#lanes.set(laneKey(topicId, partition), lane)
    return lane
  }

  #laneById(topicId: string, partition: number): Lane {
    const found = this.#lanes.get(laneKey(topicId, partition))
    if (found) return found
    const lane = new Lane('', topicId, partition)
    this.#lanes.set(laneKey(topicId, partition), lane)
    return lane
  }

  #armTimer(now: number): void {
    const due = [...this.#topics.values(), ...this.#lanes.values(), this.#transactions]
      .map(({ retryAt }) => retryAt)
      .filter((at) => at > now)
    const at = Math.min(...due)
    if (this.#timer?.at === at) return
    this.#timer?.cancel()
    this.#timer = undefined
    if (at === Number.POSITIVE_INFINITY) return
    const timer = this.#context.clock.setTimer(at - now, () => {
      this.#timer = undefined
      this.wake()
    })
    this.#timer = { at, cancel: () => timer.cancel() }
  }

  #run(work: Promise<void>): void {
    work.catch((failure: unknown) => this.#context.storeFailed(failure))
  }
}

const firstOfTransaction = ({ unassigned }: TopicQueue) => unassigned.find(({ transaction }) => transaction)
const laneKey = (topicId: string, partition: number): string => `${topicId}/${partition}`
