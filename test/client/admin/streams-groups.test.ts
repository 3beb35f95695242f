/** Groups of Kafka Streams administered by Ottla's client, through both doors. */
import { describe, expect, test } from 'vitest'
import { connect } from '../../../client/node.ts'
import { counter, StreamsMember } from '../../server/groups/streams/streams-member.ts'
import { startRelay } from '../../support/relay.ts'
import { RelayClient } from '../../support/relay-client.ts'

describe.each(['WebSocket', 'TCP'])('[STG-12] over %s', (door) => {
  test('described, with what the application does and who runs what; offsets set, listed, forgotten; deleted', async () => {
    const relay = await startRelay({ config: { kafkaPort: 0 } })
    const client = await RelayClient.open(relay.websocket.url)
    await client.createTopic('lines', { partitions: 2 })
    const member = new StreamsMember(client, 'm')
    await member.join()
    const ottla = await connect(door === 'TCP' ? `kafka://${relay.kafka!.address}` : relay.websocket.url)
    try {
      const { admin } = ottla
      const tasks = ['0', '1'].flatMap((subtopology) => [0, 1].map((partition) => ({ subtopology, partition })))
      const [described, missing] = await admin.describeStreamsGroups(['app', 'nobody']).settled()
      expect(missing!.error).toMatchObject({ code: 'UNKNOWN_GROUP' })
      const nothing = { repartitionSources: [], repartitionSinks: [], changelogs: [], sources: [] }
      expect(described!.value).toMatchObject({
        ...{ groupId: 'app', type: 'streams', state: 'Stable', groupEpoch: 1, topologyEpoch: counter().epoch },
        subtopologies: [
          { ...nothing, id: '0', sources: ['lines'], repartitionSinks: ['app-words'] },
          { ...nothing, id: '1', repartitionSources: ['app-words'], changelogs: ['app-counts'] },
        ],
        members: [{ memberId: 'm', memberEpoch: 1, processId: 'm', tasks: { active: tasks, standby: [], warmup: [] } }],
      })
      await expect(admin.describeClassicGroups(['app'])).rejects.toMatchObject({ code: 'UNKNOWN_GROUP' })
      await expect(admin.deleteStreamsGroups(['app'])).rejects.toMatchObject({ code: 'GROUP_NOT_EMPTY' })
      await member.beat({ memberEpoch: -1, activeTasks: null })
      await admin.alterStreamsGroupOffsets('app', [{ topic: 'lines', partition: 1, offset: 0 }])
      const [listed] = await admin.listStreamsGroupOffsets(['app'])
      expect(listed!.offsets).toMatchObject([{ topic: 'lines', partition: 1, offset: 0 }])
      await admin.deleteStreamsGroupOffsets('app', [{ topic: 'lines', partition: 1 }])
      expect((await admin.listStreamsGroupOffsets(['app']))[0]!.offsets).toEqual([])
      await admin.deleteStreamsGroups(['app'])
      expect(await admin.listGroups()).toEqual([])
    } finally {
      await ottla.close()
    }
  })
})
