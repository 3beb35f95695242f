/** Admin calls against a real relay, through both of its doors. */
import { Kafka, logLevel } from 'kafkajs'
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { connect, type Ottla, OttlaError, string } from '../../../client/node.ts'
import { createRelay, type Relay } from '../../../server/relay.ts'
import { MemoryFiles } from '../../../server/storage/memory-files.ts'
import { eventually } from '../../support/eventually.ts'

let relay: Relay
let ottla: Ottla

const NOW = 1_700_000_000_000

async function write(topic: string, partition: number, count: number): Promise<void> {
  const receipts = ottla.topic<string, string>(topic, { value: string }).sendAll(
    Array.from({ length: count }, (_, index) => ({
      value: `${index}`,
      partition,
      timestamp: NOW + index * 1000,
    })),
  )
  await Promise.all(receipts.map(({ committed }) => committed))
}

/** A Kafka client of another make, which reads in the group until the test ends or it is closed. */
async function member(groupId: string, topic: string) {
  const kafka = new Kafka({ brokers: [relay.kafka!.address], clientId: 'kafkajs', logLevel: logLevel.NOTHING })
  const consumer = kafka.consumer({ groupId, sessionTimeout: 10_000, heartbeatInterval: 200, maxWaitTimeInMs: 100 })
  let assigned: number[] = []
  consumer.on('consumer.group_join', ({ payload }) => {
    assigned = payload.memberAssignment[topic] ?? []
  })
  onTestFinished(() => consumer.disconnect())
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await consumer.run({ eachMessage: async () => {} })
  return { close: () => consumer.disconnect(), assigned: () => assigned }
}

const everyPartition = (topic: string, count: number) =>
  Array.from({ length: count }, (_, partition) => ({ topic, partition }))

describe.each(['WebSocket', 'TCP'])('[CAD-1] over %s', (door) => {
  beforeEach(async () => {
    const config = { dataDir: 'data', httpPort: 0, kafkaPort: 0, groupInitialRebalanceDelayMs: 0 }
    relay = await createRelay({ files: new MemoryFiles(), config })
    ottla = await connect(door === 'TCP' ? `kafka://${relay.kafka!.address}` : relay.websocket.url)
  })
  afterEach(async () => {
    await ottla.close()
    await relay.close()
  })

  test('[CAD-2] of several topics each has its own outcome', async () => {
    const { admin } = ottla
    await admin.createTopics([{ name: 'there' }])
    const asked = [{ name: 'a', partitions: 2 }, { name: 'there' }, { name: 'b/b' }, { name: 'c' }]
    const outcomes = await admin.createTopics(asked).settled()
    expect(
      outcomes.map(({ entry, value, error }) => [entry.name, value?.isNew, error?.code, error?.kafkaCode]),
    ).toEqual([
      ['a', true, undefined, undefined],
      ['there', undefined, 'TOPIC_EXISTS', 36],
      ['b/b', undefined, 'RELAY', 17],
      ['c', true, undefined, undefined],
    ])
    expect(await admin.listTopics()).toEqual(['a', 'c', 'there'])
    const error = await admin.deleteTopics(['nowhere', 'a', 'b/b']).catch((failure) => failure)
    expect(error).toBeInstanceOf(OttlaError)
    expect(error).toMatchObject({
      code: 'UNKNOWN_TOPIC',
      message: expect.stringMatching(/topic nowhere .*\(and 1 more\)/),
    })
    expect(error.cause.errors).toHaveLength(2)
    expect(await admin.listTopics()).toEqual(['c', 'there'])
    await expect(admin.describeTopics(['c', 'a'])).rejects.toMatchObject({ code: 'UNKNOWN_TOPIC' })
    const described = await admin.describeTopics(['c', 'a']).settled()
    expect(described.map(({ value }) => value?.partitions)).toEqual([
      [{ partition: 0, leader: 1, leaderEpoch: 0, replicas: [1], inSync: [1], errorCode: 0 }],
      undefined,
    ])
  })

  test('topics grow, records are deleted, offsets are listed by end, time and newest record', async () => {
    const { admin } = ottla
    await admin.createTopics([{ name: 't', partitions: 1 }])
    expect(await admin.createPartitions({ t: 2 }, { validateOnly: true })).toEqual([{ name: 't', partitionCount: 2 }])
    expect((await admin.describeTopics(['t']))[0]!.partitions).toHaveLength(1)
    await admin.createPartitions({ t: 2 })
    await write('t', 1, 10)
    const at = { topic: 't', partition: 1 }
    expect(await admin.deleteRecords([{ ...at, beforeOffset: 4 }])).toEqual([{ ...at, logStart: 4 }])
    const specs = ['earliest', 'latest', 'max-timestamp', { timestamp: NOW + 6_500 }] as const
    const listed = await Promise.all(specs.map((spec) => admin.listOffsets([{ ...at, spec }])))
    expect(listed.flat().map(({ offset }) => offset)).toEqual([4, 10, 9, 7])
    const [beyond, nowhere] = await admin
      .listOffsets([
        { ...at, spec: { timestamp: NOW + 60_000 } },
        { topic: 't', partition: 7, spec: 'latest' },
      ])
      .settled()
    expect(beyond!.value).toMatchObject({ offset: -1 })
    expect(nowhere!.error).toMatchObject({ code: 'UNKNOWN_TOPIC', message: expect.stringContaining('t-7') })
  })

  test('configurations are described, changed by single settings, and listed', async () => {
    const { admin } = ottla
    await admin.createTopics([{ name: 't' }])
    const resource = { topic: 't' }
    const retention = { resource, name: 'retention.ms' }
    await admin.alterConfigs([{ ...retention, value: '60000' }])
    const described = async () => {
      const [config] = await admin.describeConfigs([resource], { names: ['retention.ms'] })
      return config!.entries.map(({ value, source }) => ({ value, source }))
    }
    expect(await described()).toEqual([{ value: '60000', source: 'topic' }])
    await admin.incrementalAlterConfigs([{ ...retention, operation: 'delete' }])
    expect(await described()).toEqual([{ value: '604800000', source: 'default' }])
    const changes = [
      { ...retention, value: 'soon' },
      { resource: { topic: 'gone' }, name: 'retention.ms', value: '1' },
    ]
    const outcomes = await admin.alterConfigs(changes).settled()
    expect(outcomes.map(({ entry, error }) => [entry, error?.kafkaCode])).toEqual([
      [{ topic: 't' }, 40],
      [{ topic: 'gone' }, 3],
    ])
    const [broker] = await admin.describeConfigs([{ broker: '1' }], { names: ['heartbeat-ms'] })
    expect(broker!.entries[0]).toMatchObject({ name: 'heartbeat-ms', value: '10000', isReadOnly: true })
    expect(await admin.listConfigResources(['topic', 'broker'])).toEqual([{ topic: 't' }, { broker: '1' }])
  })

  test('[CAD-6] groups are listed, and described with members, assignments and lag', async () => {
    const { admin } = ottla
    await admin.createTopics([{ name: 't', partitions: 3 }])
    await write('t', 0, 10)
    await admin.alterConsumerGroupOffsets('empty', [{ topic: 't', partition: 0, offset: 4, metadata: 'by hand' }])
    await admin.alterConsumerGroupOffsets('read', [
      { topic: 't', partition: 0, offset: 10 },
      { topic: 't', partition: 1, offset: 0 },
    ])
    const first = await member('read', 't')
    const second = await member('read', 't')
    await eventually(() => first.assigned().length + second.assigned().length === 3, { withinMs: 15_000 })
    const listed = await admin.listGroups()
    expect(listed.sort((a, b) => (a.groupId < b.groupId ? -1 : 1))).toMatchObject([
      { groupId: 'empty', state: 'Empty', type: 'classic' },
      { groupId: 'read', state: 'Stable', type: 'classic', protocolType: 'consumer' },
    ])
    expect(await admin.listConsumerGroups({ states: ['Stable'] })).toHaveLength(1)
    const [stable, empty, unknown] = await admin
      .describeConsumerGroups(['read', 'empty', 'nobody'], { lag: true })
      .settled()
    expect(unknown!.error).toMatchObject({ code: 'UNKNOWN_GROUP', message: expect.stringContaining('nobody') })
    const { members, lag, assignor } = stable!.value!
    expect(assignor).toBe('RoundRobinAssigner')
    expect(members.map(({ clientId, host, subscribed }) => ({ clientId, host, subscribed }))).toEqual(
      Array.from({ length: 2 }, () => ({ clientId: 'kafkajs', host: '127.0.0.1', subscribed: ['t'] })),
    )
    const assigned = members.flatMap(({ assignment }) => assignment.map(({ partition }) => partition))
    expect(assigned.sort()).toEqual([0, 1, 2])
    expect(lag!.map(({ partition, committed, end, lag: left }) => [partition, committed, end, left])).toEqual([
      [0, 10, 10, 0],
      [1, 0, 0, 0],
      [2, null, 0, null],
    ])
    for (const { partition, memberId } of lag!) {
      const holder = members.find(({ assignment }) => assignment.some((at) => at.partition === partition))
      expect(memberId).toBe(holder!.memberId)
    }
    expect(empty!.value).toMatchObject({
      state: 'Empty',
      members: [],
      lag: [{ topic: 't', partition: 0, committed: 4, end: 10, lag: 6, memberId: null }],
    })
  }, 30_000)

  test('offsets of groups are altered, listed, deleted, and groups with them; not under members', async () => {
    const { admin } = ottla
    await admin.createTopics([{ name: 't', partitions: 2 }])
    await write('t', 0, 5)
    const commit = (partition: number, offset: number) => ({ topic: 't', partition, offset })
    const altered = await admin.alterConsumerGroupOffsets('g', [commit(0, 3), commit(1, 0), commit(9, 1)]).settled()
    expect(altered.map(({ error }) => error?.kafkaCode)).toEqual([undefined, undefined, 3])
    const [all] = await admin.listConsumerGroupOffsets(['g'])
    expect(all!.offsets.map(({ partition, offset }) => [partition, offset])).toEqual([
      [0, 3],
      [1, 0],
    ])
    const some = await admin.listConsumerGroupOffsets([
      { group: 'g', partitions: [{ topic: 't', partition: 1 }] },
      'unheard of',
    ])
    expect(some.map(({ groupId, offsets }) => [groupId, offsets.length])).toEqual([
      ['g', 1],
      ['unheard of', 0],
    ])
    await admin.deleteConsumerGroupOffsets('g', [{ topic: 't', partition: 0 }])
    const reader = await member('g', 't')
    await eventually(() => reader.assigned().length === 2, { withinMs: 15_000 })
    const underMembers = [
      admin.alterConsumerGroupOffsets('g', [commit(0, 1)]),
      admin.deleteConsumerGroups(['g']),
      admin.resetConsumerGroupOffsets('g', { to: 'earliest' }),
    ]
    for (const call of underMembers)
      await expect(call).rejects.toMatchObject({ code: 'GROUP_NOT_EMPTY', kafkaCode: 68 })
    await expect(admin.deleteConsumerGroupOffsets('g', [{ topic: 't', partition: 1 }])).rejects.toMatchObject({
      kafkaCode: 86,
    })
    await reader.close()
    await eventually(async () => (await admin.describeConsumerGroups(['g']))[0]!.members.length === 0)
    const deleted = await admin.deleteConsumerGroups(['g', 'nobody']).settled()
    expect(deleted.map(({ value, error }) => value ?? error.kafkaCode)).toEqual(['g', 69])
    expect(await admin.listGroups()).toEqual([])
  }, 30_000)

  test('members are removed, one or all, and the others take over', async () => {
    const { admin } = ottla
    await admin.createTopics([{ name: 't', partitions: 2 }])
    const readers = [await member('g', 't'), await member('g', 't')]
    await eventually(() => readers.every(({ assigned }) => assigned().length === 1), { withinMs: 15_000 })
    const [group] = await admin.describeConsumerGroups(['g'])
    const gone = { memberId: group!.members[0]!.memberId }
    const removed = await admin
      .removeMembersFromConsumerGroup('g', { members: [gone, { memberId: 'nobody' }] })
      .settled()
    expect(removed.map(({ value, error }) => value ?? error.kafkaCode)).toEqual([gone, 25])
    const idsNow = async () => (await admin.describeConsumerGroups(['g']))[0]!.members.map(({ memberId }) => memberId)
    await eventually(async () => !(await idsNow()).includes(gone.memberId))
    const before = await idsNow()
    const all = await admin.removeMembersFromConsumerGroup('g')
    expect(all.length).toBe(before.length)
    expect(await admin.removeMembersFromConsumerGroup('nobody knows')).toEqual([])
  }, 30_000)

  describe('[CAD-7] the offsets of a group are reset', () => {
    const reset = async (options: Parameters<Ottla['admin']['resetConsumerGroupOffsets']>[1], group = 'g') => {
      const done = await ottla.admin.resetConsumerGroupOffsets(group, options)
      return done.map(({ partition, from, to }) => [partition, from, to])
    }
    const committed = async () => {
      const [found] = await ottla.admin.listConsumerGroupOffsets(['g'])
      return found!.offsets.map(({ partition, offset }) => [partition, offset])
    }
    beforeEach(async () => {
      await ottla.admin.createTopics([{ name: 't', partitions: 2 }])
      await write('t', 0, 10)
      await write('t', 1, 4)
      await ottla.admin.deleteRecords([{ topic: 't', partition: 0, beforeOffset: 2 }])
      await ottla.admin.alterConsumerGroupOffsets('g', [
        { topic: 't', partition: 0, offset: 5 },
        { topic: 't', partition: 1, offset: 1 },
      ])
    })

    test.each([
      ['earliest', 'earliest', [2, 0]],
      ['latest', 'latest', [10, 4]],
      ['current', 'current', [5, 1]],
      ['a time', { timestamp: NOW + 3_000 }, [3, 3]],
      ['a time after all records', { timestamp: NOW + 3_600_000 }, [10, 4]],
      ['a shift back, held at the start', { shiftBy: -4 }, [2, 0]],
      ['a shift forward, held at the end', { shiftBy: 4 }, [9, 4]],
      ['an offset, held within the log', { offset: 1 }, [2, 1]],
      ['a file', { offsets: everyPartition('t', 2).map((at) => ({ ...at, offset: 3 })) }, [3, 3]],
    ] as const)('to %s', async (_name, to, [first, second]) => {
      const plan = [
        [0, 5, first],
        [1, 1, second],
      ]
      expect(await reset({ to, dryRun: true })).toEqual(plan)
      expect(await committed()).toEqual([
        [0, 5],
        [1, 1],
      ])
      expect(await reset({ to })).toEqual(plan)
      expect(await committed()).toEqual([
        [0, first],
        [1, second],
      ])
    })

    test('by a duration before now', async () => {
      const since = Date.now() - NOW
      expect(await reset({ to: { durationMs: since - 2_500 }, dryRun: true })).toEqual([
        [0, 5, 3],
        [1, 1, 3],
      ])
    })

    test('only in the partitions and topics that are named, and for a group that is new', async () => {
      const partitions = [{ topic: 't', partition: 1 }]
      expect(await reset({ to: 'earliest', partitions })).toEqual([[1, 1, 0]])
      expect(await reset({ to: 'latest', topics: ['t'] }, 'new')).toEqual([
        [0, null, 10],
        [1, null, 4],
      ])
      await expect(reset({ to: { shiftBy: 1 }, topics: ['t'] }, 'newer')).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
      })
      await expect(reset({ to: 'latest', topics: ['gone'] })).rejects.toMatchObject({ code: 'UNKNOWN_TOPIC' })
    })
  })

  test('cluster, features, quorum, log folders and producers are told', async () => {
    const { admin } = ottla
    await admin.createTopics([{ name: 't', partitions: 2 }])
    await write('t', 0, 3)
    const cluster = await admin.describeCluster()
    expect(cluster).toMatchObject({ controllerId: 1, brokers: [{ brokerId: 1, host: '127.0.0.1' }] })
    expect(await admin.describeFeatures()).toMatchObject({ supported: expect.any(Object) })
    expect(await admin.describeMetadataQuorum()).toMatchObject({ leaderId: 1, voters: [{ replicaId: 1 }] })
    const [dirs] = await admin.describeLogDirs()
    expect(dirs).toMatchObject({ brokerId: 1, dirs: [{ error: null, partitions: everyPartition('t', 2) }] })
    expect(dirs!.dirs[0]!.partitions[0]!.sizeBytes).toBeGreaterThan(0)
    const at = { topic: 't', partition: 0 }
    expect(await admin.describeReplicaLogDirs([at])).toMatchObject([{ ...at, brokerId: 1, path: dirs!.dirs[0]!.path }])
    const producers = await admin.describeProducers([at])
    expect(producers).toMatchObject([{ ...at, lastSequence: 2, currentTransactionStart: -1 }])
    const each = await admin.describeProducers([at, { topic: 't', partition: 5 }]).settled()
    expect(each.map(({ value, error }) => value?.producers.length ?? error!.kafkaCode)).toEqual([1, 3])
  })

  test('transactional ids are listed, described, and their producers fenced', async () => {
    const { admin } = ottla
    const [first] = await admin.fenceProducers(['payments'])
    const [second] = await admin.fenceProducers(['payments'])
    expect(second).toEqual({ ...first!, producerEpoch: first!.producerEpoch + 1 })
    expect(await admin.listTransactions()).toMatchObject([{ transactionalId: 'payments', state: 'Empty' }])
    expect(await admin.listTransactions({ states: ['Ongoing'] })).toEqual([])
    expect(await admin.listTransactions({ pattern: 'pay.*' })).toHaveLength(1)
    expect(await admin.listTransactions({ pattern: 'pay' })).toEqual([])
    const [known, unknown] = await admin.describeTransactions(['payments', 'nobody']).settled()
    expect(known!.value).toMatchObject({ state: 'Empty', producerId: first!.producerId, partitions: [] })
    expect(unknown!.error).toMatchObject({ kafkaCode: 105 })
    await admin.forceTerminateTransaction('payments')
    const [third] = await admin.fenceProducers(['payments'])
    expect(third!.producerEpoch).toBe(first!.producerEpoch + 3)
  })

  test('what one relay has nothing to do about is said in its own words', async () => {
    const { admin } = ottla
    await admin.createTopics([{ name: 't' }])
    const at = { topic: 't', partition: 0 }
    await expect(admin.electLeaders('preferred', [at])).rejects.toMatchObject({ kafkaCode: 84 })
    expect(await admin.alterPartitionReassignments([{ ...at, replicas: [1] }])).toHaveLength(1)
    await expect(admin.alterPartitionReassignments([{ ...at, replicas: [1, 2] }])).rejects.toMatchObject({
      kafkaCode: 39,
    })
    expect(await admin.listPartitionReassignments()).toEqual([])
    expect(await admin.describeClientQuotas()).toEqual([])
  })

  test('[CAD-3] a signal ends a call, and an old one does not begin', async () => {
    const { admin } = ottla
    const signal = AbortSignal.abort(new Error('enough'))
    await expect(admin.listTopics({ signal })).rejects.toMatchObject({ code: 'ABORTED' })
    await expect(admin.createTopics([{ name: 't' }], { signal })).rejects.toMatchObject({ code: 'ABORTED' })
    expect(await admin.listTopics()).toEqual([])
  })

  test('a call that does not exist is refused, and an admin is no promise', async () => {
    expect(await (async () => ottla.admin)()).toBe(ottla.admin)
    const { admin } = ottla as unknown as { admin: Record<string, () => Promise<unknown>> }
    await expect(admin.createTopicz!()).rejects.toThrow(/createTopicz/)
  })
})
