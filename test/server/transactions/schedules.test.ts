/** Thousands of ways in which requests of transactions can be late, doubled and out of order. */
import { expect, test } from 'vitest'
import { randomBelow, seededRandom } from '../../../protocol/lib/random.ts'
import { fetch } from '../../../protocol/messages/fetch.ts'
import { offsetFetch } from '../../../protocol/messages/group-offsets.ts'
import { committedOf } from '../../support/committed-records.ts'
import { Network, ScheduledProducer, type ScheduledTopic, TIMEOUT_MS, type Written } from './schedule.ts'
import { openStage, type Stage, settle } from './stage.ts'

/** `npm run test:schedules` runs ten thousand. */
const SCHEDULES = Number(process.env.OTTLA_SCHEDULES ?? 150)
const FIRST = Number(process.env.OTTLA_SCHEDULE ?? 1)
/** A relay serves so many of them, one after another. */
const PER_STAGE = 50

test(`[TXN-32] ${SCHEDULES} schedules of late, doubled and reordered requests: nothing torn, nothing aborted seen, nothing twice, and nobody is held up`, async () => {
  const total = { requests: 0, late: 0, doubled: 0, unanswered: 0 }
  let stage: Stage | undefined
  for (let seed = FIRST; seed < FIRST + SCHEDULES; seed++) {
    if (!stage || (seed - FIRST) % PER_STAGE === 0) {
      await stage?.core.close()
      stage = await openStage()
    }
    try {
      const counts = await runSchedule(stage, seed)
      for (const key of Object.keys(total) as Array<keyof typeof total>) total[key] += counts[key]
    } catch (error) {
      throw new Error(`schedule ${seed} (OTTLA_SCHEDULE=${seed} OTTLA_SCHEDULES=1): ${error}`, { cause: error })
    }
  }
  await stage?.core.close()
  console.log(`${SCHEDULES} schedules: ${JSON.stringify(total)}`)
  for (const count of Object.values(total)) expect(count).toBeGreaterThan(SCHEDULES)
}, 3_600_000)

async function runSchedule(stage: Stage, seed: number) {
  const random = seededRandom(seed)
  const name = `t${seed}`
  const { id } = await stage.createTopic(name)
  const topic = { name, id }
  const network = new Network(stage, random)
  const producers = [0, 1].map((index) => new ScheduledProducer(`${seed}.${index}`, network, topic, random))
  for (const producer of producers) await producer.begin()
  const count = 2 + randomBelow(random, 3)
  for (let round = 0; round < count; round++) {
    for (const producer of producers) {
      const outcome = random.next() < 0.65 ? 'commit' : 'abort'
      if (random.next() < 0.15) {
        await producer.transaction(outcome, randomBelow(random, 4))
        await network.deliverLate(0.3)
        await producer.begin()
      } else await producer.transaction(outcome)
      await network.deliverLate(0.3)
    }
  }
  await network.deliverLate(1)
  // Whatever a late request has opened ends within its timeout.
  await network.pass(TIMEOUT_MS + 1000)
  await settle()
  await checkTopic(
    stage,
    topic,
    producers.flatMap(({ transactions }) => transactions),
  )
  for (const producer of producers) await checkOffset(stage, topic, producer)
  return network.counts
}

async function checkTopic(stage: Stage, { id: topicId }: ScheduledTopic, transactions: readonly Written[]) {
  for (const log of stage.services.engine.topicById(topicId)!.partitions) {
    expect(log.lastStableOffset, 'nobody is held up').toBe(log.highWatermark)
  }
  const partitions = [0, 1].map((partition) => ({ partition, fetchOffset: 0, partitionMaxBytes: 2 ** 20 }))
  const read = { maxWaitMs: 0, minBytes: 0, topics: [{ topicId, partitions }] }
  const committed = await stage.call(fetch, { ...read, isolationLevel: 1 })
  const all = await stage.call(fetch, { ...read, isolationLevel: 0 })
  for (const partition of [0, 1]) {
    const valuesOf = ({ values }: Written) =>
      values.filter((each) => each.partition === partition).map(({ value }) => value)
    const seen = committedOf(committed.responses[0]!.partitions[partition]!).placed.map(({ value }) => value)
    const isSeen = (transaction: Written) => {
      if (transaction.outcome !== 'unknown') return transaction.outcome === 'committed'
      return transaction.values.some(({ partition: at, value }) => at === partition && seen.includes(value))
    }
    const expected = transactions.filter(isSeen).flatMap(valuesOf)
    expect([...seen].sort(), `partition ${partition}`).toEqual([...expected].sort())
    const stored = committedOf({ ...all.responses[0]!.partitions[partition]!, abortedTransactions: [] }).placed
    expect(new Set(stored.map(({ value }) => value)).size, 'nothing is there twice').toBe(stored.length)
  }
}

/** The offset of the last transaction that committed one. */
async function checkOffset(stage: Stage, { id: topicId }: ScheduledTopic, producer: ScheduledProducer): Promise<void> {
  const { groups } = await stage.call(offsetFetch, {
    groups: [{ groupId: producer.group, topics: [{ topicId, partitionIndexes: [0] }] }],
    requireStable: true,
  })
  const { errorCode, committedOffset } = groups[0]!.topics[0]!.partitions[0]!
  expect(errorCode, 'offsets are decided').toBe(0)
  const committing = producer.transactions.filter(
    ({ offset, outcome }) => offset !== undefined && outcome !== 'aborted',
  )
  expect([-1, ...committing.map(({ offset }) => offset!)].at(-1)).toBe(committedOffset)
}
