/** Transactions: seen whole or not at all, and never when they were aborted. */
import type { Findings } from './anomalies.ts'
import type { Evidence, Log } from './evidence.ts'
import type { Read } from './history.ts'

export function checkTransactions(evidence: Evidence, findings: Findings): void {
  const valuesOf = new Map<string, string[]>()
  for (const { transaction, values, outcome } of evidence.sends) {
    if (transaction === undefined || outcome === 'failed') continue
    const all = valuesOf.get(transaction) ?? []
    valuesOf.set(transaction, all)
    all.push(...values)
  }
  const seen = seenByCommittedReaders(evidence)
  for (const [transaction, values] of valuesOf) {
    const outcome = evidence.transactions.get(transaction)?.outcome ?? 'unknown'
    const visible = values.filter((value) => seen.has(value))
    if (outcome === 'aborted') {
      for (const value of visible) findings.found('aborted-read', `${value} of ${transaction}, which was aborted`)
    } else if (visible.length > 0 && visible.length < values.length && evidence.isComplete) {
      const missing = values.filter((value) => !seen.has(value) && wouldBeSeen(evidence, value))
      if (missing.length > 0) {
        findings.found('torn-transaction', `of ${transaction} ${visible[0]} is visible, ${missing[0]} is not`)
      }
    }
  }
  checkWithinReads(evidence, valuesOf, findings)
}

function seenByCommittedReaders(evidence: Evidence): Set<string> {
  const seen = new Set<string>()
  for (const log of evidence.logs.values()) {
    for (const { isolation, records } of log.reads) {
      if (isolation === 1) for (const [, value] of records) seen.add(value)
    }
  }
  return seen
}

/** Deleted records are no tear. */
function wouldBeSeen(evidence: Evidence, value: string): boolean {
  const { topic, places } = evidence.sendOf.get(value)!
  if (evidence.wasDeleted(topic) || evidence.has(topic, 'retains') || evidence.has(topic, 'compacts')) return false
  const wasTrimmed = evidence.operations.some((each) => each.op === 'trim' && each.topic === topic)
  return !wasTrimmed || places === undefined
}

/** One reader that passes the records of one transaction in one partition gets all of them or none. */
function checkWithinReads(evidence: Evidence, valuesOf: ReadonlyMap<string, string[]>, findings: Findings): void {
  for (const log of evidence.logs.values()) {
    const placed = placedByTransaction(evidence, log, valuesOf)
    for (const read of log.reads) {
      if (read.isolation === 0 || placed.size === 0) continue
      checkRead(log, read, placed, findings)
    }
  }
}

function placedByTransaction(evidence: Evidence, log: Log, valuesOf: ReadonlyMap<string, string[]>) {
  const placed = new Map<string, number[]>()
  if (valuesOf.size === 0) return placed
  for (const [offset, value] of log.valueAt) {
    const transaction = evidence.sendOf.get(value)?.transaction
    if (transaction === undefined) continue
    const offsets = placed.get(transaction) ?? []
    placed.set(transaction, offsets)
    offsets.push(offset)
  }
  return placed
}

function checkRead(log: Log, read: Read, placed: ReadonlyMap<string, number[]>, findings: Findings): void {
  const given = new Set(read.records.map(([offset]) => offset))
  for (const [transaction, offsets] of placed) {
    const passed = offsets.filter((offset) => offset >= read.from && offset < read.next)
    const count = passed.filter((offset) => given.has(offset)).length
    if (count > 0 && count < passed.length) {
      const missing = passed.find((offset) => !given.has(offset))
      findings.found(
        'torn-transaction',
        `${read.reader} was given a part of ${transaction}, and not ${missing} of ${log.name}`,
      )
    }
  }
}
