/** Batches that grow, written to a compacted topic: there the relay looks into what it is given. */
import { expect, test } from 'vitest'
import { ErrorCode } from '../../protocol/errors.ts'
import { ping } from '../../protocol/messages/offset-protocol.ts'
import { produce } from '../../protocol/messages/produce.ts'
import { startChildRelay } from '../server/support/child-relay.ts'
import { RelayClient } from '../support/relay-client.ts'
import { bombBatch, bombs } from './batches.ts'

const BOMBS = 60
const STALL_MS_MAX = 200
const GROWTH_BYTES_MAX = 128 * 1024 * 1024

test('[RPC-23] a request full of bombs to a compacted topic is refused; others are answered meanwhile, memory is bounded', async () => {
  const relay = await startChildRelay({ config: { httpPort: 0, dataDir: '/data' }, inMemory: true })
  const [attacker, healthy] = [await RelayClient.open(relay.websocket), await RelayClient.open(relay.websocket)]
  const topicId = await attacker.createTopic('t', { partitions: BOMBS, configs: { 'cleanup.policy': 'compact' } })
  for (const bomb of bombs()) {
    const before = await relay.report()
    const partitionData = Array.from({ length: BOMBS }, (_, index) => ({ index, records: bombBatch(bomb) }))
    const refused = attacker.call(produce, { acks: -1, timeoutMs: 10_000, topicData: [{ topicId, partitionData }] })
    await healthy.call(ping, { clientTimeMs: 1 })
    const { responses } = await refused
    const codes = new Set(responses[0]!.partitionResponses.map(({ errorCode }) => errorCode))
    const after = await relay.report()
    console.log({
      codec: bomb[0],
      codes,
      longestStall: after.longestStall,
      grownBytes: after.peakRssBytes - before.rssBytes,
    })
    expect(codes).toEqual(new Set([ErrorCode.INVALID_RECORD]))
    expect(after.longestStall?.stalledMs ?? 0).toBeLessThan(STALL_MS_MAX)
    expect(after.peakRssBytes - before.rssBytes).toBeLessThan(GROWTH_BYTES_MAX)
    expect(after.uncaught).toEqual([])
  }
}, 120_000)
