/**
 * ShareFetch, versions 1-2: records for a member of a share group, and what became of those that it had.
 *
 * Answers as soon as it could take a record, when `maxWaitMs` have passed, or at once when a partition has an error. Record
 * batches come whole, as stored; beside them stands which offsets in them are the member's. What the request acknowledges
 * is told when it is on disk. What is taken is not written: after a crash it is handed out again.
 *
 * Reading waits for its turn among the connection's replies, so that one connection never holds two answers in memory.
 */
import type { RequestOf, ResponseInputOf } from '../../protocol/api.ts'
import { ErrorCode, KafkaError } from '../../protocol/errors.ts'
import { AcquireMode, CLOSE_SESSION, OPEN_SESSION, shareFetch } from '../../protocol/messages/share-fetch.ts'
import type { TopicPartition } from '../coordinator/offsets.ts'
import type { ShareConfig } from '../coordinator/share/share-deliveries.ts'
import { entry, type RequestContext } from '../handler.ts'
import type { PartitionLog } from '../log/partition-log.ts'
import { type ShareReadLimits, type Taken, takeFrom } from '../share-read.ts'
import type { SessionKey, ShareSession } from '../share-sessions.ts'
import { waitForAdvance } from '../waiting.ts'
import { errorFields } from './error-fields.ts'
import { type AcknowledgeResult, acknowledgeAll, checkMember, readablePartition } from './share-acknowledge.ts'

const RESPONSE_BYTES_MAX = 8 * 1024 * 1024
const WAIT_MS_MAX = 300_000

type Request = RequestOf<typeof shareFetch>
type Response = ResponseInputOf<typeof shareFetch>
type PartitionResponse = Response['responses'][number]['partitions'][number]

export const shareFetchHandler = entry(shareFetch, 'each', async (request, context) => {
  try {
    const key = checkMember(request, context)
    const config = context.services.groups.deliveries.configOf(key.groupId)
    checkFetch(request)
    return await carryOut(key, request, config, context)
  } catch (error) {
    return { ...errorFields(error), acquisitionLockTimeoutMs: 0, responses: [], nodeEndpoints: [] }
  }
})

function checkFetch({ topics, shareSessionEpoch, ...request }: Request): void {
  const acknowledges = topics.some(({ partitions }) =>
    partitions.some(({ acknowledgementBatches }) => acknowledgementBatches.length > 0),
  )
  if (shareSessionEpoch === OPEN_SESSION && acknowledges)
    throw new KafkaError('INVALID_REQUEST', 'nothing is acknowledged by opening a session')
  const { isRenewAck, maxWaitMs, minBytes, maxBytes, maxRecords, shareAcquireMode } = request
  if (!Object.values<number>(AcquireMode).includes(shareAcquireMode))
    throw new KafkaError('INVALID_REQUEST', `${shareAcquireMode} is no acquire mode`)
  if (isRenewAck && (maxWaitMs > 0 || minBytes > 0 || maxBytes > 0 || maxRecords > 0))
    throw new KafkaError('INVALID_REQUEST', 'who renews does not fetch with the same request')
}

async function carryOut(
  key: SessionKey,
  request: Request,
  config: ShareConfig,
  context: RequestContext,
): Promise<Response> {
  const { shareSessions } = context.services
  const answer = new Answer(config)
  const isLast = request.shareSessionEpoch === CLOSE_SESSION
  const session = isLast ? shareSessions.existing(key) : sessionFor(key, request, context)
  if (!isLast) changeSession(session, request, context)
  const acknowledged = acknowledgeAll(key, request, context)
  acknowledged.catch(() => {})
  if (isLast) shareSessions.close(session)
  else if (!request.isRenewAck && request.maxRecords > 0) {
    await fetchInto(answer, session, request, config, context)
    answer.names(request)
  }
  answer.acknowledged(await acknowledged)
  return answer.finish()
}

function sessionFor(key: SessionKey, { shareSessionEpoch }: Request, context: RequestContext): ShareSession {
  const { shareSessions } = context.services
  if (shareSessionEpoch !== OPEN_SESSION) return shareSessions.goOn(key, shareSessionEpoch)
  return shareSessions.open(key, (listener) => context.connection.onceClosed(listener))
}

/** Takes in what is new, lets go of what is not wanted any more. */
function changeSession(session: ShareSession, request: Request, { services: { shareSessions } }: RequestContext): void {
  for (const { topicId, partitions } of request.topics)
    for (const { partitionIndex: partition } of partitions) shareSessions.add(session, { topicId, partition })
  for (const { topicId, partitions } of request.forgottenTopicsData)
    for (const partition of partitions) shareSessions.remove(session, { topicId, partition })
}

/** Returns when there is something to tell, or the time is over. */
async function fetchInto(
  answer: Answer,
  session: ShareSession,
  request: Request,
  config: ShareConfig,
  context: RequestContext,
): Promise<void> {
  const { clock } = context.services
  const deadline = clock.monotonic() + Math.min(Math.max(0, request.maxWaitMs), WAIT_MS_MAX)
  await context.turn()
  for (;;) {
    const wanted = findWanted(session, answer, context)
    const logs = wanted.map(({ log }) => log)
    // Listening starts before reading: what comes in between is not missed.
    const releases = await listenForReleases(session, wanted, context)
    const advance = waitForAdvance(context, logs, deadline, releases)
    try {
      await readAll(answer, session, wanted, request, config, context)
      if (session.isOver) throw new KafkaError('SHARE_SESSION_NOT_FOUND', 'the session has ended')
      if (answer.hasNews || wanted.length === 0 || advance.isOver || context.connection.isClosed) return
      await advance.happened
    } finally {
      advance.stop()
    }
  }
}

interface Wanted extends TopicPartition {
  log: PartitionLog
}

/**
 * Topics may go while a session lasts. A right that was taken may be given again, and a partition may be added: the member
 * does not name them again.
 */
function findWanted(session: ShareSession, answer: Answer, context: RequestContext): Wanted[] {
  return session.partitionsInTurn().flatMap((at) => {
    try {
      return [readablePartition(at.topicId, at.partition, context)]
    } catch (error) {
      if (error instanceof KafkaError && error.code === ErrorCode.UNKNOWN_TOPIC_ID)
        context.services.shareSessions.remove(session, at)
      answer.failed(at, error)
      return []
    }
  })
}

/** The group begins to read what it has not read yet. */
async function listenForReleases({ groupId }: ShareSession, wanted: readonly Wanted[], context: RequestContext) {
  const { deliveries } = context.services.groups
  await deliveries.begin(groupId, wanted)
  return wanted.flatMap((at) => {
    const released = deliveries.heldShare(groupId, at)?.released
    return released ? [(wake: () => void) => released.on(wake)] : []
  })
}

async function readAll(
  answer: Answer,
  session: ShareSession,
  wanted: readonly Wanted[],
  request: Request,
  config: ShareConfig,
  context: RequestContext,
): Promise<void> {
  const { deliveries } = context.services.groups
  const limits: ShareReadLimits = {
    ...{ recordsLeft: request.maxRecords, batchSize: Math.max(1, request.batchSize), isFirst: true },
    bytesLeft: Math.min(Math.max(0, request.maxBytes), RESPONSE_BYTES_MAX),
    isStrict: request.shareAcquireMode === AcquireMode.recordLimit,
  }
  const mayTake = () => !session.isOver && !context.connection.isClosed
  for (const { log, ...at } of wanted) {
    if (limits.recordsLeft <= 0 || !mayTake()) return
    try {
      const taken = await takeFrom({ at, log, session, config, deliveries, limits, mayTake })
      if (taken) answer.taken(at, taken)
    } catch (error) {
      answer.failed(at, error)
    }
  }
}

/** Gathered partition by partition. */
class Answer {
  readonly #config: ShareConfig
  readonly #topics = new Map<string, Map<number, PartitionResponse>>()
  /** Something was taken, or went wrong. */
  hasNews = false

  constructor(config: ShareConfig) {
    this.#config = config
  }

  failed(at: TopicPartition, error: unknown): void {
    Object.assign(this.#partition(at), errorFields(error))
    this.hasNews = true
  }

  taken(at: TopicPartition, { records, acquired }: Taken): void {
    const acquiredRecords = acquired.map(({ first, last, deliveryCount }) => ({
      ...{ firstOffset: first, lastOffset: last, deliveryCount },
    }))
    Object.assign(this.#partition(at), { records, acquiredRecords })
    this.hasNews = true
  }

  acknowledged(results: readonly AcknowledgeResult[]): void {
    for (const { errorCode: acknowledgeErrorCode, errorMessage: acknowledgeErrorMessage, ...at } of results)
      Object.assign(this.#partition(at), { acknowledgeErrorCode, acknowledgeErrorMessage })
  }

  /** Partitions that are new in a session are in its answer, also without news. */
  names({ topics }: Request): void {
    for (const { topicId, partitions } of topics)
      for (const { partitionIndex: partition } of partitions) this.#partition({ topicId, partition })
  }

  finish(): Response {
    return {
      ...{ errorCode: ErrorCode.NONE, errorMessage: null, nodeEndpoints: [] },
      acquisitionLockTimeoutMs: this.#config.lockMs,
      responses: [...this.#topics].map(([topicId, partitions]) => ({ topicId, partitions: [...partitions.values()] })),
    }
  }

  #partition({ topicId, partition: partitionIndex }: TopicPartition): PartitionResponse {
    let partitions = this.#topics.get(topicId)
    if (!partitions) {
      partitions = new Map()
      this.#topics.set(topicId, partitions)
    }
    let partition = partitions.get(partitionIndex)
    if (!partition) {
      partition = {
        ...{ partitionIndex, errorCode: ErrorCode.NONE, errorMessage: null },
        ...{ acknowledgeErrorCode: ErrorCode.NONE, acknowledgeErrorMessage: null },
        ...{ currentLeader: {}, records: NO_RECORDS, acquiredRecords: [] },
      }
      partitions.set(partitionIndex, partition)
    }
    return partition
  }
}

const NO_RECORDS = new Uint8Array(0)
