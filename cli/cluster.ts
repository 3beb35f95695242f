/** `ottla cluster describe`, `producers`, `log-dirs`: what a relay, or a Kafka, tells of itself. */

import { EXIT_OK, type Invocation, listFlag, numberFlag, textFlag } from './command.ts'
import { table } from './output.ts'
import { timeText } from './record-format.ts'
import { withRelay } from './relay-connection.ts'
import { partitionsNamed } from './topic-selection.ts'

export async function describeCluster(invocation: Invocation): Promise<number> {
  const { output, json } = invocation
  const found = await withRelay(invocation, async ({ admin }) => ({
    ...(await admin.describeCluster()),
    features: await admin.describeFeatures(),
  }))
  if (json) {
    await output.json(found)
    return EXIT_OK
  }
  await output.line(`Cluster ${found.clusterId}, controlled by broker ${found.controllerId}`)
  const brokers = found.brokers.map(({ brokerId, host, port, rack }) => [brokerId, `${host}:${port}`, rack ?? '-'])
  await output.write(`\n${table(['BROKER', 'ADDRESS', 'RACK'], brokers)}`)
  const features = Object.entries(found.features.finalized).map(([name, { max }]) => [name, max])
  if (features.length > 0) await output.write(`\n${table(['FEATURE', 'LEVEL'], features)}`)
  return EXIT_OK
}

export async function describeProducers(invocation: Invocation): Promise<number> {
  const { output, json, positionals } = invocation
  const producers = await withRelay(invocation, async ({ admin }) =>
    admin.describeProducers(await partitionsNamed(admin, positionals)),
  )
  if (json) await output.json(producers)
  else if (producers.length === 0) output.note('No producers are remembered.')
  else {
    const rows = producers.map((each) => [
      ...[`${each.topic}-${each.partition}`, each.producerId, each.producerEpoch, each.lastSequence],
      ...[timeText(each.lastTimestamp)],
      each.currentTransactionStart < 0 ? '-' : each.currentTransactionStart,
    ])
    await output.write(table(['PARTITION', 'PRODUCER', 'EPOCH', 'SEQUENCE', 'LAST WRITE', 'OPEN SINCE OFFSET'], rows))
  }
  return EXIT_OK
}

export async function listTransactions(invocation: Invocation): Promise<number> {
  const { output, json } = invocation
  const durationMs = numberFlag(invocation, 'open-for', { min: 0 })
  const filters = { states: listFlag(invocation, 'state'), pattern: textFlag(invocation, 'pattern'), durationMs }
  const found = await withRelay(invocation, ({ admin }) => admin.listTransactions(filters))
  const transactions = [...found].sort((a, b) => (a.transactionalId < b.transactionalId ? -1 : 1))
  if (json) await output.json(transactions)
  else if (transactions.length === 0) output.note('No transactions.')
  else {
    const rows = transactions.map(({ transactionalId, state, producerId }) => [transactionalId, state, producerId])
    await output.write(table(['TRANSACTIONAL ID', 'STATE', 'PRODUCER'], rows))
  }
  return EXIT_OK
}

export async function describeLogDirs(invocation: Invocation): Promise<number> {
  const { output, json, positionals } = invocation
  const brokers = await withRelay(invocation, async ({ admin }) => {
    const partitions = positionals.length > 0 ? await partitionsNamed(admin, positionals) : undefined
    return admin.describeLogDirs({ partitions })
  })
  if (json) {
    await output.json(brokers)
    return EXIT_OK
  }
  for (const { brokerId, dirs } of brokers) {
    for (const { path, error, usableBytes, partitions } of dirs) {
      const room = usableBytes < 0 ? '' : `, ${usableBytes} bytes free`
      await output.line(`Broker ${brokerId}, ${path}${room}${error ? `: ${error.message}` : ''}`)
      const rows = partitions.map(({ topic, partition, sizeBytes }) => [topic, partition, sizeBytes])
      if (rows.length > 0) await output.write(`\n${table(['TOPIC', 'PARTITION', 'BYTES'], rows)}`)
    }
  }
  return EXIT_OK
}
