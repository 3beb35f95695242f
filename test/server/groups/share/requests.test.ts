/** Share groups over real sockets. */
import { describe, expect, test } from 'vitest'
import { ErrorCode } from '../../../../protocol/errors.ts'
import { HandClock } from '../../../../protocol/lib/clock.ts'
import { consumerGroupHeartbeat } from '../../../../protocol/messages/consumer-groups.ts'
import { findCoordinator } from '../../../../protocol/messages/coordinators.ts'
import { deleteGroups, listGroups } from '../../../../protocol/messages/group-admin.ts'
import { offsetCommit } from '../../../../protocol/messages/group-offsets.ts'
import { deleteRecords } from '../../../../protocol/messages/offsets.ts'
import { AcknowledgeType, shareAcknowledge, shareFetch } from '../../../../protocol/messages/share-fetch.ts'
import { shareGroupDescribe } from '../../../../protocol/messages/share-groups.ts'
import {
  alterShareGroupOffsets,
  deleteShareGroupOffsets,
  describeShareGroupOffsets,
} from '../../../../protocol/messages/share-offsets.ts'
import { deleteTopics } from '../../../../protocol/messages/topics.ts'
import { apiVersions } from '../../../../protocol/messages/versions.ts'
import type { Authorizer } from '../../../../server/authorizer.ts'
import { eventually } from '../../../support/eventually.ts'
import { startRelay } from '../../../support/relay.ts'
import { RelayClient } from '../../../support/relay-client.ts'
import { join } from '../group-client.ts'
import { configureGroup, recordsIn, ShareMember } from './share-member.ts'

const { accept, release, renew } = AcknowledgeType

async function open(options: Parameters<typeof startRelay>[0] = {}) {
  const relay = await startRelay(options)
  return {
    relay,
    client: await RelayClient.open(relay.websocket.url),
    connect: () => RelayClient.open(relay.websocket.url),
  }
}

/** A group that reads a topic of one partition from its beginning, and a way to get members. */
async function openGroup(options: Parameters<typeof startRelay>[0] = {}, settings: Record<string, string> = {}) {
  const opened = await open(options)
  const topicId = await opened.client.createTopic('t')
  const configured = await configureGroup(opened.client, 'g', { 'share.auto.offset.reset': 'earliest', ...settings })
  expect(configured.errorMessage).toBeNull()
  const member = async (memberId: string) => {
    const joined = new ShareMember(await opened.connect(), memberId)
    await joined.join('t')
    return joined
  }
  return { ...opened, topicId, member }
}

const offsetsOf = (records: ReadonlyArray<{ offset: number }>) => records.map(({ offset }) => offset)

describe('[SHR-1] one heartbeat joins, and tells what to fetch from, when that is news', () => {
  test('members share a partition; who leaves, falls silent or is unknown is out', async () => {
    const clock = new HandClock()
    const settings = { 'share.session.timeout.ms': '3000', 'share.heartbeat.interval.ms': '1000' }
    const { client, topicId, member } = await openGroup({ clock }, settings)
    const a = new ShareMember(client, 'a')
    expect(await a.join('t')).toEqual([{ topicId, partitions: [0] }])
    expect((await a.beat()).assignment).toBeNull()
    const b = await member('b')
    expect(b.memberEpoch).toBe(2)
    expect((await a.beat()).memberEpoch).toBe(2)
    expect((await b.leave()).errorCode).toBe(0)
    expect((await b.leave()).errorCode).toBe(ErrorCode.UNKNOWN_MEMBER_ID)
    a.memberEpoch = 7
    expect((await a.beat()).errorCode).toBe(ErrorCode.FENCED_MEMBER_EPOCH)
    await clock.advanceAsync(3000)
    a.memberEpoch = 3
    expect((await a.beat()).errorCode).toBe(ErrorCode.UNKNOWN_MEMBER_ID)
  })

  test('what is missing or makes no sense is refused', async () => {
    const { client } = await openGroup()
    const refused = async (memberId: string, topics: string[] | null, memberEpoch = 0, groupId = 'g') => {
      const member = new ShareMember(client, memberId, groupId)
      member.memberEpoch = memberEpoch
      return (await member.beat(topics)).errorCode
    }
    expect(await refused('', ['t'])).toBe(ErrorCode.INVALID_REQUEST)
    expect(await refused('a', null)).toBe(ErrorCode.INVALID_REQUEST)
    expect(await refused('a', [])).toBe(ErrorCode.INVALID_REQUEST)
    expect(await refused('a', ['t'], -2)).toBe(ErrorCode.INVALID_REQUEST)
    expect(await refused('a', ['t'], 0, '')).toBe(ErrorCode.INVALID_REQUEST)
    expect(await refused('a', ['t'], 0, ' ')).toBe(ErrorCode.INVALID_REQUEST)
    expect(await refused('x'.repeat(37), ['t'])).toBe(ErrorCode.INVALID_REQUEST)
    expect(await refused('a', null, 1)).toBe(ErrorCode.UNKNOWN_MEMBER_ID)
  })

  test('a topic that comes later is assigned when it comes', async () => {
    const { client } = await open()
    const a = new ShareMember(client, 'a')
    expect(await a.join('later')).toEqual([])
    const topicId = await client.createTopic('later', { partitions: 2 })
    expect((await a.beat()).assignment?.topicPartitions).toEqual([{ topicId, partitions: [0, 1] }])
  })
})

describe('[SHR-3] a record is in the hands of one member at a time', () => {
  test('two members work on one partition, and together on all of it', async () => {
    const { client, topicId, member } = await openGroup()
    for (let batch = 0; batch < 4; batch++) await client.produce(topicId, ['x', 'y', 'z'])
    const [a, b] = [await member('a'), await member('b')]
    const byA = await a.fetch(topicId, { maxRecords: 4 })
    const byB = await b.fetch(topicId)
    expect(offsetsOf(byA)).toEqual([0, 1, 2, 3, 4, 5])
    expect(offsetsOf(byB)).toEqual([6, 7, 8, 9, 10, 11])
    expect(await b.accept(topicId, byA)).toBe(ErrorCode.INVALID_RECORD_STATE)
    expect(await a.accept(topicId, byA)).toBe(0)
    expect(await a.fetch(topicId)).toEqual([])
  })

  test('who waits is handed a record as soon as one comes, or is released', async () => {
    const { client, topicId, member } = await openGroup()
    const [a, b] = [await member('a'), await member('b')]
    const waiting = a.fetch(topicId, { maxWaitMs: 60_000 })
    await client.produce(topicId, ['one'])
    expect(await waiting).toEqual([{ offset: 0, value: 'one', deliveryCount: 1 }])
    const next = b.fetch(topicId, { maxWaitMs: 60_000 })
    expect(await a.acknowledge(topicId, [[0, 0, release]])).toBe(0)
    expect(await next).toEqual([{ offset: 0, value: 'one', deliveryCount: 2 }])
  })

  test('many that wait at once are each handed something else', async () => {
    const { client, topicId, member } = await openGroup()
    const members = await Promise.all(['a', 'b', 'c', 'd'].map(member))
    const waiting = members.map((each) => each.fetch(topicId, { maxWaitMs: 60_000, maxRecords: 1 }))
    for (let index = 0; index < 4; index++) await client.produce(topicId, [`${index}`])
    const taken = (await Promise.all(waiting)).flatMap(offsetsOf)
    expect(taken.sort()).toEqual([0, 1, 2, 3])
  })
})

describe('[SHR-4] what is settled never comes again; what is released, or held too long, does', () => {
  test('a lock runs out, unless it is renewed', async () => {
    const clock = new HandClock()
    const { client, topicId, member } = await openGroup({ clock }, { 'share.record.lock.duration.ms': '2000' })
    await client.produce(topicId, ['0', '1'])
    const [a, b] = [await member('a'), await member('b')]
    await a.fetch(topicId)
    await clock.advanceAsync(1500)
    expect(await a.acknowledge(topicId, [[0, 0, renew]])).toBe(ErrorCode.INVALID_REQUEST)
    expect(await a.acknowledge(topicId, [[0, 0, renew]], { isRenewAck: true })).toBe(0)
    const next = b.fetch(topicId, { maxWaitMs: 2000 })
    await clock.advanceAsync(500)
    expect(await next).toEqual([{ offset: 1, value: '1', deliveryCount: 2 }])
    expect(await a.acknowledge(topicId, [[0, 0, accept]])).toBe(0)
    expect(await a.acknowledge(topicId, [[1, 1, accept]])).toBe(ErrorCode.INVALID_RECORD_STATE)
  })

  test('renewing by fetching fetches nothing; groups may do without it', async () => {
    const { client, topicId, member } = await openGroup({}, { 'share.renew.acknowledge.enable': 'false' })
    await client.produce(topicId, ['0'])
    const a = await member('a')
    await a.fetch(topicId)
    const acknowledgementBatches = [{ firstOffset: 0, lastOffset: 0, acknowledgeTypes: [renew] }]
    const topics = [{ topicId, partitions: [{ partitionIndex: 0, acknowledgementBatches }] }]
    const refused = await a.fetchRaw(topics, { isRenewAck: true })
    expect(refused.errorCode).toBe(ErrorCode.INVALID_REQUEST)
    const renewed = await a.fetchRaw(topics, { isRenewAck: true, minBytes: 0, maxBytes: 0, maxRecords: 0 })
    expect(renewed.responses[0]!.partitions[0]).toMatchObject({
      errorCode: 0,
      acknowledgeErrorCode: ErrorCode.INVALID_REQUEST,
    })
    await configureGroup(client, 'g', { 'share.renew.acknowledge.enable': 'true' })
    const again = await a.fetchRaw(topics, { isRenewAck: true, minBytes: 0, maxBytes: 0, maxRecords: 0 })
    expect(again.responses[0]!.partitions[0]).toMatchObject({ errorCode: 0, acknowledgeErrorCode: 0 })
  })

  test('acknowledgements come with the next fetch as well', async () => {
    const { client, topicId, member } = await openGroup()
    await client.produce(topicId, ['0', '1', '2'])
    await client.produce(topicId, ['3'])
    const a = await member('a')
    await a.fetch(topicId, { maxRecords: 1 })
    const acknowledgementBatches = [{ firstOffset: 0, lastOffset: 2, acknowledgeTypes: [accept, release, accept] }]
    const reply = await a.fetchRaw([{ topicId, partitions: [{ partitionIndex: 0, acknowledgementBatches }] }])
    expect(reply.responses[0]!.partitions[0]).toMatchObject({
      acknowledgeErrorCode: 0,
      acquiredRecords: [
        { firstOffset: 1, lastOffset: 1, deliveryCount: 2 },
        { firstOffset: 3, lastOffset: 3, deliveryCount: 1 },
      ],
    })
  })
})

describe('[SHR-7] a session goes on with each number, and ends with its connection', () => {
  test('its first answer has all partitions, later ones those with news; what makes no sense opens none', async () => {
    const { topicId, member } = await openGroup()
    const a = await member('a')
    const topics = [{ topicId, partitions: [{ partitionIndex: 0, acknowledgementBatches: [] }] }]
    expect((await a.fetchRaw(topics, { groupId: null })).errorCode).toBe(ErrorCode.INVALID_REQUEST)
    expect((await a.fetchRaw(topics, { shareAcquireMode: 5 })).errorCode).toBe(ErrorCode.INVALID_REQUEST)
    const first = await a.fetchRaw(topics)
    expect(first.responses).toMatchObject([{ topicId, partitions: [{ errorCode: 0, acquiredRecords: [] }] }])
    expect((await a.fetchRaw([])).responses).toEqual([])
  })

  test('numbers that are wrong, sessions that are not there', async () => {
    const { topicId, member } = await openGroup()
    const a = await member('a')
    expect(await a.acknowledge(topicId, [])).toBe(ErrorCode.INVALID_SHARE_SESSION_EPOCH)
    a.sessionEpoch = 1
    expect((await a.fetchRaw([])).errorCode).toBe(ErrorCode.SHARE_SESSION_NOT_FOUND)
    a.sessionEpoch = 0
    await a.fetch(topicId)
    a.sessionEpoch = 5
    expect((await a.fetchRaw([])).errorCode).toBe(ErrorCode.INVALID_SHARE_SESSION_EPOCH)
    a.sessionEpoch = 0
    const acknowledgementBatches = [{ firstOffset: 0, lastOffset: 0, acknowledgeTypes: [accept] }]
    const reply = await a.fetchRaw([{ topicId, partitions: [{ partitionIndex: 0, acknowledgementBatches }] }])
    expect(reply.errorCode).toBe(ErrorCode.INVALID_REQUEST)
  })

  test('it remembers its partitions until they are forgotten, or deleted', async () => {
    const { client, topicId, member } = await openGroup()
    const a = await member('a')
    await a.fetch(topicId)
    await client.produce(topicId, ['0'])
    const [partition] = (await a.fetchRaw([])).responses[0]!.partitions
    expect(partition!.acquiredRecords).toEqual([{ firstOffset: 0, lastOffset: 0, deliveryCount: 1 }])
    await client.produce(topicId, ['1'])
    expect((await a.fetchRaw([], { forgottenTopicsData: [{ topicId, partitions: [0] }] })).responses).toEqual([])
    await a.fetch(topicId)
    const waiting = a.fetchRaw([], { maxWaitMs: 60_000 })
    await client.call(deleteTopics, {
      topics: [{ name: 't', topicId: null as never }],
      topicNames: [],
      timeoutMs: 1000,
    })
    expect((await waiting).responses[0]!.partitions[0]!.errorCode).toBe(ErrorCode.UNKNOWN_TOPIC_ID)
    expect((await a.fetchRaw([])).responses).toEqual([])
  })

  test('closed by the member or cut off, what it had in hand counts as delivered', async () => {
    const { client, topicId, member } = await openGroup()
    await client.produce(topicId, ['0', '1'])
    const a = await member('a')
    await a.fetch(topicId)
    const closing = a.closeSession()
    expect((await closing).errorCode).toBe(0)
    const b = await member('b')
    expect(await b.fetch(topicId)).toMatchObject([{ deliveryCount: 2 }, { deliveryCount: 2 }])
    b.client.socket.terminate()
    const c = await member('c')
    const taken = await eventually(async () => {
      const records = await c.fetch(topicId)
      return records.length > 0 ? records : undefined
    })
    expect(taken).toMatchObject([{ deliveryCount: 3 }, { deliveryCount: 3 }])
  })

  test('there are only so many', async () => {
    const { topicId, member } = await openGroup({ config: { groupShareMaxShareSessions: 1 } })
    const [a, b] = [await member('a'), await member('b')]
    await a.fetch(topicId)
    expect((await b.fetchRaw([])).errorCode).toBe(ErrorCode.SHARE_SESSION_LIMIT_REACHED)
    await a.closeSession()
    expect((await b.fetchRaw([])).errorCode).toBe(0)
  })
})

describe('[SHR-9] a group begins to read a partition where it is told to, once', () => {
  test('at the end, when nothing is said: what is written from its first heartbeat on', async () => {
    const { client } = await open()
    const topicId = await client.createTopic('t')
    await client.produce(topicId, ['before'])
    const a = new ShareMember(client, 'a')
    await a.join('t')
    await client.produce(topicId, ['after'])
    expect(await a.fetch(topicId)).toMatchObject([{ value: 'after' }])
  })

  test('some time ago; and a setting that changes later changes nothing', async () => {
    const clock = new HandClock()
    const { client, topicId } = await openGroup({ clock }, { 'share.auto.offset.reset': 'by_duration:PT1H' })
    await configureGroup(client, 'g', { 'share.auto.offset.reset': 'by_duration:P1D' })
    await client.produce(topicId, ['old', 'older'])
    const a = new ShareMember(client, 'a')
    await a.join('t')
    await client.produce(topicId, ['new'])
    await configureGroup(client, 'g', { 'share.auto.offset.reset': 'earliest' })
    expect((await a.fetch(topicId)).map(({ value }) => value)).toContain('new')
    const wrong = await configureGroup(client, 'g', { 'share.auto.offset.reset': 'by_duration:P1Y' })
    expect(wrong.errorCode).toBe(ErrorCode.INVALID_CONFIG)
  })
})

describe('[SHR-12] where a group stands is told, set anew and forgotten, while nobody is in it', () => {
  const describeOffsets = async (
    client: RelayClient,
    topics: { topicName: string; partitions: number[] }[] | null = null,
  ) => (await client.call(describeShareGroupOffsets, { groups: [{ groupId: 'g', topics }] })).groups[0]!

  test('start and lag', async () => {
    const { client, topicId, member } = await openGroup()
    await client.produce(topicId, ['0', '1', '2', '3'])
    expect(await describeOffsets(client)).toMatchObject({ errorCode: ErrorCode.GROUP_ID_NOT_FOUND })
    const a = await member('a')
    await a.fetch(topicId)
    await a.acknowledge(topicId, [
      [0, 0, accept],
      [2, 2, accept],
    ])
    const partition = { partitionIndex: 0, startOffset: 1, leaderEpoch: 0, lag: 2, errorCode: 0, errorMessage: null }
    expect((await describeOffsets(client)).topics).toEqual([{ topicName: 't', topicId, partitions: [partition] }])
    const some = await describeOffsets(client, [
      { topicName: 't', partitions: [0, 7] },
      { topicName: 'none', partitions: [0] },
    ])
    expect(some.topics[0]!.partitions).toMatchObject([{ startOffset: 1 }, { startOffset: -1, errorCode: 0 }])
    expect(some.topics[1]!.partitions).toMatchObject([{ errorCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION }])
  })

  test('altered and deleted', async () => {
    const { client, topicId, member } = await openGroup()
    await client.produce(topicId, ['0', '1', '2', '3'])
    const a = await member('a')
    await a.accept(topicId, await a.fetch(topicId))
    const alter = (startOffset: number, partitionIndex = 0, topicName = 't') =>
      client.call(alterShareGroupOffsets, {
        groupId: 'g',
        topics: [{ topicName, partitions: [{ partitionIndex, startOffset }] }],
      })
    const forget = () => client.call(deleteShareGroupOffsets, { groupId: 'g', topics: [{ topicName: 't' }] })
    expect((await alter(2)).errorCode).toBe(ErrorCode.NON_EMPTY_GROUP)
    expect((await forget()).errorCode).toBe(ErrorCode.NON_EMPTY_GROUP)
    await a.closeSession()
    await a.leave()
    expect((await alter(2)).responses).toMatchObject([{ topicName: 't', topicId, partitions: [{ errorCode: 0 }] }])
    expect((await alter(-1)).responses[0]!.partitions[0]!.errorCode).toBe(ErrorCode.INVALID_REQUEST)
    expect((await alter(2, 9)).responses[0]!.partitions[0]!.errorCode).toBe(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    expect((await alter(2, 0, 'none')).responses[0]!.partitions[0]!.errorCode).toBe(
      ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    )
    expect(offsetsOf(await (await member('b')).fetch(topicId))).toEqual([2, 3])
    await new ShareMember(client, 'b').leave()
    expect((await forget()).responses).toMatchObject([{ topicName: 't', topicId, errorCode: 0 }])
    expect((await forget()).responses[0]!.errorCode).toBe(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    expect(offsetsOf(await (await member('c')).fetch(topicId))).toEqual([0, 1, 2, 3])
  })

  test('the group is listed, described, and deleted when nobody is in it', async () => {
    const { client, topicId, member } = await openGroup()
    const a = await member('a')
    const listed = { groupId: 'g', protocolType: 'share', groupState: 'Stable', groupType: 'share' }
    const list = async (typesFilter: string[]) =>
      (await client.call(listGroups, { statesFilter: [], typesFilter })).groups
    expect(await list(['share'])).toEqual([listed])
    expect(await list(['consumer'])).toEqual([])
    const { groups } = await client.call(shareGroupDescribe, { groupIds: ['g', 'none'] })
    expect(groups).toMatchObject([
      {
        ...{ errorCode: 0, groupState: 'Stable', groupEpoch: 1, assignmentEpoch: 1, assignorName: 'simple' },
        members: [
          {
            ...{ memberId: 'a', memberEpoch: 1, clientId: 'test', subscribedTopicNames: ['t'] },
            assignment: { topicPartitions: [{ topicId, topicName: 't', partitions: [0] }] },
          },
        ],
      },
      { errorCode: ErrorCode.GROUP_ID_NOT_FOUND },
    ])
    const remove = async () => (await client.call(deleteGroups, { groupsNames: ['g'] })).results[0]!.errorCode
    expect(await remove()).toBe(ErrorCode.NON_EMPTY_GROUP)
    await a.leave()
    expect(await list([])).toEqual([{ ...listed, groupState: 'Empty' }])
    expect(await remove()).toBe(0)
    expect(await list([])).toEqual([])
    expect((await a.fetchRaw([])).errorCode).toBe(ErrorCode.GROUP_ID_NOT_FOUND)
  })
})

test('[SHR-13] a share group is no consumer group, and none becomes the other', async () => {
  const { client, topicId, member } = await openGroup()
  await member('a')
  const beat = (groupId: string) =>
    client.call(consumerGroupHeartbeat, {
      ...{ groupId, memberId: 'm', memberEpoch: 0, rebalanceTimeoutMs: 5000 },
      ...{ subscribedTopicNames: ['t'], topicPartitions: [] },
    })
  expect((await beat('g')).errorCode).toBe(ErrorCode.GROUP_ID_NOT_FOUND)
  expect((await join(client)).errorCode).toBe(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
  const partitions = [{ partitionIndex: 0, committedOffset: 1 }]
  const committed = await client.call(offsetCommit, { groupId: 'g', memberId: '', topics: [{ topicId, partitions }] })
  expect(committed.topics[0]!.partitions[0]!.errorCode).toBe(ErrorCode.GROUP_ID_NOT_FOUND)
  expect((await beat('consumers')).errorCode).toBe(0)
  expect((await new ShareMember(client, 'a', 'consumers').beat(['t'])).errorCode).toBe(ErrorCode.GROUP_ID_NOT_FOUND)
})

test('[SHR-14] what retention takes away is out of hand, and a topic made anew is read anew', async () => {
  const { client, topicId, member } = await openGroup()
  await client.produce(topicId, ['0', '1'])
  await client.produce(topicId, ['2', '3'])
  const a = await member('a')
  await a.fetch(topicId, { maxRecords: 1 })
  const partitions = [{ partitionIndex: 0, offset: 3 }]
  await client.call(deleteRecords, { topics: [{ name: 't', partitions }], timeoutMs: 1000 })
  expect(await a.acknowledge(topicId, [[0, 1, accept]])).toBe(0)
  expect(offsetsOf(await a.fetch(topicId))).toEqual([3])
  await client.call(deleteTopics, { topics: [{ name: 't', topicId: null as never }], topicNames: [], timeoutMs: 1000 })
  const again = await client.createTopic('t')
  await client.produce(again, ['anew'])
  await a.beat()
  const forgottenTopicsData = [{ topicId, partitions: [0] }]
  expect(await a.fetch(again, { forgottenTopicsData })).toMatchObject([{ offset: 0, value: 'anew' }])
})

describe('[SHR-17] who may not use a group or a topic learns nothing of it, and takes nothing', () => {
  const denies = (type: string, name: string): Authorizer => ({
    allows: (_principal, _operation, resource) =>
      !(resource.type === type && 'name' in resource && resource.name === name),
  })

  test('a group', async () => {
    const { client } = await open({ authorizer: denies('group', 'secret') })
    await client.createTopic('t')
    const groupId = 'secret'
    const topics = [{ topicName: 't', partitions: [{ partitionIndex: 0, startOffset: 0 }] }]
    const codes = [
      (await new ShareMember(client, 'a', groupId).beat(['t'])).errorCode,
      (await new ShareMember(client, 'a', groupId).fetchRaw([])).errorCode,
      (await client.call(shareAcknowledge, { groupId, memberId: 'a', shareSessionEpoch: 1, topics: [] })).errorCode,
      (await client.call(shareGroupDescribe, { groupIds: [groupId] })).groups[0]!.errorCode,
      (await client.call(describeShareGroupOffsets, { groups: [{ groupId, topics: null }] })).groups[0]!.errorCode,
      (await client.call(alterShareGroupOffsets, { groupId, topics })).errorCode,
      (await client.call(deleteShareGroupOffsets, { groupId, topics: [{ topicName: 't' }] })).errorCode,
    ]
    expect(codes).toEqual(codes.map(() => ErrorCode.GROUP_AUTHORIZATION_FAILED))
  })

  test('a topic', async () => {
    let isOpen = false
    const { allows } = denies('topic', 'secret')
    const { relay, client, connect } = await open({ authorizer: { allows: (...asked) => isOpen || allows(...asked) } })
    await client.createTopic('t')
    const secret = await relay.engine.createTopic({ name: 'secret', partitionCount: 1, configs: {} })
    const member = new ShareMember(await connect(), 'a')
    expect((await member.beat(['secret'])).errorCode).toBe(ErrorCode.TOPIC_AUTHORIZATION_FAILED)
    await member.join('t')
    const partitions = [{ partitionIndex: 0, acknowledgementBatches: [] }]
    const { responses } = await member.fetchRaw([{ topicId: secret.id, partitions }])
    expect(responses).toMatchObject([{ partitions: [{ errorCode: ErrorCode.TOPIC_AUTHORIZATION_FAILED }] }])
    expect((await member.fetchRaw([])).responses).toEqual(responses)
    // Given the right, it need not name the topic again.
    isOpen = true
    expect((await member.fetchRaw([])).responses).toEqual([])
    await client.produce(secret.id, ['x'])
    expect(recordsIn(await member.fetchRaw([]))).toMatchObject([{ value: 'x' }])
  })
})

describe('what clients look for', () => {
  test('[SHR-15] share.version, and the coordinator of what a group knows of a partition', async () => {
    const { client, topicId } = await openGroup()
    const versions = await client.call(apiVersions, { clientSoftwareName: 'x', clientSoftwareVersion: '1' })
    expect(versions.finalizedFeatures).toContainEqual({ name: 'share.version', maxVersionLevel: 1, minVersionLevel: 1 })
    const coordinatorKeys = [`g:h:${topicId}:0`, 'g', `g:${topicId}`]
    const { coordinators } = await client.call(findCoordinator, { keyType: 2, coordinatorKeys })
    expect(coordinators.map(({ errorCode }) => errorCode)).toEqual([
      0,
      ErrorCode.INVALID_REQUEST,
      ErrorCode.INVALID_REQUEST,
    ])
  })

  test('[SHR-15] the versions of before renewals', async () => {
    const { client, topicId, member } = await openGroup()
    await client.produce(topicId, ['0'])
    const a = await member('a')
    const session = { groupId: 'g', memberId: 'a' }
    const partitions = [{ partitionIndex: 0, acknowledgementBatches: [] }]
    const limits = { maxWaitMs: 0, minBytes: 1, maxRecords: 10, batchSize: 10, forgottenTopicsData: [] }
    const fetched = await a.client.call(
      shareFetch,
      { ...session, ...limits, shareSessionEpoch: 0, topics: [{ topicId, partitions }] },
      1,
    )
    expect(fetched).toMatchObject({ errorCode: 0, acquisitionLockTimeoutMs: 30_000 })
    const acknowledgementBatches = [{ firstOffset: 0, lastOffset: 0, acknowledgeTypes: [accept] }]
    const topics = [{ topicId, partitions: [{ partitionIndex: 0, acknowledgementBatches }] }]
    const { responses } = await a.client.call(shareAcknowledge, { ...session, shareSessionEpoch: 1, topics }, 1)
    expect(responses[0]!.partitions[0]!.errorCode).toBe(0)
  })
})
