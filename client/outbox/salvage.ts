/**
 * What an outbox still has in memory when its database was cleared: rows whose bytes are cached, their stamps, and what
 * was settled. A write of which any part is gone is lost as a whole; a row that shared a batch with a lost one may be in
 * the log and can't be stamped anew.
 */
import type { OutboxChange, OutboxRow, ProducerIdentity, SealedBatch } from '../replica/store-outbox.ts'
import type { LedgerRow, OutboxLedger } from './ledger.ts'
import { unknownOutcome } from './settlement.ts'

export interface Salvage {
  change: OutboxChange
  /** Writes whose bytes were only in the database. */
  lostIds: string[]
}

export function salvageFrom(
  ledger: OutboxLedger,
  stamps: { sealed: readonly SealedBatch[]; identities: readonly ProducerIdentity[] },
): Salvage {
  const rows = [...ledger.rows.values()]
  const lostIds = new Set(rows.filter(({ batch }) => !batch).map(({ id }) => id))
  const isLeft = (key: number) => {
    const row = ledger.rows.get(key)
    return row?.batch !== undefined && !lostIds.has(row.id)
  }
  const putSealed = stamps.sealed.filter(({ rowKeys }) => rowKeys.every(isLeft))
  const broken = stamps.sealed.filter(({ rowKeys }) => !rowKeys.every(isLeft))
  const openKeys = new Set(broken.flatMap(({ rowKeys }) => rowKeys))
  const putRows = rows.filter(({ key }) => isLeft(key)).map((row) => storedRow(row, openKeys.has(row.key)))
  return {
    change: { putRows, putSealed, putIdentities: stamps.identities, putSettled: ledger.settledWrites },
    lostIds: [...lostIds],
  }
}

function storedRow(row: LedgerRow, isOpen: boolean): OutboxRow {
  const { key, id, topic, partition, recordCount, storedAtMs, error, part, phase, transaction } = row
  const stored = { key, id, topic, partition, batch: row.batch!, recordCount, storedAtMs, error, part }
  const pending = transaction ? 'transaction' : 'waiting'
  if (!isOpen) {
    const state = phase === 'parked' || phase === 'unknown' ? phase : pending
    return { ...stored, state, ...(transaction && { transaction }) }
  }
  const why = 'the storage was cleared while it was on its way'
  return { ...stored, state: 'unknown', error: unknownOutcome({ topic, partition: row.goesTo ?? -1 }, why) }
}
