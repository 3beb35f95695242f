/**
 * Where a command's words go: results to standard output, progress and errors to standard error.
 *
 * Invariants: writes wait for a slow reader instead of piling up; a reader that goes away (`| head`) ends the
 * program quietly with code 0, as shell users expect.
 */

import type { Writable } from 'node:stream'

export interface Output {
  /** Resolves at once while there is room, else when the reader has caught up. */
  write(chunk: string | Uint8Array): Promise<void>
  line(text: string): Promise<void>
  /** One JSON document on one line. */
  json(value: unknown): Promise<void>
  /** To people: standard error. */
  note(text: string): void
  /** Overwrites itself on a terminal, is left out elsewhere. */
  progress(text: string): void
  /** Ends a line that `progress` left open. */
  endProgress(): void
  /** Resolves when everything written has left the process. */
  flushed(): Promise<void>
}

export interface OutputOptions {
  stdout: Writable
  stderr: Writable & { isTTY?: boolean }
  /** Nobody reads any more. */
  onReaderGone(): void
  /** Results cannot be written, to a full disk say. */
  onFailure(error: Error): void
}

export function createOutput({ stdout, stderr, onReaderGone, onFailure }: OutputOptions): Output {
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') onReaderGone()
    else onFailure(error)
  })
  // With standard error closed there is nobody left to tell.
  stderr.on('error', () => {})
  let progressOpen = false

  const write = (chunk: string | Uint8Array): Promise<void> => {
    if (stdout.write(chunk)) return Promise.resolve()
    return new Promise((resolve) => {
      const settle = () => {
        stdout.off('drain', settle)
        stdout.off('close', settle)
        resolve()
      }
      stdout.on('drain', settle)
      stdout.on('close', settle)
    })
  }
  const endProgress = () => {
    if (progressOpen) stderr.write('\n')
    progressOpen = false
  }
  return {
    write,
    line: (text) => write(`${text}\n`),
    json: (value) => write(`${JSON.stringify(value)}\n`),
    note(text) {
      endProgress()
      stderr.write(`${text}\n`)
    },
    progress(text) {
      if (!stderr.isTTY) return
      stderr.write(`\r\x1b[K${text}`)
      progressOpen = true
    },
    endProgress,
    flushed: () => new Promise((resolve) => stdout.write('', () => stderr.write('', () => resolve()))),
  }
}

/** Columns as wide as their widest cell; numbers to the right. */
export function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const widths = head.map((title, column) =>
    rows.reduce((width, row) => Math.max(width, String(row[column] ?? '').length), title.length),
  )
  const layOut = (cells: readonly (string | number)[]) =>
    cells
      .map((cell, column) =>
        typeof cell === 'number' ? String(cell).padStart(widths[column]!) : cell.padEnd(widths[column]!),
      )
      .join('  ')
      .trimEnd()
  return `${[layOut(head), ...rows.map(layOut)].join('\n')}\n`
}
