/**
 * What a group could not do with the records of a topic: to be looked at, and to be sent once more.
 *
 * What was replayed is marked in the dead-letter topic itself, by a record without key and value whose header says which
 * letter it is about; so replaying twice sends nothing twice, whoever does it. The mark follows the record that was sent:
 * who crashes between the two sends it again the next time, with the same `ottla.replay-of`.
 */
import type { TopicRecord } from '../record.ts'
import type { Topic } from '../topic.ts'
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

export interface ReplayOptions {
  /** Only letters for which this is true. */
  where?(letter: DeadLetter): boolean
  /** Those too that were replayed before. Default false. */
  again?: boolean
}

const MARK = 'ottla.replayed'
const REPLAY_OF = 'ottla.replay-of'
/** Sent, then marked, so many at a time. */
const CHUNK = 100

const utf8 = new TextEncoder()
const text = new TextDecoder()

export class DeadLetters {
  readonly #letters: RawTopic
  readonly #topic: (name: string) => RawTopic
  readonly #origins = new Map<string, RawTopic>()

  /** `letters` is the dead-letter topic, `topic` finds those that records go back to. */
  constructor(letters: RawTopic, topic: (name: string) => RawTopic) {
    this.#letters = letters
    this.#topic = topic
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

  /** Sends letters back to the partitions that they came from, and marks them. Returns how many. */
  async replay({ where = () => true, again = false }: ReplayOptions = {}): Promise<number> {
    let count = 0
    const chunk: DeadLetter[] = []
    for await (const letter of this.list()) {
      if ((letter.isReplayed && !again) || !where(letter)) continue
      count++
      chunk.push(letter)
      if (chunk.length === CHUNK) await this.#sendBack(chunk.splice(0))
    }
    await this.#sendBack(chunk)
    return count
  }

  async #sendBack(letters: readonly DeadLetter[]): Promise<void> {
    const sent = letters.map(({ key, value, headers, origin, topic, partition, offset }) => {
      const back = this.#origins.get(origin.topic) ?? this.#topic(origin.topic)
      this.#origins.set(origin.topic, back)
      const own = headers.filter((header) => !header.key.startsWith(DEAD_PREFIX) && header.key !== REPLAY_OF)
      const of = { key: REPLAY_OF, value: utf8.encode(`${topic}/${partition}/${offset}`) }
      return back.send({ key, value, headers: [...own, of], partition: origin.partition }).committed
    })
    await Promise.all(sent)
    const marks = letters.map(({ partition, offset }) => ({
      value: null,
      partition,
      headers: { [MARK]: String(offset) },
    }))
    await Promise.all(this.#letters.sendAll(marks).map(({ committed }) => committed))
  }

  #read() {
    return this.#letters.read({ from: 'beginning', follow: false })
  }
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
