/**
 * The records of a transaction on their way: a batch after another for each partition, requests one after another, each
 * within the relay's limit. Sequences begin at 0, since every transaction has an epoch of its own.
 */
import { sequenceAfter } from '../../protocol/record-batch.ts'
import { OttlaError } from '../errors.ts'
import { relayError } from '../relay-errors.ts'
import { type ProducerStamp, TransactionRefusal } from '../transactions/calls.ts'
import type { DrainContext } from './context.ts'
import type { Lane } from './lane.ts'
import type { Landing, LedgerRow } from './ledger.ts'
import { type OutgoingBatch, sendProduce } from './relay-calls.ts'
import { stampedBytes, takeRows } from './sealer.ts'

export interface TransactionWrite {
  transactionalId: string
  stamp: ProducerStamp
  /** What goes where. */
  lanes: ReadonlyMap<Lane, readonly LedgerRow[]>
}

interface PlannedBatch {
  lane: Lane
  rows: readonly LedgerRow[]
  baseSequence: number
  sizeBytes: number
}

const REQUEST_BYTES_MAX = 1024 * 1024
/** Header of the request, the transactional id, and its topics and partitions. */
const REQUEST_SLACK_BYTES = 16 * 1024

/** Where each row has landed, should the transaction be committed. Rejects with a TransactionRefusal at the first that is not taken. */
export async function writeAll(
  { transactionalId, stamp, lanes }: TransactionWrite,
  context: DrainContext,
): Promise<Map<LedgerRow, Landing>> {
  const landings = new Map<LedgerRow, Landing>()
  const bytesMax = (context.session.limits?.requestBytesMax ?? REQUEST_BYTES_MAX) - REQUEST_SLACK_BYTES
  for (const request of requestsFor(lanes, bytesMax)) {
    const outgoing = await Promise.all(
      request.map(async ({ lane, rows, baseSequence }): Promise<OutgoingBatch> => {
        const { topic, topicId, partition } = lane
        const isTransactional = true
        const records = await stampedBytes(rows, { ...stamp, baseSequence, isTransactional }, context.store)
        return { topic, topicId, partition, records }
      }),
    )
    const answers = await sendProduce(context.session, outgoing, transactionalId)
    for (const [index, { lane, rows }] of request.entries()) {
      const answer = answers[index]
      const what = `a write to ${lane.topic}-${lane.partition} in a transaction`
      if (!answer) throw new OttlaError('PROTOCOL', { message: `${what} was left out of the relay's answer` })
      if (answer.errorCode !== 0) throw new TransactionRefusal(what, answer.errorCode, answer.errorText)
      land(landings, rows, { ...answer, partition: lane.partition })
    }
  }
  return landings
}

function land(landings: Map<LedgerRow, Landing>, rows: readonly LedgerRow[], first: Landing): void {
  let { baseOffset } = first
  for (const row of rows) {
    landings.set(row, { partition: first.partition, isRelaxed: first.isRelaxed, baseOffset })
    baseOffset += row.recordCount
  }
}

/** Each with one batch of a partition at most. */
function* requestsFor(
  lanes: ReadonlyMap<Lane, readonly LedgerRow[]>,
  bytesMax: number,
): Generator<PlannedBatch[], void, undefined> {
  let left = [...lanes].map(([lane, rows]) => batchesOf(lane, rows))
  while (left.length > 0) {
    const request: PlannedBatch[] = []
    let sizeBytes = 0
    for (const batches of left) {
      const next = batches[0]!
      if (next.sizeBytes > bytesMax) throw tooLarge(next, bytesMax)
      if (request.length > 0 && sizeBytes + next.sizeBytes > bytesMax) continue
      request.push(next)
      sizeBytes += next.sizeBytes
      batches.shift()
    }
    yield request
    left = left.filter((batches) => batches.length > 0)
  }
}

function batchesOf(lane: Lane, rows: readonly LedgerRow[]): PlannedBatch[] {
  const batches: PlannedBatch[] = []
  let baseSequence = 0
  for (let rest = rows; rest.length > 0; ) {
    const taken = takeRows(rest)
    const sizeBytes = taken.reduce((sum, row) => sum + row.sizeBytes, 0)
    batches.push({ lane, rows: taken, baseSequence, sizeBytes })
    const recordCount = taken.reduce((sum, row) => sum + row.recordCount, 0)
    baseSequence = sequenceAfter(baseSequence, recordCount)
    rest = rest.slice(taken.length)
  }
  return batches
}

function tooLarge({ lane, sizeBytes }: PlannedBatch, bytesMax: number): OttlaError {
  return relayError('TOO_LARGE', {
    message: `a write of ${sizeBytes} bytes to ${lane.topic}-${lane.partition} exceeds the ${bytesMax} bytes the relay takes in one request`,
  })
}
