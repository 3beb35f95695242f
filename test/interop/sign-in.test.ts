/** Kafka's clients sign in, unmodified: PLAIN, both kinds of SCRAM, tokens; with another password they are told so. */
import { execFile, execFileSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Admin } from '@platformatic/kafka'
import { SignJWT } from 'jose'
import {
  AclOperationTypes,
  AclPermissionTypes,
  AclResourceTypes,
  Kafka,
  logLevel,
  ResourcePatternTypes,
  type SASLOptions,
} from 'kafkajs'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { startRelay, temporaryFolder } from '../support/relay.ts'
import { cacheFolder, fromHere } from './support/driver.ts'

const run = promisify(execFile)

beforeAll(() => {
  execFileSync('bash', [fromHere('../../../scripts/setup-interop.sh')], { stdio: 'inherit' })
}, 300_000)

const MECHANISMS = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'] as const
type Mechanism = (typeof MECHANISMS)[number]

async function relayWithUsers(): Promise<string> {
  const usersFile = join(await temporaryFolder(), 'users')
  await writeFile(usersFile, 'alice:wonder land, and more=\n')
  const relay = await startRelay({ config: { kafkaPort: 0, saslEnabledMechanisms: [...MECHANISMS], usersFile } })
  await relay.engine.createTopic({ name: 'seen', partitionCount: 1, configs: {} })
  return relay.kafka!.address
}

/** The names of the topics that the client sees; rejects with what it says. */
type Lists = (address: string, mechanism: Mechanism, password: string) => Promise<string>

async function python(script: string, args: string[]): Promise<string> {
  const { stdout } = await run(`${cacheFolder}/python/bin/python`, ['-c', script, ...args], { timeout: 30_000 })
  return stdout
}

const CLIENTS: ReadonlyArray<[string, Lists]> = [
  [
    'kcat',
    async (address, mechanism, password) => {
      const settings = ['security.protocol=SASL_PLAINTEXT', `sasl.mechanism=${mechanism}`, 'sasl.username=alice']
      const options = [...settings, `sasl.password=${password}`].flatMap((each) => ['-X', each])
      return (await run('kcat', ['-b', address, '-L', '-m', '5', ...options], { timeout: 30_000 })).stdout
    },
  ],
  [
    'kafkajs',
    async (address, mechanism, password) => {
      const sasl = { mechanism: mechanism.toLowerCase(), username: 'alice', password } as SASLOptions
      const kafka = new Kafka({
        brokers: [address],
        sasl,
        ssl: false,
        logLevel: logLevel.NOTHING,
        retry: { retries: 0 },
      })
      const admin = kafka.admin()
      try {
        await admin.connect()
        return (await admin.listTopics()).join()
      } finally {
        await admin.disconnect()
      }
    },
  ],
  [
    '@platformatic/kafka',
    async (address, mechanism, password) => {
      const sasl = { mechanism, username: 'alice', password }
      const admin = new Admin({ clientId: 'platformatic', bootstrapBrokers: [address], sasl, retries: 0 })
      try {
        return (await admin.listTopics()).join()
      } finally {
        await admin.close()
      }
    },
  ],
  [
    'confluent-kafka-python',
    (address, mechanism, password) =>
      python(
        `import sys
from confluent_kafka.admin import AdminClient
errors = []
admin = AdminClient({"bootstrap.servers": sys.argv[1], "security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": sys.argv[2],
                     "sasl.username": "alice", "sasl.password": sys.argv[3], "error_cb": lambda e: errors.append(str(e))})
try:
    print(list(admin.list_topics(timeout=5).topics))
except Exception as error:
    sys.exit(f"{error} {errors}")`,
        [address, mechanism, password],
      ),
  ],
  [
    'kafka-python',
    (address, mechanism, password) =>
      python(
        `import sys
from kafka import KafkaConsumer
consumer = KafkaConsumer(bootstrap_servers=sys.argv[1], security_protocol="SASL_PLAINTEXT", sasl_mechanism=sys.argv[2],
                         sasl_plain_username="alice", sasl_plain_password=sys.argv[3], bootstrap_timeout_ms=4000)
print(consumer.topics())`,
        [address, mechanism, password],
      ),
  ],
  [
    'aiokafka',
    (address, mechanism, password) =>
      python(
        `import asyncio, sys
from aiokafka import AIOKafkaConsumer
async def main():
    consumer = AIOKafkaConsumer(bootstrap_servers=sys.argv[1], security_protocol="SASL_PLAINTEXT", sasl_mechanism=sys.argv[2],
                                sasl_plain_username="alice", sasl_plain_password=sys.argv[3])
    await consumer.start()
    print(await consumer.topics())
    await consumer.stop()
asyncio.run(main())`,
        [address, mechanism, password],
      ),
  ],
]

test.each(CLIENTS)(
  '[SAS-20] %s signs in by each mechanism, and not with another password',
  { timeout: 120_000 },
  async (_name, list) => {
    const address = await relayWithUsers()
    for (const mechanism of MECHANISMS) {
      expect(await list(address, mechanism, 'wonder land, and more='), mechanism).toContain('seen')
    }
    // Once: some try for seconds before they give up.
    await expect(list(address, 'SCRAM-SHA-256', 'wonder land')).rejects.toThrow()
  },
)

const SECRET = 'a secret of both sides, of more than thirty-two bytes'

async function relayWithTokens(): Promise<string> {
  const saslOauthbearerSecretFile = join(await temporaryFolder(), 'secret')
  await writeFile(saslOauthbearerSecretFile, SECRET)
  const relay = await startRelay({
    config: {
      ...{ kafkaPort: 0, saslEnabledMechanisms: ['OAUTHBEARER'], saslOauthbearerSecretFile },
      saslOauthbearerExpectedAudience: ['ottla'],
    },
  })
  await relay.engine.createTopic({ name: 'seen', partitionCount: 1, configs: {} })
  return relay.kafka!.address
}

const tokenFor = (audience: string) =>
  new SignJWT({ sub: 'alice', aud: audience, iat: Math.floor(Date.now() / 1000) })
    .setProtectedHeader({ alg: 'HS256' })
    .setExpirationTime('1h')
    .sign(Buffer.from(SECRET))

const PROVIDER = `
import sys
class Provider(Base):
    def token(self):
        return sys.argv[2]
`

const TOKEN_CLIENTS: ReadonlyArray<[string, (address: string, token: string) => Promise<string>]> = [
  [
    'kafkajs',
    async (address, token) => {
      const sasl: SASLOptions = { mechanism: 'oauthbearer', oauthBearerProvider: async () => ({ value: token }) }
      const kafka = new Kafka({
        ...{ brokers: [address], sasl, ssl: false, logLevel: logLevel.NOTHING, retry: { retries: 0 } },
      })
      const admin = kafka.admin()
      try {
        await admin.connect()
        return (await admin.listTopics()).join()
      } finally {
        await admin.disconnect()
      }
    },
  ],
  [
    '@platformatic/kafka',
    async (address, token) => {
      const sasl = { mechanism: 'OAUTHBEARER' as const, token }
      const admin = new Admin({ clientId: 'platformatic', bootstrapBrokers: [address], sasl, retries: 0 })
      try {
        return (await admin.listTopics()).join()
      } finally {
        await admin.close()
      }
    },
  ],
  [
    'confluent-kafka-python',
    (address, token) =>
      python(
        `import sys, time
from confluent_kafka.admin import AdminClient
admin = AdminClient({"bootstrap.servers": sys.argv[1], "security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "OAUTHBEARER",
                     "oauth_cb": lambda config: (sys.argv[2], time.time() + 3600)})
admin.poll(0.2)
print(list(admin.list_topics(timeout=5).topics))`,
        [address, token],
      ),
  ],
  [
    'kafka-python',
    (address, token) =>
      python(
        `from kafka.net.sasl.oauth import AbstractTokenProvider as Base
from kafka import KafkaConsumer${PROVIDER}
consumer = KafkaConsumer(bootstrap_servers=sys.argv[1], security_protocol="SASL_PLAINTEXT", sasl_mechanism="OAUTHBEARER",
                         sasl_oauth_token_provider=Provider(), bootstrap_timeout_ms=4000)
print(consumer.topics())`,
        [address, token],
      ),
  ],
  [
    'aiokafka',
    (address, token) =>
      python(
        `import asyncio
from aiokafka.abc import AbstractTokenProvider as Base
from aiokafka import AIOKafkaConsumer${PROVIDER.replace('    def token', '    async def token')}
async def main():
    consumer = AIOKafkaConsumer(bootstrap_servers=sys.argv[1], security_protocol="SASL_PLAINTEXT", sasl_mechanism="OAUTHBEARER",
                                sasl_oauth_token_provider=Provider())
    await consumer.start()
    print(await consumer.topics())
    await consumer.stop()
asyncio.run(main())`,
        [address, token],
      ),
  ],
]

test.each(TOKEN_CLIENTS)(
  '[SAS-48] %s signs in with a token, and not with one that is for somebody else',
  { timeout: 60_000 },
  async (_name, list) => {
    const address = await relayWithTokens()
    expect(await list(address, await tokenFor('ottla'))).toContain('seen')
    await expect(list(address, await tokenFor('billing'))).rejects.toThrow()
  },
)

describe('[ACL-10] Kafka’s clients keep the lists, unmodified', () => {
  async function relayWithLists() {
    const usersFile = join(await temporaryFolder(), 'users')
    await writeFile(usersFile, 'root:pw\nalice:pw\n')
    const relay = await startRelay({
      config: {
        ...{ kafkaPort: 0, saslEnabledMechanisms: ['PLAIN'], usersFile },
        ...{ accessControl: 'lists', superUsers: ['User:root'] },
      },
    })
    await relay.engine.createTopic({ name: 'seen', partitionCount: 1, configs: {} })
    return relay.kafka!.address
  }

  test('kafkajs gives and takes a right; who has it sees the topic, who has not is told so', async () => {
    const address = await relayWithLists()
    const adminOf = async (username: string) => {
      const sasl: SASLOptions = { mechanism: 'plain', username, password: 'pw' }
      const kafka = new Kafka({
        brokers: [address],
        sasl,
        ssl: false,
        logLevel: logLevel.NOTHING,
        retry: { retries: 0 },
      })
      const admin = kafka.admin()
      await admin.connect()
      onTestFinished(() => admin.disconnect())
      return admin
    }
    const [root, alice] = [await adminOf('root'), await adminOf('alice')]
    const resource = { resourceType: AclResourceTypes.TOPIC, resourceName: 'se' }
    const pattern = { ...resource, resourcePatternType: ResourcePatternTypes.PREFIXED }
    const entry = { principal: 'User:alice', host: '*', operation: AclOperationTypes.DESCRIBE }
    const acl = [{ ...pattern, ...entry, permissionType: AclPermissionTypes.ALLOW }]
    expect(await alice.listTopics()).toEqual([])
    await expect(alice.fetchTopicMetadata({ topics: ['seen'] })).rejects.toMatchObject({
      type: 'TOPIC_AUTHORIZATION_FAILED',
    })
    await root.createAcls({ acl })
    expect(await alice.listTopics()).toEqual(['seen'])
    await expect(
      alice.describeAcls({ ...pattern, ...entry, permissionType: AclPermissionTypes.ALLOW }),
    ).rejects.toMatchObject({
      type: 'CLUSTER_AUTHORIZATION_FAILED',
    })
    const { filterResponses } = await root.deleteAcls({ filters: acl })
    expect(filterResponses[0]!.matchingAcls).toHaveLength(1)
    expect(await alice.listTopics()).toEqual([])
  })

  test('confluent-kafka-python makes, lists and removes lines, and its producer is told what it may not', async () => {
    const address = await relayWithLists()
    const output = await python(
      `import sys
from confluent_kafka import Producer
from confluent_kafka.admin import *
def config(user):
    return {"bootstrap.servers": sys.argv[1], "security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN",
            "sasl.username": user, "sasl.password": "pw"}
root = AdminClient(config("root"))
def binding(operation, permission=AclPermissionType.ALLOW):
    return AclBinding(ResourceType.TOPIC, "seen", ResourcePatternType.LITERAL, "User:alice", "*", operation, permission)
def write():
    said = []
    producer = Producer({**config("alice"), "message.timeout.ms": 5000})
    producer.produce("seen", b"x", callback=lambda error, message: said.append(error.name() if error else "written"))
    producer.flush(6)
    return said[0]
print(write())
for future in root.create_acls([binding(AclOperation.WRITE), binding(AclOperation.READ)]).values():
    future.result()
print(write())
everything = AclBindingFilter(ResourceType.ANY, None, ResourcePatternType.ANY, None, None, AclOperation.ANY, AclPermissionType.ANY)
print(len(root.describe_acls(everything).result()))
print([len(future.result()) for future in root.delete_acls([everything]).values()])
print(write())`,
      [address],
    )
    expect(output.trim().split('\n')).toEqual([
      'TOPIC_AUTHORIZATION_FAILED',
      'written',
      '2',
      '[2]',
      'TOPIC_AUTHORIZATION_FAILED',
    ])
  })
})
