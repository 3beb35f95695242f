/** Tables at rest are what their logs come to: of each key the newest record that is not aborted, and no other row. */
import type { Findings } from './anomalies.ts'
import { type Evidence, isTombstone, type Known, keyOf } from './evidence.ts'
import type { Rows } from './history.ts'

const NO_ROW = 'no row'

export function checkTables(evidence: Evidence, findings: Findings): void {
  if (!evidence.isComplete) return
  for (const rows of evidence.all('rows')) checkRows(evidence, rows, findings)
}

function checkRows(evidence: Evidence, { process, topic, keys, rows }: Rows, findings: Findings): void {
  const expected = foldOf(evidence, topic)
  const told = new Map(rows.map(([key, value, partition, offset]) => [key, textOf(value, partition, offset)]))
  for (const key of new Set([...expected.keys(), ...told.keys()])) {
    if ((keys && !keys.includes(key)) || evidence.mayBeDeletedAnywhere(topic, key)) continue
    const newest = expected.get(key)
    const isDeleted = !newest || isTombstone(newest.send, newest.value)
    const record = isDeleted ? NO_ROW : textOf(newest.value, newest.log.partition, newest.offset)
    const row = told.get(key) ?? NO_ROW
    if (row !== record)
      findings.found('table-differs', `${process}: ${key} of ${topic} is ${row}, by the log ${record}`)
  }
}

/** By the first word about each place that readers of committed records were given; a second one is an anomaly by itself. */
function foldOf(evidence: Evidence, topic: string): Map<string, Known> {
  const newest = new Map<string, Known>()
  for (const log of evidence.logs.values()) {
    if (log.topic !== topic) continue
    for (const known of log.records) {
      const counts = known.isSeenCommitted || wentUnseen(evidence, known)
      const key = counts ? keyOf(known.send, known.value) : undefined
      if (key !== undefined && (newest.get(key)?.offset ?? -1) <= known.offset) newest.set(key, known)
    }
  }
  return newest
}

/** A tombstone that no such reader was given before it went. */
function wentUnseen(evidence: Evidence, { log, send, value }: Known): boolean {
  const hasDecided = () => (evidence.outcomeOf(send!) ?? 'committed') === 'committed'
  return evidence.has(log.topic, 'forgets') && isTombstone(send, value) && hasDecided()
}

const textOf = (value: string, partition: number, offset: number) => `${value} (${partition}, ${offset})`
