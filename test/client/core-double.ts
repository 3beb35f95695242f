/** A core in memory, moved by hand: what a page sees of a worker. */
import type { ChannelAnswer, ChannelAsk } from '../../client/channels/ask.ts'
import type {
  Advanced,
  Core,
  EnqueuedWrite,
  ExportedEntry,
  OutboxEntry,
  ReplicaRange,
  Settled,
  Status,
  StoredChunk,
  StoredDurability,
} from '../../client/core.ts'
import { OttlaError } from '../../client/errors.ts'
import { relayError } from '../../client/relay-errors.ts'
import type { OpenedTable, TablePage } from '../../client/table/seam.ts'
import { Emitter } from '../../protocol/lib/events.ts'
import { nextOffsetAt, viewOf, writeBaseOffset } from '../../protocol/record-batch.ts'
import { encodeBatch, type RecordInput } from '../../protocol/records.ts'

const NOTHING = { pendingEntries: 0, pendingRecords: 0, pendingBytes: 0, parkedEntries: 0 }

export class CoreDouble implements Core {
  readonly enqueued: EnqueuedWrite[] = []
  channelAsks: ChannelAsk[] = []
  readonly advanced = new Emitter<Advanced[]>()
  readonly settled = new Emitter<Settled[]>()
  readonly statuses = new Emitter<Status>()
  readonly requests: Array<{ name: string; body: unknown }> = []
  answers: Record<string, unknown> = {}
  /** What an enqueue waits for. */
  storing: () => Promise<StoredDurability> = async () => 'device'
  topics = new Map([['t', { name: 't', id: 'topic-id-t', partitionCount: 4 }]])
  ranges: ReplicaRange[] = []
  chunks: StoredChunk[] = []
  reads = 0
  readonly life = 0
  readonly outbox = {
    list: async (): Promise<OutboxEntry[]> => [],
    retry: async () => {},
    discard: async () => {},
    export: async (): Promise<ExportedEntry[]> => [],
  }
  readonly tables = {
    open: async (): Promise<OpenedTable> => ({
      state: { isReady: false, isUpToDate: false, error: null },
      bareTopicId: null,
    }),
    read: async (): Promise<TablePage> => ({ rows: [], next: null, bareTopicId: null }),
    count: async () => 0,
    onNews: () => () => {},
  }
  #status: Status = {
    state: 'offline',
    connection: {
      phase: 'offline',
      attempt: 3,
      retryAtMs: 0,
      error: new OttlaError('DISCONNECTED', { message: '' }).toInfo(),
    },
    behindRecords: 0,
    outbox: NOTHING,
    topics: [],
    replica: 'r',
    storageError: null,
    persisted: null,
    clockOffsetMs: null,
    clockErrorMs: null,
    replicasPaused: null,
    writesPaused: null,
  }

  async channel(ask: ChannelAsk): Promise<ChannelAnswer> {
    this.channelAsks.push(ask)
    return { sequence: 0, me: null, isWhole: true, present: [], gone: [], messages: [], missed: 0 }
  }

  setConnection(connection: Status['connection']): void {
    const state = connection.phase === 'live' ? 'live' : connection.phase
    this.#status = { ...this.#status, connection, state }
    this.statuses.emit(this.#status)
  }

  /** Stores a batch at the end of partition 0 and tells it. */
  store(records: RecordInput[], more: Partial<ReplicaRange> = {}): void {
    const range = this.ranges[0]!
    const batch = encodeBatch(records)
    writeBaseOffset(viewOf(batch), 0, range.end)
    const nextOffset = nextOffsetAt(viewOf(batch), 0)
    this.chunks.push({ baseOffset: range.end, nextOffset, batches: batch })
    this.move({ end: nextOffset, relayEnd: nextOffset, upToDate: true, ...more })
  }

  move(change: Partial<ReplicaRange>): void {
    this.ranges = [{ ...this.ranges[0]!, ...change }, ...this.ranges.slice(1)]
    this.advanced.emit([this.ranges[0]!])
  }

  status = () => this.#status
  onStatus = (listener: (status: Status) => void) => this.statuses.on(listener)
  onSettled = (listener: (settled: Settled[]) => void) => this.settled.on(listener)
  onAdvanced = (listener: (advanced: Advanced[]) => void) => this.advanced.on(listener)
  outcomes = async () => []
  keptDocument = async () => null
  changeSecret = async () => {}
  openDocument = async () => Promise.reject(new Error('no relay'))
  progress = async () => ({ committed: -1, knownFrom: -1, givenUp: [] })
  replicate = async () => this.ranges
  stopReplicating = async () => {}
  pause = async () => {}
  withdraw = async () => false
  wake = () => {}
  reauthenticate = async () => {}
  logout = async () => ({ unsent: NOTHING })
  close = async () => {}

  async topic(name: string) {
    const found = this.topics.get(name)
    if (!found) throw relayError('UNKNOWN_TOPIC', { message: name })
    return found
  }

  async enqueue(write: EnqueuedWrite): Promise<{ durability: StoredDurability }> {
    this.enqueued.push(write)
    return { durability: await this.storing() }
  }

  async enqueueTransaction(): Promise<{ durability: StoredDurability }> {
    return { durability: await this.storing() }
  }

  async readReplica(_topicId: string, _partition: number, offset: number): Promise<StoredChunk[]> {
    this.reads++
    return this.chunks.filter(({ nextOffset }) => nextOffset > offset).slice(0, 2)
  }

  async request(name: string, body: unknown): Promise<unknown> {
    this.requests.push({ name, body })
    return this.answers[name]
  }
}

export function emptyRange(): ReplicaRange {
  return {
    topic: 't',
    topicId: 'topic-id-t',
    partition: 0,
    start: 0,
    end: 0,
    relayEnd: -1,
    upToDate: false,
    generation: 1,
  }
}
