/**
 * What a command is: its words, flags and examples as data, its work behind a dynamic import.
 *
 * Help, argument parsing and suggestions are all made from these tables, so they cannot disagree. Loading on
 * demand keeps `ottla serve` from paying for the client and `ottla consume` for the relay.
 */

import type { Output } from './output.ts'

export interface Flag {
  name: string
  short?: string
  /** The placeholder in help (`N`, `FILE`); absent for a switch. */
  value?: string
  repeatable?: boolean
  doc: string
  /** Shown in help; the command applies it. */
  default?: string
}

export interface Positional {
  name: string
  optional?: boolean
  repeatable?: boolean
}

export interface Command {
  /** As typed after `ottla`: `serve`, `topic create`. */
  name: string
  summary: string
  detail?: string
  positionals: readonly Positional[]
  flags: readonly Flag[]
  examples: readonly string[]
  load(): Promise<CommandRun>
}

/** Resolves to the exit code; nothing means 0. */
export type CommandRun = (invocation: Invocation) => Promise<number | undefined>

export interface Invocation {
  positionals: readonly string[]
  /** A switch is `true`, a repeatable flag an array, anything else a text. Absent when not given. */
  flags: Readonly<Record<string, string | boolean | readonly string[] | undefined>>
  environment: Readonly<Record<string, string | undefined>>
  output: Output
  /** Aborted by the first Ctrl-C or SIGTERM; a second one ends the process at once. */
  signal: AbortSignal
  json: boolean
}

/** The command was called wrongly: exit code 2 and a pointer to its help. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'UsageError'
  }
}

export const EXIT_OK = 0
export const EXIT_FAILURE = 1
export const EXIT_USAGE = 2
/** What a shell reports of a program that Ctrl-C ended: 128 + SIGINT. */
export const EXIT_INTERRUPTED = 130

export function textFlag(invocation: Invocation, name: string): string | undefined {
  const value = invocation.flags[name]
  return typeof value === 'string' ? value : undefined
}

export function switchFlag(invocation: Invocation, name: string): boolean {
  return invocation.flags[name] === true
}

export function listFlag(invocation: Invocation, name: string): readonly string[] {
  const value = invocation.flags[name]
  if (Array.isArray(value)) return value as readonly string[]
  return typeof value === 'string' ? [value] : []
}

/** @throws UsageError unless the flag is absent or a whole number in range. */
export function numberFlag(
  invocation: Invocation,
  name: string,
  { min, max = Number.MAX_SAFE_INTEGER }: { min: number; max?: number },
): number | undefined {
  const raw = textFlag(invocation, name)
  if (raw === undefined) return undefined
  const value = /^[+-]?\d+$/.test(raw.trim()) ? Number(raw) : Number.NaN
  if (Number.isSafeInteger(value) && value >= min && value <= max) return value
  const range = max === Number.MAX_SAFE_INTEGER ? `${min} or more` : `${min} to ${max}`
  throw new UsageError(`--${name}: '${raw}' is not allowed; use a whole number, ${range}`)
}
