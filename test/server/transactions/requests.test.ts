/** Transactions as they come over a connection: every version, every error in its words, access, administration. */
import { describe, expect, test } from 'vitest'
import { ErrorCode } from '../../../protocol/errors.ts'
import { findCoordinator } from '../../../protocol/messages/coordinators.ts'
import { produce } from '../../../protocol/messages/produce.ts'
import { describeProducers } from '../../../protocol/messages/producers.ts'
import { deleteTopics } from '../../../protocol/messages/topics.ts'
import { describeTransactions, listTransactions } from '../../../protocol/messages/transaction-admin.ts'
import { writeTxnMarkers } from '../../../protocol/messages/transactions.ts'
import { apiVersions } from '../../../protocol/messages/versions.ts'
import type { Authorizer } from '../../../server/authorizer.ts'
import type { RelayConfig } from '../../../server/config.ts'
import { batchOf } from '../../support/batches.ts'
import { eventually } from '../../support/eventually.ts'
import { startRelay } from '../../support/relay.ts'
import { RelayClient } from '../../support/relay-client.ts'
import { memberOf } from '../groups/group-client.ts'
import { committedOffset, committedValues, TransactionalClient } from './transactional-client.ts'

async function open(options: { config?: Partial<RelayConfig>; authorizer?: Authorizer } = {}) {
  const relay = await startRelay({ ...options, config: { groupInitialRebalanceDelayMs: 0, ...options.config } })
  const client = await RelayClient.open(relay.websocket.url)
  const t = { name: 't', topicId: await client.createTopic('t', { partitions: 2 }) }
  return { relay, client, t, tx: new TransactionalClient(client) }
}

describe('[TXN-10] records and offsets of a transaction count together, in every version of the requests', () => {
  test('version 1: partitions and offsets are added, then written, then committed or aborted', async () => {
    const { client, t } = await open()
    const seen: string[] = []
    for (let version = 0; version <= 4; version++) {
      const tx = new TransactionalClient(client, `tx${version}`)
      expect(await tx.init({}, version)).toBe(0)
      const { producerEpoch } = tx.identity
      for (const outcome of ['abort', 'commit'] as const) {
        const value = `${outcome} ${version}`
        expect(await tx.addPartitions([{ name: 't', partitions: [0, 1] }], Math.min(version, 3))).toEqual([0, 0])
        expect(await tx.write(t, [value], Math.min(3 + version * 2, 11))).toBe(0)
        expect(await tx.addOffsets(`g${version}`, version)).toBe(0)
        expect(await tx.commitOffset(`g${version}`, 7, {}, version)).toBe(0)
        expect(await committedOffset(client, t.topicId, `g${version}`, true)).toBe('error 88')
        expect(await committedOffset(client, t.topicId, `g${version}`)).toBe(-1)
        expect(await committedValues(client, t.topicId)).toEqual(seen)
        expect(await tx.end(outcome, version)).toBe(0)
        if (outcome === 'commit') seen.push(value)
        expect(await committedOffset(client, t.topicId, `g${version}`, true)).toBe(outcome === 'commit' ? 7 : -1)
        expect(await committedValues(client, t.topicId)).toEqual(seen)
      }
      expect(tx.identity.producerEpoch).toBe(producerEpoch)
    }
  })

  test('version 2: writes add what they touch, and each end gives a new epoch', async () => {
    const { client, t, tx } = await open()
    expect(await tx.init()).toBe(0)
    for (const version of [12, 13]) {
      expect(await tx.write(t, [`aborted ${version}`], version)).toBe(0)
      expect(await tx.commitOffset('g', version)).toBe(0)
      expect(await tx.phase()).toBe('Ongoing')
      expect(await tx.end('abort')).toBe(0)
      expect(await tx.write(t, [`committed ${version}`], version)).toBe(0)
      expect(await tx.commitOffset('g', version)).toBe(0)
      expect(await tx.end('commit')).toBe(0)
      expect(await committedOffset(client, t.topicId, 'g', true)).toBe(version)
    }
    expect(tx.identity.producerEpoch).toBe(4)
    expect(await committedValues(client, t.topicId)).toEqual(['committed 12', 'committed 13'])
    expect(await tx.phase()).toBe('CompleteCommit')
  })

  test('the batched form of AddPartitionsToTxn adds, or only asks', async () => {
    const { t, tx } = await open()
    await tx.init()
    for (const version of [4, 5]) {
      const refusal = version === 4 ? ErrorCode.INVALID_TXN_STATE : ErrorCode.TRANSACTION_ABORTABLE
      expect(await tx.addPartitions([{ name: 't', partitions: [0] }], version, true)).toEqual([refusal])
      expect(await tx.addPartitions([{ name: 't', partitions: [0] }], version)).toEqual([0])
      expect(await tx.addPartitions([{ name: 't', partitions: [0, 1] }], version, true)).toEqual([0, refusal])
      expect(await tx.write(t, ['x'], 11)).toBe(0)
      expect(await tx.end('commit', 4)).toBe(0)
    }
  })

  test('a commit that was answered is read by everybody at once', async () => {
    const { relay, client, t, tx } = await open()
    const reader = await RelayClient.open(relay.websocket.url)
    await tx.init()
    for (let round = 0; round < 50; round++) {
      await tx.write(t, [`${round}`])
      await tx.commitOffset('g', round)
      expect(await tx.end('commit')).toBe(0)
      expect((await committedValues(reader, t.topicId)).at(-1)).toBe(`${round}`)
      expect(await committedOffset(client, t.topicId, 'g', true)).toBe(round)
    }
  })

  test('the features tell clients which version there is', async () => {
    const { client } = await open()
    const ask = (version: number) =>
      client.call(apiVersions, { clientSoftwareName: 'any', clientSoftwareVersion: '1' }, version)
    for (const version of [3, 4]) {
      expect((await ask(version)).finalizedFeatures).toContainEqual({
        ...{ name: 'transaction.version', maxVersionLevel: 2, minVersionLevel: 2 },
      })
    }
    const feature = { name: 'transaction.version', minVersion: 0, maxVersion: 2 }
    expect((await ask(4)).supportedFeatures).toContainEqual(feature)
    expect((await ask(3)).supportedFeatures).not.toContainEqual(feature)
  })
})

describe('[TXN-11] what is late, wrong or of another is refused in the words of its version', () => {
  test('a fenced producer', async () => {
    const { client, t, tx } = await open()
    await tx.init()
    const other = new TransactionalClient(client)
    expect(await other.init()).toBe(0)
    expect(await tx.write(t, ['x'])).toBe(ErrorCode.INVALID_PRODUCER_EPOCH)
    expect(await tx.write(t, ['x'], 11)).toBe(ErrorCode.INVALID_PRODUCER_EPOCH)
    expect(await tx.commitOffset('g', 1)).toBe(ErrorCode.INVALID_PRODUCER_EPOCH)
    for (const [version, code] of [
      [1, ErrorCode.INVALID_PRODUCER_EPOCH],
      [2, ErrorCode.PRODUCER_FENCED],
    ] as const) {
      expect(await tx.addPartitions([{ name: 't', partitions: [0] }], version)).toEqual([code])
      expect(await tx.addOffsets('g', version)).toBe(code)
      expect(await tx.end('commit', version)).toBe(code)
    }
    const expected = tx.identity
    await other.init()
    expect(await tx.init({ expected }, 3)).toBe(ErrorCode.INVALID_PRODUCER_EPOCH)
    expect(await tx.init({ expected }, 4)).toBe(ErrorCode.PRODUCER_FENCED)
  })

  test('a partition or a group that is not in the transaction', async () => {
    const { t, tx } = await open()
    await tx.init()
    expect(await tx.write(t, ['x'], 10)).toBe(ErrorCode.INVALID_TXN_STATE)
    expect(await tx.write(t, ['x'], 11)).toBe(ErrorCode.TRANSACTION_ABORTABLE)
    expect(await tx.addPartitions([{ name: 't', partitions: [1] }])).toEqual([0])
    expect(await tx.write(t, ['x'], 10)).toBe(ErrorCode.INVALID_TXN_STATE)
    expect(await tx.write({ ...t, partition: 1 }, ['x'], 10)).toBe(0)
    expect(await tx.commitOffset('g', 1, {}, 3)).toBe(ErrorCode.INVALID_TXN_STATE)
    expect(await tx.commitOffset('g', 1, {}, 4)).toBe(ErrorCode.TRANSACTION_ABORTABLE)
  })

  test('an identity that nobody has', async () => {
    const { t, tx } = await open()
    tx.take({ producerId: 12345, producerEpoch: 0 })
    const unknown = ErrorCode.INVALID_PRODUCER_ID_MAPPING
    expect(await tx.write(t, ['x'])).toBe(unknown)
    expect(await tx.addPartitions([{ name: 't', partitions: [0] }])).toEqual([unknown])
    expect(await tx.addOffsets('g')).toBe(unknown)
    expect(await tx.commitOffset('g', 1)).toBe(unknown)
    expect(await tx.end('commit')).toBe(unknown)
  })

  test('an end that says otherwise than before, or of nothing; the same end again', async () => {
    const { t, tx } = await open()
    await tx.init()
    expect(await tx.end('commit', 3)).toBe(ErrorCode.INVALID_TXN_STATE)
    expect(await tx.end('abort', 3)).toBe(ErrorCode.INVALID_TXN_STATE)
    await tx.addPartitions([{ name: 't', partitions: [0] }])
    expect(await tx.end('commit', 3)).toBe(0)
    expect(await tx.end('commit', 3)).toBe(0)
    expect(await tx.end('abort', 3)).toBe(ErrorCode.INVALID_TXN_STATE)
    const before = tx.identity
    await tx.write(t, ['x'])
    expect(await tx.end('commit', 5)).toBe(0)
    const after = tx.identity
    expect(await tx.end('abort', 5, before)).toBe(ErrorCode.INVALID_TXN_STATE)
    expect(await tx.end('commit', 5, before)).toBe(0)
    expect(tx.identity).toEqual(after)
    await tx.write(t, ['next'])
    expect(await tx.end('commit', 5, before)).toBe(ErrorCode.PRODUCER_FENCED)
    expect(await tx.phase()).toBe('Ongoing')
  })

  test('all partitions or none', async () => {
    const { tx } = await open()
    await tx.init()
    const asked = [
      { name: 't', partitions: [0, 9] },
      { name: 'absent', partitions: [0] },
    ]
    const { OPERATION_NOT_ATTEMPTED, UNKNOWN_TOPIC_OR_PARTITION } = ErrorCode
    const codes = [OPERATION_NOT_ATTEMPTED, UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_OR_PARTITION]
    expect(await tx.addPartitions(asked)).toEqual(codes)
    expect(await tx.addPartitions(asked, 5)).toEqual(codes)
    expect(await tx.phase()).toBe('Empty')
  })

  test('timeouts out of range, half an identity, no name', async () => {
    const { client, tx } = await open({ config: { transactionMaxTimeoutMs: 1000 } })
    expect(await tx.init({ timeoutMs: 1001 })).toBe(ErrorCode.INVALID_TRANSACTION_TIMEOUT)
    expect(await tx.init({ timeoutMs: 0 })).toBe(ErrorCode.INVALID_TRANSACTION_TIMEOUT)
    expect(await tx.init({ timeoutMs: 1000 })).toBe(0)
    const half = { producerId: 1, producerEpoch: -1 }
    expect(await tx.init({ timeoutMs: 1, expected: half })).toBe(ErrorCode.INVALID_REQUEST)
    expect(await new TransactionalClient(client, '').init()).toBe(ErrorCode.INVALID_REQUEST)
  })

  test('a producer with a transactional id writes in transactions only, and nobody else in one', async () => {
    const { client, t, tx } = await open()
    await tx.init()
    const { producerId: id, producerEpoch: epoch } = tx.identity
    const write = async (transactionalId: string | null, isTransactional: boolean, producerId = id) => {
      const records = batchOf(['x'], { producer: { id: producerId, epoch, sequence: 0, isTransactional } })
      const topicData = [{ topicId: t.topicId, partitionData: [{ index: 0, records }] }]
      const { responses } = await client.call(produce, { transactionalId, acks: -1, timeoutMs: 1000, topicData })
      return responses[0]!.partitionResponses[0]!.errorCode
    }
    expect(await write('tx', false)).toBe(ErrorCode.INVALID_TXN_STATE)
    expect(await write(null, false)).toBe(ErrorCode.INVALID_TXN_STATE)
    expect(await write(null, true)).toBe(ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED)
    expect(await write('tx', true, id + 1)).toBe(ErrorCode.INVALID_PRODUCER_ID_MAPPING)
    expect(await write('tx', true)).toBe(0)
  })

  test('offsets of a member of yesterday, of partitions that are not there, with too much text', async () => {
    const { client, t, tx } = await open()
    const { memberId, generationId } = await memberOf(client)
    await tx.init()
    expect(await tx.commitOffset('g', 1, { memberId, generationId })).toBe(0)
    expect(await tx.commitOffset('g', 1, { memberId, generationId: 9 })).toBe(ErrorCode.ILLEGAL_GENERATION)
    expect(await tx.commitOffset('g', 1, { memberId: 'no', generationId })).toBe(ErrorCode.UNKNOWN_MEMBER_ID)
    expect(await tx.commitOffset('', 1)).toBe(ErrorCode.INVALID_GROUP_ID)
    await client.call(deleteTopics, { topics: [{ name: 't' }], timeoutMs: 1000 })
    expect(await tx.commitOffset('g', 1, { memberId, generationId })).toBe(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    expect(t.name).toBe('t')
  })
})

describe('[TXN-12] a new process fences the old one and ends its transaction', () => {
  test('an open transaction is aborted first, and the answer says to ask again', async () => {
    const { client, t, tx } = await open()
    await tx.init()
    await tx.write(t, ['lost'])
    await tx.commitOffset('g', 5)
    const next = new TransactionalClient(client)
    const codes = new Set<number>()
    await eventually(async () => {
      const code = await next.init()
      codes.add(code)
      return code === 0
    })
    expect([...codes]).toEqual([ErrorCode.CONCURRENT_TRANSACTIONS, 0])
    expect(next.identity).toEqual({
      producerId: tx.identity.producerId,
      producerEpoch: tx.identity.producerEpoch + 2,
    })
    expect(await tx.end('commit')).toBe(ErrorCode.PRODUCER_FENCED)
    await next.write(t, ['kept'])
    await next.end('commit')
    expect(await committedValues(client, t.topicId)).toEqual(['kept'])
    expect(await committedOffset(client, t.topicId, 'g', true)).toBe(-1)
  })

  test('a transaction that lasts too long is aborted, and its producer fenced', async () => {
    const { client, t, tx } = await open()
    await tx.init({ timeoutMs: 300 })
    await tx.write(t, ['too late'])
    await eventually(async () => (await tx.phase()) === 'CompleteAbort')
    expect(await tx.write(t, ['later'])).toBe(ErrorCode.INVALID_PRODUCER_EPOCH)
    expect(await tx.end('commit')).toBe(ErrorCode.PRODUCER_FENCED)
    expect(await committedValues(client, t.topicId)).toEqual([])
    expect(await tx.init()).toBe(0)
    expect(await tx.write(t, ['anew'])).toBe(0)
    expect(await tx.end('commit')).toBe(0)
    expect(await committedValues(client, t.topicId)).toEqual(['anew'])
  })
})

describe('[TXN-13] topics that go while a transaction is open do not hold it up', () => {
  test('what is left commits; the topic made anew has nothing of it', async () => {
    const { client, t, tx } = await open()
    const u = { name: 'u', topicId: await client.createTopic('u') }
    await tx.init()
    await tx.write(t, ['gone'])
    await tx.write(u, ['stays'])
    await tx.commitOffset('g', 3)
    await client.call(deleteTopics, { topics: [{ name: 't' }], timeoutMs: 1000 })
    const anew = await client.createTopic('t')
    expect(await tx.end('commit')).toBe(0)
    expect(await committedValues(client, u.topicId)).toEqual(['stays'])
    expect(await committedValues(client, anew)).toEqual([])
    expect(await committedOffset(client, anew, 'g', true)).toBe(-1)
  })
})

describe('[TXN-14] administration', () => {
  test('transactions are described, and listed by state, producer, duration and id', async () => {
    const { client, t, tx } = await open()
    const idle = new TransactionalClient(client, 'idle')
    await tx.init()
    await idle.init()
    await tx.write({ ...t, partition: 1 }, ['x'])
    const { transactionStates } = await client.call(describeTransactions, {
      transactionalIds: ['tx', 'idle', 'none', 'tx'],
    })
    expect(transactionStates).toMatchObject([
      {
        ...{ errorCode: 0, transactionalId: 'tx', transactionState: 'Ongoing', transactionTimeoutMs: 60_000 },
        ...tx.identity,
        topics: [{ topic: 't', partitions: [1] }],
      },
      { errorCode: 0, transactionState: 'Empty', transactionStartTimeMs: -1, topics: [] },
      { errorCode: ErrorCode.TRANSACTIONAL_ID_NOT_FOUND },
    ])
    expect(Math.abs(transactionStates[0]!.transactionStartTimeMs - Date.now())).toBeLessThan(60_000)
    const idsBy = async (filter: {
      stateFilters?: string[]
      producerIdFilters?: number[]
      durationFilter?: number
      transactionalIdPattern?: string
    }) =>
      (
        await client.call(listTransactions, { stateFilters: [], producerIdFilters: [], ...filter })
      ).transactionStates.map(({ transactionalId }) => transactionalId)
    expect(await idsBy({})).toEqual(['tx', 'idle'])
    expect(await idsBy({ stateFilters: ['Ongoing', 'PrepareAbort'] })).toEqual(['tx'])
    expect(await idsBy({ producerIdFilters: [idle.identity.producerId] })).toEqual(['idle'])
    expect(await idsBy({ durationFilter: 3_600_000 })).toEqual([])
    await eventually(async () => (await idsBy({ durationFilter: 0 })).length === 1)
    expect(await idsBy({ transactionalIdPattern: 't.|id' })).toEqual(['tx'])
    expect(await idsBy({ transactionalIdPattern: '' })).toEqual(['tx', 'idle'])
    const all = { stateFilters: [], producerIdFilters: [] }
    const wrong = await client.call(listTransactions, { ...all, transactionalIdPattern: '(' })
    expect(wrong).toMatchObject({ errorCode: ErrorCode.INVALID_REGULAR_EXPRESSION, transactionStates: [] })
    const unknown = await client.call(listTransactions, { stateFilters: ['Ongoing', 'Asleep'], producerIdFilters: [] })
    expect(unknown.unknownStateFilters).toEqual(['Asleep'])
  })

  test('open transactions show at the partition; one of nobody is ended by hand, a coordinated one is not', async () => {
    const { relay, client, t, tx } = await open()
    const log = relay.engine.topicById(t.topicId)!.partitions[0]!
    await log.append(batchOf(['hanging'], { producer: { id: 9000, epoch: 3, sequence: 0, isTransactional: true } }))
      .durable
    await tx.init()
    await tx.write(t, ['x'])
    const { topics } = await client.call(describeProducers, { topics: [{ name: 't', partitionIndexes: [0] }] })
    expect(topics[0]!.partitions[0]!.activeProducers).toMatchObject([
      { producerId: 9000, producerEpoch: 3, currentTxnStartOffset: 0 },
      { ...tx.identity, currentTxnStartOffset: 1 },
    ])
    const abort = async (producerId: number, producerEpoch: number, name = 't') => {
      const { markers } = await client.call(writeTxnMarkers, {
        markers: [
          {
            ...{ producerId, producerEpoch, transactionResult: false, coordinatorEpoch: 0 },
            topics: [{ name, partitionIndexes: [0] }],
          },
        ],
      })
      return markers[0]!.topics[0]!.partitions[0]!.errorCode
    }
    expect(await abort(tx.identity.producerId, tx.identity.producerEpoch)).toBe(ErrorCode.INVALID_TXN_STATE)
    expect(await abort(9000, 2)).toBe(ErrorCode.INVALID_PRODUCER_EPOCH)
    expect(await abort(9000, 3, 'absent')).toBe(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    expect(await abort(9000, 3)).toBe(0)
    await tx.end('commit')
    expect(await committedValues(client, t.topicId)).toEqual(['x'])
  })
})

describe('[TXN-15] whoever may not use a transactional id, a group or a topic does nothing with it', () => {
  test('each request says which right is missing, and nothing happens', async () => {
    const forbidden = new Set<string>()
    const authorizer: Authorizer = {
      allows: (_principal, operation, resource) =>
        !forbidden.has(`${operation} ${'name' in resource ? resource.name : resource.type}`),
    }
    const { client, t, tx } = await open({ authorizer })
    await tx.init()
    const { TRANSACTIONAL_ID_AUTHORIZATION_FAILED, TOPIC_AUTHORIZATION_FAILED, GROUP_AUTHORIZATION_FAILED } = ErrorCode
    forbidden.add('write tx').add('describe tx')
    const codes = [
      await tx.init(),
      await tx.write(t, ['x']),
      ...(await tx.addPartitions([{ name: 't', partitions: [0] }])),
      ...(await tx.addPartitions([{ name: 't', partitions: [0] }], 5)),
      ...(await tx.addPartitions([{ name: 't', partitions: [0] }], 5, true)),
      await tx.addOffsets('g'),
      await tx.commitOffset('g', 1),
      await tx.end('abort'),
      (await client.call(describeTransactions, { transactionalIds: ['tx'] })).transactionStates[0]!.errorCode,
      (await client.call(findCoordinator, { keyType: 1, coordinatorKeys: ['tx'] })).coordinators[0]!.errorCode,
    ]
    expect(codes).toEqual(codes.map(() => TRANSACTIONAL_ID_AUTHORIZATION_FAILED))
    const all = { stateFilters: [], producerIdFilters: [] }
    expect((await client.call(listTransactions, all)).transactionStates).toEqual([])
    forbidden.clear()
    expect(await tx.phase()).toBe('Empty')
    forbidden.add('write t').add('read t').add('read g').add('alter cluster').add('cluster-action cluster')
    expect(await tx.write(t, ['x'])).toBe(TOPIC_AUTHORIZATION_FAILED)
    expect(await tx.addPartitions([{ name: 't', partitions: [0] }])).toEqual([TOPIC_AUTHORIZATION_FAILED])
    expect(await tx.addOffsets('g')).toBe(GROUP_AUTHORIZATION_FAILED)
    expect(await tx.commitOffset('g', 1)).toBe(TOPIC_AUTHORIZATION_FAILED)
    forbidden.delete('read t')
    expect(await tx.commitOffset('g', 1)).toBe(GROUP_AUTHORIZATION_FAILED)
    const topics = [{ name: 't', partitionIndexes: [0] }]
    const { markers } = await client.call(writeTxnMarkers, {
      markers: [{ producerId: 1, producerEpoch: 0, transactionResult: false, topics, coordinatorEpoch: 0 }],
    })
    expect(markers[0]!.topics[0]!.partitions[0]!.errorCode).toBe(ErrorCode.CLUSTER_AUTHORIZATION_FAILED)
    expect(await tx.phase()).toBe('Empty')
  })
})
