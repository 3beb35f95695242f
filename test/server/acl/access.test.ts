/** Access control lists through the relay: who gets what answer, what is not told, what ends when a right is taken. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type AclBinding, connect, type Ottla, string } from '../../../client/node.ts'
import type { AnyApi, RequestInputOf } from '../../../protocol/api.ts'
import { ErrorCode } from '../../../protocol/errors.ts'
import { ChannelEvent, joinChannel, publishToChannel } from '../../../protocol/messages/channels.ts'
import { consumerGroupDescribe, consumerGroupHeartbeat } from '../../../protocol/messages/consumer-groups.ts'
import { findCoordinator } from '../../../protocol/messages/coordinators.ts'
import { fetch } from '../../../protocol/messages/fetch.ts'
import { deleteGroups, describeGroups, listGroups } from '../../../protocol/messages/group-admin.ts'
import { offsetCommit, offsetDelete, offsetFetch } from '../../../protocol/messages/group-offsets.ts'
import { heartbeat, joinGroup, leaveGroup, syncGroup } from '../../../protocol/messages/groups.ts'
import { metadata } from '../../../protocol/messages/metadata.ts'
import { initProducerId } from '../../../protocol/messages/producers.ts'
import { alterUserScramCredentials, describeUserScramCredentials } from '../../../protocol/messages/scram.ts'
import { deleteTopics } from '../../../protocol/messages/topics.ts'
import type { RelayConfig } from '../../../server/config.ts'
import { handlers } from '../../../server/handlers/index.ts'
import type { Relay } from '../../../server/relay.ts'
import { eventually } from '../../support/eventually.ts'
import { startRelay, temporaryFolder } from '../../support/relay.ts'
import { RelayClient } from '../../support/relay-client.ts'
import { signInPlain } from '../auth/sign-in.ts'
import { type ValidRequest, validRequests } from '../support/valid-requests.ts'

const USERS = ['root', 'ada', 'eve']

async function setUp(config: Partial<RelayConfig> = {}) {
  const usersFile = join(await temporaryFolder(), 'users')
  await writeFile(usersFile, USERS.map((name) => `${name}:pw of ${name}\n`).join(''), { mode: 0o600 })
  const relay = await startRelay({
    config: {
      ...{ kafkaPort: 0, saslEnabledMechanisms: ['PLAIN', 'SCRAM-SHA-256'], usersFile },
      ...{ accessControl: 'lists', superUsers: ['root'], groupInitialRebalanceDelayMs: 0, ...config },
    },
  })
  const topic = await relay.engine.createTopic({ name: 't', partitionCount: 1, configs: {} })
  const root = await clientOf(relay, 'root')
  const allow = (
    ...lines: Array<Partial<AclBinding> & Pick<AclBinding, 'operation' | 'resourceType' | 'resourceName'>>
  ) => root.admin.createAcls(lines.map((line) => ({ principal: 'User:ada', permission: 'allow', ...line })))
  return { relay, root, allow, topicId: topic.id }
}

async function clientOf(relay: Relay, username: string, door: 'websocket' | 'kafka' = 'websocket'): Promise<Ottla> {
  const url = door === 'kafka' ? `kafka://${relay.kafka!.address}` : relay.websocket.url
  const ottla = await connect(url, { auth: { username, password: `pw of ${username}` } })
  onTestFinished(() => ottla.close())
  return ottla
}

async function wireOf(relay: Relay, name: string): Promise<RelayClient> {
  const client = await RelayClient.open(relay.websocket.url)
  await signInPlain(client, name, `pw of ${name}`)
  return client
}

const DENIED = [
  ErrorCode.TOPIC_AUTHORIZATION_FAILED,
  ErrorCode.GROUP_AUTHORIZATION_FAILED,
  ErrorCode.CLUSTER_AUTHORIZATION_FAILED,
  ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
] as const

/** Open to everybody who is let in: they tell of nobody's things, or leave out what may not be seen. */
const OPEN = [
  ...['ApiVersions', 'SaslHandshake', 'SaslAuthenticate', 'DescribeCluster', 'Hello', 'Ping', 'Grant', 'Unsubscribe'],
  ...['UnwatchProgress', 'AlterClientQuotas', 'ListGroups', 'ListTransactions'],
]

function request<A extends AnyApi>(api: A, body: RequestInputOf<A>): ValidRequest {
  return { api, body: body as never }
}

function groupRequests({ name, topicId }: { name: string; topicId: string }): ValidRequest[] {
  const member = { groupId: 'g', memberId: '', generationId: -1 }
  return [
    request(findCoordinator, { key: 'g', keyType: 0, coordinatorKeys: ['g'] }),
    request(joinGroup, {
      ...{ groupId: 'g', sessionTimeoutMs: 10_000, rebalanceTimeoutMs: 10_000, memberId: '' },
      ...{ protocolType: 'consumer', protocols: [{ name: 'range', metadata: new Uint8Array(0) }] },
    }),
    request(syncGroup, { ...member, protocolType: 'consumer', protocolName: 'range', assignments: [] }),
    request(heartbeat, member),
    request(leaveGroup, { groupId: 'g', memberId: 'm', members: [{ memberId: 'm' }] }),
    request(describeGroups, { groups: ['g'] }),
    request(listGroups, {}),
    request(deleteGroups, { groupsNames: ['g'] }),
    request(offsetCommit, {
      ...{ groupId: 'g', generationIdOrMemberEpoch: -1, memberId: '' },
      topics: [{ name, topicId, partitions: [{ partitionIndex: 0, committedOffset: 1, committedMetadata: '' }] }],
    }),
    request(offsetFetch, {
      ...{ groupId: 'g', topics: [{ name, partitionIndexes: [0] }] },
      groups: [{ groupId: 'g', topics: [{ name, topicId, partitionIndexes: [0] }] }],
    }),
    request(offsetDelete, { groupId: 'g', topics: [{ name, partitions: [{ partitionIndex: 0 }] }] }),
    request(consumerGroupHeartbeat, {
      ...{ groupId: 'g', memberId: 'A'.repeat(22), memberEpoch: 0, rebalanceTimeoutMs: 10_000 },
      ...{ subscribedTopicNames: [name], topicPartitions: [] },
    }),
    request(consumerGroupDescribe, { groupIds: ['g'] }),
    request(describeUserScramCredentials, { users: null }),
    request(alterUserScramCredentials, { deletions: [{ name: 'ada', mechanism: 1 }], upsertions: [] }),
  ]
}

function errorCodesIn(answer: unknown): number[] {
  if (Array.isArray(answer)) return answer.flatMap(errorCodesIn)
  if (typeof answer !== 'object' || answer === null || answer instanceof Uint8Array) return []
  return Object.entries(answer).flatMap(([key, value]) =>
    /errorCode$/i.test(key) && typeof value === 'number' ? [value] : errorCodesIn(value),
  )
}

test('[ACL-3] who has no rights gets Kafka’s word for it from every API, in every version, and is not told what is there', async () => {
  const { relay, topicId } = await setUp()
  const eve = await wireOf(relay, 'eve')
  const everyRequest = (name: string, id: string) => [
    ...validRequests({ name, topicId: id }),
    ...groupRequests({ name, topicId: id }),
  ]
  const covered = new Set(everyRequest('t', topicId).map(({ api }) => api.name))
  const absent = everyRequest('absent', 'AAAAAAAAAAAAAAAAAAAAAQ')
  // Those of share groups and channels have tests of their own.
  const beyond = [/Share/, /^Streams/, /Channel$/]
  const uncovered = handlers
    .map(({ api }) => api.name)
    .filter((name) => !covered.has(name) && !OPEN.includes(name) && !beyond.some((each) => each.test(name)))
  expect(uncovered).toEqual([])
  for (const [index, { api, body }] of everyRequest('t', topicId).entries()) {
    if (OPEN.includes(api.name) || beyond.some((each) => each.test(api.name))) continue
    // Before 3 its answer has no word for it: it is empty.
    const from = api.name === 'DescribeLogDirs' ? 3 : api.minVersion
    for (let version = from; version <= api.maxVersion; version++) {
      const ask = (asked: never) => eve.call(api as never, asked, version) as Promise<unknown>
      const codes = errorCodesIn(await ask(body))
      const what = `${api.name} ${version}`
      expect(codes.filter((code) => code !== 0 && code !== -1).length, what).toBeGreaterThan(0)
      const byId = /^(Subscribe|WatchProgress|ReportFailed)$/.test(api.name)
      if (byId) continue
      expect(
        codes.filter((code) => code !== 0).every((code) => (DENIED as readonly number[]).includes(code)),
        `${what}: ${codes}`,
      ).toBe(true)
      const usesIds = ['Produce', 'Fetch', 'OffsetCommit', 'OffsetFetch'].includes(api.name) && version > 9
      if (usesIds) continue
      const elsewhere = errorCodesIn(await ask(absent[index]!.body))
      expect(elsewhere, `${what}: whether a topic is there`).toEqual(codes)
    }
  }
  const { topics } = await eve.call(metadata, { topics: null })
  expect(topics).toEqual([])
})

describe('[ACL-4] rights of a role are enough for it, through both doors', () => {
  test.each(['websocket', 'kafka'] as const)('writing and reading, with a group (%s)', async (door) => {
    const { relay, allow } = await setUp()
    await allow(
      { operation: 'write', resourceType: 'topic', resourceName: 't' },
      { operation: 'read', resourceType: 'topic', resourceName: 't' },
      { operation: 'read', resourceType: 'group', resourceName: 'bill', patternType: 'prefixed' },
      { operation: 'create', resourceType: 'topic', resourceName: 'own-', patternType: 'prefixed' },
    )
    const ada = await clientOf(relay, 'ada', door)
    await ada.topic('t', { value: string }).send({ value: 'x' }).committed
    const consumer = ada.group('billing').read('t', { value: string, from: 'beginning' })
    for await (const { value } of consumer) {
      expect(value).toBe('x')
      break
    }
    await ada.admin.createTopics([{ name: 'own-1', partitions: 1 }])
    await expect(ada.admin.createTopics([{ name: 'other', partitions: 1 }])).rejects.toMatchObject({
      code: 'NOT_AUTHORIZED',
    })
    // Who may do nothing else with it does not see it.
    expect(await ada.admin.listTopics()).toEqual(['t'])
    await expect(ada.admin.deleteTopics(['t'])).rejects.toMatchObject({ code: 'NOT_AUTHORIZED' })
    await expect(ada.admin.describeAcls()).rejects.toMatchObject({ kafkaCode: ErrorCode.CLUSTER_AUTHORIZATION_FAILED })
  })

  test('who may write nowhere is told so, and what was written is parked until it may', async () => {
    const { relay, allow } = await setUp()
    await allow({ operation: 'read', resourceType: 'topic', resourceName: 't' })
    const ada = await clientOf(relay, 'ada')
    const receipt = ada.topic('t', { value: string }).send({ value: 'x' })
    await expect(receipt.committed).rejects.toMatchObject({ code: 'REJECTED' })
    const [parked] = await ada.outbox.list()
    expect(parked).toMatchObject({ state: 'parked', error: { code: 'NOT_AUTHORIZED' } })
    await allow({ operation: 'write', resourceType: 'topic', resourceName: 't' })
    await ada.outbox.retry(parked!.id)
    await eventually(() => ada.status.outbox.pendingEntries === 0)
    for await (const { value } of ada.topic('t', { value: string }).read({ from: 'beginning' })) {
      expect(value).toBe('x')
      break
    }
  })

  test('a producer id is for who may write somewhere', async () => {
    const { relay, allow } = await setUp()
    const eve = await wireOf(relay, 'eve')
    const ask = () => eve.call(initProducerId, { transactionTimeoutMs: 1000 })
    expect(await ask()).toMatchObject({ errorCode: ErrorCode.CLUSTER_AUTHORIZATION_FAILED })
    await allow({ operation: 'write', resourceType: 'topic', resourceName: 'x', principal: 'User:eve' })
    expect(await ask()).toMatchObject({ errorCode: 0 })
    await allow({
      operation: 'write',
      resourceType: 'topic',
      resourceName: '*',
      principal: 'User:*',
      permission: 'deny',
    })
    expect(await ask()).toMatchObject({ errorCode: ErrorCode.CLUSTER_AUTHORIZATION_FAILED })
    const cluster = { resourceType: 'cluster', resourceName: 'kafka-cluster' } as const
    await allow({ operation: 'idempotent-write', ...cluster, principal: 'User:eve' })
    expect(await ask()).toMatchObject({ errorCode: 0 })
  })

  test('topics are created by a right on the cluster, settings described and altered by rights of their own', async () => {
    const { relay, allow } = await setUp()
    await allow(
      { operation: 'create', resourceType: 'cluster', resourceName: 'kafka-cluster' },
      { operation: 'alter-configs', resourceType: 'topic', resourceName: 't' },
    )
    const ada = await clientOf(relay, 'ada')
    await ada.admin.createTopics([{ name: 'anything', partitions: 1 }])
    await ada.admin.incrementalAlterConfigs([{ resource: { topic: 't' }, name: 'retention.ms', value: '1000' }])
    await ada.admin.describeConfigs([{ topic: 't' }])
    await expect(ada.admin.describeConfigs([{ topic: 'anything' }])).rejects.toMatchObject({
      code: 'NOT_AUTHORIZED',
    })
  })

  test('a denial outweighs, and the host counts', async () => {
    const { relay, allow } = await setUp()
    await allow({ operation: 'all', resourceType: 'topic', resourceName: '*', host: '127.0.0.1' })
    const ada = await wireOf(relay, 'ada')
    const see = async () => (await ada.call(metadata, { topics: [{ name: 't' }] })).topics[0]!.errorCode
    expect(await see()).toBe(0)
    await allow({
      operation: 'describe',
      resourceType: 'topic',
      resourceName: 't',
      host: '10.0.0.1',
      permission: 'deny',
    })
    expect(await see()).toBe(0)
    await allow({ operation: 'describe', resourceType: 'topic', resourceName: 't', permission: 'deny' })
    expect(await see()).toBe(ErrorCode.TOPIC_AUTHORIZATION_FAILED)
  })
})

test('[ACL-5] what was begun ends when the right to it is taken: live readers are told, a fetch is refused', async () => {
  const { relay, root, allow, topicId } = await setUp()
  const line = { operation: 'read', resourceType: 'topic', resourceName: 't' } as const
  await allow(line, { operation: 'describe', resourceType: 'group', resourceName: 'g' })
  const [ada, admin] = [await wireOf(relay, 'ada'), await wireOf(relay, 'root')]
  for (const each of [ada, admin]) {
    await each.sayHello({ replicaId: `${(each === ada ? 'A' : 'B').repeat(21)}A` })
    expect(await each.subscribe(topicId, 0)).toMatchObject({ errorCode: 0 })
  }
  await root.admin.deleteAcls([{ ...line, principal: 'User:ada' }])
  await eventually(() => ada.ended.length > 0)
  expect(ada.ended).toMatchObject([{ topicId, partition: 0, errorCode: ErrorCode.TOPIC_AUTHORIZATION_FAILED }])
  const partitions = [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1000 }]
  const { responses } = await ada.call(fetch, {
    maxWaitMs: 0,
    minBytes: 0,
    topics: [{ topic: 't', topicId, partitions }],
  })
  expect(responses[0]!.partitions[0]).toMatchObject({ errorCode: ErrorCode.TOPIC_AUTHORIZATION_FAILED })
  expect(admin.ended).toEqual([])
})

test('[ACL-5] so does a member of a channel: it is told, has left, and hears nothing more', async () => {
  const { relay, root, allow, topicId } = await setUp()
  const line = { operation: 'read', resourceType: 'topic', resourceName: 't' } as const
  await allow(line, { ...line, operation: 'write' })
  const [ada, admin] = [await wireOf(relay, 'ada'), await wireOf(relay, 'root')]
  const joined = await ada.call(joinChannel, { topicId, channel: 'c', state: null })
  const { memberId } = await admin.call(joinChannel, { topicId, channel: 'c', state: null })
  await eventually(() => ada.news.length === 1)
  await root.admin.deleteAcls([{ ...line, principal: 'User:ada' }])
  await eventually(() => admin.news.length === 1)
  expect(admin.news[0]!.events).toMatchObject([{ memberId: joined.memberId, kind: ChannelEvent.gone }])
  await admin.call(publishToChannel, { memberId, kind: ChannelEvent.message, payload: new Uint8Array([1]) })
  await ada.call(joinChannel, { topicId, channel: 'c', state: null })
  expect(ada.news.slice(1)).toMatchObject([{ topicId, channel: 'c', errorCode: ErrorCode.TOPIC_AUTHORIZATION_FAILED }])
})

test('[ACL-6] lines are kept over restarts, listed, and taken away by filter; the same line twice is one', async () => {
  const { relay, root, allow } = await setUp()
  const line = { operation: 'read', resourceType: 'topic', resourceName: 'x' } as const
  await allow(line, line, { ...line, operation: 'write' }, { ...line, principal: 'User:a,b=ü "c"' })
  const before = await root.admin.describeAcls()
  expect(before).toHaveLength(3)
  const { dataDir } = relay
  await root.close()
  await relay.close()
  const again = await startRelay({ config: { dataDir, accessControl: 'lists', superUsers: ['ANONYMOUS'] } })
  const admin = (await connect(again.websocket.url)).admin
  expect(await admin.describeAcls()).toEqual(before)
  expect(await admin.deleteAcls([{ principal: 'User:ada', operation: 'read' }])).toHaveLength(1)
  expect(await admin.describeAcls({ resourceType: 'topic', resourceName: 'x', patternType: 'match' })).toHaveLength(2)
  expect(await admin.deleteAcls([{}])).toHaveLength(2)
  expect(await admin.describeAcls()).toEqual([])
})

test('[ACL-7] a line that makes no sense is refused, others of the request are made', async () => {
  const { root } = await setUp()
  const good: AclBinding = {
    ...{ principal: 'User:ada', operation: 'read', permission: 'allow', resourceType: 'topic', resourceName: 'x' },
  }
  const wrong: AclBinding[] = [
    { ...good, resourceName: '' },
    { ...good, principal: 'ada' },
    { ...good, principal: 'User:' },
    { ...good, host: '' },
    { ...good, operation: 'any' as never },
    { ...good, permission: 'any' as never },
    { ...good, patternType: 'match' as never },
    { ...good, resourceType: 'cluster', resourceName: 'mine' },
  ]
  const outcomes = await root.admin.createAcls([...wrong, good]).settled()
  expect(outcomes.map(({ error }) => error?.kafkaCode)).toEqual([
    ...wrong.map(() => ErrorCode.INVALID_REQUEST),
    undefined,
  ])
  expect(await root.admin.describeAcls()).toHaveLength(1)
})

test('[ACL-8] what no line speaks of is everybody’s where the relay says so', async () => {
  const { relay, allow } = await setUp({ allowEveryoneIfNoAclFound: true })
  const eve = await wireOf(relay, 'eve')
  const see = async () => (await eve.call(metadata, { topics: [{ name: 't' }] })).topics[0]!.errorCode
  expect(await see()).toBe(0)
  await allow({ operation: 'describe', resourceType: 'topic', resourceName: 't' })
  expect(await see()).toBe(ErrorCode.TOPIC_AUTHORIZATION_FAILED)
})

test('[ACL-9] an authorizer of the application’s own and lists of the relay’s do not go together', async () => {
  const authorizer = { allows: () => true }
  await expect(startRelay({ config: { accessControl: 'lists' }, authorizer })).rejects.toThrow('access-control')
})

test('[ACL-3] a topic that may not be seen cannot be deleted, and whether it is there is not told', async () => {
  const { relay } = await setUp()
  const eve = await wireOf(relay, 'eve')
  const topics = [{ name: 't' }, { name: 'absent' }]
  const { responses } = await eve.call(deleteTopics, { topics, timeoutMs: 1000 })
  expect(responses.map(({ errorCode }) => errorCode)).toEqual([
    ErrorCode.TOPIC_AUTHORIZATION_FAILED,
    ErrorCode.TOPIC_AUTHORIZATION_FAILED,
  ])
  const byId = [{ name: null, topicId: relay.engine.topicByName('t')!.id }]
  const { responses: ofId } = await eve.call(deleteTopics, { topics: byId, timeoutMs: 1000 })
  expect(ofId).toMatchObject([{ name: null, errorCode: ErrorCode.TOPIC_AUTHORIZATION_FAILED }])
  expect(ofId[0]!.errorMessage).toBe(`not allowed to delete ${byId[0]!.topicId}`)
})
