/** Consumer groups: committed offsets are a register, everything below them was given to somebody, nobody shares. */
import type { Findings } from './anomalies.ts'
import type { Evidence, Log } from './evidence.ts'
import type { Assigned, Commit, Committed, Read } from './history.ts'

const NONE = -1

interface Claim {
  offset: number
  at: number
  /** When it was certain; Infinity while it may still take effect. */
  until: number
  isCertain: boolean
}

export function checkGroups(evidence: Evidence, findings: Findings): void {
  checkAssignments(evidence, findings)
  for (const [key, { commits, asked, log, group }] of registers(evidence)) {
    const claims = commits.map((commit) => claimOf(evidence, commit)).filter((claim) => claim !== undefined)
    for (const read of asked) checkCommitted(key, claims, read, findings)
    checkGiven(evidence, log, group, commits, findings)
  }
}

interface Register {
  group: string
  log: Log
  commits: Commit[]
  asked: Committed[]
}

function registers(evidence: Evidence): Map<string, Register> {
  const all = new Map<string, Register>()
  for (const operation of evidence.operations) {
    if (operation.op !== 'commit' && operation.op !== 'committed') continue
    const log = evidence.log(operation)
    if (!log) continue
    const key = `${operation.group} at ${log.name}`
    const register = all.get(key) ?? { group: operation.group, log, commits: [], asked: [] }
    all.set(key, register)
    if (operation.op === 'commit') register.commits.push(operation)
    else register.asked.push(operation)
  }
  return all
}

/** undefined for what never took effect. */
function claimOf(evidence: Evidence, commit: Commit): Claim | undefined {
  const transaction = commit.transaction === undefined ? undefined : evidence.transactions.get(commit.transaction)
  const outcome = commit.transaction === undefined ? commit.outcome : outcomeIn(commit, transaction?.outcome)
  if (outcome === 'failed') return undefined
  const isCertain = outcome === 'ok'
  const until = (transaction ?? commit).until
  return { offset: commit.offset, at: commit.at, until: isCertain && until !== null ? until : Infinity, isCertain }
}

function outcomeIn(commit: Commit, transaction: 'committed' | 'aborted' | 'unknown' | undefined): Commit['outcome'] {
  if (commit.outcome === 'failed' || transaction === 'aborted') return 'failed'
  return transaction === 'committed' && commit.outcome === 'ok' ? 'ok' : 'unknown'
}

/** What was read must be what some commit wrote that no certain one, begun after it had ended, replaced before the read. */
function checkCommitted(key: string, claims: readonly Claim[], read: Committed, findings: Findings): void {
  const before = claims.filter((claim) => claim.isCertain && claim.until < read.at)
  const isReplaced = (claim: { until: number }) => before.some((later) => later.at > claim.until)
  if (read.offset === NONE) {
    if (before.length > 0) findings.found('commit-lost', `${key}: none, though ${before.at(-1)!.offset} was committed`)
    return
  }
  const candidates = claims.filter(
    ({ offset, at }) => offset === read.offset && (read.until === null || at <= read.until),
  )
  if (candidates.length === 0) findings.found('commit-lost', `${key}: ${read.offset}, which nobody committed`)
  else if (candidates.every(isReplaced)) {
    findings.found('commit-lost', `${key}: ${read.offset}, though ${before.at(-1)!.offset} was committed after it`)
  }
}

/** Whoever commits says: everything below has been worked on by one of us. */
function checkGiven(evidence: Evidence, log: Log, group: string, commits: readonly Commit[], findings: Findings): void {
  const reads = log.reads.filter((read) => read.group === group)
  if (reads.length === 0 || evidence.has(log.topic, 'compacts')) return
  const start = Math.min(...reads.map(({ from }) => from))
  const highest = commits.reduce(
    (most, { offset, outcome }) => (outcome === 'failed' ? most : Math.max(most, offset)),
    0,
  )
  const given = new Set(reads.flatMap((read: Read) => read.records.map(([offset]) => offset)))
  const wasPassed = (offset: number) => reads.some(({ from, next }) => offset >= from && offset < next)
  for (const offset of log.offsets) {
    if (offset < start || offset >= highest || given.has(offset) || wasPassed(offset)) continue
    findings.found('group-skip', `${group} committed ${highest} of ${log.name}, and nobody was given ${offset}`)
  }
}

function checkAssignments(evidence: Evidence, findings: Findings): void {
  const owners = new Map<string, string>()
  for (const operation of evidence.operations) {
    if (operation.op !== 'assigned') continue
    const { group, member, generation, partitions } = operation as Assigned
    for (const { topic, partition } of partitions) {
      const key = `${topic}-${partition} in generation ${generation} of ${group}`
      const owner = owners.get(key)
      if (owner !== undefined && owner !== member) {
        findings.found('double-assignment', `${key} was given to ${owner} and to ${member}`)
      }
      owners.set(key, member)
    }
  }
}
