/** kafkajs in consumer groups, unmodified. */
import type { Admin, RecordMetadata } from 'kafkajs'
import { expect, onTestFinished, test } from 'vitest'
import { describeGroups, listGroups } from '../../protocol/messages/group-admin.ts'
import { FROM_START } from '../../protocol/messages/offset-protocol.ts'
import type { Relay } from '../../server/relay.ts'
import { eventually } from '../support/eventually.ts'
import { recordsIn } from '../support/read-values.ts'
import { RelayClient } from '../support/relay-client.ts'
import { committedOffsets, PARTITIONS, relayForGroups, sharesAndTakesOver, writeRound } from './group-scenario.ts'
import { kafkajsMember, kafkaOf } from './kafkajs-member.ts'

async function adminOf(relay: Relay): Promise<Admin> {
  const admin = kafkaOf(relay).admin()
  await admin.connect()
  onTestFinished(() => admin.disconnect())
  return admin
}

test('[GRP-20] kafkajs: two members share, one leaves, the other takes over; bytes and commits agree', async () => {
  const relay = await relayForGroups()
  await sharesAndTakesOver(relay, (group, topic) => kafkajsMember(relay, group, topic))
}, 60_000)

test('[GRP-20] kafkajs writes what a WebSocket subscriber reads', async () => {
  const relay = await relayForGroups()
  const client = await RelayClient.open(relay.websocket.url)
  const topicId = await client.createTopic('written')
  const producer = kafkaOf(relay).producer({ idempotent: true, maxInFlightRequests: 1 })
  await producer.connect()
  onTestFinished(() => producer.disconnect())
  const messages = ['one', 'two'].map((value) => ({ key: 'k', value, headers: { h: 'x' }, timestamp: '1700000000001' }))
  const [sent] = (await producer.send({ topic: 'written', messages })) as [RecordMetadata]
  expect(sent.baseOffset).toBe('0')
  await client.subscribe(topicId, FROM_START)
  const records = (await client.deliveredTo(2)).flatMap((deliver) => recordsIn(deliver.records))
  expect(records).toEqual([
    { offset: 0, value: 'one' },
    { offset: 1, value: 'two' },
  ])
})

test("[GRP-20] kafkajs's admin resets, lists, describes and deletes", async () => {
  const relay = await relayForGroups()
  const client = await RelayClient.open(relay.websocket.url)
  const topicId = await client.createTopic('shared', { partitions: PARTITIONS })
  await writeRound(client, topicId, 0)
  await writeRound(client, topicId, 1)
  const first = await kafkajsMember(relay, 'g', 'shared')
  await eventually(() => first.seen.length === 2 * PARTITIONS, { withinMs: 20_000 })
  const admin = await adminOf(relay)
  const { groups: described } = await admin.describeGroups(['g'])
  expect(described[0]).toMatchObject({ groupId: 'g', state: 'Stable', protocolType: 'consumer', errorCode: 0 })
  expect(described[0]!.members).toHaveLength(1)
  expect((await admin.listGroups()).groups).toEqual([{ groupId: 'g', protocolType: 'consumer' }])
  await expect(admin.deleteGroups(['g'])).rejects.toThrow()
  await first.close()

  await admin.setOffsets({ groupId: 'g', topic: 'shared', partitions: [{ partition: 0, offset: '1' }] })
  expect((await committedOffsets(client, 'g'))[0]).toBe(1)
  await admin.resetOffsets({ groupId: 'g', topic: 'shared', earliest: true })
  const second = await kafkajsMember(relay, 'g', 'shared')
  await eventually(() => second.seen.length === 2 * PARTITIONS, { withinMs: 20_000 })
  await second.close()

  await admin.deleteGroups(['g'])
  expect((await client.call(listGroups, {})).groups).toEqual([])
  const { groups } = await client.call(describeGroups, { groups: ['g'] }, 5)
  expect(groups[0]!.groupState).toBe('Dead')
}, 60_000)
