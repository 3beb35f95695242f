/**
 * A browser of any engine on a profile folder, started as a plain process on an address: no driver, no DevTools, which would
 * be what is measured. And what its processes cost in memory and CPU.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { familyOf, signal } from '../../test/browsers/engine/process-tree.ts'
import { demandEngine, type EngineName } from '../../test/browsers/engine/recipes.ts'

/** For the profile to be written; what a page has been told is stored does not need it. */
const CLOSE_MS_MAX = 5_000
const TICKS_PER_S = 100

export interface Browser {
  /** Proportional set size of all its processes. */
  memoryMib(): number
  /** CPU seconds of its processes that still run. */
  cpuSeconds(): number
  close(): Promise<void>
}

const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) endFamily(child)
})

export async function startBrowser(engine: EngineName, profile: string, url: string): Promise<Browser> {
  mkdirSync(profile, { recursive: true })
  const { file, args, environment } = await demandEngine(engine).command(profile, url)
  // A group of its own, so that one signal reaches all its processes.
  const child = spawn(file, args, { detached: true, stdio: 'ignore', env: { ...process.env, ...environment } })
  running.add(child)
  child.once('exit', () => running.delete(child))
  child.once('error', () => running.delete(child))
  const family = () => familyOf(child.pid ?? -1)
  return {
    memoryMib: () => family().reduce((sum, { pid }) => sum + pssKib(pid), 0) / 1_024,
    cpuSeconds: () => family().reduce((sum, { ticks }) => sum + ticks, 0) / TICKS_PER_S,
    async close() {
      if (child.exitCode !== null || child.signalCode !== null) return
      const gone = once(child, 'exit')
      const members = family()
      signal(child.pid!, 'SIGTERM')
      await Promise.race([gone, pause(CLOSE_MS_MAX, undefined, { ref: false })])
      endFamily(child, members)
      await gone
    },
  }
}

/** Some of a browser's processes lead groups of their own. */
function endFamily(child: ChildProcess, members = familyOf(child.pid ?? -1)): void {
  if (child.pid !== undefined) signal(-child.pid, 'SIGKILL')
  for (const { pid } of members) signal(pid, 'SIGKILL')
}

function pssKib(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8').match(/^Pss:\s+(\d+)/m)?.[1] ?? 0)
  } catch {
    return 0
  }
}
