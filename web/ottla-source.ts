/**
 * The real source: one client for the page, its connection, replica and outbox in a worker that all tabs share.
 *
 * Which topics are kept on this device: the flights (the last of them), the notes (all), and what the replica holds
 * already. Others are read from the relay and leave nothing behind.
 */
import {
  bytes,
  type Credentials,
  connect,
  type Ottla,
  type ReplicaPolicy,
  type Topic,
  type TopicRecord,
} from '../worker/index.ts'
import { askForBackgroundSync } from '../worker/offline/background-sync.ts'
import { REPLICA, relayUrl } from './relay-address.ts'
import { owner, signIn, signOut } from './signing-in.ts'
import type { GroupSummary, LogRecord, ReadFrom, ReadOptions, Source, WriteInput, WriteReceipt } from './source.ts'
import { openTopicMaker, type TopicMaker } from './topic-maker.ts'
import { openTopicSurvey, type TopicSurvey } from './topic-survey.ts'

/** Beside the page, without a hash: every version of the page meets in the same worker. */
const WORKER_URL = '/worker.js'
const FLIGHTS_KEPT_PER_PARTITION = 65_536
const POLICIES: Readonly<Record<string, ReplicaPolicy>> = {
  flights: { lastRecords: FLIGHTS_KEPT_PER_PARTITION },
  notes: {},
}
const WORKER_NAMES = {
  shared: 'shared worker, for all tabs',
  dedicated: 'dedicated worker, leader elected',
  page: 'this page',
}

type ByteTopic = Topic<Uint8Array, Uint8Array>

const utf8 = new TextEncoder()

export async function openSource(): Promise<Source> {
  const ottla = await connect(chosenRelayUrl(), { replica: REPLICA, workerUrl: WORKER_URL })
  // The service worker knows only the relay that served it.
  if (chosenRelayUrl() === relayUrl()) askForBackgroundSync(ottla)
  return new OttlaSource(ottla)
}

/** The relay that served the page, or the one named in the address: `?relay=ws://host:port`. */
function chosenRelayUrl(): string {
  return new URLSearchParams(location.search).get('relay') ?? relayUrl()
}

class OttlaSource implements Source {
  readonly outbox: Source['outbox']
  readonly #ottla: Ottla
  readonly #survey: TopicSurvey
  readonly #maker: TopicMaker
  readonly #handles = new Map<string, ByteTopic>()
  readonly #kept = new Set(Object.keys(POLICIES))

  constructor(ottla: Ottla) {
    this.#ottla = ottla
    this.#survey = openTopicSurvey(ottla)
    this.#maker = openTopicMaker(ottla)
    this.outbox = {
      list: () => ottla.outbox.list(),
      retry: (id) => ottla.outbox.retry(id),
      discard: (id) => ottla.outbox.discard(id),
      export: () => ottla.exportOutbox(),
      import: (file) => ottla.importOutbox(file),
    }
  }

  status() {
    return this.#ottla.status
  }

  onStatus(listener: Parameters<Source['onStatus']>[0]): () => void {
    const stop = this.#ottla.onStatus(listener)
    listener(this.#ottla.status)
    return stop
  }

  owner = owner
  signIn = (credentials: Credentials) => signIn(this.#ottla, credentials)
  signOut = (pending: 'refuse' | 'discard') => signOut(this.#ottla, pending)

  host(): string {
    return typeof SharedWorker === 'undefined' ? WORKER_NAMES.dedicated : WORKER_NAMES.shared
  }

  topics() {
    return this.#survey.list()
  }

  /** A group that goes between the two questions is left out. */
  async groups(): Promise<GroupSummary[]> {
    const { admin } = this.#ottla
    const names = (await admin.listConsumerGroups()).map(({ groupId }) => groupId).sort()
    const described = await admin.describeConsumerGroups(names, { lag: true }).settled()
    return described.flatMap(({ value }) => (value ? [{ ...value, lag: value.lag ?? [] }] : []))
  }

  async keep(name: string): Promise<void> {
    this.#kept.add(name)
    await this.#topic(name).replicate()
  }

  async *read(name: string, options: ReadOptions): AsyncIterable<LogRecord[]> {
    const { from, partition, follow, signal } = options
    const partitions = partition === undefined ? undefined : [partition]
    const reader = this.#topic(name).read({ from: startOf(from), partitions, follow, signal })
    for await (const records of reader.batches()) yield records.map(logRecord)
  }

  write({ topic, key, value, headers }: WriteInput): WriteReceipt {
    this.#maker.want(topic)
    return this.#topic(topic).send({
      key: key === null ? null : utf8.encode(key),
      value: utf8.encode(value),
      headers: headers.map((header) => ({ key: header.key, value: utf8.encode(header.value) })),
    })
  }

  /** One handle for each topic and policy: a handle keeps a buffer for as long as the client lives. */
  #topic(name: string): ByteTopic {
    const policy = this.#policy(name)
    const key = JSON.stringify([name, policy])
    const known = this.#handles.get(key)
    if (known) return known
    const topic = this.#ottla.topic(name, { key: bytes, value: bytes, replica: policy })
    this.#handles.set(key, topic)
    return topic
  }

  #policy(name: string): ReplicaPolicy | boolean {
    const isHeld = this.#ottla.status.topics.some((topic) => topic.name === name && topic.replica.length > 0)
    return POLICIES[name] ?? (isHeld || this.#kept.has(name))
  }
}

function startOf(from: ReadFrom) {
  return typeof from === 'object' && 'timestampMs' in from ? { timestamp: from.timestampMs } : from
}

function logRecord(record: TopicRecord<Uint8Array, Uint8Array>): LogRecord {
  const { topic, partition, offset, timestamp, key, value, headers } = record
  return { topic, partition, offset, timestampMs: timestamp, key, value, headers }
}
