/** `ottla config …`: looking at settings and changing them. */

import type { ConfigChange, ConfigResource } from '../client/node.ts'
import { EXIT_OK, type Invocation, listFlag, switchFlag, UsageError } from './command.ts'
import { configPairs } from './config-pairs.ts'
import { table } from './output.ts'
import { withRelay } from './relay-connection.ts'

const KINDS = { topic: 'topic', group: 'group', broker: 'broker', 'client-metrics': 'clientMetrics' } as const

export async function describeConfig(invocation: Invocation): Promise<number> {
  const { output, json, positionals } = invocation
  const resource = resourceNamed(positionals[0]!)
  const [found] = await withRelay(invocation, ({ admin }) => admin.describeConfigs([resource]))
  const isShown = ({ source }: { source: string }) => switchFlag(invocation, 'all') || source !== 'default'
  const entries = (found?.entries ?? []).filter(isShown)
  if (json)
    await output.json(entries.map(({ name, value, source, isReadOnly }) => ({ name, value, source, isReadOnly })))
  else if (entries.length === 0) output.note('Everything is as by default; --all shows it.')
  else {
    const rows = entries.map(({ name, value, source, isReadOnly }) => [
      ...[name, value ?? '(not told)', source],
      isReadOnly ? 'at start only' : '',
    ])
    await output.write(table(['CONFIGURATION', 'VALUE', 'SET BY', 'CHANGED'], rows))
  }
  return EXIT_OK
}

export async function alterConfig(invocation: Invocation): Promise<number> {
  const { output, json, positionals } = invocation
  const resource = resourceNamed(positionals[0]!)
  const changes: ConfigChange[] = [
    ...Object.entries(configPairs(invocation, 'set')).map(([name, value]) => ({ resource, name, value })),
    ...listFlag(invocation, 'delete').map((name) => ({ resource, name, operation: 'delete' as const })),
  ]
  if (changes.length === 0) throw new UsageError('nothing to change; use --set or --delete')
  const validateOnly = switchFlag(invocation, 'dry-run')
  await withRelay(invocation, ({ admin }) => admin.incrementalAlterConfigs(changes, { validateOnly }))
  if (json) await output.json({ ...resource, altered: !validateOnly })
  else await output.line(validateOnly ? 'That can be done.' : `Altered ${positionals[0]}.`)
  return EXIT_OK
}

/** @throws UsageError */
function resourceNamed(text: string): ConfigResource {
  const at = text.indexOf(':')
  if (at < 0) return { topic: text }
  const kind = KINDS[text.slice(0, at) as keyof typeof KINDS]
  if (kind) return { [kind]: text.slice(at + 1) } as unknown as ConfigResource
  throw new UsageError(`'${text}' is not allowed; use topic:NAME, group:NAME, broker:ID or client-metrics:NAME`)
}
