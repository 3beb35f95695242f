/** How far a long copy is: a line that overwrites itself on a terminal, elsewhere a line every five seconds. */

import type { Output } from './output.ts'

const PLAIN_EVERY_MS = 5000
const SHOWN_EVERY_MS = 100

export class CopyProgress {
  readonly #output: Output
  readonly #totalBytes: number
  readonly #startedAtMs = performance.now()
  readonly #startedAtBytes: number
  #bytes: number
  #shownAtMs = 0

  /** `doneBytes`: from an earlier run. */
  constructor(output: Output, totalBytes: number, doneBytes = 0) {
    this.#output = output
    this.#totalBytes = totalBytes
    this.#bytes = doneBytes
    this.#startedAtBytes = doneBytes
  }

  add(bytes: number): void {
    this.#bytes += bytes
    const nowMs = performance.now()
    const everyMs = process.stderr.isTTY ? SHOWN_EVERY_MS : PLAIN_EVERY_MS
    if (nowMs - (this.#shownAtMs || this.#startedAtMs) < everyMs) return
    this.#shownAtMs = nowMs
    if (process.stderr.isTTY) this.#output.progress(this.#text(nowMs))
    else this.#output.note(this.#text(nowMs))
  }

  #text(nowMs: number): string {
    const perS = (this.#bytes - this.#startedAtBytes) / ((nowMs - this.#startedAtMs) / 1000)
    const leftS = Math.ceil((this.#totalBytes - this.#bytes) / Math.max(1, perS))
    const percent = Math.floor((100 * this.#bytes) / Math.max(1, this.#totalBytes))
    return `${percent} % of ${sizeText(this.#totalBytes)}, ${sizeText(perS)}/s, ${leftS} s left`
  }
}

export function sizeText(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10))
  return `${(bytes / 1024 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`
}
