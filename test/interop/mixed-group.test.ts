/** Ottla's own consumers and kafkajs in one group: they share partitions, and one takes over where the other was. */
import { onTestFinished, test } from 'vitest'
import { bytes, connect } from '../../client/index.ts'
import type { Relay } from '../../server/relay.ts'
import {
  HEARTBEAT_MS,
  hex,
  type LibraryMember,
  relayForGroups,
  SESSION_MS,
  type SeenRecord,
  sharesAndTakesOver,
} from './group-scenario.ts'
import { kafkajsMember } from './kafkajs-member.ts'

async function ottlaMember(
  relay: Relay,
  groupId: string,
  topic: string,
  assignor: 'RoundRobinAssigner' | 'cooperative-sticky',
): Promise<LibraryMember> {
  const ottla = await connect(relay.websocket.url)
  onTestFinished(() => ottla.close())
  const timing = { sessionTimeoutMs: SESSION_MS, heartbeatMs: HEARTBEAT_MS, rebalanceTimeoutMs: SESSION_MS }
  const group = ottla.group(groupId, { ...timing, assignors: [assignor] })
  const consumer = group.read(topic, { key: bytes, value: bytes, from: 'beginning' })
  const seen: SeenRecord[] = []
  const done = consumer.each(({ partition, offset, timestamp, key, value, headers }) => {
    const round = headers.find((header) => header.key === 'round')
    seen.push({
      partition,
      offset,
      timestamp,
      key: hex(key),
      value: hex(value),
      headers: { round: hex(round?.value)! },
    })
  })
  return {
    seen,
    async close() {
      await consumer.close()
      await done
    },
  }
}

test('[CON-20] kafkajs and this client share a topic; kafkajs leaves, this client takes over', async () => {
  const relay = await relayForGroups()
  const starts = [kafkajsMember, (...of: [Relay, string, string]) => ottlaMember(...of, 'RoundRobinAssigner')]
  await sharesAndTakesOver(relay, (group, topic) => starts.shift()!(relay, group, topic))
}, 60_000)

test('[CON-20] this client leaves, kafkajs takes over', async () => {
  const relay = await relayForGroups()
  const starts = [(...of: [Relay, string, string]) => ottlaMember(...of, 'RoundRobinAssigner'), kafkajsMember]
  await sharesAndTakesOver(relay, (group, topic) => starts.shift()!(relay, group, topic))
}, 60_000)
