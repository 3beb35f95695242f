/** The ends of logs, as clients are told: the start moves for a reason, and never back; the end never lies before a record. */
import type { Findings } from './anomalies.ts'
import type { Evidence, Log } from './evidence.ts'
import type { Ends, Trim } from './history.ts'

export function checkEnds(evidence: Evidence, findings: Findings): void {
  const told = new Map<Log, Ends[]>()
  for (const operation of evidence.operations) {
    if (operation.op !== 'ends') continue
    const log = evidence.log(operation)
    if (log) told.set(log, [...(told.get(log) ?? []), operation])
  }
  for (const [log, all] of told) {
    checkStarts(evidence, log, all, findings)
    checkTheEnds(evidence, log, all, findings)
  }
}

function checkStarts(evidence: Evidence, log: Log, all: readonly Ends[], findings: Findings): void {
  const trims = evidence.operations.filter(
    (each): each is Trim => each.op === 'trim' && each.outcome !== 'failed' && evidence.log(each) === log,
  )
  let highest = 0
  for (const { start, at, until } of all) {
    const reached = trims.filter(({ outcome, until: ended }) => outcome === 'ok' && ended !== null && ended < at)
    const least = Math.max(highest, ...reached.map(({ before }) => before))
    if (start < least) findings.found('start-moved', `${log.name} begins at ${start}, and it had been at ${least}`)
    const asked = Math.max(0, ...trims.filter((trim) => until === null || trim.at <= until).map(({ before }) => before))
    if (start > asked && !evidence.has(log.topic, 'retains')) {
      findings.found('start-moved', `${log.name} begins at ${start}; records were deleted up to ${asked} only`)
    }
    highest = Math.max(highest, start)
  }
}

function checkTheEnds(evidence: Evidence, log: Log, all: readonly Ends[], findings: Findings): void {
  const acknowledged: Array<{ until: number; end: number }> = []
  for (const send of evidence.sends) {
    const { outcome, until, acks, relaxed, places, topic, topicId } = send
    if (topic !== log.topic || outcome !== 'ok' || until === null || acks === 0 || relaxed || !places) continue
    for (const { partition, offset } of places) {
      if (partition !== log.partition || evidence.log({ topic, topicId, partition }) !== log) continue
      acknowledged.push({ until, end: offset + 1 })
    }
  }
  const known = [
    ...acknowledged,
    ...log.reads.flatMap(({ until, next }) => (until === null ? [] : [{ until, end: next }])),
    ...all.flatMap(({ until, end }) => (until === null ? [] : [{ until, end }])),
  ].sort((a, b) => a.until - b.until)
  let index = 0
  let least = 0
  for (const { at, end } of [...all].sort((a, b) => a.at - b.at)) {
    for (; index < known.length && known[index]!.until < at; index++) least = Math.max(least, known[index]!.end)
    if (end < least) findings.found('end-went-back', `${log.name} ends at ${end}, and it had been at ${least}`)
  }
}
