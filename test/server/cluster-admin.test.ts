/** What tools ask of a cluster: settings as a whole, sizes on disk, elections, reassignments, ACLs, quotas, cursors. */
import { resolve } from 'node:path'
import { expect, test } from 'vitest'
import type { RequestInputOf } from '../../protocol/api.ts'
import { ErrorCode } from '../../protocol/errors.ts'
import { createAcls, deleteAcls, describeAcls } from '../../protocol/messages/acls.ts'
import { alterConfigs, listConfigResources } from '../../protocol/messages/config-resources.ts'
import { describeCluster, metadata } from '../../protocol/messages/metadata.ts'
import { describeQuorum } from '../../protocol/messages/quorum.ts'
import { alterClientQuotas, describeClientQuotas } from '../../protocol/messages/quotas.ts'
import {
  alterPartitionReassignments,
  describeLogDirs,
  electLeaders,
  listPartitionReassignments,
} from '../../protocol/messages/replicas.ts'
import { describeTopicPartitions } from '../../protocol/messages/topic-partitions.ts'
import { createPartitions } from '../../protocol/messages/topics.ts'
import type { Authorizer } from '../../server/authorizer.ts'
import { startRelay } from '../support/relay.ts'
import { RelayClient } from '../support/relay-client.ts'

const TOPIC = 2
const bits = (...codes: number[]) => codes.reduce((sum, code) => sum | (1 << code), 0)

async function open(authorizer?: Authorizer) {
  const relay = await startRelay({ authorizer })
  return { relay, client: await RelayClient.open(relay.websocket.url) }
}

const readOnly: Authorizer = { allows: (_who, operation) => /^(read|describe)/.test(operation) }
const nothing: Authorizer = { allows: () => false }

test('[KAF-5] AlterConfigs replaces all settings of a topic, or none when one of them is wrong', async () => {
  const { relay, client } = await open()
  await client.createTopic('t', { configs: { 'retention.ms': '1000', 'segment.ms': '60000' } })
  const alter = async (configs: Array<{ name: string; value: string | null }>, version = 2, validateOnly = false) => {
    const resources = [{ resourceType: TOPIC, resourceName: 't', configs }]
    return (await client.call(alterConfigs, { resources, validateOnly }, version)).responses[0]!
  }
  const overrides = () => relay.engine.topicByName('t')!.configOverrides
  expect(await alter([{ name: 'retention.ms', value: 'many' }])).toMatchObject({ errorCode: ErrorCode.INVALID_CONFIG })
  expect(await alter([{ name: 'retention.ms', value: null }])).toMatchObject({ errorCode: ErrorCode.INVALID_REQUEST })
  const twice = { name: 'retention.ms', value: '1' }
  expect(await alter([twice, twice])).toMatchObject({ errorCode: ErrorCode.INVALID_REQUEST })
  expect(await alter([{ name: 'retention.ms', value: '5' }], 1, true)).toMatchObject({ errorCode: 0 })
  expect(overrides()).toEqual({ 'retention.ms': '1000', 'segment.ms': '60000' })
  expect(await alter([{ name: 'retention.ms', value: '2000' }], 0)).toMatchObject({ errorCode: 0 })
  expect(overrides()).toEqual({ 'retention.ms': '2000' })
  const others = [
    { resourceType: TOPIC, resourceName: 'absent', configs: [] },
    { resourceType: 4, resourceName: '1', configs: [] },
  ]
  const { responses } = await client.call(alterConfigs, { resources: others, validateOnly: false })
  expect(responses.map(({ errorCode }) => errorCode)).toEqual([
    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    ErrorCode.INVALID_REQUEST,
  ])
})

test('[KAF-6] ListConfigResources names topics and the broker; version 0 knows only client metrics', async () => {
  const { client } = await open()
  await client.createTopic('t')
  const list = async (resourceTypes: number[], version = 1) =>
    (await client.call(listConfigResources, { resourceTypes }, version)).configResources
  expect(await list([])).toEqual([
    { resourceName: 't', resourceType: TOPIC },
    { resourceName: '1', resourceType: 4 },
  ])
  expect(await list([TOPIC])).toEqual([{ resourceName: 't', resourceType: TOPIC }])
  expect(await list([], 0)).toEqual([])
  expect(await client.call(listConfigResources, { resourceTypes: [99] })).toMatchObject({
    errorCode: ErrorCode.UNSUPPORTED_VERSION,
  })
})

test('[KAF-7] DescribeLogDirs gives the folder and the bytes of each partition', async () => {
  const { relay, client } = await open()
  const topicId = await client.createTopic('t', { partitions: 2 })
  await client.produce(topicId, ['x'.repeat(10_000)])
  for (let version = 1; version <= 5; version++) {
    const { results } = await client.call(describeLogDirs, { topics: null }, version)
    expect(results, `version ${version}`).toHaveLength(1)
    expect(results[0]).toMatchObject({ errorCode: 0, logDir: resolve(relay.dataDir) })
    const { partitions } = results[0]!.topics.find(({ name }) => name === 't')!
    expect(partitions[0]!.partitionSize).toBeGreaterThan(10_000)
    expect(partitions[1]).toMatchObject({ partitionIndex: 1, offsetLag: 0, isFutureKey: false })
    if (version >= 4) expect(results[0]!.usableBytes).toBeGreaterThan(0)
  }
  const asked = [
    { topic: 't', partitions: [1, 1, 9] },
    { topic: 'absent', partitions: [0] },
  ]
  const { results } = await client.call(describeLogDirs, { topics: asked })
  expect(results[0]!.topics).toMatchObject([{ name: 't', partitions: [{ partitionIndex: 1 }] }])
  expect(results[0]!.topics[0]!.partitions).toHaveLength(1)
})

test('[KAF-8] elections and reassignments: there is nothing to do, and the answers say so', async () => {
  const { client } = await open()
  await client.createTopic('t')
  for (const version of [0, 1, 2]) {
    const topicPartitions = [{ topic: 't', partitions: [0, 5] }]
    const { replicaElectionResults } = await client.call(electLeaders, { topicPartitions }, version)
    expect(replicaElectionResults[0]!.partitionResult.map(({ errorCode }) => errorCode)).toEqual([
      ErrorCode.ELECTION_NOT_NEEDED,
      ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    ])
  }
  expect(await client.call(electLeaders, { topicPartitions: null })).toMatchObject({
    errorCode: 0,
    replicaElectionResults: [],
  })
  expect(await client.call(electLeaders, { electionType: 7, topicPartitions: null })).toMatchObject({
    errorCode: ErrorCode.INVALID_REQUEST,
  })
  const wanted = [[1], [1, 2], [], null]
  const moved = await Promise.all(
    wanted.map((replicas) =>
      client.call(alterPartitionReassignments, {
        topics: [{ name: 't', partitions: [{ partitionIndex: 0, replicas }] }],
      }),
    ),
  )
  expect(moved.map(({ responses }) => responses[0]!.partitions[0]!.errorCode)).toEqual([
    ErrorCode.NONE,
    ErrorCode.INVALID_REPLICA_ASSIGNMENT,
    ErrorCode.INVALID_REPLICA_ASSIGNMENT,
    ErrorCode.NO_REASSIGNMENT_IN_PROGRESS,
  ])
  expect(await client.call(listPartitionReassignments, { topics: null })).toMatchObject({ errorCode: 0, topics: [] })
})

test('[KAF-13] CreatePartitions takes assignments that name the one broker for each new partition', async () => {
  const { relay, client } = await open()
  await client.createTopic('t')
  const grow = async (assignments: Array<{ brokerIds: number[] }> | null, count = 3) => {
    const topics = [{ name: 't', count, assignments }]
    const { results } = await client.call(createPartitions, { topics, timeoutMs: 1000, validateOnly: false })
    return results[0]!.errorCode
  }
  const one = { brokerIds: [1] }
  expect(await grow([])).toBe(ErrorCode.INVALID_REPLICA_ASSIGNMENT)
  expect(await grow([one])).toBe(ErrorCode.INVALID_REPLICA_ASSIGNMENT)
  expect(await grow([one, { brokerIds: [2] }])).toBe(ErrorCode.INVALID_REPLICA_ASSIGNMENT)
  expect(await grow([one, { brokerIds: [1, 1] }])).toBe(ErrorCode.INVALID_REPLICA_ASSIGNMENT)
  expect(relay.engine.topicByName('t')!.partitions).toHaveLength(1)
  expect(await grow([one, one])).toBe(ErrorCode.NONE)
  expect(await grow(null, 4)).toBe(ErrorCode.NONE)
  expect(relay.engine.topicByName('t')!.partitions).toHaveLength(4)
})

test('[KAF-9] ACLs are disabled; quotas are none, and none can be set', async () => {
  const { client } = await open()
  const any = { resourceTypeFilter: 1, operation: 1, permissionType: 1 }
  const acl = { resourceType: 2, resourceName: 't', principal: 'User:a', host: '*', operation: 3, permissionType: 3 }
  const disabled = { errorCode: ErrorCode.SECURITY_DISABLED }
  for (const version of [1, 2, 3]) {
    expect(await client.call(describeAcls, any, version)).toMatchObject(disabled)
    expect((await client.call(createAcls, { creations: [acl] }, version)).results).toMatchObject([disabled])
    expect((await client.call(deleteAcls, { filters: [any] }, version)).filterResults).toMatchObject([disabled])
  }
  expect(await client.call(describeClientQuotas, { components: [], strict: false })).toMatchObject({
    errorCode: 0,
    entries: [],
  })
  const entry = { entity: [{ entityType: 'user', entityName: null }], ops: [] }
  const { entries } = await client.call(alterClientQuotas, { entries: [entry], validateOnly: false })
  expect(entries).toMatchObject([{ errorCode: ErrorCode.UNSUPPORTED_VERSION, entity: entry.entity }])
})

test('[KAF-10] DescribeTopicPartitions in pieces names every partition once, in order', async () => {
  const { client } = await open()
  for (const [name, partitions] of Object.entries({ b: 5, a: 3, c: 1 })) await client.createTopic(name, { partitions })
  for (const limit of [1, 2, 3, 4, 8, 9, 100, 0, -5]) {
    const seen: string[] = []
    let cursor: { topicName: string; partitionIndex: number } | null = null
    for (let pieces = 0; pieces < 20; pieces++) {
      const body = { topics: [], responsePartitionLimit: limit, cursor }
      const answer: Awaited<ReturnType<typeof ask>> = await ask(body)
      const piece = answer.topics.flatMap(({ name, partitions }) =>
        partitions.map(({ partitionIndex }) => `${name}${partitionIndex}`),
      )
      expect(piece.length).toBeLessThanOrEqual(Math.max(1, limit))
      seen.push(...piece)
      cursor = answer.nextCursor
      if (!cursor) break
    }
    expect(seen).toEqual(['a0', 'a1', 'a2', 'b0', 'b1', 'b2', 'b3', 'b4', 'c0'])
  }
  const named = await ask({ topics: [{ name: 'c' }, { name: 'absent' }, { name: 'c' }] })
  expect(named.topics).toMatchObject([
    { name: 'absent', errorCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION },
    { name: 'c', errorCode: 0, partitions: [{ leaderId: 1, replicaNodes: [1], isrNodes: [1], offlineReplicas: [] }] },
  ])
  const beyond = await ask({ topics: [], cursor: { topicName: 'b', partitionIndex: 99 } })
  expect(beyond.topics.map(({ name, partitions }) => [name, partitions.length])).toEqual([
    ['b', 0],
    ['c', 1],
  ])

  function ask(body: RequestInputOf<typeof describeTopicPartitions>) {
    return client.call(describeTopicPartitions, body)
  }
})

test('[KAF-11] authorized operations are given to whoever asks, and are what the authorizer allows', async () => {
  const all = await open()
  await all.client.createTopic('t')
  const topic = bits(3, 4, 5, 6, 7, 8, 10, 11)
  const cluster = bits(5, 7, 8, 9, 10, 11, 12)
  const ask = (client: RelayClient, isAsked: boolean, version = 10) =>
    client.call(
      metadata,
      {
        topics: [{ name: 't' }],
        includeTopicAuthorizedOperations: isAsked,
        includeClusterAuthorizedOperations: isAsked,
      },
      version,
    )
  const asked = await ask(all.client, true)
  expect(asked.topics[0]!.topicAuthorizedOperations).toBe(topic)
  expect(asked.clusterAuthorizedOperations).toBe(cluster)
  const notAsked = await ask(all.client, false)
  expect([notAsked.topics[0]!.topicAuthorizedOperations, notAsked.clusterAuthorizedOperations]).toEqual([
    -2147483648, -2147483648,
  ])
  const described = await all.client.call(describeCluster, { includeClusterAuthorizedOperations: true })
  expect(described).toMatchObject({ errorCode: 0, clusterAuthorizedOperations: cluster })
  expect(
    await all.client.call(describeCluster, { includeClusterAuthorizedOperations: false, endpointType: 2 }),
  ).toMatchObject({ errorCode: ErrorCode.MISMATCHED_ENDPOINT_TYPE, brokers: [] })

  const few = await startRelay({ authorizer: readOnly })
  await few.engine.createTopic({ name: 't', partitionCount: 1, configs: {} })
  const reader = await RelayClient.open(few.websocket.url)
  expect((await ask(reader, true, 13)).topics[0]!.topicAuthorizedOperations).toBe(bits(3, 8, 10))
})

test('[KAF-12] the authorizer is asked before anything about the cluster is told or changed', async () => {
  const { client } = await open(nothing)
  const refused = { errorCode: ErrorCode.CLUSTER_AUTHORIZATION_FAILED }
  expect(await client.call(describeLogDirs, { topics: null })).toMatchObject({ ...refused, results: [] })
  expect(await client.call(electLeaders, { topicPartitions: null })).toMatchObject(refused)
  expect(await client.call(alterPartitionReassignments, { topics: [] })).toMatchObject(refused)
  expect(await client.call(listPartitionReassignments, { topics: null })).toMatchObject(refused)
  expect(await client.call(listConfigResources, { resourceTypes: [] })).toMatchObject(refused)
  expect(await client.call(describeClientQuotas, { components: [], strict: false })).toMatchObject(refused)
  const resources = [{ resourceType: TOPIC, resourceName: 't', configs: [] }]
  expect((await client.call(alterConfigs, { resources, validateOnly: false })).responses).toMatchObject([
    { errorCode: ErrorCode.TOPIC_AUTHORIZATION_FAILED },
  ])
  const { topics } = await client.call(describeTopicPartitions, { topics: [{ name: 't' }] })
  expect(topics).toMatchObject([{ errorCode: ErrorCode.TOPIC_AUTHORIZATION_FAILED }])
})

test('[KAF-14] DescribeQuorum tells of one voter, this relay, that is as far as the log of its metadata', async () => {
  const relay = await startRelay()
  const client = await RelayClient.open(relay.websocket.url)
  await client.createTopic('t')
  const partitions = [{ partitionIndex: 0 }, { partitionIndex: 1 }]
  const ask = () => client.call(describeQuorum, { topics: [{ topicName: '__cluster_metadata', partitions }] })
  const { topics, nodes, errorCode } = await ask()
  expect(errorCode).toBe(0)
  const [quorum, other] = topics[0]!.partitions
  expect(quorum).toMatchObject({ errorCode: 0, leaderId: 1, currentVoters: [{ replicaId: 1 }], observers: [] })
  expect(quorum!.currentVoters[0]!.logEndOffset).toBe(quorum!.highWatermark)
  expect(other!.errorCode).toBe(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
  expect(nodes).toMatchObject([{ nodeId: 1, listeners: [{ host: '127.0.0.1' }] }])
  await client.createTopic('another')
  expect((await ask()).topics[0]!.partitions[0]!.highWatermark).toBeGreaterThan(quorum!.highWatermark)
})
