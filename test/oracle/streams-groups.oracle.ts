import { describe } from 'vitest'
import type { ResponseOf } from '../../protocol/api.ts'
import { deleteGroups, listGroups } from '../../protocol/messages/group-admin.ts'
import { offsetCommit } from '../../protocol/messages/group-offsets.ts'
import { metadata } from '../../protocol/messages/metadata.ts'
import { streamsGroupDescribe } from '../../protocol/messages/streams-groups.ts'
import { eventually } from '../support/eventually.ts'
import { type Peer, scenario, type TopicOnPeer } from './support/compare.ts'
import { coordinatorIsThere } from './support/coordinator.ts'
import { configureGroup } from './support/share-asker.ts'
import { own, part, type SaidTopology, StreamsAsker, type StreamsBeat } from './support/streams-asker.ts'

/** Lines to words to counts. */
const counter = (peer: Peer, source: string, epoch = 0): SaidTopology => ({
  epoch,
  subtopologies: [
    part('0', { sourceTopics: [source], repartitionSinkTopics: [peer.unique('words')] }),
    part('1', {
      repartitionSourceTopics: [own(peer.unique('words'))],
      stateChangelogTopics: [own(peer.unique('counts'))],
    }),
  ],
})

/** Reads one topic. */
const reader = (source: string, epoch = 0): SaidTopology => ({
  epoch,
  subtopologies: [part('0', { sourceTopics: [source] })],
})

/** A topic that the coordinator knows as well: in Kafka it hears of it after others do. */
async function knownTopic(peer: Peer, name: string, options: { partitions?: number } = {}): Promise<TopicOnPeer> {
  await coordinatorIsThere(peer)
  const topic = await peer.topic(name, options)
  const asker = new StreamsAsker(peer, peer.unique(`${name}-known`), 'm')
  await asker.join(reader(topic.name))
  await eventually(
    async () => {
      await asker.runs()
      return asker.active.length > 0
    },
    { what: `the coordinator knows ${topic.name}` },
  )
  await asker.leave()
  return topic
}

type Described = ResponseOf<typeof streamsGroupDescribe>['groups'][number]

async function describeGroup({ wire }: Peer, groupId: string) {
  const { groups } = await wire.call(streamsGroupDescribe, { groupIds: [groupId] })
  return groups.map((group) => ({
    ...group,
    members: [...group.members].sort((a, b) => (a.memberId < b.memberId ? -1 : 1)),
  }))
}

/** Topics of its own that an application has asked for are there, and known to the coordinator, when it has its tasks. */
const untilTasks = (asker: StreamsAsker, count: number) =>
  eventually(
    async () => {
      await asker.runs()
      return asker.active.flatMap(({ partitions }) => partitions).length === count
    },
    { withinMs: 20_000, what: `${asker.memberId} has ${count} tasks` },
  )

describe('groups of Kafka Streams', () => {
  scenario('the life of a streams member', async (peer, observe) => {
    const topic = await knownTopic(peer, 'lines', { partitions: 2 })
    const group = peer.unique('streams-life')
    const { wire } = peer
    const a = new StreamsAsker(peer, group, 'a')
    await a.join(counter(peer, topic.name))
    await untilTasks(a, 4)
    observe('a heartbeat', await a.beat())
    observe('what it runs', await a.runs())
    observe('everything said again', await a.join(counter(peer, topic.name)))
    observe('described', await describeGroup(peer, group))
    observe(
      'listed',
      (await wire.call(listGroups, {})).groups.filter(({ groupId }) => groupId === group),
    )
    const made = await wire.call(metadata, {
      topics: [{ name: peer.unique('words') }, { name: peer.unique('counts') }],
      allowAutoTopicCreation: false,
    })
    observe(
      'topics of its own',
      made.topics.map(({ name, partitions }) => [name, partitions.length]),
    )
    observe('a newer epoch', await a.runs({ memberEpoch: a.memberEpoch + 6 }))
    observe('a stranger', await a.runs({ memberId: 'x' }))
    observe('a stranger leaves', await a.leave({ memberId: 'x' }))
    observe('a commit', await commit(peer, topic, group, 'a', a.memberEpoch))
    observe('a commit of a newer epoch', await commit(peer, topic, group, 'a', a.memberEpoch + 1))
    observe('a commit of a stranger', await commit(peer, topic, group, 'x', a.memberEpoch))
    observe('deleting a group with members', await wire.call(deleteGroups, { groupsNames: [group] }))
    observe('left', await a.leave())
    observe('left again', await a.leave())
    observe('a heartbeat after it', await a.runs())
    observe('described when empty', await describeGroup(peer, group))
    observe('joined again', await a.join(counter(peer, topic.name)))
    await a.leave()
    observe('deleted', await wire.call(deleteGroups, { groupsNames: [group] }))
    observe('described when deleted', await describeGroup(peer, group))
  })

  scenario('streams heartbeats without sense', async (peer, observe) => {
    const topic = await knownTopic(peer, 'senseless-lines')
    const task = [{ subtopologyId: '0', partitions: [0] }]
    const tries: Array<[string, Partial<StreamsBeat>]> = [
      ['no group', { groupId: '' }],
      ['a blank group', { groupId: ' ' }],
      ['no member id', { memberId: '' }],
      ['a blank member id', { memberId: ' ' }],
      ['a long member id', { memberId: 'x'.repeat(37) }],
      ['an empty instance id', { instanceId: '' }],
      ['an empty rack', { rackId: '' }],
      ['an epoch below all', { memberEpoch: -3 }],
      ['away without an instance', { memberEpoch: -2, topology: null }],
      ['no rebalance timeout', { rebalanceTimeoutMs: -1 }],
      ['a rebalance timeout of none', { rebalanceTimeoutMs: 0 }],
      ['no process', { processId: null }],
      ['an empty process', { processId: '' }],
      ['no topology', { topology: null }],
      ['not a word of tasks', { activeTasks: null }],
      ['not a word of standby tasks', { standbyTasks: null }],
      ['not a word of warm-up tasks', { warmupTasks: null }],
      ['a task from before', { activeTasks: task }],
      ['a standby task from before', { standbyTasks: task }],
      ['a topology in a later heartbeat', { memberEpoch: 1 }],
      ['leaving an unknown group', { memberEpoch: -1, topology: null }],
      ['an unknown group', { memberEpoch: 1, topology: null }],
    ]
    for (const [index, [what, fields]] of tries.entries()) {
      const asker = new StreamsAsker(peer, peer.unique(`streams-senseless-${index}`), 'm')
      observe(what, await asker.join(reader(topic.name), fields))
    }
    observe('an unknown group described', await describeGroup(peer, peer.unique('streams-none')))
    observe('a nameless group described', await describeGroup(peer, ''))
  })

  scenario('topologies', async (peer, observe) => {
    const two = await knownTopic(peer, 'two', { partitions: 2 })
    const three = await knownTopic(peer, 'three', { partitions: 3 })
    const empty = { sourceTopics: [], sourceTopicRegex: [], repartitionSourceTopics: [] }
    const tries: Array<[string, SaidTopology['subtopologies']]> = [
      ['no parts', []],
      ['a part that reads nothing', [part('0')]],
      ['two parts of one id', [part('0', { sourceTopics: [two.name] }), part('0', { sourceTopics: [three.name] })]],
      ['an unknown source', [part('0', { sourceTopics: [peer.unique('absent')] })]],
      ['one of two sources unknown', [part('0', { sourceTopics: [two.name, peer.unique('absent')] })]],
      ['two sources', [part('0', { sourceTopics: [two.name, three.name] })]],
      [
        'sources that are read together',
        [
          part('0', {
            sourceTopics: [three.name, two.name],
            copartitionGroups: [{ ...empty, sourceTopics: [0, 1] }],
          }),
        ],
      ],
      [
        'places that there are not',
        [part('0', { sourceTopics: [two.name], copartitionGroups: [{ ...empty, sourceTopics: [3] }] })],
      ],
      [
        'a repartition topic that nobody writes',
        [part('0', { repartitionSourceTopics: [own(peer.unique('unwritten'))] })],
      ],
      [
        'a repartition topic with a number',
        [
          part('0', { sourceTopics: [two.name], repartitionSinkTopics: [peer.unique('five')] }),
          part('1', { repartitionSourceTopics: [own(peer.unique('five'), { partitions: 5 })] }),
        ],
      ],
      [
        'two that go by each other',
        [
          part('0', {
            repartitionSourceTopics: [own(peer.unique('round'))],
            repartitionSinkTopics: [peer.unique('about')],
          }),
          part('1', {
            repartitionSourceTopics: [own(peer.unique('about'))],
            repartitionSinkTopics: [peer.unique('round')],
          }),
        ],
      ],
      [
        'a changelog with its own name twice',
        [
          part('0', {
            sourceTopics: [two.name],
            stateChangelogTopics: [own(peer.unique('log')), own(peer.unique('log'))],
          }),
        ],
      ],
      [
        'a name that no topic can have',
        [part('0', { sourceTopics: [two.name], stateChangelogTopics: [own('what?')] })],
      ],
      [
        'more copies than brokers',
        [
          part('0', {
            sourceTopics: [two.name],
            stateChangelogTopics: [own(peer.unique('copies'), { replicationFactor: 3 })],
          }),
        ],
      ],
    ]
    for (const [index, [what, subtopologies]] of tries.entries()) {
      const asker = new StreamsAsker(peer, peer.unique(`topology-${index}`), 'm')
      const joined = await asker.join({ epoch: 0, subtopologies })
      observe(what, { errorCode: joined.errorCode, status: joined.status })
      const settled = await eventually(
        async () => {
          const { status } = await asker.runs()
          return isNews(status)
            ? undefined
            : { status, tasks: asker.active.flatMap(({ partitions }) => partitions).length }
        },
        { what },
      ).catch(() => ({ status: 'stays as it is', tasks: 0 }))
      observe(`${what}, later`, settled)
      const [{ groupState, topology }] = (await describeGroup(peer, asker.groupId)) as [Described]
      observe(`${what}, described`, { groupState, parts: topology?.subtopologies?.length })
      await asker.leave()
    }
  })

  scenario('a group runs one topology', async (peer, observe) => {
    const one = await knownTopic(peer, 'one-topology')
    const other = await knownTopic(peer, 'other-topology')
    const group = peer.unique('streams-topologies')
    const [a, b, c] = ['a', 'b', 'c'].map((name) => new StreamsAsker(peer, group, name)) as [
      StreamsAsker,
      StreamsAsker,
      StreamsAsker,
    ]
    await a.join(reader(one.name, 1))
    const told = ({ errorCode, status }: { errorCode: number; status: readonly number[] | null }) => ({
      errorCode,
      status,
    })
    observe('another of the same epoch', told(await b.join(reader(other.name, 1))))
    observe('an older one', told(await b.join(reader(one.name, 0))))
    observe('a newer one', told(await b.join(reader(other.name, 2))))
    observe('the first is told', told(await a.runs()))
    observe('the older one again', told(await c.join(reader(one.name, 1))))
    const [described] = await describeGroup(peer, group)
    observe('described', described!.topology!.epoch)
    for (const each of [a, b, c]) await each.leave()
    observe('an older one when nobody is there', told(await a.join(reader(one.name, 0))))
    await a.leave()
    observe('another when nobody is there', told(await a.join(reader(other.name, 0))))
  })

  scenario('tasks that change hands', async (peer, observe) => {
    const topic = await knownTopic(peer, 'hands', { partitions: 2 })
    const group = peer.unique('streams-hands')
    const [a, b] = [new StreamsAsker(peer, group, 'a'), new StreamsAsker(peer, group, 'b')]
    observe('the first', await a.join(reader(topic.name)))
    const first = a.memberEpoch
    observe('the second', await b.join(reader(topic.name)))
    observe('described', await describeGroup(peer, group))
    const told = await a.beat()
    observe('the first is told', told)
    const kept = told.activeTasks ?? []
    const before = [{ subtopologyId: '0', partitions: [0, 1] }]
    observe('it still runs both', await a.beat({ activeTasks: before, standbyTasks: [], warmupTasks: [] }))
    observe('the second waits', await b.runs())
    observe('it has let go', await a.beat({ activeTasks: kept, standbyTasks: [], warmupTasks: [] }))
    observe(
      'the answer was lost',
      await a.beat({ memberEpoch: first, activeTasks: kept, standbyTasks: [], warmupTasks: [] }),
    )
    observe('and it says nothing of what it runs', await a.beat({ memberEpoch: first }))
    observe('the second gets it', await b.runs())
    observe('stable', await describeGroup(peer, group))
    await b.leave()
    observe('alone', await a.runs())
    observe('alone, once more', await a.runs())
  })

  scenario('static members of streams groups', async (peer, observe) => {
    const topic = await knownTopic(peer, 'static-lines')
    const group = peer.unique('streams-static')
    const joined = await new StreamsAsker(peer, group, 'a').join(reader(topic.name), { instanceId: 'i' })
    observe('joined', joined.errorCode)
  })

  scenario('endpoints, tags and the end of an application', async (peer, observe) => {
    const topic = await knownTopic(peer, 'queried')
    const group = peer.unique('streams-queried')
    const [a, b] = [new StreamsAsker(peer, group, 'a'), new StreamsAsker(peer, group, 'b')]
    const said = { userEndpoint: { host: 'here', port: 99 }, clientTags: [{ key: 'zone', value: 'z' }] }
    observe('told', await a.join(reader(topic.name), said))
    observe('once more', await a.runs())
    observe('to another', await b.join(reader(topic.name)))
    observe('to who has not heard', await b.runs({ endpointInformationEpoch: -1 }))
    observe('described', await describeGroup(peer, group))
    observe('wants the end', await a.runs({ shutdownApplication: true }))
    observe('the other is told', await b.runs())
    await a.leave()
    await b.leave()
    observe('begins anew', await a.join(reader(topic.name)))
    await a.leave()
  })

  scenario('sources by expression', async (peer, observe) => {
    await knownTopic(peer, 'expressed')
    const a = new StreamsAsker(peer, peer.unique('streams-regex'), 'a')
    const expression = `${peer.unique('expressed')}.*`
    observe('joined', await a.join({ epoch: 0, subtopologies: [part('0', { sourceTopicRegex: [expression] })] }))
  })

  scenario('settings of streams groups', async (peer, observe) => {
    const group = peer.unique('streams-settings')
    const tries: Array<[string, string]> = [
      ['streams.session.timeout.ms', '50000'],
      ['streams.session.timeout.ms', '1'],
      ['streams.heartbeat.interval.ms', '6000'],
      ['streams.heartbeat.interval.ms', '1'],
      ['streams.num.standby.replicas', '1'],
      ['streams.initial.rebalance.delay.ms', '100'],
      ['streams.nonsense', '1'],
    ]
    for (const [name, value] of tries) observe(`${name}=${value}`, await configureGroup(peer, group, { [name]: value }))
  })
})

const isNews = (status: readonly number[] | null) => (status ?? []).length > 0

async function commit({ wire }: Peer, topic: TopicOnPeer, groupId: string, memberId: string, epoch: number) {
  const partitions = [{ partitionIndex: 0, committedOffset: 5 }]
  const topics = [{ name: topic.name, topicId: topic.topicId, partitions }]
  return wire.call(offsetCommit, { groupId, memberId, generationIdOrMemberEpoch: epoch, topics }, 9)
}
