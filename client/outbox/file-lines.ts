/** The lines of a file, one at a time: neither the file nor more than one of its lines is ever in memory. */
import { OttlaError } from '../errors.ts'

/** A batch of the largest transaction takes a third of it. */
const LINE_CHARS_MAX = 32 * 1024 * 1024

/** Empty ones are passed over. Rejects INVALID_ARGUMENT when there is a line that nothing of ours would write. */
export async function* linesOf(file: Blob): AsyncGenerator<string> {
  const reader = file.stream().getReader()
  const decoder = new TextDecoder()
  let begun: string[] = []
  let chars = 0
  try {
    for (;;) {
      const { done, value } = await reader.read()
      const [first = '', ...others] = (done ? decoder.decode() : decoder.decode(value, { stream: true })).split('\n')
      begun.push(first)
      for (const next of others) {
        yield* whole(begun)
        begun = [next]
        chars = 0
      }
      chars += begun.at(-1)!.length
      if (chars > LINE_CHARS_MAX) throw tooLong()
      if (done) return yield* whole(begun)
    }
  } finally {
    void reader.cancel().catch(() => {})
  }
}

function* whole(pieces: readonly string[]): Generator<string> {
  const line = pieces.join('')
  if (line !== '') yield line
}

const tooLong = () =>
  new OttlaError('INVALID_ARGUMENT', {
    message: `this is no file of an outbox: a line has over ${LINE_CHARS_MAX} letters`,
  })
