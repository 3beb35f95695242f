/**
 * What a history says about each log: which record was at which offset, by whose word. Everything else is judged by this.
 *
 * A log is known by the topic's id. Where a client knew only the name, and the name has had several topics, what it says
 * about places is left out: it cannot be told which log it meant.
 */
import type { LogName, Operation, Read, Send, TopicChange, Transaction } from './history.ts'

export interface Located {
  readonly log: Log
  readonly offset: number
}

/** A record by the first word about its offset. */
export interface Known extends Located {
  readonly value: string
  /** undefined: nobody sent it. */
  readonly send: Send | undefined
  /** Whether `readAt` and `seenCommitted` have it, so that they are not asked again for each of its readers. */
  isRead: boolean
  isSeenCommitted: boolean
}

type OnConflict = (log: Log, offset: number, values: [string, string]) => void

export class Log {
  readonly id: string
  readonly topic: string
  readonly partition: number
  readonly knownAt = new Map<number, Known>()
  readonly reads: Read[] = []
  /** What lies below may have been deleted: somebody asked for it, or the topic lets old records go. */
  mayBeginAt = 0
  #records: Known[] | undefined
  #newestOfKey: ReadonlyMap<string, number> | undefined

  constructor(id: string, topic: string, partition: number) {
    this.id = id
    this.topic = topic
    this.partition = partition
  }

  get name(): string {
    return `${this.topic}-${this.partition}${this.id.startsWith(`${this.topic}/`) ? '' : ` (${this.id.slice(0, 6)})`}`
  }

  /** By their offsets. Not before all evidence is in. */
  get records(): readonly Known[] {
    this.#records ??= [...this.knownAt.values()].sort((a, b) => a.offset - b.offset)
    return this.#records
  }

  /** Where the newest record of each key is. Not before all evidence is in. */
  newestOfKey(keyOf: (known: Known) => string | undefined): ReadonlyMap<string, number> {
    this.#newestOfKey ??= new Map(
      this.records.flatMap((known): Array<[string, number]> => {
        const key = keyOf(known)
        return key === undefined ? [] : [[key, known.offset]]
      }),
    )
    return this.#newestOfKey
  }

  /** Each known record in a reader's range that it had asked for, and whether it was given it. */
  forEachIn({ from, next, keys, records: given }: Read, look: (known: Known, isGiven: boolean) => void): void {
    const { records } = this
    let at = 0
    for (let index = firstFrom(records, from); index < records.length; index++) {
      const known = records[index]!
      if (known.offset >= next) break
      if (keys && !keys.includes(keyOf(known.send, known.value) ?? '')) continue
      while (at < given.length && given[at]![0] < known.offset) at++
      look(known, at < given.length && given[at]![0] === known.offset)
    }
  }
}

export class Evidence {
  readonly logs = new Map<string, Log>()
  readonly sends: readonly Send[]
  readonly sendOf = new Map<string, Send>()
  readonly transactions = new Map<string, Transaction>()
  /** By value: everywhere that a reader was given it. */
  readonly readAt = new Map<string, Located[]>()
  /** Values that readers of committed records were given. */
  readonly seenCommitted = new Set<string>()
  readonly isComplete: boolean
  readonly #operations = new Map<Operation['op'], Operation[]>()
  /** Values that may lie in aborted transactions before the one that brings them. */
  readonly #attempted = new Set<string>()
  readonly #idsOfName = new Map<string, Set<string>>()
  readonly #logsOfId = new Map<string, Map<number, Log>>()
  readonly #deleted = new Set<string>()
  readonly #properties = {
    trimmed: new Set<string>(),
    retains: new Set<string>(),
    compacts: new Set<string>(),
    forgets: new Set<string>(),
  }
  #deletedSomewhere: ReadonlySet<string> | undefined

  constructor(operations: readonly Operation[], onConflict: OnConflict) {
    for (const operation of operations) {
      const same = this.#operations.get(operation.op)
      if (same) same.push(operation)
      else this.#operations.set(operation.op, [operation])
      if ('topic' in operation && operation.topicId) this.#idsOf(operation.topic).add(operation.topicId)
    }
    this.isComplete = this.all('end').length > 0
    this.sends = this.all('send')
    for (const change of this.all('topic')) this.#addTopic(change)
    for (const { topic } of this.all('trim')) this.#properties.trimmed.add(topic)
    for (const send of this.sends) this.#addSend(send)
    for (const each of this.all('transaction')) this.transactions.set(each.transaction, each)
    for (const read of this.all('read')) this.#addRead(read, onConflict)
    for (const send of this.sends) this.#addPlaces(send, onConflict)
    for (const trim of this.all('trim')) if (trim.outcome !== 'failed') this.#noteStart(trim, trim.before)
    for (const ends of this.all('ends')) if (this.has(ends.topic, 'retains')) this.#noteStart(ends, ends.start)
  }

  /** Of one kind, in the order of the history. */
  all<Op extends Operation['op']>(op: Op): ReadonlyArray<Extract<Operation, { op: Op }>> {
    return (this.#operations.get(op) ?? []) as Array<Extract<Operation, { op: Op }>>
  }

  log(name: LogName): Log | undefined {
    const id = this.#idOf(name)
    if (!id) return undefined
    const ofId = this.#logsOfId.get(id) ?? new Map<number, Log>()
    return ofId.get(name.partition) ?? this.#newLog(ofId, id, name)
  }

  /** True when the topic has been deleted, or may have been. */
  wasDeleted(topic: string): boolean {
    return this.#deleted.has(topic)
  }

  /** The topic may have become another one of its name between a request and its answer. */
  mayBeMadeAnewDuring({ topic, at, until }: Send): boolean {
    const meets = (change: TopicChange) => at <= (change.until ?? Infinity) && change.at <= (until ?? Infinity)
    return this.all('topic').some(
      (each) => each.topic === topic && each.change === 'deleted' && each.outcome !== 'failed' && meets(each),
    )
  }

  wasTrimmed(topic: string): boolean {
    return this.#properties.trimmed.has(topic)
  }

  has(topic: string, property: 'retains' | 'compacts' | 'forgets'): boolean {
    return this.#properties[property].has(topic)
  }

  /** Compaction may have taken it: the log has a newer record of its key that counts, or may count. */
  isSuperseded(log: Log, value: string, offset: number): boolean {
    if (!this.has(log.topic, 'compacts')) return false
    const send = this.sendOf.get(value)
    if (isTombstone(send, value) && this.has(log.topic, 'forgets')) return true
    const key = keyOf(send, value)
    if (key !== undefined && this.mayBeDeletedAnywhere(log.topic, key)) return true
    return key !== undefined && (log.newestOfKey((known) => this.#countingKeyOf(known)).get(key) ?? -1) > offset
  }

  /** A tombstone of the key may have come and gone, and nobody can tell where it was, or whether it counted. */
  mayBeDeletedAnywhere(topic: string, key: string): boolean {
    this.#deletedSomewhere ??= this.#findDeletedSomewhere()
    return this.#deletedSomewhere.has(`${topic}/${key}`)
  }

  #findDeletedSomewhere(): ReadonlySet<string> {
    const located = new Set([...this.logs.values()].flatMap(({ records }) => records.map(({ value }) => value)))
    const found = new Set<string>()
    for (const send of this.sends) {
      if (send.outcome === 'failed' || this.outcomeOf(send) === 'aborted' || !this.has(send.topic, 'forgets')) continue
      for (const value of send.tombstones ?? []) {
        const isUndecided = this.outcomeOf(send) === 'unknown' && !this.seenCommitted.has(value)
        if (isUndecided || !located.has(value)) found.add(`${send.topic}/${keyOf(send, value)}`)
      }
    }
    return found
  }

  #countingKeyOf({ value, send }: Known): string | undefined {
    return send && this.outcomeOf(send) === 'aborted' ? undefined : keyOf(send, value)
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

  #addTopic({ topic, change, outcome, retains, compacts, forgets }: TopicChange): void {
    if (change === 'deleted' && outcome !== 'failed') this.#deleted.add(topic)
    if (retains) this.#properties.retains.add(topic)
    if (compacts) this.#properties.compacts.add(topic)
    if (forgets) this.#properties.forgets.add(topic)
  }

  #idsOf(topic: string): Set<string> {
    const ids = this.#idsOfName.get(topic)
    if (ids) return ids
    const none = new Set<string>()
    this.#idsOfName.set(topic, none)
    return none
  }

  #idOf({ topic, topicId }: LogName): string | undefined {
    if (topicId) return topicId
    const ids = this.#idsOf(topic)
    if (this.wasDeleted(topic)) return undefined
    return ids.size === 0 ? topic : ids.size === 1 ? [...ids][0] : undefined
  }

  #newLog(ofId: Map<number, Log>, id: string, { topic, partition }: LogName): Log {
    const key = `${id}/${partition}`
    const log = new Log(key, topic, partition)
    this.#logsOfId.set(id, ofId.set(partition, log))
    this.logs.set(key, log)
    return log
  }

  #noteStart(name: LogName, offset: number): void {
    const log = this.log(name)
    if (log) log.mayBeginAt = Math.max(log.mayBeginAt, offset)
  }

  #addSend(send: Send): void {
    for (const value of send.values) {
      this.sendOf.set(value, send)
      if (send.hasAttempts) this.#attempted.add(value)
    }
  }

  #addRead(read: Read, onConflict: OnConflict): void {
    const log = this.log(read)
    if (!log) return
    log.reads.push(read)
    if (read.jump === 'log-start' && this.has(log.topic, 'retains'))
      log.mayBeginAt = Math.max(log.mayBeginAt, read.from)
    for (const record of read.records) {
      const [offset, value] = [record[0], record[1]]
      const known = this.#see(log, offset, value, onConflict)
      if (read.isolation === 1 && !known?.isSeenCommitted) {
        this.seenCommitted.add(value)
        if (known) known.isSeenCommitted = true
      }
      // What an aborted attempt left is not the record.
      if (known?.isRead || (read.isolation === 0 && this.#attempted.has(value))) continue
      this.#addReadAt(value, known ?? { log, offset })
      if (known) known.isRead = true
    }
  }

  #addReadAt(value: string, place: Located): void {
    const places = this.readAt.get(value)
    if (!places) this.readAt.set(value, [place])
    else if (!places.some(({ log, offset }) => log === place.log && offset === place.offset)) places.push(place)
  }

  #addPlaces(send: Send, onConflict: OnConflict): void {
    send.places?.forEach(({ partition, offset }, index) => {
      if (offset < 0) return
      const log = this.log({ topic: send.topic, topicId: send.topicId, partition })
      if (log) this.#see(log, offset, send.values[index]!, onConflict)
    })
  }

  /** What is known of the offset, unless that is another value. */
  #see(log: Log, offset: number, value: string, onConflict: OnConflict): Known | undefined {
    const known = log.knownAt.get(offset)
    if (known?.value === value) return known
    if (known) {
      onConflict(log, offset, [known.value, value])
      return undefined
    }
    const first: Known = { log, offset, value, send: this.sendOf.get(value), isRead: false, isSeenCommitted: false }
    log.knownAt.set(offset, first)
    return first
  }
}

export function keyOf(send: Send | undefined, value: string): string | undefined {
  return send?.keys?.[send.values.indexOf(value)]
}

export const isTombstone = (send: Send | undefined, value: string): boolean =>
  send?.tombstones?.includes(value) ?? false

function firstFrom(records: readonly Known[], offset: number): number {
  let low = 0
  let high = records.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (records[middle]!.offset >= offset) high = middle
    else low = middle + 1
  }
  return low
}
