/** `ottla dead-letters …`: what a group could not do with the records of a topic, and sending it once more. */

import { type DeadLetter, type DeadLetters, OttlaError } from '../client/node.ts'
import { EXIT_FAILURE, EXIT_OK, type Invocation, listFlag, switchFlag, textFlag, UsageError } from './command.ts'
import { table } from './output.ts'
import { jsonRecord, readable, timeText } from './record-format.ts'
import { withRelay } from './relay-connection.ts'

/** A reason in a table is cut here; `show` and --json have it whole. */
const REASON_LENGTH = 60

export async function listLetters(invocation: Invocation): Promise<number> {
  const { output, json } = invocation
  const all = switchFlag(invocation, 'all')
  const wanted = chosenBy(invocation)
  const letters = await withLetters(invocation, (found) =>
    gathered(found, (letter) => (all || !letter.isReplayed) && wanted(letter)),
  )
  if (json) await output.json(letters.map(plain))
  else if (letters.length === 0) output.note('No dead letters.')
  else await output.write(letterTable(letters))
  return EXIT_OK
}

export async function showLetter(invocation: Invocation): Promise<number> {
  const { output, json } = invocation
  const place = placeIn(invocation.positionals[2]!, 'LETTER')
  const [letter] = await withLetters(invocation, (found) => gathered(found, (each) => placeOf(each) === place))
  if (!letter) {
    output.note(`There is no dead letter at ${place}.`)
    return EXIT_FAILURE
  }
  if (json) await output.json(plain(letter))
  else await output.write(described(letter))
  return EXIT_OK
}

export async function replayLetters(invocation: Invocation): Promise<number> {
  const { output, json } = invocation
  const again = switchFlag(invocation, 'again')
  const isExecuted = switchFlag(invocation, 'execute')
  const wanted = chosenBy(invocation)
  const chosen: DeadLetter[] = []
  const where = (letter: DeadLetter) => {
    if (wanted(letter) && (again || !letter.isReplayed)) chosen.push(letter)
    return chosen.at(-1) === letter
  }
  await withLetters<unknown>(invocation, (found) =>
    isExecuted ? found.replay({ where, again }) : gathered(found, where),
  )
  if (json) await output.json({ executed: isExecuted, letters: chosen.map(plain) })
  else if (chosen.length === 0) output.note('No dead letters.')
  else await output.write(letterTable(chosen))
  if (!json && !isExecuted && chosen.length > 0) output.note('Nothing was sent; --execute does it.')
  return EXIT_OK
}

/** A group that never gave up a record has no such topic, which is no failure. */
async function withLetters<T>(invocation: Invocation, work: (letters: DeadLetters) => Promise<T>): Promise<T | []> {
  const [group, topic] = invocation.positionals as [string, string]
  return withRelay(invocation, async (ottla) => {
    try {
      return await work(await ottla.group(group).deadLetters(topic, textFlag(invocation, 'dead-letter-topic')))
    } catch (error) {
      if (error instanceof OttlaError && error.code === 'UNKNOWN_TOPIC') return []
      throw error
    }
  })
}

async function gathered(letters: DeadLetters, where: (letter: DeadLetter) => boolean): Promise<DeadLetter[]> {
  const found: DeadLetter[] = []
  for await (const letter of letters.list()) if (where(letter)) found.push(letter)
  return found
}

/** @throws UsageError */
function chosenBy(invocation: Invocation): (letter: DeadLetter) => boolean {
  const codes = new Set(listFlag(invocation, 'code'))
  const places = new Set(listFlag(invocation, 'letter').map((text) => placeIn(text, '--letter')))
  return (letter) => (codes.size === 0 || codes.has(letter.code)) && (places.size === 0 || places.has(placeOf(letter)))
}

/** @throws UsageError */
function placeIn(text: string, what: string): string {
  if (/^\d{1,9}:\d{1,15}$/.test(text)) return text
  throw new UsageError(`${what}: '${text}' is not allowed; use PARTITION:OFFSET, as list prints it`)
}

const placeOf = ({ partition, offset }: DeadLetter) => `${partition}:${offset}`
const originOf = ({ origin }: DeadLetter) => `${origin.topic}-${origin.partition}@${origin.offset}`

function letterTable(letters: readonly DeadLetter[]): string {
  const rows = letters.map((letter) => [
    ...[placeOf(letter), timeText(letter.timestamp), originOf(letter), letter.attempts, letter.code],
    ...[oneLine(letter.message), letter.isReplayed ? 'yes' : '-'],
  ])
  return table(['LETTER', 'DIED', 'ORIGIN', 'ATTEMPTS', 'CODE', 'REASON', 'REPLAYED'], rows)
}

function described(letter: DeadLetter): string {
  const { key, value, headers } = letter
  const lines = [
    `Dead letter ${placeOf(letter)} of ${letter.topic}`,
    `  origin    ${originOf(letter)}, written ${timeText(letter.origin.timestamp)}`,
    `  group     ${letter.group}`,
    `  died      ${timeText(letter.timestamp)}, after ${letter.attempts} attempts`,
    `  reason    ${letter.code}: ${letter.message}`,
    `  replayed  ${letter.isReplayed ? 'yes' : 'no'}`,
    `  key       ${shown(readable(key))}`,
    `  value     ${shown(readable(value))}`,
    ...headers.map((header) => `  header    ${header.key}=${shown(readable(header.value))}`),
  ]
  return `${lines.join('\n')}\n`
}

const shown = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value))

function oneLine(text: string): string {
  const flat = text.replace(/\s+/g, ' ')
  return flat.length > REASON_LENGTH ? `${flat.slice(0, REASON_LENGTH - 1)}…` : flat
}

function plain(letter: DeadLetter): Record<string, unknown> {
  const { origin, group, code, message, attempts, isReplayed } = letter
  return { ...jsonRecord(letter), origin, group, code, message, attempts, isReplayed }
}
