/**
 * What is done about records that are given up: written to the dead-letter topic, told to the relay, and only then passed.
 *
 * Invariant: a commit never passes a record of which the relay was not told what became of it, so that nobody who asks is
 * told that it was handled.
 */
import { type Clock, sleep } from '../../protocol/lib/clock.ts'
import { FailedHow, type FailedRange, reportFailed } from '../../protocol/messages/receipts.ts'
import { createTopics } from '../../protocol/messages/topics.ts'
import type { RawRecord } from '../../protocol/records.ts'
import { asOttlaError } from '../errors.ts'
import { kafkaFailure } from '../kafka-failure.ts'
import type { Session } from '../session.ts'
import type { Topic } from '../topic.ts'
import { untilLive } from '../when-live.ts'
import type { AssignedPartition } from './assigned-partition.ts'
import { reasonOf, writeDeadLetter } from './dead-letter.ts'
import { GroupCode, isAboutClaim, isTemporary } from './group-refusal.ts'
import type { Membership } from './membership.ts'
import type { Failure } from './partition-worker.ts'

export interface FailureDeskOptions {
  groupId: string
  session: Session
  clock: Clock
  membership: Membership
  /** Which topic gets the dead letters of one. */
  deadLetterTopic(topic: string): Topic<Uint8Array, Uint8Array>
}

/** The relay keeps no longer reasons. */
const REASON_LENGTH_MAX = 256
const RETRY_MS = 250
const GONE = 'no longer in the log when the group came to it'
const MAKE_TOPIC_MS = 15_000
const TOPIC_ALREADY_EXISTS = 36
const NO_LETTER = { deadTopic: '', deadPartition: -1, deadOffset: -1 }

export class FailureDesk {
  readonly #options: FailureDeskOptions
  readonly #letterTopics = new Map<string, Promise<Topic<Uint8Array, Uint8Array>>>()

  constructor(options: FailureDeskOptions) {
    this.#options = options
  }

  /** Rejects when the dead letter is refused for good. */
  async giveUp(
    partition: AssignedPartition,
    record: RawRecord,
    how: 'dead-letter' | 'skip',
    failure: Failure,
  ): Promise<void> {
    const range = {
      from: record.offset,
      to: record.offset + 1,
      reason: reasonOf(failure.error).slice(0, REASON_LENGTH_MAX),
    }
    if (how === 'skip') return this.#report(partition, { ...range, ...NO_LETTER, how: FailedHow.skipped })
    const topic = await this.#letterTopic(partition.topic)
    const letter = await writeDeadLetter(topic, this.#options.groupId, partition, record, failure)
    await this.#report(partition, {
      ...{ ...range, how: FailedHow.deadLettered },
      ...{ deadTopic: letter.topic, deadPartition: letter.partition, deadOffset: letter.offset },
    })
  }

  /** Records that were never handed out, and will be committed past. */
  missed(partition: AssignedPartition, from: number, to: number, reason = GONE): Promise<void> {
    return this.#report(partition, { from, to, reason, ...NO_LETTER, how: FailedHow.skipped })
  }

  /** Made when it is first needed. */
  #letterTopic(origin: string): Promise<Topic<Uint8Array, Uint8Array>> {
    const known = this.#letterTopics.get(origin)
    if (known) return known
    const topic = this.#options.deadLetterTopic(origin)
    const made = this.#makeTopic(topic.name).then(() => topic)
    this.#letterTopics.set(origin, made)
    made.catch(() => this.#letterTopics.delete(origin))
    return made
  }

  async #makeTopic(name: string): Promise<void> {
    const { session } = this.#options
    const asked = { name, numPartitions: -1, replicationFactor: -1, assignments: [], configs: [] }
    const { topics } = await session.call(createTopics, {
      topics: [asked],
      timeoutMs: MAKE_TOPIC_MS,
      validateOnly: false,
    })
    const { errorCode, errorMessage } = topics[0]!
    if (errorCode !== 0 && errorCode !== TOPIC_ALREADY_EXISTS)
      throw kafkaFailure(errorCode, `making the dead-letter topic ${name}`, errorMessage)
  }

  /** Until it is told, or the partition is another member's, who will come to the record again. */
  async #report(partition: AssignedPartition, range: FailedRange): Promise<void> {
    const { session, clock, membership, groupId } = this.#options
    while (!partition.isOver) {
      try {
        const { claim } = membership
        const errorCode = claim ? await this.#ask(partition, range, claim) : GroupCode.REBALANCE_IN_PROGRESS
        if (errorCode === 0) return
        if (claim && isAboutClaim(errorCode)) membership.refused(claim, errorCode)
        else if (errorCode !== GroupCode.REBALANCE_IN_PROGRESS && !isTemporary(errorCode))
          throw kafkaFailure(errorCode, `reporting to group ${groupId}`)
      } catch (error) {
        const { code, retriable } = asOttlaError(error, 'PROTOCOL')
        // A broker of another kind keeps no such reports, and is asked for none.
        if (code === 'UNSUPPORTED') return
        if (!retriable) throw error
        await untilLive(session, partition.signal).catch(() => {})
      }
      await sleep(clock, RETRY_MS, partition.signal).catch(() => {})
    }
  }

  async #ask(at: AssignedPartition, range: FailedRange, claim: NonNullable<Membership['claim']>): Promise<number> {
    const answer = await this.#options.session.call(reportFailed, {
      ...{ groupId: this.#options.groupId, memberId: claim.memberId, groupInstanceId: claim.groupInstanceId },
      generationIdOrMemberEpoch: claim.generation,
      partitions: [{ topicId: at.topicId, partition: at.partition, failed: [range] }],
    })
    return answer.errorCode
  }
}
