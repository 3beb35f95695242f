/** The wall clock jumps, as clocks do: nothing is deleted early, nobody is forgotten, no connection is given up. */
import { expect, test } from 'vitest'
import { ErrorCode } from '../../protocol/errors.ts'
import { systemClock } from '../../protocol/lib/clock.ts'
import { ping } from '../../protocol/messages/offset-protocol.ts'
import { initProducerId } from '../../protocol/messages/producers.ts'
import { stampProducer } from '../../protocol/record-batch.ts'
import { encodeBatch } from '../../protocol/records.ts'
import { createLogger } from '../../server/logger.ts'
import { recordsIn } from '../support/read-values.ts'
import { startRelay } from '../support/relay.ts'
import { RelayClient } from '../support/relay-client.ts'
import { openStage, TurningClock } from './transactions/stage.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

/** A real clock whose wall time is moved by hand; durations stay right. */
function skewedClock() {
  const skew = { ms: 0 }
  return { skew, clock: { ...systemClock, now: () => systemClock.now() + skew.ms } }
}

test('[LOG-104] a wall clock that jumps deletes nothing early, forgets no producer and closes no connection', async () => {
  const { skew, clock } = skewedClock()
  let warnings = 0
  const write = (line: string) => {
    if (/clock was set/.test(line)) warnings++
  }
  const logger = createLogger({ format: 'json', clock, write })
  const relay = await startRelay({ clock, logger, config: { retentionCheckMs: 200, heartbeatMs: 1000 } })
  const client = await RelayClient.open(relay.websocket.url)
  await client.sayHello()
  const configs = {
    'segment.bytes': '1024',
    'retention.ms': `${7 * DAY_MS}`,
    'producer.id.expiration.ms': `${7 * DAY_MS}`,
  }
  const topicId = await client.createTopic('t', { configs })
  const { producerId } = await client.call(initProducerId, { transactionTimeoutMs: 0 })
  const batches = Array.from({ length: 10 }, (_, sequence) => {
    const value = new TextEncoder().encode(`${sequence}`.padEnd(500, '.'))
    const batch = encodeBatch([{ key: null, value, timestamp: Date.now() }])
    stampProducer(batch, { producerId, producerEpoch: 0, baseSequence: sequence })
    return batch
  })
  for (const [offset, batch] of batches.entries())
    expect(await client.produce(topicId, batch.slice())).toMatchObject({ errorCode: 0, baseOffset: offset })
  const log = relay.engine.topicByName('t')!.partitions[0]!

  for (const jumpMs of [HOUR_MS * 2, -HOUR_MS * 2, 30 * DAY_MS, -30 * DAY_MS]) {
    // What the relay does by itself every so often, done right now.
    skew.ms = jumpMs
    for (let check = 0; check < 3; check++) expect(await log.enforceRetention()).toBe(0)
    skew.ms = 0
    expect(await log.enforceRetention()).toBe(0)
    expect(log.startOffset).toBe(0)
    expect(await client.produce(topicId, batches[9]!.slice())).toMatchObject({ errorCode: 0, baseOffset: 9 })
    expect(await client.call(ping, { clientTimeMs: 1 })).toMatchObject({ clientTimeMs: 1 })
  }
  expect(warnings).toBeGreaterThan(1)
  expect(client.closed).toBeUndefined()
  await client.subscribe(topicId, 0)
  const deliveries = await client.deliveredTo(10)
  expect(deliveries.flatMap(({ records }) => recordsIn(records)).map(({ offset }) => offset)).toEqual([
    ...Array(10).keys(),
  ])
})

test('[LOG-104] nor a transactional id', async () => {
  const clock = new TurningClock()
  const stage = await openStage({ clock })
  const request = { transactionalId: 'tx', transactionTimeoutMs: 60_000, producerId: -1, producerEpoch: -1 }
  const first = await stage.call(initProducerId, request)
  clock.jumpWallTo(clock.now() + 40 * DAY_MS)
  await clock.advanceAsync(5 * HOUR_MS)
  const next = await stage.call(initProducerId, request)
  expect(next).toMatchObject({ errorCode: 0, producerId: first.producerId, producerEpoch: 1 })
})

test('[LOG-105] offsets rise whatever the clock says; records from its future are refused', async () => {
  const { skew, clock } = skewedClock()
  const relay = await startRelay({ clock })
  const client = await RelayClient.open(relay.websocket.url)
  const topicId = await client.createTopic('t')
  const at = (timestamp: number) => encodeBatch([{ key: null, value: null, timestamp }])
  const offsets: number[] = []
  for (const ms of [0, -30 * DAY_MS, 30 * DAY_MS, -HOUR_MS, 0]) {
    skew.ms = ms
    const answer = await client.produce(topicId, at(clock.now()))
    offsets.push(answer.baseOffset)
    expect(await client.produce(topicId, at(clock.now() + 2 * HOUR_MS))).toMatchObject({
      errorCode: ErrorCode.INVALID_TIMESTAMP,
    })
  }
  expect(offsets).toEqual([0, 1, 2, 3, 4])
})
