/** Readers, one by one: do they go forward, do they get all there is, do they get only what there is? */
import type { Findings } from './anomalies.ts'
import { type Evidence, keyOf, type Log } from './evidence.ts'
import type { Read } from './history.ts'

export function checkReads(evidence: Evidence, findings: Findings): void {
  for (const log of evidence.logs.values()) {
    const lastOf = new Map<string, Read>()
    for (const read of log.reads) {
      checkOrder(log, read, findings)
      checkKeys(evidence, log, read, findings)
      const last = lastOf.get(read.reader)
      lastOf.set(read.reader, read)
      if (last) checkFollows(log, last, read, findings)
      checkComplete(evidence, log, read, findings)
    }
  }
  checkValues(evidence, findings)
}

function checkOrder(log: Log, read: Read, findings: Findings): void {
  let last = read.from - 1
  for (const record of read.records) {
    const offset = record[0]
    if (offset > last && offset < read.next) last = offset
    else findings.found('nonmonotonic-read', `${read.reader} got ${offset} after ${last} of ${log.name}`)
  }
}

function checkKeys(evidence: Evidence, log: Log, { keys, reader, records }: Read, findings: Findings): void {
  if (!keys) return
  for (const [offset, value] of records) {
    const key = keyOf(evidence.sendOf.get(value), value) ?? ''
    if (keys.includes(key)) continue
    findings.found('phantom', `${reader} was given ${value} at ${offset} of ${log.name}, of a key it had not asked for`)
  }
}

function checkFollows(log: Log, last: Read, read: Read, findings: Findings): void {
  const { jump, reader, from } = read
  if (jump === undefined) {
    if (from < last.next) {
      findings.found('nonmonotonic-read', `${reader} was at ${last.next} of ${log.name} and read from ${from}`)
    } else if (from > last.next) {
      findings.found('read-gap', `${reader} was at ${last.next} of ${log.name} and read from ${from}`)
    }
  } else if (jump === 'truncated') {
    findings.found('truncated', `${reader} was at ${last.next} of ${log.name} and had to go back to ${from}`)
  } else if (jump === 'log-start' && from > log.mayBeginAt) {
    findings.found('start-moved', `${reader} was told that ${log.name} begins at ${from}, and nobody has deleted that`)
  }
}

/** Every record that is known to be in the range, by whomever, must have been given. */
function checkComplete(evidence: Evidence, log: Log, read: Read, findings: Findings): void {
  log.forEachIn(read, ({ offset, value, send }, isGiven) => {
    if (isGiven) return
    if (evidence.isSuperseded(log, value, offset) || evidence.isAbortedAttempt(log, value, offset)) return
    const isUndecided = send?.transaction !== undefined && evidence.outcomeOf(send) !== 'committed'
    // Whether those of an unfinished transaction are there is the business of transactions.ts; compaction takes aborted ones.
    if (isUndecided && (read.isolation === 1 || evidence.has(log.topic, 'compacts'))) return
    findings.found(
      'skipped',
      `${read.reader} read [${read.from}, ${read.next}) of ${log.name} without ${value} at ${offset}`,
    )
  })
}

function checkValues(evidence: Evidence, findings: Findings): void {
  for (const [value, places] of evidence.readAt) {
    const send = evidence.sendOf.get(value)
    const where = () => places.map(({ log, offset }) => `${offset} of ${log.name}`).join(', ')
    if (!send) {
      findings.found('phantom', `${value} at ${where()} was sent by nobody`)
      continue
    }
    const isElsewhere = places.some(
      ({ log }) => log.topic !== send.topic || (send.partition !== null && log.partition !== send.partition),
    )
    if (isElsewhere)
      findings.found('phantom', `${value} was sent to ${send.topic}-${send.partition} and is at ${where()}`)
    if (places.length === 1) continue
    // Unanswered before its topic was deleted, it may have gone to the next one of that name, too.
    const wentTwice = evidence.wasDeleted(send.topic) && new Set(places.map(({ log }) => log)).size === places.length
    if (send.mayRepeat || wentTwice) findings.note('repeated-legally')
    else findings.found('duplicate', `${value} is at ${where()}`)
  }
}
