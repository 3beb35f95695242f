/**
 * Apache Kafka's own programs for transactions, unmodified: the administrator's tool, and the copier of Kafka's system
 * tests, which reads, writes and commits offsets in one transaction while the relay is killed again and again.
 */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect } from 'vitest'
import { createTopics } from '../../protocol/messages/topics.ts'
import { type ChildRelay, startChildRelay } from '../server/support/child-relay.ts'
import { committedValues, TransactionalClient } from '../server/transactions/transactional-client.ts'
import { batchOf } from '../support/batches.ts'
import { temporaryFolder } from '../support/relay.ts'
import { RelayClient } from '../support/relay-client.ts'
import { clientTest } from './support/compatibility.ts'
import { cacheFolder } from './support/driver.ts'
import { relayForClients } from './support/peer.ts'

const run = promisify(execFile)
const MESSAGES = 1500
const KILLS = 3

for (const version of ['3.9.1', '4.3.1']) {
  const java = async (name: string, args: readonly string[], timeoutMs = 60_000): Promise<string> => {
    const all = [
      '-XX:TieredStopAtLevel=1',
      '-cp',
      `${cacheFolder}/kafka-${version}/*`,
      `org.apache.kafka.tools.${name}`,
    ]
    const options = { timeout: timeoutMs, maxBuffer: 2 ** 26 }
    const { stdout, stderr } = await run('java', [...all, ...args], options).catch(
      (error: { stdout: string; stderr: string }) => {
        throw new Error(`${name} ${args.join(' ')}\n${error.stdout.slice(-2000)}\n${error.stderr.slice(-2000)}`)
      },
    )
    return stdout + stderr
  }

  clientTest(
    'Java tools',
    `${version}: transactions listed, described, found hanging, aborted`,
    async (show) => {
      const { relay, address, url } = await relayForClients()
      const { id: topicId, partitions } = await relay.engine.createTopic({ name: 't', partitionCount: 1, configs: {} })
      const client = await RelayClient.open(url)
      const tx = new TransactionalClient(client)
      await tx.init()
      await tx.write({ name: 't', topicId }, ['x'])
      const hanging = { id: 9000, epoch: 3, sequence: 0, isTransactional: true }
      await partitions[0]!.append(batchOf(['hanging'], { producer: hanging })).durable
      const tool = (...args: string[]) => java('TransactionsCommand', ['--bootstrap-server', address, ...args])
      expect(await tool('list')).toMatch(/tx\s+1\s+\d+\s+Ongoing/)
      expect(await tool('describe', '--transactional-id', 'tx')).toMatch(/tx\s.*Ongoing.*t-0/)
      const place = ['--topic', 't', '--partition', '0']
      expect(await tool('describe-producers', ...place)).toMatch(/9000\s+3\s/)
      const found = await tool('find-hanging', '--broker-id', '1', '--max-transaction-timeout', '0')
      expect(found).toMatch(/t\s+0\s+9000\s+3\s/)
      await tool('abort', ...place, '--start-offset', '1')
      await tx.end('commit')
      expect(await committedValues(client, topicId)).toEqual(['x'])
      show(version, 'transactions')
    },
    180_000,
  )

  clientTest(
    'Java tools',
    `${version}: TransactionalMessageCopier through ${KILLS} kills of the relay: in equals out`,
    async (show) => {
      const dataDir = await temporaryFolder()
      const first = await startChildRelay({ config: { dataDir, httpPort: 0, kafkaPort: 0 } })
      const address = first.kafka!
      const ports = { kafkaPort: Number(address.split(':')[1]), httpPort: Number(new URL(first.http).port) }
      const client = await RelayClient.open(first.websocket)
      const topic = { numPartitions: 1, replicationFactor: -1, assignments: [], configs: [] }
      const topics = ['in', 'out'].map((name) => ({ name, ...topic }))
      await client.call(createTopics, { topics, validateOnly: false })
      const produced = ['--bootstrap-server', address, '--topic', 'in', '--max-messages', String(MESSAGES)]
      await java('VerifiableProducer', produced)
      const copied = java(
        'TransactionalMessageCopier',
        [
          ...['--broker-list', address, '--input-topic', 'in', '--input-partition', '0', '--output-topic', 'out'],
          ...['--transactional-id', 'copier', '--consumer-group', 'copiers', '--transaction-size', '20'],
          ...['--transaction-timeout', '20000', '--enable-random-aborts', '--use-group-metadata'],
        ],
        150_000,
      )
      copied.catch(() => {})
      let relay: ChildRelay = first
      for (let kill = 0; kill < KILLS; kill++) {
        expect(await hasCopied(relay.websocket, ((kill + 1) * MESSAGES) / (KILLS + 2))).toBeLessThan(MESSAGES)
        await relay.kill()
        relay = await startChildRelay({ config: { dataDir, ...ports } })
      }
      await copied
      const reader = await RelayClient.open(relay.websocket)
      const values = (name: string) => reader.topicId(name).then((id) => committedValues(reader, id))
      expect(await values('in')).toHaveLength(MESSAGES)
      expect(await values('out')).toEqual(await values('in'))
      show(version, 'transactions')
    },
    240_000,
  )
}

/** Resolves when so many records of the copy are committed, to how many there are. */
async function hasCopied(url: string, wanted: number): Promise<number> {
  const client = await RelayClient.open(url)
  const topicId = await client.topicId('out')
  for (let look = 0; look < 1200; look++) {
    const { length } = await committedValues(client, topicId)
    if (length >= wanted) {
      client.socket.close()
      return length
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`${wanted} records were not copied`)
}
