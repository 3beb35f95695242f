/**
 * Makes a data folder with some of everything and packs it: what test/server/formats.test.ts opens for ever after. Run it
 * once for each format of the data folder, with a build that writes that format, before the next one comes.
 *
 *   node scripts/make-format-fixture.mjs dist/cli/ottla.js test/fixtures/formats/2-stopped.json
 *   node scripts/make-format-fixture.mjs dist/cli/ottla.js test/fixtures/formats/2-killed.json --kill
 *
 * What is in it: topic `orders` (2 partitions; partition 0: plain, gzip and idempotent batches, headers, tombstones, the
 * first 3 records deleted), topic `stamped` (LogAppendTime, retention.ms 3600000000), a topic that was deleted, group
 * `readers` with offsets 7 and 2 committed in `orders`. Since format 2: topic `paid` with a transaction that was committed,
 * one that was aborted and one that is open. With --kill the relay is killed, else stopped.
 */
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { CompressionTypes, Kafka, logLevel } from 'kafkajs'

const [program, target, kill] = process.argv.slice(2)
const data = mkdtempSync(join(tmpdir(), 'ottla-format-'))
const relay = spawn(
  process.execPath,
  [program, 'serve', '--data', data, '--http-port', '0', '--kafka-port', '0', '--log-format', 'json'],
  { stdio: ['ignore', 'pipe', 'inherit'] },
)
const exited = new Promise((resolve) => relay.once('exit', resolve))
const ready = await new Promise((resolve) => {
  let text = ''
  relay.stdout.on('data', (chunk) => {
    text += chunk
    const line = text.split('\n').find((each) => each.includes('"ready"'))
    if (line) resolve(JSON.parse(line))
  })
})

const kafka = new Kafka({ brokers: [ready.kafka], logLevel: logLevel.NOTHING })
const admin = kafka.admin()
await admin.connect()
await admin.createTopics({
  topics: [
    { topic: 'orders', numPartitions: 2 },
    { topic: 'gone', numPartitions: 1 },
    { topic: 'paid', numPartitions: 1 },
    {
      topic: 'stamped',
      numPartitions: 1,
      configEntries: [
        { name: 'message.timestamp.type', value: 'LogAppendTime' },
        { name: 'retention.ms', value: '3600000000' },
      ],
    },
  ],
})
const timestamp = '1700000000000'
const record = (key, value, partition = 0) => ({ key, value, partition, timestamp, headers: { from: 'fixture' } })
const plain = kafka.producer()
await plain.connect()
await plain.send({ topic: 'orders', messages: [record('a', '0'), record('b', '1'), record('a', null)] })
await plain.send({
  topic: 'orders',
  compression: CompressionTypes.GZIP,
  messages: [record('c', '3 '.repeat(200)), record('d', '4 '.repeat(200)), record('e', 'p1', 1)],
})
await plain.send({ topic: 'stamped', messages: [{ value: 'x' }] })
await plain.send({ topic: 'gone', messages: [{ value: 'x' }] })
await plain.disconnect()
const idempotent = kafka.producer({ idempotent: true })
await idempotent.connect()
for (const value of ['5', '6', '7']) await idempotent.send({ topic: 'orders', messages: [record('f', value)] })
await idempotent.send({ topic: 'orders', messages: [record('g', 'p1', 1)] })
await idempotent.disconnect()
for (const ending of ['commit', 'abort', undefined]) {
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1, transactionalId: `${ending ?? 'open'}s` })
  await producer.connect()
  const transaction = await producer.transaction()
  await transaction.send({ topic: 'paid', messages: [record(ending ?? 'open', '1')] })
  if (ending) await transaction[ending]()
  await producer.disconnect()
}
await admin.deleteTopics({ topics: ['gone'] })
await admin.deleteTopicRecords({ topic: 'orders', partitions: [{ partition: 0, offset: '3' }] })
await admin.setOffsets({
  groupId: 'readers',
  topic: 'orders',
  partitions: [
    { partition: 0, offset: '7' },
    { partition: 1, offset: '2' },
  ],
})
await admin.disconnect()
relay.kill(kill ? 'SIGKILL' : 'SIGTERM')
await exited

const packed = {}
for (const entry of readdirSync(data, { recursive: true, withFileTypes: true })) {
  const path = join(entry.parentPath, entry.name)
  if (entry.isFile()) packed[relative(data, path)] = readFileSync(path).toString('base64')
}
mkdirSync(dirname(target), { recursive: true })
writeFileSync(target, `${JSON.stringify(packed, null, 1)}\n`)
rmSync(data, { recursive: true })
console.log(`${target}: ${Object.keys(packed).length} files`)
