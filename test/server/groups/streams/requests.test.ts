/** Groups of Kafka Streams over real sockets. */
import { describe, expect, test } from 'vitest'
import { ErrorCode } from '../../../../protocol/errors.ts'
import { HandClock } from '../../../../protocol/lib/clock.ts'
import { deleteGroups, listGroups } from '../../../../protocol/messages/group-admin.ts'
import { offsetCommit, offsetFetch } from '../../../../protocol/messages/group-offsets.ts'
import { StreamsStatus, streamsGroupDescribe } from '../../../../protocol/messages/streams-groups.ts'
import { createPartitions } from '../../../../protocol/messages/topics.ts'
import type { Authorizer } from '../../../../server/authorizer.ts'
import { NO_PARTITIONS } from '../../../../server/coordinator/consumer/partitions.ts'
import type { StreamsHeartbeat } from '../../../../server/coordinator/streams/streams-group.ts'
import { startRelay } from '../../../support/relay.ts'
import { RelayClient } from '../../../support/relay-client.ts'
import { openCoordinator } from '../coordinator-fixture.ts'
import { join as joinClassic } from '../group-client.ts'
import { configureGroup } from '../share/share-member.ts'
import { counter, own, type Request, StreamsMember, tasksIn } from './streams-member.ts'

async function open(options: Parameters<typeof startRelay>[0] = {}) {
  const relay = await startRelay(options)
  const connect = () => RelayClient.open(relay.websocket.url)
  return { relay, connect, client: await connect() }
}

describe('[STG-1] one heartbeat joins, tells what the application does, and hears its tasks', () => {
  test('topics are made, tasks are told once, and again when somebody lost the answer', async () => {
    const { client, relay } = await open()
    await client.createTopic('lines', { partitions: 2 })
    const a = new StreamsMember(client, 'a')
    const joined = await a.join()
    expect(joined).toMatchObject({ errorCode: 0, memberId: 'a', memberEpoch: 1, status: [] })
    expect(tasksIn(joined.activeTasks)).toEqual(['0_0', '0_1', '1_0', '1_1'])
    expect([joined.standbyTasks, joined.warmupTasks]).toEqual([[], []])
    expect(relay.engine.topicByName('app-words')!.partitions).toHaveLength(2)
    expect(relay.engine.topicByName('app-counts')!.configOverrides).toEqual({ 'cleanup.policy': 'compact' })
    expect((await a.beat({ activeTasks: null })).activeTasks).toBeNull()
    expect(tasksIn((await a.beat()).activeTasks)).toHaveLength(4)
    a.active = joined.activeTasks!
    expect((await a.beat()).activeTasks).toBeNull()
  })

  test('what makes no sense is refused', async () => {
    const { client } = await open()
    await client.createTopic('lines')
    const a = new StreamsMember(client, 'a')
    const refused = async (rest: Partial<Request>, topology = counter()) => (await a.join(topology, rest)).errorCode
    expect(await refused({ topology: null })).toBe(ErrorCode.INVALID_REQUEST)
    expect(await refused({ memberId: '' })).toBe(ErrorCode.INVALID_REQUEST)
    expect(await refused({ processId: null })).toBe(ErrorCode.INVALID_REQUEST)
    expect(await refused({ rebalanceTimeoutMs: -1 })).toBe(ErrorCode.INVALID_REQUEST)
    expect(await refused({ activeTasks: null })).toBe(ErrorCode.INVALID_REQUEST)
    expect(await refused({ memberEpoch: 3 })).toBe(ErrorCode.INVALID_REQUEST)
    expect(await refused({ memberEpoch: -2, topology: null })).toBe(ErrorCode.INVALID_REQUEST)
    expect(await refused({ memberEpoch: 3, topology: null })).toBe(ErrorCode.UNKNOWN_MEMBER_ID)
    const [first, second] = counter().subtopologies
    const regex = { epoch: 0, subtopologies: [{ ...first!, sourceTopicRegex: ['l.*'] }, second!] }
    expect(await refused({}, regex)).toBe(ErrorCode.INVALID_REQUEST)
    expect(await refused({ groupId: ' ' })).toBe(ErrorCode.INVALID_REQUEST)
    const nameless = { epoch: 0, subtopologies: [{ ...first!, stateChangelogTopics: [own('what?')] }, second!] }
    expect(await refused({}, nameless)).toBe(ErrorCode.STREAMS_INVALID_TOPOLOGY)
    const wrongPlace = [{ sourceTopics: [7], sourceTopicRegex: [], repartitionSourceTopics: [] }]
    const misplaced = { epoch: 0, subtopologies: [{ ...first!, copartitionGroups: wrongPlace }, second!] }
    expect(await refused({}, misplaced)).toBe(ErrorCode.STREAMS_INVALID_TOPOLOGY)
  })
})

test('[STG-2] without its sources nothing runs; when they come, or grow, it does', async () => {
  const { client } = await open()
  const a = new StreamsMember(client, 'a')
  const joined = await a.join()
  expect(joined).toMatchObject({ status: [{ statusCode: StreamsStatus.missingSourceTopics }], activeTasks: [] })
  expect((await client.call(streamsGroupDescribe, { groupIds: ['app'] })).groups[0]!.groupState).toBe('NotReady')
  await client.createTopic('lines')
  expect(await a.follow()).toEqual(['0_0', '1_0'])
  await client.call(createPartitions, {
    topics: [{ name: 'lines', count: 3, assignments: null }],
    timeoutMs: 1000,
    validateOnly: false,
  })
  expect(await a.beat()).toMatchObject({ status: [{ statusCode: StreamsStatus.incorrectlyPartitionedTopics }] })
})

describe('[STG-3] a task has one owner: the next gets it when the last has let go, or is out', () => {
  test('tasks move one by one, and are even', async () => {
    const { client, connect } = await open()
    await client.createTopic('lines', { partitions: 2 })
    const [a, b] = [new StreamsMember(client, 'a'), new StreamsMember(await connect(), 'b')]
    a.active = (await a.join()).activeTasks!
    const joined = await b.join()
    expect(tasksIn(joined.activeTasks)).toEqual([])
    expect(tasksIn((await b.beat()).activeTasks)).toEqual([])
    const kept = await a.follow()
    expect(kept).toHaveLength(2)
    const got = await b.follow()
    expect([...kept, ...got].sort()).toEqual(['0_0', '0_1', '1_0', '1_1'])
    expect((await b.beat({ memberEpoch: -1, activeTasks: null })).errorCode).toBe(0)
    expect(await a.follow()).toHaveLength(4)
  })

  test('who is silent is out; who speaks with another epoch is fenced; a static member comes back', async () => {
    const clock = new HandClock()
    const { client } = await open({ clock })
    await configureGroup(client, 'app', {
      'streams.session.timeout.ms': '3000',
      'streams.heartbeat.interval.ms': '1000',
    })
    await client.createTopic('lines')
    const a = new StreamsMember(client, 'a')
    await a.join(counter(), { instanceId: 'i' })
    const thief = new StreamsMember(client, 'b')
    expect((await thief.join(counter(), { instanceId: 'i' })).errorCode).toBe(ErrorCode.UNRELEASED_INSTANCE_ID)
    expect((await a.beat({ memberEpoch: 9 })).errorCode).toBe(ErrorCode.FENCED_MEMBER_EPOCH)
    expect((await a.beat({ memberEpoch: -2, instanceId: 'i', activeTasks: null })).errorCode).toBe(0)
    expect(tasksIn((await thief.join(counter(), { instanceId: 'i' })).activeTasks)).toEqual(['0_0', '1_0'])
    await clock.advanceAsync(3000)
    expect((await thief.beat()).errorCode).toBe(ErrorCode.UNKNOWN_MEMBER_ID)
  })
})

describe('[STG-6] a group runs one topology', () => {
  test('a newer one takes over, an older is fenced, another of the same epoch is refused', async () => {
    const { client } = await open()
    for (const name of ['lines', 'others']) await client.createTopic(name)
    const [a, b, c] = ['a', 'b', 'c'].map((name) => new StreamsMember(client, name)) as [
      StreamsMember,
      StreamsMember,
      StreamsMember,
    ]
    await a.join()
    expect((await b.join(counter(0, 'others'))).errorCode).toBe(ErrorCode.STREAMS_INVALID_TOPOLOGY)
    expect((await b.join(counter(1, 'others'))).errorCode).toBe(0)
    expect((await c.join(counter(0))).errorCode).toBe(ErrorCode.STREAMS_TOPOLOGY_FENCED)
    expect(await a.beat()).toMatchObject({ status: [{ statusCode: StreamsStatus.staleTopology }] })
    expect(await a.follow()).toEqual([])
    expect(await b.follow()).toEqual(['0_0', '1_0'])
  })

  test('when nobody is in it, it may be any; and all are told when one wants the end', async () => {
    const { client } = await open()
    for (const name of ['lines', 'others']) await client.createTopic(name)
    const [a, b] = [new StreamsMember(client, 'a'), new StreamsMember(client, 'b')]
    await a.join()
    await b.join()
    await a.beat({ shutdownApplication: true })
    expect((await b.beat()).status).toMatchObject([{ statusCode: StreamsStatus.shutdownApplication }])
    for (const each of [a, b]) await each.beat({ memberEpoch: -1, activeTasks: null })
    expect(await a.join(counter(0, 'others'))).toMatchObject({ errorCode: 0, status: [] })
  })
})

test('[STG-3] also over a restart', async () => {
  const first = await open()
  await first.client.createTopic('lines', { partitions: 2 })
  const a = new StreamsMember(first.client, 'a')
  a.active = (await a.join()).activeTasks!
  await first.relay.close()
  const { client } = await open({ config: { dataDir: first.relay.dataDir } })
  const b = new StreamsMember(client, 'b')
  expect(tasksIn((await b.join()).activeTasks)).toEqual([])
  expect(tasksIn((await b.beat()).activeTasks)).toEqual([])
  const back = new StreamsMember(client, 'a')
  Object.assign(back, { memberEpoch: a.memberEpoch, active: a.active })
  const kept = await back.follow()
  expect([...kept, ...(await b.follow())].sort()).toEqual(['0_0', '0_1', '1_0', '1_1'])
})

test('[STG-7] members, topology and tasks are there after a restart', async () => {
  const first = await open()
  await first.client.createTopic('lines', { partitions: 2 })
  const a = new StreamsMember(first.client, 'a')
  a.active = (await a.join()).activeTasks!
  await first.relay.close()
  const { client } = await open({ config: { dataDir: first.relay.dataDir } })
  const again = new StreamsMember(client, 'a')
  again.memberEpoch = a.memberEpoch
  again.active = a.active
  expect(await again.beat({ activeTasks: null })).toMatchObject({ errorCode: 0, activeTasks: null, status: [] })
  const { groups } = await client.call(streamsGroupDescribe, { groupIds: ['app'] })
  expect(groups[0]).toMatchObject({
    groupState: 'Stable',
    topology: { epoch: 0, subtopologies: [{ subtopologyId: '0' }, { subtopologyId: '1' }] },
  })
  expect(tasksIn(groups[0]!.members[0]!.assignment.activeTasks)).toEqual(['0_0', '0_1', '1_0', '1_1'])
})

test.each(['deleted', 'expired'])(
  '[GRP-9] what an application said of itself is freed when its group is %s',
  async (how) => {
    const clock = new HandClock()
    const config = { offsetsRetentionMinutes: 1, offsetsRetentionCheckIntervalMs: 60_000 }
    const coordinator = await openCoordinator({ clock, config })
    const changelog = { name: 'app-counts', partitions: 0, configs: { note: 'x'.repeat(900_000) } }
    const part = { id: '0', sources: ['absent'], changelogs: [changelog], repartitionSinks: [], repartitionSources: [] }
    const said: StreamsHeartbeat = {
      ...{ memberId: 'a', memberEpoch: 0, instanceId: null, rackId: null, clientId: 'c', clientHost: '/h' },
      ...{ rebalanceTimeoutMs: 1000, topology: { epoch: 0, subtopologies: [{ ...part, copartitioned: [] }] } },
      ...{
        active: NO_PARTITIONS,
        processId: 'p',
        userEndpoint: null,
        clientTags: [],
        endpointEpoch: -1,
        wantsShutdown: false,
      },
    }
    for (let app = 0; app < 80; app++) {
      await coordinator.streamsHeartbeat(`app-${app}`, said, async () => {})
      await coordinator.streamsLeave(`app-${app}`, { memberId: 'a', memberEpoch: -1, instanceId: null })
      if (how === 'deleted') await coordinator.deleteGroup(`app-${app}`)
      else await clock.advanceAsync(60_000)
      expect(coordinator.groups()).toEqual([])
    }
  },
)

test('[STG-8] a member commits in its epoch; what a classic group committed goes on as a streams group', async () => {
  const { client } = await open({ config: { groupInitialRebalanceDelayMs: 0 } })
  const topicId = await client.createTopic('lines')
  const commit = async (claim: { memberId: string; generationIdOrMemberEpoch: number }, committedOffset: number) => {
    const topics = [{ topicId, partitions: [{ partitionIndex: 0, committedOffset }] }]
    return (await client.call(offsetCommit, { groupId: 'app', ...claim, topics })).topics[0]!.partitions[0]!.errorCode
  }
  const fetch = async (claim: { memberId: string | null; memberEpoch: number }) => {
    const groups = [{ groupId: 'app', ...claim, topics: [{ topicId, partitionIndexes: [0] }] }]
    const [group] = (await client.call(offsetFetch, { groups, requireStable: false })).groups
    return group!.errorCode || group!.topics[0]!.partitions[0]!.committedOffset
  }
  expect(await commit({ memberId: '', generationIdOrMemberEpoch: -1 }, 3)).toBe(0)
  const a = new StreamsMember(client, 'a')
  await a.join()
  expect(await fetch({ memberId: 'a', memberEpoch: 1 })).toBe(3)
  expect(await fetch({ memberId: 'a', memberEpoch: 0 })).toBe(ErrorCode.STALE_MEMBER_EPOCH)
  expect(await commit({ memberId: 'a', generationIdOrMemberEpoch: 1 }, 5)).toBe(0)
  expect(await commit({ memberId: 'a', generationIdOrMemberEpoch: 0 }, 6)).toBe(ErrorCode.STALE_MEMBER_EPOCH)
  expect(await commit({ memberId: 'b', generationIdOrMemberEpoch: 1 }, 6)).toBe(ErrorCode.UNKNOWN_MEMBER_ID)
  expect((await joinClassic(client, { groupId: 'app' })).errorCode).toBe(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
  const list = async () => (await client.call(listGroups, { statesFilter: [], typesFilter: ['streams'] })).groups
  expect(await list()).toMatchObject([
    { groupId: 'app', groupType: 'streams', protocolType: 'streams', groupState: 'Stable' },
  ])
  const remove = async () => (await client.call(deleteGroups, { groupsNames: ['app'] })).results[0]!.errorCode
  expect(await remove()).toBe(ErrorCode.NON_EMPTY_GROUP)
  await a.beat({ memberEpoch: -1, activeTasks: null })
  expect(await fetch({ memberId: null, memberEpoch: -1 })).toBe(5)
  expect(await remove()).toBe(0)
  expect(await list()).toEqual([])
})

test('[STG-9] where the application may be queried is told to all who have not heard of it', async () => {
  const { client, connect } = await open()
  await client.createTopic('lines')
  const [a, b] = [new StreamsMember(client, 'a'), new StreamsMember(await connect(), 'b')]
  const joined = await a.join(counter(), { userEndpoint: { host: 'here', port: 99 } })
  const topics = [
    { topic: 'lines', partitions: [0] },
    { topic: 'app-words', partitions: [0] },
  ]
  const expected = [{ userEndpoint: { host: 'here', port: 99 }, activePartitions: topics, standbyPartitions: [] }]
  expect(joined.partitionsByUserEndpoint).toEqual(expected)
  const heard = await b.join()
  expect(heard.partitionsByUserEndpoint).toHaveLength(1)
  const again = await b.beat({ endpointInformationEpoch: heard.endpointInformationEpoch })
  expect(again.partitionsByUserEndpoint).toBeNull()
  // Nothing that can be queried has moved.
  const known = { endpointInformationEpoch: heard.endpointInformationEpoch }
  const c = new StreamsMember(await connect(), 'c')
  await c.join()
  expect((await b.beat(known)).partitionsByUserEndpoint).toBeNull()
  await a.beat({ memberEpoch: -1, activeTasks: null })
  expect((await b.beat(known)).partitionsByUserEndpoint).toEqual([])
})

describe('[STG-11] who may not use a group, read a topic or make one, does not', () => {
  const denies = (operation: string, name: string): Authorizer => ({
    allows: (_principal, asked, resource) => !(asked === operation && 'name' in resource && resource.name === name),
  })

  test('each in its own way', async () => {
    const group = await open({ authorizer: denies('read', 'app') })
    expect((await new StreamsMember(group.client, 'a').join()).errorCode).toBe(ErrorCode.GROUP_AUTHORIZATION_FAILED)
    const source = await open({ authorizer: denies('describe', 'lines') })
    expect((await new StreamsMember(source.client, 'a').join()).errorCode).toBe(ErrorCode.TOPIC_AUTHORIZATION_FAILED)
    const topic = await open({ authorizer: denies('create', 'app-counts') })
    await topic.client.createTopic('lines')
    const joined = await new StreamsMember(topic.client, 'a').join()
    expect(joined).toMatchObject({
      ...{ errorCode: 0, activeTasks: [] },
      status: [
        { statusCode: StreamsStatus.missingInternalTopics, statusDetail: expect.stringContaining('not allowed') },
      ],
    })
  })
})
