/**
 * Errors as a shell user sees them: one line that names the trouble and the remedy, or one JSON object.
 *
 * Stacks are for bugs only: `OTTLA_DEBUG=1` shows them.
 */

import { errorName } from '../protocol/errors.ts'
import { EXIT_FAILURE, EXIT_USAGE, type Invocation, UsageError } from './command.ts'

/** Where the client's own hint speaks of code, what a shell user would type. */
const SHELL_HINTS: Readonly<Record<string, string>> = {
  TOPIC_EXISTS: 'use it, or pass --if-not-exists',
  UNKNOWN_TOPIC: "'ottla topic list' shows what there is",
  UNKNOWN_PARTITION: "'ottla topic describe' shows the partitions",
  TOO_LARGE: "send smaller records, or raise the topic's max.message.bytes with 'ottla topic alter'",
  UNKNOWN_GROUP: "'ottla group list' shows what there is",
  GROUP_NOT_EMPTY: "stop its members first, or send them out with 'ottla group remove-member'",
  REJECTED: '',
  RELAY: '',
}

interface Told {
  code: string
  message: string
  hint?: string
}

export function report(
  error: unknown,
  { output, environment, json }: Pick<Invocation, 'output' | 'environment' | 'json'>,
  helpCommand: string,
): number {
  const isUsage = error instanceof UsageError || nameOf(error) === 'ConfigError'
  const told = tell(error)
  output.endProgress()
  if (json) output.note(JSON.stringify({ error: told }))
  else {
    output.note(`ottla: ${told.message}${told.hint ? ` (${told.hint})` : ''}`)
    if (isUsage) output.note(`Try: ${helpCommand} --help`)
  }
  if (environment.OTTLA_DEBUG && error instanceof Error) output.note(error.stack ?? '')
  return isUsage ? EXIT_USAGE : EXIT_FAILURE
}

function tell(error: unknown): Told {
  if (!(error instanceof Error)) return { code: 'ERROR', message: String(error) }
  const { code, hint, kafkaCode } = error as Error & { code?: unknown; hint?: unknown; kafkaCode?: unknown }
  const shownHint = (typeof code === 'string' ? SHELL_HINTS[code] : undefined) ?? hint
  const system = systemMessage(error as NodeJS.ErrnoException)
  return {
    code: typeof code === 'string' ? code : error.name === 'UsageError' ? 'USAGE' : error.name,
    message: system ?? inWords(firstLine(error.message), kafkaCode),
    ...(typeof shownHint === 'string' && shownHint !== '' ? { hint: shownHint } : {}),
  }
}

/** Node's own wording (`ENOENT: no such file or directory, open '…'`) turned into a sentence. */
function systemMessage(error: NodeJS.ErrnoException): string | undefined {
  switch (error.code) {
    case 'LOCKED':
      return `data folder ${error.path} is in use by another relay; stop it, or choose another --data folder`
    case 'EADDRINUSE':
      return `${error.message}; choose another --${(error as { option?: string }).option}, or 0 for a free one`
    case 'EADDRNOTAVAIL':
      return 'the address given by --host does not belong to this machine'
    case 'EACCES':
    case 'EPERM':
      return error.path ? `${error.path}: permission denied` : `permission denied: ${error.message}`
    case 'ENOENT':
      return error.path ? `${error.path}: no such file or folder` : undefined
    case 'ENOSPC':
      return `${error.path ?? 'the disk'}: no space left`
    case 'EISDIR':
      return `${error.path ?? 'the path'} is a folder, a file is needed`
    default:
      return undefined
  }
}

/** The client, whose pages are small, knows Kafka's errors by number alone. */
function inWords(message: string, kafkaCode: unknown): string {
  if (typeof kafkaCode !== 'number') return message
  const name = errorName(kafkaCode)
  return message.replace(` (Kafka error ${kafkaCode})`, message.includes(name) ? '' : ` (${name})`)
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? ''
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : ''
}
