/** `ottla group reset-offsets`: what would be done, or doing it. */

import { readFileSync } from 'node:fs'
import type { NewOffset, Outcome, ResetOffset, ResetTarget, TopicPartition } from '../client/node.ts'
import {
  EXIT_FAILURE,
  EXIT_OK,
  type Invocation,
  listFlag,
  numberFlag,
  switchFlag,
  textFlag,
  UsageError,
} from './command.ts'
import { isShareGroup } from './group.ts'
import { table } from './output.ts'
import { withRelay } from './relay-connection.ts'
import { partitionsNamed } from './topic-selection.ts'

export async function resetOffsets(invocation: Invocation): Promise<number> {
  const { output, json } = invocation
  const [group] = invocation.positionals as [string]
  const named = listFlag(invocation, 'topic')
  const dryRun = !switchFlag(invocation, 'execute')
  if (!dryRun && switchFlag(invocation, 'dry-run')) throw new UsageError('say --dry-run or --execute, not both')
  if (named.length > 0 && switchFlag(invocation, 'all-topics'))
    throw new UsageError('say --topic or --all-topics, not both')
  const to = targetOf(invocation)
  const outcomes = await withRelay(invocation, async ({ admin }) => {
    const partitions = await partitionsNamed(admin, named)
    const options = { to, partitions, dryRun }
    return (await isShareGroup(admin, group))
      ? admin.resetShareGroupOffsets(group, options).settled()
      : admin.resetConsumerGroupOffsets(group, options).settled()
  })
  const done = outcomes.flatMap(({ value }) => (value ? [value] : []))
  if (switchFlag(invocation, 'export')) {
    for (const { topic, partition, to: offset } of done) await output.line(`${topic},${partition},${offset}`)
  } else if (json) await output.json({ group, executed: !dryRun, offsets: outcomes.map(told) })
  else if (outcomes.length === 0) output.note(`${group} has committed nothing; say --topic.`)
  else {
    const rows = done.map(({ topic, partition, from, to: offset }) => [topic, partition, from ?? '-', offset])
    await output.write(table(['TOPIC', 'PARTITION', 'FROM', 'TO'], rows))
    if (dryRun) output.note('Nothing was changed; --execute does it.')
  }
  for (const { error } of outcomes) if (error) output.note(`ottla: ${error.message}`)
  return outcomes.some(({ error }) => error) ? EXIT_FAILURE : EXIT_OK
}

function told({ entry, value, error }: Outcome<TopicPartition, ResetOffset>): object {
  return value ?? { ...entry, error: { code: error!.code, message: error!.message } }
}

/** @throws UsageError unless exactly one place is said. */
function targetOf(invocation: Invocation): ResetTarget {
  const targets = Object.entries(TARGETS).filter(([flag]) => invocation.flags[flag] !== undefined)
  if (targets.length !== 1) {
    const said = targets.length === 0 ? 'where to is missing' : 'say one place only'
    throw new UsageError(
      `${said}: ${Object.keys(TARGETS)
        .map((flag) => `--${flag}`)
        .join(', ')}`,
    )
  }
  return targets[0]![1](invocation)
}

const TARGETS: Readonly<Record<string, (invocation: Invocation) => ResetTarget>> = {
  'to-earliest': () => 'earliest',
  'to-latest': () => 'latest',
  'to-current': () => 'current',
  'to-datetime': (invocation) => ({ timestamp: parseTime(textFlag(invocation, 'to-datetime') ?? '') }),
  'by-duration': (invocation) => ({ durationMs: parseDuration(textFlag(invocation, 'by-duration') ?? '') }),
  'shift-by': (invocation) => ({ shiftBy: numberFlag(invocation, 'shift-by', { min: Number.MIN_SAFE_INTEGER }) ?? 0 }),
  'to-offset': (invocation) => ({ offset: numberFlag(invocation, 'to-offset', { min: 0 }) ?? 0 }),
  'from-file': (invocation) => ({
    offsets: parseOffsets(readFileSync(textFlag(invocation, 'from-file') ?? '', 'utf8')),
  }),
}

/** @throws UsageError */
function parseTime(text: string): number {
  const timeMs = /^\d+$/.test(text) ? Number(text) : Date.parse(text)
  if (Number.isSafeInteger(timeMs)) return timeMs
  throw new UsageError(`--to-datetime: '${text}' is not allowed; use 2024-05-01T00:00:00Z, or milliseconds`)
}

const ISO_SPAN = /^P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?$/
const SHORT_SPAN = /^(\d+)(ms|s|m|h|d)$/
const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** @throws UsageError */
export function parseDuration(text: string): number {
  const [, count, unit] = SHORT_SPAN.exec(text) ?? []
  if (count && unit) return Number(count) * UNITS[unit]!
  const [whole, ...parts] = ISO_SPAN.exec(text) ?? []
  if (whole && parts.some((part) => part !== undefined)) {
    const [days = 0, hours = 0, minutes = 0, seconds = 0] = parts.map((part) => Number(part ?? 0))
    return ((days * 24 + hours) * 60 + minutes) * 60_000 + Math.round(seconds * 1000)
  }
  throw new UsageError(`--by-duration: '${text}' is not allowed; use P1DT2H30M, or 90s, 15m, 12h, 7d`)
}

/** @throws UsageError naming the line. Quotes as Kafka's own export has them are taken off. */
export function parseOffsets(text: string): NewOffset[] {
  const lines = text.split(/\r?\n/).map((line) => line.trim())
  return lines.flatMap((line, index) => {
    if (line === '' || line.startsWith('#')) return []
    const [topic = '', partition = '', offset = '', ...more] = line.split(',').map((part) => part.replace(/^"|"$/g, ''))
    if (topic !== '' && /^\d+$/.test(partition) && /^\d+$/.test(offset) && more.length === 0)
      return [{ topic, partition: Number(partition), offset: Number(offset) }]
    throw new UsageError(`--from-file, line ${index + 1}: '${line}' is not allowed; use topic,partition,offset`)
  })
}
