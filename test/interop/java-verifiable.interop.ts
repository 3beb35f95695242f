/**
 * The producer and the consumer of Apache Kafka's own system tests, unmodified, while the relay is killed again and again:
 * what goes in comes out, once, in order.
 */
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect } from 'vitest'
import { type ChildRelay, startChildRelay } from '../server/support/child-relay.ts'
import { temporaryFolder } from '../support/relay.ts'
import { RelayClient } from '../support/relay-client.ts'
import { storedRecords } from '../support/stored-records.ts'
import { clientTest } from './support/compatibility.ts'
import { cacheFolder } from './support/driver.ts'

const run = promisify(execFile)
const MESSAGES = 3000
const PER_SECOND = 400
const KILLS = 3
const PARTITIONS = 2

/** One line of what both print. */
interface Said {
  name: string
  partition: number
  offset: number
  value: string
}

async function java(version: string, program: string, args: readonly string[]): Promise<Said[]> {
  const all = ['-XX:TieredStopAtLevel=1', '-cp', `${cacheFolder}/kafka-${version}/*`]
  const options = { timeout: 150_000, maxBuffer: 2 ** 26 }
  const { stdout } = await run('java', [...all, `org.apache.kafka.tools.${program}`, ...args], options).catch(
    (error: { stdout: string; stderr: string }) => {
      throw new Error(`${program}\n${error.stdout.slice(-2000)}\n${error.stderr.slice(-2000)}`)
    },
  )
  return stdout
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Said)
}

for (const version of ['3.9.1', '4.3.1']) {
  clientTest(
    'Java tools',
    `${version}: VerifiableProducer and VerifiableConsumer through ${KILLS} kills of the relay: in equals out`,
    async (show) => {
      const dataDir = await temporaryFolder()
      const first = await startChildRelay({ config: { dataDir, httpPort: 0, kafkaPort: 0 } })
      const address = first.kafka!
      const ports = { kafkaPort: Number(address.split(':')[1]), httpPort: Number(new URL(first.http).port) }
      const client = await RelayClient.open(first.websocket)
      const topicId = await client.createTopic('v', { partitions: PARTITIONS })
      const config = join(dataDir, '..', `${version}-${process.pid}.properties`)
      // By itself the producer gives up at the first error; so it is one that sends again.
      await writeFile(config, 'retries=2147483647\nenable.idempotence=true\nreconnect.backoff.max.ms=200\n')
      const at = ['--bootstrap-server', address, '--topic', 'v', '--max-messages', String(MESSAGES)]
      const option = version.startsWith('3') ? '--producer.config' : '--command-config'
      const produced = java(version, 'VerifiableProducer', [
        ...[...at, '--throughput', String(PER_SECOND), '--acks', '-1', option, config],
      ])
      const consumed = java(version, 'VerifiableConsumer', [
        ...[...at, '--group-id', 'g', '--reset-policy', 'earliest', '--verbose'],
      ])
      for (const each of [produced, consumed]) each.catch(() => {})
      let relay: ChildRelay = first
      for (let kill = 0; kill < KILLS; kill++) {
        await reaches(relay.websocket, topicId, ((kill + 1) * MESSAGES) / (KILLS + 2))
        await relay.kill()
        relay = await startChildRelay({ config: { dataDir, ...ports } })
      }
      const acked = (await produced).filter(({ name }) => name === 'producer_send_success')
      const received = (await consumed).filter(({ name }) => name === 'record_data')
      expect(acked).toHaveLength(MESSAGES)
      for (let partition = 0; partition < PARTITIONS; partition++) {
        const stored = await storedRecords(relay.websocket, topicId, partition)
        const of = (said: readonly Said[]) =>
          said.filter((each) => each.partition === partition).map(({ offset, value }) => ({ offset, value }))
        expect(stored, 'every record once, where it was said to be').toEqual(
          of(acked).sort((a, b) => a.offset - b.offset),
        )
        expect(of(received), 'read once, in order').toEqual(stored)
      }
      show(version, 'idempotent', 'classic groups')
    },
    240_000,
  )
}

/** Resolves when so many records are there. */
async function reaches(url: string, topicId: string, wanted: number): Promise<void> {
  for (let look = 0; look < 1200; look++) {
    let count = 0
    for (let partition = 0; partition < PARTITIONS; partition++)
      count += (await storedRecords(url, topicId, partition)).length
    if (count >= wanted) return
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error(`${wanted} records were not written`)
}
