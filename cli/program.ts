/**
 * Runs a program made of commands: finds the command, parses its arguments, turns the outcome into an exit code.
 *
 * Nothing heavy is imported here; each command loads what it needs.
 */

import { nearestName } from '../server/config/nearest-name.ts'
import { findCommand, parseArguments } from './arguments.ts'
import { type Command, EXIT_FAILURE, EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE, UsageError } from './command.ts'
import { report } from './failure.ts'
import { commandHelp, overviewHelp } from './help.ts'
import { createOutput, type Output } from './output.ts'
import { version } from './version.ts'

/** Ends the process with the command's exit code when everything written has left it. */
export async function runProgram(commands: readonly Command[], words: readonly string[]): Promise<never> {
  const output = createOutput({
    stdout: process.stdout,
    stderr: process.stderr,
    onReaderGone: () => process.exit(EXIT_OK),
    onFailure: (error) => {
      report(error, { output, environment: process.env, json: words.includes('--json') }, 'ottla')
      process.stderr.write('', () => process.exit(EXIT_FAILURE))
    },
  })
  let code = EXIT_FAILURE
  try {
    code = await run(commands, words, output)
  } catch (error) {
    output.note(`ottla: ${error instanceof Error ? error.stack : String(error)}`)
  }
  await output.flushed()
  process.exit(code)
}

async function run(commands: readonly Command[], words: readonly string[], output: Output): Promise<number> {
  const first = words[0]
  if (first === undefined || first === '--help' || first === '-h' || first === 'help')
    return help(commands, words.slice(1), output)
  if (first === '--version' || first === '-V') {
    await output.line(version)
    return EXIT_OK
  }
  const json = words.includes('--json')
  const found = findCommand(commands, words)
  if (!found) return unknownCommand(commands, words, output, json)

  const { command, rest } = found
  const context = { output, environment: process.env, json }
  try {
    const parsed = parseArguments(command, rest)
    if (parsed.help) {
      await output.write(commandHelp(command))
      return EXIT_OK
    }
    const start = await command.load()
    return (await start({ ...context, ...parsed, signal: stopSignal() })) ?? EXIT_OK
  } catch (error) {
    return report(error, context, `ottla ${command.name}`)
  }
}

async function help(commands: readonly Command[], words: readonly string[], output: Output): Promise<number> {
  const found = findCommand(commands, words)
  const group = commands.filter((command) => words.length > 0 && command.name.startsWith(`${words[0]} `))
  await output.write(found ? commandHelp(found.command) : overviewHelp(group.length > 0 ? group : commands, version))
  return EXIT_OK
}

/** `ottla topic` alone and `ottla topic --help` explain the group; anything else is a mistake with a suggestion. */
async function unknownCommand(
  commands: readonly Command[],
  words: readonly string[],
  output: Output,
  json: boolean,
): Promise<number> {
  const group = commands.filter((command) => command.name.startsWith(`${words[0]} `))
  if (group.length > 0 && (words.includes('--help') || words.includes('-h'))) return help(commands, words, output)
  const typed = words.slice(0, group.length > 0 ? 2 : 1).join(' ')
  const nearest = nearestName(
    typed,
    commands.map((command) => command.name),
  )
  const choices = group.map((command) => command.name.split(' ')[1]).join(', ')
  const message =
    group.length > 0 && words.length === 1
      ? `${typed} what? Use one of ${choices}`
      : `unknown command '${typed}'${nearest ? `; did you mean '${nearest}'?` : ''}`
  report(new UsageError(message), { output, environment: process.env, json }, 'ottla')
  return EXIT_USAGE
}

/** The first signal asks the command to finish, the second does not ask. */
function stopSignal(): AbortSignal {
  const controller = new AbortController()
  const onSignal = (name: NodeJS.Signals) => {
    if (controller.signal.aborted) process.exit(EXIT_INTERRUPTED)
    controller.abort(new Error(`stopped by ${name}`))
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  return controller.signal
}
