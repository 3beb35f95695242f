/** What senders learn of their records: handled, given up, too late, or not to be known; never more than is true. */
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest'
import { connect, type Ottla, string } from '../../../client/index.ts'
import { fateOf } from '../../../client/receipts/progress.ts'
import { ProgressWatcher } from '../../../client/receipts/progress-watcher.ts'
import type { Session } from '../../../client/session.ts'
import { HandClock } from '../../../protocol/lib/clock.ts'
import { offsetCommit } from '../../../protocol/messages/group-offsets.ts'
import { createRelay, type Relay } from '../../../server/relay.ts'
import { MemoryFiles } from '../../../server/storage/memory-files.ts'
import { eventually } from '../../support/eventually.ts'
import { RelayClient } from '../../support/relay-client.ts'

let relay: Relay
const FAST = { sessionTimeoutMs: 3_000, rebalanceTimeoutMs: 3_000, heartbeatMs: 100 }
const files = { current: new MemoryFiles() }
const start = (httpPort = 0) =>
  createRelay({
    files: files.current,
    config: {
      dataDir: 'data',
      httpPort,
      kafkaPort: 0,
      groupInitialRebalanceDelayMs: 20,
      groupMinSessionTimeoutMs: 500,
    },
  })

beforeEach(async () => {
  files.current = new MemoryFiles()
  relay = await start()
})

afterEach(async () => {
  await relay.close()
})

async function client(): Promise<Ottla> {
  const ottla = await connect(relay.websocket.url, { backoff: { delayMsFirst: 20, delayMsMax: 100 } })
  onTestFinished(() => ottla.close())
  return ottla
}

async function topic(ottla: Ottla) {
  await ottla.admin.createTopics([{ name: 'orders', partitions: 1 }])
  return ottla.topic('orders', { value: string })
}

const outcome = (promise: Promise<unknown>) =>
  promise.then(
    () => 'handled',
    (error: { code: string }) => error.code,
  )

test('[RCP-10] a receipt resolves when the group has committed past the record, and not while the handler is at it', async () => {
  const [sender, reader] = [await client(), await client()]
  const orders = await topic(sender)
  let release = () => {}
  const started: string[] = []
  const consumer = reader.group('billing', FAST).read('orders', { value: string, from: 'beginning' })
  const done = consumer.each(async ({ value }) => {
    started.push(value!)
    if (value === 'slow') await new Promise<void>((resolve) => (release = resolve))
  })
  const quick = orders.send({ value: 'quick' }, { receipt: 'billing' })
  const slow = orders.send({ value: 'slow' }, { receipt: ['billing'] })
  await quick.processed
  await eventually(() => started.length === 2)
  let isTold = false
  void slow.processed.then(() => (isTold = true))
  await slow.committed
  expect(isTold).toBe(false)
  release()
  await slow.processed
  await consumer.close()
  await done
})

test('[RCP-11] a dead letter and a record left out reject with the reason; the ones around them are handled', async () => {
  const [sender, reader] = [await client(), await client()]
  const orders = await topic(sender)
  const consume = (group: string, orElse: 'dead-letter' | 'skip') => {
    const retry = { attempts: 1, orElse }
    const consumer = reader.group(group, FAST).read('orders', { value: string, from: 'beginning', retry })
    void consumer.each(({ value }) => {
      if (value === 'bad') throw new Error('no stock')
    })
    return consumer
  }
  const consumers = [consume('billing', 'dead-letter'), consume('mail', 'skip')]
  await eventually(() => consumers.every(({ status }) => status?.partitions[0]?.state === 'reading'))
  const sent = ['a', 'bad', 'c'].map((value) =>
    ['billing', 'mail'].map((receipt) => orders.send({ value }, { receipt })),
  )
  expect(await Promise.all(sent[0]!.map(({ processed }) => outcome(processed)))).toEqual(['handled', 'handled'])
  expect(await Promise.all(sent[1]!.map(({ processed }) => outcome(processed)))).toEqual(['DEAD_LETTERED', 'SKIPPED'])
  expect(await Promise.all(sent[2]!.map(({ processed }) => outcome(processed)))).toEqual(['handled', 'handled'])
  const error = await sent[1]![0]!.processed.catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ cause: { reason: 'no stock', place: { topic: 'orders.billing.dlq', partition: 0 } } })
})

test('[RCP-11] what is passed over because the log has deleted the place where the group was is left out, whatever comes first behind it', async () => {
  const [sender, reader] = [await client(), await client()]
  const orders = await topic(sender)
  const sent = Array.from({ length: 10 }, (_, index) => orders.send({ value: `${index}` }, { receipt: 'billing' }))
  await Promise.all(sent.map(({ committed }) => committed))
  const at = { topic: 'orders', partition: 0 }
  await sender.admin.alterConsumerGroupOffsets('billing', [{ ...at, offset: 1 }])
  await sender.admin.deleteRecords([{ ...at, beforeOffset: 5 }])
  const options = { value: string, from: 'beginning', onMissingOffset: 'latest' } as const
  const consumer = reader.group('billing', FAST).read('orders', options)
  let hasGap = false
  consumer.onGap(() => (hasGap = true))
  void consumer.each(() => {})
  await eventually(() => hasGap)
  const producer = await sender.producer({ transactionalId: 'tx' })
  await producer.begin()
  await producer.send('orders', { value: 'never' })
  await producer.abort()
  expect(await outcome(sent[7]!.processed)).toBe('SKIPPED')
  await consumer.close()
})

test('[RCP-11] who asks about an earlier record than others do is not answered by what they were told', async () => {
  const asked: Array<{ body: { watches: Array<Record<string, unknown>> }; answer(answer: unknown): void }> = []
  let push: (news: unknown) => void = () => {}
  const session = {
    ...{ state: { phase: 'live' }, onState: () => () => {}, onProgress: (hear: typeof push) => (push = hear) },
    call: (_api: unknown, body: (typeof asked)[number]['body']) =>
      new Promise((answer) => asked.push({ body, answer: (state) => answer({ watches: [state] }) })),
  } as unknown as Session
  const clock = new HandClock()
  const watcher = new ProgressWatcher(session, clock)
  const at = { groupId: 'g', topicId: 'T', partition: 0 }
  const skipped = { from: 3, to: 4, how: 1, reason: 'bad', deadTopic: '', deadPartition: -1, deadOffset: -1 }
  const ask = (offset: number) => watcher.progress({ group: 'g', topicId: 'T', partition: 0, offset }, 30_000)
  void ask(5)
  asked[0]!.answer({ ...at, errorCode: 0, committed: 3, knownFrom: 0, failed: [] })
  await clock.advanceAsync(1)
  const earlier = ask(3)
  // On its way before the second question came: what was given up below the first one's record was left out.
  push({ ...at, errorCode: 0, committed: 4, knownFrom: 0, failed: [] })
  expect(asked[1]!.body.watches[0]).toMatchObject({ fromOffset: 3 })
  asked[1]!.answer({ ...at, errorCode: 0, committed: 4, knownFrom: 0, failed: [skipped] })
  expect(fateOf(3, await earlier)).toMatchObject({ is: 'given-up' })
  const late = ask(2)
  await clock.advanceAsync(30_000)
  expect(fateOf(2, await late)).toEqual({ is: 'waiting' })
})

test('[RCP-12] a deadline ends the wait; a group that an operator moves on has handled nothing', async () => {
  const sender = await client()
  const orders = await topic(sender)
  const late = orders.send({ value: 'a' }, { receipt: 'nobody', deadlineMs: 50 })
  expect(await outcome(late.processed)).toBe('DEADLINE')
  // Longer than timers can wait.
  const patient = orders.send({ value: 'a' }, { receipt: 'nobody', deadlineMs: 30 * 86_400_000 })
  let hasEnded = false
  patient.processed.catch(() => (hasEnded = true))
  const moved = orders.send({ value: 'b' }, { receipt: 'moved' })
  const { offset } = await moved.committed
  const { id: topicId } = await orders.info()
  const tool = await RelayClient.open(relay.websocket.url)
  const reset = (committedOffset: number) =>
    tool.call(offsetCommit, {
      ...{ groupId: 'moved', memberId: '', groupInstanceId: null },
      topics: [{ topicId, partitions: [{ partitionIndex: 0, committedOffset, committedMetadata: null }] }],
    })
  await reset(0)
  await reset(offset + 1)
  expect(await outcome(moved.processed)).toBe('PROCESSING_UNKNOWN')
  const signal = AbortSignal.timeout(20)
  expect(await outcome(orders.send({ value: 'c' }, { receipt: 'nobody', signal }).processed)).toBe('ABORTED')
  expect(hasEnded).toBe(false)
})

test('[RCP-13] a wait goes on over a relay that restarts, and a topic that goes leaves it unknown', async () => {
  const sender = await client()
  const orders = await topic(sender)
  const kept = orders.send({ value: 'a' }, { receipt: 'billing' })
  await kept.committed
  const port = Number(new URL(relay.websocket.url).port)
  await relay.close()
  relay = await start(port)
  const reader = await client()
  const consumer = reader.group('billing', FAST).read('orders', { value: string, from: 'beginning' })
  void consumer.each(() => {})
  await kept.processed
  await consumer.close()
  const gone = orders.send({ value: 'b' }, { receipt: 'later' })
  await gone.committed
  await sender.admin.deleteTopics(['orders'])
  expect(await outcome(gone.processed)).toBe('PROCESSING_UNKNOWN')
})
