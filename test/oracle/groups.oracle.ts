import { describe } from 'vitest'
import { ErrorCode } from '../../protocol/errors.ts'
import { findCoordinator } from '../../protocol/messages/coordinators.ts'
import { deleteGroups, describeGroups, listGroups } from '../../protocol/messages/group-admin.ts'
import { offsetCommit, offsetDelete, offsetFetch } from '../../protocol/messages/group-offsets.ts'
import { heartbeat, joinGroup, leaveGroup, syncGroup } from '../../protocol/messages/groups.ts'
import { eventually } from '../support/eventually.ts'
import type { KafkaWire } from '../support/kafka-wire.ts'
import { type Peer, scenario, type TopicOnPeer } from './support/compare.ts'
import { coordinatorIsThere } from './support/coordinator.ts'

const utf8 = new TextEncoder()
const NOT_YET: readonly number[] = [
  ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
  ErrorCode.COORDINATOR_NOT_AVAILABLE,
  ErrorCode.NOT_COORDINATOR,
]

/** ConsumerProtocolSubscription, version 0. */
function subscription(topic: string): Uint8Array {
  const name = utf8.encode(topic)
  return Uint8Array.from([0, 0, 0, 0, 0, 1, 0, name.length, ...name, 0xff, 0xff, 0xff, 0xff])
}

interface Joining {
  memberId?: string
  groupInstanceId?: string | null
  sessionTimeoutMs?: number
  protocolType?: string
  protocols?: string[]
  version?: number
}

function join(wire: KafkaWire, groupId: string, topic: string, fields: Joining = {}) {
  const {
    memberId = '',
    groupInstanceId = null,
    sessionTimeoutMs = 10_000,
    protocolType = 'consumer',
    protocols = ['range'],
    version = joinGroup.maxVersion,
  } = fields
  return wire.call(
    joinGroup,
    {
      ...{ groupId, memberId, groupInstanceId, sessionTimeoutMs, protocolType, rebalanceTimeoutMs: 10_000 },
      protocols: protocols.map((name) => ({ name, metadata: subscription(topic) })),
    },
    version,
  )
}

async function joinFully(wire: KafkaWire, groupId: string, topic: string, fields: Joining = {}) {
  const { memberId } = await join(wire, groupId, topic, fields)
  return join(wire, groupId, topic, { ...fields, memberId })
}

const sync = (
  wire: KafkaWire,
  groupId: string,
  generationId: number,
  memberId: string,
  parts: string[] = [memberId],
  version = syncGroup.maxVersion,
) =>
  wire.call(
    syncGroup,
    {
      ...{ groupId, generationId, memberId, protocolType: 'consumer', protocolName: 'range' },
      assignments: parts.map((member) => ({ memberId: member, assignment: utf8.encode('assigned') })),
    },
    version,
  )

async function commit(
  { wire }: Pick<Peer, 'wire'>,
  topic: TopicOnPeer,
  groupId: string,
  fields: Partial<{
    offset: number
    memberId: string
    generation: number
    partition: number
    metadata: string | null
    version: number
    epoch: number
  }> = {},
) {
  const {
    offset = 5,
    memberId = '',
    generation = -1,
    partition = 0,
    metadata = 'note',
    version = 9,
    epoch = 0,
  } = fields
  const partitions = [
    { partitionIndex: partition, committedOffset: offset, committedLeaderEpoch: epoch, committedMetadata: metadata },
  ]
  return wire.call(
    offsetCommit,
    {
      groupId,
      memberId,
      generationIdOrMemberEpoch: generation,
      topics: [{ name: topic.name, topicId: topic.topicId, partitions }],
    },
    version,
  )
}

const fetched = async ({ wire }: Pick<Peer, 'wire'>, groupId: string, version = 9) => {
  if (version >= 8) return (await wire.call(offsetFetch, { groups: [{ groupId, topics: null }] }, version)).groups
  return wire.call(offsetFetch, { groupId, topics: null }, version)
}

describe('classic groups', () => {
  scenario('the life of a member', async (peer, observe) => {
    await coordinatorIsThere(peer)
    const topic = await peer.topic('joined')
    const [group, wire] = [peer.unique('life'), peer.wire]
    const first = await join(wire, group, topic.name)
    observe('an id first', first)
    observe(
      'a heartbeat of a member that has not joined',
      await wire.call(heartbeat, { groupId: group, generationId: 0, memberId: first.memberId }),
    )
    const joined = await join(wire, group, topic.name, { memberId: first.memberId })
    observe('joined', joined)
    observe(
      'a heartbeat before the sync',
      await wire.call(heartbeat, { groupId: group, generationId: 1, memberId: first.memberId }),
    )
    observe('a commit before the sync', await commit(peer, topic, group, { memberId: first.memberId, generation: 1 }))
    observe('a sync of another generation', await sync(wire, group, 9, first.memberId))
    observe('a sync of a stranger', await sync(wire, group, 1, 'stranger'))
    observe('synced', await sync(wire, group, 1, first.memberId))
    observe('synced again', await sync(wire, group, 1, first.memberId))
    observe('a heartbeat', await wire.call(heartbeat, { groupId: group, generationId: 1, memberId: first.memberId }))
    observe(
      'a heartbeat of an old generation',
      await wire.call(heartbeat, { groupId: group, generationId: 0, memberId: first.memberId }),
    )
    observe(
      'a heartbeat of a stranger',
      await wire.call(heartbeat, { groupId: group, generationId: 1, memberId: 'stranger' }),
    )
    observe('described', await wire.call(describeGroups, { groups: [group], includeAuthorizedOperations: false }))
    observe(
      'listed',
      (await wire.call(listGroups, {})).groups.filter(({ groupId }) => groupId === group),
    )
    observe('a commit', await commit(peer, topic, group, { memberId: first.memberId, generation: 1 }))
    observe(
      'a commit of an old generation',
      await commit(peer, topic, group, { memberId: first.memberId, generation: 0 }),
    )
    observe('a commit of a stranger', await commit(peer, topic, group, { memberId: 'stranger', generation: 1 }))
    observe('a commit of nobody', await commit(peer, topic, group))
    observe('deleting a group with members', await wire.call(deleteGroups, { groupsNames: [group] }))
    observe(
      'deleting offsets of a topic that is read',
      await wire.call(offsetDelete, {
        groupId: group,
        topics: [{ name: topic.name, partitions: [{ partitionIndex: 0 }] }],
      }),
    )
    observe('another type', await join(wire, group, topic.name, { protocolType: 'connect' }))
    observe('no common protocol', await joinFully(wire, group, topic.name, { protocols: ['sticky'] }))
    observe('a rejoin of a stranger', await join(wire, group, topic.name, { memberId: 'stranger' }))
    observe(
      'leaving as a stranger',
      await wire.call(leaveGroup, { groupId: group, members: [{ memberId: 'stranger', groupInstanceId: null }] }),
    )
    observe(
      'leaving',
      await wire.call(leaveGroup, { groupId: group, members: [{ memberId: first.memberId, groupInstanceId: null }] }),
    )
    observe('described when empty', await wire.call(describeGroups, { groups: [group] }))
    observe('offsets stay', await fetched(peer, group))
    const partitions = [{ partitionIndex: 0 }, { partitionIndex: 9 }]
    const deleted = await wire.call(offsetDelete, { groupId: group, topics: [{ name: topic.name, partitions }] })
    deleted.topics[0]!.partitions.sort((left, right) => left.partitionIndex - right.partitionIndex)
    observe('deleting offsets', deleted)
    observe('deleting', await wire.call(deleteGroups, { groupsNames: [group] }))
    observe('deleting again', await wire.call(deleteGroups, { groupsNames: [group] }))
  })

  scenario('requests without sense', async (peer, observe) => {
    await coordinatorIsThere(peer)
    const topic = await peer.topic('senseless')
    const { wire } = peer
    observe('a short session', await join(wire, peer.unique('a'), topic.name, { sessionTimeoutMs: 10 }))
    observe('a long session', await join(wire, peer.unique('a'), topic.name, { sessionTimeoutMs: 86_400_000 }))
    observe('an empty group id', await join(wire, '', topic.name))
    observe('no protocols', await join(wire, peer.unique('a'), topic.name, { protocols: [] }))
    observe('no protocol type', await join(wire, peer.unique('a'), topic.name, { protocolType: '' }))
    observe(
      'a heartbeat to an unknown group',
      await wire.call(heartbeat, { groupId: peer.unique('none'), generationId: 1, memberId: 'm' }),
    )
    observe('a sync to an unknown group', await sync(wire, peer.unique('none'), 1, 'm'))
    observe(
      'leaving an unknown group',
      await wire.call(leaveGroup, {
        groupId: peer.unique('none'),
        members: [{ memberId: 'm', groupInstanceId: null }],
      }),
    )
    for (const version of [0, 3, 5, 6])
      observe(
        `describing an unknown group, version ${version}`,
        await wire.call(describeGroups, { groups: [peer.unique('none')] }, version),
      )
    const { results } = await wire.call(deleteGroups, { groupsNames: [peer.unique('none'), ''] })
    results.sort((left, right) => (left.groupId < right.groupId ? -1 : 1))
    observe('deleting an unknown group', { results })
    observe('offsets of an unknown group', await fetched(peer, peer.unique('none')))
    observe(
      'deleting offsets of an unknown group',
      await wire.call(offsetDelete, { groupId: peer.unique('none'), topics: [] }),
    )
    observe(
      'a commit with a generation to an unknown group',
      await commit(peer, topic, peer.unique('none'), { memberId: 'm', generation: 3 }),
    )
  })

  scenario('static members', async (peer, observe) => {
    await coordinatorIsThere(peer)
    const topic = await peer.topic('static')
    const [group, wire] = [peer.unique('static'), peer.wire]
    const joined = await join(wire, group, topic.name, { groupInstanceId: 'i1' })
    observe('joined at once', joined)
    observe('synced', await sync(wire, group, joined.generationId, joined.memberId))
    const again = await join(await peer.connect(), group, topic.name, { groupInstanceId: 'i1' })
    observe('a new process takes its place', again)
    observe(
      'the old one is fenced',
      await wire.call(heartbeat, {
        groupId: group,
        generationId: joined.generationId,
        memberId: joined.memberId,
        groupInstanceId: 'i1',
      }),
    )
    observe(
      'the new one goes on',
      await wire.call(heartbeat, {
        groupId: group,
        generationId: again.generationId,
        memberId: again.memberId,
        groupInstanceId: 'i1',
      }),
    )
    observe(
      'removed by its instance id',
      await wire.call(leaveGroup, {
        groupId: group,
        members: [
          { memberId: '', groupInstanceId: 'i1' },
          { memberId: '', groupInstanceId: 'i9' },
        ],
      }),
    )
  })

  scenario('every version of a lonely member', async (peer, observe) => {
    await coordinatorIsThere(peer)
    const topic = await peer.topic('lonely')
    for (let version = 0; version <= joinGroup.maxVersion; version++) {
      const group = peer.unique(`lonely-${version}`)
      const first = await join(peer.wire, group, topic.name, { version })
      observe(`join ${version}`, first)
      const joined =
        first.errorCode === ErrorCode.MEMBER_ID_REQUIRED
          ? await join(peer.wire, group, topic.name, { version, memberId: first.memberId })
          : first
      const syncVersion = Math.min(version, syncGroup.maxVersion)
      observe(
        `sync, join ${version}`,
        await sync(peer.wire, group, joined.generationId, joined.memberId, undefined, syncVersion),
      )
    }
  })
})

describe('committed offsets', () => {
  scenario('without members', async (peer, observe) => {
    await coordinatorIsThere(peer)
    const topic = await peer.topic('plain', { partitions: 2 })
    const group = peer.unique('plain')
    for (let version = offsetCommit.minVersion; version <= offsetCommit.maxVersion; version++)
      observe(`commit ${version}`, await commit(peer, topic, group, { offset: version, version }))
    for (let version = offsetFetch.minVersion; version <= offsetFetch.maxVersion; version++) {
      if (version < 2) continue
      observe(`fetch ${version}`, await fetched(peer, group, version))
    }
    observe('an unknown partition', await commit(peer, topic, group, { partition: 7 }))
    observe('an unknown topic', await commit(peer, { name: peer.unique('unknown'), topicId: topic.topicId }, group))
    observe('a long note', await commit(peer, topic, group, { metadata: 'x'.repeat(5000) }))
    observe('no note', await commit(peer, topic, group, { metadata: null }))
    observe('a negative offset', await commit(peer, topic, group, { offset: -1, partition: 1 }))
    observe('then', await fetched(peer, group))
    observe(
      'asked for by name',
      (
        await peer.wire.call(
          offsetFetch,
          {
            groups: [
              {
                groupId: group,
                topics: [
                  { name: topic.name, partitionIndexes: [0, 1, 9] },
                  { name: peer.unique('unknown'), partitionIndexes: [0] },
                ],
              },
            ],
          },
          9,
        )
      ).groups,
    )
    observe(
      'listed',
      (await peer.wire.call(listGroups, {})).groups.filter(({ groupId }) => groupId === group),
    )
    observe('described', await peer.wire.call(describeGroups, { groups: [group] }))
  })
})

describe('FindCoordinator', () => {
  scenario('by version and type', async (peer, observe) => {
    await coordinatorIsThere(peer)
    for (let version = 0; version <= findCoordinator.maxVersion; version++) {
      const answer = await eventually(async () => {
        const found = await peer.wire.call(
          findCoordinator,
          version < 4
            ? { key: peer.unique('g'), keyType: 0 }
            : { keyType: 0, coordinatorKeys: [peer.unique('g'), peer.unique('h')] },
          version,
        )
        return NOT_YET.includes(found.errorCode) ? undefined : found
      })
      observe(`version ${version}`, answer)
    }
    observe('an unknown type', await peer.wire.call(findCoordinator, { keyType: 9, coordinatorKeys: ['x'] }, 4))
  })
})
