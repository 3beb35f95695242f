/**
 * Notices when this process's event loop stands still. On a machine that is busy with others a process may not get to
 * run for a while; only the time that it spent computing is its own fault, so a stall counts with the smaller of both.
 */
export interface Stall {
  /** Wall-clock time of its end. */
  atMs: number
  stalledMs: number
  /** How long the loop did not turn; the rest of it was the machine's. */
  gapMs: number
}

const TICK_MS = 10

export function watchStalls(fromMs: number, onStall: (stall: Stall) => void): { skip(): void } {
  let lastMs = performance.now()
  let lastCpu = process.cpuUsage()
  const look = (isCounted: boolean) => {
    const nowMs = performance.now()
    const gapMs = nowMs - lastMs
    const { user, system } = process.cpuUsage(lastCpu)
    const stalledMs = Math.min(gapMs, (user + system) / 1000)
    lastMs = nowMs
    lastCpu = process.cpuUsage()
    if (isCounted && stalledMs >= fromMs) onStall({ atMs: Date.now(), stalledMs, gapMs })
  }
  setInterval(() => look(true), TICK_MS).unref()
  // What the test itself asks for, such as collecting garbage, is no stall.
  return { skip: () => look(false) }
}
