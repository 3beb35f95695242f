/**
 * Help texts, laid out from the command tables.
 */

import { COMMON_FLAGS } from './arguments.ts'
import type { Command, Flag } from './command.ts'

const WIDTH = 100

export function overviewHelp(commands: readonly Command[], version: string): string {
  const rows = commands.map((command) => [command.name, command.summary] as const)
  return [
    `Ottla ${version}: a partitioned, replayable log over WebSockets.`,
    '',
    'Usage: ottla COMMAND [ARGUMENT...]',
    '',
    'Commands:',
    ...columns(rows),
    '',
    'ottla COMMAND --help explains one command. Exit codes: 0 done, 1 failed, 2 called wrongly.',
    'OTTLA_URL sets the relay to talk to (default ws://127.0.0.1:8092).',
    '',
  ].join('\n')
}

export function commandHelp(command: Command): string {
  const flags: Flag[] = [...command.flags, ...COMMON_FLAGS]
  const places = command.positionals.map((positional) => {
    const dots = positional.repeatable ? '...' : ''
    return positional.optional ? `[${positional.name}${dots}]` : `${positional.name}${dots}`
  })
  return [
    command.summary,
    '',
    `Usage: ottla ${[command.name, ...places, '[FLAG...]'].join(' ')}`,
    ...(command.detail ? ['', ...wrap(command.detail, WIDTH)] : []),
    '',
    'Flags:',
    ...columns(flags.map((flag) => [flagWords(flag), flagDoc(flag)] as const)),
    '',
    'Examples:',
    ...command.examples.map((example) => `  ${example}`),
    '',
  ].join('\n')
}

function flagWords(flag: Flag): string {
  const short = flag.short ? `-${flag.short}, ` : '    '
  return `${short}--${flag.name}${flag.value ? ` ${flag.value}` : ''}`
}

function flagDoc(flag: Flag): string {
  const more = flag.repeatable ? ' May be repeated.' : ''
  return `${flag.doc}${more}${flag.default === undefined ? '' : ` Default: ${flag.default}.`}`
}

function columns(rows: readonly (readonly [string, string])[]): string[] {
  const left = Math.min(34, Math.max(...rows.map(([words]) => words.length)))
  return rows.flatMap(([words, doc]) => {
    const lines = wrap(doc, WIDTH - left - 4)
    const tooWide = words.length > left
    const first = tooWide ? [`  ${words}`] : []
    return [
      ...first,
      ...lines.map((line, index) => `  ${(index === 0 && !tooWide ? words : '').padEnd(left)}  ${line}`),
    ]
  })
}

function wrap(paragraph: string, width: number): string[] {
  return paragraph.split('\n').flatMap((part) => {
    const lines: string[] = []
    let line = ''
    for (const word of part.split(' ')) {
      if (line && line.length + 1 + word.length > width) {
        lines.push(line)
        line = word
      } else {
        line = line ? `${line} ${word}` : word
      }
    }
    return [...lines, line]
  })
}
