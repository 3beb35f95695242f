/**
 * TxnOffsetCommit 0-5: offsets that count when the transaction commits. They are refused unless the transaction is open
 * and the group is in it: from version 5 on this request itself adds it, before, AddOffsetsToTxn must have.
 */

import type { RequestOf } from '../../protocol/api.ts'
import { ErrorCode } from '../../protocol/errors.ts'
import { txnOffsetCommit } from '../../protocol/messages/transactions.ts'
import type { NewOffset } from '../coordinator/offsets.ts'
import { entry, type RequestContext } from '../handler.ts'
import { asKafkaError } from './error-fields.ts'
import { groupError } from './group-access.ts'
import { commitRefusal, newOffset, readableTopic } from './group-offsets.ts'
import { transactionalIdError } from './transaction-access.ts'

const ADDS_GROUP_FROM = 5
const ABORTABLE_FROM = 4

type Request = RequestOf<typeof txnOffsetCommit>

export const txnOffsetCommitHandler = entry(txnOffsetCommit, 'each', async (request, context) => {
  const { transactionalId, groupId } = request
  await context.services.transactions.settled(transactionalId)
  const offsets: NewOffset[] = []
  const topics = request.topics.map(({ name, partitions }) => {
    const topic = readableTopic(context, { name, topicId: '' }, false)
    const results = partitions.map((asked) => {
      const errorCode = typeof topic === 'number' ? topic : commitRefusal(context, topic, asked)
      if (typeof topic !== 'number' && errorCode === ErrorCode.NONE) offsets.push(newOffset(topic, asked, null))
      return { partitionIndex: asked.partitionIndex, errorCode }
    })
    return { name, partitions: results }
  })
  const errorCode =
    transactionalIdError(context, 'write', transactionalId) ||
    groupError(context, 'read', groupId) ||
    (await handIn(request, offsets, context))
  if (errorCode === ErrorCode.NONE) return { topics }
  return {
    topics: topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map((one) => ({ ...one, errorCode: one.errorCode || errorCode })),
    })),
  }
})

/** Both in one turn: the transaction cannot end in between. */
async function handIn(request: Request, offsets: readonly NewOffset[], context: RequestContext): Promise<number> {
  const { transactionalId, groupId, producerId, producerEpoch, memberId, groupInstanceId, generationId } = request
  const { transactions, groups } = context.services
  const identity = { producerId, producerEpoch }
  try {
    const addsGroup = context.apiVersion >= ADDS_GROUP_FROM
    if (!addsGroup) transactions.verify(transactionalId, identity, { group: groupId })
    const enlisted = addsGroup
      ? transactions.enlist(transactionalId, identity, { groups: [groupId] }).durable
      : undefined
    const claim = { memberId, groupInstanceId, generationId }
    await Promise.all([groups.commitInTransaction(groupId, claim, identity, offsets), enlisted])
    return ErrorCode.NONE
  } catch (error) {
    return inWordsOf(context, asKafkaError(error).code)
  }
}

function inWordsOf({ apiVersion }: RequestContext, errorCode: number): number {
  switch (errorCode) {
    case ErrorCode.PRODUCER_FENCED:
      return ErrorCode.INVALID_PRODUCER_EPOCH
    case ErrorCode.INVALID_TXN_STATE:
      return apiVersion >= ABORTABLE_FROM ? ErrorCode.TRANSACTION_ABORTABLE : errorCode
    case ErrorCode.CONCURRENT_TRANSACTIONS:
      return apiVersion >= ADDS_GROUP_FROM ? errorCode : ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
    default:
      return errorCode
  }
}
