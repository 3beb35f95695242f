/** @platformatic/kafka in consumer groups, unmodified: newer versions of the same requests than kafkajs speaks. */
import { Admin } from '@platformatic/kafka'
import { expect, onTestFinished, test } from 'vitest'
import type { Relay } from '../../server/relay.ts'
import { eventually } from '../support/eventually.ts'
import { RelayClient } from '../support/relay-client.ts'
import { committedOffsets, PARTITIONS, relayForGroups, sharesAndTakesOver, writeRound } from './group-scenario.ts'
import { baseOf, platformaticMember } from './platformatic-member.ts'

function adminOf(relay: Relay): Admin {
  const admin = new Admin(baseOf(relay))
  onTestFinished(() => admin.close())
  return admin
}

test.each(['classic', 'consumer'] as const)(
  '[GRP-20] @platformatic/kafka: two members share, one leaves, the other takes over; bytes and commits agree (%s protocol)',
  async (protocol) => {
    const relay = await relayForGroups()
    const start = (group: string, topic: string) => platformaticMember(relay, group, topic, protocol)
    await sharesAndTakesOver(relay, start, protocol)
  },
  60_000,
)

test.each([
  ['GRP-45', 'classic', 'consumer'],
  ['GRP-46', 'consumer', 'classic'],
] as const)(
  '[%s] @platformatic/kafka: a member of the %s protocol and one of the %s protocol share, the first leaves, the other takes over',
  async (_rule, first, second) => {
    const relay = await relayForGroups()
    const protocols: Array<'classic' | 'consumer'> = [first, second]
    const start = (group: string, topic: string) => platformaticMember(relay, group, topic, protocols.shift())
    await sharesAndTakesOver(relay, start, 'consumer', second)
  },
  60_000,
)

test("[GRP-20] @platformatic/kafka's admin: groups, their offsets, their end", async () => {
  const relay = await relayForGroups()
  const client = await RelayClient.open(relay.websocket.url)
  const topicId = await client.createTopic('shared', { partitions: PARTITIONS })
  await writeRound(client, topicId, 0)
  const member = await platformaticMember(relay, 'g', 'shared')
  await eventually(() => member.seen.length === PARTITIONS, { withinMs: 20_000 })
  const admin = adminOf(relay)
  const described = (await admin.describeGroups({ groups: ['g'] })).get('g')!
  expect(described).toMatchObject({ id: 'g', state: 'STABLE', protocolType: 'consumer' })
  expect(described.members.size).toBe(1)
  await member.close()
  expect([...(await admin.listGroups()).keys()]).toEqual(['g'])

  const topics = [{ name: 'shared', partitionOffsets: [{ partition: 2, offset: 0n }] }]
  await admin.alterConsumerGroupOffsets({ groupId: 'g', topics })
  const [listed] = await admin.listConsumerGroupOffsets({ groups: ['g'] })
  const offsets = listed!.topics[0]!.partitions.map(({ partitionIndex, committedOffset }) => [
    partitionIndex,
    Number(committedOffset),
  ])
  expect(Object.fromEntries(offsets)).toEqual({ 0: 1, 1: 1, 2: 0, 3: 1 })
  await admin.deleteConsumerGroupOffsets({ groupId: 'g', topics: [{ name: 'shared', partitionIndexes: [1] }] })
  expect(await committedOffsets(client, 'g')).toEqual({ 0: 1, 2: 0, 3: 1 })
  await admin.deleteGroups({ groups: ['g'] })
  expect([...(await admin.listGroups()).keys()]).toEqual([])
}, 60_000)
