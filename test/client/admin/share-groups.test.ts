/** Share groups administered by Ottla's client, through both doors. */
import { describe, expect, test } from 'vitest'
import { connect } from '../../../client/node.ts'
import { AcknowledgeType } from '../../../protocol/messages/share-fetch.ts'
import { configureGroup, ShareMember } from '../../server/groups/share/share-member.ts'
import { startRelay } from '../../support/relay.ts'
import { RelayClient } from '../../support/relay-client.ts'

describe.each(['WebSocket', 'TCP'])('[SHR-16] over %s', (door) => {
  test('listed, described with lag, set back, forgotten, deleted', async () => {
    const relay = await startRelay({ config: { kafkaPort: 0 } })
    const client = await RelayClient.open(relay.websocket.url)
    const topicId = await client.createTopic('t')
    await client.produce(topicId, ['0', '1', '2', '3', '4'])
    await configureGroup(client, 'workers', { 'share.auto.offset.reset': 'earliest' })
    const member = new ShareMember(client, 'w', 'workers')
    await member.join('t')
    await member.fetch(topicId)
    await member.acknowledge(topicId, [
      [0, 1, AcknowledgeType.accept],
      [3, 3, AcknowledgeType.reject],
    ])
    const ottla = await connect(door === 'TCP' ? `kafka://${relay.kafka!.address}` : relay.websocket.url)
    try {
      const { admin } = ottla
      const listing = { groupId: 'workers', type: 'share', state: 'Stable', protocolType: 'share' }
      expect(await admin.listShareGroups()).toEqual([listing])
      expect(await admin.listConsumerGroups()).toEqual([])
      const [described, missing] = await admin.describeShareGroups(['workers', 'nobody'], { lag: true }).settled()
      expect(missing!.error).toMatchObject({ code: 'UNKNOWN_GROUP' })
      expect(described!.value).toMatchObject({
        ...{ ...listing, assignor: 'simple', groupEpoch: 1 },
        members: [{ memberId: 'w', memberEpoch: 1, assignment: [{ topic: 't', partition: 0 }], subscribed: ['t'] }],
        lag: [{ topic: 't', partition: 0, committed: 2, end: 5, lag: 2, memberId: null }],
      })
      const offsets = [{ topic: 't', partition: 0, startOffset: 2, lag: 2 }]
      expect(await admin.listShareGroupOffsets(['workers'])).toEqual([{ groupId: 'workers', offsets }])
      const busy = { code: 'GROUP_NOT_EMPTY' }
      await expect(
        admin.alterShareGroupOffsets('workers', [{ topic: 't', partition: 0, offset: 1 }]),
      ).rejects.toMatchObject(busy)
      await expect(admin.deleteShareGroupOffsets('workers', ['t'])).rejects.toMatchObject(busy)
      await expect(admin.deleteShareGroups(['workers'])).rejects.toMatchObject(busy)
      await member.leave()
      await admin.alterShareGroupOffsets('workers', [{ topic: 't', partition: 0, offset: 1 }])
      const moved = await admin.resetShareGroupOffsets('workers', { to: 'latest' })
      expect(moved).toEqual([{ topic: 't', partition: 0, from: 1, to: 5 }])
      expect((await admin.listShareGroupOffsets(['workers']))[0]!.offsets).toMatchObject([{ startOffset: 5, lag: 0 }])
      await expect(admin.deleteConsumerGroupOffsets('workers', [{ topic: 't', partition: 0 }])).rejects.toMatchObject({
        code: 'UNKNOWN_GROUP',
      })
      expect(await admin.deleteShareGroupOffsets('workers', ['t'])).toEqual(['t'])
      expect((await admin.listShareGroupOffsets(['workers']))[0]!.offsets).toEqual([])
      await admin.deleteShareGroups(['workers'])
      expect(await admin.listShareGroups()).toEqual([])
    } finally {
      await ottla.close()
    }
  })
})
