/**
 * A Chromium of our own on a profile folder, started as a plain process on an address, and what its process tree costs
 * in memory and CPU.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { startChild } from '../harness/child.ts'

const PROGRAM = process.env.CHROMIUM ?? '/usr/bin/chromium'
const FLAGS = [
  '--headless=new',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-dev-shm-usage',
  '--no-first-run',
  '--no-default-browser-check',
]
export interface Browser {
  /** Proportional set size of all its processes. */
  memoryMib(): number
  /** CPU seconds of its processes that still run. */
  cpuSeconds(): number
  close(): Promise<void>
}

interface ProcessEntry {
  pid: number
  parent: number
  cpuTicks: number
}

/** The fields after the command's name, which may itself hold spaces and parentheses. */
function processEntry(pid: number): ProcessEntry | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return { pid, parent: Number(fields[1]), cpuTicks: Number(fields[11]) + Number(fields[12]) }
  } catch {
    return undefined
  }
}

function processTree(root: number): ProcessEntry[] {
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => processEntry(Number(name)) ?? [])
  const found = all.filter((entry) => entry.pid === root)
  for (let at = 0; at < found.length; at++) {
    found.push(...all.filter((entry) => entry.parent === found[at]!.pid))
  }
  return found
}

function pssKib(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8').match(/^Pss:\s+(\d+)/m)?.[1] ?? 0)
  } catch {
    return 0
  }
}

/** `/usr/bin/chromium` may be a script; the browser is the process without `--type` that has this profile. */
function mainProcess(profile: string, started: number): number {
  for (const { pid } of processTree(started)) {
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8')
    if (command.includes(`--user-data-dir=${profile}\0`) && !command.includes('--type=')) return pid
  }
  throw new Error(`no Chromium runs on the profile ${profile}`)
}

export function startBrowser(profile: string, url: string): Browser {
  const child = startChild(PROGRAM, [...FLAGS, `--user-data-dir=${profile}`, url])
  const tree = () => processTree(child.pid)
  return {
    memoryMib: () => tree().reduce((sum, entry) => sum + pssKib(entry.pid), 0) / 1_024,
    cpuSeconds: () => tree().reduce((sum, entry) => sum + entry.cpuTicks, 0) / 100,
    async close() {
      try {
        process.kill(mainProcess(profile, child.pid), 'SIGTERM')
      } catch {
        // It has ended by itself, or was never there.
      }
      await child.stop()
    },
  }
}

/** Samples the memory while `work` runs; answers the peak beyond what the idle page had. */
export async function addedMemoryMib(browser: Browser, work: () => Promise<unknown>): Promise<number> {
  const base = browser.memoryMib()
  let peak = base
  const timer = setInterval(() => {
    peak = Math.max(peak, browser.memoryMib())
  }, 150)
  try {
    await work()
    peak = Math.max(peak, browser.memoryMib())
  } finally {
    clearInterval(timer)
  }
  return peak - base
}
