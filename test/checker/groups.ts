/** Consumer groups: committed offsets are a register, everything below them was given to somebody, nobody shares. */
import type { Findings } from './anomalies.ts'
import type { Evidence, Log } from './evidence.ts'
import type { Commit, Committed } from './history.ts'

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
    const claims = new Claims(commits.flatMap((commit) => claimOf(evidence, commit) ?? []))
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
  for (const operation of [...evidence.all('commit'), ...evidence.all('committed')]) {
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

/** Commits of one group to one partition, ready to be asked what may be read at some time. */
class Claims {
  readonly #byOffset = new Map<number, Claim[]>()
  /** By the time when they were certain, each with the latest beginning of all up to it. */
  readonly #certain: Array<{ until: number; latest: Claim }> = []

  constructor(claims: readonly Claim[]) {
    for (const claim of claims) {
      const same = this.#byOffset.get(claim.offset)
      if (same) same.push(claim)
      else this.#byOffset.set(claim.offset, [claim])
    }
    const certain = claims.filter(({ isCertain }) => isCertain).sort((a, b) => a.until - b.until)
    let latest: Claim | undefined
    for (const claim of certain) {
      if (!latest || claim.at > latest.at) latest = claim
      this.#certain.push({ until: claim.until, latest })
    }
  }

  of(offset: number): readonly Claim[] {
    return this.#byOffset.get(offset) ?? []
  }

  /** Of those that were certain before `at`, the one that was begun last. */
  latestBefore(at: number): Claim | undefined {
    let low = 0
    let high = this.#certain.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#certain[middle]!.until >= at) high = middle
      else low = middle + 1
    }
    return this.#certain[low - 1]?.latest
  }
}

/** What was read must be what some commit wrote that no certain one, begun after it had ended, replaced before the read. */
function checkCommitted(key: string, claims: Claims, read: Committed, findings: Findings): void {
  const latest = claims.latestBefore(read.at)
  if (read.offset === NONE) {
    if (latest) findings.found('commit-lost', `${key}: none, though ${latest.offset} was committed`)
    return
  }
  const candidates = claims.of(read.offset).filter(({ at }) => read.until === null || at <= read.until)
  if (candidates.length === 0) findings.found('commit-lost', `${key}: ${read.offset}, which nobody committed`)
  else if (latest && candidates.every(({ until }) => latest.at > until)) {
    findings.found('commit-lost', `${key}: ${read.offset}, though ${latest.offset} was committed after it`)
  }
}

/** Whoever commits says: everything below has been worked on by one of us. What was given lies in what was passed. */
function checkGiven(evidence: Evidence, log: Log, group: string, commits: readonly Commit[], findings: Findings): void {
  const reads = log.reads.filter((read) => read.group === group)
  if (reads.length === 0 || evidence.has(log.topic, 'compacts')) return
  const highest = commits.reduce(
    (most, { offset, outcome }) => (outcome === 'failed' ? most : Math.max(most, offset)),
    0,
  )
  const byFrom = reads.sort((a, b) => a.from - b.from)
  const start = Math.max(log.mayBeginAt, byFrom[0]!.from)
  let index = 0
  let passed = 0
  for (const { offset } of log.records) {
    for (; index < byFrom.length && byFrom[index]!.from <= offset; index++)
      passed = Math.max(passed, byFrom[index]!.next)
    if (offset < start || offset >= highest || offset < passed) continue
    findings.found('group-skip', `${group} committed ${highest} of ${log.name}, and nobody was given ${offset}`)
  }
}

function checkAssignments(evidence: Evidence, findings: Findings): void {
  const owners = new Map<string, string>()
  for (const { group, member, generation, partitions } of evidence.all('assigned')) {
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
