/** The requests of groups as they come over a connection: versions, errors, access, waiting, closing. */
import { describe, expect, test } from 'vitest'
import { ErrorCode } from '../../../protocol/errors.ts'
import { NULL_UUID } from '../../../protocol/lib/uuid.ts'
import { findCoordinator } from '../../../protocol/messages/coordinators.ts'
import { deleteGroups, describeGroups, listGroups } from '../../../protocol/messages/group-admin.ts'
import { offsetCommit, offsetDelete, offsetFetch } from '../../../protocol/messages/group-offsets.ts'
import { heartbeat, leaveGroup } from '../../../protocol/messages/groups.ts'
import { deleteTopics } from '../../../protocol/messages/topics.ts'
import type { Authorizer } from '../../../server/authorizer.ts'
import type { RelayConfig } from '../../../server/config.ts'
import { eventually } from '../../support/eventually.ts'
import { startRelay } from '../../support/relay.ts'
import { RelayClient } from '../../support/relay-client.ts'
import { join, joinFully, memberOf, sync } from './group-client.ts'
import { text } from './group-driver.ts'

async function open(options: { config?: Partial<RelayConfig>; authorizer?: Authorizer } = {}) {
  const relay = await startRelay({ ...options, config: { groupInitialRebalanceDelayMs: 0, ...options.config } })
  return { relay, client: await RelayClient.open(relay.websocket.url) }
}

interface CommitFields {
  groupId?: string
  memberId?: string
  generationId?: number
  metadata?: string
  partition?: number
  topicId?: string
}

/** The partition's error code. */
async function commit(client: RelayClient, offset: number, fields: CommitFields = {}, version = 9): Promise<number> {
  const { groupId = 'g', memberId = '', generationId = -1, metadata = null, partition = 0 } = fields
  const { topics } = await client.call(
    offsetCommit,
    {
      ...{ groupId, memberId, generationIdOrMemberEpoch: generationId },
      topics: [
        {
          name: 't',
          topicId: fields.topicId ?? NULL_UUID,
          partitions: [{ partitionIndex: partition, committedOffset: offset, committedMetadata: metadata }],
        },
      ],
    },
    version,
  )
  return topics[0]!.partitions[0]!.errorCode
}

async function committed(client: RelayClient, groupId = 'g') {
  const { groups } = await client.call(offsetFetch, { groups: [{ groupId, topics: null }], requireStable: true })
  return groups[0]!.topics.flatMap((topic) => topic.partitions)
}

test('[RPC-24] a member whose name is as long as a text may be is described in every version', async () => {
  const { client } = await open()
  const name = 'i'.repeat(32_760)
  const { memberId } = await memberOf(client, { groupInstanceId: name })
  expect(memberId).toMatch(/^i{1000}-/)
  for (let version = describeGroups.minVersion; version <= describeGroups.maxVersion; version++) {
    const { groups } = await client.call(describeGroups, { groups: ['g'] }, version)
    expect(groups[0]!.members[0]!.memberId).toBe(memberId)
  }
})

test('[RPC-24] a name is not cut inside a character: the member is known by the id that it was told', async () => {
  const { client } = await open()
  const joined = await join(client, { groupInstanceId: `${'i'.repeat(999)}\u{1f6eb}` })
  expect(joined.memberId).toMatch(/^i{999}-/)
  await sync(client, { memberId: joined.memberId, generationId: joined.generationId }, { [joined.memberId]: 'all' })
  const body = { groupId: 'g', memberId: joined.memberId, generationId: joined.generationId }
  expect((await client.call(heartbeat, body)).errorCode).toBe(0)
})

test('[RPC-24] a text that is longer than answers could tell is refused', async () => {
  const { relay, client } = await open()
  const tooLong = client.call(heartbeat, { groupId: 'g'.repeat(32_768), memberId: '', generationId: -1 })
  await expect(tooLong).rejects.toThrow('closed with 4400')
  const next = await RelayClient.open(relay.websocket.url)
  expect(await next.call(listGroups, {})).toMatchObject({ errorCode: 0 })
})

describe('[GRP-17] a request that waits for other members', () => {
  test('holds up nobody on other connections, and what follows on its own is answered after it', async () => {
    const { relay, client } = await open()
    const first = await memberOf(client)
    const other = await RelayClient.open(relay.websocket.url)
    const order: string[] = []
    const { memberId } = await join(other)
    const waiting = join(other, { memberId })
    const answered = waiting.then(() => order.push('join'))
    const behind = other.call(listGroups, {}).then(() => order.push('list'))
    expect((await client.call(heartbeat, { groupId: 'g', ...first })).errorCode).toBe(ErrorCode.REBALANCE_IN_PROGRESS)
    expect(order).toEqual([])
    await join(client, { memberId: first.memberId })
    expect((await waiting).errorCode).toBe(0)
    await Promise.all([answered, behind])
    expect(order).toEqual(['join', 'list'])
  })

  test('is dropped with its connection; the member stays until its session is over', async () => {
    const { relay, client } = await open({ config: { groupMinSessionTimeoutMs: 200 } })
    const first = await memberOf(client, { sessionTimeoutMs: 30_000 })
    const other = await RelayClient.open(relay.websocket.url)
    const { memberId } = await join(other, { sessionTimeoutMs: 1000 })
    void join(other, { memberId, sessionTimeoutMs: 1000 })
    await eventually(async () => {
      const { groups } = await client.call(describeGroups, { groups: ['g'] })
      return groups[0]!.members.length === 2
    })
    other.socket.terminate()
    const rejoined = await join(client, { memberId: first.memberId, sessionTimeoutMs: 30_000 })
    expect(rejoined.members).toHaveLength(2)
    const parts = { [first.memberId]: 'all' }
    expect((await sync(client, { ...first, generationId: rejoined.generationId }, parts)).errorCode).toBe(0)
    await eventually(async () => {
      const { groups } = await client.call(describeGroups, { groups: ['g'] })
      return groups[0]!.members.length === 1 && groups[0]!.groupState === 'PreparingRebalance'
    })
  })
})

describe('[GRP-18] every version of every request', () => {
  test('a member lives through all versions of its requests', async () => {
    const { client } = await open()
    for (let version = 0; version <= 9; version++) {
      const groupId = `g${version}`
      const asked = await join(client, { groupId }, version)
      expect(asked.errorCode, `version ${version}`).toBe(version >= 4 ? ErrorCode.MEMBER_ID_REQUIRED : 0)
      const joined = version >= 4 ? await join(client, { groupId, memberId: asked.memberId }, version) : asked
      expect(joined).toMatchObject({ errorCode: 0, generationId: 1, leader: asked.memberId, protocolName: 'range' })
      const { memberId, generationId } = joined
      const synced = await sync(client, { memberId, generationId, groupId }, { [memberId]: 'all' })
      expect(text(synced.assignment)).toBe('all')
      const claim = { groupId, memberId, generationId }
      expect((await client.call(heartbeat, claim, Math.min(version, 4))).errorCode).toBe(0)
      const leaver = { groupId, memberId, members: [{ memberId }] }
      const left = await client.call(leaveGroup, leaver, Math.min(version, 5))
      expect(left.errorCode).toBe(0)
      const again = await client.call(leaveGroup, leaver, Math.min(version, 5))
      const errorCode = version < 3 ? again.errorCode : again.members[0]!.errorCode
      expect(errorCode).toBe(ErrorCode.UNKNOWN_MEMBER_ID)
    }
  })

  test('offsets are the same whatever version commits or fetches them', async () => {
    const { client } = await open()
    const topicId = await client.createTopic('t')
    for (let version = 2; version <= 10; version++) {
      expect(await commit(client, version, { metadata: 'm', topicId }, version)).toBe(0)
      expect((await committed(client))[0]).toMatchObject({ committedOffset: version, metadata: 'm', errorCode: 0 })
    }
    for (let version = 1; version <= 10; version++) {
      const asked = [{ name: 't', topicId, partitionIndexes: [0, 3] }]
      const body = version < 8 ? { groupId: 'g', topics: asked } : { groups: [{ groupId: 'g', topics: asked }] }
      const reply = await client.call(offsetFetch, body, version)
      const { partitions } = (version < 8 ? reply.topics : reply.groups[0]!.topics)[0]!
      expect(partitions, `version ${version}`).toMatchObject([
        { partitionIndex: 0, committedOffset: 10, metadata: 'm', errorCode: 0 },
        { partitionIndex: 3, committedOffset: -1, metadata: '', errorCode: 0 },
      ])
    }
  })

  test('coordinators are this relay, but not for share groups', async () => {
    const { relay, client } = await open()
    const { port } = new URL(relay.websocket.url)
    const here = { nodeId: 1, host: '127.0.0.1', port: Number(port), errorCode: 0 }
    for (let version = 0; version <= 6; version++) {
      for (const keyType of [0, 1]) {
        const body = version < 4 ? { key: 'k', keyType } : { keyType, coordinatorKeys: ['k', 'l'] }
        const reply = await client.call(findCoordinator, body, version)
        if (version < 4) expect(reply).toMatchObject(here)
        else expect(reply.coordinators).toMatchObject([here, here])
      }
    }
    const shared = await client.call(findCoordinator, { keyType: 2, coordinatorKeys: ['k'] })
    expect(shared.coordinators[0]).toMatchObject({ errorCode: ErrorCode.INVALID_REQUEST, nodeId: -1 })
  })

  test('groups that are not there: Dead in older versions, an error in newer ones', async () => {
    const { client } = await open()
    for (let version = 0; version <= 6; version++) {
      const { groups } = await client.call(describeGroups, { groups: ['none'] }, version)
      const errorCode = version < 6 ? 0 : ErrorCode.GROUP_ID_NOT_FOUND
      expect(groups[0]).toMatchObject({ groupId: 'none', groupState: 'Dead', errorCode })
    }
  })
})

describe('[GRP-11] commits over the wire', () => {
  test('a topic made anew does not inherit', async () => {
    const { client } = await open()
    await client.createTopic('t')
    expect(await commit(client, 5)).toBe(0)
    await client.call(deleteTopics, { topics: [{ name: 't' }], timeoutMs: 1000 })
    await eventually(async () => (await committed(client)).length === 0)
    const topicId = await client.createTopic('t')
    expect(await committed(client)).toEqual([])
    expect(await commit(client, 1)).toBe(0)
    const asked = [{ topicId, partitionIndexes: [0] }]
    const { groups } = await client.call(offsetFetch, { groups: [{ groupId: 'g', topics: asked }] })
    expect(groups[0]!.topics[0]!.partitions[0]!.committedOffset).toBe(1)
  })

  test('what cannot be committed for is refused partition by partition', async () => {
    const { client } = await open()
    const topicId = await client.createTopic('t')
    const unknownId = `${topicId.slice(0, -2)}AA`
    expect(await commit(client, 1, { partition: 1 })).toBe(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    expect(await commit(client, 1, { partition: -1 })).toBe(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    expect(await commit(client, 1, { topicId: unknownId }, 10)).toBe(ErrorCode.UNKNOWN_TOPIC_ID)
    expect(await commit(client, 1, { metadata: 'ä'.repeat(2049) })).toBe(ErrorCode.OFFSET_METADATA_TOO_LARGE)
    expect(await commit(client, 1, { metadata: 'ä'.repeat(2048) })).toBe(0)
    expect(await commit(client, 1, { groupId: '' })).toBe(ErrorCode.INVALID_GROUP_ID)
  })

  test("offsets of a topic that a member reads can't be deleted", async () => {
    const { client } = await open()
    await client.createTopic('t')
    const { memberId, generationId } = await memberOf(client)
    expect(await commit(client, 4, { memberId, generationId })).toBe(0)
    const body = { groupId: 'g', topics: [{ name: 't', partitions: [{ partitionIndex: 0 }] }] }
    const refused = await client.call(offsetDelete, body)
    expect(refused.topics[0]!.partitions[0]!.errorCode).toBe(ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC)
    await client.call(leaveGroup, { groupId: 'g', members: [{ memberId }] })
    expect((await client.call(offsetDelete, body)).topics[0]!.partitions[0]!.errorCode).toBe(0)
    expect(await committed(client)).toEqual([])
  })
})

describe('[GRP-13] administration over the wire', () => {
  test('list by state and type; describe; delete', async () => {
    const { client } = await open()
    await client.createTopic('t')
    await memberOf(client)
    await commit(client, 1, { groupId: 'simple' })
    const all = (await client.call(listGroups, {})).groups
    expect(all).toEqual([
      { groupId: 'g', protocolType: 'consumer', groupState: 'Stable', groupType: 'classic' },
      { groupId: 'simple', protocolType: '', groupState: 'Empty', groupType: 'classic' },
    ])
    const idsBy = async (filter: { statesFilter?: string[]; typesFilter?: string[] }) =>
      (await client.call(listGroups, filter)).groups.map(({ groupId }) => groupId)
    expect(await idsBy({ statesFilter: ['stable'] })).toEqual(['g'])
    expect(await idsBy({ statesFilter: ['Dead'] })).toEqual([])
    expect(await idsBy({ typesFilter: ['Classic'] })).toEqual(['g', 'simple'])
    expect(await idsBy({ typesFilter: ['consumer'] })).toEqual([])
    const described = await client.call(describeGroups, { groups: ['g'], includeAuthorizedOperations: true })
    expect(described.groups[0]).toMatchObject({
      protocolData: 'range',
      authorizedOperations: [3, 6, 8, 10, 11].reduce((bits, code) => bits | (1 << code), 0),
    })
    expect(described.groups[0]!.members[0]).toMatchObject({
      clientId: 'test',
      clientHost: expect.stringMatching(/^\//),
    })
    expect(text(described.groups[0]!.members[0]!.memberAssignment)).toBe('all')
    const { results } = await client.call(deleteGroups, { groupsNames: ['g', 'simple', 'none', ''] })
    expect(results.map(({ errorCode }) => errorCode)).toEqual([
      ErrorCode.NON_EMPTY_GROUP,
      0,
      ErrorCode.GROUP_ID_NOT_FOUND,
      ErrorCode.INVALID_GROUP_ID,
    ])
  })
})

test('[GRP-9] a question that repeats itself is answered once', async () => {
  const { client } = await open()
  const topicId = await client.createTopic('t')
  await memberOf(client)
  await commit(client, 1, { groupId: 'simple', metadata: 'm'.repeat(4096) })
  const described = await client.call(describeGroups, { groups: Array.from({ length: 1000 }, () => 'g') })
  expect(described.groups).toHaveLength(1)
  const topics = [1, 2].map(() => ({ topicId, partitionIndexes: Array.from({ length: 1000 }, () => 0) }))
  const groups = [1, 2].map(() => ({ groupId: 'simple', topics }))
  const fetched = await client.call(offsetFetch, { groups })
  expect(fetched.groups.flatMap((group) => group.topics.flatMap((topic) => topic.partitions))).toHaveLength(1)
})

describe('[GRP-19] whoever may not use a group learns nothing of it', () => {
  const authorizer: Authorizer = {
    allows: (_principal, _operation, resource) => resource.type !== 'group' || resource.name !== 'secret',
  }

  test('each request answers GROUP_AUTHORIZATION_FAILED', async () => {
    const { client } = await open({ authorizer })
    await client.createTopic('t')
    const groupId = 'secret'
    const body = { groupId, topics: [{ name: 't', partitions: [{ partitionIndex: 0 }] }] }
    const codes = [
      (await client.call(findCoordinator, { keyType: 0, coordinatorKeys: [groupId] })).coordinators[0]!.errorCode,
      (await join(client, { groupId })).errorCode,
      (await sync(client, { groupId, memberId: 'm', generationId: 1 })).errorCode,
      (await client.call(heartbeat, { groupId, memberId: 'm', generationId: 1 })).errorCode,
      (await client.call(leaveGroup, { groupId, members: [{ memberId: 'm' }] })).errorCode,
      await commit(client, 1, { groupId }),
      (await client.call(offsetFetch, { groups: [{ groupId, topics: null }] })).groups[0]!.errorCode,
      (await client.call(offsetDelete, body)).errorCode,
      (await client.call(describeGroups, { groups: [groupId] })).groups[0]!.errorCode,
      (await client.call(deleteGroups, { groupsNames: [groupId] })).results[0]!.errorCode,
    ]
    expect(codes).toEqual(codes.map(() => ErrorCode.GROUP_AUTHORIZATION_FAILED))
    expect(await commit(client, 1, { groupId: 'open' })).toBe(0)
    expect((await client.call(listGroups, {})).groups.map((group) => group.groupId)).toEqual(['open'])
  })

  test('offsets of topics that may not be read are neither committed nor shown', async () => {
    const noTopics: Authorizer = {
      allows: (_principal, operation, resource) => resource.type !== 'topic' || operation === 'create',
    }
    const { client } = await open({ authorizer: noTopics })
    await client.createTopic('t')
    expect(await commit(client, 1)).toBe(ErrorCode.TOPIC_AUTHORIZATION_FAILED)
    expect(await committed(client)).toEqual([])
  })
})

test('[GRP-7] a static member is found again after a restart, and its commits', async () => {
  const { relay, client } = await open()
  await client.createTopic('t')
  const joined = await join(client, { groupInstanceId: 'phone' })
  const { memberId, generationId } = joined
  await sync(client, { memberId, generationId }, { [memberId]: 'all' })
  expect(await commit(client, 9, { memberId, generationId })).toBe(0)
  await relay.close()
  const again = await open({ config: { dataDir: relay.dataDir } })
  const back = await join(again.client, { groupInstanceId: 'phone' })
  expect(back).toMatchObject({ errorCode: 0, generationId })
  expect(await commit(again.client, 10, { memberId: back.memberId, generationId })).toBe(0)
  expect((await joinFully(again.client, { groupId: 'other' })).errorCode).toBe(0)
})
