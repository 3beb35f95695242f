/** What consumers meet that should not happen often: offsets that are gone, logs that were cut, assignors of both kinds. */
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import type { OnMissingOffset } from '../../../client/consumer/source.ts'
import type { GroupOptions } from '../../../client/group/options.ts'
import { connect, json, type Ottla } from '../../../client/index.ts'
import { createRelay, type Relay } from '../../../server/relay.ts'
import { MemoryFiles } from '../../../server/storage/memory-files.ts'
import { eventually } from '../../support/eventually.ts'

let relay: Relay
const AT = { topic: 'orders', partition: 0 }

beforeEach(async () => {
  relay = await createRelay({
    files: new MemoryFiles(),
    config: {
      ...{ dataDir: 'data', httpPort: 0, groupInitialRebalanceDelayMs: 50, groupMinSessionTimeoutMs: 500 },
      groupConsumerHeartbeatIntervalMs: 100,
    },
  })
  // After the clients, whose consumers would look for it for a while.
  onTestFinished(() => relay.close())
})

async function client(): Promise<Ottla> {
  const ottla = await connect(relay.websocket.url, { backoff: { delayMsFirst: 50 } })
  onTestFinished(() => ottla.close())
  return ottla
}

async function write(ottla: Ottla, partitions: number, first: number, count: number): Promise<void> {
  const messages = Array.from({ length: count }, (_, index) => ({
    value: first + index,
    partition: index % partitions,
  }))
  const topic = ottla.topic('orders', { value: json<number>() })
  await Promise.all(topic.sendAll(messages).map(({ committed }) => committed))
}

async function committedOf(ottla: Ottla): Promise<number[]> {
  const [group] = await ottla.admin.listConsumerGroupOffsets(['g'])
  return group!.offsets.map(({ offset }) => offset)
}

function reader(ottla: Ottla, onMissingOffset?: OnMissingOffset) {
  const consumer = ottla
    .group('g')
    .read('orders', { value: json<number>(), ...(onMissingOffset && { onMissingOffset }) })
  const seen: number[] = []
  const gaps: unknown[] = []
  consumer.onGap(({ topic, partition, from, to, reason }) => gaps.push({ topic, partition, from, to, reason }))
  const done = consumer.each(({ value }) => void seen.push(value!))
  done.catch(() => {})
  return { consumer, seen, gaps, done }
}

test('[CON-40] records that were deleted before a group came to them are told as a gap, and reading goes on', async () => {
  const ottla = await client()
  await ottla.admin.createTopics([{ name: 'orders', partitions: 1 }])
  await write(ottla, 1, 0, 10)
  await ottla.admin.alterConsumerGroupOffsets('g', [{ ...AT, offset: 3 }])
  await ottla.admin.deleteRecords([{ ...AT, beforeOffset: 6 }])
  const refused = reader(ottla, 'fail')
  await expect(refused.done).rejects.toMatchObject({ code: 'OFFSET_OUT_OF_RANGE' })
  expect(await committedOf(ottla)).toEqual([3])
  const { consumer, seen, gaps, done } = reader(ottla)
  await eventually(() => seen.length === 4)
  expect(seen).toEqual([6, 7, 8, 9])
  expect(gaps).toEqual([{ ...AT, from: 3, to: 6, reason: 'deleted' }])
  await consumer.close()
  await done
  expect(await committedOf(ottla)).toEqual([10])
})

test('[CON-40] a log that ends before what a group has committed is read on from its end, and that is committed', async () => {
  const ottla = await client()
  await ottla.admin.createTopics([{ name: 'orders', partitions: 1 }])
  await write(ottla, 1, 0, 5)
  await ottla.admin.alterConsumerGroupOffsets('g', [{ ...AT, offset: 9 }])
  const { consumer, seen, gaps, done } = reader(ottla)
  await eventually(() => gaps.length === 1)
  expect(gaps).toEqual([{ ...AT, from: 9, to: 5, reason: 'truncated' }])
  await write(ottla, 1, 5, 2)
  await eventually(() => seen.length === 2)
  expect(seen).toEqual([5, 6])
  await consumer.close()
  await done
  expect(await committedOf(ottla)).toEqual([7])
})

test('[CON-35] what is left in hand of a topic that is made anew is not handed out, nor committed for the new one', async () => {
  const ottla = await client()
  await ottla.admin.createTopics([{ name: 'orders', partitions: 1 }])
  await write(ottla, 1, 0, 10)
  const timing = { sessionTimeoutMs: 5_000, rebalanceTimeoutMs: 5_000, heartbeatMs: 100 }
  const consumer = ottla
    .group('g', { ...timing, groupProtocol: 'classic' })
    .read('orders', { value: json<number>(), from: 'beginning' })
  const seen: number[] = []
  let goOn = () => {}
  const done = consumer.each(async ({ value }) => {
    seen.push(value!)
    if (value === 0) await new Promise<void>((resolve) => (goOn = resolve))
  })
  await eventually(() => seen.length === 1)
  await ottla.admin.deleteTopics(['orders'])
  await ottla.admin.createTopics([{ name: 'orders', partitions: 1 }])
  await write(await client(), 1, 100, 3)
  await eventually(() => consumer.status?.partitions[0]?.end === 3, { withinMs: 15_000 })
  goOn()
  await eventually(() => seen.includes(102))
  expect(seen).toEqual([0, 100, 101, 102])
  await consumer.close()
  await done
  expect(await committedOf(ottla)).toEqual([3])
})

test('[CON-41] a member that only knows an eager assignor and one that knows a cooperative one too divide a topic', async () => {
  const [one, two] = [await client(), await client()]
  await one.admin.createTopics([{ name: 'orders', partitions: 4 }])
  const timing = { sessionTimeoutMs: 2_000, rebalanceTimeoutMs: 3_000, heartbeatMs: 100 }
  const member = (ottla: Ottla, assignors: GroupOptions['assignors']) => {
    const consumer = ottla
      .group('g', { ...timing, assignors })
      .read('orders', { value: json<number>(), from: 'beginning' })
    const seen: number[] = []
    const done = consumer.each(({ value }) => void seen.push(value!))
    return { consumer, seen, done, parts: () => consumer.status?.partitions.map(({ partition }) => partition).sort() }
  }
  const both = member(one, ['cooperative-sticky', 'range'])
  await eventually(() => both.parts()?.length === 4)
  await write(one, 4, 0, 20)
  await eventually(() => both.seen.length === 20)
  const eager = member(two, ['range'])
  await eventually(() => both.parts()?.length === 2 && eager.parts()?.length === 2, { withinMs: 10_000 })
  expect([both.parts(), eager.parts()].sort()).toEqual([
    [0, 1],
    [2, 3],
  ])
  await write(one, 4, 20, 20)
  await eventually(() => both.seen.length + eager.seen.length === 40)
  await both.consumer.close()
  await eventually(() => eager.parts()?.length === 4)
  await write(one, 4, 40, 4)
  await eventually(() => both.seen.length + eager.seen.length === 44)
  expect([...both.seen, ...eager.seen].sort((a, b) => a - b)).toEqual(Array.from({ length: 44 }, (_, index) => index))
  await eager.consumer.close()
  await Promise.all([both.done, eager.done])
})
