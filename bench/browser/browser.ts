/** A Chromium of our own on a profile folder, and what its process tree costs in memory and CPU. */
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { chromium, type Page } from 'playwright-core'

const PROGRAM = '/usr/bin/chromium'
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-dev-shm-usage',
  '--no-first-run',
]
/** A browser that has just started still does work of its own. */
const SETTLE_MS = 1_000

export interface Browser {
  open(url: string): Promise<Page>
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

/** The browser's main process: the one with this profile and no `--type`. */
function mainProcess(profile: string): number {
  for (const name of readdirSync('/proc').filter((candidate) => /^\d+$/.test(candidate))) {
    try {
      const command = readFileSync(`/proc/${name}/cmdline`, 'utf8')
      const parts = command.split('\0')
      const isBrowser = parts.includes(`--user-data-dir=${profile}`) && !command.includes('--type=')
      if (isBrowser && !parts[0]!.endsWith('sh')) return Number(name)
    } catch {}
  }
  throw new Error(`no Chromium runs on the profile ${profile}`)
}

export async function startBrowser(profile: string): Promise<Browser> {
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: PROGRAM,
    headless: true,
    args: FLAGS,
    timeout: 30_000,
  })
  const root = mainProcess(profile)
  await pause(SETTLE_MS)
  return {
    async open(url) {
      const page = await context.newPage()
      page.on('pageerror', (error) => process.stderr.write(`${url}: ${error.message}\n`))
      await page.goto(url, { waitUntil: 'load' })
      return page
    },
    memoryMib: () => processTree(root).reduce((sum, entry) => sum + pssKib(entry.pid), 0) / 1_024,
    cpuSeconds: () => processTree(root).reduce((sum, entry) => sum + entry.cpuTicks, 0) / 100,
    close: () => context.close(),
  }
}

/** Samples the memory while `work` runs; answers the peak beyond what the idle page had. */
export async function addedMemoryMib(browser: Browser, work: () => Promise<unknown>): Promise<number> {
  await pause(SETTLE_MS)
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
