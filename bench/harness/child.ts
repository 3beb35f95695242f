/** Child processes: started with every descriptor the system allows, their lines awaited with a deadline, always ended. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'

export interface Child {
  readonly pid: number
  /** Instant of the start, on the monotonic clock that the load client uses too. */
  readonly startedNs: bigint
  /** The first line, past or future, that `wanted` accepts. */
  line(wanted: (line: string) => boolean, withinMs: number): Promise<string>
  /** Writes to standard input. */
  write(text: string): void
  endInput(): void
  /** Asks with `signal`, insists with SIGKILL after 10 s; resolves when the process is gone. */
  stop(signal?: NodeJS.Signals): Promise<void>
  /** Resolves with the exit code; rejects past the deadline, after ending the process. */
  ended(withinMs: number): Promise<number>
  output(): string
}

const KEPT_LINES = 400
const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

export function startChild(command: string, args: string[], environment: Record<string, string> = {}): Child {
  const startedNs = process.hrtime.bigint()
  // exec: the shell only raises the limit, the process id is the command's own.
  const child = spawn('/bin/sh', ['-c', 'ulimit -n "$(ulimit -Hn)"; exec "$@"', 'sh', command, ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, ...environment },
  })
  running.add(child)
  const lines: string[] = []
  const waiting = new Set<() => void>()
  const keep = (line: string) => {
    lines.push(line)
    if (lines.length > KEPT_LINES) lines.shift()
    for (const look of waiting) look()
  }
  createInterface(child.stdout).on('line', keep)
  createInterface(child.stderr).on('line', keep)
  child.stdin.on('error', () => {})
  child.on('error', (error) => keep(`could not start ${command}: ${error.message}`))
  const exit = once(child, 'close').then(([code]) => {
    running.delete(child)
    for (const look of waiting) look()
    return typeof code === 'number' ? code : -1
  })
  const tail = () => lines.slice(-20).join('\n')

  return {
    pid: child.pid ?? -1,
    startedNs,
    output: tail,
    write: (text) => void child.stdin.write(text),
    endInput: () => void child.stdin.end(),
    line: (wanted, withinMs) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => finish(), withinMs)
        const finish = (found?: string) => {
          clearTimeout(timer)
          waiting.delete(look)
          if (found !== undefined) resolve(found)
          else reject(new Error(`${command} did not print what was awaited within ${withinMs} ms:\n${tail()}`))
        }
        const look = () => {
          const found = lines.find(wanted)
          if (found !== undefined || child.exitCode !== null) finish(found)
        }
        waiting.add(look)
        look()
      }),
    async stop(signal = 'SIGTERM') {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill(signal)
      const insist = setTimeout(() => child.kill('SIGKILL'), 10_000)
      await exit
      clearTimeout(insist)
    },
    async ended(withinMs) {
      let late: NodeJS.Timeout | undefined
      const deadline = new Promise<never>((_, reject) => {
        late = setTimeout(() => {
          child.kill('SIGKILL')
          reject(new Error(`${command} ${args[0] ?? ''} did not end within ${withinMs} ms:\n${tail()}`))
        }, withinMs)
      })
      try {
        return await Promise.race([exit, deadline])
      } finally {
        clearTimeout(late)
      }
    },
  }
}
