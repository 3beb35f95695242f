/**
 * The tail's one connection at a time, and the loop that keeps it.
 *
 *     open -> ApiVersions, Hello, Metadata -> Subscribe -> Deliver... -> closed -> back-off -> open
 *
 * The relay answers in order, so the correlation ids are fixed (tail-wire.ts). Bytes that make no sense close the
 * connection with 4400; nothing that a relay sends is thrown anywhere else.
 */
import { Reader } from '../../protocol/bytes/reader.ts'
import type { Clock, Timer } from '../../protocol/lib/clock.ts'
import type { Random } from '../../protocol/lib/random.ts'
import type { RawRecord } from '../../protocol/records.ts'
import type { Gap } from '../record.ts'
import type { CloseReason, Transport, TransportConnection } from '../transport/transport.ts'
import type { WakeUps } from '../wake-ups.ts'
import { TailError } from './tail-error.ts'
import { type TailFrame, TailPartition } from './tail-partition.ts'
import { lastEpochOf, recordsOf } from './tail-records.ts'
import { firstOffset, lastCount, type TailPosition } from './tail-start.ts'
import * as wire from './tail-wire.ts'

export interface TailEnvironment {
  clock: Clock
  random: Random
  transport: Transport
  wakeUps: WakeUps
}

export type TailState = 'connecting' | 'live' | 'offline' | 'closed'

export interface TailSettings {
  from?: TailPosition
  partitions?: readonly number[]
  bufferBytesMax?: number
  signal?: AbortSignal
  onState?: (state: TailState) => void
}

export type TailRecord = RawRecord & { partition: number; gap?: Gap }

// Kafka's error codes, before the class so that bundlers fold them.
const OFFSET_OUT_OF_RANGE = 1
const UNKNOWN_TOPIC = 3
const FENCED_LEADER_EPOCH = 74
const UNKNOWN_TOPIC_ID = 100

const CONNECT_MS_MAX = 15_000
const HEARTBEAT_MS = 10_000
const PROBE_MS = 4_000
const STABLE_MS = 10_000
const DELAY_MS_FIRST = 500
const DELAY_MS_MAX = 20_000
/** Over credit, a relay may send one frame more; this much is no oversight. */
const OVERSHOOT_BYTES_MAX = 16 * 1024 * 1024

export class TailConnection {
  readonly #url: string
  readonly #topic: string
  readonly #settings: TailSettings
  readonly #env: TailEnvironment
  readonly #replicaId: Uint8Array
  readonly #unlisten: () => void
  readonly #partitions = new Map<number, TailPartition>()
  #frames: TailFrame[] = []
  #topicId: Uint8Array | undefined
  #socket: TransportConnection | undefined
  /** After connecting, so much silence is death. */
  #silentMsMax = 0
  #heardMs = 0
  /** For whatever the phase waits for: connection, silence, the next attempt. */
  #timer: Timer | undefined
  #generation = 0
  /** Connections that failed since one that held. */
  #failures = 0
  /** 0: not live. */
  #liveAtMs = 0
  #isOver = false
  #failure: TailError | undefined
  #wake: () => void = () => {}

  constructor(url: string, topic: string, settings: TailSettings, env: TailEnvironment) {
    this.#url = url
    this.#topic = topic
    this.#settings = settings
    this.#env = env
    this.#replicaId = env.random.bytes(16)
    this.#unlisten = env.wakeUps.listen(() => this.#retryNow())
    const { signal } = settings
    const onAbort = () => this.#end(new TailError('ABORTED', 'aborted', { cause: signal?.reason }))
    signal?.addEventListener('abort', onAbort, { once: true })
    if (signal?.aborted) onAbort()
    else this.#connect()
  }

  close(): void {
    this.#end(undefined)
  }

  async *records(): AsyncGenerator<TailRecord> {
    const count = lastCount(this.#settings.from ?? 'end')
    let gathered: TailRecord[] | undefined = count > 0 ? [] : undefined
    for (;;) {
      if (this.#failure) throw this.#failure
      if (this.#isOver) return
      const frame = this.#frames.shift()
      if (frame) {
        const records = await this.#decode(frame)
        if (gathered) gathered.push(...records)
        else yield* records
        this.#release(frame)
      }
      if (gathered && this.#hasGathered()) {
        yield* gathered.sort((a, b) => a.timestamp - b.timestamp).slice(-count)
        gathered = undefined
      } else if (!frame) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
      }
    }
  }

  async #decode({ records, fromOffset, aborted, gap, partition: place }: TailFrame): Promise<TailRecord[]> {
    const { partition, untold } = place
    try {
      const decoded = (await recordsOf(records, fromOffset, aborted)).map(
        (record): TailRecord => ({ partition, ...record }),
      )
      const told = gap && untold ? { ...gap, from: untold.from } : (gap ?? untold)
      place.untold = decoded[0] ? undefined : told
      if (told && decoded[0]) decoded[0].gap = told
      return decoded
    } catch (error) {
      throw error instanceof TailError ? error : new TailError('CORRUPT', `${error}`)
    }
  }

  #hasGathered(): boolean {
    if (this.#partitions.size === 0 || this.#frames.length > 0) return false
    return [...this.#partitions.values()].every(({ gatherUntil, offset }) => gatherUntil >= 0 && offset >= gatherUntil)
  }

  #release({ partition, records }: TailFrame): void {
    partition.heldBytes -= records.length
    partition.ungranted += records.length
    this.#grant(partition)
  }

  /** While a Subscribe is under way credit waits for its answer; the Subscribe itself named what it could. */
  #grant(partition: TailPartition): void {
    if (!partition.isActive || !partition.ungranted) return
    this.#socket?.send(wire.grantRequest(this.#topicId!, partition.partition, partition.ungranted))
    partition.ungranted = 0
  }

  #connect(): void {
    this.#timer?.cancel()
    this.#tell('connecting')
    try {
      const socket = this.#env.transport.open(this.#url, {
        onOpen: () => this.#greet(),
        onMessage: (message) => this.#receive(message),
        onClose: (reason) => this.#closed(reason),
      })
      this.#socket = socket
      this.#setTimer(CONNECT_MS_MAX, () => socket.close(4408, 'silence'))
    } catch (error) {
      this.#end(new TailError('INVALID_ARGUMENT', `${error}`))
    }
  }

  #greet(): void {
    this.#generation = Math.max(this.#generation + 1, this.#env.clock.now())
    this.#socket?.send(wire.apiVersionsRequest())
    this.#socket?.send(wire.helloRequest(this.#replicaId, this.#generation, HEARTBEAT_MS))
    this.#socket?.send(wire.metadataRequest(this.#topic))
  }

  #retryNow(): void {
    if (!this.#socket) this.#connect()
    else if (this.#liveAtMs) this.#probe()
  }

  #closed({ code, reason, by }: CloseReason): void {
    this.#socket = undefined
    this.#timer?.cancel()
    for (const partition of this.#partitions.values()) partition.isActive = false
    if (this.#isOver) return
    const final = by === 'relay' && finalClose(code)
    if (final) return this.#end(new TailError(final, `closed with ${code} ${reason}`))
    this.#tell('offline')
    this.#setTimer(this.#nextDelayMs(), () => this.#connect())
  }

  /** Full jitter, as in backoff.ts. */
  #nextDelayMs(): number {
    const { clock, random } = this.#env
    if (this.#liveAtMs && clock.monotonic() - this.#liveAtMs > STABLE_MS) this.#failures = 0
    this.#liveAtMs = 0
    return random.next() * Math.min(DELAY_MS_MAX, DELAY_MS_FIRST * 2 ** this.#failures++)
  }

  #receive(message: Uint8Array): void {
    this.#heardMs = this.#env.clock.monotonic()
    try {
      const reader = new Reader(message)
      const id = reader.int32()
      if (id < 0) return this.#pushed(reader.int32() >>> 16, reader)
      if (id === wire.VERSIONS) return
      wire.skipTags(reader)
      if (id === wire.HELLO) this.#welcomed(wire.readHello(reader))
      else if (id === wire.METADATA) this.#found(wire.readMetadata(reader))
      else if (id === wire.SUBSCRIBE) for (const answer of wire.readSubscribed(reader)) this.#answered(answer)
    } catch (error) {
      this.#socket?.close(4400, `${error}`)
    }
  }

  #pushed(key: number, reader: Reader): void {
    if (key === wire.DELIVER) this.#delivered(wire.readDeliver(reader))
    if (key === wire.SUBSCRIPTION_ENDED) this.#answered(wire.readEnded(reader))
  }

  #welcomed({ errorCode, heartbeatMs }: ReturnType<typeof wire.readHello>): void {
    if (errorCode) return this.#refused(errorCode, 'Hello')
    this.#silentMsMax = 2.5 * Math.min(Math.max(heartbeatMs, 1_000), 120_000)
  }

  /** Before death is declared the relay is asked: this device may have slept, with frames waiting unread. */
  #watch(): void {
    const { clock } = this.#env
    const delayMs = this.#heardMs + this.#silentMsMax - PROBE_MS - clock.monotonic()
    this.#setTimer(delayMs, () =>
      clock.monotonic() - this.#heardMs < this.#silentMsMax - PROBE_MS ? this.#watch() : this.#probe(),
    )
  }

  #probe(): void {
    const { clock } = this.#env
    const askedMs = clock.monotonic()
    this.#socket?.send(wire.pingRequest(clock.now()))
    this.#setTimer(PROBE_MS, () => (this.#heardMs >= askedMs ? this.#watch() : this.#socket?.close(4408, 'silence')))
  }

  #setTimer(delayMs: number, fire: () => void): void {
    this.#timer?.cancel()
    this.#timer = this.#env.clock.setTimer(delayMs, fire)
  }

  #found(topic: wire.FoundTopic | undefined): void {
    if (!topic || topic.errorCode) return this.#refused(topic?.errorCode ?? UNKNOWN_TOPIC, `topic ${this.#topic}`)
    const { from = 'end', partitions = topic.partitions, bufferBytesMax = 1024 * 1024 } = this.#settings
    if (this.#topicId && `${this.#topicId}` !== `${topic.topicId}`) return this.#refused(UNKNOWN_TOPIC_ID, this.#topic)
    this.#topicId = topic.topicId.slice()
    for (const partition of partitions) {
      if (this.#partitions.has(partition)) continue
      this.#partitions.set(partition, new TailPartition(partition, firstOffset(from), bufferBytesMax))
    }
    this.#liveAtMs = this.#heardMs || 1
    this.#watch()
    this.#tell('live')
    this.#subscribe([...this.#partitions.values()])
  }

  #subscribe(partitions: TailPartition[]): void {
    if (!this.#socket || partitions.length === 0) return
    this.#socket.send(
      wire.subscribeRequest(
        this.#topicId!,
        partitions.map((each) => each.wanted()),
      ),
    )
  }

  #answered(answer: wire.PartitionAnswer): void {
    const partition = this.#partitions.get(answer.partition)
    if (!partition) return
    if (answer.errorCode === 0) return this.#started(partition, answer)
    partition.isActive = false
    if (answer.errorCode === OFFSET_OUT_OF_RANGE) {
      // Beyond the end rather than before the start: go on where the log ends now.
      const isAhead = answer.logStart <= partition.offset
      partition.moveTo(isAhead ? -1 : answer.logStart, isAhead ? 'truncated' : 'deleted')
    } else if (answer.errorCode === FENCED_LEADER_EPOCH) this.#truncate(partition, answer.truncateTo)
    else return this.#refusedPartition(partition, answer.errorCode)
    this.#subscribe([partition])
  }

  #started(partition: TailPartition, { startOffset, end, logStart }: wire.PartitionAnswer): void {
    const count = lastCount(this.#settings.from ?? 'end')
    if (count > 0 && partition.gatherUntil < 0) {
      partition.gatherUntil = end
      partition.offset = Math.max(logStart, end - count)
      if (partition.offset < end) return this.#subscribe([partition])
    }
    partition.isActive = true
    if (partition.gap && partition.gap.to < 0) partition.gap.to = startOffset
    if (partition.offset < 0) partition.offset = startOffset
    this.#grant(partition)
    this.#wake()
  }

  #truncate(partition: TailPartition, truncateTo: number): void {
    if (truncateTo < 0 || truncateTo >= partition.offset) {
      partition.leaderEpoch = -1
      return
    }
    const lost = this.#frames.filter((frame) => frame.partition === partition)
    this.#frames = this.#frames.filter((frame) => frame.partition !== partition)
    for (const { records } of lost) partition.heldBytes -= records.length
    // Frames not yet given are read again from the first of them.
    partition.moveTo(Math.min(truncateTo, lost[0]?.fromOffset ?? truncateTo), 'truncated')
  }

  #delivered({ partition: index, nextOffset, records, aborted }: wire.Delivered): void {
    const partition = this.#partitions.get(index)
    if (!partition?.isActive || nextOffset <= partition.offset) return
    partition.leaderEpoch = lastEpochOf(records)
    this.#frames.push({ partition, records, aborted, fromOffset: partition.offset, gap: partition.gap })
    partition.gap = undefined
    partition.offset = nextOffset
    partition.heldBytes += records.length
    if (partition.heldBytes > OVERSHOOT_BYTES_MAX) throw new RangeError('over credit')
    this.#wake()
  }

  /** Only time is needed for some; the others end the tail. */
  #refusedPartition(partition: TailPartition, kafkaCode: number): void {
    if (kafkaCode in FATAL) return this.#refused(kafkaCode, `${this.#topic}-${partition.partition}`)
    const again = () => {
      if (!partition.isActive && this.#topicId) this.#subscribe([partition])
    }
    this.#env.clock.setTimer(this.#env.random.next() * 10_000, again)
  }

  #refused(kafkaCode: number, what: string): void {
    const code = FATAL[kafkaCode] ?? 'RELAY'
    this.#end(new TailError(code, `${what}: error ${kafkaCode}`, { kafkaCode }))
  }

  #end(failure: TailError | undefined): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#failure = failure
    this.#unlisten()
    this.#timer?.cancel()
    this.#socket?.close(1000, 'closed')
    this.#tell('closed')
    this.#wake()
  }

  #tell(state: TailState): void {
    this.#settings.onState?.(state)
  }
}

const FATAL: Readonly<Record<number, TailError['code']>> = {
  3: 'UNKNOWN_TOPIC',
  29: 'NOT_AUTHORIZED',
  100: 'TOPIC_RECREATED',
}

/** What a close code of the relay means for good; undefined: come back. */
function finalClose(code: number): TailError['code'] | undefined {
  if (code === 4401) return 'NEEDS_AUTH'
  if (code === 4409) return 'REPLACED'
  return [1002, 1008, 1009, 4400, 4403].includes(code) ? 'REFUSED' : undefined
}
