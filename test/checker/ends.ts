/** The ends of logs, as clients are told: the start moves for a reason, and never back; the end never lies before a record. */
import type { Findings } from './anomalies.ts'
import type { Evidence, Log } from './evidence.ts'
import type { Ends } from './history.ts'

export function checkEnds(evidence: Evidence, findings: Findings): void {
  const told = new Map<Log, Ends[]>()
  for (const ends of evidence.all('ends')) {
    const log = evidence.log(ends)
    const all = log && told.get(log)
    if (all) all.push(ends)
    else if (log) told.set(log, [ends])
  }
  for (const [log, all] of told) checkStarts(evidence, log, all, findings)
  checkTheEnds(evidence, told, findings)
}

function checkStarts(evidence: Evidence, log: Log, all: readonly Ends[], findings: Findings): void {
  const trims = evidence.all('trim').filter((each) => each.outcome !== 'failed' && evidence.log(each) === log)
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

function checkTheEnds(evidence: Evidence, told: ReadonlyMap<Log, readonly Ends[]>, findings: Findings): void {
  const answers = new Map([...told].map(([log, all]) => [log, new Answers(all)]))
  for (const { outcome, until, acks, relaxed, places, topic, topicId } of evidence.sends) {
    if (outcome !== 'ok' || acks === 0 || relaxed || !places) continue
    for (const { partition, offset } of places) {
      const log = evidence.log({ topic, topicId, partition })
      if (log) answers.get(log)?.reached(offset + 1, until)
    }
  }
  for (const [log, ofLog] of answers) {
    for (const { until, next } of log.reads) ofLog.reached(next, until)
    for (const { until, end } of told.get(log)!) ofLog.reached(end, until)
    ofLog.check(log, findings)
  }
}

/** What clients were told of one log's end, in the order in which they asked. */
class Answers {
  readonly #all: readonly Ends[]
  /** How far the log was known to reach when each was asked for, by what had become known since the one before. */
  readonly #least: number[]

  constructor(all: readonly Ends[]) {
    this.#all = [...all].sort((a, b) => a.at - b.at)
    this.#least = this.#all.map(() => 0)
  }

  /** Whoever asks after `until` must be told at least `end`. */
  reached(end: number, until: number | null): void {
    if (until === null) return
    let low = 0
    let high = this.#all.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#all[middle]!.at > until) high = middle
      else low = middle + 1
    }
    if (low < this.#all.length && this.#least[low]! < end) this.#least[low] = end
  }

  check(log: Log, findings: Findings): void {
    let least = 0
    this.#all.forEach(({ end }, index) => {
      least = Math.max(least, this.#least[index]!)
      if (end < least) findings.found('end-went-back', `${log.name} ends at ${end}, and it had been at ${least}`)
    })
  }
}
