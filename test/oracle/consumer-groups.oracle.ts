import { describe } from 'vitest'
import type { RequestInputOf } from '../../protocol/api.ts'
import { consumerGroupDescribe, consumerGroupHeartbeat } from '../../protocol/messages/consumer-groups.ts'
import { decodeAssignment, encodeAssignment, encodeSubscription } from '../../protocol/messages/consumer-protocol.ts'
import { deleteGroups, describeGroups, listGroups } from '../../protocol/messages/group-admin.ts'
import { offsetCommit, offsetDelete, offsetFetch } from '../../protocol/messages/group-offsets.ts'
import { heartbeat, joinGroup, leaveGroup, syncGroup } from '../../protocol/messages/groups.ts'
import { eventually } from '../support/eventually.ts'
import { type Peer, scenario, type TopicOnPeer } from './support/compare.ts'
import { coordinatorIsThere } from './support/coordinator.ts'

/** A topic that the coordinator knows as well: in Kafka it hears of it after others do. */
async function knownTopic(peer: Peer, name: string, options: { partitions?: number } = {}): Promise<TopicOnPeer> {
  await coordinatorIsThere(peer)
  const topic = await peer.topic(name, options)
  const group = peer.unique(`${name}-known`)
  await eventually(
    async () => {
      const { assignment } = await join(peer, group, 'm', [topic.name])
      return assignment?.topicPartitions.length === 1
    },
    { what: `the coordinator knows ${topic.name}` },
  )
  await beat(peer, group, 'm', { memberEpoch: -1 })
  return topic
}

type Beat = Partial<RequestInputOf<typeof consumerGroupHeartbeat>>

const beat = ({ wire }: Peer, groupId: string, memberId: string, fields: Beat = {}, version = 1) =>
  wire.call(consumerGroupHeartbeat, { groupId, memberId, memberEpoch: 0, ...fields }, version)

const join = (peer: Peer, groupId: string, memberId: string, topics: readonly string[] | null, fields: Beat = {}) =>
  beat(peer, groupId, memberId, {
    ...{ rebalanceTimeoutMs: 30_000, subscribedTopicNames: topics, topicPartitions: [] },
    ...fields,
  })

/** Kafka tells its members in no order. */
async function describeGroup({ wire }: Peer, groupId: string, version = 1) {
  const { groups } = await wire.call(consumerGroupDescribe, { groupIds: [groupId] }, version)
  return groups.map((group) => ({
    ...group,
    members: [...group.members].sort((a, b) => (a.memberId < b.memberId ? -1 : 1)),
  }))
}

async function commit(peer: Peer, topic: TopicOnPeer, groupId: string, memberId: string, epoch: number, version = 9) {
  const partitions = [{ partitionIndex: 0, committedOffset: 5 }]
  const topics = [{ name: topic.name, topicId: topic.topicId, partitions }]
  const body = { groupId, memberId, generationIdOrMemberEpoch: epoch, topics }
  return peer.wire.call(offsetCommit, body, version)
}

const fetched = async ({ wire }: Peer, groupId: string, memberId: string | null, memberEpoch: number, version = 9) =>
  (await wire.call(offsetFetch, { groups: [{ groupId, memberId, memberEpoch, topics: null }] }, version)).groups

describe('groups of the next protocol', () => {
  scenario('the life of a member of the next protocol', async (peer, observe) => {
    const topic = await knownTopic(peer, 'next', { partitions: 2 })
    const [group, { wire }] = [peer.unique('next-life'), peer]
    const joined = await join(peer, group, 'a', [topic.name], { rackId: 'r' })
    observe('joined', joined)
    const { memberEpoch: epoch } = joined
    observe('a heartbeat', await beat(peer, group, 'a', { memberEpoch: epoch }))
    const full = { rebalanceTimeoutMs: 30_000, subscribedTopicNames: [topic.name] }
    const all = [{ topicId: topic.topicId, partitions: [0, 1] }]
    observe(
      'everything said again',
      await beat(peer, group, 'a', { memberEpoch: epoch, ...full, topicPartitions: all }),
    )
    observe('described', await describeGroup(peer, group))
    observe('described in version 0', await describeGroup(peer, group, 0))
    observe(
      'listed',
      (await wire.call(listGroups, {})).groups.filter(({ groupId }) => groupId === group),
    )
    observe('a newer epoch', await beat(peer, group, 'a', { memberEpoch: epoch + 6 }))
    observe('a stranger', await beat(peer, group, 'x', { memberEpoch: epoch }))
    observe('a commit', await commit(peer, topic, group, 'a', epoch))
    observe('a commit by id', await commit(peer, topic, group, 'a', epoch, 10))
    observe('a commit in an old version', await commit(peer, topic, group, 'a', epoch, 8))
    observe('a commit of a newer epoch', await commit(peer, topic, group, 'a', epoch + 1))
    observe('a commit of an older epoch', await commit(peer, topic, group, 'a', epoch - 1))
    observe('a commit of a stranger', await commit(peer, topic, group, 'x', epoch))
    observe('a commit of nobody', await commit(peer, topic, group, '', -1))
    observe('offsets of the member', await fetched(peer, group, 'a', epoch))
    observe('offsets of a newer epoch', await fetched(peer, group, 'a', epoch + 1))
    observe('offsets of a stranger', await fetched(peer, group, 'x', epoch))
    observe('offsets of nobody', await fetched(peer, group, null, -1))
    observe('deleting a group with members', await wire.call(deleteGroups, { groupsNames: [group] }))
    observe(
      'deleting offsets of a topic that is read',
      await wire.call(offsetDelete, {
        groupId: group,
        topics: [{ name: topic.name, partitions: [{ partitionIndex: 0 }] }],
      }),
    )
    observe('left', await beat(peer, group, 'a', { memberEpoch: -1 }))
    observe('left again', await beat(peer, group, 'a', { memberEpoch: -1 }))
    observe('described when empty', await describeGroup(peer, group))
    observe('a heartbeat after it', await beat(peer, group, 'a', { memberEpoch: epoch }))
    observe('joined again', await join(peer, group, 'a', [topic.name]))
    await beat(peer, group, 'a', { memberEpoch: -1 })
    observe('a commit of nobody when empty', await commit(peer, topic, group, '', -1))
    observe('deleted', await wire.call(deleteGroups, { groupsNames: [group] }))
  })

  scenario('partitions that change hands', async (peer, observe) => {
    const topic = await knownTopic(peer, 'hands', { partitions: 2 })
    const group = peer.unique('hands')
    const owns = (...partitions: number[]) => ({
      topicPartitions: partitions.length ? [{ topicId: topic.topicId, partitions }] : [],
    })
    const { memberEpoch: first } = await join(peer, group, 'a', [topic.name])
    const newcomer = await join(peer, group, 'b', [topic.name])
    observe('the newcomer', newcomer)
    const { memberEpoch: second } = newcomer
    observe('reconciling', await describeGroup(peer, group))
    const told = await beat(peer, group, 'a', { memberEpoch: first })
    observe('the owner is told', told)
    observe('still reading', await beat(peer, group, 'a', { memberEpoch: first, ...owns(0, 1) }))
    observe('the newcomer waits', await beat(peer, group, 'b', { memberEpoch: second }))
    const kept = told.assignment!.topicPartitions[0]!.partitions
    observe('a commit while it lets go', await commit(peer, topic, group, 'a', first))
    observe('let go', await beat(peer, group, 'a', { memberEpoch: first, ...owns(...kept) }))
    observe('the answer was lost', await beat(peer, group, 'a', { memberEpoch: first, ...owns(...kept) }))
    observe('and it says nothing of what it reads', await beat(peer, group, 'a', { memberEpoch: first }))
    observe('and it reads too much', await beat(peer, group, 'a', { memberEpoch: first, ...owns(0, 1) }))
    observe('the newcomer gets it', await beat(peer, group, 'b', { memberEpoch: second }))
    observe('stable', await describeGroup(peer, group))
    observe('fenced, joins again', await join(peer, group, 'a', [topic.name]))
    observe('another subscription', await beat(peer, group, 'b', { memberEpoch: second, subscribedTopicNames: [] }))
    for (const member of ['a', 'b']) await beat(peer, group, member, { memberEpoch: -1 })
  })

  scenario('static members of the next protocol', async (peer, observe) => {
    const topic = await knownTopic(peer, 'static-next', { partitions: 2 })
    const group = peer.unique('static-next')
    const instance = { instanceId: 'i' }
    const joined = await join(peer, group, 'a', [topic.name], instance)
    observe('joined', joined)
    const { memberEpoch: epoch } = joined
    observe('another process', await join(peer, group, 'b', [topic.name], instance))
    observe('away', await beat(peer, group, 'a', { memberEpoch: -2, ...instance }))
    observe('described while away', await describeGroup(peer, group))
    observe('a heartbeat while away', await beat(peer, group, 'a', { memberEpoch: epoch, ...instance }))
    observe('its next process', await join(peer, group, 'b', [topic.name], instance))
    observe('the old one', await beat(peer, group, 'a', { memberEpoch: epoch, ...instance }))
    observe('the old one leaves', await beat(peer, group, 'a', { memberEpoch: -1, ...instance }))
    observe('described when back', await describeGroup(peer, group))
    observe('an instance id that nobody has', await beat(peer, group, 'b', { memberEpoch: epoch, instanceId: 'x' }))
    observe('away without an instance', await beat(peer, group, 'b', { memberEpoch: -2 }))
    observe('gone', await beat(peer, group, 'b', { memberEpoch: -1, ...instance }))
  })

  scenario('heartbeats without sense', async (peer, observe) => {
    const topic = await knownTopic(peer, 'senseless-next')
    const group = peer.unique('senseless-next')
    const tries: Array<[string, string, Beat]> = [
      ['no group', 'm', { groupId: '' }],
      ['a blank group', 'm', { groupId: ' ' }],
      ['no member id', '', {}],
      ['an empty instance id', 'm', { instanceId: '' }],
      ['an empty rack', 'm', { rackId: '' }],
      ['no rebalance timeout', 'm', { rebalanceTimeoutMs: -1 }],
      ['partitions from before', 'm', { topicPartitions: [{ topicId: topic.topicId, partitions: [0] }] }],
      ['not a word of partitions', 'm', { topicPartitions: null }],
      ['not a word of topics', 'm', { subscribedTopicNames: null }],
      ['an epoch below all', 'm', { memberEpoch: -3 }],
      ['an unknown assignor', 'm', { serverAssignor: 'sticky' }],
      ['an invalid expression', 'm', { subscribedTopicRegex: '(' }],
      ['leaving an unknown group', 'm', { memberEpoch: -1 }],
    ]
    for (const [what, member, fields] of tries) observe(what, await join(peer, group, member, [topic.name], fields))
    observe('an unknown group', await beat(peer, group, 'm', { memberEpoch: 1 }))
    observe('nothing but topics that are not there', await join(peer, group, 'm', ['absent', 'absent']))
    observe('no topics at all', await join(peer, group, 'n', []))
    observe('described', await describeGroup(peer, group))
    observe('an unknown group described', await describeGroup(peer, peer.unique('none')))
    observe('a nameless group described', await describeGroup(peer, ''))
  })

  scenario('topics that match later', async (peer, observe) => {
    await coordinatorIsThere(peer)
    await peer.topic('match-1')
    const group = peer.unique('match')
    const regex = `${peer.unique('match')}-.*`
    await join(peer, group, 'm', null, { subscribedTopicRegex: regex })
    const until = async (partitions: number) => {
      let epoch = 0
      await eventually(
        async () => {
          const [described] = await describeGroup(peer, group)
          const [member] = described!.members
          epoch = member!.memberEpoch
          await beat(peer, group, 'm', { memberEpoch: epoch })
          return member!.assignment.topicPartitions.length === partitions
        },
        { withinMs: 30_000, what: `${partitions} topics are read` },
      )
      return epoch
    }
    await until(1)
    const [described] = await describeGroup(peer, group)
    observe('described', { ...described, groupEpoch: 0, assignmentEpoch: 0, members: [] })
    observe('the member', { ...described!.members[0], memberEpoch: 0 })
    const memberEpoch = await until(1)
    observe('an invalid expression', await beat(peer, group, 'm', { memberEpoch, subscribedTopicRegex: '[' }))
    await beat(peer, group, 'm', { memberEpoch: -1 })
  })

  scenario('one protocol asked for groups of the other', async (peer, observe) => {
    const topic = await knownTopic(peer, 'other')
    const [group, { wire }] = [peer.unique('other'), peer]
    observe('joined', await join(peer, group, 'a', [topic.name]))
    for (let version = 5; version <= 6; version++)
      observe(`classic description ${version}`, await wire.call(describeGroups, { groups: [group] }, version))
    observe('a classic heartbeat', await wire.call(heartbeat, { groupId: group, generationId: 1, memberId: 'a' }))
    observe(
      'a classic leave',
      await wire.call(leaveGroup, { groupId: group, members: [{ memberId: 'x', groupInstanceId: null }] }),
    )
    await beat(peer, group, 'a', { memberEpoch: -1 })
    await commit(peer, topic, peer.unique('simple'), '', -1)
    observe('a group of offsets only, described', await describeGroup(peer, peer.unique('simple')))
    const joined = await join(peer, peer.unique('simple'), 'a', [topic.name])
    observe('a group of offsets only, joined', joined)
    observe('its offsets', await fetched(peer, peer.unique('simple'), null, -1))
    observe('a commit of its member', await commit(peer, topic, peer.unique('simple'), 'a', joined.memberEpoch))
  })

  scenario('a group that changes its protocol while it has members', async (peer, observe) => {
    const topic = await knownTopic(peer, 'migrated', { partitions: 2 })
    const [group, { wire }] = [peer.unique('migrated'), peer]
    const classic = new ClassicMember(peer, group, topic)
    await classic.join()
    await classic.join()
    await classic.sync([{ topic: topic.name, partitions: [0, 1] }])
    const newcomer = await join(peer, group, 'next', [topic.name])
    observe('the first member of the next protocol', newcomer)
    observe('described', await described(peer, group, classic.memberId))
    observe('a classic heartbeat', await classic.heartbeat())
    observe('a classic commit', await commit(peer, topic, group, classic.memberId, classic.generationId, 8))
    observe('still reading both', comparable(await classic.join([0, 1])))
    observe('its part', await classic.sync())
    observe('has let go', comparable(await classic.join([classic.partitions[0]!])))
    observe('its part afterwards', await classic.sync())
    observe('a heartbeat when all is done', await classic.heartbeat())
    const { memberEpoch } = newcomer
    const got = await beat(peer, group, 'next', { memberEpoch })
    observe('the newcomer gets its part', got)
    observe('described when all is done', await described(peer, group, classic.memberId))
    observe('a sync of another generation', await classic.sync([], 99))
    observe('a heartbeat of the wrong protocol', await beat(peer, group, classic.memberId, { memberEpoch: 99 }))
    observe(
      'a classic heartbeat of the newcomer',
      await wire.call(heartbeat, { groupId: group, generationId: memberEpoch, memberId: 'next' }),
    )
    observe('the newcomer leaves', await beat(peer, group, 'next', { memberEpoch: -1 }))
    const [listed] = (await wire.call(listGroups, {})).groups.filter(({ groupId }) => groupId === group)
    observe('listed', listed)
    observe('a heartbeat in the classic group', await classic.heartbeat())
    const leaving = { groupId: group, members: [{ memberId: classic.memberId, groupInstanceId: null }] }
    observe('left', await wire.call(leaveGroup, leaving))
  })
})

/** Generations are epochs, which are counted from the first that was seen. */
const comparable = <T extends { generationId: number }>({ generationId, ...rest }: T) => ({
  ...rest,
  memberEpoch: generationId,
})

/** The classic member first: its id is made up by the peer. */
async function described(peer: Peer, group: string, classicId: string) {
  return (await describeGroup(peer, group)).map((each) => ({
    ...each,
    members: [...each.members].sort((a) => (a.memberId === classicId ? -1 : 1)),
  }))
}

class ClassicMember {
  memberId = ''
  generationId = -1
  partitions: number[] = []
  readonly #peer: Peer
  readonly #group: string
  readonly #topic: TopicOnPeer

  constructor(peer: Peer, group: string, topic: TopicOnPeer) {
    this.#peer = peer
    this.#group = group
    this.#topic = topic
  }

  async join(owned: readonly number[] = []) {
    const { name: topic } = this.#topic
    const ownedPartitions = owned.length > 0 ? [{ topic, partitions: [...owned] }] : []
    const { generationId } = this
    const metadata = encodeSubscription({
      topics: [topic],
      userData: null,
      ownedPartitions,
      generationId,
      rackId: null,
    })
    const reply = await this.#peer.wire.call(joinGroup, {
      ...{ groupId: this.#group, memberId: this.memberId, protocolType: 'consumer' },
      ...{ sessionTimeoutMs: 10_000, rebalanceTimeoutMs: 10_000 },
      protocols: [{ name: 'cooperative-sticky', metadata }],
    })
    this.memberId = reply.memberId
    this.generationId = reply.generationId
    return reply
  }

  async sync(assigned: Array<{ topic: string; partitions: number[] }> = [], generationId = this.generationId) {
    const assignment = encodeAssignment({ assignedPartitions: assigned, userData: null })
    const reply = await this.#peer.wire.call(syncGroup, {
      ...{ groupId: this.#group, generationId, memberId: this.memberId },
      ...{ protocolType: 'consumer', protocolName: 'cooperative-sticky' },
      assignments: assigned.length > 0 ? [{ memberId: this.memberId, assignment }] : [],
    })
    if (reply.errorCode === 0)
      this.partitions = decodeAssignment(reply.assignment).assignedPartitions.flatMap(({ partitions }) => partitions)
    return { ...reply, assignment: this.partitions }
  }

  heartbeat() {
    const { memberId, generationId } = this
    return this.#peer.wire.call(heartbeat, { groupId: this.#group, memberId, generationId })
  }
}
