/** A member of a group by @platformatic/kafka. */
import { Consumer } from '@platformatic/kafka'
import { onTestFinished } from 'vitest'
import type { Relay } from '../../server/relay.ts'
import { HEARTBEAT_MS, hex, type LibraryMember, SESSION_MS, type SeenRecord } from './group-scenario.ts'
import type { GroupProtocol } from './support/driver.ts'

export const baseOf = (relay: Relay) => ({ clientId: 'platformatic', bootstrapBrokers: [relay.kafka!.address] })

export async function platformaticMember(
  relay: Relay,
  groupId: string,
  topic: string,
  groupProtocol: GroupProtocol = 'classic',
): Promise<LibraryMember> {
  const timing = { sessionTimeout: SESSION_MS, heartbeatInterval: HEARTBEAT_MS, rebalanceTimeout: SESSION_MS }
  const consumer = new Consumer({ ...baseOf(relay), groupId, groupProtocol, ...timing, maxWaitTime: 100 })
  const stream = await consumer.consume({
    topics: [topic],
    mode: 'committed',
    fallbackMode: 'earliest',
    autocommit: true,
  })
  const seen: SeenRecord[] = []
  stream.on('error', () => {})
  stream.on('data', ({ partition, offset, timestamp, key, value, headers }) => {
    const [round] = headers.values()
    seen.push({
      ...{ partition, offset: Number(offset), timestamp: Number(timestamp) },
      ...{ key: hex(key), value: hex(value), headers: { round: hex(round)! } },
    })
  })
  let closing: Promise<void> | undefined
  const close = (): Promise<void> => {
    closing ??= Promise.resolve(consumer.close(true))
    return closing
  }
  onTestFinished(() => close().catch(() => {}))
  return { seen, close, mayRepeat: true }
}
