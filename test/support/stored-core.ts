/** A client's core on fake-indexeddb in this process, against a real relay. */
import { onTestFinished } from 'vitest'
import type { LocalCore, LocalCoreOptions } from '../../client/local-core-options.ts'
import { openLocalCore } from '../../client/open-local-core.ts'
import { sessionOpener } from '../../client/own-connection.ts'
import { systemClock } from '../../protocol/lib/clock.ts'
import { systemRandom } from '../../protocol/lib/random.ts'
import { batchesIn } from '../../protocol/record-batch.ts'
import { decodeRecords, encodeBatch } from '../../protocol/records.ts'
import { eventually } from './eventually.ts'

export interface StoredCoreOptions extends Partial<LocalCoreOptions> {
  /** Nobody listens there unless one is given. */
  url?: string
  replica: string
}

const NOWHERE = 'ws://127.0.0.1:9/'

/** Closed at the end of the test. */
export async function openStoredCore({ url = NOWHERE, ...options }: StoredCoreOptions): Promise<LocalCore> {
  const openSession = await sessionOpener(url, { backoff: { delayMsFirst: 20, delayMsMax: 50 } })
  const core = await openLocalCore({ clock: systemClock, random: systemRandom, openSession, ...options })
  onTestFinished(() => core.close())
  return core
}

export async function createTopic(core: LocalCore, name: string, numPartitions = 1): Promise<void> {
  await eventually(() => core.status().connection.phase === 'live', { what: 'live' })
  const topics = [{ name, numPartitions, replicationFactor: 1, assignments: [], configs: [] }]
  await core.request('CreateTopics', { topics, timeoutMs: 5_000, validateOnly: false })
}

let writes = 0

export function writeOf(topic: string, values: string[], partition: number | null = 0) {
  const encoder = new TextEncoder()
  const records = values.map((value) => ({ key: null, value: encoder.encode(value), timestamp: 1_700_000_000_000 }))
  return { id: `write-${writes++}`, topic, partition, batch: encodeBatch(records) }
}

/** The values that a replica gives of partition 0, from its start to its end. */
export async function heldIn(core: LocalCore, topic: string): Promise<string[]> {
  const range = core.status().topics.find(({ name }) => name === topic)?.replica[0]
  const values: string[] = []
  for (let offset = range?.start ?? 0; range && offset < range.end; ) {
    const chunks = await core.readReplica(range.topicId, 0, offset, 100_000)
    if (chunks.length === 0) break
    for (const chunk of chunks) {
      for (const { at, end, header } of batchesIn(chunk.batches)) {
        for (const { value } of decodeRecords(header, chunk.batches.subarray(at + 61, end))) {
          values.push(new TextDecoder().decode(value!))
        }
      }
      offset = chunk.nextOffset
    }
  }
  return values
}

export const isUpTo = (core: LocalCore, topic: string, end: number) =>
  eventually(
    () => {
      const [range] = core.status().topics.find(({ name }) => name === topic)?.replica ?? []
      return range?.upToDate === true && range.end === end
    },
    { what: `${topic} up to ${end}` },
  )
