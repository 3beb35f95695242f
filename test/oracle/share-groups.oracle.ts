import { describe } from 'vitest'
import { describeConfigs } from '../../protocol/messages/configs.ts'
import { deleteGroups, listGroups } from '../../protocol/messages/group-admin.ts'
import { produce } from '../../protocol/messages/produce.ts'
import { AcknowledgeType, AcquireMode, CLOSE_SESSION } from '../../protocol/messages/share-fetch.ts'
import { shareGroupDescribe } from '../../protocol/messages/share-groups.ts'
import {
  alterShareGroupOffsets,
  deleteShareGroupOffsets,
  describeShareGroupOffsets,
} from '../../protocol/messages/share-offsets.ts'
import { encodeBatch } from '../../protocol/records.ts'
import { eventually } from '../support/eventually.ts'
import { type Peer, scenario, type TopicOnPeer } from './support/compare.ts'
import { coordinatorIsThere } from './support/coordinator.ts'
import { configureGroup, of, ShareAsker } from './support/share-asker.ts'

const [A, B, C] = ['AAAAAAAAAAAAAAAAAAAAAQ', 'AAAAAAAAAAAAAAAAAAAAAg', 'AAAAAAAAAAAAAAAAAAAAAw'] as const
const utf8 = new TextEncoder()
const UNKNOWN_ID = 'AAAAAAAAAAAAAAAAAAAAQQ'
const { gap, accept, release, reject, renew } = AcknowledgeType

/** In one batch, and now: some groups begin with what is not old. */
const write = ({ wire }: Peer, { name, topicId }: TopicOnPeer, values: readonly string[]) => {
  const records = encodeBatch(values.map((value) => ({ key: null, value: utf8.encode(value), timestamp: Date.now() })))
  return wire.call(produce, {
    ...{ transactionalId: null, acks: -1, timeoutMs: 5000 },
    topicData: [{ name, topicId, partitionData: [{ index: 0, records }] }],
  })
}

/** A group that reads from the beginning, and one of its members on a connection of its own, with its partitions. */
async function readers(peer: Peer, name: string, topic: TopicOnPeer, ...memberIds: readonly string[]) {
  const group = peer.unique(name)
  await coordinatorIsThere(peer)
  await configureGroup(peer, group, { 'share.auto.offset.reset': 'earliest' })
  const members = []
  for (const memberId of memberIds) members.push(new ShareAsker({ wire: await peer.connect() }, group, memberId))
  for (const member of members) await member.joined(topic)
  return { group, members: members as [ShareAsker, ShareAsker, ShareAsker] }
}

async function describeGroup({ wire }: Peer, groupId: string) {
  const { groups } = await wire.call(shareGroupDescribe, { groupIds: [groupId] })
  return groups.map((group) => ({
    ...group,
    members: [...group.members].sort((a, b) => (a.memberId < b.memberId ? -1 : 1)),
  }))
}

const standing = async (
  { wire }: Peer,
  groupId: string,
  topics: Array<{ topicName: string; partitions: number[] }> | null,
) => (await wire.call(describeShareGroupOffsets, { groups: [{ groupId, topics }] })).groups

describe('members of share groups', () => {
  scenario('the life of a sharing member', async (peer, observe) => {
    const topic = await peer.topic('shared', { partitions: 2 })
    const { group, members } = await readers(peer, 'share-life', topic, A)
    const [a] = members
    const { wire } = peer
    observe('joined', await a.join([topic.name], { rackId: 'r' }))
    observe('a heartbeat', await a.beat())
    observe('everything said again', await a.beat({ subscribedTopicNames: [topic.name], rackId: 'r' }))
    observe('described', await describeGroup(peer, group))
    observe(
      'listed',
      (await wire.call(listGroups, {})).groups.filter(({ groupId }) => groupId === group),
    )
    observe('a newer epoch', await a.beat({ memberEpoch: a.memberEpoch + 6 }))
    observe('a stranger', await a.beat({ memberId: B }))
    observe('a stranger leaves', await a.beat({ memberId: B, memberEpoch: -1 }))
    observe('no topics any more', await a.beat({ subscribedTopicNames: [] }))
    observe('topics again', await a.beat({ subscribedTopicNames: [topic.name] }))
    observe('deleting a group with members', await wire.call(deleteGroups, { groupsNames: [group] }))
    observe('left', await a.leave())
    observe('left again', await a.leave())
    observe('described when empty', await describeGroup(peer, group))
    observe('a heartbeat after it', await a.beat({ memberEpoch: 1 }))
    observe('joined again', await a.join([topic.name]))
    await a.leave()
    observe('deleted', await wire.call(deleteGroups, { groupsNames: [group] }))
    observe('described when deleted', await describeGroup(peer, group))
  })

  scenario('the first member of a share group', async (peer, observe) => {
    await coordinatorIsThere(peer)
    const topic = await peer.topic('first-shared')
    const a = new ShareAsker(peer, peer.unique('share-first'), A)
    observe('joined', await a.join([topic.name]))
    observe(
      'topics that are not there',
      await new ShareAsker(peer, peer.unique('share-absent'), A).join([peer.unique('absent')]),
    )
  })

  scenario('members that share partitions', async (peer, observe) => {
    const topic = await peer.topic('evenly', { partitions: 3 })
    const { group, members } = await readers(peer, 'share-evenly', topic, A, B)
    const [a, b] = members
    // Who gets two of three goes by chance in Kafka.
    const got = [await a.join([topic.name]), await b.join([topic.name])].map(({ assignment, ...rest }) => ({
      rest,
      partitions: assignment!.topicPartitions.flatMap(({ partitions }) => partitions),
    }))
    observe(
      'answers',
      got.map(({ rest }) => rest),
    )
    observe('how many each has', got.map(({ partitions }) => partitions.length).sort())
    observe('together', got.flatMap(({ partitions }) => partitions).sort())
    observe(
      'described',
      (await describeGroup(peer, group)).map((each) => ({ ...each, members: each.members.length })),
    )
    await b.leave()
    observe('alone', await a.beat())
    observe('alone, once more', await a.beat())
  })

  scenario('sharing heartbeats without sense', async (peer, observe) => {
    await coordinatorIsThere(peer)
    const topic = await peer.topic('senseless-shared')
    const a = new ShareAsker(peer, peer.unique('share-senseless'), A)
    const join = (fields: Parameters<ShareAsker['beat']>[0]) =>
      a.beat({ memberEpoch: 0, subscribedTopicNames: [topic.name], ...fields })
    observe('no group', await join({ groupId: '' }))
    observe('a blank group', await join({ groupId: ' ' }))
    observe('no member id', await join({ memberId: '' }))
    observe('a blank member id', await join({ memberId: ' ' }))
    observe('a long member id', await join({ memberId: 'x'.repeat(37) }))
    observe('an empty rack', await join({ rackId: '' }))
    observe('an epoch below all', await join({ memberEpoch: -2 }))
    observe('not a word of topics', await join({ subscribedTopicNames: null }))
    observe('no topics', await join({ subscribedTopicNames: [] }))
    observe('leaving an unknown group', await join({ groupId: peer.unique('share-none'), memberEpoch: -1 }))
    observe('an unknown group', await join({ groupId: peer.unique('share-none'), memberEpoch: 1 }))
    observe('an unknown group described', await describeGroup(peer, peer.unique('share-none')))
    observe('a nameless group described', await describeGroup(peer, ''))
  })
})

describe('records for members of share groups', () => {
  scenario('share sessions', async (peer, observe) => {
    const topic = await peer.topic('sessions', { partitions: 2 })
    const { members } = await readers(peer, 'share-sessions', topic, A)
    const [a] = members
    await write(peer, topic, ['1', '2', '3'])
    observe('going on without one', await a.fetch([of(topic)], { shareSessionEpoch: 1 }))
    observe('closing none', await a.fetch([], { shareSessionEpoch: CLOSE_SESSION }))
    observe('acknowledging without one', await a.acknowledge([of(topic, [[0, 0, accept]])], { shareSessionEpoch: 1 }))
    observe('opening by acknowledging', await a.acknowledge([of(topic, [[0, 0, accept]])], { shareSessionEpoch: 0 }))
    observe('acknowledging and opening', await a.fetch([of(topic, [[0, 0, accept]])]))
    observe('opening one with nothing', await a.fetch([]))
    a.sessionEpoch = 0
    observe('opened', await a.fetchSome([of(topic)]))
    observe('a session of the past', await a.fetch([], { shareSessionEpoch: 9 }))
    observe(
      'an acknowledgement of the past',
      await a.acknowledge([of(topic, [[0, 0, accept]])], { shareSessionEpoch: 9 }),
    )
    observe('acknowledged in a fetch', await a.fetch([of(topic, [[0, 0, accept]])]))
    observe('an unknown partition', await a.fetch([of(topic, [], 7)]))
    observe('stays in it', await a.fetch([]))
    await a.fetch([], { forgottenTopicsData: [{ topicId: topic.topicId, partitions: [7] }] })
    observe('another partition', await a.fetch([of(topic, [], 1)], { maxWaitMs: 500, minBytes: 1 }))
    observe('nothing new', await a.fetch([]))
    observe('acknowledged', await a.acknowledge([of(topic, [[1, 1, accept]])]))
    observe('acknowledged, version 1', await a.acknowledge([of(topic, [[2, 2, release]])], {}, 1))
    observe('an unknown partition acknowledged', await a.acknowledge([of(topic, [[0, 0, accept]], 7)]))
    observe(
      'what is not in it, forgotten',
      await a.fetch([], { forgottenTopicsData: [{ topicId: topic.topicId, partitions: [5] }], maxRecords: 0 }),
    )
    observe('forgotten', await a.fetch([], { forgottenTopicsData: [{ topicId: topic.topicId, partitions: [0, 1] }] }))
    observe('nothing is in it any more', await a.fetch([]))
    observe('there again, version 1', await a.fetchSome([of(topic)], {}))
    observe('opened anew', await a.fetch([of(topic)], { shareSessionEpoch: 0 }))
    observe('the old one', await a.fetch([], { shareSessionEpoch: 7 }))
    observe(
      'closed with an acknowledgement',
      await a.fetch([of(topic, [[2, 2, accept]])], { shareSessionEpoch: CLOSE_SESSION }),
    )
    observe('after it', await a.fetch([], { shareSessionEpoch: 2 }))
    observe('an acknowledgement after it', await a.acknowledge([of(topic, [[2, 2, accept]])], { shareSessionEpoch: 2 }))
    a.sessionEpoch = 0
    await a.fetch([of(topic)])
    observe('an unknown topic acknowledged', await a.acknowledge([of({ topicId: UNKNOWN_ID }, [[0, 0, accept]])]))
    observe('an unknown topic', await a.fetch([of({ topicId: UNKNOWN_ID })]))
  })

  scenario('fetches of shares without sense', async (peer, observe) => {
    const topic = await peer.topic('senseless-share-fetch')
    await write(peer, topic, ['1', '2', '3'])
    const tries: Array<[string, Parameters<ShareAsker['fetch']>[1]]> = [
      ['no group', { groupId: null }],
      ['a nameless group', { groupId: '' }],
      ['an unknown group', { groupId: peer.unique('share-nobody') }],
      ['no member', { memberId: null }],
      ['a nameless member', { memberId: '' }],
      ['a member that is no id', { memberId: 'no uuid' }],
      ['a member that has not joined', { memberId: C }],
      ['an epoch below all', { shareSessionEpoch: -2 }],
      ['no records', { maxRecords: 0 }],
      ['runs of none', { batchSize: 0 }],
      ['runs of less', { batchSize: -1 }],
      ['no bytes', { maxBytes: 0 }],
      ['a renewal that fetches', { isRenewAck: true }],
      ['an unknown mode', { shareAcquireMode: 5 }],
    ]
    for (const [index, [what, fields]] of tries.entries()) {
      const [member] = (await readers(peer, `share-senseless-fetch-${index}`, topic, A)).members
      await member.fetchSome([of(topic)])
      await member.fetch([], { shareSessionEpoch: CLOSE_SESSION })
      member.sessionEpoch = 0
      const fetched = member.fetch([of(topic)], { maxWaitMs: 500, minBytes: 1, ...fields })
      observe(what, await fetched.catch((error: Error) => error.message))
      await member.leave()
    }
  })

  scenario('what becomes of records', async (peer, observe) => {
    const topic = await peer.topic('becomes')
    const { group, members } = await readers(peer, 'share-becomes', topic, A, B)
    const [a, b] = members
    await write(
      peer,
      topic,
      Array.from({ length: 10 }, (_, index) => `${index}`),
    )
    observe('all to one', await a.fetchSome([of(topic)]))
    observe('nothing to the other', await b.fetch([of(topic)]))
    observe("not the other's", await b.acknowledge([of(topic, [[0, 0, accept]])]))
    observe('accepted', await a.acknowledge([of(topic, [[0, 0, accept]])]))
    observe('accepted again', await a.acknowledge([of(topic, [[0, 0, accept]])]))
    observe('each in its way', await a.acknowledge([of(topic, [[1, 4, accept, release, reject, gap]])]))
    observe('standing', await standing(peer, group, [{ topicName: topic.name, partitions: [0] }]))
    observe('released to the other', await b.fetchSome([]))
    observe('some of it not there', await a.acknowledge([of(topic, [[5, 12, accept]])]))
    observe('too few types', await a.acknowledge([of(topic, [[5, 7, accept, release]])]))
    observe('too many types', await a.acknowledge([of(topic, [[5, 6, accept, release, accept]])]))
    observe('no types', await a.acknowledge([of(topic, [[5, 6]])]))
    observe('an unknown type', await a.acknowledge([of(topic, [[5, 6, 9]])]))
    observe('a negative type', await a.acknowledge([of(topic, [[5, 6, -1]])]))
    observe('backwards', await a.acknowledge([of(topic, [[6, 5, accept]])]))
    observe(
      'out of order',
      await a.acknowledge([
        of(topic, [
          [7, 7, accept],
          [5, 5, accept],
        ]),
      ]),
    )
    observe(
      'twice in one',
      await a.acknowledge([
        of(topic, [
          [5, 6, accept],
          [6, 7, accept],
        ]),
      ]),
    )
    observe('negative offsets', await a.acknowledge([of(topic, [[-1, -1, accept]])]))
    observe('nothing', await a.acknowledge([of(topic, [])]))
    observe('renewed without saying so', await a.acknowledge([of(topic, [[5, 5, renew]])]))
    observe('renewed', await a.acknowledge([of(topic, [[5, 6, renew]])], { isRenewAck: true }))
    observe(
      'renewed and accepted',
      await a.acknowledge(
        [
          of(topic, [
            [5, 5, accept],
            [6, 6, renew],
          ]),
        ],
        { isRenewAck: true },
      ),
    )
    observe('renewed by one type each', await a.acknowledge([of(topic, [[6, 7, renew, renew]])], { isRenewAck: true }))
    observe(
      'renewed in a fetch',
      await a.fetch([of(topic, [[6, 6, renew]])], { isRenewAck: true, maxRecords: 0, maxBytes: 0 }),
    )
    observe('renewed in a fetch that fetches', await a.fetch([of(topic, [[6, 6, renew]])], { isRenewAck: true }))
    observe('a renewal of what is not there', await a.acknowledge([of(topic, [[0, 0, renew]])], { isRenewAck: true }))
    observe('the last of it', await a.acknowledge([of(topic, [[6, 9, accept]])]))
    observe("the other's", await b.acknowledge([of(topic, [[2, 2, accept]])]))
    observe('standing at the end', await standing(peer, group, null))
  })

  scenario('how often records are delivered', async (peer, observe) => {
    const topic = await peer.topic('often')
    const { group, members } = await readers(peer, 'share-often', topic, A)
    const [a] = members
    await configureGroup(peer, group, { 'share.delivery.count.limit': '3' })
    await write(peer, topic, ['1', '2', '3'])
    observe('first', await a.fetchSome([of(topic)]))
    await a.acknowledge([of(topic, [[0, 2, release]])])
    observe('second', await a.fetchSome([]))
    await a.acknowledge([of(topic, [[0, 2, release]])])
    observe('third', await a.fetchSome([]))
    observe('third, the next', await a.fetch([]))
    observe('third, the last', await a.fetch([]))
    observe('released', await a.acknowledge([of(topic, [[0, 0, release]])]))
    await a.acknowledge([of(topic, [[1, 2, release]])])
    observe('given up', await a.fetch([]))
    observe('standing', await standing(peer, group, null))
  })

  scenario('how much comes at once', async (peer, observe) => {
    const topic = await peer.topic('much')
    const { members } = await readers(peer, 'share-much', topic, A)
    const [a] = members
    for (const values of [
      ['1', '2', '3'],
      ['4', '5'],
      ['6', '7', '8', '9'],
    ])
      await write(peer, topic, values)
    observe('whole batches', await a.fetchSome([of(topic)], { maxRecords: 2, batchSize: 2 }))
    observe('no more than asked for', await a.fetch([], { maxRecords: 1, shareAcquireMode: AcquireMode.recordLimit }))
    observe('in smaller runs', await a.fetch([], { batchSize: 1 }))
    observe('nothing left', await a.fetch([]))
    await a.acknowledge([of(topic, [[0, 8, release]])])
    observe('released', await a.fetchSome([], { maxRecords: 5 }))
    observe('version 1', await a.fetch([], {}, 1))
  })

  scenario('what a session leaves behind', async (peer, observe) => {
    const topic = await peer.topic('behind')
    const { group, members } = await readers(peer, 'share-behind', topic, A, B)
    const [a, b] = members
    await write(peer, topic, ['1', '2'])
    await a.fetchSome([of(topic)])
    observe('closed', await a.acknowledge([], { shareSessionEpoch: CLOSE_SESSION }))
    observe('to the other', await b.fetchSome([of(topic)]))
    b.wire.close()
    const again = new ShareAsker({ wire: await peer.connect() }, group, B)
    // Its session may still go with the old connection.
    const taken = await eventually(
      async () => {
        const reply = await again.fetch([of(topic)], { shareSessionEpoch: 0, maxWaitMs: 500, minBytes: 1 })
        return reply.responses[0]?.partitions[0]?.acquiredRecords.length ? reply : undefined
      },
      { withinMs: 20_000 },
    )
    observe('to its next connection', taken)
    await again.leave()
    observe('a fetch of who has left', (await again.fetch([])).errorCode)
  })

  scenario('locks that run out', async (peer, observe) => {
    const topic = await peer.topic('locks')
    const { group, members } = await readers(peer, 'share-locks', topic, A, B)
    const [a, b] = members
    observe('configured', await configureGroup(peer, group, { 'share.record.lock.duration.ms': '1000' }))
    await write(peer, topic, ['1', '2'])
    observe('taken', await a.fetchSome([of(topic)]))
    observe('by another, later', await b.fetchSome([of(topic)]))
    observe('too late', await a.acknowledge([of(topic, [[0, 0, accept]])]))
  })

  scenario('where share groups begin', async (peer, observe) => {
    const topic = await peer.topic('begin')
    await write(peer, topic, ['1', '2'])
    await coordinatorIsThere(peer)
    for (const start of [null, 'latest', 'earliest', 'by_duration:PT1H']) {
      const group = peer.unique(`share-begin-${start}`)
      await configureGroup(peer, group, { 'share.auto.offset.reset': start })
      const a = new ShareAsker({ wire: await peer.connect() }, group, A)
      await a.joined(topic)
      const [opened, written] = await openAt(peer, topic, a)
      observe(`${start}: at first`, opened)
      observe(`${start}: then`, written)
    }
  })
})

/** What there is, and what is written afterwards. */
async function openAt(peer: Peer, topic: TopicOnPeer, a: ShareAsker) {
  const opened = await a.fetch([of(topic)], { maxWaitMs: 1000, minBytes: 1 })
  await write(peer, topic, ['next'])
  const then = await a.fetchSome([])
  const acquired = ({ responses }: typeof opened) =>
    responses.flatMap(({ partitions }) =>
      partitions.map(({ errorCode, acquiredRecords }) => [errorCode, acquiredRecords]),
    )
  return [acquired(opened), acquired(then)]
}

describe('where share groups stand', () => {
  scenario('offsets of share groups', async (peer, observe) => {
    const topic = await peer.topic('stand', { partitions: 2 })
    const unread = await peer.topic('unread')
    const { wire } = peer
    const { group, members } = await readers(peer, 'share-stand', topic, A)
    const [a] = members
    await write(peer, topic, ['1', '2', '3'])
    await a.fetchSome([of(topic)])
    await a.acknowledge([of(topic, [[0, 0, accept]])])
    const ask = (topicName: string, ...partitions: number[]) => [{ topicName, partitions }]
    await eventually(async () => (await standing(peer, group, null))[0]!.topics[0]?.partitions[0]?.lag === 2)
    observe('one', await standing(peer, group, ask(topic.name, 0)))
    observe(
      'of version 0',
      await wire.call(describeShareGroupOffsets, { groups: [{ groupId: group, topics: ask(topic.name, 0) }] }, 0),
    )
    observe('all', await standing(peer, group, null))
    observe('none asked for', await standing(peer, group, []))
    observe('no partitions asked for', await standing(peer, group, ask(topic.name)))
    observe('an unknown topic', await standing(peer, group, ask(peer.unique('no-topic'), 0)))
    observe('an unknown partition', await standing(peer, group, ask(topic.name, 9)))
    observe('a topic that is not read', await standing(peer, group, ask(unread.name, 0)))
    observe('an unknown group', await standing(peer, peer.unique('share-unknown'), ask(topic.name, 0)))
    observe('an unknown group, all', await standing(peer, peer.unique('share-unknown'), null))
    observe('a nameless group', await standing(peer, '', null))
    const alter = (groupId: string, topicName: string, partitionIndex: number, startOffset: number) =>
      wire.call(alterShareGroupOffsets, {
        groupId,
        topics: [{ topicName, partitions: [{ partitionIndex, startOffset }] }],
      })
    const forget = (groupId: string, ...topicNames: string[]) =>
      wire.call(deleteShareGroupOffsets, { groupId, topics: topicNames.map((topicName) => ({ topicName })) })
    observe('altered with members', await alter(group, topic.name, 0, 0))
    observe('forgotten with members', await forget(group, topic.name))
    await a.fetch([], { shareSessionEpoch: CLOSE_SESSION })
    await a.leave()
    observe('altered', await alter(group, topic.name, 0, 2))
    observe('standing there', await standing(peer, group, ask(topic.name, 0)))
    observe('altered beyond the end', await alter(group, topic.name, 0, 99))
    observe('altered below', await alter(group, topic.name, 0, -1))
    observe('altered in a topic that is not read', await alter(group, unread.name, 0, 0))
    observe('altered in an unknown topic', await alter(group, peer.unique('no-topic'), 0, 0))
    observe('altered in an unknown partition', await alter(group, topic.name, 9, 0))
    observe('altered in an unknown group', await alter(peer.unique('share-unknown'), topic.name, 0, 0))
    observe('altered in a nameless group', await alter('', topic.name, 0, 0))
    observe('altered nowhere', await wire.call(alterShareGroupOffsets, { groupId: group, topics: [] }))
    observe('forgotten', await forget(group, topic.name))
    observe('all, afterwards', await standing(peer, group, ask(topic.name, 0)))
    observe('forgotten again', await forget(group, topic.name))
    observe('an unknown topic forgotten', await forget(group, peer.unique('no-topic')))
    observe('forgotten in an unknown group', await forget(peer.unique('share-unknown'), topic.name))
    observe('forgotten in a nameless group', await forget('', topic.name))
    observe('nothing forgotten', await forget(group))
  })

  scenario('settings of share groups', async (peer, observe) => {
    const { wire } = peer
    const group = peer.unique('share-settings')
    const described = async () => {
      const { results } = await wire.call(describeConfigs, {
        resources: [{ resourceType: 32, resourceName: group, configurationKeys: null }],
        includeSynonyms: false,
      })
      return results.map(({ configs, ...rest }) => ({
        ...rest,
        configs: configs
          .filter(({ name }) => name.startsWith('share.') && !name.startsWith('share.assign'))
          .sort((x, y) => (x.name < y.name ? -1 : 1)),
      }))
    }
    observe('before', await described())
    const tries: Array<[string, string]> = [
      ['share.auto.offset.reset', 'earliest'],
      ['share.auto.offset.reset', 'somewhere'],
      ['share.auto.offset.reset', 'by_duration:PT1H'],
      ['share.auto.offset.reset', 'by_duration:-PT1H'],
      ['share.auto.offset.reset', 'by_duration:x'],
      ['share.isolation.level', 'read_committed'],
      ['share.isolation.level', 'serializable'],
      ['share.record.lock.duration.ms', '20000'],
      ['share.record.lock.duration.ms', '10'],
      ['share.record.lock.duration.ms', 'x'],
      ['share.record.lock.duration.ms', '7200000'],
      ['share.delivery.count.limit', '3'],
      ['share.delivery.count.limit', '1'],
      ['share.partition.max.record.locks', '500'],
      ['share.partition.max.record.locks', '1'],
      ['share.partition.max.record.locks', '20000'],
      ['share.session.timeout.ms', '50000'],
      ['share.session.timeout.ms', '1'],
      ['share.heartbeat.interval.ms', '6000'],
      ['share.renew.acknowledge.enable', 'false'],
      ['share.renew.acknowledge.enable', 'perhaps'],
      ['share.nonsense', '1'],
    ]
    for (const [name, value] of tries) observe(`${name}=${value}`, await configureGroup(peer, group, { [name]: value }))
    observe(
      'after',
      await eventually(async () => {
        const found = await described()
        return found[0]!.configs.find(({ name }) => name === 'share.renew.acknowledge.enable')?.value === 'false'
          ? found
          : undefined
      }),
    )
    for (const [name, value] of [
      ['share.delivery.count.limit', '11'],
      ['share.heartbeat.interval.ms', '1'],
      ['share.assignment.interval.ms', '10'],
    ] as const)
      observe(`${name}=${value}`, await configureGroup(peer, peer.unique('share-wide'), { [name]: value }))
  })
})
