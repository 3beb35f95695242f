/**
 * What follows a decision that is on disk: a marker in every partition of the transaction, and its groups' offsets. All of
 * it may be done again, so a start that finds a decision simply does it.
 *
 * A topic that was deleted needs no marker. A log that takes none now (offline, disk full) is asked again until it does;
 * meanwhile the transaction stays in its Prepare state, and the relay says which partitions it waits for.
 */
import { ErrorCode, errorName, KafkaError } from '../../../protocol/errors.ts'
import { type Clock, sleep } from '../../../protocol/lib/clock.ts'
import type { TransactionMarker } from '../../../protocol/transaction-marker.ts'
import type { Engine } from '../../engine.ts'
import type { PartitionLog } from '../../log/partition-log.ts'
import type { Logger } from '../../logger.ts'
import { StorageError } from '../../storage/files.ts'
import type { TopicPartition } from '../offsets.ts'
import type { GroupCoordinator } from '../runtime.ts'
import type { TransactionalProducer } from './transactional-producer.ts'

/** One relay, one coordinator, and nobody ever takes over from it. */
export const COORDINATOR_EPOCH = 0

const RETRY_MS = 500
/** It is said at first and then once in a while. */
const RETRIES_BETWEEN_WARNINGS = 120

export interface FollowerOptions {
  topics: Pick<Engine, 'topicById'>
  groups: Pick<GroupCoordinator, 'decideTransaction'>
  clock: Clock
  logger: Logger
}

/** Resolves to true when all is done, and to false when `isCurrent` no longer holds. */
export async function followDecision(
  producer: TransactionalProducer,
  options: FollowerOptions,
  isCurrent: () => boolean,
): Promise<boolean> {
  const { clock, logger } = options
  for (let attempt = 0; isCurrent(); attempt++) {
    const obstacles = await tryAll(producer, options, isCurrent)
    if (obstacles.length === 0) return isCurrent()
    if (attempt % RETRIES_BETWEEN_WARNINGS === 0) {
      const { transactionalId, phase } = producer
      logger.warn('transaction waits to be ended', { transactionalId, phase, for: obstacles.slice(0, 10) })
    }
    await sleep(clock, RETRY_MS)
  }
  return false
}

/** All in one turn, so that they share commits. Resolves to what could not be done. */
async function tryAll(
  producer: TransactionalProducer,
  options: FollowerOptions,
  isCurrent: () => boolean,
): Promise<string[]> {
  const { identity, outcome } = producer.ending!
  const marker = { ...identity, outcome, coordinatorEpoch: COORDINATOR_EPOCH }
  const work = [...producer.partitions].map((at) =>
    attempt(nameOf(at, options), async () => {
      await mark(at, marker, options)
      if (isCurrent()) producer.marked(at)
    }),
  )
  const groups = [...producer.groups]
  if (groups.length > 0)
    work.push(
      attempt('offsets', async () => {
        await options.groups.decideTransaction(groups, identity.producerId, outcome)
        if (isCurrent()) producer.groupsDecided()
      }),
    )
  return (await Promise.all(work)).filter((obstacle) => obstacle !== undefined)
}

async function attempt(what: string, act: () => Promise<void>): Promise<string | undefined> {
  try {
    await act()
    return undefined
  } catch (error) {
    if (!(error instanceof KafkaError || error instanceof StorageError)) throw error
    return `${what}: ${error instanceof KafkaError ? errorName(error.code) : error.code} ${error.message}`
  }
}

async function mark({ topicId, partition }: TopicPartition, marker: TransactionMarker, { topics }: FollowerOptions) {
  const log = topics.topicById(topicId)?.partitions[partition]
  if (!log) return
  try {
    await log.appendMarker(marker).durable
  } catch (error) {
    const isFenced = error instanceof KafkaError && error.code === ErrorCode.INVALID_PRODUCER_EPOCH
    if (!isFenced || isOpenIn(log, marker.producerId)) throw error
    // An operator has ended it there (WriteTxnMarkers), and nothing is left to decide.
  }
}

function isOpenIn(log: PartitionLog, producerId: number): boolean {
  return log.openTransactions().some((open) => open.producerId === producerId)
}

function nameOf({ topicId, partition }: TopicPartition, { topics }: FollowerOptions): string {
  return `${topics.topicById(topicId)?.name ?? topicId}-${partition}`
}
