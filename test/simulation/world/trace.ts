/**
 * What happened, as lines and as a hash of all of them. Two runs of a seed are the same run exactly when their hashes are.
 * Lines are kept on request only: thousands of seeds need the hash, one needs to be read.
 */
import type { Scheduler } from './scheduler.ts'

const LINES_MAX = 1_000_000

export class Trace {
  readonly lines: string[] = []
  readonly #scheduler: Scheduler
  readonly #keepsLines: boolean
  #hash = 0x811c9dc5
  #hash2 = 0x9dc5811c

  constructor(scheduler: Scheduler, options: { keepsLines: boolean }) {
    this.#scheduler = scheduler
    this.#keepsLines = options.keepsLines
  }

  add(who: string, what: string): void {
    const line = `${this.#scheduler.now.toFixed(3).padStart(12)}  ${who.padEnd(12)} ${what}`
    this.#mix(line)
    if (this.#keepsLines && this.lines.length < LINES_MAX) this.lines.push(line)
  }

  get hash(): string {
    return hex(this.#hash) + hex(this.#hash2)
  }

  #mix(line: string): void {
    let first = this.#hash
    let second = this.#hash2
    for (let index = 0; index < line.length; index++) {
      const code = line.charCodeAt(index)
      first = Math.imul(first ^ code, 0x01000193)
      second = Math.imul(second ^ code, 0x85ebca6b) ^ (second >>> 13)
    }
    this.#hash = first
    this.#hash2 = second
  }
}

const hex = (hash: number): string => (hash >>> 0).toString(16).padStart(8, '0')
