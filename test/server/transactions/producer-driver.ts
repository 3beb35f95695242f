/** A transactional id's state machine in any of its states, with time that the test moves. */
import type { ProducerIdentity } from '../../../server/coordinator/transactional-offsets.ts'
import type { TransactionPhase } from '../../../server/coordinator/transactions/transaction-state.ts'
import { TransactionalProducer } from '../../../server/coordinator/transactions/transactional-producer.ts'

export const TIMEOUT_MS = 60_000
export const PARTITION = { topicId: 'T', partition: 0 }
export const FRESH_ID = 99

export const at = (ms: number) => ({ monotonicMs: ms, wallMs: 1_700_000_000_000 + ms })
export const NOW = at(1000)

export const WHO = ['current', 'previous', 'older epoch', 'newer epoch', 'another id'] as const
export type Who = (typeof WHO)[number]

export function identityOf(producer: TransactionalProducer, who: Who): ProducerIdentity {
  const { producerId, producerEpoch } = producer.identity
  switch (who) {
    case 'current':
      return producer.identity
    case 'previous':
      return producer.snapshot().previous ?? { producerId, producerEpoch: -5 }
    case 'older epoch':
      return { producerId, producerEpoch: producerEpoch - 2 }
    case 'newer epoch':
      return { producerId, producerEpoch: producerEpoch + 1 }
    case 'another id':
      return { producerId: producerId + 1, producerEpoch }
  }
}

/** Whose requests have brought it there: transaction version 2 changes the identity with each end. */
export type Version = 1 | 2

/** In `phase`, at epoch 10 or 11. */
export function producerIn(phase: TransactionPhase, version: Version): TransactionalProducer {
  const producer = new TransactionalProducer('tx', 7, TIMEOUT_MS, at(0))
  for (let epoch = 1; epoch <= 10; epoch++) {
    const expected = epoch === 10 ? producer.identity : null
    producer.init({ timeoutMs: TIMEOUT_MS, expected, freshProducerId: undefined }, at(0))
  }
  if (phase === 'Empty') return producer
  producer.add(producer.identity, { partitions: [PARTITION], groups: ['g'] }, at(0))
  if (phase === 'Ongoing') return producer
  const outcome = phase.endsWith('Commit') ? 'commit' : 'abort'
  const changesIdentity = version === 2
  producer.end({ identity: producer.identity, outcome, changesIdentity, freshProducerId: undefined }, at(0))
  if (phase.startsWith('Prepare')) return producer
  producer.complete(at(0))
  if (phase === 'Dead') producer.die(at(0))
  return producer
}
