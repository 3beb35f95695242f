/** A member of a group by kafkajs. */
import { Kafka, logLevel } from 'kafkajs'
import { onTestFinished } from 'vitest'
import type { Relay } from '../../server/relay.ts'
import { HEARTBEAT_MS, hex, type LibraryMember, SESSION_MS, type SeenRecord } from './group-scenario.ts'

export const kafkaOf = (relay: Relay) =>
  new Kafka({ brokers: [relay.kafka!.address], clientId: 'kafkajs', logLevel: logLevel.NOTHING })

export async function kafkajsMember(relay: Relay, groupId: string, topic: string): Promise<LibraryMember> {
  const timing = { sessionTimeout: SESSION_MS, heartbeatInterval: HEARTBEAT_MS, rebalanceTimeout: SESSION_MS }
  const consumer = kafkaOf(relay).consumer({ groupId, ...timing, maxWaitTimeInMs: 100 })
  const seen: SeenRecord[] = []
  onTestFinished(() => consumer.disconnect())
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await consumer.run({
    eachMessage: async ({ partition, message }) => {
      seen.push({
        partition,
        offset: Number(message.offset),
        timestamp: Number(message.timestamp),
        key: hex(message.key),
        value: hex(message.value),
        headers: { round: hex(message.headers!.round as Buffer)! },
      })
    },
  })
  return { seen, close: () => consumer.disconnect() }
}
