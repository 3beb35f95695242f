/**
 * What happened, as lines and as a hash of all of them. Two runs of a seed are the same run exactly when their hashes are.
 * Lines are kept on request only: thousands of seeds need the hash, one needs to be read.
 */
import type { Scheduler } from './scheduler.ts'

const LINES_MAX = 1_000_000
const PRIME = 0x01000193

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
    const { now } = this.#scheduler
    // To the microsecond, as it is printed.
    this.#hash = Math.imul(this.#hash ^ Math.round(now * 1_000), PRIME)
    this.#mix(who)
    this.#mix(what)
    if (!this.#keepsLines || this.lines.length >= LINES_MAX) return
    this.lines.push(`${now.toFixed(3).padStart(12)}  ${who.padEnd(12)} ${what}`)
  }

  get hash(): string {
    return hex(this.#hash) + hex(this.#hash2)
  }

  #mix(text: string): void {
    let first = this.#hash
    let second = this.#hash2
    for (let index = 0; index < text.length; index++) {
      const code = text.charCodeAt(index)
      first = Math.imul(first ^ code, PRIME)
      second = Math.imul(second ^ code, 0x85ebca6b) ^ (second >>> 13)
    }
    this.#hash = first
    this.#hash2 = second
  }
}

const hex = (hash: number): string => (hash >>> 0).toString(16).padStart(8, '0')
