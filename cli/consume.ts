/**
 * `ottla consume`: records of a topic on standard output.
 *
 * Output is gathered into pieces of OUTPUT_BYTES and written when the reader has room; the client's credit makes the
 * relay wait likewise, so memory stays flat however slow the pipe is. While following, each record appears at once.
 */

import { bytes, type Ottla } from '../client/node.ts'
import { EXIT_OK, type Invocation, listFlag, numberFlag, switchFlag, textFlag, UsageError } from './command.ts'
import { damagedPartitions } from './damaged-partitions.ts'
import { recordPrinter } from './record-format.ts'
import { withRelay } from './relay-connection.ts'
import { parseStartPosition } from './start-position.ts'

const OUTPUT_BYTES = 64 * 1024

export async function consume(invocation: Invocation): Promise<number> {
  const { signal } = invocation
  const follow = switchFlag(invocation, 'follow')
  const count = numberFlag(invocation, 'count', { min: 0 }) ?? Number.POSITIVE_INFINITY
  const print = recordPrinter(textFlag(invocation, 'format') ?? (invocation.json ? 'json' : 'text'))
  const from = parseStartPosition(textFlag(invocation, 'from') ?? (follow ? 'end' : 'beginning'))
  const partitions = partitionsOf(invocation)
  const isolation = isolationOf(invocation)
  const topicName = invocation.positionals[0]!
  const buffer = createBuffer(invocation)
  let printed = 0

  await withRelay(invocation, async (ottla) => {
    const topic = ottla.topic(topicName, { key: bytes, value: bytes })
    if (count === 0) return
    const reader = topic.read({ from, partitions, isolation, follow, signal })
    // Beside the reading, which is not to wait for it; what fails here is told by the reading.
    noteDamage(invocation, ottla, topicName, partitions).catch(() => {})
    try {
      for await (const record of reader) {
        await buffer.add(print(record))
        printed++
        if (printed >= count) break
      }
    } catch (error) {
      // Ctrl-C is how a follow ends.
      if (!signal.aborted) throw error
    } finally {
      await buffer.flush()
      await reader.close()
    }
  })
  return EXIT_OK
}

async function noteDamage({ output }: Invocation, ottla: Ottla, topic: string, partitions: number[] | undefined) {
  for (const partition of await damagedPartitions(ottla, topic, partitions))
    output.note(
      `ottla: partition ${partition} of ${topic} is damaged: its records come once it is repaired (ottla verify)`,
    )
}

function partitionsOf(invocation: Invocation): number[] | undefined {
  const given = listFlag(invocation, 'partition').map((text) => {
    if (/^\d{1,9}$/.test(text)) return Number(text)
    throw new UsageError(`--partition: '${text}' is not allowed; use a whole number, 0 or more`)
  })
  return given.length > 0 ? given : undefined
}

function isolationOf(invocation: Invocation): 'committed' | 'uncommitted' {
  const given = textFlag(invocation, 'isolation') ?? 'committed'
  if (given === 'committed' || given === 'uncommitted') return given
  throw new UsageError(`--isolation: '${given}' is not allowed; use committed or uncommitted`)
}

/**
 * Full pieces leave at once; the rest at the end of the event loop's turn, so that a follower sees each record. One write
 * at a time: what comes meanwhile is gathered, and waits when it is a full piece.
 */
function createBuffer({ output }: Invocation) {
  let pieces: Uint8Array[] = []
  let sizeBytes = 0
  let scheduled = false
  let lastWrite = Promise.resolve()
  const writeGathered = async () => {
    const full = pieces
    pieces = []
    sizeBytes = 0
    if (full.length > 0) await output.write(Buffer.concat(full))
  }
  const flush = () => {
    lastWrite = lastWrite.then(writeGathered)
    return lastWrite
  }
  const flushSoon = () => {
    scheduled = false
    void flush()
  }
  return {
    flush,
    async add(piece: Uint8Array) {
      pieces.push(piece)
      sizeBytes += piece.length
      if (sizeBytes >= OUTPUT_BYTES) await flush()
      else if (!scheduled) {
        scheduled = true
        setImmediate(flushSoon)
      }
    },
  }
}
