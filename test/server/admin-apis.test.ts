/** Topics and configuration over the WebSocket door: what each request does, and what each refusal says. */
import { describe, expect, test } from 'vitest'
import { ErrorCode } from '../../protocol/errors.ts'
import { alterConfigs } from '../../protocol/messages/config-resources.ts'
import { describeConfigs, incrementalAlterConfigs } from '../../protocol/messages/configs.ts'
import { describeCluster, metadata } from '../../protocol/messages/metadata.ts'
import { createPartitions, createTopics, deleteTopics } from '../../protocol/messages/topics.ts'
import { apiVersions } from '../../protocol/messages/versions.ts'
import { nodeFiles } from '../../server/storage/node-files.ts'
import { FaultyFiles } from '../support/faulty-files.ts'
import { startRelay } from '../support/relay.ts'
import { batchOf, RelayClient } from '../support/relay-client.ts'

async function startedClient(options: Parameters<typeof startRelay>[0] = {}) {
  const relay = await startRelay(options)
  return { relay, client: await RelayClient.open(relay.websocket.url) }
}

interface AskedTopic {
  name: string
  numPartitions?: number
  replicationFactor?: number
  assignments?: Array<{ partitionIndex: number; brokerIds: number[] }>
  configs?: Array<{ name: string; value: string | null }>
}

async function create(
  client: RelayClient,
  topics: AskedTopic[],
  options: { validateOnly?: boolean; version?: number } = {},
) {
  const { validateOnly = false, version = 7 } = options
  const defaults = { numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] }
  const body = { topics: topics.map((topic) => ({ ...defaults, ...topic })), validateOnly }
  return (await client.call(createTopics, body, version)).topics
}

const codes = (answers: ReadonlyArray<{ errorCode: number }>) => answers.map(({ errorCode }) => errorCode)

async function named(
  client: RelayClient,
  names: string[] | null,
  options: { version?: number; create?: boolean } = {},
) {
  const body = { topics: names?.map((name) => ({ name })), allowAutoTopicCreation: options.create ?? false }
  return client.call(metadata, body, options.version ?? 13)
}

describe('CreateTopics', () => {
  test('[ADM-1] makes topics with what was asked for, in every version, and says what they are', async () => {
    const { client } = await startedClient({ config: { numPartitions: 4 } })
    for (let version = 2; version <= 7; version++) {
      const [answer] = await create(client, [{ name: `t${version}`, numPartitions: 3 }], { version })
      expect(answer).toMatchObject({ errorCode: 0, name: `t${version}` })
    }
    const configs = [{ name: 'retention.ms', value: '60000' }]
    const [full] = await create(client, [{ name: 'full', numPartitions: -1, replicationFactor: -1, configs }])
    expect(full).toMatchObject({ errorCode: 0, errorMessage: null, numPartitions: 4, replicationFactor: 1 })
    expect(full!.configs!.find(({ name }) => name === 'retention.ms')).toMatchObject({
      value: '60000',
      configSource: 1,
    })
    const assignments = [1, 0].map((partitionIndex) => ({ partitionIndex, brokerIds: [1] }))
    const [assigned] = await create(client, [
      { name: 'assigned', numPartitions: -1, replicationFactor: -1, assignments },
    ])
    expect(assigned).toMatchObject({ errorCode: 0, numPartitions: 2 })
    const { topics } = await named(client, null)
    expect(topics).toHaveLength(8)
  })

  test('[ADM-2] each topic of a request fails by itself, with its code and a text that names the cause', async () => {
    const { client } = await startedClient()
    await create(client, [{ name: 'there' }, { name: 'with_dot' }])
    const uncounted = { numPartitions: -1, replicationFactor: -1 }
    const here = [{ partitionIndex: 0, brokerIds: [1] }]
    const broker2 = [{ partitionIndex: 0, brokerIds: [2] }]
    const gap = [{ partitionIndex: 1, brokerIds: [1] }]
    const bad: Array<[AskedTopic, number, RegExp]> = [
      [{ name: 'there' }, ErrorCode.TOPIC_ALREADY_EXISTS, /there/],
      [{ name: '' }, ErrorCode.INVALID_TOPIC_EXCEPTION, /empty/],
      [{ name: '..' }, ErrorCode.INVALID_TOPIC_EXCEPTION, /folder/],
      [{ name: '../../etc' }, ErrorCode.INVALID_TOPIC_EXCEPTION, /letters/],
      [{ name: 'ü' }, ErrorCode.INVALID_TOPIC_EXCEPTION, /letters/],
      [{ name: 'x'.repeat(250) }, ErrorCode.INVALID_TOPIC_EXCEPTION, /250/],
      [{ name: '__consumer_offsets' }, ErrorCode.INVALID_TOPIC_EXCEPTION, /internal/],
      [{ name: 'with.dot' }, ErrorCode.INVALID_TOPIC_EXCEPTION, /with_dot/],
      [{ name: 'zero', numPartitions: 0 }, ErrorCode.INVALID_PARTITIONS, /1 to/],
      [{ name: 'minus', numPartitions: -2 }, ErrorCode.INVALID_PARTITIONS, /-2/],
      [{ name: 'many', numPartitions: 2 ** 31 - 1 }, ErrorCode.INVALID_PARTITIONS, /2147483647/],
      [{ name: 'copies', replicationFactor: 3 }, ErrorCode.INVALID_REPLICATION_FACTOR, /3/],
      [{ name: 'both', numPartitions: 1, assignments: here }, ErrorCode.INVALID_REQUEST, /assignments/],
      [{ name: 'assigned', ...uncounted, assignments: broker2 }, ErrorCode.INVALID_REPLICA_ASSIGNMENT, /broker 1/],
      [{ name: 'gap', ...uncounted, assignments: gap }, ErrorCode.INVALID_REPLICA_ASSIGNMENT, /0 to n-1/],
      [{ name: 'key', configs: [{ name: 'retention', value: '1' }] }, ErrorCode.INVALID_CONFIG, /retention/],
      [{ name: 'value', configs: [{ name: 'retention.ms', value: 'soon' }] }, ErrorCode.INVALID_CONFIG, /soon/],
      [{ name: 'proto', configs: [{ name: '__proto__', value: '1' }] }, ErrorCode.INVALID_CONFIG, /__proto__/],
      [{ name: 'policy', configs: [{ name: 'cleanup.policy', value: 'shred' }] }, ErrorCode.INVALID_CONFIG, /compact/],
    ]
    const answers = await create(client, [...bad.map(([topic]) => topic), { name: 'good' }])
    for (const [index, [topic, errorCode, text]] of bad.entries()) {
      expect(answers[index], topic.name).toMatchObject({ name: topic.name, errorCode })
      expect(answers[index]!.errorMessage).toMatch(text)
    }
    expect(answers.at(-1)).toMatchObject({ name: 'good', errorCode: 0 })
    expect(codes(await create(client, [{ name: 'twice' }, { name: 'twice' }, { name: 'once' }]))).toEqual([
      ErrorCode.INVALID_REQUEST,
      ErrorCode.INVALID_REQUEST,
      0,
    ])
  })

  test('[ADM-3] validateOnly checks and makes nothing', async () => {
    const { client } = await startedClient()
    const [good, bad] = await create(client, [{ name: 't' }, { name: '!' }], { validateOnly: true })
    expect(good).toMatchObject({ errorCode: 0, numPartitions: 1, replicationFactor: 1 })
    expect(good!.configs!.length).toBeGreaterThan(5)
    expect(bad!.errorCode).toBe(ErrorCode.INVALID_TOPIC_EXCEPTION)
    expect((await named(client, null)).topics).toEqual([])
  })

  test('[ADM-4] of many that make one topic at once, one succeeds', async () => {
    const { relay } = await startedClient()
    const clients = await Promise.all(Array.from({ length: 8 }, () => RelayClient.open(relay.websocket.url)))
    const answers = (await Promise.all(clients.map((client) => create(client, [{ name: 't' }])))).flat()
    expect(codes(answers).sort()).toEqual([0, ...Array(7).fill(ErrorCode.TOPIC_ALREADY_EXISTS)])
  })
})

describe('DeleteTopics', () => {
  test('[ADM-5] by name and by id; what is not there has its code; the name is free for a topic with another id', async () => {
    const { client } = await startedClient()
    const first = await client.createTopic('a')
    const remove = async (topics: Array<{ name?: string | null; topicId?: string }>, version = 6) =>
      (
        await client.call(
          deleteTopics,
          { topics: topics as never, topicNames: topics.map(({ name }) => name ?? ''), timeoutMs: 0 },
          version,
        )
      ).responses
    expect(await remove([{ name: 'a' }, { name: 'absent' }], 1)).toMatchObject([
      { name: 'a', errorCode: 0 },
      { name: 'absent', errorCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION },
    ])
    const second = await client.createTopic('a')
    expect(second).not.toBe(first)
    expect(await remove([{ name: null, topicId: first }])).toMatchObject([{ errorCode: ErrorCode.UNKNOWN_TOPIC_ID }])
    expect(await remove([{ name: null, topicId: second }])).toMatchObject([
      { name: 'a', topicId: second, errorCode: 0 },
    ])
    await client.createTopic('a')
    const twice = await remove([{ name: 'a' }, { name: 'a' }])
    expect(codes(twice).sort()).toEqual([0, ErrorCode.UNKNOWN_TOPIC_ID])
    expect((await named(client, null)).topics).toEqual([])
  })
})

describe('CreatePartitions', () => {
  test('[ADM-6] adds partitions that can be written to at once and are there after a restart', async () => {
    const { relay, client } = await startedClient()
    const topicId = await client.createTopic('t', { partitions: 2 })
    const grow = async (count: number, options: { version?: number; validateOnly?: boolean; name?: string } = {}) => {
      const { version = 3, validateOnly = false, name = 't' } = options
      const body = { topics: [{ name, count, assignments: null }], timeoutMs: 0, validateOnly }
      return (await client.call(createPartitions, body, version)).results[0]!
    }
    expect(await grow(3, { validateOnly: true })).toMatchObject({ errorCode: 0 })
    expect(await grow(3, { version: 0 })).toMatchObject({ errorCode: 0 })
    expect(await grow(5)).toMatchObject({ errorCode: 0, errorMessage: null })
    expect(await grow(5)).toMatchObject({ errorCode: ErrorCode.INVALID_PARTITIONS })
    expect(await grow(1)).toMatchObject({ errorCode: ErrorCode.INVALID_PARTITIONS })
    expect(await grow(2 ** 31 - 1)).toMatchObject({ errorCode: ErrorCode.INVALID_PARTITIONS })
    expect(await grow(20_000, { validateOnly: true })).toMatchObject({ errorCode: ErrorCode.INVALID_PARTITIONS })
    const twice = await Promise.all([grow(6), grow(6)])
    expect(codes(twice)).toEqual([0, ErrorCode.INVALID_PARTITIONS])
    expect(await grow(9, { name: 'absent' })).toMatchObject({ errorCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION })
    expect(await client.produce(topicId, ['x'], 4)).toMatchObject({ errorCode: 0, baseOffset: 0 })
    await relay.close()
    const again = await startRelay({ config: { dataDir: relay.dataDir } })
    const later = await RelayClient.open(again.websocket.url)
    const { topics } = await named(later, ['t'])
    expect(topics).toMatchObject([{ topicId, errorCode: 0 }])
    expect(topics[0]!.partitions).toHaveLength(6)
    expect(await later.produce(topicId, ['y'], 4)).toMatchObject({ baseOffset: 1 })
  })
})

describe('configuration', () => {
  const alter = async (
    client: RelayClient,
    configs: Array<{ name: string; configOperation?: number; value?: string | null }>,
    options: { validateOnly?: boolean; version?: number; resourceType?: number; resourceName?: string } = {},
  ) => {
    const { validateOnly = false, version = 1, resourceType = 2, resourceName = 't' } = options
    const changes = configs.map((config) => ({ configOperation: 0, value: null, ...config }))
    const body = { resources: [{ resourceType, resourceName, configs: changes }], validateOnly }
    return (await client.call(incrementalAlterConfigs, body, version)).responses[0]!
  }
  const describeOne = async (
    client: RelayClient,
    keys: string[] | null,
    options: { type?: number; name?: string; version?: number } = {},
  ) => {
    const { type = 2, name = 't', version = 4 } = options
    const resources = [{ resourceType: type, resourceName: name, configurationKeys: keys }]
    return (
      await client.call(describeConfigs, { resources, includeSynonyms: false, includeDocumentation: true }, version)
    ).results[0]!
  }

  test('[ADM-7] a change takes effect at once, without a restart, and survives one', async () => {
    const { relay, client } = await startedClient()
    const topicId = await client.createTopic('t')
    expect(await client.produce(topicId, ['x'.repeat(2000)])).toMatchObject({ errorCode: 0 })
    expect(await alter(client, [{ name: 'max.message.bytes', value: '1000' }])).toMatchObject({ errorCode: 0 })
    expect(await client.produce(topicId, ['x'.repeat(2000)])).toMatchObject({ errorCode: ErrorCode.MESSAGE_TOO_LARGE })
    expect((await describeOne(client, ['max.message.bytes'])).configs).toMatchObject([
      { name: 'max.message.bytes', value: '1000', configSource: 1, readOnly: false },
    ])
    await relay.close()
    const again = await startRelay({ config: { dataDir: relay.dataDir } })
    const later = await RelayClient.open(again.websocket.url)
    expect(await later.produce(topicId, ['x'.repeat(2000)])).toMatchObject({ errorCode: ErrorCode.MESSAGE_TOO_LARGE })
    expect(await alter(later, [{ name: 'max.message.bytes', configOperation: 1 }], { version: 0 })).toMatchObject({
      errorCode: 0,
    })
    expect(await later.produce(topicId, ['x'.repeat(2000)])).toMatchObject({ errorCode: 0 })
    expect((await describeOne(later, ['max.message.bytes'], { version: 1 })).configs).toMatchObject([
      { configSource: 5 },
    ])
  })

  test('[ADM-8] what cannot be altered is refused and alters nothing', async () => {
    const { client } = await startedClient()
    await client.createTopic('t')
    const good = { name: 'segment.ms', value: '1000' }
    const refused: Array<[Parameters<typeof alter>[1], Parameters<typeof alter>[2], number]> = [
      [[good, { name: 'no.such.key', value: '1' }], {}, ErrorCode.INVALID_CONFIG],
      [[good, { name: 'retention.ms', value: '-7' }], {}, ErrorCode.INVALID_CONFIG],
      [[good, { name: 'retention.ms', value: '1', configOperation: 2 }], {}, ErrorCode.INVALID_CONFIG],
      [[good, { name: 'retention.ms', value: '1', configOperation: 9 }], {}, ErrorCode.INVALID_REQUEST],
      [[good, { name: 'retention.ms' }], {}, ErrorCode.INVALID_REQUEST],
      [[good, good], {}, ErrorCode.INVALID_REQUEST],
      [[good, { name: '__proto__', value: '1' }], {}, ErrorCode.INVALID_CONFIG],
      [[good, { name: 'constructor', value: '1' }], {}, ErrorCode.INVALID_CONFIG],
      [[good], { resourceName: 'absent' }, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION],
      [[good], { resourceType: 4, resourceName: '1' }, ErrorCode.INVALID_REQUEST],
      [[good], { resourceType: 77 }, ErrorCode.INVALID_REQUEST],
    ]
    for (const [configs, options, errorCode] of refused)
      expect(await alter(client, configs, options), JSON.stringify(configs)).toMatchObject({ errorCode })
    expect(await alter(client, [good], { validateOnly: true })).toMatchObject({ errorCode: 0 })
    expect((await describeOne(client, ['segment.ms'])).configs).toMatchObject([{ configSource: 5 }])
  })

  test('[ADM-13] changes that do not wait for each other all count: lists, whole configurations, groups', async () => {
    const { relay, client } = await startedClient()
    const other = await RelayClient.open(relay.websocket.url)
    await client.createTopic('t', { configs: { 'cleanup.policy': 'delete' } })
    const append = { name: 'cleanup.policy', value: 'compact', configOperation: 2 }
    const subtract = { name: 'cleanup.policy', value: 'delete', configOperation: 3 }
    await Promise.all([alter(client, [append]), alter(other, [subtract])])
    const overrides = () => relay.engine.topicByName('t')!.configOverrides
    expect(overrides()).toEqual({ 'cleanup.policy': 'compact' })
    const resources = [{ resourceType: 2, resourceName: 't', configs: [{ name: 'segment.ms', value: '1000' }] }]
    await Promise.all([
      alter(client, [{ name: 'retention.ms', value: '5' }]),
      other.call(alterConfigs, { resources, validateOnly: false }),
    ])
    // Whichever came last: the whole that was given, or that with the one change.
    expect([{ 'segment.ms': '1000' }, { 'segment.ms': '1000', 'retention.ms': '5' }]).toContainEqual(overrides())
    const ofGroup = { resourceType: 32, resourceName: 'g' }
    await Promise.all([
      alter(client, [{ name: 'consumer.session.timeout.ms', value: '46000' }], ofGroup),
      alter(other, [{ name: 'share.auto.offset.reset', value: 'earliest' }], ofGroup),
    ])
    const { configs } = await describeOne(client, null, { type: 32, name: 'g' })
    expect(configs.filter(({ configSource }) => configSource === 8).map(({ value }) => value)).toEqual([
      '46000',
      'earliest',
    ])
  })

  test('[ADM-13] a resource that is named twice is refused, as by Kafka, and the others are altered', async () => {
    const { relay, client } = await startedClient()
    for (const name of ['t', 'u']) await client.createTopic(name)
    const of = (resourceName: string, value: string) => ({
      ...{ resourceType: 2, resourceName },
      configs: [{ name: 'segment.ms', value, configOperation: 0 }],
    })
    const resources = [of('t', '1000'), of('u', '2000'), of('t', '3000')]
    const body = { resources, validateOnly: false }
    const all = [await client.call(incrementalAlterConfigs, body), await client.call(alterConfigs, body)]
    for (const { responses } of all) {
      expect(responses).toMatchObject([
        { resourceName: 't', errorCode: ErrorCode.INVALID_REQUEST },
        { resourceName: 'u', errorCode: 0 },
      ])
    }
    expect(relay.engine.topicByName('t')!.configOverrides).toEqual({})
    expect(relay.engine.topicByName('u')!.configOverrides).toEqual({ 'segment.ms': '2000' })
  })

  test('[ADM-9] DescribeConfigs tells every setting of a topic and of the relay, with its source', async () => {
    const { client } = await startedClient({ config: { maxConnections: 77 } })
    await client.createTopic('t')
    const all = await describeOne(client, null)
    expect(all.configs.map(({ name }) => name)).toContain('retention.ms')
    expect(all.configs.every(({ documentation, configType }) => documentation && configType > 0)).toBe(true)
    expect((await describeOne(client, [])).configs).toEqual([])
    const relay = await describeOne(client, ['max-connections'], { type: 4, name: '1' })
    expect(relay.configs).toMatchObject([{ value: '77', readOnly: true, configSource: 4 }])
    expect(await describeOne(client, null, { type: 4, name: '9' })).toMatchObject({
      errorCode: ErrorCode.INVALID_REQUEST,
    })
    expect(await describeOne(client, null, { name: 'absent' })).toMatchObject({
      errorCode: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
      configs: [],
    })
  })
})

describe('Metadata', () => {
  test('[ADM-10] all, none, by name, by id; the same topics in every version', async () => {
    const { relay, client } = await startedClient()
    const topicId = await client.createTopic('t', { partitions: 2 })
    await client.createTopic('u')
    const { host, port } = { host: '127.0.0.1', port: Number(new URL(relay.http.url).port) }
    for (let version = 0; version <= 13; version++) {
      const answer = await named(client, ['t', 'absent'], { version })
      expect(answer.brokers, `version ${version}`).toMatchObject([{ nodeId: 1, host, port }])
      expect(codes(answer.topics)).toEqual([0, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION])
      expect(answer.topics[0]!.partitions).toMatchObject([
        { errorCode: 0, partitionIndex: 0, leaderId: 1, isrNodes: [1] },
        { errorCode: 0, partitionIndex: 1, leaderId: 1 },
      ])
      if (version > 0) expect((await named(client, null, { version })).topics).toHaveLength(2)
    }
    expect((await named(client, [], { version: 0 })).topics).toHaveLength(2)
    expect((await named(client, [], { version: 1 })).topics).toEqual([])
    const byId = await client.call(metadata, {
      topics: [
        { name: null, topicId },
        { name: null, topicId: 'AAAAAAAAAAAAAAAAAAAAQQ' },
      ],
    })
    expect(byId.topics).toMatchObject([
      { errorCode: 0, name: 't', topicId },
      { errorCode: ErrorCode.UNKNOWN_TOPIC_ID, partitions: [] },
    ])
    expect(byId.clusterId).toBe(relay.engine.clusterId)
    for (const version of [0, 1, 2]) {
      const cluster = await client.call(describeCluster, { includeClusterAuthorizedOperations: false }, version)
      expect(cluster).toMatchObject({
        errorCode: 0,
        clusterId: byId.clusterId,
        controllerId: 1,
        brokers: [{ brokerId: 1, port }],
      })
    }
  })

  test('[ADM-11] a missing topic is made when relay and request allow it, once however many ask', async () => {
    const { relay, client } = await startedClient({ config: { autoCreateTopics: true, numPartitions: 3 } })
    expect(codes((await named(client, ['t'])).topics)).toEqual([ErrorCode.UNKNOWN_TOPIC_OR_PARTITION])
    const others = await Promise.all(Array.from({ length: 5 }, () => RelayClient.open(relay.websocket.url)))
    const answers = await Promise.all(others.map((other) => named(other, ['t'], { create: true })))
    expect(new Set(answers.map(({ topics }) => topics[0]!.topicId)).size).toBe(1)
    for (const { topics } of answers) expect(topics[0]!.partitions).toHaveLength(3)
    expect(codes((await named(client, ['no/slash'], { create: true })).topics)).toEqual([
      ErrorCode.INVALID_TOPIC_EXCEPTION,
    ])
    const { client: strict } = await startedClient()
    expect(codes((await named(strict, ['t'], { create: true })).topics)).toEqual([ErrorCode.UNKNOWN_TOPIC_OR_PARTITION])
  })
})

describe('ApiVersions', () => {
  test('[RPC-13] lists the keys of the offset protocol only for software that is called ottla', async () => {
    const { client } = await startedClient()
    const keys = async (clientSoftwareName: string) =>
      (await client.call(apiVersions, { clientSoftwareName, clientSoftwareVersion: '1' })).apiKeys.map(
        ({ apiKey }) => apiKey,
      )
    expect(Math.max(...(await keys('librdkafka')))).toBeLessThan(20_000)
    expect(await keys('ottla-js')).toContain(20_001)
    for (let version = 0; version <= 4; version++) {
      const { apiKeys, errorCode } = await client.call(
        apiVersions,
        { clientSoftwareName: '', clientSoftwareVersion: '' },
        version,
      )
      expect({ errorCode, produce: apiKeys[0] }).toMatchObject({
        errorCode: 0,
        produce: { apiKey: 0, minVersion: 0, maxVersion: 13 },
      })
    }
  })
})

describe('a disk that fails', () => {
  test('[ADM-12] changes of topics are refused with the storage error, change nothing, and work when tried again', async () => {
    const files = new FaultyFiles(nodeFiles)
    const { client } = await startedClient({ files })
    const topicId = await client.createTopic('t')
    const full = files.fail({ call: 'makeDir', code: 'ENOSPC', times: 1000 })
    expect(codes(await create(client, [{ name: 'u' }]))).toEqual([ErrorCode.KAFKA_STORAGE_ERROR])
    expect(full.count).toBeGreaterThan(0)
    full.heal()
    const second = files.fail({ call: 'makeDir', path: /\/2$/, code: 'EIO', times: 1000 })
    const grow = async () =>
      (
        await client.call(createPartitions, {
          topics: [{ name: 't', count: 3, assignments: null }],
          timeoutMs: 0,
          validateOnly: false,
        })
      ).results
    expect(codes(await grow())).toEqual([ErrorCode.KAFKA_STORAGE_ERROR])
    expect(second.count).toBe(1)
    expect((await named(client, ['t'])).topics[0]!.partitions).toHaveLength(1)
    second.heal()
    expect(codes(await grow())).toEqual([0])
    expect(codes(await create(client, [{ name: 'u' }]))).toEqual([0])
    expect(await client.produce(topicId, batchOf('x'), 2)).toMatchObject({ errorCode: 0 })
    expect(client.closed).toBeUndefined()
  })
})
