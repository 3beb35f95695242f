import { describe } from 'vitest'
import { alterConfigs } from '../../protocol/messages/config-resources.ts'
import { describeConfigs, incrementalAlterConfigs } from '../../protocol/messages/configs.ts'
import { metadata } from '../../protocol/messages/metadata.ts'
import { deleteRecords, listOffsets, offsetForLeaderEpoch } from '../../protocol/messages/offsets.ts'
import { produce } from '../../protocol/messages/produce.ts'
import { describeTopicPartitions } from '../../protocol/messages/topic-partitions.ts'
import { createPartitions, createTopics, deleteTopics } from '../../protocol/messages/topics.ts'
import { encodeBatch } from '../../protocol/records.ts'
import { eventually } from '../support/eventually.ts'
import { batchOf } from '../support/relay-client.ts'
import { type Peer, scenario, type TopicOnPeer } from './support/compare.ts'

const UNKNOWN_ID = 'AAAAAAAAAAAAAAAAAAAAQQ'
const TOPIC = 2
const utf8 = new TextEncoder()

const make = (
  { wire }: Peer,
  name: string,
  more: Partial<{
    numPartitions: number
    replicationFactor: number
    configs: Record<string, string>
    assignments: Array<{ partitionIndex: number; brokerIds: number[] }>
    validateOnly: boolean
  }> = {},
  version = createTopics.maxVersion,
) =>
  wire
    .call(
      createTopics,
      {
        topics: [
          {
            name,
            numPartitions: more.numPartitions ?? 1,
            replicationFactor: more.replicationFactor ?? 1,
            assignments: more.assignments ?? [],
            configs: Object.entries(more.configs ?? {}).map(([key, value]) => ({ name: key, value })),
          },
        ],
        validateOnly: more.validateOnly ?? false,
      },
      version,
    )
    // The settings of a new topic are compared by DescribeConfigs.
    .then(({ topics }) => topics.map(({ configs, ...rest }) => ({ ...rest, hasConfigs: (configs?.length ?? 0) > 0 })))

describe('CreateTopics', () => {
  scenario('what is made', async (peer, observe) => {
    for (let version = createTopics.minVersion; version <= createTopics.maxVersion; version++)
      observe(`version ${version}`, await make(peer, peer.unique(`v${version}`), { numPartitions: 2 }, version))
    observe('defaults', await make(peer, peer.unique('defaults'), { numPartitions: -1, replicationFactor: -1 }))
    observe(
      'assigned',
      await make(peer, peer.unique('assigned'), {
        numPartitions: -1,
        replicationFactor: -1,
        assignments: [
          { partitionIndex: 0, brokerIds: [1] },
          { partitionIndex: 1, brokerIds: [1] },
        ],
      }),
    )
    observe('validated only', await make(peer, peer.unique('checked'), { validateOnly: true }))
  })

  scenario('what is refused', async (peer, observe) => {
    await make(peer, peer.unique('there'))
    observe('a name that is taken', await make(peer, peer.unique('there')))
    observe('a name that collides', await make(peer, peer.unique('a.b')).then(() => make(peer, peer.unique('a_b'))))
    observe('an empty name', await make(peer, ''))
    observe('a dot', await make(peer, '.'))
    observe('a space', await make(peer, 'a b'))
    observe('a long name', await make(peer, 'x'.repeat(250)))
    observe('no partitions', await make(peer, peer.unique('none'), { numPartitions: 0 }))
    observe('two replicas on one broker', await make(peer, peer.unique('two'), { replicationFactor: 2 }))
    observe('replication factor 0', await make(peer, peer.unique('zero'), { replicationFactor: 0 }))
    observe('an unknown setting', await make(peer, peer.unique('setting'), { configs: { 'no.such.setting': '1' } }))
    observe('a bad value', await make(peer, peer.unique('value'), { configs: { 'retention.ms': 'soon' } }))
    observe('out of range', await make(peer, peer.unique('range'), { configs: { 'segment.bytes': '1' } }))
    observe('a bad policy', await make(peer, peer.unique('policy'), { configs: { 'cleanup.policy': 'shred' } }))
    observe(
      'an unknown broker',
      await make(peer, peer.unique('broker'), {
        numPartitions: -1,
        replicationFactor: -1,
        assignments: [{ partitionIndex: 0, brokerIds: [99] }],
      }),
    )
    observe(
      'assignments and a count',
      await make(peer, peer.unique('both'), { numPartitions: 2, assignments: [{ partitionIndex: 0, brokerIds: [1] }] }),
    )
    const twice = { name: peer.unique('twice'), numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] }
    const answer = await peer.wire.call(createTopics, { topics: [twice, twice], validateOnly: false })
    observe('one name twice', [...new Set(answer.topics.map(({ errorCode }) => errorCode))])
  })
})

describe('Metadata', () => {
  scenario('topics and errors', async (peer, observe) => {
    const topic = await peer.topic('known', { partitions: 3 })
    for (let version = 0; version <= metadata.maxVersion; version++) {
      const { topics } = await peer.wire.call(
        metadata,
        { topics: [{ name: topic.name }, { name: peer.unique('unknown') }] },
        version,
      )
      observe(
        `version ${version}`,
        topics.sort((a, b) => ((a.name ?? '') < (b.name ?? '') ? -1 : 1)),
      )
    }
    const byId = await peer.wire.call(metadata, {
      topics: [
        { topicId: topic.topicId, name: null },
        { topicId: UNKNOWN_ID, name: null },
      ],
    })
    observe(
      'by id',
      byId.topics.sort((a, b) => a.errorCode - b.errorCode),
    )
    observe('none', (await peer.wire.call(metadata, { topics: [] })).topics)
    observe(
      'a bad name',
      (await peer.wire.call(metadata, { topics: [{ name: 'a b' }], allowAutoTopicCreation: true })).topics,
    )
  })

  scenario('DescribeTopicPartitions', async (peer, observe) => {
    const topic = await peer.topic('pieces', { partitions: 5 })
    const ask = (
      topics: string[],
      limit: number,
      cursor: { topicName: string; partitionIndex: number } | null = null,
    ) =>
      peer.wire.call(describeTopicPartitions, {
        topics: topics.map((name) => ({ name })),
        responsePartitionLimit: limit,
        cursor,
      })
    observe('two at a time', await ask([topic.name], 2))
    observe('the next two', await ask([topic.name], 2, { topicName: topic.name, partitionIndex: 2 }))
    observe('unknown', await ask([peer.unique('nothing')], 10))
  })
})

describe('DeleteTopics and CreatePartitions', () => {
  scenario('growing', async (peer, observe) => {
    const topic = await peer.topic('growing', { partitions: 2 })
    const grow = (
      name: string,
      count: number,
      assignments: Array<{ brokerIds: number[] }> | null = null,
      validateOnly = false,
    ) => peer.wire.call(createPartitions, { topics: [{ name, count, assignments }], timeoutMs: 10_000, validateOnly })
    observe('more', await grow(topic.name, 4))
    observe('the same', await grow(topic.name, 4))
    observe('fewer', await grow(topic.name, 1))
    observe('validated only', await grow(topic.name, 9, null, true))
    observe('unknown topic', await grow(peer.unique('unknown'), 3))
    observe('too few assignments', await grow(topic.name, 6, [{ brokerIds: [1] }]))
    observe('an unknown broker', await grow(topic.name, 5, [{ brokerIds: [77] }]))
  })

  scenario('deleting', async (peer, observe) => {
    const [byName, byId] = [await peer.topic('by-name'), await peer.topic('by-id')]
    const remove = (topics: Array<{ name: string | null; topicId: string }>) =>
      peer.wire.call(deleteTopics, { topics, timeoutMs: 10_000 })
    const noId = 'AAAAAAAAAAAAAAAAAAAAAA'
    observe('by name', await remove([{ name: byName.name, topicId: noId }]))
    observe('again', await remove([{ name: byName.name, topicId: noId }]))
    observe('by id', await remove([{ name: null, topicId: byId.topicId }]))
    observe('an unknown id', await remove([{ name: null, topicId: UNKNOWN_ID }]))
    observe(
      'old versions',
      await peer.wire.call(deleteTopics, { topicNames: [peer.unique('never')], timeoutMs: 1000 }, 3),
    )
  })
})

/** A list of policies says the same in any order. */
const inAnyOrder = <C extends { name: string; value: string | null }>(config: C): C =>
  config.name === 'cleanup.policy' ? { ...config, value: config.value!.split(',').sort().join(',') } : config

describe('configuration', () => {
  const describeOf = async ({ wire }: Peer, { name }: Pick<TopicOnPeer, 'name'>, keys: string[]) => {
    const { results } = await wire.call(describeConfigs, {
      resources: [{ resourceType: TOPIC, resourceName: name, configurationKeys: keys }],
      includeSynonyms: false,
    })
    return results.map(({ configs, ...rest }) => ({
      ...rest,
      configs: configs.sort((a, b) => (a.name < b.name ? -1 : 1)).map(inAnyOrder),
    }))
  }
  const alter = (
    { wire }: Peer,
    name: string,
    configs: Array<{ name: string; configOperation: number; value: string | null }>,
    validateOnly = false,
  ) =>
    wire.call(incrementalAlterConfigs, {
      resources: [{ resourceType: TOPIC, resourceName: name, configs }],
      validateOnly,
    })

  /** Kafka's brokers hear of it after it was answered. */
  const takesEffect = (peer: Peer, topic: TopicOnPeer, name: string, value: string) =>
    eventually(async () => (await describeOf(peer, topic, [name]))[0]!.configs[0]!.value === value, {
      what: `${name} is ${value}`,
    })

  scenario('of a topic', async (peer, observe) => {
    const topic = await peer.topic('configured', { configs: { 'retention.ms': '60000' } })
    const keys = [
      'retention.ms',
      'cleanup.policy',
      'max.message.bytes',
      'segment.bytes',
      'min.compaction.lag.ms',
      'compression.type',
      'message.timestamp.type',
      'delete.retention.ms',
      'min.cleanable.dirty.ratio',
      'retention.bytes',
      'segment.ms',
      'message.timestamp.after.max.ms',
    ]
    observe('described', await describeOf(peer, topic, keys))
    observe('set', await alter(peer, topic.name, [{ name: 'retention.ms', configOperation: 0, value: '120000' }]))
    observe(
      'a list appended to',
      await alter(peer, topic.name, [{ name: 'cleanup.policy', configOperation: 2, value: 'compact' }]),
    )
    await takesEffect(peer, topic, 'cleanup.policy', 'compact,delete')
    observe('then', await describeOf(peer, topic, ['retention.ms', 'cleanup.policy']))
    observe(
      'subtracted',
      await alter(peer, topic.name, [{ name: 'cleanup.policy', configOperation: 3, value: 'delete' }]),
    )
    observe('deleted', await alter(peer, topic.name, [{ name: 'retention.ms', configOperation: 1, value: null }]))
    await takesEffect(peer, topic, 'retention.ms', '604800000')
    observe('at the end', await describeOf(peer, topic, ['retention.ms', 'cleanup.policy']))
    observe(
      'a bad value',
      await alter(peer, topic.name, [{ name: 'retention.ms', configOperation: 0, value: 'never' }]),
    )
    observe('an unknown name', await alter(peer, topic.name, [{ name: 'no.such', configOperation: 0, value: '1' }]))
    observe(
      'append to what is no list',
      await alter(peer, topic.name, [{ name: 'retention.ms', configOperation: 2, value: '1' }]),
    )
    observe(
      'validated only',
      await alter(peer, topic.name, [{ name: 'retention.ms', configOperation: 0, value: '7' }], true),
    )
    observe(
      'an unknown topic',
      await alter(peer, peer.unique('unknown'), [{ name: 'retention.ms', configOperation: 0, value: '7' }]),
    )
    observe(
      'one name twice',
      await alter(peer, topic.name, [
        { name: 'retention.ms', configOperation: 0, value: '7' },
        { name: 'retention.ms', configOperation: 0, value: '8' },
      ]),
    )
    observe('describing an unknown topic', await describeOf(peer, { name: peer.unique('unknown') }, ['retention.ms']))
    const replace = (configs: Array<{ name: string; value: string | null }>) =>
      peer.wire.call(alterConfigs, {
        resources: [{ resourceType: TOPIC, resourceName: topic.name, configs }],
        validateOnly: false,
      })
    observe('AlterConfigs replaces all', await replace([{ name: 'segment.ms', value: '600000' }]))
    observe('after it', await describeOf(peer, topic, ['cleanup.policy', 'segment.ms']))
  })
})

describe('offsets', () => {
  const write = ({ wire }: Peer, { name }: TopicOnPeer, records: Uint8Array) =>
    wire.call(
      produce,
      {
        transactionalId: null,
        acks: -1,
        timeoutMs: 5000,
        topicData: [{ name, partitionData: [{ index: 0, records }] }],
      },
      12,
    )
  const at = (timestamp: number) => encodeBatch([{ key: null, value: utf8.encode(String(timestamp)), timestamp }])

  scenario('ListOffsets', async (peer, observe) => {
    const topic = await peer.topic('times')
    const ask = async (timestamp: number, version = listOffsets.maxVersion, partitionIndex = 0) =>
      (
        await peer.wire.call(
          listOffsets,
          { topics: [{ name: topic.name, partitions: [{ partitionIndex, timestamp }] }] },
          version,
        )
      ).topics[0]!.partitions
    // Kafka's broker may hear of its new partition a moment later than the metadata tells of it.
    await eventually(async () => (await ask(-1))[0]!.errorCode === 0)
    observe('an empty log, latest', await ask(-1))
    observe('an empty log, earliest', await ask(-2))
    observe('an empty log, newest', await ask(-3))
    observe('an empty log, by time', await ask(1000))
    for (const time of [1000, 3000, 2000, 5000]) await write(peer, topic, at(1_700_000_000_000 + time))
    for (let version = 1; version <= listOffsets.maxVersion; version++)
      observe(`latest, version ${version}`, await ask(-1, version))
    for (const time of [0, 1000, 1001, 2500, 3000, 4000, 5000])
      observe(`time ${time}`, await ask(1_700_000_000_000 + time))
    observe('after the last', await ask(1_700_000_009_000))
    for (const special of [-2, -3, -4, -5]) observe(`special ${special}`, await ask(special))
    observe('an unknown partition', await ask(-1, listOffsets.maxVersion, 8))
    const older = await peer.wire.call(offsetForLeaderEpoch, {
      topics: [{ topic: topic.name, partitions: [0, 5].map((leaderEpoch) => ({ partition: 0, leaderEpoch })) }],
    })
    observe('epochs', older.topics)
  })

  scenario('DeleteRecords', async (peer, observe) => {
    const topic = await peer.topic('cut')
    await write(peer, topic, batchOf('a', 'b', 'c', 'd'))
    const cut = async (offset: number, partitionIndex = 0, name = topic.name) =>
      (
        await peer.wire.call(deleteRecords, {
          topics: [{ name, partitions: [{ partitionIndex, offset }] }],
          timeoutMs: 5000,
        })
      ).topics
    observe('to 2', await cut(2))
    observe('back to 1', await cut(1))
    observe('past the end', await cut(99))
    observe('to the end', await cut(-1))
    observe('a strange offset', await cut(-2))
    observe('an unknown partition', await cut(0, 9))
    observe('an unknown topic', await cut(0, 0, peer.unique('unknown')))
  })
})
