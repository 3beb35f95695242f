/**
 * The requests of a transaction, each in its own terms.
 *
 * Only versions of transaction version 2 (KIP-890): a write and a commit of offsets add themselves to the transaction, and
 * each end gives the identity for the next one. So nothing that comes late can get into a later transaction.
 */
import { offsetFetch } from '../../protocol/messages/group-offsets.ts'
import { initProducerId } from '../../protocol/messages/producers.ts'
import { endTxn, txnOffsetCommit } from '../../protocol/messages/transactions.ts'
import type { Session } from '../session.ts'

export interface ProducerStamp {
  producerId: number
  producerEpoch: number
}

/** A coordinator said no, with Kafka's code. Caught by whoever knows what that means for the transaction. */
export class TransactionRefusal extends Error {
  override readonly name = 'TransactionRefusal'
  readonly kafkaCode: number

  constructor(what: string, kafkaCode: number, text?: string | null) {
    super(`${what} was refused${text ? `: ${text}` : ''} (Kafka error ${kafkaCode})`)
    this.kafkaCode = kafkaCode
  }
}

const initThatKnows = { ...initProducerId, minVersion: 3 }
const endThatRenews = { ...endTxn, minVersion: 5 }
const offsetsThatJoin = { ...txnOffsetCommit, minVersion: 5 }
/** Several groups, topics by name. */
const fetchByName = { ...offsetFetch, minVersion: 8, maxVersion: 9 }

/**
 * Whoever had the id before is fenced, and its open transaction aborted. With `present`: only if nobody else has taken it
 * since. Throws CONCURRENT_TRANSACTIONS while an earlier transaction is still being ended.
 */
export async function takeTransactionalId(
  session: Session,
  transactionalId: string,
  timeoutMs: number,
  present: ProducerStamp = { producerId: -1, producerEpoch: -1 },
): Promise<ProducerStamp> {
  const request = { transactionalId, transactionTimeoutMs: timeoutMs, ...present }
  const { errorCode, producerId, producerEpoch } = await session.call(initThatKnows, request)
  if (errorCode !== 0) throw new TransactionRefusal(`taking the transactional id ${transactionalId}`, errorCode)
  return { producerId, producerEpoch }
}

/** Resolves with the identity for the next transaction. */
export async function endTransaction(
  session: Session,
  transactionalId: string,
  stamp: ProducerStamp,
  committed: boolean,
): Promise<ProducerStamp> {
  const answer = await session.call(endThatRenews, { transactionalId, ...stamp, committed })
  const what = `${committed ? 'committing' : 'aborting'} a transaction of ${transactionalId}`
  if (answer.errorCode !== 0) throw new TransactionRefusal(what, answer.errorCode)
  return { producerId: answer.producerId, producerEpoch: answer.producerEpoch }
}

export interface OffsetToCommit {
  topic: string
  partition: number
  offset: number
  leaderEpoch?: number
  metadata?: string
}

/** By which a group knows its member, so that one that was left behind commits nothing. */
export interface GroupClaim {
  groupId: string
  memberId: string
  generation: number
  groupInstanceId: string | null
}

/** For offsets of nobody's group. */
export const claimOfNobody = (groupId: string): GroupClaim => ({
  ...{ groupId, memberId: '', generation: -1, groupInstanceId: null },
})

/** They count when the transaction commits. */
export async function commitOffsetsInTransaction(
  session: Session,
  transactionalId: string,
  stamp: ProducerStamp,
  claim: GroupClaim,
  offsets: readonly OffsetToCommit[],
): Promise<void> {
  const { groupId, memberId, generation, groupInstanceId } = claim
  const topics = new Map<string, OffsetToCommit[]>()
  for (const offset of offsets) topics.set(offset.topic, [...(topics.get(offset.topic) ?? []), offset])
  const answer = await session.call(offsetsThatJoin, {
    ...{ transactionalId, groupId, ...stamp, memberId, groupInstanceId, generationId: generation },
    topics: [...topics].map(([name, each]) => ({
      name,
      partitions: each.map(({ partition, offset, leaderEpoch = -1, metadata = '' }) => ({
        partitionIndex: partition,
        committedOffset: offset,
        committedLeaderEpoch: leaderEpoch,
        committedMetadata: metadata,
      })),
    })),
  })
  for (const { name, partitions } of answer.topics) {
    for (const { partitionIndex, errorCode } of partitions) {
      const what = `committing an offset of ${name}-${partitionIndex} for group ${groupId}`
      if (errorCode !== 0) throw new TransactionRefusal(what, errorCode)
    }
  }
}

export interface CommittedMark {
  offset: number
  metadata: string
}

/** A group's offsets for partition 0 of `topics`, and what stands beside them, once no transaction can change it any more. */
export async function fetchMarks(
  session: Session,
  groupId: string,
  topics: readonly string[],
): Promise<Map<string, CommittedMark>> {
  const answer = await session.call(fetchByName, {
    groups: [
      {
        ...{ groupId, memberId: null, memberEpoch: -1 },
        topics: topics.map((name) => ({ name, partitionIndexes: [0] })),
      },
    ],
    requireStable: true,
  })
  const group = answer.groups.find((each) => each.groupId === groupId)
  const what = `reading the offsets of group ${groupId}`
  if (!group) throw new TransactionRefusal(what, -1, 'it was left out of the answer')
  if (group.errorCode !== 0) throw new TransactionRefusal(what, group.errorCode)
  const found = new Map<string, CommittedMark>()
  for (const { name, partitions } of group.topics) {
    for (const { errorCode, committedOffset, metadata } of partitions) {
      // A topic that is gone has no offsets any more.
      if (errorCode === UNKNOWN_TOPIC_OR_PARTITION) continue
      if (errorCode !== 0) throw new TransactionRefusal(what, errorCode)
      if (committedOffset >= 0) found.set(name, { offset: committedOffset, metadata: metadata ?? '' })
    }
  }
  return found
}

const UNKNOWN_TOPIC_OR_PARTITION = 3
