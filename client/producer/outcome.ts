/** What the core says about an entry, told to the receipts of the records in it. */
import type { Settled } from '../core.ts'
import { OttlaError } from '../errors.ts'
import { outboxError } from '../outbox/errors.ts'
import type { OpenReceipt } from './receipt.ts'

/** `receipts` in the order of the records in the entry's batch. */
export function settleReceipts(receipts: readonly OpenReceipt[], settled: Settled): void {
  for (const [index, receipt] of receipts.entries()) {
    if (settled.outcome === 'committed') {
      const { partitions, offsets, isRelaxed } = settled
      const durability = isRelaxed ? 'relaxed' : 'fsync'
      receipt.resolveCommitted({ partition: partitions[index] ?? -1, offset: offsets[index] ?? -1, durability })
    } else receipt.rejectCommitted(outcomeError(settled))
  }
}

const OUTCOME_CODES = { parked: 'REJECTED', unknown: 'OUTCOME_UNKNOWN', discarded: 'DISCARDED' } as const

export function outcomeError({ outcome, error }: Exclude<Settled, { outcome: 'committed' }>): OttlaError {
  // Nobody's answer: the client ended before there was one.
  if (error.code === 'CLOSED') return OttlaError.fromInfo(error)
  return outboxError(OUTCOME_CODES[outcome], {
    message: error.message,
    cause: OttlaError.fromInfo(error),
    ...(error.kafkaCode === undefined ? {} : { kafkaCode: error.kafkaCode }),
  })
}
