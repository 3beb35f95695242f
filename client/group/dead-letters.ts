/**
 * What a group could not do with the records of a topic: to be looked at, and to be sent once more.
 *
 * What was replayed is marked in the dead-letter topic itself, by a record without key and value whose header says which
 * letter it is about; so replaying twice sends nothing twice, whoever does it. Record and mark are of one transaction: who
 * crashes has done both or neither.
 */
import type { TopicRecord } from '../record.ts'
import type { Topic } from '../topic.ts'
import type { SendingTransaction } from '../transactions/gathering.ts'
import type { StoredTransaction } from '../transactions/store-transaction.ts'
import { DEAD_PREFIX } from './dead-letter.ts'

type RawTopic = Topic<Uint8Array, Uint8Array>
type RawLetter = TopicRecord<Uint8Array, Uint8Array>

export interface DeadLetter extends RawLetter {
  /** Where the record was. */
  origin: { topic: string; topicId: string; partition: number; offset: number; timestamp: number }
  group: string
  code: string
  message: string
  attempts: number
  isReplayed: boolean
}

/** What is needed of the client that reads and sends them. */
export interface LettersClient {
  topic(name: string): RawTopic
  transaction(fill: (transaction: SendingTransaction) => void): Promise<StoredTransaction>
  /** Forgets what the relay has refused. */
  discard(id: string): Promise<void>
}

export interface ReplayOptions {
  /** Only letters for which this is true. */
  where?(letter: DeadLetter): boolean
  /** Those too that were replayed before. Default false. */
  again?: boolean
}

const MARK = 'ottla.replayed'
const REPLAY_OF = 'ottla.replay-of'
/** What one transaction takes; the first letter is taken whatever its size. */
const CHUNK = { letters: 100, bytes: 2 * 1024 * 1024 }

const utf8 = new TextEncoder()
const text = new TextDecoder()

export class DeadLetters {
  readonly #letters: RawTopic
  readonly #client: LettersClient
  readonly #origins = new Map<string, RawTopic>()

  /** `letters` is the dead-letter topic. */
  constructor(letters: RawTopic, client: LettersClient) {
    this.#letters = letters
    this.#client = client
  }

  /** All that there are now, in the order of their deaths within a partition. Throws UNKNOWN_TOPIC when none ever died. */
  async *list(): AsyncGenerator<DeadLetter, void, undefined> {
    const replayed = new Set<string>()
    for await (const record of this.#read()) {
      const mark = headerOf(record, MARK)
      if (mark !== undefined) replayed.add(`${record.partition}/${mark}`)
    }
    for await (const record of this.#read()) {
      if (headerOf(record, MARK) !== undefined || headerOf(record, `${DEAD_PREFIX}topic`) === undefined) continue
      yield letterOf(record, replayed.has(`${record.partition}/${record.offset}`))
    }
  }

  /**
   * Sends letters back to the partitions that they came from, and marks them, some at a time, each time all or none.
   * Returns how many. Rejects REJECTED when the relay refuses one: nothing of its part was sent.
   */
  async replay({ where = () => true, again = false }: ReplayOptions = {}): Promise<number> {
    let count = 0
    let chunk: DeadLetter[] = []
    let bytes = 0
    for await (const letter of this.list()) {
      if ((letter.isReplayed && !again) || !where(letter)) continue
      const size = sizeOf(letter)
      if (chunk.length === CHUNK.letters || (chunk.length > 0 && bytes + size > CHUNK.bytes)) {
        await this.#sendBack(chunk)
        ;[chunk, bytes] = [[], 0]
      }
      count++
      chunk.push(letter)
      bytes += size
    }
    await this.#sendBack(chunk)
    return count
  }

  async #sendBack(letters: readonly DeadLetter[]): Promise<void> {
    const { transaction, discard } = this.#client
    const { id, committed } = await transaction((sending) => {
      for (const letter of letters) {
        const { key, value, headers, origin, topic, partition, offset } = letter
        const own = headers.filter((header) => !header.key.startsWith(DEAD_PREFIX) && header.key !== REPLAY_OF)
        const of = { key: REPLAY_OF, value: utf8.encode(`${topic}/${partition}/${offset}`) }
        sending.send(this.#origin(origin.topic), { key, value, headers: [...own, of], partition: origin.partition })
        sending.send(this.#letters, { value: null, partition, headers: { [MARK]: String(offset) } })
      }
    })
    try {
      await committed
    } catch (error) {
      // The letters are still there, for another try.
      await discard(id).catch(() => {})
      throw error
    }
  }

  #origin(name: string): RawTopic {
    const known = this.#origins.get(name) ?? this.#client.topic(name)
    this.#origins.set(name, known)
    return known
  }

  #read() {
    return this.#letters.read({ from: 'beginning', follow: false })
  }
}

function sizeOf({ key, value, headers }: RawLetter): number {
  const ofHeaders = headers.reduce((sum, header) => sum + header.key.length + (header.value?.length ?? 0), 0)
  return (key?.length ?? 0) + (value?.length ?? 0) + ofHeaders
}

function letterOf(record: RawLetter, isReplayed: boolean): DeadLetter {
  const told = (name: string) => headerOf(record, DEAD_PREFIX + name) ?? ''
  return {
    ...record,
    origin: {
      ...{ topic: told('topic'), topicId: told('topic-id'), partition: Number(told('partition')) },
      ...{ offset: Number(told('offset')), timestamp: Number(told('timestamp')) },
    },
    ...{ group: told('group'), code: told('code'), message: told('message'), attempts: Number(told('attempts')) },
    isReplayed,
  }
}

function headerOf({ headers }: RawLetter, name: string): string | undefined {
  const value = headers.findLast(({ key }) => key === name)?.value
  return value ? text.decode(value) : undefined
}
