/**
 * A producer whose whole state is a value: what it asks next follows from that, and an answer leads to the next value. So
 * it can be stopped at any moment, and go on from there against a relay that has crashed meanwhile.
 */
import { ErrorCode, errorName, isRetriableCode } from '../../../protocol/errors.ts'
import { produce } from '../../../protocol/messages/produce.ts'
import { initProducerId } from '../../../protocol/messages/producers.ts'
import {
  addOffsetsToTxn,
  addPartitionsToTxn,
  endTxn,
  txnOffsetCommit,
} from '../../../protocol/messages/transactions.ts'
import type { ProducerIdentity } from '../../../server/coordinator/transactional-offsets.ts'
import { batchOf } from '../../support/batches.ts'
import { type Stage, settle } from './stage.ts'

export type Version = 1 | 2
type Step = 'init' | 'add partitions' | 'add offsets' | 'write 0' | 'write 1' | 'offsets' | 'end'

const STEPS: Readonly<Record<Version, readonly Step[]>> = {
  1: ['add partitions', 'write 0', 'write 1', 'add offsets', 'offsets', 'write 0', 'end'],
  2: ['write 0', 'write 1', 'offsets', 'write 0', 'end'],
}
export const TRANSACTION_TIMEOUT_MS = 10_000

export interface ProducerState {
  readonly version: Version
  readonly identity: ProducerIdentity | undefined
  readonly transaction: number
  readonly step: number
  /** By partition. */
  readonly sequences: readonly [number, number]
  /** By partition: what has been committed, as far as is known. */
  readonly committed: readonly [readonly string[], readonly string[]]
  /** Offset of the last transaction that was committed, as far as is known. */
  readonly offset: number
}

export const newProducer = (version: Version): ProducerState => ({
  ...{ version, identity: undefined, transaction: 0, step: 0, sequences: [0, 0], committed: [[], []], offset: -1 },
})

export const commits = ({ transaction }: ProducerState): boolean => transaction % 3 !== 2

export const stepOf = ({ version, identity, step }: ProducerState): Step => (identity ? STEPS[version][step]! : 'init')

/** What the transaction writes in the course of its steps. */
export function valuesOf({ version, transaction }: ProducerState): [string[], string[]] {
  const values: [string[], string[]] = [[], []]
  for (const [index, step] of STEPS[version].entries()) {
    if (step.startsWith('write')) values[Number(step.at(-1))]!.push(`${transaction}.${index}`)
  }
  return values
}

interface Topic {
  name: string
  id: string
}

/** The error code and, where there is one, the identity that comes with it. */
async function ask(stage: Stage, state: ProducerState, { name, id: topicId }: Topic) {
  const { version, identity, transaction, step } = state
  const transactionalId = `tx${version}`
  const base = { transactionalId, ...identity! }
  const isNew = version === 2
  const what = stepOf(state)
  switch (what) {
    case 'init':
      return stage.call(initProducerId, { transactionalId, transactionTimeoutMs: TRANSACTION_TIMEOUT_MS })
    case 'add partitions': {
      const { resultsByTopic } = await stage.call(
        addPartitionsToTxn,
        { ...base, topics: [{ name, partitions: [0, 1] }] },
        3,
      )
      return { errorCode: resultsByTopic[0]!.resultsByPartition[0]!.partitionErrorCode }
    }
    case 'add offsets':
      return stage.call(addOffsetsToTxn, { ...base, groupId: 'g' }, 3)
    case 'offsets': {
      const partitions = [{ partitionIndex: 0, committedOffset: transaction, committedMetadata: null }]
      const { topics } = await stage.call(
        txnOffsetCommit,
        { ...base, groupId: 'g', memberId: '', topics: [{ name, partitions }] },
        isNew ? 5 : 4,
      )
      return { errorCode: topics[0]!.partitions[0]!.errorCode }
    }
    case 'end':
      return stage.call(endTxn, { ...base, committed: commits(state) }, isNew ? 5 : 4)
    default: {
      const index = Number(what.at(-1)) as 0 | 1
      const { producerId: producer, producerEpoch: epoch } = identity!
      const records = batchOf([`${transaction}.${step}`], {
        producer: { id: producer, epoch, sequence: state.sequences[index], isTransactional: true },
      })
      const topicData = [{ name, topicId, partitionData: [{ index, records }] }]
      const { responses } = await stage.call(
        produce,
        { transactionalId, acks: -1, timeoutMs: 1000, topicData },
        isNew ? 13 : 11,
      )
      return { errorCode: responses[0]!.partitionResponses[0]!.errorCode }
    }
  }
}

/** The state after the answer. Asks again after what is retriable; anything else is thrown. */
export async function advance(stage: Stage, state: ProducerState, topic: Topic): Promise<ProducerState> {
  for (let attempt = 0; ; attempt++) {
    const reply: { errorCode: number } & Partial<ProducerIdentity> = await patiently(stage, ask(stage, state, topic))
    if (reply.errorCode === ErrorCode.NONE) return after(state, reply)
    if (!isRetriableCode(reply.errorCode) || attempt === 200)
      throw new Error(`${stepOf(state)} of transaction ${state.transaction}: ${errorName(reply.errorCode)}`)
    await stage.clock.advanceAsync(100)
    await settle()
  }
}

/** Moves time on while the answer does not come. */
async function patiently<T>(stage: Stage, answer: Promise<T>): Promise<T> {
  let isThere = false
  const watched = answer.finally(() => {
    isThere = true
  })
  watched.catch(() => {})
  for (let round = 0; !isThere && round < 1000; round++) {
    await settle(1)
    if (!isThere && round > 20) await stage.clock.advanceAsync(10)
  }
  return watched
}

function after(state: ProducerState, reply: Partial<ProducerIdentity>): ProducerState {
  const step = stepOf(state)
  if (step === 'init')
    return { ...state, identity: { producerId: reply.producerId!, producerEpoch: reply.producerEpoch! } }
  if (step.startsWith('write')) {
    const sequences: [number, number] = [...state.sequences]
    sequences[Number(step.at(-1))]!++
    return { ...state, step: state.step + 1, sequences }
  }
  if (step !== 'end') return { ...state, step: state.step + 1 }
  const next = { ...state, transaction: state.transaction + 1, step: 0 }
  const ended = commits(state) ? { ...next, ...committedWith(state) } : next
  if (state.version === 1) return ended
  return {
    ...ended,
    identity: { producerId: reply.producerId!, producerEpoch: reply.producerEpoch! },
    sequences: [0, 0],
  }
}

/** What is there once its transaction has been committed. */
export function committedWith(state: ProducerState): Pick<ProducerState, 'committed' | 'offset'> {
  const [first, second] = valuesOf(state)
  return {
    committed: [
      [...state.committed[0], ...first],
      [...state.committed[1], ...second],
    ],
    offset: state.transaction,
  }
}
