/** Transactions: which there are, ending one that hangs, shutting out whoever writes under a transactional id. */
import { type AdminDriver, type AdminOptions, verdict } from './driver.ts'
import { type PerEntry, perEntry } from './outcomes.ts'
import { byTopic, type TopicPartition } from './topic-partitions.ts'

export interface TransactionListing {
  transactionalId: string
  producerId: number
  /** As Kafka calls it: Empty, Ongoing, PrepareCommit, PrepareAbort, CompleteCommit, CompleteAbort. */
  state: string
}

export interface ListTransactionsOptions extends AdminOptions {
  states?: readonly string[]
  producerIds?: readonly number[]
  /** Only those that have been open for longer. */
  durationMs?: number
  /** A regular expression that transactional ids match as a whole. */
  pattern?: string
}

export interface TransactionDescription extends TransactionListing {
  producerEpoch: number
  timeoutMs: number
  /** -1: none is open. */
  startedAt: number
  partitions: TopicPartition[]
}

export function listTransactions(
  driver: AdminDriver,
  options: ListTransactionsOptions = {},
): PerEntry<string, TransactionListing> {
  const { states = [], producerIds = [], durationMs = -1, pattern = null } = options
  const listed = driver.run(options).everyBroker('listing transactions', async (ask) => {
    const answer = await ask('ListTransactions', {
      ...{ stateFilters: states, producerIdFilters: producerIds },
      ...{ durationFilter: durationMs, transactionalIdPattern: pattern },
    })
    return verdict(answer, ({ transactionStates }) =>
      transactionStates.map(({ transactionState: state, ...each }) => ({ ...each, state })),
    )
  })
  return perEntry(listed.then((lists) => lists.flat().map((value) => ({ entry: value.transactionalId, value }))))
}

/** Rejects RELAY with kafkaCode 105 for an id that nobody has used. */
export function describeTransactions(
  driver: AdminDriver,
  transactionalIds: readonly string[],
  options: AdminOptions = {},
): PerEntry<string, TransactionDescription> {
  return driver.run(options).each<string, TransactionDescription>({
    entries: transactionalIds,
    where: (transaction) => ({ transaction }),
    doing: (transaction) => `describing transaction ${transaction}`,
    async ask(entries, ask) {
      const answer = await ask('DescribeTransactions', { transactionalIds: entries })
      const byId = new Map(answer.transactionStates.map((state) => [state.transactionalId, state]))
      return entries.map((transactionalId) =>
        verdict(byId.get(transactionalId), (found) => ({
          ...{ transactionalId, producerId: found.producerId, producerEpoch: found.producerEpoch },
          ...{ state: found.transactionState, timeoutMs: found.transactionTimeoutMs },
          startedAt: found.transactionStartTimeMs,
          partitions: found.topics.flatMap(({ topic, partitions }) =>
            partitions.map((partition) => ({ topic, partition })),
          ),
        })),
      )
    },
  })
}

export interface FencedProducer {
  transactionalId: string
  producerId: number
  producerEpoch: number
}

/** Whoever writes under these ids is shut out, and what it had open is aborted. */
export function fenceProducers(
  driver: AdminDriver,
  transactionalIds: readonly string[],
  options: AdminOptions = {},
): PerEntry<string, FencedProducer> {
  return driver.run(options).each<string, FencedProducer>({
    entries: transactionalIds,
    where: (transaction) => ({ transaction }),
    doing: (transaction) => `fencing the producers of ${transaction}`,
    ask: (entries, ask) =>
      Promise.all(
        entries.map(async (transactionalId) => {
          const answer = await ask('InitProducerId', { transactionalId, transactionTimeoutMs: FENCING_TIMEOUT_MS })
          // The open transaction is being aborted; then there is a new epoch to give.
          if (answer.errorCode === CONCURRENT_TRANSACTIONS) return { errorCode: NOT_READY }
          return verdict(answer, ({ producerId, producerEpoch }) => ({ transactionalId, producerId, producerEpoch }))
        }),
      ),
  })
}

/** One that its program will not end any more: its producer is fenced. */
export async function forceTerminateTransaction(
  driver: AdminDriver,
  transactionalId: string,
  options: AdminOptions = {},
): Promise<void> {
  await fenceProducers(driver, [transactionalId], options)
}

const FENCING_TIMEOUT_MS = 60_000
const CONCURRENT_TRANSACTIONS = 51
/** What the driver asks again about. */
const NOT_READY = 14

/** A transaction that hangs in one partition: `describeProducers` tells what is needed here. */
export interface HangingTransaction extends TopicPartition {
  producerId: number
  producerEpoch: number
  coordinatorEpoch: number
}

/** Writes the end of an aborted transaction into a partition. Only for one whose coordinator has forgotten it. */
export async function abortTransaction(
  driver: AdminDriver,
  hanging: HangingTransaction,
  options: AdminOptions = {},
): Promise<void> {
  const { topic, partition, producerId, producerEpoch, coordinatorEpoch } = hanging
  const doing = `aborting the transaction of producer ${producerId} in ${topic}-${partition}`
  await driver.run(options).one(
    { leader: { topic, partition } },
    doing,
    async (ask) => {
      const topics = [...byTopic([hanging])].map(([name]) => ({ name, partitionIndexes: [partition] }))
      const marker = { producerId, producerEpoch, coordinatorEpoch, transactionResult: false, topics }
      const answer = await ask('WriteTxnMarkers', { markers: [marker] })
      return verdict(answer.markers[0]?.topics[0]?.partitions[0], () => undefined)
    },
    true,
  )
}
