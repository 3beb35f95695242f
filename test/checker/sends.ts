/** Writers: is everything there that was promised, where it was promised, in the order of sending, and nothing else? */
import type { Findings } from './anomalies.ts'
import type { Evidence, Located, Log } from './evidence.ts'
import type { Place, Send } from './history.ts'

/** Where readers were given each value of a send; undefined: nowhere. */
type Found = ReadonlyArray<readonly Located[] | undefined>

export function checkSends(evidence: Evidence, findings: Findings): void {
  const order = new ProducerOrder(findings)
  for (const send of evidence.sends) {
    const found = send.values.map((value) => evidence.readAt.get(value))
    checkOutcome(send, found, findings)
    checkPlaces(evidence, send, found, findings)
    if (evidence.isComplete) checkThere(evidence, send, found, findings)
    if (!send.unordered) order.check(send, found)
  }
}

function checkOutcome({ outcome, values }: Send, found: Found, findings: Findings): void {
  if (outcome === 'ok') return
  const landed = found.findIndex((places) => places !== undefined)
  if (outcome === 'unknown') findings.note(landed < 0 ? 'unknown-not-landed' : 'unknown-landed')
  else if (landed >= 0) findings.found('wrong-outcome', `${values[landed]} was refused and is in the log`)
}

function checkPlaces(evidence: Evidence, send: Send, places: Found, findings: Findings): void {
  send.places?.forEach(({ partition, offset }, index) => {
    const value = send.values[index]!
    const all = places[index] ?? []
    // What was not answered before its topic was deleted may be in the next one of that name as well, read there or not.
    const isElsewhereToo = all.some(({ log }) => log.partition === partition && log.id !== all[0]!.log.id)
    const mayBeTwice = send.mayRepeat || isElsewhereToo || evidence.mayBeMadeAnewDuring(send)
    // Of one that is there several times, those that nobody read by the topic's id are not known.
    const found = mayBeTwice ? all.find(({ log, offset: at }) => log.partition === partition && at === offset) : all[0]
    if (!found || (send.topicId && !found.log.id.startsWith(send.topicId))) return
    if (found.log.partition !== partition || (offset >= 0 && found.offset !== offset)) {
      const text = `${value} was said to be at ${offset} of partition ${partition} and is at ${found.offset} of ${found.log.name}`
      findings.found('false-receipt', text)
    }
  })
}

function checkThere(evidence: Evidence, send: Send, found: Found, findings: Findings): void {
  const isPromised = send.outcome === 'ok' && send.acks !== 0 && !send.relaxed
  const decision = evidence.outcomeOf(send) ?? 'committed'
  const isDue = decision === 'committed' ? isPromised || send.isStored : decision === 'unknown' && send.isStored
  if (!isDue || evidence.wasDeleted(send.topic)) return
  send.values.forEach((value, index) => {
    if (found[index]) return
    const place = send.places?.[index]
    if (mayBeCompacted(evidence, send, value, place)) return
    if (isPromised && decision === 'committed') {
      if (!mayBeGone(evidence, send, place?.partition, place?.offset)) {
        findings.found('lost', `${value} was acknowledged at ${place?.offset} of ${send.topic}-${place?.partition}`)
      }
    } else if (!isAccountedFor(send) && !mayBeGone(evidence, send)) {
      findings.found('stored-lost', `${value} was stored in an outbox (${send.end ?? 'never heard of again'})`)
    }
  })
}

/** One whose place is not known may lie below any other of its key. */
function mayBeCompacted(
  evidence: Evidence,
  { topic, topicId }: Send,
  value: string,
  place: Place | undefined,
): boolean {
  if (!evidence.has(topic, 'compacts')) return false
  if (place === undefined || place.offset < 0) return true
  const log = evidence.log({ topic, topicId, partition: place.partition })
  return log !== undefined && evidence.isSuperseded(log, value, place.offset)
}

/** A place that is not known may lie below any start. */
function mayBeGone(evidence: Evidence, send: Send, partition?: number, offset?: number): boolean {
  const logs = [...evidence.logs.values()].filter(
    (log) => log.topic === send.topic && (partition === undefined || log.partition === partition),
  )
  return logs.some((log) => (offset === undefined || offset < 0 ? 0 : offset) < log.mayBeginAt)
}

function isAccountedFor({ end }: Send): boolean {
  return end === 'parked' || end === 'unknown' || end === 'discarded' || end === 'lost'
}

/** How far each producer has come in each log. */
class ProducerOrder {
  readonly #findings: Findings
  readonly #lastOf = new Map<string, Map<Log, { value: string; offset: number }>>()

  constructor(findings: Findings) {
    this.#findings = findings
  }

  check({ producer, values }: Send, found: Found): void {
    const last = this.#lastOf.get(producer) ?? new Map<Log, { value: string; offset: number }>()
    this.#lastOf.set(producer, last)
    values.forEach((value, index) => {
      const place = found[index]?.[0]
      if (!place) return
      const before = last.get(place.log)
      if (before && before.offset > place.offset) {
        const text = `${producer} sent ${before.value}, then ${value}; in ${place.log.name} they are at ${before.offset} and ${place.offset}`
        this.#findings.found('reordered', text)
      }
      if (before && place.offset > before.offset + 1) this.#findings.note('send-interleaved')
      if (!before || before.offset < place.offset) last.set(place.log, { value, offset: place.offset })
    })
  }
}
