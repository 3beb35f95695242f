/**
 * `ottla topic …`: create, list, describe, alter, delete, through the client's admin API.
 *
 * Arguments are checked before the connection is made, so a mistake never depends on a relay being there.
 */

import type { ConfigEntry, Ottla, OttlaError } from '../client/node.ts'
import { ErrorCode, errorName } from '../protocol/errors.ts'
import { EXIT_OK, type Invocation, listFlag, numberFlag, switchFlag, UsageError } from './command.ts'
import { configPairs } from './config-pairs.ts'
import { isDamaged } from './damaged-partitions.ts'
import { reportEach } from './group.ts'
import { table } from './output.ts'
import { withRelay } from './relay-connection.ts'
import { partitionsNamed } from './topic-selection.ts'

const PARTITIONS_MAX = 10_000
const ALL_RECORDS = -1
/** In the place of an offset that nobody knows. */
const DAMAGED = -1

export async function createTopic(invocation: Invocation): Promise<number> {
  const { output, json, positionals } = invocation
  const name = positionals[0]!
  const topic = { name, partitions: partitionsFlag(invocation), configs: configPairs(invocation) }
  const ifNotExists = switchFlag(invocation, 'if-not-exists')
  const [created] = await withRelay(invocation, (ottla) => ottla.admin.createTopics([topic], { ifNotExists }))
  const { id, partitionCount = 0, isNew = false } = created ?? {}
  if (json) await output.json({ topic: name, created: isNew, ...(isNew ? { id, partitions: partitionCount } : {}) })
  else
    await output.line(isNew ? `Created ${name} with ${count(partitionCount, 'partition')}.` : `${name} exists already.`)
  return EXIT_OK
}

export async function listTopics(invocation: Invocation): Promise<number> {
  const { output, json } = invocation
  const all = await withRelay(invocation, (ottla) => ottla.admin.describeTopics())
  const topics = all
    .filter(({ isInternal }) => !isInternal || switchFlag(invocation, 'internal'))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
  if (json)
    await output.json(topics.map(({ name, id, partitions }) => ({ topic: name, id, partitions: partitions.length })))
  else if (topics.length === 0) output.note('No topics.')
  else {
    const rows = topics.map(({ name, partitions, id }) => [name, partitions.length, id])
    await output.write(table(['TOPIC', 'PARTITIONS', 'ID'], rows))
  }
  return EXIT_OK
}

export async function describeTopic(invocation: Invocation): Promise<number> {
  const { output, json, positionals } = invocation
  const found = await withRelay(invocation, (ottla) => describe(ottla, positionals[0]!))
  if (json) {
    await output.json(found)
    return EXIT_OK
  }
  const rows = found.partitions.map(({ partition, start, end, state }) => {
    const isKnown = start >= 0 && end >= 0
    return [partition, start, isKnown ? end : '-', isKnown ? end - start : '-', state]
  })
  await output.line(`Topic ${found.topic}, id ${found.id}`)
  await output.write(`\n${table(['PARTITION', 'START', 'END', 'OFFSETS', 'STATE'], rows)}`)
  const configs = found.configs.map(({ name, value, source }) => [name, value ?? '', source])
  await output.write(`\n${table(['CONFIGURATION', 'VALUE', 'SET BY'], configs)}`)
  return EXIT_OK
}

async function describe(ottla: Ottla, name: string) {
  const [description] = await ottla.admin.describeTopics([name])
  const { id = '', partitions = [] } = description ?? {}
  const online = partitions.filter(({ errorCode }) => errorCode === 0)
  const offsets = async (spec: 'earliest' | 'latest') => {
    const queries = online.map(({ partition }) => ({ topic: name, partition, spec }))
    const listed = await ottla.admin.listOffsets(queries).settled()
    return new Map(listed.map(({ entry, value, error }) => [entry.partition, value?.offset ?? damageOr(error!)]))
  }
  const [starts, ends, [configs]] = await Promise.all([
    offsets('earliest'),
    offsets('latest'),
    ottla.admin.describeConfigs([{ topic: name }]),
  ])
  return {
    topic: name,
    id,
    partitions: partitions.map(({ partition, errorCode }) => ({
      partition,
      start: starts.get(partition) ?? -1,
      end: ends.get(partition) ?? -1,
      state:
        errorCode !== 0
          ? `offline (Kafka error ${errorCode})`
          : [starts, ends].some((told) => told.get(partition) === DAMAGED)
            ? `offline (${errorName(ErrorCode.KAFKA_STORAGE_ERROR)})`
            : 'online',
    })),
    configs: (configs?.entries ?? []).map(({ name: key, value, source }: ConfigEntry) => ({
      name: key,
      value,
      source,
    })),
  }
}

/** Where a log ends cannot be told behind damage; what there is of the topic can. Throws any other error. */
function damageOr(error: OttlaError): number {
  if (isDamaged(error)) return DAMAGED
  throw error
}

export async function alterTopic(invocation: Invocation): Promise<number> {
  const { output, json, positionals } = invocation
  const name = positionals[0]!
  const resource = { topic: name }
  const partitions = partitionsFlag(invocation)
  const changes = [
    ...Object.entries(configPairs(invocation)).map(([key, value]) => ({ resource, name: key, value })),
    ...listFlag(invocation, 'delete-config').map((key) => ({ resource, name: key, operation: 'delete' as const })),
  ]
  if (changes.length === 0 && partitions === undefined) {
    throw new UsageError('nothing to change; use --config, --delete-config or --partitions')
  }
  await withRelay(invocation, async ({ admin }) => {
    // Configuration first: it is checked as a whole, and partitions once added stay.
    if (changes.length > 0) await admin.alterConfigs(changes)
    if (partitions !== undefined) await admin.createPartitions({ [name]: partitions })
  })
  if (json) await output.json({ topic: name, altered: true })
  else await output.line(`Altered ${name}.`)
  return EXIT_OK
}

/** Everything below an offset; without one, all there is. */
export async function deleteRecords(invocation: Invocation): Promise<number> {
  const beforeOffset = numberFlag(invocation, 'before', { min: 0 }) ?? ALL_RECORDS
  if (beforeOffset === ALL_RECORDS && !switchFlag(invocation, 'all'))
    throw new UsageError('say --before OFFSET, or --all')
  const outcomes = await withRelay(invocation, async ({ admin }) => {
    const partitions = await partitionsNamed(admin, invocation.positionals)
    return admin.deleteRecords(partitions.map((at) => ({ ...at, beforeOffset }))).settled()
  })
  const starts = new Map(outcomes.flatMap(({ entry, value }) => (value ? [[entry, value.logStart]] : [])))
  return reportEach(
    invocation,
    outcomes,
    (entry) => ({ topic: entry.topic, partition: entry.partition, logStart: starts.get(entry) ?? null }),
    (entry) => `${entry.topic}-${entry.partition} begins at ${starts.get(entry)}.`,
  )
}

export async function deleteTopics(invocation: Invocation): Promise<number> {
  const { output, json, positionals: names } = invocation
  const results = await withRelay(invocation, async ({ admin }) => {
    const done: { topic: string; deleted: boolean }[] = []
    for (const topic of names) {
      const deleted = await admin.deleteTopics([topic]).then(
        () => true,
        (error: unknown) => {
          if (switchFlag(invocation, 'if-exists') && isUnknownTopic(error)) return false
          throw error
        },
      )
      done.push({ topic, deleted })
      if (!json) await output.line(deleted ? `Deleted ${topic}.` : `${topic} does not exist.`)
    }
    return done
  })
  if (json) await output.json(results)
  return EXIT_OK
}

function isUnknownTopic(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'UNKNOWN_TOPIC'
}

function partitionsFlag(invocation: Invocation): number | undefined {
  return numberFlag(invocation, 'partitions', { min: 1, max: PARTITIONS_MAX })
}

function count(number: number, word: string): string {
  return `${number} ${word}${number === 1 ? '' : 's'}`
}
