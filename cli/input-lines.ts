/**
 * Lines of standard input or of a file, as they come.
 *
 * A line longer than LINE_BYTES_MAX is refused instead of being gathered in memory: no relay would take it.
 */

import { createReadStream } from 'node:fs'
import type { Readable } from 'node:stream'

const LINE_BYTES_MAX = 64 * 1024 * 1024
const READ_BYTES = 64 * 1024
const NEWLINE = 10
const RETURN = 13

/** `-` and nothing mean standard input. A file that cannot be read is told to whoever reads, which may be a while later. */
export function openInput(path: string | undefined): Readable {
  if (path === undefined || path === '-') return process.stdin
  return createReadStream(path, { highWaterMark: READ_BYTES }).on('error', () => {})
}

/**
 * Lines as they arrive: all that one read brought come together, so that a pipe costs one step for thousands of them.
 * Ends without error when `signal` aborts. A last line without newline counts; `\r\n` ends a line as well.
 *
 * @throws Error when a line is too long.
 */
export async function* linesOf(input: Readable, signal: AbortSignal): AsyncIterable<string[]> {
  const onAbort = () => input.destroy()
  signal.addEventListener('abort', onAbort, { once: true })
  let pieces: Buffer[] = []
  let pieceBytes = 0
  try {
    for await (const chunk of input) {
      const lines: string[] = []
      let from = 0
      const bytes = chunk as Buffer
      for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, from)) {
        pieces.push(bytes.subarray(from, at))
        lines.push(textOf(pieces))
        pieces = []
        pieceBytes = 0
        from = at + 1
      }
      if (from < bytes.length) pieces.push(bytes.subarray(from))
      pieceBytes += bytes.length - from
      if (lines.length > 0) yield lines
      if (pieceBytes > LINE_BYTES_MAX) throw new Error(`input has a line longer than ${LINE_BYTES_MAX} bytes`)
    }
  } catch (error) {
    // Destroying a stream that is being read makes the loop throw; that was the wish.
    if (!signal.aborted) throw error
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
  if (pieces.length > 0 && !signal.aborted) yield [textOf(pieces)]
}

function textOf(pieces: Buffer[]): string {
  const line = pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces)
  return line.toString('utf8', 0, line.at(-1) === RETURN ? line.length - 1 : line.length)
}
