/** Groups of the next protocol over the wire: heartbeats, descriptions, lists, offsets; what is refused, and to whom. */
import { describe, expect, test } from 'vitest'
import type { RequestInputOf } from '../../../../protocol/api.ts'
import { ErrorCode } from '../../../../protocol/errors.ts'
import { consumerGroupDescribe, consumerGroupHeartbeat } from '../../../../protocol/messages/consumer-groups.ts'
import { deleteGroups, describeGroups, listGroups } from '../../../../protocol/messages/group-admin.ts'
import { offsetCommit, offsetDelete, offsetFetch } from '../../../../protocol/messages/group-offsets.ts'
import type { Authorizer } from '../../../../server/authorizer.ts'
import type { RequestContext } from '../../../../server/handler.ts'
import { consumerGroupDescribeHandler } from '../../../../server/handlers/consumer-groups.ts'
import { startRelay } from '../../../support/relay.ts'
import { RelayClient } from '../../../support/relay-client.ts'
import { join as joinClassic, joinFully } from '../group-client.ts'
import { ConsumerDriver } from './consumer-driver.ts'

type Fields = Partial<RequestInputOf<typeof consumerGroupHeartbeat>>

async function open(options: Parameters<typeof startRelay>[0] = {}) {
  const relay = await startRelay(options)
  return { relay, client: await RelayClient.open(relay.websocket.url) }
}

const beat = (client: RelayClient, memberId: string, fields: Fields = {}, version = 1) =>
  client.call(consumerGroupHeartbeat, { groupId: 'g', memberId, memberEpoch: 0, ...fields }, version)

const join = (client: RelayClient, memberId: string, fields: Fields = {}, version = 1) =>
  beat(
    client,
    memberId,
    { rebalanceTimeoutMs: 5000, subscribedTopicNames: ['t'], topicPartitions: [], ...fields },
    version,
  )

const describeOne = async (client: RelayClient, groupId: string, version = 1) =>
  (await client.call(consumerGroupDescribe, { groupIds: [groupId], includeAuthorizedOperations: true }, version))
    .groups[0]!

function commit(client: RelayClient, topicId: string, memberId: string, memberEpoch: number, version = 10) {
  const partitions = [{ partitionIndex: 0, committedOffset: 7 }]
  const topics = [{ name: 't', topicId, partitions }]
  const body = { groupId: 'g', memberId, generationIdOrMemberEpoch: memberEpoch, topics }
  return client.call(offsetCommit, body, version).then((reply) => reply.topics[0]!.partitions[0]!.errorCode)
}

describe('[GRP-30] heartbeats over the wire', () => {
  test('join, be told, describe, leave; in both versions', async () => {
    const { client } = await open()
    const topicId = await client.createTopic('t', { partitions: 2 })
    // The relay makes up an id in version 0.
    const joined = await join(client, '', { rackId: 'r', instanceId: 'i' }, 0)
    expect(joined).toMatchObject({
      errorCode: 0,
      memberEpoch: 1,
      heartbeatIntervalMs: 5000,
      assignment: { topicPartitions: [{ topicId, partitions: [0, 1] }] },
    })
    const memberId = joined.memberId!
    expect(memberId).toHaveLength(22)
    const partitions = [{ topicId, topicName: 't', partitions: [0, 1] }]
    for (const version of [0, 1]) {
      expect(await describeOne(client, 'g', version)).toMatchObject({
        ...{ errorCode: 0, groupState: 'Stable', groupEpoch: 1, assignmentEpoch: 1, assignorName: 'uniform' },
        authorizedOperations: [3, 6, 8, 10, 11].reduce((bits, code) => bits | (1 << code), 0),
        members: [
          {
            ...{ memberId, instanceId: 'i', rackId: 'r', memberEpoch: 1, clientId: 'test' },
            ...{ subscribedTopicNames: ['t'], subscribedTopicRegex: '', memberType: version === 0 ? -1 : 1 },
            clientHost: expect.stringMatching(/^\//),
            assignment: { topicPartitions: partitions },
            targetAssignment: { topicPartitions: partitions },
          },
        ],
      })
    }
    const left = await beat(client, memberId, { memberEpoch: -1, instanceId: 'i' })
    expect(left).toMatchObject({ errorCode: 0, memberId, memberEpoch: -1, assignment: null })
    expect(await describeOne(client, 'g')).toMatchObject({ groupState: 'Empty', members: [] })
  })

  test('what says nothing or too much is refused with a reason', async () => {
    const { client } = await open()
    const bad: Array<[string, Fields]> = [
      ['', {}],
      ['m', { groupId: '' }],
      ['m', { groupId: ' ' }],
      ['m', { instanceId: '' }],
      ['m', { instanceId: 'i', rackId: ' ' }],
      ['m', { rebalanceTimeoutMs: -1 }],
      ['m', { topicPartitions: null }],
      ['m', { topicPartitions: [{ topicId: 'AAAAAAAAAAAAAAAAAAAAAQ', partitions: [0] }] }],
      ['m', { subscribedTopicNames: null }],
      ['m', { memberEpoch: -2 }],
      ['m', { memberEpoch: -3 }],
    ]
    for (const [memberId, fields] of bad) {
      const reply = await join(client, memberId, fields)
      expect(reply, JSON.stringify(fields)).toMatchObject({ errorCode: ErrorCode.INVALID_REQUEST, memberEpoch: 0 })
      expect(reply.errorMessage).toMatch(/\w/)
    }
    const codes = [
      (await join(client, 'm', { serverAssignor: 'sticky' })).errorCode,
      (await join(client, 'm', { subscribedTopicRegex: '(' })).errorCode,
      (await beat(client, 'm', { memberEpoch: 1 })).errorCode,
      (await beat(client, 'm', { memberEpoch: -1 })).errorCode,
    ]
    const { UNSUPPORTED_ASSIGNOR, INVALID_REGULAR_EXPRESSION, UNKNOWN_MEMBER_ID } = ErrorCode
    expect(codes).toEqual([UNSUPPORTED_ASSIGNOR, INVALID_REGULAR_EXPRESSION, UNKNOWN_MEMBER_ID, UNKNOWN_MEMBER_ID])
    expect((await client.call(listGroups, {})).groups).toEqual([])
  })

  test('the first of the configured assignors is the default, others than those are refused', async () => {
    const { client } = await open({ config: { groupConsumerAssignors: ['range'] } })
    await join(client, 'm')
    expect((await describeOne(client, 'g')).assignorName).toBe('range')
    const refused = await join(client, 'n', { serverAssignor: 'uniform' })
    expect(refused.errorCode).toBe(ErrorCode.UNSUPPORTED_ASSIGNOR)
  })
})

test('[GRP-38] expressions over the wire: only topics that the member may see, also those made later', async () => {
  const authorizer: Authorizer = {
    allows: (_principal, operation, resource) =>
      operation !== 'describe' || resource.type !== 'topic' || !resource.name.endsWith('secret'),
  }
  const { client } = await open({ authorizer })
  for (const name of ['orders-eu', 'orders-secret', 'payments']) await client.createTopic(name)
  const read = async () =>
    (await describeOne(client, 'g')).members[0]!.assignment.topicPartitions.map((each) => each.topicName)
  await join(client, 'm', { subscribedTopicNames: null, subscribedTopicRegex: 'orders-.+' })
  expect(await read()).toEqual(['orders-eu'])
  await client.createTopic('orders-us')
  const { memberEpoch, assignment } = await beat(client, 'm', { memberEpoch: 1 })
  expect(memberEpoch).toBe(2)
  expect(assignment!.topicPartitions).toHaveLength(2)
  expect((await read()).sort()).toEqual(['orders-eu', 'orders-us'])
  expect((await describeOne(client, 'g')).members[0]!.subscribedTopicRegex).toBe('orders-.+')
})

test('[GRP-40] commits and look-ups of members over the wire', async () => {
  const { client } = await open()
  const topicId = await client.createTopic('t')
  expect(await commit(client, topicId, 'm', 1)).toBe(ErrorCode.GROUP_ID_NOT_FOUND)
  expect(await commit(client, topicId, 'm', 1, 8)).toBe(ErrorCode.ILLEGAL_GENERATION)
  await join(client, 'm')
  expect(await commit(client, topicId, 'm', 1)).toBe(0)
  expect(await commit(client, topicId, 'm', 1, 9)).toBe(0)
  expect(await commit(client, topicId, 'm', 1, 8)).toBe(ErrorCode.UNSUPPORTED_VERSION)
  expect(await commit(client, topicId, 'm', 2)).toBe(ErrorCode.STALE_MEMBER_EPOCH)
  expect(await commit(client, topicId, 'n', 1)).toBe(ErrorCode.UNKNOWN_MEMBER_ID)
  const lookUp = async (memberId: string | null, memberEpoch: number, version = 10) => {
    const topics = [{ name: 't', topicId, partitionIndexes: [0] }]
    const { groups } = await client.call(
      offsetFetch,
      { groups: [{ groupId: 'g', memberId, memberEpoch, topics }] },
      version,
    )
    return groups[0]!.errorCode || groups[0]!.topics[0]!.partitions[0]!.committedOffset
  }
  for (const version of [9, 10]) {
    expect(await lookUp('m', 1, version)).toBe(7)
    expect(await lookUp(null, -1, version)).toBe(7)
    expect(await lookUp('m', 2, version)).toBe(ErrorCode.STALE_MEMBER_EPOCH)
    expect(await lookUp('n', 1, version)).toBe(ErrorCode.UNKNOWN_MEMBER_ID)
  }
})

describe('[GRP-41] both kinds of groups, and requests for the other', () => {
  test('lists by type and state; each is described by its own request', async () => {
    const { client } = await open()
    await client.createTopic('t', { partitions: 2 })
    await join(client, 'm')
    await join(client, 'n')
    await joinClassic(client, { groupId: 'old' })
    const { groups } = await client.call(listGroups, {})
    expect(groups).toContainEqual({
      groupId: 'g',
      protocolType: 'consumer',
      groupState: 'Reconciling',
      groupType: 'consumer',
    })
    const idsBy = async (filter: { statesFilter?: string[]; typesFilter?: string[] }) =>
      (await client.call(listGroups, filter)).groups.map(({ groupId }) => groupId)
    expect(await idsBy({ typesFilter: ['Consumer'] })).toEqual(['g'])
    expect(await idsBy({ statesFilter: ['reconciling'] })).toEqual(['g'])
    expect(await idsBy({ statesFilter: ['Stable'], typesFilter: ['consumer'] })).toEqual([])
    for (let version = 0; version <= 6; version++) {
      const [described] = (await client.call(describeGroups, { groups: ['g'] }, version)).groups
      const errorCode = version < 6 ? 0 : ErrorCode.GROUP_ID_NOT_FOUND
      expect(described).toMatchObject({ groupId: 'g', groupState: 'Dead', errorCode, members: [] })
    }
    for (const groupId of ['old', 'none'])
      expect(await describeOne(client, groupId)).toMatchObject({ errorCode: ErrorCode.GROUP_ID_NOT_FOUND, groupId })
    const twice = await client.call(consumerGroupDescribe, { groupIds: ['g', 'g'] })
    expect(twice.groups).toHaveLength(1)
  })

  test('a group with classic members takes none of the next protocol when migration is disabled', async () => {
    const config = { groupInitialRebalanceDelayMs: 0, groupConsumerMigrationPolicy: 'disabled' } as const
    const { client } = await open({ config })
    await client.createTopic('t')
    await joinClassic(client, { groupId: 'old', groupInstanceId: 'i' })
    const refused = await join(client, 'm', { groupId: 'old' })
    expect(refused.errorCode).toBe(ErrorCode.GROUP_ID_NOT_FOUND)
    const late = await beat(client, 'm', { groupId: 'old', memberEpoch: 1 })
    expect(late.errorCode).toBe(ErrorCode.GROUP_ID_NOT_FOUND)
  })

  test('members of both protocols in one group are told from each other', async () => {
    const { client } = await open()
    await client.createTopic('t', { partitions: 2 })
    await join(client, 'm')
    const classic = await joinFully(client)
    const { members } = await describeOne(client, 'g')
    const types = Object.fromEntries(members.map(({ memberId, memberType }) => [memberId, memberType]))
    expect(types).toEqual({ m: 1, [classic.memberId]: 0 })
  })

  test('offsets and groups are deleted only when nobody uses them', async () => {
    const { client } = await open()
    const topicId = await client.createTopic('t')
    await join(client, 'm')
    await commit(client, topicId, 'm', 1)
    const body = { groupId: 'g', topics: [{ name: 't', partitions: [{ partitionIndex: 0 }] }] }
    const codeOfDelete = async () => (await client.call(offsetDelete, body)).topics[0]!.partitions[0]!.errorCode
    expect(await codeOfDelete()).toBe(ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC)
    const remove = async () => (await client.call(deleteGroups, { groupsNames: ['g'] })).results[0]!.errorCode
    expect(await remove()).toBe(ErrorCode.NON_EMPTY_GROUP)
    await beat(client, 'm', { memberEpoch: -1 })
    expect(await codeOfDelete()).toBe(0)
    expect(await remove()).toBe(0)
    expect(await remove()).toBe(ErrorCode.GROUP_ID_NOT_FOUND)
    expect((await beat(client, 'm', { memberEpoch: 1 })).errorCode).toBe(ErrorCode.UNKNOWN_MEMBER_ID)
  })
})

test('[GRP-19] who may not use a group, or see its topics, learns nothing of it', async () => {
  let hidden = ''
  const authorizer: Authorizer = {
    allows: (_principal, operation, { type, ...resource }) =>
      operation === 'create' || !('name' in resource) || `${type} ${resource.name}` !== hidden,
  }
  const { client } = await open({ authorizer })
  await client.createTopic('t')
  await join(client, 'm')
  hidden = 'group g'
  expect((await beat(client, 'm', { memberEpoch: 1 })).errorCode).toBe(ErrorCode.GROUP_AUTHORIZATION_FAILED)
  expect(await describeOne(client, 'g')).toMatchObject({ errorCode: ErrorCode.GROUP_AUTHORIZATION_FAILED, members: [] })
  hidden = 'topic t'
  expect((await join(client, 'n')).errorCode).toBe(ErrorCode.TOPIC_AUTHORIZATION_FAILED)
  expect(await describeOne(client, 'g')).toMatchObject({ errorCode: ErrorCode.TOPIC_AUTHORIZATION_FAILED, members: [] })
})

test('[GRP-42] an answer holds the descriptions of so many groups as it can, and says so of the rest', () => {
  const driver = new ConsumerDriver(Object.fromEntries(Array.from({ length: 2000 }, (_, index) => [`t${index}`, 1000])))
  driver.join(
    'm',
    [...driver.topics.topics()].map(({ name }) => name),
  )
  const context = {
    services: { groups: { group: () => ({ machine: driver.group }) }, engine: driver.topics },
    allows: () => true,
  } as unknown as RequestContext
  const request = { groupIds: ['a', 'b', 'c', 'd', 'e'], includeAuthorizedOperations: false }
  const { groups } = consumerGroupDescribeHandler.handle(request as never, context) as {
    groups: Array<{ errorCode: number }>
  }
  const { POLICY_VIOLATION } = ErrorCode
  expect(groups.map(({ errorCode }) => errorCode)).toEqual([0, 0, 0, POLICY_VIOLATION, POLICY_VIOLATION])
})
