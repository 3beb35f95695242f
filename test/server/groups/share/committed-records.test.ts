/** Share groups that hand out committed records only. */
import { expect, test } from 'vitest'
import { describeShareGroupOffsets } from '../../../../protocol/messages/share-offsets.ts'
import { startRelay } from '../../../support/relay.ts'
import { RelayClient } from '../../../support/relay-client.ts'
import { TransactionalClient } from '../../transactions/transactional-client.ts'
import { configureGroup, ShareMember, type TakenRecord } from './share-member.ts'

const valuesOf = (records: readonly TakenRecord[]) => records.map(({ value }) => value)

async function stage(isolation: string) {
  const relay = await startRelay()
  const client = await RelayClient.open(relay.websocket.url)
  const topicId = await client.createTopic('t')
  await configureGroup(client, 'g', { 'share.auto.offset.reset': 'earliest', 'share.isolation.level': isolation })
  const member = new ShareMember(client, 'a')
  await member.join('t')
  const producer = new TransactionalClient(client)
  await producer.init()
  const write = (...values: string[]) => producer.write({ name: 't', topicId }, values)
  return { client, topicId, member, producer, write }
}

test('[SHR-10] what is open or was aborted is never handed out; markers count for nothing', async () => {
  const { client, topicId, member, producer, write } = await stage('read_committed')
  await write('aborted 1', 'aborted 2')
  await producer.end('abort')
  await client.produce(topicId, ['plain'])
  await write('committed')
  const waiting = member.fetch(topicId, { maxWaitMs: 60_000 })
  expect(valuesOf(await waiting)).toEqual(['plain'])
  expect(await member.fetch(topicId)).toEqual([])
  const next = member.fetch(topicId, { maxWaitMs: 60_000 })
  await producer.end('commit')
  const records = await next
  expect(valuesOf(records)).toEqual(['committed'])
  await member.accept(topicId, [{ offset: 3, value: 'plain', deliveryCount: 1 }, ...records])
  expect(await member.fetch(topicId)).toEqual([])
  const { groups } = await client.call(describeShareGroupOffsets, { groups: [{ groupId: 'g', topics: null }] })
  expect(groups[0]!.topics[0]!.partitions[0]).toMatchObject({ startOffset: 6, lag: 0 })
})

test('[SHR-10] a group that wants everything is handed everything, as it comes', async () => {
  const { topicId, member, producer, write } = await stage('read_uncommitted')
  await write('open')
  expect(valuesOf(await member.fetch(topicId))).toEqual(['open'])
  await producer.end('abort')
  await write('next')
  expect(valuesOf(await member.fetch(topicId))).toEqual(['next'])
})
