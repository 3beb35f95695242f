/** Offsets without records: a compacted log has them, and a relay may deliver a position beyond its last batch. */
import { expect, test } from 'vitest'
import { openSession } from '../../../client/live-session.ts'
import { openLocalCore } from '../../../client/open-local-core.ts'
import { Ottla } from '../../../client/ottla.ts'
import { MemoryDatabase, MemoryStore } from '../../../client/replica/memory-store.ts'
import { string } from '../../../client/serde.ts'
import { CodecRegistry } from '../../../protocol/compression.ts'
import { HandClock } from '../../../protocol/lib/clock.ts'
import { seededRandom } from '../../../protocol/lib/random.ts'
import { deliver } from '../../../protocol/messages/offset-protocol.ts'
import { viewOf, writeBaseOffset } from '../../../protocol/record-batch.ts'
import { encodeBatch } from '../../../protocol/records.ts'
import { RelayDouble, record } from '../relay-double.ts'

async function setUp() {
  const [relay, clock, random] = [new RelayDouble(), new HandClock(), seededRandom(3)]
  const topicId = relay.createTopic('t')
  const core = await openLocalCore({
    ...{ replica: 'r', clock, random, store: new MemoryStore(new MemoryDatabase()) },
    openSession: (identity) => openSession({ url: 'ws://relay', transport: relay, clock, random, identity }),
  })
  const parts = { core, clock, random, codecs: new CodecRegistry(), hasReplica: true }
  const ottla = new Ottla({ ...parts, openLanes: () => Promise.reject(new Error('read from the replica')) })
  await clock.advanceAsync(0)
  await core.replicate('t', {})
  await clock.advanceAsync(100)
  /** A batch of one record at `offset`, and the word that all up to `nextOffset` has been delivered. */
  const delivered = async (offset: number, value: string, timestamp: number, nextOffset: number) => {
    const batch = encodeBatch([record(value, null, timestamp)])
    writeBaseOffset(viewOf(batch), 0, offset)
    const ends = { highWatermark: nextOffset, lastStableOffset: nextOffset, nextOffset }
    relay.last.push(deliver, { topicId, partition: 0, leaderEpoch: 0, logStart: 0, ...ends, records: batch })
    await clock.advanceAsync(100)
  }
  return { topic: ottla.topic('t', { value: string }), delivered, clock }
}

async function valuesRead(
  { topic, clock }: Awaited<ReturnType<typeof setUp>>,
  from: { timestamp: number } | 'beginning',
): Promise<Array<string | null>> {
  const values: Array<string | null> = []
  const done = topic.read({ from, follow: false }).each(({ value }) => {
    values.push(value)
  })
  for (let turn = 0; turn < 10; turn++) await clock.advanceAsync(10)
  await done
  return values
}

test('[REP-15] a stretch at the end in which nothing is left is passed over, and reading goes on behind it', async () => {
  const parts = await setUp()
  await parts.delivered(0, 'a', 1000, 5)
  expect(await valuesRead(parts, 'beginning')).toEqual(['a'])
  await parts.delivered(7, 'b', 2000, 8)
  expect(await valuesRead(parts, 'beginning')).toEqual(['a', 'b'])
})

test('[REP-15] a record is found by its time where nothing is left before and behind it', async () => {
  const parts = await setUp()
  await parts.delivered(0, 'a', 1000, 1)
  await parts.delivered(90, 'b', 2000, 91)
  await parts.delivered(91, 'c', 3000, 200)
  expect(await valuesRead(parts, { timestamp: 500 })).toEqual(['a', 'b', 'c'])
  expect(await valuesRead(parts, { timestamp: 1500 })).toEqual(['b', 'c'])
  expect(await valuesRead(parts, { timestamp: 3000 })).toEqual(['c'])
  expect(await valuesRead(parts, { timestamp: 3001 })).toEqual([])
})
