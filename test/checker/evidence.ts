/**
 * What a history says about each log: which record was at which offset, by whose word. Everything else is judged by this.
 *
 * A log is known by the topic's id. Where a client knew only the name, and the name has had several topics, what it says
 * about places is left out: it cannot be told which log it meant.
 */
import type { LogName, Operation, Read, Send, TopicChange, Transaction } from './history.ts'

export interface Located {
  log: Log
  offset: number
}

export class Log {
  readonly id: string
  readonly topic: string
  readonly partition: number
  /** The first word about each offset. */
  readonly valueAt = new Map<number, string>()
  readonly reads: Read[] = []
  /** What lies below may have been deleted: somebody asked for it, or the topic lets old records go. */
  mayBeginAt = 0
  #sortedOffsets: number[] | undefined
  #newestOfKey: ReadonlyMap<string, number> | undefined

  constructor(id: string, topic: string, partition: number) {
    this.id = id
    this.topic = topic
    this.partition = partition
  }

  get name(): string {
    return `${this.topic}-${this.partition}${this.id.startsWith(`${this.topic}/`) ? '' : ` (${this.id.slice(0, 6)})`}`
  }

  /** Ascending. Not before all evidence is in. */
  get offsets(): readonly number[] {
    this.#sortedOffsets ??= [...this.valueAt.keys()].sort((a, b) => a - b)
    return this.#sortedOffsets
  }

  /** Where the newest record of each key is. Not before all evidence is in. */
  newestOfKey(keyOf: (value: string) => string | undefined): ReadonlyMap<string, number> {
    this.#newestOfKey ??= new Map(
      this.offsets.flatMap((offset): Array<[string, number]> => {
        const key = keyOf(this.valueAt.get(offset)!)
        return key === undefined ? [] : [[key, offset]]
      }),
    )
    return this.#newestOfKey
  }

  /** Each known record in a reader's range, and whether the reader was given it. */
  forEachIn({ from, next, records }: Read, look: (offset: number, isGiven: boolean) => void): void {
    const { offsets } = this
    let at = 0
    for (let index = firstFrom(offsets, from); index < offsets.length && offsets[index]! < next; index++) {
      const offset = offsets[index]!
      while (at < records.length && records[at]![0] < offset) at++
      look(offset, records[at]?.[0] === offset)
    }
  }
}

export class Evidence {
  readonly logs = new Map<string, Log>()
  readonly sends: Send[] = []
  readonly sendOf = new Map<string, Send>()
  readonly transactions = new Map<string, Transaction>()
  /** By value: everywhere that a reader was given it. */
  readonly readAt = new Map<string, Located[]>()
  readonly operations: readonly Operation[]
  readonly isComplete: boolean
  readonly #keyOf = new Map<string, string>()
  /** Values that may lie in aborted transactions before the one that brings them. */
  readonly #attempted = new Set<string>()
  readonly #idsOfName = new Map<string, Set<string>>()
  readonly #deleted = new Set<string>()
  readonly #properties = new Set<string>()

  constructor(
    operations: readonly Operation[],
    onConflict: (log: Log, offset: number, values: [string, string]) => void,
  ) {
    this.operations = operations
    this.isComplete = operations.some(({ op }) => op === 'end')
    for (const operation of operations) {
      if ('topic' in operation && operation.topicId) this.#idsOf(operation.topic).add(operation.topicId)
      if (operation.op === 'topic') this.#addTopic(operation)
      if (operation.op === 'trim') this.#properties.add(`${operation.topic} trimmed`)
    }
    for (const operation of operations) {
      if (operation.op === 'send') this.#addSend(operation)
      else if (operation.op === 'transaction') this.transactions.set(operation.transaction, operation)
    }
    for (const operation of operations) if (operation.op === 'read') this.#addRead(operation, onConflict)
    for (const send of this.sends) this.#addPlaces(send, onConflict)
    for (const operation of operations) {
      if (operation.op === 'trim' && operation.outcome !== 'failed') this.#noteStart(operation, operation.before)
      if (operation.op === 'ends' && this.has(operation.topic, 'retains')) this.#noteStart(operation, operation.start)
    }
  }

  log(name: LogName): Log | undefined {
    const id = this.#idOf(name)
    if (!id) return undefined
    const key = `${id}/${name.partition}`
    let log = this.logs.get(key)
    if (!log) {
      log = new Log(key, name.topic, name.partition)
      this.logs.set(key, log)
    }
    return log
  }

  /** True when the topic has been deleted, or may have been. */
  wasDeleted(topic: string): boolean {
    return this.#deleted.has(topic)
  }

  wasTrimmed(topic: string): boolean {
    return this.#properties.has(`${topic} trimmed`)
  }

  has(topic: string, property: 'retains' | 'compacts'): boolean {
    return this.#properties.has(`${topic} ${property}`)
  }

  /** Compaction may have taken it: the log has a newer record of its key that counts, or may count. */
  isSuperseded(log: Log, value: string, offset: number): boolean {
    if (!this.has(log.topic, 'compacts')) return false
    const key = this.#keyOf.get(value)
    return key !== undefined && (log.newestOfKey((each) => this.#countingKeyOf(each)).get(key) ?? -1) > offset
  }

  keyOf(value: string): string | undefined {
    return this.#keyOf.get(value)
  }

  #countingKeyOf(value: string): string | undefined {
    const send = this.sendOf.get(value)
    return send && this.outcomeOf(send) === 'aborted' ? undefined : this.#keyOf.get(value)
  }

  /** No reader of committed records was given the value here: its transaction was aborted, and another one brought it. */
  isAbortedAttempt(log: Log, value: string, offset: number): boolean {
    if (!this.#attempted.has(value)) return false
    return !this.readAt.get(value)?.some((place) => place.log === log && place.offset === offset)
  }

  /** What the client believes of the transaction that a value was sent in. */
  outcomeOf(send: Send): Transaction['outcome'] | undefined {
    if (send.transaction === undefined) return undefined
    return this.transactions.get(send.transaction)?.outcome ?? 'unknown'
  }

  #addTopic({ topic, change, outcome, retains, compacts }: TopicChange): void {
    if (change === 'deleted' && outcome !== 'failed') this.#deleted.add(topic)
    if (retains) this.#properties.add(`${topic} retains`)
    if (compacts) this.#properties.add(`${topic} compacts`)
  }

  #idsOf(topic: string): Set<string> {
    const ids = this.#idsOfName.get(topic) ?? new Set()
    this.#idsOfName.set(topic, ids)
    return ids
  }

  #idOf({ topic, topicId }: LogName): string | undefined {
    if (topicId) return topicId
    const ids = this.#idsOf(topic)
    if (this.wasDeleted(topic)) return undefined
    return ids.size === 0 ? topic : ids.size === 1 ? [...ids][0] : undefined
  }

  #noteStart(name: LogName, offset: number): void {
    const log = this.log(name)
    if (log) log.mayBeginAt = Math.max(log.mayBeginAt, offset)
  }

  #addSend(send: Send): void {
    this.sends.push(send)
    send.values.forEach((value, index) => {
      this.sendOf.set(value, send)
      const key = send.keys?.[index]
      if (key !== undefined) this.#keyOf.set(value, key)
      if (send.hasAttempts) this.#attempted.add(value)
    })
  }

  #addRead(read: Read, onConflict: (log: Log, offset: number, values: [string, string]) => void): void {
    const log = this.log(read)
    if (!log) return
    log.reads.push(read)
    if (read.jump === 'log-start' && this.has(log.topic, 'retains'))
      log.mayBeginAt = Math.max(log.mayBeginAt, read.from)
    for (const [offset, value] of read.records) {
      this.#see(log, offset, value, onConflict)
      // What an aborted attempt left is not the record.
      if (read.isolation === 0 && this.#attempted.has(value)) continue
      const places = this.readAt.get(value)
      if (!places) this.readAt.set(value, [{ log, offset }])
      else if (!places.some((place) => place.log === log && place.offset === offset)) places.push({ log, offset })
    }
  }

  #addPlaces(send: Send, onConflict: (log: Log, offset: number, values: [string, string]) => void): void {
    send.places?.forEach(({ partition, offset }, index) => {
      if (offset < 0) return
      const log = this.log({ topic: send.topic, topicId: send.topicId, partition })
      if (log) this.#see(log, offset, send.values[index]!, onConflict)
    })
  }

  #see(
    log: Log,
    offset: number,
    value: string,
    onConflict: (log: Log, offset: number, values: [string, string]) => void,
  ) {
    const known = log.valueAt.get(offset)
    if (known === undefined) log.valueAt.set(offset, value)
    else if (known !== value) onConflict(log, offset, [known, value])
  }
}

function firstFrom(offsets: readonly number[], offset: number): number {
  let low = 0
  let high = offsets.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (offsets[middle]! >= offset) high = middle
    else low = middle + 1
  }
  return low
}
