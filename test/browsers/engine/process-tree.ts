/** The processes of a browser, as Linux shows them: which one is a tab's, and what can be done to it. */
import { readdirSync, readFileSync } from 'node:fs'

interface ProcessStat {
  pid: number
  parent: number
  /** Processor time so far, in the kernel's ticks. */
  ticks: number
}

/** All processes that `root` has started, and those have started. */
export function descendantsOf(root: number): ProcessStat[] {
  return familyOf(root).filter(({ pid }) => pid !== root)
}

/** Those, and `root` itself. */
export function familyOf(root: number): ProcessStat[] {
  const all = readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? (statOf(Number(name)) ?? []) : []))
  const family = new Set([root])
  // A child may have a lower number than its parent once numbers have gone round.
  for (let size = 0; size !== family.size; ) {
    size = family.size
    for (const { pid, parent } of all) if (family.has(parent)) family.add(pid)
  }
  return all.filter(({ pid }) => family.has(pid))
}

/**
 * Which of those with such a command line works hardest while `work` goes on. Engines do not say which process a page has;
 * this shows it.
 */
export async function hardestAtWork(root: number, command: RegExp, work: () => Promise<unknown>): Promise<number> {
  const candidates = () => descendantsOf(root).filter(({ pid }) => command.test(commandOf(pid)))
  const before = new Map(candidates().map(({ pid, ticks }) => [pid, ticks]))
  await work()
  const spent = candidates().map(({ pid, ticks }) => ({ pid, ticks: ticks - (before.get(pid) ?? 0) }))
  const hardest = spent.sort((a, b) => b.ticks - a.ticks)[0]
  if (!hardest) throw new Error(`process ${root} has no child like ${command}`)
  return hardest.pid
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ')
  } catch {
    return ''
  }
}

function statOf(pid: number): ProcessStat | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The name, in parentheses, may hold anything.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return { pid, parent: Number(fields[1]), ticks: Number(fields[11]) + Number(fields[12]) }
  } catch {
    return undefined
  }
}

export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch {
    // ESRCH: it ended between the look and the signal.
  }
}
