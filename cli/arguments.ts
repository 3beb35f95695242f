/**
 * From argument words to a command and its flags, with errors that say what was probably meant.
 */

import { parseArgs } from 'node:util'
import { nearestName } from '../server/config/nearest-name.ts'
import { type Command, type Flag, type Invocation, UsageError } from './command.ts'

export const COMMON_FLAGS: readonly Flag[] = [
  { name: 'help', short: 'h', doc: 'Show this help.' },
  { name: 'json', doc: 'Answer in JSON, for programs.' },
]

/** The command whose words begin the arguments, and the rest; undefined when none does. */
export function findCommand(
  commands: readonly Command[],
  words: readonly string[],
): { command: Command; rest: string[] } | undefined {
  for (const length of [2, 1]) {
    const name = words.slice(0, length).join(' ')
    const command = commands.find((candidate) => candidate.name === name)
    if (command) return { command, rest: words.slice(length) }
  }
  return undefined
}

/** @throws UsageError for unknown flags, missing values and wrong numbers of arguments. */
export function parseArguments(
  command: Command,
  words: readonly string[],
): Pick<Invocation, 'flags' | 'positionals'> & { help: boolean } {
  const flags = [...command.flags, ...COMMON_FLAGS]
  const options = Object.fromEntries(
    flags.map((flag) => [
      flag.name,
      {
        type: flag.value ? ('string' as const) : ('boolean' as const),
        multiple: flag.repeatable === true,
        ...(flag.short ? { short: flag.short } : {}),
      },
    ]),
  )
  let parsed: ReturnType<typeof parseArgs>
  try {
    parsed = parseArgs({ args: [...joinNegativeValues(words)], options, allowPositionals: true, strict: true })
  } catch (error) {
    throw new UsageError(
      explain(
        error as Error,
        flags.map((flag) => flag.name),
      ),
    )
  }
  const help = parsed.values.help === true
  if (!help) checkCount(command, parsed.positionals)
  return { flags: parsed.values as Invocation['flags'], positionals: parsed.positionals, help }
}

/** `--retention -1` is refused by parseArgs as ambiguous; a number is never a flag here. */
function* joinNegativeValues(words: readonly string[]): Iterable<string> {
  for (let index = 0; index < words.length; index++) {
    const word = words[index]!
    const next = words[index + 1]
    if (word.startsWith('--') && !word.includes('=') && next !== undefined && /^-\d/.test(next)) {
      yield `${word}=${next}`
      index++
    } else {
      yield word
    }
  }
}

function checkCount(command: Command, given: readonly string[]): void {
  const required = command.positionals.filter((positional) => !positional.optional)
  const missing = required[given.length]
  if (missing) throw new UsageError(`${missing.name} is missing`)
  const last = command.positionals.at(-1)
  if (!last?.repeatable && given.length > command.positionals.length) {
    throw new UsageError(`'${given[command.positionals.length]}' is one argument too many`)
  }
}

function explain(error: Error, known: readonly string[]): string {
  const unknown = /^Unknown option '(-[^']*)'/.exec(error.message)?.[1]
  if (!unknown) return error.message.split('. ')[0]!
  const nearest = nearestName(unknown, known)
  return `unknown flag ${unknown}${nearest ? `; did you mean --${nearest}?` : ''}`
}
