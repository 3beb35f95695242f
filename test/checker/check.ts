/** Checks a history: what clients saw, against what they were promised. See anomalies.ts for what it can find. */
import { type Anomaly, Findings, type NoteKind } from './anomalies.ts'
import { checkEnds } from './ends.ts'
import { Evidence } from './evidence.ts'
import { checkGroups } from './groups.ts'
import type { Operation } from './history.ts'
import { checkReads } from './reads.ts'
import { checkSends } from './sends.ts'
import { checkTables } from './tables.ts'
import { checkTransactions } from './transactions.ts'

export interface Report {
  anomalies: readonly Anomaly[]
  notes: ReadonlyMap<NoteKind, number>
  /** Whether everything had been healed and read, so that what is missing is lost. */
  isComplete: boolean
}

export function check(operations: readonly Operation[]): Report {
  const findings = new Findings()
  const evidence = new Evidence(operations, (log, offset, [one, other]) =>
    findings.found('inconsistent-offset', `${offset} of ${log.name} is ${one} and ${other}`),
  )
  checkReads(evidence, findings)
  checkSends(evidence, findings)
  checkTransactions(evidence, findings)
  checkGroups(evidence, findings)
  checkEnds(evidence, findings)
  checkTables(evidence, findings)
  return { anomalies: findings.anomalies, notes: findings.notes, isComplete: evidence.isComplete }
}
