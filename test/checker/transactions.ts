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
  const seen = evidence.seenCommitted
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
  checkWithinReads(evidence, findings)
}

/** Deleted records are no tear, nor are those that may have been. */
function wouldBeSeen(evidence: Evidence, value: string): boolean {
  const { topic, topicId, places, values } = evidence.sendOf.get(value)!
  if (evidence.wasDeleted(topic) || evidence.has(topic, 'retains') || evidence.has(topic, 'compacts')) return false
  if (!evidence.wasTrimmed(topic)) return true
  const place = places?.[values.indexOf(value)]
  if (place === undefined || place.offset < 0) return false
  return place.offset >= (evidence.log({ topic, topicId, partition: place.partition })?.mayBeginAt ?? 0)
}

/** One reader that passes the records of one transaction in one partition gets all of them or none. */
function checkWithinReads(evidence: Evidence, findings: Findings): void {
  if (evidence.transactions.size === 0) return
  for (const log of evidence.logs.values()) {
    for (const read of log.reads) if (read.isolation === 1) checkRead(evidence, log, read, findings)
  }
}

function checkRead(evidence: Evidence, log: Log, read: Read, findings: Findings): void {
  const first = new Map<string, { offset: number; isGiven: boolean }>()
  log.forEachIn(read, ({ offset, value, send }, isGiven) => {
    const transaction = send?.transaction
    if (transaction === undefined) return
    if (!isGiven && (evidence.isSuperseded(log, value, offset) || evidence.isAbortedAttempt(log, value, offset))) return
    const before = first.get(transaction)
    if (!before) first.set(transaction, { offset, isGiven })
    else if (before.isGiven !== isGiven) {
      const [one, other] = isGiven ? [offset, before.offset] : [before.offset, offset]
      findings.found(
        'torn-transaction',
        `${read.reader} was given ${one} of ${transaction}, not ${other} of ${log.name}`,
      )
    }
  })
}
