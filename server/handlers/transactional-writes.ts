/**
 * Whether the batches of a Produce may be written: those in transactions must be in the one that is open, and producers
 * of transactional ids write in no other way. What is admitted has to be appended in the same turn.
 *
 * From version 12 on a write adds its partition to the transaction (KIP-890); before, AddPartitionsToTxn must have. A
 * request's partitions are added together, by one record.
 */
import { ErrorCode, KafkaError } from '../../protocol/errors.ts'
import {
  BATCH_HEADER_BYTES,
  BATCH_MAGIC,
  type BatchHeader,
  hasProducer,
  isTransactional,
  readBatchHeader,
  viewOf,
} from '../../protocol/record-batch.ts'
import type { TopicPartition } from '../coordinator/offsets.ts'
import type { ProducerIdentity } from '../coordinator/transactional-offsets.ts'
import type { RequestContext } from '../handler.ts'
import { transactionalIdError } from './transaction-access.ts'

const ADDS_PARTITIONS_FROM = 12
const ABORTABLE_FROM = 11

export interface Write {
  at: TopicPartition
  batch: Uint8Array
}

/** Why a write is refused, or the promise that what it is part of is on disk. */
export type Admission = KafkaError | Promise<void>

/** What must be waited for before anything of the request is done; undefined nearly always. */
export function previousTransaction(
  { services }: RequestContext,
  transactionalId: string | null,
): Promise<void> | undefined {
  return transactionalId === null ? undefined : services.transactions.settled(transactionalId)
}

interface TransactionalWrite<W> {
  write: W
  at: TopicPartition
  identity: ProducerIdentity
}

/** Writes that are not in the map may be made as they are. */
export function admit<W extends Write>(
  context: RequestContext,
  transactionalId: string | null,
  writes: readonly W[],
): ReadonlyMap<W, Admission> {
  const admissions = new Map<W, Admission>()
  const inTransaction: TransactionalWrite<W>[] = []
  for (const write of writes) {
    const header = headerOf(write)
    if (!header || !hasProducer(header)) continue
    const { producerId, producerEpoch } = header
    if (isTransactional(header)) inTransaction.push({ write, at: write.at, identity: { producerId, producerEpoch } })
    else if (context.services.transactions.isTransactional(producerId)) admissions.set(write, notFree(producerId))
  }
  if (inTransaction.length === 0) return admissions
  const decide = deciderFor(context, transactionalId)
  for (const group of byIdentity(inTransaction)) {
    for (const [index, admission] of decide(group).entries()) {
      if (admission) admissions.set(group[index]!.write, admission)
    }
  }
  return admissions
}

/** undefined for what the log will refuse anyway. */
function headerOf({ batch }: Write): BatchHeader | undefined {
  if (batch.length < BATCH_HEADER_BYTES) return undefined
  const header = readBatchHeader(viewOf(batch))
  return header.magic === BATCH_MAGIC ? header : undefined
}

function notFree(producerId: number): KafkaError {
  return new KafkaError('INVALID_TXN_STATE', `producer ${producerId} has a transactional id: it writes in transactions`)
}

/** One producer sends all of a request, unless somebody plays. */
function byIdentity<W>(writes: readonly TransactionalWrite<W>[]): Iterable<TransactionalWrite<W>[]> {
  const groups = new Map<string, TransactionalWrite<W>[]>()
  for (const write of writes) {
    const key = `${write.identity.producerId}/${write.identity.producerEpoch}`
    const group = groups.get(key)
    if (group) group.push(write)
    else groups.set(key, [write])
  }
  return groups.values()
}

/** The same for several writes of one identity, in their order. */
type Decide = (writes: ReadonlyArray<TransactionalWrite<unknown>>) => Array<Admission | undefined>

function deciderFor(context: RequestContext, transactionalId: string | null): Decide {
  const errorCode =
    transactionalId === null
      ? ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED
      : transactionalIdError(context, 'write', transactionalId)
  if (transactionalId === null || errorCode !== ErrorCode.NONE) {
    const refusal = new KafkaError(errorCode, `not allowed to write as transactional id ${transactionalId}`)
    return (writes) => writes.map(() => refusal)
  }
  if (context.apiVersion < ADDS_PARTITIONS_FROM)
    return (writes) => writes.map((write) => verified(context, transactionalId, write))
  return (writes) => {
    const admission = added(context, transactionalId, writes)
    return writes.map(() => admission)
  }
}

function added(
  context: RequestContext,
  transactionalId: string,
  writes: ReadonlyArray<TransactionalWrite<unknown>>,
): Admission | undefined {
  try {
    const partitions = writes.map(({ at }) => at)
    return context.services.transactions.enlist(transactionalId, writes[0]!.identity, { partitions }).durable
  } catch (error) {
    return refusalOf(context, error)
  }
}

function verified(
  context: RequestContext,
  transactionalId: string,
  { at, identity }: TransactionalWrite<unknown>,
): Admission | undefined {
  try {
    context.services.transactions.verify(transactionalId, identity, { partition: at })
    return undefined
  } catch (error) {
    return refusalOf(context, error)
  }
}

/** In the words that producers of this version know how to take. */
function refusalOf({ apiVersion }: RequestContext, error: unknown): KafkaError {
  if (!(error instanceof KafkaError)) throw error
  const { code, message } = error
  switch (code) {
    case ErrorCode.PRODUCER_FENCED:
      return new KafkaError('INVALID_PRODUCER_EPOCH', message)
    case ErrorCode.INVALID_TXN_STATE:
      return apiVersion >= ABORTABLE_FROM ? new KafkaError('TRANSACTION_ABORTABLE', message) : error
    case ErrorCode.CONCURRENT_TRANSACTIONS:
      return apiVersion >= ADDS_PARTITIONS_FROM ? error : sendAgain(message)
    case ErrorCode.COORDINATOR_LOAD_IN_PROGRESS:
    case ErrorCode.COORDINATOR_NOT_AVAILABLE:
      return sendAgain(message)
    default:
      return error
  }
}

/** Older producers send again after this one, and not after the errors of coordinators. */
function sendAgain(message: string): KafkaError {
  return new KafkaError('NOT_ENOUGH_REPLICAS', `the transaction cannot be looked up now: ${message}`)
}
