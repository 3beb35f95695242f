/** A producer with a transactional id over a connection, in any version of its requests; it hides nothing. */
import { fetch } from '../../../protocol/messages/fetch.ts'
import { offsetFetch } from '../../../protocol/messages/group-offsets.ts'
import { produce } from '../../../protocol/messages/produce.ts'
import { initProducerId } from '../../../protocol/messages/producers.ts'
import { describeTransactions } from '../../../protocol/messages/transaction-admin.ts'
import {
  addOffsetsToTxn,
  addPartitionsToTxn,
  endTxn,
  txnOffsetCommit,
} from '../../../protocol/messages/transactions.ts'
import type { ProducerIdentity } from '../../../server/coordinator/transactional-offsets.ts'
import { batchOf } from '../../support/batches.ts'
import { committedOf } from '../../support/committed-records.ts'
import type { RelayClient } from '../../support/relay-client.ts'

export interface TopicPartitionName {
  name: string
  topicId: string
  partition?: number
}

export class TransactionalClient {
  readonly client: RelayClient
  readonly transactionalId: string
  identity: ProducerIdentity = { producerId: -1, producerEpoch: -1 }
  readonly #sequences = new Map<string, number>()

  constructor(client: RelayClient, transactionalId = 'tx') {
    this.client = client
    this.transactionalId = transactionalId
  }

  /** The error code. The identity is taken on when there is none. */
  async init(options: { timeoutMs?: number; expected?: ProducerIdentity } = {}, version = 5): Promise<number> {
    const { errorCode, ...identity } = await this.client.call(
      initProducerId,
      {
        transactionalId: this.transactionalId,
        transactionTimeoutMs: options.timeoutMs ?? 60_000,
        ...(options.expected ?? {}),
      },
      version,
    )
    if (errorCode === 0) this.take(identity)
    return errorCode
  }

  take({ producerId, producerEpoch }: ProducerIdentity): void {
    this.identity = { producerId, producerEpoch }
    this.#sequences.clear()
  }

  /** The partition's error code. Later versions add the partition by themselves. */
  async write(at: TopicPartitionName, values: readonly string[], version = 13, identity = this.identity) {
    const { partition = 0 } = at
    const key = `${at.topicId}/${partition}`
    const sequence = this.#sequences.get(key) ?? 0
    const { producerId: id, producerEpoch: epoch } = identity
    const records = batchOf(values, { producer: { id, epoch, sequence, isTransactional: true } })
    const { responses } = await this.client.call(
      produce,
      {
        ...{ transactionalId: this.transactionalId, acks: -1, timeoutMs: 10_000 },
        topicData: [{ name: at.name, topicId: at.topicId, partitionData: [{ index: partition, records }] }],
      },
      version,
    )
    const { errorCode } = responses[0]!.partitionResponses[0]!
    if (errorCode === 0) this.#sequences.set(key, sequence + values.length)
    return errorCode
  }

  /** The first partition's error code. */
  async addPartitions(topics: ReadonlyArray<{ name: string; partitions: number[] }>, version = 3, verifyOnly = false) {
    const one = { transactionalId: this.transactionalId, ...this.identity, topics }
    const body = version < 4 ? one : { transactions: [{ ...one, verifyOnly }] }
    const reply = await this.client.call(addPartitionsToTxn, body, version)
    const results = version < 4 ? reply.resultsByTopic : reply.resultsByTransaction[0]!.topicResults
    return results.flatMap((topic) => topic.resultsByPartition.map((each) => each.partitionErrorCode))
  }

  async addOffsets(groupId: string, version = 4): Promise<number> {
    const body = { transactionalId: this.transactionalId, ...this.identity, groupId }
    return (await this.client.call(addOffsetsToTxn, body, version)).errorCode
  }

  /** The first partition's error code. */
  async commitOffset(
    groupId: string,
    offset: number,
    claim: { memberId?: string; generationId?: number; groupInstanceId?: string | null } = {},
    version = 5,
  ): Promise<number> {
    const partitions = [{ partitionIndex: 0, committedOffset: offset, committedMetadata: 'm' }]
    const { topics } = await this.client.call(
      txnOffsetCommit,
      {
        ...{ transactionalId: this.transactionalId, groupId, ...this.identity },
        ...{ memberId: '', ...claim, topics: [{ name: 't', partitions }] },
      },
      version,
    )
    return topics[0]!.partitions[0]!.errorCode
  }

  /** The error code. Version 5 goes on with the identity that it is given. */
  async end(outcome: 'commit' | 'abort', version = 5, identity = this.identity): Promise<number> {
    const committed = outcome === 'commit'
    const { errorCode, ...next } = await this.client.call(
      endTxn,
      { transactionalId: this.transactionalId, ...identity, committed },
      version,
    )
    if (errorCode === 0 && version >= 5) this.take(next)
    return errorCode
  }

  async phase(): Promise<string> {
    const { transactionStates } = await this.client.call(describeTransactions, {
      transactionalIds: [this.transactionalId],
    })
    return transactionStates[0]!.transactionState
  }
}

/** The values that a reader of committed records sees: the log up to the last stable offset, without aborted ones. */
export async function committedValues(
  client: Pick<RelayClient, 'call'>,
  topicId: string,
  partition = 0,
): Promise<string[]> {
  const { responses } = await client.call(fetch, {
    ...{ maxWaitMs: 0, minBytes: 0, isolationLevel: 1 },
    topics: [{ topicId, partitions: [{ partition, fetchOffset: 0, partitionMaxBytes: 2 ** 20 }] }],
  })
  const answer = responses[0]!.partitions[0]!
  if (answer.errorCode !== 0) throw new Error(`error ${answer.errorCode}`)
  return committedOf(answer).placed.map(({ value }) => value)
}

export async function committedOffset(
  client: Pick<RelayClient, 'call'>,
  topicId: string,
  groupId: string,
  requireStable = false,
) {
  const topics = [{ topicId, partitionIndexes: [0] }]
  const { groups } = await client.call(offsetFetch, { groups: [{ groupId, topics }], requireStable })
  const { errorCode, committedOffset: offset } = groups[0]!.topics[0]!.partitions[0]!
  return errorCode === 0 ? offset : `error ${errorCode}`
}
