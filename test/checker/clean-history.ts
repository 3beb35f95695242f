/**
 * Histories as a faultless relay would bring about, for the checker's own tests: a model of logs, producers, readers,
 * transactions and a group, moved by chance. Tests spoil one thing in them.
 */
import { type Random, randomBelow, seededRandom } from '../../protocol/lib/random.ts'
import type { Commit, Operation, Read, Rows, Send } from './history.ts'

interface ModelRecord {
  value: string
  /** false: a marker, or a record of an aborted transaction. */
  isCommitted: boolean
  isMarker: boolean
}

export interface CleanHistoryOptions {
  operations: number
  partitions?: number
  seed?: number
}

const TOPIC = 'ledger'
const TOPIC_ID = 'ledgerledgerledgerledge'.slice(0, 22)
const GROUP = 'clerks'
const READERS = 4

/** A few for each partition. */
const keyOf = (partition: number, value: string): string => `key${partition}${value.at(-1)}`

export class CleanHistory {
  readonly operations: Operation[] = []
  readonly #random: Random
  readonly #logs: ModelRecord[][]
  readonly #positions = new Map<string, number>()
  readonly #committed = new Map<number, number>()
  #now = 0
  #values = 0
  #transactions = 0

  constructor({ operations, partitions = 3, seed = 1 }: CleanHistoryOptions) {
    this.#random = seededRandom(seed)
    this.#logs = Array.from({ length: partitions }, () => [])
    this.#add({
      op: 'topic',
      ...this.#span('admin'),
      change: 'created',
      topic: TOPIC,
      topicId: TOPIC_ID,
      outcome: 'ok',
    })
    const all = Array.from({ length: partitions }, (_, partition) => ({ topic: TOPIC, partition }))
    this.#add({ op: 'assigned', ...this.#span('clerk'), group: GROUP, member: 'clerk', generation: 1, partitions: all })
    while (this.operations.length < operations) this.#act()
    this.#finish()
  }

  #act(): void {
    const dice = this.#random.next()
    const partition = randomBelow(this.#random, this.#logs.length)
    if (dice < 0.45) this.#send(partition)
    else if (dice < 0.5) this.#transact()
    else if (dice < 0.9) this.#read(`reader${randomBelow(this.#random, READERS)}`, partition)
    else this.#work(partition)
  }

  #send(partition: number): void {
    const isKnown = this.#random.next() < 0.9
    const send = this.#newSend(`writer${partition}`, partition, 1 + randomBelow(this.#random, 3))
    const places = this.#append(partition, send.values, true)
    this.#add({ ...send, ...(isKnown && { outcome: 'ok', places }) })
    if (this.#random.next() < 0.02)
      this.#add({ ...this.#newSend(`writer${partition}`, partition, 1), outcome: 'failed' })
  }

  #transact(): void {
    const transaction = `transaction${this.#transactions++}`
    const isCommitted = this.#random.next() < 0.7
    const span = this.#span('banker')
    for (const partition of this.#logs.keys()) {
      const send = this.#newSend(`banker/${partition}`, partition, 2)
      const places = this.#append(partition, send.values, isCommitted)
      this.#add({ ...send, outcome: 'ok', places, transaction })
      this.#logs[partition]!.push({ value: '', isCommitted: false, isMarker: true })
    }
    const outcome = isCommitted ? 'committed' : 'aborted'
    this.#add({ op: 'transaction', ...span, until: this.#tick(), transaction, producer: 'banker', outcome })
  }

  #read(reader: string, partition: number, group?: string): Read | undefined {
    const isolation = reader.endsWith('0') || group ? 1 : 0
    const log = this.#logs[partition]!
    const key = `${reader}/${partition}`
    const from = this.#positions.get(key) ?? 0
    if (from >= log.length) return undefined
    const next = Math.min(log.length, from + 1 + randomBelow(this.#random, 20))
    const records = log
      .slice(from, next)
      .map((record, index) => ({ ...record, offset: from + index }))
      .filter(({ isMarker, isCommitted }) => !isMarker && (isolation === 0 || isCommitted))
      .map(({ offset, value }): [number, string] => [offset, value])
    const read: Read = {
      ...{ op: 'read', ...this.#span(reader), reader, isolation, topic: TOPIC, topicId: TOPIC_ID, partition },
      ...{ from, next, records },
      ...(this.#positions.has(key) ? {} : { jump: 'start' }),
      ...(group && { group }),
    }
    this.#positions.set(key, next)
    this.#add(read)
    return read
  }

  /** A member of the group reads, and commits how far it has come. */
  #work(partition: number): void {
    const read = this.#read('clerk', partition, GROUP)
    if (!read) return
    const about = { group: GROUP, topic: TOPIC, topicId: TOPIC_ID, partition }
    this.#add({ op: 'commit', ...this.#span('clerk'), ...about, offset: read.next, outcome: 'ok' } satisfies Commit)
    this.#committed.set(partition, read.next)
    this.#add({ op: 'committed', ...this.#span('auditor'), ...about, offset: read.next })
  }

  #finish(): void {
    for (const partition of this.#logs.keys()) {
      for (const reader of ['last0', 'last1']) while (this.#read(reader, partition)) {}
      const end = this.#logs[partition]!.length
      const span = this.#span('auditor')
      this.#add({ op: 'ends', ...span, topic: TOPIC, topicId: TOPIC_ID, partition, start: 0, end })
    }
    this.#add({ op: 'rows', ...this.#span('table'), topic: TOPIC, topicId: TOPIC_ID, rows: this.#rows() })
    this.#add({ op: 'end', at: this.#tick() })
  }

  #newSend(producer: string, partition: number, count: number): Send {
    const values = Array.from({ length: count }, () => `value${this.#values++}`)
    const keys = values.map((value) => keyOf(partition, value))
    const about = { topic: TOPIC, topicId: TOPIC_ID, partition, values, keys }
    return { op: 'send', ...this.#span(producer), producer, ...about, acks: -1, outcome: 'unknown' }
  }

  #rows(): Rows['rows'] {
    return this.#logs.flatMap((log, partition) => {
      const newest = new Map<string, Rows['rows'][number]>()
      log.forEach(({ value, isCommitted }, offset) => {
        const key = keyOf(partition, value)
        if (isCommitted) newest.set(key, [key, value, partition, offset])
      })
      return [...newest.values()]
    })
  }

  #append(partition: number, values: readonly string[], isCommitted: boolean) {
    const log = this.#logs[partition]!
    return values.map((value) => {
      log.push({ value, isCommitted, isMarker: false })
      return { partition, offset: log.length - 1 }
    })
  }

  #span(process: string) {
    return { process, at: this.#tick(), until: this.#tick() }
  }

  #tick(): number {
    this.#now += 1 + this.#random.next()
    return this.#now
  }

  #add(operation: Operation): void {
    this.operations.push(operation)
  }
}
