/** Apache Kafka's command line tools, unmodified: what an administrator types. */
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect } from 'vitest'
import { consumerGroupHeartbeat } from '../../protocol/messages/consumer-groups.ts'
import { temporaryFolder } from '../support/relay.ts'
import { RelayClient } from '../support/relay-client.ts'
import { clientTest } from './support/compatibility.ts'
import { cacheFolder } from './support/driver.ts'
import { relayForClients } from './support/peer.ts'
import { RECORDS, readByOttla, writeByOttla } from './support/records.ts'

const run = promisify(execFile)
const base64 = (text: string) => Buffer.from(text).toString('base64')

const TOOLS = {
  topics: 'org.apache.kafka.tools.TopicCommand',
  configs: 'kafka.admin.ConfigCommand',
  offsets: 'org.apache.kafka.tools.GetOffsetShell',
  deleteRecords: 'org.apache.kafka.tools.DeleteRecordsCommand',
  logDirs: 'org.apache.kafka.tools.LogDirsCommand',
  producerPerf: 'org.apache.kafka.tools.ProducerPerformance',
  producer: 'org.apache.kafka.tools.ConsoleProducer',
  consumer: 'org.apache.kafka.tools.consumer.ConsoleConsumer',
  groups: 'org.apache.kafka.tools.consumer.group.ConsumerGroupCommand',
  apiVersions: 'org.apache.kafka.tools.BrokerApiVersionsCommand',
  acls: 'kafka.admin.AclCommand',
  election: 'org.apache.kafka.tools.LeaderElectionCommand',
  quorum: 'org.apache.kafka.tools.MetadataQuorumCommand',
  reassign: 'org.apache.kafka.tools.reassign.ReassignPartitionsCommand',
} as const
/** Moved out of Scala in 4.x. */
const MOVED: Readonly<Record<string, Partial<Record<keyof typeof TOOLS, string>>>> = {
  '3.9.1': { producer: 'kafka.tools.ConsoleProducer', apiVersions: 'kafka.admin.BrokerApiVersionsCommand' },
  '4.3.1': { acls: 'org.apache.kafka.tools.AclCommand' },
}

for (const version of Object.keys(MOVED)) {
  const tool = async (name: keyof typeof TOOLS, args: readonly string[], input = ''): Promise<string> => {
    const main = MOVED[version]![name] ?? TOOLS[name]
    const java = ['-XX:TieredStopAtLevel=1', '-cp', `${cacheFolder}/kafka-${version}/*`, main, ...args]
    const running = run('java', java, { timeout: 60_000, maxBuffer: 2 ** 24 })
    running.child.stdin?.end(input)
    const { stdout, stderr } = await running.catch((error: { stdout: string; stderr: string }) => {
      throw new Error(`${name} ${args.join(' ')}\n${error.stdout}\n${error.stderr}`)
    })
    return stdout + stderr
  }

  clientTest(
    'Java tools',
    `${version}: topics, configs, offsets, log dirs, elections`,
    async (show) => {
      const { relay, address } = await relayForClients()
      const at = ['--bootstrap-server', address]
      await tool('topics', [...at, '--create', '--topic', 't', '--partitions', '2', '--config', 'retention.ms=60000'])
      expect(await tool('topics', [...at, '--list'])).toContain('t\n')
      const described = await tool('topics', [...at, '--describe', '--topic', 't'])
      expect(described).toMatch(/Topic: t\s+TopicId: \S+\s+PartitionCount: 2\s+ReplicationFactor: 1/)
      expect(described).toMatch(/Partition: 1\s+Leader: 1\s+Replicas: 1\s+Isr: 1/)
      expect(await tool('quorum', [...at, 'describe', '--status'])).toMatch(/LeaderId:\s+1[\s\S]*MaxFollowerLag:\s+0/)
      await tool('topics', [...at, '--alter', '--topic', 't', '--partitions', '3'])
      expect(relay.engine.topicByName('t')!.partitions).toHaveLength(3)

      const entity = ['--entity-type', 'topics', '--entity-name', 't']
      await tool('configs', [...at, '--alter', ...entity, '--add-config', 'retention.ms=120000,segment.ms=60000'])
      expect(await tool('configs', [...at, '--describe', ...entity])).toMatch(/retention\.ms=120000/)
      await tool('configs', [...at, '--alter', ...entity, '--delete-config', 'segment.ms'])
      expect(relay.engine.topicByName('t')!.configOverrides).toEqual({ 'retention.ms': '120000' })
      const all = ['--describe', '--entity-type', 'brokers', '--entity-name', '1', '--all']
      expect(await tool('configs', [...at, ...all])).toContain('max-connections=')

      const sent = ['--topic', 't', '--num-records', '5000', '--record-size', '100', '--throughput', '-1']
      const perf = await tool('producerPerf', [...sent, '--producer-props', `bootstrap.servers=${address}`, 'acks=all'])
      expect(perf).toMatch(/5000 records sent/)
      const offsets = await tool('offsets', [...at, '--topic', 't'])
      const ends = [...offsets.matchAll(/^t:\d:(\d+)$/gm)].map(([, end]) => Number(end))
      expect(ends.reduce((sum, end) => sum + end, 0)).toBe(5000)

      const file = join(await temporaryFolder(), 'delete.json')
      const partition = ends.indexOf(Math.max(...ends))
      await writeFile(file, JSON.stringify({ partitions: [{ topic: 't', partition, offset: 3 }], version: 1 }))
      expect(await tool('deleteRecords', [...at, '--offset-json-file', file])).toMatch(/low_watermark: 3/)
      expect(await tool('offsets', [...at, '--topic', 't', '--time', '-2'])).toContain(`t:${partition}:3`)
      expect(await tool('logDirs', [...at, '--describe', '--topic-list', 't'])).toMatch(/"partition":"t-0","size":\d+/)
      expect(await tool('apiVersions', at)).toMatch(/Produce\(0\): 0 to 13/)
      const election = ['--election-type', 'preferred', '--topic', 't', '--partition', '0']
      expect(await tool('election', [...at, ...election])).toMatch(/Valid replica already elected/)
      expect(await tool('reassign', [...at, '--list'])).toMatch(/No partition reassignments found/)
      await expect(tool('acls', [...at, '--list'])).rejects.toThrow('this relay keeps no access control lists')
      await tool('topics', [...at, '--delete', '--topic', 't'])
      expect(relay.engine.topicByName('t')).toBeUndefined()
      show(version, 'admin')
    },
    180_000,
  )

  clientTest(
    'Java tools',
    `${version}: console producer and consumer, groups`,
    async (show) => {
      const { relay, address, url } = await relayForClients()
      await relay.engine.createTopic({ name: 't', partitionCount: 1, configs: {} })
      const at = ['--bootstrap-server', address]
      const parse = ['parse.key=true', 'parse.headers=true', 'null.marker=NULL'].flatMap((each) => ['--property', each])
      const lines = 'h1:a,h2:b\tk\tvalue\nh1:c\tNULL\tno key\nh1:d\tk\tNULL\n'
      await tool('producer', [...at, '--topic', 't', '--compression-codec', 'lz4', ...parse], lines)
      const read = await readByOttla(url, 't', 3)
      expect(read.map(({ key, value, headers }) => ({ key, value, headers }))).toEqual([
        {
          key: base64('k'),
          value: base64('value'),
          headers: [
            ['h1', base64('a')],
            ['h2', base64('b')],
          ],
        },
        { key: null, value: base64('no key'), headers: [['h1', base64('c')]] },
        { key: base64('k'), value: null, headers: [['h1', base64('d')]] },
      ])
      const print = ['print.key', 'print.headers', 'print.offset'].flatMap((each) => ['--property', `${each}=true`])
      const reading = [...at, '--topic', 't', '--from-beginning', '--max-messages', '3', '--timeout-ms', '20000']
      const printed = await tool('consumer', [...reading, ...print, '--group', 'console'])
      expect(printed).toContain('Offset:0\th1:a,h2:b\tk\tvalue')
      expect(printed).toContain('Offset:2\th1:d\tk\tnull')

      expect(await tool('groups', [...at, '--list'])).toContain('console')
      expect(await tool('groups', [...at, '--describe', '--group', 'console'])).toMatch(/console\s+t\s+0\s+3\s+3\s+0/)
      const reset = ['--reset-offsets', '--to-earliest', '--topic', 't', '--execute']
      await tool('groups', [...at, '--group', 'console', ...reset])
      expect(await tool('groups', [...at, '--describe', '--group', 'console'])).toMatch(/console\s+t\s+0\s+0\s+3\s+3/)
      expect(await tool('groups', [...at, '--delete', '--group', 'console'])).toMatch(/successful/)
      show(version, 'produce', 'consume', 'lz4', 'classic groups')
    },
    180_000,
  )

  // The protocol is a preview in 3.x.
  if (version.startsWith('3')) continue
  clientTest(
    'Java tools',
    `${version}: groups of the next protocol`,
    async (show) => {
      const { relay, address, url } = await relayForClients()
      await relay.engine.createTopic({ name: 't', partitionCount: 2, configs: {} })
      await writeByOttla(url, 't', RECORDS)
      const at = ['--bootstrap-server', address]
      const reading = [...at, '--topic', 't', '--from-beginning', '--max-messages', String(RECORDS.length)]
      const asNext = ['--group', 'next', '--consumer-property', 'group.protocol=consumer']
      expect(await tool('consumer', [...reading, ...asNext, '--timeout-ms', '20000'])).toContain('without a key')
      expect(await tool('groups', [...at, '--list', '--type', 'consumer', '--state'])).toMatch(
        /next\s+Consumer\s+Empty/,
      )

      // A member that stays while it is looked at.
      const client = await RelayClient.open(url)
      await client.call(consumerGroupHeartbeat, {
        ...{ groupId: 'next', memberId: 'looked-at', memberEpoch: 0, instanceId: 'instance-1', rackId: 'r' },
        ...{ rebalanceTimeoutMs: 60_000, subscribedTopicNames: ['t'], topicPartitions: [] },
      })
      const describing = [...at, '--describe', '--group', 'next']
      const described = await tool('groups', [...describing, '--verbose'])
      expect(described).toMatch(/next\s+t\s+0\s+\d+\s+6\s+6\s+0\s+looked-at\s+\/127.0.0.1\s+test/)
      const members = await tool('groups', [...describing, '--members', '--verbose'])
      expect(members).toMatch(/looked-at\s+instance-1\s+\/127.0.0.1\s+test\s+2\s+\d+\s+t:0,1/)
      expect(await tool('groups', [...describing, '--state', '--verbose'])).toMatch(/uniform\s+Stable\s+\d+\s+\d+\s+1/)
      expect(await tool('groups', [...at, '--delete', '--group', 'next'])).toContain('The group is not empty')

      const entity = ['--entity-type', 'groups', '--entity-name', 'next']
      await tool('configs', [...at, '--alter', ...entity, '--add-config', 'consumer.session.timeout.ms=60000'])
      expect(await tool('configs', [...at, '--describe', ...entity])).toContain('consumer.session.timeout.ms=60000')

      const leaving = { groupId: 'next', memberId: 'looked-at', memberEpoch: -1, instanceId: 'instance-1' }
      await client.call(consumerGroupHeartbeat, leaving)
      const reset = ['--reset-offsets', '--to-earliest', '--topic', 't', '--execute']
      await tool('groups', [...at, '--group', 'next', ...reset])
      expect(await tool('groups', [...describing])).toMatch(/next\s+t\s+0\s+0\s+6\s+6/)
      await tool('groups', [...at, '--group', 'next', '--delete-offsets', '--topic', 't'])
      expect(await tool('groups', [...at, '--delete', '--group', 'next'])).toMatch(/successful/)
      show(version, 'KIP-848 groups')
    },
    240_000,
  )
}
