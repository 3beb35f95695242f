/** Tables at rest are what their logs come to: of each key the newest record that is not aborted, and no other row. */
import type { Findings } from './anomalies.ts'
import type { Evidence } from './evidence.ts'
import type { Rows } from './history.ts'

export function checkTables(evidence: Evidence, findings: Findings): void {
  if (!evidence.isComplete) return
  for (const operation of evidence.operations) if (operation.op === 'rows') checkRows(evidence, operation, findings)
}

function checkRows(evidence: Evidence, { process, topic, rows }: Rows, findings: Findings): void {
  const expected = foldOf(evidence, topic)
  const told = new Map(rows.map(([key, value, partition, offset]) => [key, `${value} (${partition}, ${offset})`]))
  for (const key of new Set([...expected.keys(), ...told.keys()])) {
    const [row, record] = [told.get(key) ?? 'no row', expected.get(key)?.text ?? 'nothing']
    if (row !== record)
      findings.found('table-differs', `${process}: ${key} of ${topic} is ${row}, in the log ${record}`)
  }
}

/** By the word of those who read committed records. */
function foldOf(evidence: Evidence, topic: string): Map<string, { offset: number; text: string }> {
  const newest = new Map<string, { offset: number; text: string }>()
  for (const log of evidence.logs.values()) {
    if (log.topic !== topic) continue
    for (const { isolation, records } of log.reads) {
      if (isolation === 0) continue
      for (const [offset, value] of records) {
        const key = evidence.keyOf(value)
        if (key === undefined || (newest.get(key)?.offset ?? -1) > offset) continue
        newest.set(key, { offset, text: `${value} (${log.partition}, ${offset})` })
      }
    }
  }
  return newest
}
