/**
 * Transactional ids as records of the coordinator's log:
 *
 *     ["transaction", TRANSACTIONAL ID]  identity, phase, partitions and groups, as JSON; null: the id is forgotten
 *
 * The newest record of a key holds. The one whose phase is PrepareCommit or PrepareAbort is the decision: what it says is
 * carried out, however often a start has to begin anew.
 */
import type { KeyedRecord } from '../keyed-log.ts'
import type { TransactionSnapshot } from './transactional-producer.ts'

export interface TransactionRecord {
  transactionalId: string
  value: TransactionSnapshot | null
}

export function encodeRecord({ transactionalId, value }: TransactionRecord): KeyedRecord {
  return { key: JSON.stringify(['transaction', transactionalId]), value: value && JSON.stringify(value) }
}

/** undefined for kinds that a later version has added. */
export function decodeRecord({ key, value }: KeyedRecord): TransactionRecord | undefined {
  const [kind, transactionalId] = JSON.parse(key) as [string, string]
  if (kind !== 'transaction') return undefined
  return { transactionalId, value: value === null ? null : (JSON.parse(value) as TransactionSnapshot) }
}
