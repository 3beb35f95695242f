/** Those who read: all the time, and once more from the beginning when everything is over. */
import { ErrorCode } from '../../../protocol/errors.ts'
import { fetch } from '../../../protocol/messages/fetch.ts'
import { offsetFetch } from '../../../protocol/messages/group-offsets.ts'
import { BATCH_HEADER_BYTES, batchesIn, nextOffsetOf } from '../../../protocol/record-batch.ts'
import { decodeRecords } from '../../../protocol/records.ts'
import type { Committed, Read } from '../../checker/history.ts'
import { committedOf } from '../../support/committed-records.ts'
import type { RelayClient } from '../../support/relay-client.ts'
import { Actor } from './actor.ts'
import type { Journal } from './journal.ts'
import type { TopicAt } from './writers.ts'

export interface ReaderOptions {
  journal: Journal
  topic: TopicAt
  url: () => string
  isolation: 0 | 1
}

/** Reads every partition from its beginning on, wherever the relay is in its lives. */
export class Reader extends Actor {
  readonly #options: ReaderOptions
  readonly #positions: number[]

  constructor(name: string, options: ReaderOptions) {
    super(name, options.url)
    this.#options = options
    this.#positions = Array.from({ length: options.topic.partitions }, () => 0)
  }

  protected async work(client: RelayClient): Promise<void> {
    while (!this.isStopping) for (const partition of this.#positions.keys()) await this.#step(client, partition, 20)
  }

  /** Reads on until there is nothing more, once. */
  async finish(client: RelayClient): Promise<void> {
    for (const partition of this.#positions.keys()) while (await this.#step(client, partition, 0));
  }

  /** Whether it came further. */
  async #step(client: RelayClient, partition: number, maxWaitMs: number): Promise<boolean> {
    const { journal, topic, isolation } = this.#options
    const from = this.#positions[partition]!
    const partitions = [{ partition, fetchOffset: from, partitionMaxBytes: 2 ** 18 }]
    const topics = [{ topicId: topic.topicId, partitions }]
    const { responses } = await client.call(fetch, { maxWaitMs, minBytes: 1, isolationLevel: isolation, topics })
    const answer = responses[0]!.partitions[0]!
    if (answer.errorCode !== ErrorCode.NONE) {
      this.complaints.push(`${this.name}: partition ${partition} from ${from}: error ${answer.errorCode}`)
      throw new Error(`error ${answer.errorCode}`)
    }
    const next = endOf(answer.records, from)
    if (next === from) return false
    const { placed } = committedOf(isolation === 1 ? answer : { ...answer, abortedTransactions: [] })
    const records = placed
      .filter(({ offset }) => offset >= from)
      .map(({ offset, value }): [number, string] => [offset, value])
    const read = journal.open<Read>({
      ...{ op: 'read', process: this.name, reader: `${this.name}/${partition}`, topic: topic.name },
      ...{ topicId: topic.topicId, partition, isolation, from, next, records },
      ...(from === 0 ? { jump: 'start' as const } : {}),
    })
    journal.close(read)
    this.#positions[partition] = next
    return true
  }
}

function endOf(records: Uint8Array | null, from: number): number {
  let next = from
  for (const { header } of batchesIn(records ?? new Uint8Array(0))) next = nextOffsetOf(header)
  return Math.max(from, next)
}

/** What the relay says in the end about a group. */
export async function noteCommitted(
  journal: Journal,
  client: RelayClient,
  group: string,
  topic: TopicAt,
): Promise<void> {
  const { name, topicId } = topic
  const asked = journal.open<Committed>({
    ...{ op: 'committed', process: 'the end', group, topic: name, topicId, partition: 0, offset: -1 },
  })
  const { groups } = await client.call(offsetFetch, {
    groups: [{ groupId: group, topics: [{ topicId, partitionIndexes: [0] }] }],
  })
  journal.close(asked, { offset: groups[0]!.topics[0]!.partitions[0]!.committedOffset })
}

/** By key, the number in the last record: what a compacted topic comes to. */
export async function newestByKey(client: RelayClient, topicId: string): Promise<Map<string, number>> {
  const text = new TextDecoder()
  const newest = new Map<string, number>()
  for (let at = 0; ; ) {
    const partitions = [{ partition: 0, fetchOffset: at, partitionMaxBytes: 2 ** 20 }]
    const { responses } = await client.call(fetch, { maxWaitMs: 0, minBytes: 0, topics: [{ topicId, partitions }] })
    const { records } = responses[0]!.partitions[0]!
    const next = endOf(records, at)
    if (next === at) return newest
    for (const { at: from, end, header } of batchesIn(records!)) {
      for (const { key, value } of decodeRecords(header, records!.subarray(from + BATCH_HEADER_BYTES, end))) {
        newest.set(text.decode(key!), Number.parseInt(text.decode(value!), 10))
      }
    }
    at = next
  }
}
